/*
 * The tables of grammar/ as C data: types, operators, primitives. Lists that exist once.
 */
#ifndef AREX_IR_OPS_H
#define AREX_IR_OPS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

enum dtype {
    DT_none,
#define TYPE(name, cls, size, ctype, npy, compute, mantissa, works) DT_##name,
#include "types.def"
#undef TYPE
    DT_COUNT
};

enum type_class { CLASS_NONE, CLASS_BOOL, CLASS_INT, CLASS_UINT, CLASS_FLOAT, CLASS_COMPLEX };

struct type_info {
    const char *name, *npy;
    enum type_class cls;
    uint8_t size;
    uint8_t compute;  /* enum dtype: where operations run */
    uint8_t mantissa; /* of floats */
    bool works;
};
extern const struct type_info type_table[DT_COUNT];
enum dtype type_by_name(struct str name); /* DT_none when unknown */
/* Kept in memory only: operations widen to the type of `compute` and round back. */
static inline bool type_is_storage(enum dtype t)
{
    return type_table[t].compute != t;
}
static inline bool type_is_complex(enum dtype t)
{
    return type_table[t].cls == CLASS_COMPLEX;
}
/* Of the parts of a complex type; of others, the type itself. */
static inline enum dtype type_part(enum dtype t)
{
    return t == DT_complex64 ? DT_float32 : t == DT_complex128 ? DT_float64 : t;
}
/* What addresses and strides are multiples of. */
static inline unsigned type_alignment(enum dtype t)
{
    return type_table[type_part(t)].size;
}
/* The signed integer that holds a float's bits, or a value's. */
enum dtype type_bits(enum dtype t);

enum prim {
    PRIM_none, /* not defined for this class */
    PRIM_math, /* an Arex function of the operator's name */
#define PRIM(name, arity, cls, value) PRIM_##name,
#include "prims.def"
#undef PRIM
    PRIM_COUNT
};

struct prim_info {
    const char *name;
    uint8_t arity;
    char cls; /* 'I' 'F' 'B' 'A' */
};
extern const struct prim_info prim_table[PRIM_COUNT];

/* How argument dtypes make the result's; every rule promotes first (NumPy 2, NEP 50). */
enum type_rule {
    RULE_ARITH,    /* the promoted dtype */
    RULE_FLOATING, /* the promoted dtype; bool and integers become the float that holds their width: 16, 32 or 64 bits */
    RULE_DIVIDE,   /* the promoted dtype; bool and integers become float64 */
    RULE_COMPARE,  /* promote, give bool */
    RULE_LOGIC,    /* bool only, give bool */
    RULE_BITWISE,  /* the promoted dtype; floats are an error */
    RULE_SHIFT,    /* as BITWISE; bool becomes int8 */
    RULE_COUNTING, /* as ARITH; bool becomes int8 */
    RULE_SELECT,   /* first bool, the others promoted */
    RULE_SAME,     /* the promoted dtype, bool included */
    RULE_TEST,     /* any dtype, give bool */
    RULE_SUM,      /* bool and int -> int64, uint -> uint64, floats stay */
    RULE_BOOL,     /* x != 0, then bool */
};

enum op_taker { TAKER_CALL, TAKER_REDUCTION, TAKER_AXES, TAKER_MAKING, TAKER_SHAPING, TAKER_PRODUCT, TAKER_OPTIONAL };
enum op_kind { OPK_ELEM, OPK_REDUCE, OPK_SCAN, OPK_COMPOSE, OPK_SPECIAL, OPK_INTERNAL };
enum op_domain { DOMAIN_ANY, DOMAIN_POSITIVE, DOMAIN_UNIT, DOMAIN_SMALL, DOMAIN_ANGLE, DOMAIN_BOOLS };
enum op_identity { IDENTITY_ZERO, IDENTITY_ONE, IDENTITY_LOWEST, IDENTITY_HIGHEST };

