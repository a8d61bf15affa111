/*
 * A call: arguments checked, the program found for their types, arrays brought to where it runs, results brought back.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "repeat.h"

/* Everything one call holds; freed on one path. */
struct call {
    struct arex_program *p;
    const arex_array *inputs;
    arex_array *outputs;
    uint32_t n_inputs, n_outputs;
    arex_call_options options;
    struct diags *diags;
    struct sema_arg *args;
    struct device *device; /* NULL: the reference evaluator */
    struct signature *signature;
    int64_t (*extents)[IR_MAX_RANK], *weak, *dims;
    arex_array *results;   /* outputs as computed: dtype, shape, C strides */
    struct exec_array *in, *out;
    void **in_memory, **out_memory; /* device memory of ours for inputs and outputs */
    bool *allocated;       /* outputs whose memory this call made for the caller */
    bool not_at_once;      /* nothing was done, as the options ask */
    struct ir_faults faults;
};

/* ---- arguments ---- */

static const char *input_name(const struct call *c, uint32_t i)
{
    return c->p->input_names[i];
}

static bool refuse(struct call *c, uint32_t i, const char *what)
{
    diag_add(c->diags, AX_argument_array, c->p->interface.inputs.at[i].span, "argument '%s' %s", input_name(c, i), what);
    return false;
}

static bool has_elements(const arex_array *a)
{
    for (int d = 0; d < a->rank; d++)
        if (a->shape[d] == 0)
            return false;
    return true;
}

/* Do all elements lie as near the first as a machine's memory reaches, at multiples of their size? */
static bool strides_fit(const arex_array *a)
{
    const int64_t memory = INT64_C(1) << 57; /* what five levels of page tables give, both ways */
    int64_t size = type_alignment((enum dtype)a->dtype), below = 0, above = type_table[a->dtype].size, reach;
    for (int d = 0; d < a->rank && has_elements(a); d++) {
        if (a->shape[d] == 1)
            continue;
        if (a->strides[d] % size || __builtin_mul_overflow(a->shape[d] - 1, a->strides[d], &reach))
            return false;
        if (reach < -memory || reach > memory)
            return false;
        *(reach < 0 ? &below : &above) += reach;
    }
    return above - below <= memory;
}

/* What Python's numbers are: rank 0, and a type that stands for its kind. */
static bool flags_fit(const arex_array *a)
{
    bool kind = a->dtype == AREX_BOOL || a->dtype == AREX_INT64 || a->dtype == AREX_FLOAT64 || a->dtype == AREX_COMPLEX128;
    return a->flags == 0 || (a->flags == AREX_WEAK && a->rank == 0 && kind);
}

static bool check_input(struct call *c, uint32_t i, bool with_data)
{
    const arex_array *a = &c->inputs[i];
    int64_t elements = 1;
    if (a->dtype <= AREX_NONE || a->dtype >= (int)DT_COUNT)
        return refuse(c, i, "has no valid dtype");
    if (!type_table[a->dtype].works) {
        diag_add(c->diags, AX_argument_dtype, c->p->interface.inputs.at[i].span, "argument '%s' is %s, which is not supported yet", input_name(c, i), type_table[a->dtype].name);
        return false;
    }
    if (a->rank < 0 || a->rank > AREX_MAX_RANK)
        return refuse(c, i, "has no valid rank");
    for (int d = 0; d < a->rank; d++)
        if (a->shape[d] < 0 || __builtin_mul_overflow(elements, a->shape[d] ? a->shape[d] : 1, &elements) || elements > INT64_MAX / 16)
            return refuse(c, i, "has no valid shape");
    if (a->device < -1)
        return refuse(c, i, "has no valid device");
    if (!strides_fit(a))
        return refuse(c, i, "has a stride that is no multiple of its element size, or leads out of memory");
    if ((uintptr_t)a->data % type_alignment((enum dtype)a->dtype))
        return refuse(c, i, "is not aligned to its element size");
    if (!flags_fit(a))
        return refuse(c, i, "has invalid flags");
    return with_data && !a->data && has_elements(a) ? refuse(c, i, "has no data") : true;
}

