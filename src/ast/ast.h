/*
 * The syntax tree: what the text says, with byte spans, before any name or type is looked up.
 *
 * Takes source text; gives a tree in the caller's arena, read-only from then on. Errors go to diags (several
 * at once: the grammar recovers at statement ends); the tree is then partial and must not be used.
 */
#ifndef AREX_AST_H
#define AREX_AST_H
#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"
#include "base/vec.h"

enum ast_kind {
    AST_INT,      /* u.integer */
    AST_FLOAT,    /* u.real */
    AST_IMAG,     /* u.real: 3j; sema refuses it while complex is out */
    AST_BOOL,     /* u.integer 0 or 1 */
    AST_NONE,     /* None, newaxis */
    AST_NAME,     /* name */
    AST_UNARY,    /* op, kid[0]; op is an OP_ id of grammar/ops.def */
    AST_BINARY,   /* op, kid[0], kid[1]; `and`, `or` are binary too */
    AST_COMPARE,  /* kid[0] ops[0] kid[1] ops[1] kid[2] ...: n_kids == n_ops + 1 */
    AST_COND,     /* kid[0] if kid[1] else kid[2] */
    AST_CALL,     /* name (callee), kids: positional values and AST_KEYWORD */
    AST_KEYWORD,  /* name = kid[0], inside a call */
    AST_TUPLE,    /* (a, b), also [a, b], where u.integer is 1; the axis of a reduction */
    AST_INDEX,    /* kid[0][kid[1], ...] */
    AST_SLICE,    /* kids 3: begin, end, step; NULL where absent */
    AST_ELLIPSIS, /* ... */
    AST_ATTR,     /* kid[0].name */

    AST_LET,      /* names[0..n_names) = kid[0] */
    AST_DEF,      /* name, params, body: statements, the last one a RETURN or an EXPR */
    AST_FORMAL,   /* a parameter of a def: name, kid[0] its default or NULL */
    AST_PARAM,    /* param name: type_name[dims]; kids are the extents: AST_NAME, AST_INT or AST_ELLIPSIS-free */
    AST_IF,       /* if kid[0] { body } else { other } */
    AST_FOR,      /* for name in kid[0] { body }: a call of range */
    AST_WHILE,    /* while kid[0] { body } */
    AST_BREAK,
    AST_CONTINUE,
    AST_KERNEL,   /* as AST_DEF: a function that every thread of a launch runs */
    AST_STORE,    /* kid[0] = kid[1]: an AST_INDEX; an element in kernels, a part of an array elsewhere */
    AST_RETURN,   /* kids; none in kernels */
    AST_EXPR,     /* kid[0] as a statement */
    AST_PROGRAM,  /* kids: statements */
    AST_KIND_COUNT
};

struct ast {
    enum ast_kind kind;
    struct span span;      /* the whole construct */
    struct span name_span; /* the name, the operator, or the type of a param */
    uint16_t op;           /* enum op */
    uint16_t depth;        /* 1 + deepest kid, held under the nesting limit */
    struct str name;
    struct str type_name; /* AST_PARAM: the dtype as written */
    union {
        uint64_t integer; /* literals are non-negative; a minus is AST_UNARY */
        double real;
    } u;
    struct ast **kid;
    uint32_t n_kids;
    const uint16_t *ops; /* AST_COMPARE */
    struct str *names;   /* AST_LET */
    struct span *name_spans;
    uint32_t n_names;
    struct ast **params; /* AST_DEF: AST_FORMAL nodes */
    uint32_t n_params;
    struct ast **body; /* AST_DEF, AST_KERNEL, AST_IF, AST_FOR, AST_WHILE: statements, which are kids too */
    uint32_t n_body;
    struct ast **other; /* AST_IF: of its else */
    uint32_t n_other;
};

enum { AST_MAX_SOURCE = 1 << 20 };

struct ast_limits {
    uint32_t max_source;  /* bytes; 0: AST_MAX_SOURCE */
    uint32_t max_nesting; /* 0: 500 */
    uint32_t max_nodes;   /* 0: 200000 */
};

/* Returns NULL, with diags, when the text is not a program. `text` need not end in NUL; the tree keeps no pointer to it. */
struct ast *ast_parse(struct arena *arena, const char *text, size_t n, const struct ast_limits *limits,
                      struct diags *diags);
/* One s-expression a statement, with spans when asked. */
void ast_print(const struct ast *tree, bool with_spans, struct strbuf *out);

#endif
