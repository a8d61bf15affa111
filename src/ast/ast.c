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

struct ast *node_with(struct parse *p, enum ast_kind kind, struct span span, struct ast *const *kids, uint32_t n)
{
    struct ast *node = node_new(p, kind, span);
    node->kid = arena_array(p->arena, struct ast *, n);
    node->n_kids = n;
    for (uint32_t i = 0; i < n; i++) {
        node->kid[i] = kids[i];
        if (kids[i] && kids[i]->depth >= node->depth)
            node->depth = kids[i]->depth + 1;
    }
    if (node->depth > p->limits.max_nesting) {
        over_limit(p, AX_nesting_too_deep, span, "the expression is nested too deeply", p->limits.max_nesting);
        node->depth = 1;
    }
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

/* a < b < c: `chain` is the comparison so far and grows, or the first operand (which may be one in parentheses). */
struct ast *node_compare(struct parse *p, struct ast *chain, bool grows, uint16_t op, struct ast *next)
{
    uint32_t n = grows ? chain->n_kids : 1;
    struct ast **kids = arena_array(p->arena, struct ast *, n + 1);
    uint16_t *ops = arena_array(p->arena, uint16_t, n);
    memcpy(kids, grows ? chain->kid : &chain, n * sizeof *kids);
    if (grows)
        memcpy(ops, chain->ops, (n - 1) * sizeof *ops);
    kids[n] = next;
    ops[n - 1] = op;
    struct ast *node = node_with(p, AST_COMPARE, span_join(chain->span, next->span), kids, n + 1);
    node->name_span = chain->name_span;
    node->ops = ops;
    return node;
}

static bool is_utf8(const unsigned char *s, size_t n, size_t *bad)
{
    for (size_t i = 0; i < n;) {
        unsigned c = s[i], more = c < 0x80 ? 0 : (c >> 5) == 6 ? 1 : (c >> 4) == 14 ? 2 : (c >> 3) == 30 ? 3 : 9;
        *bad = i;
        if (more == 9 || c == 0 || i + more >= n + (more == 0))
            return false;
        for (unsigned k = 1; k <= more; k++)
            if (i + k >= n || (s[i + k] & 0xc0) != 0x80)
                return false;
        i += 1 + more;
    }
    return true;
}

static bool acceptable(const char *text, size_t n, const struct ast_limits *limits, struct diags *diags)
{
    size_t bad = 0;
    if (n > limits->max_source) {
        diag_add(diags, AX_source_too_large, (struct span){0, 0}, "the source has %zu bytes; the limit is %u", n, limits->max_source);
        return false;
    }
    if (!is_utf8((const unsigned char *)text, n, &bad)) {
        diag_add(diags, AX_not_utf8, (struct span){(uint32_t)bad, (uint32_t)bad + 1}, "byte %zu is not UTF-8 text", bad);
        return false;
    }
    return true;
}

struct ast *ast_parse(struct arena *arena, const char *text, size_t n, const struct ast_limits *limits, struct diags *diags)
{
    struct parse p = {.arena = arena, .diags = diags, .n = (uint32_t)n};
    p.limits = limits ? *limits : (struct ast_limits){0};
    p.limits.max_source = p.limits.max_source ? p.limits.max_source : 1u << 20;
    p.limits.max_nesting = p.limits.max_nesting ? p.limits.max_nesting : 500;
    p.limits.max_nodes = p.limits.max_nodes ? p.limits.max_nodes : 200000;
    if (!acceptable(text, n, &p.limits, diags))
        return NULL;
    p.text = arena_strndup(arena, text, n);
    unsigned before = diags->n_errors;
    int failed = ast_yyparse(&p);
    if (failed == 2 && diags->n_errors == before)
        diag_add(diags, AX_nesting_too_deep, (struct span){0, 0}, "the expression is nested too deeply");
    return failed || diags->n_errors > before ? NULL : p.program;
}