static bool check_count(struct call *c, int n_inputs, int n_outputs)
{
    uint32_t want = c->p->interface.inputs.n, first = (uint32_t)n_inputs;
    if (n_inputs < 0) {
        diag_add(c->diags, AX_usage, NO_SPAN, "%d inputs are no number of inputs", n_inputs);
        return false;
    }
    if (first < want) {
        diag_add(c->diags, AX_missing_argument, c->p->interface.inputs.at[first].span, "argument '%s' is missing: the program takes %u", input_name(c, first), want);
        return false;
    }
    if ((uint32_t)n_inputs > want) {
        diag_add(c->diags, AX_extra_argument, NO_SPAN, "%d arguments given, and the program takes %u", n_inputs, want);
        return false;
    }
    if (n_outputs < 0 || (uint32_t)n_outputs != c->p->interface.outputs.n) {
        diag_add(c->diags, AX_usage, NO_SPAN, "place for %d outputs given, and the program has %u", n_outputs, c->p->interface.outputs.n);
        return false;
    }
    return true;
}

static bool check_arguments(struct call *c, int n_inputs, int n_outputs, bool with_data)
{
    bool ok = check_count(c, n_inputs, n_outputs);
    for (uint32_t i = 0; ok && i < c->n_inputs; i++)
        ok = check_input(c, i, with_data);
    for (uint32_t i = 0; ok && i < c->n_inputs; i++)
        c->args[i] = (struct sema_arg){(uint8_t)c->inputs[i].dtype, (uint8_t)c->inputs[i].rank, (c->inputs[i].flags & AREX_WEAK) != 0};
    return ok;
}

static bool call_init(struct call *c)
{
    uint32_t n = c->p->interface.inputs.n + 1, m = c->p->interface.outputs.n + 1;
    c->n_inputs = n - 1;
    c->n_outputs = m - 1;
    c->args = calloc(n, sizeof *c->args);
    c->extents = calloc(n, sizeof *c->extents);
    c->weak = calloc(n, sizeof *c->weak);
    c->in = calloc(n, sizeof *c->in);
    c->in_memory = calloc(n, sizeof *c->in_memory);
    c->results = calloc(m, sizeof *c->results);
    c->out = calloc(m, sizeof *c->out);
    c->out_memory = calloc(m, sizeof *c->out_memory);
    c->allocated = calloc(m, sizeof *c->allocated);
    if (c->args && c->extents && c->weak && c->in && c->in_memory && c->results && c->out && c->out_memory && c->allocated)
        return true;
    diag_add(c->diags, AX_out_of_memory, NO_SPAN, "out of memory");
    return false;
}

static void call_fini(struct call *c, bool ok)
{
    for (uint32_t i = 0; c->in_memory && i < c->n_inputs; i++)
        if (c->in_memory[i])
            c->device->ops->free(c->device, c->in_memory[i]);
    for (uint32_t i = 0; c->out_memory && i < c->n_outputs; i++)
        if (c->out_memory[i])
            c->device->ops->free(c->device, c->out_memory[i]);
    for (uint32_t i = 0; c->allocated && i < c->n_outputs && !ok; i++)
        if (c->allocated[i])
            arex_array_free(c->p->context, &c->outputs[i]);
    free(c->args);
    free(c->extents);
    free(c->weak);
    free(c->dims);
    free(c->in);
    free(c->in_memory);
    free(c->results);
    free(c->out);
    free(c->out_memory);
    free(c->allocated);
}

/* ---- shapes ---- */

static void describe_output(const struct call *c, uint32_t i)
{
    const struct ir *ir = c->signature->ir;
    const struct ir_node *n = ir_at(ir, ir->outputs.at[i].node);
    const struct ir_shape *s = &ir->shapes.at[n->shape];
    arex_array *r = &c->results[i];
    int64_t bytes = type_table[n->dtype].size;
    r->dtype = n->dtype;
    r->rank = s->rank;
    r->device = -1;
    for (int d = s->rank - 1; d >= 0; d--) {
        r->shape[d] = c->dims[s->dim[d]];
        r->strides[d] = bytes;
        bytes *= r->shape[d];
    }
}

