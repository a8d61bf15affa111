/* The IR as text, a node a line. */
#include <inttypes.h>
#include <string.h>
#include "ir/build.h"

static void print_slice(const struct ir_slice *s, struct strbuf *out)
{
    if (s->flags & SLICE_HAS_START)
        strbuf_printf(out, "%" PRId64, s->start);
    strbuf_puts(out, ":");
    if (s->flags & SLICE_HAS_STOP)
        strbuf_printf(out, "%" PRId64, s->stop);
    if (s->step != 1)
        strbuf_printf(out, ":%" PRId64, s->step);
}

/* Dims are made of dims, the same ones many times over: written out they grow without bound. */
enum { LONGEST_DIM = 200, DEEPEST_DIM = 40 };

struct dim_text {
    struct strbuf *out;
    size_t end; /* nothing is written past it */
    unsigned depth;
};

static void print_dim(const struct ir *ir, uint32_t dim, struct dim_text *t);

static void print_slice_dim(const struct ir *ir, const struct ir_dim *d, struct dim_text *t)
{
    print_dim(ir, d->base, t);
    strbuf_puts(t->out, "[");
    print_slice(&d->slice, t->out);
    strbuf_puts(t->out, d->own == d->base ? "]" : "]?");
}

static void print_combined_dim(const struct ir *ir, const struct ir_dim *d, struct dim_text *t)
{
    strbuf_puts(t->out, "(");
    for (uint32_t i = 0; i < d->n_of && t->out->n < t->end; i++) {
        strbuf_puts(t->out, i ? d->kind == DIM_SUM ? "+" : "*" : "");
        print_dim(ir, d->of[i], t);
    }
    if (d->kind == DIM_PRODUCT && (d->extent != 1 || d->n_of == 0))
        strbuf_printf(t->out, "%s%" PRId64, d->n_of ? "*" : "", d->extent);
    if (d->kind == DIM_PRODUCT && d->base) {
        strbuf_puts(t->out, "/");
        print_dim(ir, d->base, t);
    }
    strbuf_puts(t->out, ")");
}

static void print_dim(const struct ir *ir, uint32_t dim, struct dim_text *t)
{
    const struct ir_dim *d = &ir->dims.at[dim];
    if (t->depth == DEEPEST_DIM)
        t->end = t->out->n;
    if (t->out->n >= t->end)
        return;
    t->depth++;
    if (d->kind == DIM_ONE)
        strbuf_puts(t->out, "1");
    else if (d->kind == DIM_CONST)
        strbuf_printf(t->out, "%" PRId64, d->extent);
    else if (d->kind == DIM_INPUT)
        strbuf_printf(t->out, "%.*s.%u", (int)ir->inputs.at[d->input].name.n, ir->inputs.at[d->input].name.s, d->axis);
    else if (d->kind == DIM_SLICE)
        print_slice_dim(ir, d, t);
    else if (d->kind == DIM_SUM || d->kind == DIM_PRODUCT)
        print_combined_dim(ir, d, t);
    else
        for (uint32_t i = 0; i < d->n_of && t->out->n < t->end; i++) {
            strbuf_puts(t->out, i ? "|" : "");
            print_dim(ir, d->of[i], t);
        }
    t->depth--;
}

/* What is left out shows as ~. */
void ir_print_dim(const struct ir *ir, uint32_t dim, struct strbuf *out)
{
    struct dim_text t = {.out = out, .end = out->n + LONGEST_DIM};
    print_dim(ir, dim, &t);
    strbuf_puts(out, out->n >= t.end ? "~" : "");
}

static void print_step(const struct ir_step *s, struct strbuf *out)
{
    if (s->kind == STEP_INDEX)
        strbuf_printf(out, " index %u at %" PRId64, s->axis, s->index);
    else if (s->kind == STEP_NEWAXIS)
        strbuf_printf(out, " new axis %u", s->axis);
    else if (s->kind == STEP_PERMUTE)
        strbuf_puts(out, " other order of axes");
    else if (s->kind == STEP_PART)
        strbuf_puts(out, s->index ? " imaginary" : " real");
    else {
        strbuf_printf(out, " axis %u at ", s->axis);
        print_slice(&s->slice, out);
    }
}

