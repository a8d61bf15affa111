/* The tree as s-expressions. */
#include <inttypes.h>
#include <string.h>
#include "ast/ast.h"
#include "ir/ops.h"

static const char *const kind_names[AST_KIND_COUNT] = {
    [AST_NONE] = "None", [AST_COND] = "if", [AST_CALL] = "call", [AST_KEYWORD] = "keyword", [AST_TUPLE] = "tuple",
    [AST_INDEX] = "index", [AST_SLICE] = "slice", [AST_ELLIPSIS] = "...", [AST_ATTR] = "attr", [AST_LET] = "let",
    [AST_DEF] = "def", [AST_FORMAL] = "formal", [AST_PARAM] = "param", [AST_RETURN] = "return", [AST_EXPR] = "expr",
    [AST_IF] = "branch", [AST_FOR] = "for", [AST_WHILE] = "while", [AST_BREAK] = "break", [AST_CONTINUE] = "continue", [AST_KERNEL] = "kernel", [AST_STORE] = "store", [AST_PROGRAM] = "program", [AST_COMPARE] = "compare",
};

struct printer {
    struct strbuf *out;
    bool spans;
};

static void node(const struct printer *p, const struct ast *n);

static void text(const struct printer *p, struct str s)
{
    strbuf_puts(p->out, " ");
    strbuf_add(p->out, s.s, s.n);
}

static void kids(const struct printer *p, struct ast *const *kid, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        strbuf_puts(p->out, " ");
        node(p, kid[i]);
    }
}

static void span(const struct printer *p, const struct ast *n)
{
    if (p->spans)
        strbuf_printf(p->out, "@%u:%u", n->span.begin, n->span.end);
}

static bool leaf(const struct printer *p, const struct ast *n)
{
    switch (n->kind) {
    case AST_INT:
        strbuf_printf(p->out, "%" PRIu64, n->u.integer);
        break;
    case AST_FLOAT:
    case AST_IMAG:
        strbuf_float(p->out, n->u.real, 64);
        strbuf_puts(p->out, n->kind == AST_IMAG ? "j" : "");
        break;
    case AST_BOOL:
        strbuf_puts(p->out, n->u.integer ? "True" : "False");
        break;
    case AST_NAME:
        strbuf_add(p->out, n->name.s, n->name.n);
        break;
    case AST_NONE:
    case AST_ELLIPSIS:
        strbuf_puts(p->out, kind_names[n->kind]);
        break;
    default:
        return false;
    }
    span(p, n);
    return true;
}

static const char *symbol(uint16_t op)
{
    const char *s = op_table[op].symbol;
    return s[0] ? s : op_table[op].name;
}

static void node(const struct printer *p, const struct ast *n)
{
    if (!n) {
        strbuf_puts(p->out, "_");
        return;
    }
    if (leaf(p, n))
        return;
    strbuf_puts(p->out, "(");
    if (n->kind == AST_UNARY && strcmp(symbol(n->op) + 1, "x") == 0) /* "-x" */
        strbuf_add(p->out, symbol(n->op), 1);
    else
        strbuf_puts(p->out, n->kind == AST_UNARY || n->kind == AST_BINARY ? symbol(n->op) : kind_names[n->kind]);
    span(p, n);
    if (n->name.n)
        text(p, n->name);
    if (n->type_name.n)
        text(p, n->type_name);
    for (uint32_t i = 0; i < n->n_names; i++)
        text(p, n->names[i]);
    if (n->kind == AST_DEF || n->kind == AST_KERNEL) {
        strbuf_puts(p->out, " (");
        for (uint32_t i = 0; i < n->n_params; i++) {
            strbuf_puts(p->out, i ? " " : "");
            node(p, n->params[i]);
        }
        strbuf_puts(p->out, ")");
    }
    for (uint32_t i = 0; n->ops && i + 1 < n->n_kids; i++) {
        strbuf_puts(p->out, " ");
        strbuf_puts(p->out, symbol(n->ops[i]));
    }
    kids(p, n->kid, n->n_kids - n->n_other);
    if (n->n_other) {
        strbuf_puts(p->out, " (else");
        kids(p, n->other, n->n_other);
        strbuf_puts(p->out, ")");
    }
    strbuf_puts(p->out, ")");
}

void ast_print(const struct ast *tree, bool with_spans, struct strbuf *out)
{
    struct printer p = {out, with_spans};
    for (uint32_t i = 0; i < tree->n_kids; i++) {
        node(&p, tree->kid[i]);
        strbuf_puts(out, "\n");
    }
}
