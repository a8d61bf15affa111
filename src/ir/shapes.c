/* Symbolic dims meet real extents: values, and the checks that only a call can make. */
#include <inttypes.h>
#include <string.h>
#include "ir/build.h"

static void print_shape(const struct ir *ir, uint32_t shape, const int64_t *values, struct strbuf *out)
{
    const struct ir_shape *s = &ir->shapes.at[shape];
    strbuf_puts(out, "(");
    for (unsigned d = 0; d < s->rank; d++)
        strbuf_printf(out, "%s%" PRId64, d ? ", " : "", values[s->dim[d]]);
    strbuf_puts(out, s->rank == 1 ? ",)" : ")");
}

/* Sums and products past all numbers stay at the largest: no array is so large, and the call says so. */
static int64_t sum_of(const struct ir_dim *d, const int64_t *values)
{
    int64_t v = 0;
    for (uint32_t i = 0; i < d->n_of; i++)
        if (__builtin_add_overflow(v, values[d->of[i]], &v))
            v = INT64_MAX;
    return v;
}

static int64_t product_of(const struct ir_dim *d, const int64_t *values)
{
    int64_t v = d->extent;
    for (uint32_t i = 0; i < d->n_of; i++)
        if (__builtin_mul_overflow(v, values[d->of[i]], &v))
            v = INT64_MAX;
    return values[d->base] ? v / values[d->base] : 0;
}

/* What a dim is when all of its members agree or are 1; clashes are found by the checks. */
static int64_t value_of(const struct ir *ir, uint32_t dim, const int64_t (*extents)[IR_MAX_RANK], const int64_t *values)
{
    const struct ir_dim *d = &ir->dims.at[dim];
    int64_t v = 1;
    switch (d->kind) {
    case DIM_ONE:
        return 1;
    case DIM_CONST:
        return d->extent;
    case DIM_INPUT:
        return extents[d->input][d->axis];
    case DIM_BROADCAST:
        for (uint32_t i = 0; i < d->n_of && v == 1; i++)
            v = values[d->of[i]];
        return v;
    case DIM_SLICE:
        return values[d->own] == 1 && values[d->base] != 1 ? 1 : ir_slice_length(&d->slice, values[d->base], &v);
    case DIM_SUM:
        return sum_of(d, values);
    case DIM_PRODUCT:
        return product_of(d, values);
    }
    return v;
}

/* The first axis of the result on which two arguments differ and neither is 1. */
static void print_clash(const struct ir *ir, const struct ir_node *n, const int64_t *values, struct strbuf *out)
{
    unsigned rank = ir->shapes.at[n->shape].rank;
    for (unsigned d = 0; d < rank; d++) {
        int64_t first = 1;
        for (unsigned k = 0; k < n->n_args; k++) {
            const struct ir_shape *s = &ir->shapes.at[ir_at(ir, n->args[k])->shape];
            int64_t have = d + s->rank < rank ? 1 : values[s->dim[d + s->rank - rank]];
            if (first != 1 && have != 1 && have != first) {
                strbuf_printf(out, ": axis %u has %" PRId64 " and %" PRId64, d, first, have);
                return;
            }
            first = first == 1 ? have : first;
        }
    }
}

static void mismatch(const struct ir *ir, const struct ir_check *c, const int64_t *values, struct diags *diags)
{
    const struct ir_node *n = ir_at(ir, c->node);
    struct strbuf m = {0};
    for (unsigned k = 0; k < n->n_args; k++) {
        strbuf_puts(&m, k ? " and " : "");
        print_shape(ir, ir_at(ir, n->args[k])->shape, values, &m);
    }
    strbuf_puts(&m, " do not broadcast");
    print_clash(ir, n, values, &m);
    diag_add(diags, AX_shape_mismatch, c->span, "shapes %s", m.s ? m.s : "");
    strbuf_fini(&m);
    for (unsigned k = 0; k < n->n_args; k++) {
        print_shape(ir, ir_at(ir, n->args[k])->shape, values, &m);
        diag_note(diags, ir_at(ir, n->args[k])->span, "this has shape %s", m.s ? m.s : "");
        strbuf_fini(&m);
    }
}

static bool broadcasts(const struct ir *ir, const struct ir_check *c, const int64_t *values)
{
    const struct ir_node *n = ir_at(ir, c->node);
    const struct ir_shape *out = &ir->shapes.at[n->shape];
    for (unsigned k = 0; k < n->n_args; k++) {
        const struct ir_shape *s = &ir->shapes.at[ir_at(ir, n->args[k])->shape];
        for (unsigned d = 0; d < s->rank; d++) {
            int64_t have = values[s->dim[d]], want = values[out->dim[d + out->rank - s->rank]];
            if (have != want && have != 1)
                return false;
        }
    }
    return true;
}