static bool resolve(struct call *c)
{
    const struct ir *ir = c->signature->ir;
    for (uint32_t i = 0; i < c->n_inputs; i++) {
        memcpy(c->extents[i], c->inputs[i].shape, (size_t)c->inputs[i].rank * sizeof(int64_t));
        if ((c->inputs[i].flags & AREX_WEAK) && c->inputs[i].dtype == AREX_INT64 && c->inputs[i].data && c->inputs[i].device < 0)
            memcpy(&c->weak[i], c->inputs[i].data, sizeof c->weak[i]);
    }
    c->dims = calloc(ir->dims.n + 1, sizeof *c->dims);
    if (!c->dims) {
        diag_add(c->diags, AX_out_of_memory, NO_SPAN, "out of memory");
        return false;
    }
    if (!ir_shapes_resolve(ir, (const int64_t(*)[IR_MAX_RANK])c->extents, c->weak, c->dims, c->diags))
        return false;
    for (uint32_t i = 0; i < c->n_outputs; i++)
        describe_output(c, i);
    return true;
}

static size_t bytes_of(const arex_array *a)
{
    size_t n = type_table[a->dtype].size;
    for (int d = 0; d < a->rank; d++)
        n *= (size_t)a->shape[d];
    return n;
}

/* Axes from the densest on: each must step over all that lies within the ones before. Of strides that fit. */
static bool elements_apart(const arex_array *a)
{
    bool taken[AREX_MAX_RANK] = {false};
    uint64_t reach = type_table[a->dtype].size;
    if (!has_elements(a))
        return true;
    for (int k = 0; k < a->rank; k++) {
        int next = -1;
        for (int d = 0; d < a->rank; d++)
            if (!taken[d] && (next < 0 || llabs(a->strides[d]) < llabs(a->strides[next])))
                next = d;
        taken[next] = true;
        if (a->shape[next] == 1)
            continue;
        uint64_t step = (uint64_t)llabs(a->strides[next]);
        if (step < reach)
            return false;
        reach += step * (uint64_t)(a->shape[next] - 1);
    }
    return true;
}

static bool check_output(struct call *c, uint32_t i)
{
    const arex_array *given = &c->outputs[i], *r = &c->results[i];
    bool same = given->dtype == r->dtype && given->rank == r->rank && memcmp(given->shape, r->shape, (size_t)r->rank * sizeof *r->shape) == 0;
    struct strbuf want = {0};
    if (!given->data)
        return true;
    if (same && ((uintptr_t)given->data % type_alignment((enum dtype)r->dtype) || !strides_fit(given))) {
        diag_add(c->diags, AX_output_mismatch, c->p->interface.outputs.at[i].span,
                 "output %u is not aligned to its element size, or has a stride that leads out of memory", i);
        return false;
    }
    if (same && !elements_apart(given)) {
        diag_add(c->diags, AX_output_mismatch, c->p->interface.outputs.at[i].span, "elements of output %u lie on top of each other: check its strides", i);
        return false;
    }
    if (same)
        return true;
    for (int d = 0; d < r->rank; d++)
        strbuf_printf(&want, "%s%" PRId64, d ? ", " : "", r->shape[d]);
    diag_add(c->diags, AX_output_mismatch, c->p->interface.outputs.at[i].span, "output %u must be %s of shape (%s%s)", i, type_table[r->dtype].name,
             want.s ? want.s : "", r->rank == 1 ? "," : "");
    strbuf_fini(&want);
    return false;
}

/* ---- memory: is it where the program runs, does it overlap? ---- */

struct range {
    uintptr_t begin, end;
};

static struct range range_of(const arex_array *a)
{
    struct range r = {(uintptr_t)a->data, (uintptr_t)a->data + type_table[a->dtype].size};
    for (int d = 0; d < a->rank; d++) {
        int64_t reach = a->shape[d] > 0 ? (a->shape[d] - 1) * a->strides[d] : 0;
        if (reach > 0)
            r.end += (uintptr_t)reach;
        else
            r.begin -= (uintptr_t)-reach;
    }
    return r;
}

static bool overlap(const arex_array *a, const arex_array *b)
{
    struct range r = range_of(a), s = range_of(b);
    return a->data && b->data && a->device == b->device && r.begin < s.end && s.begin < r.end;
}

static int place_of(const struct call *c)
{
    return c->device && c->device->ops->kind == DEVICE_CUDA ? c->device->ordinal : -1;
}

static bool is_contiguous(const arex_array *a)
{
    int64_t bytes = type_table[a->dtype].size;
    for (int d = a->rank - 1; d >= 0; d--) {
        if (a->shape[d] != 1 && a->strides[d] != bytes)
            return false;
        bytes *= a->shape[d];
    }
    return true;
}

