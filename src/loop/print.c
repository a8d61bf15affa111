/* The printable forms of a schedule: stage `loop` (nests) and stage `plan` (steps and memory). */
#include <inttypes.h>
#include "loop/loop.h"

static const char *const kind_names[] = {"map", "lanes", "columns", "scan"};

static void print_access(const struct loop_plan *plan, const struct loop_access *a, unsigned n_dims, struct strbuf *out)
{
    const struct ir *ir = plan->ir;
    if (a->source == SOURCE_ARGUMENT)
        strbuf_printf(out, "%.*s", (int)ir->inputs.at[a->index].name.n, ir->inputs.at[a->index].name.s);
    else if (a->source == SOURCE_PLACE)
        strbuf_puts(out, "place");
    else if (a->source == SOURCE_COUNT)
        strbuf_printf(out, "count");
    else if (a->source == SOURCE_ROUND)
        strbuf_puts(out, "round");
    else
        strbuf_printf(out, "b%u", a->index);
    if (a->target && ir_is_of_parts(ir, a->target))
        strbuf_puts(out, a->part ? ".imag" : ".real");
    else if (a->view)
        strbuf_printf(out, ".view%" PRIu32, (uint32_t)ir_at(ir, a->target ? a->target : a->value)->attr);
    strbuf_puts(out, "[");
    for (unsigned d = 0, first = 1; d < n_dims; d++)
        if (a->axis[d] >= 0) {
            strbuf_printf(out, "%si%u", first ? "" : ",", d);
            first = 0;
        }
    strbuf_puts(out, "]");
}

static void print_body(const struct loop_plan *plan, const struct loop_body *b, unsigned n_dims, struct strbuf *out)
{
    for (uint32_t i = 0; i < b->loads.n; i++) {
        strbuf_printf(out, "    %%%u = load %s ", b->loads.at[i].value, type_table[b->loads.at[i].dtype].name);
        print_access(plan, &b->loads.at[i], n_dims, out);
        strbuf_puts(out, "\n");
    }
    for (uint32_t i = 0; i < b->order.n; i++) {
        const struct ir_node *n = ir_at(plan->ir, b->order.at[i]);
        strbuf_printf(out, "    %%%u = %s", b->order.at[i], op_table[n->op].name);
        for (unsigned k = 0; k < n->n_args; k++)
            strbuf_printf(out, "%s%%%u", k ? ", " : " ", n->args[k]);
        if (n->op == OP_const)
            strbuf_printf(out, " 0x%" PRIx64, n->attr);
        strbuf_printf(out, " : %s\n", type_table[n->dtype].name);
    }
    for (uint32_t i = 0; i < b->stores.n; i++) {
        strbuf_puts(out, "    store ");
        print_access(plan, &b->stores.at[i], n_dims, out);
        strbuf_printf(out, " = %%%u\n", b->stores.at[i].value);
    }
}

void loop_print(const struct loop_plan *plan, struct strbuf *out)
{
    for (uint32_t i = 0; i < plan->nests.n; i++) {
        const struct loop_nest *n = &plan->nests.at[i];
        strbuf_printf(out, "nest %u: %s over", i, kind_names[n->kind]);
        for (unsigned d = 0; d < n->rank; d++) {
            strbuf_puts(out, d != n->n_kept || n->kind == NEST_MAP ? "" : n->kind == NEST_SCAN ? " along" : " reducing");
            strbuf_printf(out, " i%u < ", d);
            ir_print_dim(plan->ir, n->dim[d], out);
        }
        if (n->kind == NEST_LANES)
            strbuf_printf(out, ", %u lanes", n->lanes);
        strbuf_puts(out, "\n  main\n");
        print_body(plan, &n->main, n->rank, out);
        for (uint32_t r = 0; r < n->reduces.n; r++)
            strbuf_printf(out, "    %%%u = %s over %%%u\n", n->reduces.at[r].value, op_table[n->reduces.at[r].op].name, n->reduces.at[r].operand);
        if (n->kind != NEST_MAP) {
            strbuf_puts(out, "  epilogue\n");
            print_body(plan, &n->epilogue, n->n_kept, out);
        }
    }
}

static const char *const role_names[] = {[BUFFER_OUTPUT] = "output", [BUFFER_TEMPORARY] = "temporary", [BUFFER_LENT] = "in an output's memory,"};

static void print_rows(const struct loop_rows *rows, struct strbuf *out)
{
    strbuf_printf(out, "rows: steps %u to %u are one kernel where rows are short enough\n", rows->first, rows->first + rows->n - 1);
    for (uint32_t i = 0; i < rows->n_kept; i++)
        strbuf_printf(out, "  a GPU keeps %s of step %u%s\n", type_table[rows->kept[i].dtype].name, rows->kept[i].writer, i ? " in its place" : " from there on");
}

void loop_print_plan(const struct loop_plan *plan, struct strbuf *out)
{
    strbuf_printf(out, "kernels=%u temporaries=%u\n", plan->nests.n, loop_temporaries(plan));
    for (uint32_t i = 0; i < plan->nests.n; i++) {
        const struct loop_nest *n = &plan->nests.at[i];
        strbuf_printf(out, "step %u: nest %u (%s), %u loads, %u operations, %u reductions, %u stores\n", i, i, kind_names[n->kind],
                      n->main.loads.n + n->epilogue.loads.n, n->main.order.n + n->epilogue.order.n, n->reduces.n,
                      n->main.stores.n + n->epilogue.stores.n);
    }
    for (uint32_t i = 0; i < plan->steps.n; i++) {
        const struct loop_steps *s = &plan->steps.at[i];
        strbuf_printf(out, "repeated: %u step%s from %u on", s->n, s->n == 1 ? "" : "s", s->first);
        for (uint32_t k = 0; k < s->moves.n; k++)
            strbuf_printf(out, "%s b%u <- b%u", k ? "," : "; then", s->moves.at[k].to, s->moves.at[k].from);
        strbuf_puts(out, "\n");
    }
    for (uint32_t i = 0; i < plan->nests.n; i++)
        if (plan->nests.at[i].once)
            strbuf_printf(out, "once: step %u, in the first round\n", i);
    for (uint32_t i = 0; i < plan->rows.n; i++)
        print_rows(&plan->rows.at[i], out);
    for (uint32_t b = 0; b < plan->buffers.n; b++) {
        const struct loop_buffer *f = &plan->buffers.at[b];
        const struct ir_shape *s = &plan->ir->shapes.at[f->shape];
        strbuf_printf(out, "buffer b%u: %s %s[", b, role_names[f->role], type_table[f->dtype].name);
        for (unsigned d = 0; d < s->rank; d++) {
            strbuf_puts(out, d ? ", " : "");
            ir_print_dim(plan->ir, s->dim[d], out);
        }
        if (f->in != b)
            strbuf_printf(out, "] in the memory of b%u\n", f->in);
        else
            strbuf_printf(out, "] alive from step %u to %u\n", f->first, f->last);
    }
}
