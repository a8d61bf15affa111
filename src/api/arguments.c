/* See arguments.h. */
#include <inttypes.h>
#include <string.h>
#include "arguments.h"
#include "array.h"

const char *call_input_name(const struct call *c, uint32_t i)
{
    return c->p->input_names[i];
}

bool call_refuse(struct call *c, uint32_t i, const char *what)
{
    diag_add(c->diags, AX_argument_array, c->p->interface.inputs.at[i].span, "argument '%s' %s", call_input_name(c, i), what);
    return false;
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
        return call_refuse(c, i, "has no valid dtype");
    if (!type_table[a->dtype].works) {
        diag_add(c->diags, AX_argument_dtype, c->p->interface.inputs.at[i].span, "argument '%s' is %s, which is not supported yet", call_input_name(c, i), type_table[a->dtype].name);
        return false;
    }
    if (a->rank < 0 || a->rank > AREX_MAX_RANK)
        return call_refuse(c, i, "has no valid rank");
    for (int d = 0; d < a->rank; d++)
        if (a->shape[d] < 0 || __builtin_mul_overflow(elements, a->shape[d] ? a->shape[d] : 1, &elements) || elements > INT64_MAX / 16)
            return call_refuse(c, i, "has no valid shape");
    if (a->device < -1)
        return call_refuse(c, i, "has no valid device");
    if (!array_strides_fit(a))
        return call_refuse(c, i, "has a stride that is no multiple of its element size, or leads out of memory");
    if ((uintptr_t)a->data % type_alignment((enum dtype)a->dtype))
        return call_refuse(c, i, "is not aligned to its element size");
    if (!flags_fit(a))
        return call_refuse(c, i, "has invalid flags");
    return with_data && !a->data && array_has_elements(a) ? call_refuse(c, i, "has no data") : true;
}

static bool check_count(struct call *c, int n_inputs, int n_outputs)
{
    uint32_t want = c->p->interface.inputs.n, first = (uint32_t)n_inputs;
    if (n_inputs < 0) {
        diag_add(c->diags, AX_usage, NO_SPAN, "%d inputs are no number of inputs", n_inputs);
        return false;
    }
    if (first < want) {
        diag_add(c->diags, AX_missing_argument, c->p->interface.inputs.at[first].span, "argument '%s' is missing: the program takes %u", call_input_name(c, first), want);
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

bool check_arguments(struct call *c, int n_inputs, int n_outputs, bool with_data)
{
    bool ok = check_count(c, n_inputs, n_outputs);
    for (uint32_t i = 0; ok && i < c->n_inputs; i++)
        ok = check_input(c, i, with_data);
    for (uint32_t i = 0; ok && i < c->n_inputs; i++)
        c->args[i] = (struct sema_arg){(uint8_t)c->inputs[i].dtype, (uint8_t)c->inputs[i].rank, (c->inputs[i].flags & AREX_WEAK) != 0};
    return ok;
}

bool check_output(struct call *c, uint32_t i)
{
    const arex_array *given = &c->outputs[i], *r = &c->results[i];
    bool same = given->dtype == r->dtype && given->rank == r->rank && memcmp(given->shape, r->shape, (size_t)r->rank * sizeof *r->shape) == 0;
    struct strbuf want = {0};
    if (!given->data)
        return true;
    if (same && ((uintptr_t)given->data % type_alignment((enum dtype)r->dtype) || !array_strides_fit(given))) {
        diag_add(c->diags, AX_output_mismatch, c->p->interface.outputs.at[i].span,
                 "output %u is not aligned to its element size, or has a stride that leads out of memory", i);
        return false;
    }
    if (same && !array_elements_apart(given)) {
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