/* Element by element between two host arrays of one shape. */
static void copy_strided(const arex_array *to, const arex_array *from)
{
    int64_t index[AREX_MAX_RANK] = {0}, n = 1;
    size_t size = type_table[from->dtype].size;
    for (int d = 0; d < from->rank; d++)
        n *= from->shape[d];
    for (int64_t i = 0; i < n; i++) {
        char *t = to->data;
        const char *f = from->data;
        for (int d = 0; d < from->rank; d++) {
            t += index[d] * to->strides[d];
            f += index[d] * from->strides[d];
        }
        memcpy(t, f, size);
        for (int d = from->rank - 1; d >= 0 && ++index[d] == from->shape[d]; d--)
            index[d] = 0;
    }
}

static bool host_alloc(struct call *c, size_t size, void **out)
{
    *out = malloc(size ? size : 1);
    if (!*out)
        diag_add(c->diags, AX_out_of_memory, NO_SPAN, "no memory for %zu bytes", size);
    return *out != NULL;
}

static arex_array packed_like(const arex_array *a, void *data)
{
    arex_array p = *a;
    int64_t bytes = type_table[a->dtype].size;
    p.data = data;
    p.device = -1;
    for (int d = a->rank - 1; d >= 0; d--) {
        p.strides[d] = bytes;
        bytes *= a->shape[d];
    }
    return p;
}

/* A host array to the device: contiguous there. Its strides there go to results_strides. */
static bool bring_in(struct call *c, uint32_t i, arex_array *there)
{
    const arex_array *a = &c->inputs[i];
    void *host = a->data, *packed = NULL;
    *there = packed_like(a, NULL);
    there->device = place_of(c);
    if (!is_contiguous(a)) {
        if (!host_alloc(c, bytes_of(a), &packed))
            return false;
        arex_array p = packed_like(a, packed);
        copy_strided(&p, a);
        host = packed;
    }
    bool ok = c->device->ops->alloc(c->device, bytes_of(a) ? bytes_of(a) : 1, c->options.stream, &c->in_memory[i], c->diags) &&
              c->device->ops->copy_in(c->device, c->in_memory[i], host, bytes_of(a), c->options.stream, c->diags);
    free(packed);
    there->data = c->in_memory[i];
    return ok;
}

static bool place_inputs(struct call *c, arex_array *there)
{
    for (uint32_t i = 0; i < c->n_inputs; i++) {
        const arex_array *a = &c->inputs[i];
        bool by_value = a->rank == 0 && a->device < 0, only_a_shape = i >= visible_inputs(c->p);
        there[i] = *a;
        if (!only_a_shape && a->device != place_of(c) && !by_value) {
            if (a->device >= 0) {
                diag_add(c->diags, AX_argument_array, c->p->interface.inputs.at[i].span, "argument '%s' is on CUDA device %d, and the program runs elsewhere",
                         input_name(c, i), a->device);
                return false;
            }
            if (!bring_in(c, i, &there[i]))
                return false;
        }
        c->in[i] = (struct exec_array){there[i].data, there[i].shape, there[i].strides, !by_value};
    }
    return true;
}

/* A kernel changes an array in place: an output that is that very input. */
static bool is_own_input(const struct call *c, uint32_t i, uint32_t k)
{
    const arex_array *o = &c->outputs[i], *in = &c->inputs[k];
    return c->p->interface.kernel && str_eq(c->p->interface.outputs.at[i].name, c->p->interface.inputs.at[k].name) && o->data == in->data &&
           o->device == in->device && memcmp(o->strides, in->strides, (size_t)o->rank * sizeof *o->strides) == 0;
}

static bool overlaps_any(const struct call *c, uint32_t i)
{
    for (uint32_t k = 0; k < c->n_inputs; k++)
        if (!is_own_input(c, i, k) && overlap(&c->outputs[i], &c->inputs[k]))
            return true;
    for (uint32_t k = 0; k < c->n_outputs; k++)
        if (k != i && overlap(&c->outputs[i], &c->outputs[k]))
            return true;
    return false;
}