static void print_value(const struct ir_node *n, struct strbuf *out)
{
    if (type_table[n->dtype].cls == CLASS_FLOAT) {
        double v = 0;
        eval_cast(DT_float64, &v, n->dtype, &n->attr, 1);
        strbuf_puts(out, " ");
        strbuf_float(out, v, n->dtype == DT_float32 ? 32 : 64);
    } else {
        int64_t v = 0;
        eval_cast(DT_int64, &v, n->dtype, &n->attr, 1);
        strbuf_printf(out, " %" PRId64, v);
    }
}

static void print_axes(const struct ir_node *n, struct strbuf *out)
{
    strbuf_puts(out, " over axes");
    for (unsigned a = 0; a < IR_MAX_RANK; a++)
        if (n->attr >> a & 1)
            strbuf_printf(out, " %u", a);
    strbuf_puts(out, n->attr & IR_KEEPDIMS ? ", kept as 1" : "");
}

static void print_node(const struct ir *ir, ir_id id, struct strbuf *out)
{
    const struct ir_node *n = ir_at(ir, id);
    for (uint32_t r = n->region; r; r = ir->regions.at[r].parent)
        strbuf_puts(out, "  ");
    strbuf_printf(out, "%%%u = %s", id, op_table[n->op].name);
    for (unsigned k = 0; k < n->n_args; k++)
        strbuf_printf(out, "%s%%%u", k ? ", " : " ", n->args[k]);
    if (n->op == OP_const)
        print_value(n, out);
    if (n->op == OP_table)
        strbuf_printf(out, " of %s, column %u", table_table[ir_table_of(n)].name, ir_table_column(n));
    if (n->op == OP_input)
        strbuf_printf(out, " %.*s", (int)ir->inputs.at[n->attr].name.n, ir->inputs.at[n->attr].name.s);
    for (uint32_t i = 0; (n->op == OP_view || n->op == OP_replace) && i < ir->views.at[(uint32_t)n->attr].n; i++)
        print_step(&ir->views.at[(uint32_t)n->attr].steps[i], out);
    if (n->op == OP_layout && n->attr == LAYOUT_ADDRESS)
        strbuf_puts(out, " address");
    if (n->op == OP_layout && n->attr != LAYOUT_ADDRESS)
        strbuf_printf(out, " stride of axis %u", (unsigned)(n->attr - LAYOUT_STRIDE));
    if (n->op == OP_carry || n->op == OP_state || n->op == OP_stepped)
        strbuf_printf(out, " %u", (unsigned)(n->attr & UINT32_MAX));
    if (n->op == OP_result)
        strbuf_printf(out, " %%%u", (unsigned)n->attr);
    if (op_collects((enum op)n->op) || n->op == OP_count)
        print_axes(n, out);
    if (ir_is_own(ir, id))
        strbuf_puts(out, " of each thread");
    strbuf_printf(out, " : %s", type_table[n->dtype].name);
    const struct ir_shape *s = &ir->shapes.at[n->shape];
    for (unsigned d = 0; d < s->rank; d++) {
        strbuf_puts(out, d ? ", " : "[");
        ir_print_dim(ir, s->dim[d], out);
    }
    strbuf_puts(out, s->rank ? "]\n" : "\n");
}

void ir_print(const struct ir *ir, struct strbuf *out)
{
    uint8_t *live = arena_array(ir->arena, uint8_t, ir->nodes.n + 1);
    ir_live(ir, live);
    for (ir_id id = 1; id < ir->nodes.n; id++)
        if (live[id])
            print_node(ir, id, out);
    for (uint32_t i = 0; i < ir->outputs.n; i++)
        strbuf_printf(out, "output %.*s = %%%u\n", (int)ir->outputs.at[i].name.n, ir->outputs.at[i].name.s, ir->outputs.at[i].node);
}