static bool reduces_something(const struct ir *ir, const struct ir_check *c, const int64_t *values)
{
    const struct ir_node *n = ir_at(ir, c->node);
    const struct ir_shape *s = &ir->shapes.at[ir_at(ir, n->args[0])->shape];
    int64_t kept = 1, reduced = 1;
    for (unsigned d = 0; d < s->rank; d++)
        *(n->attr >> d & 1 ? &reduced : &kept) *= values[s->dim[d]];
    return reduced > 0 || kept == 0;
}

static bool value_fits(const struct ir_check *c, int64_t v)
{
    unsigned bits = 8u * type_table[c->dtype].size;
    bool with_sign = type_table[c->dtype].cls == CLASS_INT;
    if (bits == 64)
        return with_sign || v >= 0;
    int64_t low = with_sign ? -(INT64_C(1) << (bits - 1)) : 0, high = (INT64_C(1) << (with_sign ? bits - 1 : bits)) - 1;
    return v >= low && v <= high;
}

static bool check(const struct ir *ir, const struct ir_check *c, const int64_t *weak_values, const int64_t *values, struct diags *diags)
{
    switch (c->kind) {
    case CHECK_BROADCAST:
        if (broadcasts(ir, c, values))
            return true;
        mismatch(ir, c, values, diags);
        return false;
    case CHECK_EXTENT:
        if (values[c->dim_a] == values[c->dim_b])
            return true;
        diag_add(diags, AX_extent_mismatch, c->span, "the extent %.*s is %" PRId64 " here, but %" PRId64 " before", (int)c->text.n, c->text.s,
                 values[c->dim_b], values[c->dim_a]);
        return false;
    case CHECK_NONEMPTY:
        if (reduces_something(ir, c, values))
            return true;
        diag_add(diags, AX_empty_reduction, c->span, "%s of nothing: the array has no elements along the reduced axes",
                 op_table[ir_at(ir, c->node)->op].name);
        return false;
    case CHECK_FITS:
        if (!weak_values || value_fits(c, weak_values[c->input]))
            return true;
        diag_add(diags, AX_scalar_range, c->span, "%" PRId64 " does not fit %s", weak_values[c->input], type_table[c->dtype].name);
        return false;
    case CHECK_EQUAL:
    case CHECK_STRETCHES:
        if (values[c->dim_a] == values[c->dim_b] || (c->kind == CHECK_STRETCHES && values[c->dim_a] == 1))
            return true;
        diag_add(diags, AX_shape_mismatch, c->span, "%.*s: %" PRId64 " and %" PRId64, (int)c->text.n, c->text.s, values[c->dim_a], values[c->dim_b]);
        return false;
    case CHECK_IS_NOT:
        if (values[c->dim_a] != c->index)
            return true;
        diag_add(diags, AX_shape_mismatch, c->span, "%.*s", (int)c->text.n, c->text.s);
        return false;
    case CHECK_INDEX:
        if (c->index < values[c->dim_a] && c->index >= -values[c->dim_a])
            return true;
        diag_add(diags, AX_index_range, c->span, "index %" PRId64 " is out of range: axis %u has %" PRId64 " element%s", c->index, c->dim_b, values[c->dim_a],
                 values[c->dim_a] == 1 ? "" : "s");
        return false;
    }
    return true;
}

/* Sizes of what is stored, and of what is walked, must not overflow; nor would a machine come to their end. */
static bool of_this_world(const struct ir *ir, uint32_t shape, const int64_t *values, struct diags *diags)
{
    const int64_t most = INT64_C(1) << 48;
    const struct ir_shape *s = &ir->shapes.at[shape];
    int64_t elements = 1;
    bool empty = false, fits = true;
    for (unsigned d = 0; d < s->rank; d++) {
        empty |= values[s->dim[d]] == 0;
        fits &= !__builtin_mul_overflow(elements, values[s->dim[d]], &elements) && elements <= most;
    }
    if (empty || fits)
        return true;
    struct strbuf text = {0};
    print_shape(ir, shape, values, &text);
    diag_add(diags, AX_array_too_large, (struct span){0, 0}, "an array of shape %s has more than 2^48 elements", text.s ? text.s : "");
    strbuf_fini(&text);
    return false;
}

bool ir_shapes_resolve(const struct ir *ir, const int64_t (*extents)[IR_MAX_RANK], const int64_t *weak_values,
                       int64_t *values, struct diags *diags)
{
    bool ok = true;
    for (uint32_t i = 0; i < ir->dims.n; i++)
        values[i] = value_of(ir, i, extents, values);
    for (uint32_t i = 0; i < ir->checks.n; i++)
        ok &= check(ir, &ir->checks.at[i], weak_values, values, diags);
    for (uint32_t i = 0; ok && i < ir->shapes.n; i++)
        ok = of_this_world(ir, i, values, diags);
    return ok;
}