/* The caller's memory where it serves; else memory of ours, copied afterwards. */
static bool place_outputs(struct call *c)
{
    for (uint32_t i = 0; i < c->n_outputs; i++) {
        arex_array *o = &c->outputs[i];
        bool given = o->data != NULL;
        if (!given) {
            int device = o->device;
            *o = c->results[i];
            o->device = device < 0 ? -1 : device;
            struct device *d = device < 0 ? context_cpu(c->p->context, c->diags) : context_cuda(c->p->context, device, c->diags);
            if (!d || !d->ops->alloc(d, bytes_of(o) ? bytes_of(o) : 1, c->options.stream, &o->data, c->diags))
                return false;
            c->allocated[i] = true;
        }
        bool direct = o->device == place_of(c) && !(given && overlaps_any(c, i));
        if (direct) {
            c->out[i] = (struct exec_array){o->data, o->shape, o->strides, true};
            continue;
        }
        if (!c->device->ops->alloc(c->device, bytes_of(o) ? bytes_of(o) : 1, c->options.stream, &c->out_memory[i], c->diags))
            return false;
        c->out[i] = (struct exec_array){c->out_memory[i], c->results[i].shape, c->results[i].strides, true};
    }
    return true;
}

static bool run(struct call *c, int n_inputs, int n_outputs, const arex_call_options *options);

/* No copy of the driver's puts elements here and there: a program of ours does. Its output overlaps nothing. */
static bool scatter_out(struct call *c, uint32_t i)
{
    arex_array from = packed_like(&c->outputs[i], c->out_memory[i]), to = c->outputs[i];
    struct call copy = {.p = context_copier(c->p->context, c->diags), .inputs = &from, .outputs = &to, .diags = c->diags};
    arex_call_options o;
    arex_call_options_init(&o);
    o.stream = c->options.stream;
    from.device = to.device;
    return copy.p && run(&copy, 1, 1, &o);
}

static bool bring_out(struct call *c, uint32_t i)
{
    arex_array *o = &c->outputs[i];
    size_t size = bytes_of(o);
    void *host = o->data, *packed = NULL;
    if (o->device >= 0 && !is_contiguous(o))
        return scatter_out(c, i);
    if (o->device >= 0)
        return c->device->ops->copy(c->device, o->data, c->out_memory[i], size, c->options.stream, c->diags);
    if (!is_contiguous(o)) {
        if (!host_alloc(c, size, &packed))
            return false;
        host = packed;
    }
    bool ok = c->device->ops->copy_out(c->device, host, c->out_memory[i], size, c->options.stream, c->diags);
    if (ok && packed) {
        arex_array p = packed_like(o, packed);
        copy_strided(o, &p);
    }
    free(packed);
    return ok;
}

static bool bring_all_out(struct call *c)
{
    for (uint32_t i = 0; i < c->n_outputs; i++)
        if (c->out_memory[i] && !bring_out(c, i))
            return false;
    return true;
}

/* ---- the reference evaluator ---- */

static bool run_reference(struct call *c)
{
    struct ir_array *in = calloc(c->n_inputs + 1, sizeof *in);
    void **out = calloc(c->n_outputs + 1, sizeof *out);
    bool ok = in && out;
    for (uint32_t i = 0; ok && i < c->n_inputs; i++) {
        in[i].data = c->inputs[i].data;
        memcpy(in[i].stride, c->inputs[i].strides, sizeof in[i].stride);
        for (int d = 0; d < c->inputs[i].rank; d++)
            in[i].stride[d] = c->inputs[i].shape[d] == 1 ? 0 : in[i].stride[d];
    }
    for (uint32_t i = 0; ok && i < c->n_outputs; i++)
        ok = (out[i] = malloc(bytes_of(&c->results[i]) + 1)) != NULL;
    ok = ok && ir_eval(c->signature->ir, in, c->dims, out, &c->faults);
    if (!ok)
        diag_add(c->diags, AX_out_of_memory, NO_SPAN, "out of memory");
    for (uint32_t i = 0; ok && i < c->n_outputs; i++) {
        arex_array from = c->results[i], *o = &c->outputs[i];
        from.data = out[i];
        if (!o->data) {
            *o = c->results[i];
            struct device *d = context_cpu(c->p->context, c->diags);
            ok = d && d->ops->alloc(d, bytes_of(o) ? bytes_of(o) : 1, c->options.stream, &o->data, c->diags);
            c->allocated[i] = ok;
        }
        if (ok)
            copy_strided(o, &from);
    }
    for (uint32_t i = 0; out && i < c->n_outputs; i++)
        free(out[i]);
    free(in);
    free(out);
    return ok;
}

