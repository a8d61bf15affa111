/*
 * Arrays out of nothing: places, and what follows from them. Shapes are literals, so they are known when compiling; an
 * array of one value is that value, chosen at every place.
 */
#include <math.h>
#include "ir/build.h"
#include "sema/build.h"

static bool extent_of(struct sema *s, const struct value *v, int64_t *out)
{
    *out = v->i;
    if (v->kind == VALUE_INT && v->i >= 0)
        return true;
    if (v->kind == VALUE_INT)
        sema_error(s, AX_literal_range, v->span, "an extent cannot be negative");
    else if (v->kind != VALUE_ERROR)
        sema_error(s, v->kind == VALUE_ARRAY ? AX_not_constant : AX_type_mismatch, v->span, "an extent is an integer known when compiling, not %s", value_words(s, v));
    return false;
}

static bool shape_of(struct sema *s, const struct value *v, struct ir_shape *out)
{
    const struct value *items = v->kind == VALUE_TUPLE ? v->items : v;
    uint32_t n = v->kind == VALUE_TUPLE ? v->n_items : 1;
    *out = (struct ir_shape){0};
    if (n > IR_MAX_RANK) {
        sema_error(s, AX_rank_too_large, v->span, "arrays have at most %d axes", IR_MAX_RANK);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct ir_dim d = {.kind = DIM_CONST};
        if (!extent_of(s, &items[i], &d.extent))
            return false;
        out->dim[out->rank++] = ir_dim(s->ir, d);
    }
    return true;
}

static struct value places(struct sema *s, const struct ir_shape *shape, unsigned axes, struct span span)
{
    return value_array(s, ir_place(s->ir, ir_shape(s->ir, shape), axes, sema_span(s, span)), false, span);
}

static struct value apply2(struct sema *s, enum op op, struct value a, struct value b, struct span span)
{
    struct value both[] = {a, b};
    return apply_op(s, op, both, 2, span);
}

static struct value choose(struct sema *s, struct value c, struct value a, struct value b, struct span span)
{
    struct value all[] = {c, a, b};
    return apply_op(s, OP_where, all, 3, span);
}

static struct value as_dtype(struct sema *s, struct value v, const struct value *dtype, struct span span)
{
    if (dtype->kind == VALUE_NONE || v.kind == VALUE_ERROR)
        return v;
    if (v.kind == VALUE_INT && dtype->kind == VALUE_DTYPE)
        return value_array(s, value_as(s, &v, (enum dtype)dtype->dtype), false, span); /* which must hold it */
    return convert(s, &v, dtype, span);
}

static struct value everywhere(struct sema *s, const struct ir_shape *shape, struct value v, struct span span)
{
    if (v.kind != VALUE_ERROR && !value_is_numeric(&v)) {
        sema_error(s, AX_type_mismatch, v.span, "an array is filled with a number, not with %s", value_words(s, &v));
        return value_error();
    }
    if (v.kind != VALUE_ERROR)
        v = value_array(s, value_to_ir(s, &v), false, v.span);
    if (shape->rank == 0)
        return v;
    struct value at = places(s, shape, (1u << shape->rank) - 1, span);
    return choose(s, apply2(s, OP_greater_equal, at, value_int(0, span), span), v, v, span);
}

static struct value filled(struct sema *s, const struct value *shape, struct value v, const struct value *dtype, struct span span)
{
    struct ir_shape sh;
    return shape_of(s, shape, &sh) ? everywhere(s, &sh, as_dtype(s, v, dtype, span), span) : value_error();
}

static struct value like(struct sema *s, const struct value *x, struct value v, const struct value *type, struct span span)
{
    struct value array = *x, dtype = {.kind = VALUE_DTYPE, .span = span};
    if (!value_is_numeric(x)) {
        if (x->kind != VALUE_ERROR)
            sema_error(s, AX_type_mismatch, x->span, "an array is expected here, not %s", value_words(s, x));
        return value_error();
    }
    if (x->kind != VALUE_ARRAY)
        array = value_array(s, value_to_ir(s, x), false, x->span);
    dtype.dtype = ir_at(s->ir, array.id)->dtype;
    struct ir_shape shape = s->ir->shapes.at[ir_at(s->ir, array.id)->shape];
    return everywhere(s, &shape, as_dtype(s, v, type->kind == VALUE_NONE ? &dtype : type, span), span);
}