enum op {
    OP_none, /* poison */
#define ELEM(id, symbol, arity, rule, flags, on_bool, on_int, on_float, ulp, domain, doc) OP_##id,
#define REDUCE(id, rule, combine, identity, doc) OP_##id,
#define SCAN(id, rule, combine, identity, doc) OP_##id,
#define COMPOSE(id, signature, doc) OP_##id,
#define SPECIAL(id, taker, signature, doc) OP_##id,
#define ALIAS(name, id)
#include "ops.def"
#undef ELEM
#undef REDUCE
#undef SCAN
#undef COMPOSE
#undef SPECIAL
#undef ALIAS
    /* nodes of the IR that no text spells */
    OP_input, /* attr: index of the argument */
    OP_const, /* attr: the value's bits, in the low bytes */
    OP_cast,  /* to the node's dtype */
    OP_bitcast,
    OP_table, /* a number of the math library's tables, by the index of a row; attr: table * TABLE_COLUMNS + column */
    OP_place, /* attr: axes; int64, each element's place in C order along those axes of its shape */
    OP_view, /* of an input or a reduction; attr: index into ir.views */
    OP_layout, /* of what is in memory; attr: LAYOUT_ADDRESS, or LAYOUT_STRIDE + axis; int64 */
    OP_within, /* an index, the extent it must fit: from 0 on, 0 with a fault where it does not; attr: the axis */
    OP_gather, /* address, offset in bytes: the element; attr: when, of what a kernel changes */
    OP_memory, /* an input as a kernel finds and changes it: the input's elements in memory of an output */
    OP_update, /* address, tied: offset, value, mask, and what is compared: what was there; attr: enum update, its place among them */
    OP_shared, /* of a kernel: an array of constant extents that the threads of a block have together, 0 at first; attr: which */
    OP_barrier, /* the threads of a block wait for each other; its argument says which come here: all or none of a block; attr: when */
    OP_loop,   /* attr: index into ir.loops */
    OP_carry,  /* a variable of a loop, inside it */
    OP_result, /* a variable of a loop, after it; attr: the carry */
    OP_tie,    /* a value and the list of those after it */
    OP_pair, /* a complex value: its parts. Every operation on complex values is one on parts: only loads and stores know how they lie in memory */
    OP_replace, /* an array, the value of a part of it: the array with that part replaced; attr: shape of the part << 32 | view that it is */
    OP_steps,   /* statements repeated over whole arrays; attr: index into ir.steps */
    OP_state,   /* an array that they change, in them; attr: index into ir.steps << 32 | which */
    OP_turn,   /* how many rounds went before, in them; attr: index into ir.steps */
    OP_stepped, /* an array that they change, after them; attr: which */
    OP_COUNT
};

enum { OPF_0 = 0, OPF_COMM = 1, OPF_FAST = 2, OPF_LIBRARY = 4 };

struct op_info {
    const char *name, *symbol, *doc, *signature;
    enum op_kind kind;
    uint8_t arity;
    enum type_rule rule;
    uint8_t flags;
    enum prim on_bool, on_int, on_float;
    float ulp;
    enum op_domain domain;
    enum op combine; /* REDUCE, SCAN */
    enum op_identity identity;
    enum op_taker taker; /* SPECIAL */
};
extern const struct op_info op_table[OP_COUNT];
/* Does an element of the result take in many of the argument? Such results are kept in memory. */
static inline bool op_collects(enum op op)
{
    return op_table[op].kind == OPK_REDUCE || op_table[op].kind == OPK_SCAN;
}
/* Does a value lie in memory of its own, from which whoever uses it reads? */
static inline bool op_is_kept(enum op op)
{
    return op_collects(op) || op == OP_replace || op == OP_state || op == OP_stepped;
}
/* A function of the language by name or alias; OP_none when unknown. Symbols are not names. */
enum op op_by_name(struct str name, bool library);
/* The primitive that computes an ELEM on arguments of a dtype (after its rule has promoted them). Types that are storage only
 * have those that move values, no others: their operations are made of conversions and the ones of their `compute`. */
enum prim op_prim(enum op op, enum dtype arg);

#endif