static bool all_on_host(struct call *c)
{
    for (uint32_t i = 0; i < c->n_inputs; i++)
        if (c->inputs[i].device >= 0)
            return refuse(c, i, "is on a device, and the reference evaluator runs on the host");
    for (uint32_t i = 0; i < c->n_outputs; i++)
        if (c->outputs[i].data && c->outputs[i].device >= 0) {
            diag_add(c->diags, AX_output_mismatch, NO_SPAN, "output %u is on a device, and the reference evaluator runs on the host", i);
            return false;
        }
    return true;
}

/* ---- the whole ---- */

static bool finish(struct call *c)
{
    if (!faults_told(&c->faults, c->signature->ir, c->dims, c->diags))
        return false;
    if (c->options.faults)
        *c->options.faults = c->faults.bits & AREX_FAULT_DIVIDE;
    return true;
}

/* Their memory serves others only after this call's work. */
static void tell_uses(const struct call *c)
{
    for (uint32_t i = 0; i < c->n_inputs; i++)
        if (c->inputs[i].device >= 0)
            c->device->ops->uses(c->device, c->inputs[i].data, c->options.stream);
    for (uint32_t i = 0; i < c->n_outputs; i++)
        if (c->outputs[i].data && c->outputs[i].device >= 0 && !c->allocated[i])
            c->device->ops->uses(c->device, c->outputs[i].data, c->options.stream);
}

static bool run_on_device(struct call *c)
{
    arex_array *there = calloc(c->n_inputs + 1, sizeof *there);
    if (!there) {
        diag_add(c->diags, AX_out_of_memory, NO_SPAN, "out of memory");
        return false;
    }
    unsigned threads = c->options.threads > 0 ? (unsigned)c->options.threads : 0;
    struct watch watch;
    watch_init(&watch, c->options.progress, c->options.progress_user);
    struct repeat *repeat = repeat_new(c->p, c->signature, c->dims, c->inputs, c->outputs, c->results, &c->options);
    bool ok = place_inputs(c, there) && place_outputs(c);
    tell_uses(c);
    ok = ok && exec_run(c->signature->code, c->in, c->out, c->dims, threads, c->options.stream, &watch, &c->faults, repeat ? repeat->replay : NULL, c->diags) && bring_all_out(c);
    if (repeat)
        repeat_made(repeat, ok, c->options.stream);
    free(there);
    return ok;
}

static int nearest_device(const struct call *c)
{
    for (uint32_t i = 0; i < c->n_inputs; i++)
        if (c->inputs[i].device >= 0)
            return c->inputs[i].device;
    for (uint32_t i = 0; i < c->n_outputs; i++)
        if (c->outputs[i].device >= 0)
            return c->outputs[i].device;
    return -1;
}

/* What call, infer and prepare have in common. */
static bool begin(struct call *c, int n_inputs, int n_outputs, bool with_data)
{
    if (!call_init(c) || !check_arguments(c, n_inputs, n_outputs, with_data))
        return false;
    if (!context_target(c->p->context, c->options.target, nearest_device(c), &c->device, c->diags))
        return false;
    c->signature = program_signature(c->p, c->args, c->device, c->diags);
    return c->signature && resolve(c);
}

static bool is_launched(struct call *c, bool launch)
{
    bool kernel = c->p->interface.kernel != NULL;
    if (kernel != launch)
        diag_add(c->diags, AX_usage, NO_SPAN, kernel ? "a kernel is run by arex_launch" : "the program has no kernel to launch");
    return kernel == launch;
}

static bool take_options(struct call *c, const arex_call_options *options)
{
    arex_call_options_init(&c->options);
    if (options && !options_known(options, options->size, sizeof c->options, "call", c->diags))
        return false;
    if (options)
        memcpy(&c->options, options, options->size < sizeof c->options ? options->size : sizeof c->options);
    return true;
}

static bool given(struct call *c, const void *program, const void *inputs, int n_inputs, const void *outputs, int n_outputs)
{
    if (program && (inputs || n_inputs <= 0) && (outputs || n_outputs <= 0))
        return true;
    diag_add(c->diags, AX_usage, NO_SPAN, "program, inputs and outputs must be given");
    return false;
}

