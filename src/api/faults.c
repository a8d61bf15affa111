/* What a run raised, in words. */
#include <inttypes.h>
#include "api.h"

static bool is_integer_power(const struct ir_node *n)
{
    return n->op == OP_power && type_table[n->dtype].cls != CLASS_FLOAT;
}

static bool is_loop(const struct ir_node *n)
{
    return n->op == OP_loop;
}

/* Where the only node of a kind stands; nowhere when there are several. */
static struct span span_of_only(const struct ir *ir, bool (*is)(const struct ir_node *))
{
    struct span found = NO_SPAN;
    unsigned n = 0;
    for (ir_id i = 1; i < ir->nodes.n; i++) {
        if (!is(ir_at(ir, i)))
            continue;
        found = ir_at(ir, i)->span;
        n++;
    }
    return n == 1 ? found : NO_SPAN;
}

/* What an index is held against: an extent of an argument, or one that the text gives. */
static int64_t extent_value(const struct ir *ir, const int64_t *dims, ir_id extent)
{
    const struct ir_node *n = ir_at(ir, extent);
    int64_t count = 1;
    if (n->op == OP_const)
        return (int64_t)n->attr;
    const struct ir_shape *s = &ir->shapes.at[ir_at(ir, n->args[0])->shape];
    for (unsigned a = 0; a < s->rank; a++)
        count *= n->attr >> a & 1 ? dims[s->dim[a]] : 1;
    return count;
}

static void report_index(uint64_t key, const struct ir *ir, const int64_t *dims, struct diags *diags)
{
    ir_id check = ir_fault_check(key);
    if (check >= ir->nodes.n || ir_at(ir, check)->op != OP_within) { /* a program of more nodes than keys tell apart */
        diag_add(diags, AX_index_range, NO_SPAN, "an index is out of range");
        return;
    }
    const struct ir_node *n = ir_at(ir, check);
    const int64_t index = ir_fault_index(key), most = INT64_C(1) << (FAULT_KEY_INDEX_BITS - 1);
    const char *beyond = index == most - 1 ? " or more" : index == -most ? " or less" : "";
    diag_add(diags, AX_index_range, n->span, "index %lld%s is out of range for axis %u with %lld elements", (long long)index, beyond, (unsigned)n->attr,
             (long long)extent_value(ir, dims, n->args[1]));
}

bool faults_told(const struct ir_faults *f, const struct ir *ir, const int64_t *dims, struct diags *diags)
{
    if (f->bits & FAULT_NEGATIVE_POWER)
        diag_add(diags, AX_negative_power, span_of_only(ir, is_integer_power), "an integer was raised to a negative integer power");
    else if (f->bits & FAULT_INDEX)
        report_index(f->index, ir, dims, diags);
    else if (f->bits & FAULT_ENDLESS)
        diag_add(diags, AX_endless_loop, span_of_only(ir, is_loop), "a loop was given up after %u rounds", ir->max_rounds);
    else
        return true;
    return false;
}
