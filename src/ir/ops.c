/* The tables of grammar/ as C data. See ops.h. */
#include <assert.h>
#include "ir/ops.h"

const struct type_info type_table[DT_COUNT] = {
    [DT_none] = {"none", "", CLASS_NONE, 0, DT_none, 0, false},
#define TYPE(name, cls, size, ctype, npy, compute, mantissa, works) [DT_##name] = {#name, npy, CLASS_##cls, size, DT_##compute, mantissa, works},
#include "types.def"
#undef TYPE
};

#define TYPE(name, cls, size, ctype, npy, compute, mantissa, works) static_assert(sizeof(ctype) <= size, "the C type of " #name);
#include "types.def"
#undef TYPE

const struct prim_info prim_table[PRIM_COUNT] = {
    [PRIM_none] = {"none", 0, 0},
    [PRIM_math] = {"math", 0, 0},
#define PRIM(name, arity, cls, value) [PRIM_##name] = {#name, arity, #cls[0]},
#include "prims.def"
#undef PRIM
};

const struct op_info op_table[OP_COUNT] = {
    [OP_none] = {.name = "poison", .symbol = "", .doc = "", .kind = OPK_INTERNAL},
#define ELEM(id, symbol, arity, rule, flags, on_bool, on_int, on_float, ulp, domain, doc)                    \
    [OP_##id] = {#id, symbol, doc, "", OPK_ELEM, arity, RULE_##rule, OPF_##flags, PRIM_##on_bool, PRIM_##on_int, PRIM_##on_float, ulp, DOMAIN_##domain, OP_none, IDENTITY_ZERO},
#define REDUCE(id, rule, combine, identity, doc)                                                             \
    [OP_##id] = {#id, "", doc, "x, axis=None, keepdims=False", OPK_REDUCE, 1, RULE_##rule, 0, PRIM_none, PRIM_none, PRIM_none, 0, DOMAIN_ANY, OP_##combine, IDENTITY_##identity},
#define SCAN(id, rule, combine, identity, doc)                                                               \
    [OP_##id] = {#id, "", doc, "x, axis=None", OPK_SCAN, 1, RULE_##rule, 0, PRIM_none, PRIM_none, PRIM_none, 0, DOMAIN_ANY, OP_##combine, IDENTITY_##identity},
#define COMPOSE(id, sig, text) [OP_##id] = {.name = #id, .symbol = "", .doc = text, .signature = sig, .kind = OPK_COMPOSE},
#define SPECIAL(id, who, sig, text) [OP_##id] = {.name = #id, .symbol = "", .doc = text, .signature = sig, .kind = OPK_SPECIAL, .taker = TAKER_##who},
#define ALIAS(name, id)
#include "ops.def"
#undef ELEM
#undef REDUCE
#undef SCAN
#undef COMPOSE
#undef SPECIAL
#undef ALIAS
    [OP_input] = {.name = "input", .symbol = "", .doc = "", .kind = OPK_INTERNAL},
    [OP_const] = {.name = "const", .symbol = "", .doc = "", .kind = OPK_INTERNAL},
    [OP_cast] = {.name = "cast", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 1},
    [OP_bitcast] = {.name = "bitcast", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 1},
    [OP_table] = {.name = "table", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 1},
    [OP_place] = {.name = "place", .symbol = "", .doc = "", .kind = OPK_INTERNAL},
    [OP_view] = {.name = "view", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 1},
    [OP_layout] = {.name = "layout", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 1},
    [OP_within] = {.name = "within", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 2},
    [OP_gather] = {.name = "gather", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 2},
    [OP_memory] = {.name = "memory", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 1},
    [OP_update] = {.name = "update", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 2},
    [OP_shared] = {.name = "shared", .symbol = "", .doc = "", .kind = OPK_INTERNAL},
    [OP_barrier] = {.name = "barrier", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 1},
    [OP_loop] = {.name = "loop", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 3},
    [OP_carry] = {.name = "carry", .symbol = "", .doc = "", .kind = OPK_INTERNAL},
    [OP_result] = {.name = "result", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 1},
    [OP_pair] = {.name = "pair", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 2},
    [OP_replace] = {.name = "replace", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 2},
    [OP_steps] = {.name = "steps", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 3},
    [OP_state] = {.name = "state", .symbol = "", .doc = "", .kind = OPK_INTERNAL},
    [OP_turn] = {.name = "turn", .symbol = "", .doc = "", .kind = OPK_INTERNAL},
    [OP_stepped] = {.name = "stepped", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 1},
    [OP_tie] = {.name = "tie", .symbol = "", .doc = "", .kind = OPK_INTERNAL, .arity = 2},
};

static const struct {
    const char *name;
    enum op op;
} aliases[] = {
#define ELEM(id, symbol, arity, rule, flags, on_bool, on_int, on_float, ulp, domain, doc)
#define REDUCE(id, rule, combine, identity, doc)
#define SCAN(id, rule, combine, identity, doc)
#define COMPOSE(id, signature, doc)
#define SPECIAL(id, taker, signature, doc)
#define ALIAS(name, id) {#name, OP_##id},
#include "ops.def"
#undef ELEM
#undef REDUCE
#undef SCAN
#undef COMPOSE
#undef SPECIAL
#undef ALIAS
};

enum dtype type_by_name(struct str name)
{
    for (enum dtype t = DT_none + 1; t < DT_COUNT; t++)
        if (str_is(name, type_table[t].name))
            return t;
    return DT_none;
}

enum dtype type_bits(enum dtype t)
{
    for (enum dtype i = DT_none + 1; i < DT_COUNT; i++)
        if (type_table[i].cls == CLASS_INT && type_table[i].size == type_table[t].size)
            return i;
    return DT_none;
}

enum op op_by_name(struct str name, bool library)
{
    unsigned hidden = library ? OPF_FAST : OPF_FAST | OPF_LIBRARY;
    for (enum op op = OP_none + 1; op < OP_COUNT; op++)
        if (op_table[op].kind != OPK_INTERNAL && !(op_table[op].flags & hidden) && str_is(name, op_table[op].name))
            return op;
    for (unsigned i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (str_is(name, aliases[i].name))
            return aliases[i].op;
    return OP_none;
}

enum prim op_prim(enum op op, enum dtype arg)
{
    switch (type_table[arg].cls) {
    case CLASS_BOOL:
        return op_table[op].on_bool;
    case CLASS_INT:
    case CLASS_UINT:
        return op_table[op].on_int;
    case CLASS_FLOAT:
        if (type_is_storage(arg) && prim_table[op_table[op].on_float].cls != 'A')
            return PRIM_none;
        return op_table[op].on_float;
    default:
        return PRIM_none;
    }
}
