/* Making nodes, and the way from text to tree: limits, UTF-8, the parser. See ast.h. */
#include <stdlib.h>
#include <string.h>
#include "ast/parse.h"
#include "parser.h"

static void over_limit(struct parse *p, enum diag_id id, struct span span, const char *what, uint32_t limit)
{
    if (!p->over_limit)
        diag_add(p->diags, id, span, "%s; the limit is %u", what, limit);
    p->over_limit = true;
}

struct ast *node_new(struct parse *p, enum ast_kind kind, struct span span)
{
    struct ast *n = arena_new(p->arena, struct ast);
    n->kind = kind;
    n->span = n->name_span = span;
    n->depth = 1;
    if (++p->n_nodes > p->limits.max_nodes)
        over_limit(p, AX_too_many_nodes, span, "the program has too many parts", p->limits.max_nodes);
    return n;
}

static void set_depth(struct parse *p, struct ast *n, unsigned depth)
{
    n->depth = (uint16_t)depth;
    if (depth <= p->limits.max_nesting)
        return;
    over_limit(p, AX_nesting_too_deep, n->span, "the expression is nested too deeply", p->limits.max_nesting);
    n->depth = 1;
}

struct ast *node_with(struct parse *p, enum ast_kind kind, struct span span, struct ast *const *kids, uint32_t n)
{
    struct ast *node = node_new(p, kind, span);
    unsigned depth = 1;
    node->kid = arena_array(p->arena, struct ast *, n);
    node->n_kids = n;
    for (uint32_t i = 0; i < n; i++) {
        node->kid[i] = kids[i];
        if (kids[i] && kids[i]->depth >= depth)
            depth = kids[i]->depth + 1u;
    }
    set_depth(p, node, depth);
    return node;
}

struct ast *node_list(struct parse *p, enum ast_kind kind, struct span span, const ast_list *list)
{
    return node_with(p, kind, span, list->at, list->n);
}

struct ast *node_unary(struct parse *p, uint16_t op, struct span op_span, struct ast *a, struct span span)
{
    struct ast *n = node_with(p, AST_UNARY, span, &a, 1);
    n->op = op;
    n->name_span = op_span;
    return n;
}

struct ast *node_binary(struct parse *p, uint16_t op, struct span op_span, struct ast *a, struct ast *b)
{
    struct ast *kids[] = {a, b}, *n = node_with(p, AST_BINARY, span_join(a->span, b->span), kids, 2);
    n->op = op;
    n->name_span = op_span;
    return n;
}

/* Room for kid number n: a new place, twice as large, whenever n is a power of two. */
static void grow_compare(struct parse *p, struct ast *chain, uint16_t *ops)
{
    uint32_t n = chain->n_kids;
    struct ast **kids = arena_array(p->arena, struct ast *, 2 * n);
    uint16_t *more = arena_array(p->arena, uint16_t, 2 * n);
    memcpy(kids, chain->kid, n * sizeof *kids);
    memcpy(more, ops, (n - 1) * sizeof *more);
    chain->kid = kids;
    chain->ops = more;
}

struct ast *node_compare(struct parse *p, uint16_t op, struct ast *a, struct ast *b)
{
    struct ast *kids[] = {a, b}, *node = node_with(p, AST_COMPARE, span_join(a->span, b->span), kids, 2);
    uint16_t *ops = arena_new(p->arena, uint16_t);
    *ops = op;
    node->ops = ops;
    return node;
}

struct ast *node_compare_more(struct parse *p, struct ast *chain, uint16_t op, struct ast *next)
{
    if ((chain->n_kids & (chain->n_kids - 1)) == 0)
        grow_compare(p, chain, (uint16_t *)chain->ops);
    ((uint16_t *)chain->ops)[chain->n_kids - 1] = op;
    chain->kid[chain->n_kids++] = next;
    chain->span = span_join(chain->span, next->span);
    if (next->depth >= chain->depth)
        set_depth(p, chain, next->depth + 1u);
    return chain;
}

static bool is_utf8(const char *s, size_t n, size_t *bad)
{
    unsigned length;
    for (*bad = 0; *bad < n; *bad += length)
        if (!(length = utf8_length(s + *bad, n - *bad)))
            return false;
    return true;
}

static bool acceptable(const char *text, size_t n, const struct ast_limits *limits, struct diags *diags)
{
    size_t bad = 0;
    if (n > limits->max_source) {
        diag_add(diags, AX_source_too_large, (struct span){0, 0}, "the source has %zu bytes; the limit is %u", n, limits->max_source);
        return false;
    }
    if (!is_utf8(text, n, &bad)) {
        diag_add(diags, AX_not_utf8, (struct span){(uint32_t)bad, (uint32_t)bad + 1}, "byte %zu is not UTF-8 text", bad);
        return false;
    }
    return true;
}

static void set_limits(struct parse *p, const struct ast_limits *limits)
{
    enum { DEEPEST = 60000 }; /* what ast.depth holds, with room to spare */
    if (limits)
        p->limits = *limits;
    p->limits.max_source = p->limits.max_source ? p->limits.max_source : AST_MAX_SOURCE;
    p->limits.max_nesting = p->limits.max_nesting ? p->limits.max_nesting : 500;
    p->limits.max_nodes = p->limits.max_nodes ? p->limits.max_nodes : 200000;
    if (p->limits.max_nesting > DEEPEST)
        p->limits.max_nesting = DEEPEST;
}

/* The grammar's stack is on the heap: whoever asked for the arena's jump is told only after it is freed. */
static int run_grammar(struct parse *p)
{
    jmp_buf *asked = p->arena->on_fail, here;
    ast_yypstate *state = ast_yypstate_new();
    if (!state)
        return 2;
    p->arena->on_fail = &here;
    if (setjmp(here)) {
        ast_yypstate_delete(state);
        p->arena->on_fail = asked;
        longjmp(*asked, 1);
    }
    int status = parse_tokens(p, state);
    p->arena->on_fail = asked;
    ast_yypstate_delete(state);
    return status;
}

struct ast *ast_parse(struct arena *arena, const char *text, size_t n, const struct ast_limits *limits, struct diags *diags)
{
    struct parse p = {.arena = arena, .diags = diags, .n = (uint32_t)n};
    set_limits(&p, limits);
    if (!acceptable(text, n, &p.limits, diags))
        return NULL;
    p.text = arena_strndup(arena, text, n);
    p.at = str_bom(text, n);
    unsigned before = diags->n_errors;
    int failed = run_grammar(&p);
    if (failed == 2 && diags->n_errors == before)
        diag_add(diags, AX_out_of_memory, (struct span){0, 0}, "no memory for the parser's stack");
    return failed || diags->n_errors > before ? NULL : p.program;
}
