/*
 * Which dtype values meet in: NumPy 2's table (NEP 50). Depends on dtypes alone, never on values.
 */
#include "sema/build.h"

static enum dtype sized(enum type_class cls, unsigned size)
{
    for (int t = 1; t < DT_COUNT; t++)
        if (t != DT_bfloat16 && type_table[t].cls == cls && type_table[t].size == size)
            return (enum dtype)t;
    return DT_float64;
}

static enum dtype int_with_uint(enum dtype i, enum dtype u)
{
    if (type_table[u].size < type_table[i].size)
        return i;
    return type_table[u].size == 8 ? DT_float64 : sized(CLASS_INT, 2u * type_table[u].size);
}

/* The float that holds an integer type's values as NumPy sees it. */
static enum dtype float_with_int(enum dtype f, enum dtype i)
{
    unsigned need = type_table[i].size == 1 ? 2 : type_table[i].size == 2 ? 4 : 8;

    return type_table[f].size >= need ? f : sized(CLASS_FLOAT, need);
}

static enum dtype with_complex(enum dtype c, enum dtype other)
{
    bool wide = other == DT_complex128 || other == DT_float64 ||
                (type_table[other].cls >= CLASS_INT && type_table[other].cls <= CLASS_UINT &&
                 type_table[other].size >= 4);

    return wide ? DT_complex128 : c;
}

static enum dtype float_pair(enum dtype a, enum dtype b)
{
    if (type_table[a].size == type_table[b].size)
        return DT_float32; /* float16 with bfloat16 */
    return type_table[a].size > type_table[b].size ? a : b;
}

enum dtype promote_pair(enum dtype a, enum dtype b)
{
    enum type_class ca = type_table[a].cls, cb = type_table[b].cls;

    if (a == b || cb == CLASS_BOOL)
        return a;
    if (ca > cb || ca == CLASS_BOOL)
        return promote_pair(b, a); /* now ca <= cb, and bool is out */
    if (cb == CLASS_COMPLEX)
        return with_complex(b, a);
    if (cb == CLASS_FLOAT)
        return ca == CLASS_FLOAT ? float_pair(a, b) : float_with_int(b, a);
    if (ca == cb)
        return type_table[a].size > type_table[b].size ? a : b;
    return int_with_uint(a, b);
}

bool value_is_numeric(const struct value *v)
{
    return v->kind == VALUE_ARRAY || v->kind == VALUE_INT || v->kind == VALUE_FLOAT || v->kind == VALUE_BOOL;
}

enum dtype value_dtype(const struct value *v)
{
    switch (v->kind) {
    case VALUE_ARRAY:
        return (enum dtype)v->dtype;
    case VALUE_INT:
        return DT_int64;
    case VALUE_FLOAT:
        return DT_float64;
    case VALUE_BOOL:
        return DT_bool;
    default:
        return DT_none;
    }
}

static bool is_weak(const struct value *v)
{
    return v->kind == VALUE_INT || v->kind == VALUE_FLOAT || (v->kind == VALUE_ARRAY && v->weak);
}

/* Literals: int64 ones fit uint64 where another does not fit int64, or are an error when converted. */
static enum dtype soft_pair(enum dtype a, enum dtype b)
{
    if (type_table[a].cls >= CLASS_FLOAT || type_table[b].cls >= CLASS_FLOAT)
        return promote_pair(a, b);
    return a == DT_uint64 || b == DT_uint64 ? DT_uint64 : promote_pair(a, b);
}

enum dtype promote_values(const struct value *args, unsigned n, bool *weak)
{
    enum dtype strong = DT_none, soft = DT_none;

    for (unsigned i = 0; i < n; i++) {
        enum dtype t = value_dtype(&args[i]), *side = is_weak(&args[i]) ? &soft : &strong;
        *side = *side == DT_none ? t : side == &soft ? soft_pair(*side, t) : promote_pair(*side, t);
    }
    *weak = strong == DT_none;
    if (strong == DT_none)
        return soft;
    if (soft == DT_none || soft == DT_bool)
        return strong;
    if (type_is_complex(soft))
        return type_table[strong].cls == CLASS_FLOAT ? promote_pair(strong, DT_complex64) : type_is_complex(strong) ? strong : DT_complex128;
    if (type_table[soft].cls == CLASS_FLOAT)
        return type_table[strong].cls >= CLASS_FLOAT ? strong : DT_float64;
    return strong == DT_bool ? DT_int64 : strong;
}