/* Arguments in whole: what is wrong with their number is told by who takes the long way. */
static enum repeat_answer run_again(struct call *c, int n_inputs, int n_outputs)
{
    if (n_inputs < 0 || (uint32_t)n_inputs != c->p->interface.inputs.n || n_outputs < 0 || (uint32_t)n_outputs != c->p->interface.outputs.n)
        return REPEAT_NONE;
    return repeat_call(c->p, c->inputs, c->outputs, &c->options, c->diags);
}

static bool run(struct call *c, int n_inputs, int n_outputs, const arex_call_options *options)
{
    bool ok = take_options(c, options);
    enum repeat_answer again = ok ? run_again(c, n_inputs, n_outputs) : REPEAT_NONE;
    atomic_fetch_add_explicit(&c->p->calls, again != REPEAT_NONE, memory_order_relaxed);
    if (again != REPEAT_NONE || (c->not_at_once = ok && c->options.at_once))
        return again == REPEAT_DONE;
    ok = ok && begin(c, n_inputs, n_outputs, true);
    for (uint32_t i = 0; ok && i < c->n_outputs; i++)
        ok = check_output(c, i);
    ok = ok && (c->device ? run_on_device(c) : all_on_host(c) && run_reference(c)) && finish(c);
    atomic_fetch_add_explicit(&c->p->calls, 1, memory_order_relaxed);
    call_fini(c, ok);
    return ok;
}

static arex_status call_status(struct call *c, bool ok, arex_diagnostics **diags)
{
    if (c->diags->n && c->p)
        diags_set_source(c->diags, c->p->name, c->p->source, c->p->n_source);
    if (c->not_at_once && diags)
        *diags = NULL;
    return c->not_at_once ? AREX_NOT_AT_ONCE : diags_hand_over(c->diags, ok, diags);
}

PUBLIC arex_status arex_call(arex_program *p, const arex_array *inputs, int n_inputs, arex_array *outputs, int n_outputs,
                             const arex_call_options *options, arex_diagnostics **diags)
{
    struct diags d;
    struct call c = {.p = p, .inputs = inputs, .outputs = outputs, .diags = &d};
    diags_init(&d);
    bool ok = given(&c, p, inputs, n_inputs, outputs, n_outputs) && is_launched(&c, false) && run(&c, n_inputs, n_outputs, options);
    return call_status(&c, ok, diags);
}

/* ---- kernels ---- */

/* An array of a shape and nothing else: every element is the one byte. */
static arex_array shape_of_launch(uint32_t x, uint32_t y, uint32_t z, const uint32_t *by)
{
    static uint8_t nothing;
    arex_array a = {.data = &nothing, .dtype = AREX_BOOL, .rank = 3, .device = -1};
    a.shape[0] = (int64_t)z * by[2];
    a.shape[1] = (int64_t)y * by[1];
    a.shape[2] = (int64_t)x * by[0];
    return a;
}

static bool check_launch(struct call *c, const uint32_t *grid, const uint32_t *block)
{
    enum { MOST_THREADS = 1024 };
    const uint64_t most_blocks = UINT64_C(1) << 38; /* of the most threads: 2^48, as arrays have elements */
    uint64_t threads = 1, blocks = 1;
    for (unsigned i = 0; i < 3; i++) {
        threads = threads > MOST_THREADS ? threads : threads * block[i];
        blocks = blocks > most_blocks ? blocks : blocks * grid[i];
    }
    if (blocks && blocks <= most_blocks && threads && threads <= MOST_THREADS)
        return true;
    diag_add(c->diags, AX_usage, NO_SPAN, "a launch has 1 to 2^38 blocks of 1 to %u threads", MOST_THREADS);
    return false;
}

/* The arrays and the launch as inputs; of the arrays, those that the kernel changes as outputs. */
static bool launch_arguments(struct call *c, const arex_array *arrays, int n, const uint32_t *grid, const uint32_t *block, arex_array *in, arex_array *out)
{
    static const uint32_t one[3] = {1, 1, 1};
    const struct sema_interface *face = &c->p->interface;
    if (n < 0 || (uint32_t)n != visible_inputs(c->p)) {
        diag_add(c->diags, n < (int)visible_inputs(c->p) ? AX_missing_argument : AX_extra_argument, NO_SPAN, "%d arguments given, and the kernel takes %u", n,
                 visible_inputs(c->p));
        return false;
    }
    memcpy(in, arrays, (size_t)n * sizeof *in);
    in[n + LAUNCH_THREADS] = shape_of_launch(grid[0], grid[1], grid[2], block);
    in[n + LAUNCH_BLOCKS] = shape_of_launch(grid[0], grid[1], grid[2], one);
    in[n + LAUNCH_BLOCK] = shape_of_launch(block[0], block[1], block[2], one);
    for (uint32_t i = 0; i < face->outputs.n; i++)
        for (int k = 0; k < n; k++)
            if (str_eq(face->outputs.at[i].name, face->inputs.at[k].name))
                out[i] = arrays[k];
    return true;
}