static struct value eye(struct sema *s, const struct value *n, const struct value *m, const struct value *dtype, struct span span)
{
    struct value items[] = {*n, m->kind == VALUE_NONE ? *n : *m}, shape = {.kind = VALUE_TUPLE, .items = items, .n_items = 2, .span = span};
    struct ir_shape sh;
    if (!shape_of(s, &shape, &sh))
        return value_error();
    struct value diagonal = apply2(s, OP_equal, places(s, &sh, 1, span), places(s, &sh, 2, span), span);
    struct value v = choose(s, diagonal, value_float(1, span), value_float(0, span), span);
    return as_dtype(s, v, dtype, span);
}

static double number(const struct value *v)
{
    return v->kind == VALUE_FLOAT ? v->f : (double)v->i;
}

static bool is_number(struct sema *s, const struct value *v)
{
    if (v->kind == VALUE_INT || v->kind == VALUE_FLOAT)
        return true;
    if (v->kind != VALUE_ERROR)
        sema_error(s, v->kind == VALUE_ARRAY ? AX_not_constant : AX_type_mismatch, v->span, "arange takes numbers known when compiling, not %s", value_words(s, v));
    return false;
}

static int64_t steps_between(double start, double stop, double step)
{
    double n = ceil((stop - start) / step);
    return n > 0 && n < 9e18 ? (int64_t)n : 0;
}

static int64_t whole_steps(int64_t start, int64_t stop, int64_t step)
{
    uint64_t way = step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
    uint64_t by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    if (step > 0 ? stop <= start : stop >= start)
        return 0;
    return (int64_t)((way - 1) / by + 1);
}

static struct value arange(struct sema *s, struct value start, struct value stop, struct value step, const struct value *dtype, struct span span)
{
    struct ir_shape shape = {.rank = 1};
    if (stop.kind == VALUE_NONE) {
        stop = start;
        start = value_int(0, span);
    }
    if (step.kind == VALUE_NONE)
        step = value_int(1, span);
    if (!is_number(s, &start) || !is_number(s, &stop) || !is_number(s, &step))
        return value_error();
    if (number(&step) == 0) {
        sema_error(s, AX_type_mismatch, step.span, "the step cannot be 0");
        return value_error();
    }
    bool whole = start.kind == VALUE_INT && stop.kind == VALUE_INT && step.kind == VALUE_INT;
    int64_t n = whole ? whole_steps(start.i, stop.i, step.i) : steps_between(number(&start), number(&stop), number(&step));
    shape.dim[0] = ir_dim(s->ir, (struct ir_dim){.kind = DIM_CONST, .extent = n < 0 ? INT64_MAX : n});
    struct value at = places(s, &shape, 1, span), scaled = apply2(s, OP_multiply, at, step, span);
    return as_dtype(s, apply2(s, OP_add, start, scaled, span), dtype, span);
}

/* As NumPy: start + i * ((stop - start) / (num - 1)), and stop itself at the end. */
static struct value linspace(struct sema *s, const struct value *start, const struct value *stop, const struct value *num, struct span span)
{
    struct ir_shape shape = {.rank = 1};
    int64_t n = 50;
    struct value float64 = {.kind = VALUE_DTYPE, .dtype = DT_float64, .span = span};
    if (num->kind != VALUE_NONE && !extent_of(s, num, &n))
        return value_error();
    shape.dim[0] = ir_dim(s->ir, (struct ir_dim){.kind = DIM_CONST, .extent = n});
    struct value a = convert(s, start, &float64, span), b = convert(s, stop, &float64, span), at = places(s, &shape, 1, span);
    struct value step = apply2(s, OP_divide, apply2(s, OP_subtract, b, a, span), value_float((double)(n > 1 ? n - 1 : 1), span), span);
    struct value v = apply2(s, OP_add, a, apply2(s, OP_multiply, at, step, span), span);
    return n > 1 ? choose(s, apply2(s, OP_equal, at, value_int(n - 1, span), span), b, v, span) : v;
}

struct value call_making(struct sema *s, enum op op, const struct value *args, struct span span)
{
    switch (op) {
    case OP_arange:
        return arange(s, args[0], args[1], args[2], &args[3], span);
    case OP_linspace:
        return linspace(s, &args[0], &args[1], &args[2], span);
    case OP_full:
        return filled(s, &args[0], args[1], &args[2], span);
    case OP_zeros:
        return filled(s, &args[0], value_float(0, span), &args[1], span);
    case OP_ones:
        return filled(s, &args[0], value_float(1, span), &args[1], span);
    case OP_eye:
        return eye(s, &args[0], &args[1], &args[2], span);
    case OP_full_like:
        return like(s, &args[0], args[1], &args[2], span);
    case OP_zeros_like:
        return like(s, &args[0], value_int(0, span), &args[1], span);
    default:
        return like(s, &args[0], value_int(1, span), &args[1], span);
    }
}
