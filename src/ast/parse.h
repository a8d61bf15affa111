/* What the lexer, the grammar and the tree builder share while one text is parsed. Private to src/ast. */
#ifndef AREX_AST_PARSE_H
#define AREX_AST_PARSE_H
#include "ast/ast.h"
#include "ir/ops.h"

typedef VEC(struct ast *) ast_list;
typedef VEC(uint16_t) op_list;

struct bracket {
    char open;
    uint32_t at;
};

struct parse {
    struct arena *arena;
    struct diags *diags;
    const char *text; /* ends in NUL */
    uint32_t n, at;   /* length; position of the lexer */
    struct ast_limits limits;
    uint32_t n_nodes;
    VEC(struct bracket) brackets; /* open ones; a newline inside ( or [ is no token */
    struct ast *program;
    struct span last; /* the token before the one at hand */
    struct bracket wrong; /* what the closing bracket at hand does not close, or a { cuts off; open is 0: nothing is open */
    uint32_t level;       /* while skipping: brackets open around the statement */
    uint32_t heard;       /* what stands before this place has had its message from the lexer */
    unsigned n_errors;
    bool over_limit;      /* nothing more is read */
    bool at_end_of_line;
    bool line_ends;       /* a newline is put before the next token: the statement was given up there */
    bool skipping;        /* the next token is the statement's end: a newline or ; outside its brackets, or the block's } */
};

struct number {
    uint64_t integer;
    double real;
};

union token_value {
    struct number number;
    struct str name;
    struct ast *node;
    ast_list list;
    op_list ops;
    uint16_t op;
};

struct ast_yypstate;
/* Feeds the grammar to the end of the text: 0, or 1 for syntax errors, 2 for no memory. */
int parse_tokens(struct parse *p, struct ast_yypstate *state);

/* Brackets that are open around the statement which the first n open ones belong to. */
uint32_t parse_level(const struct parse *p, uint32_t n);
/* How many of `wanted` open brackets the text closes from `at` on. */
uint32_t parse_closers(const struct parse *p, uint32_t at, uint32_t wanted);
/* Nothing of this statement is parsed any more, nor anything of the blocks in it. */
void parse_skip_statement(struct parse *p, uint32_t level);

/* A token's number in the grammar; its value and span. */
int parse_token(union token_value *value, struct span *span, struct parse *p);

struct ast *node_new(struct parse *p, enum ast_kind kind, struct span span);
struct ast *node_with(struct parse *p, enum ast_kind kind, struct span span, struct ast *const *kids, uint32_t n);
struct ast *node_unary(struct parse *p, uint16_t op, struct span op_span, struct ast *a, struct span span);
struct ast *node_binary(struct parse *p, uint16_t op, struct span op_span, struct ast *a, struct ast *b);
/* a < b, then < c: the chain grows in place. */
struct ast *node_compare(struct parse *p, uint16_t op, struct ast *a, struct ast *b);
struct ast *node_compare_more(struct parse *p, struct ast *chain, uint16_t op, struct ast *next);
struct ast *node_list(struct parse *p, enum ast_kind kind, struct span span, const ast_list *list);

#endif