PUBLIC arex_status arex_launch(arex_program *p, const arex_array *arrays, int n, const uint32_t *grid, const uint32_t *block,
                               const arex_call_options *options, arex_diagnostics **diags)
{
    struct diags d;
    struct call c = {.p = p, .diags = &d};
    diags_init(&d);
    bool ok = given(&c, p, arrays, n, grid && block ? grid : NULL, 1) && is_launched(&c, true) && check_launch(&c, grid, block);
    if (ok) {
        enum { FEW = 20 };
        arex_array here[FEW], *memory = NULL, *in = here;
        uint32_t n_in = p->interface.inputs.n, n_out = p->interface.outputs.n;
        if (n_in + n_out > FEW)
            in = memory = calloc(n_in + n_out, sizeof *in);
        c.inputs = in;
        c.outputs = in ? in + n_in : NULL;
        ok = in != NULL;
        if (!ok)
            diag_add(&d, AX_out_of_memory, NO_SPAN, "out of memory");
        ok = ok && launch_arguments(&c, arrays, n, grid, block, in, c.outputs) && run(&c, (int)n_in, (int)n_out, options);
        free(memory);
    }
    return call_status(&c, ok, diags);
}

PUBLIC arex_status arex_infer(arex_program *p, const arex_array *inputs, int n_inputs, arex_array *outputs, int n_outputs,
                              arex_diagnostics **diags)
{
    struct diags d;
    struct call c = {.p = p, .inputs = inputs, .outputs = outputs, .diags = &d};
    diags_init(&d);
    bool ok = given(&c, p, inputs, n_inputs, outputs, n_outputs) && is_launched(&c, false);
    if (ok) {
        take_options(&c, NULL);
        c.options.target = AREX_TARGET_REFERENCE; /* types and shapes do not depend on the device */
        ok = begin(&c, n_inputs, n_outputs, false);
        for (uint32_t i = 0; ok && i < c.n_outputs; i++)
            outputs[i] = c.results[i];
        call_fini(&c, ok);
    }
    if (d.n && p)
        diags_set_source(&d, p->name, p->source, p->n_source);
    return diags_hand_over(&d, ok, diags);
}

static bool prepare(struct call *c)
{
    for (uint32_t i = 0; i < c->n_inputs; i++)
        c->in[i] = (struct exec_array){c->inputs[i].data, c->inputs[i].shape, c->inputs[i].strides, c->inputs[i].rank > 0 || c->inputs[i].device >= 0};
    for (uint32_t i = 0; i < c->n_outputs; i++)
        c->out[i] = (struct exec_array){NULL, c->results[i].shape, c->results[i].strides, true};
    return exec_prepare(c->signature->code, c->in, c->out, c->dims, c->diags);
}

PUBLIC arex_status arex_prepare(arex_program *p, const arex_array *inputs, int n_inputs, const arex_call_options *options,
                                arex_diagnostics **diags)
{
    struct diags d;
    struct call c = {.p = p, .inputs = inputs, .diags = &d};
    diags_init(&d);
    bool ok = given(&c, p, inputs, n_inputs, NULL, 0) && is_launched(&c, false);
    if (ok) {
        arex_array *none = calloc(p->interface.outputs.n + 1, sizeof *none);
        for (uint32_t i = 0; none && i < p->interface.outputs.n; i++)
            none[i].device = -1;
        c.outputs = none;
        ok = none && take_options(&c, options) && begin(&c, n_inputs, (int)p->interface.outputs.n, false) && (!c.device || prepare(&c));
        call_fini(&c, ok);
        free(none);
    }
    if (d.n && p)
        diags_set_source(&d, p->name, p->source, p->n_source);
    return diags_hand_over(&d, ok, diags);
}
