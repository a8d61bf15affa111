/*
 * The grammar (Bison): tokens to the syntax tree. Precedence and associativity are Python's, written out rule by rule.
 * An error inside a statement is reported and the rest of the statement skipped, so that later ones are checked too.
 */
%code requires {
#include <errno.h>
#include <string.h>
#include "ast/parse.h"
}
%define api.pure full
%define api.push-pull push
%define api.prefix {ast_yy}
%define api.value.type {union token_value}
%define api.location.type {struct span}
%define parse.error custom
%define parse.lac full
%locations
%param {struct parse *p}
%expect 0

%code {
#define YYLLOC_DEFAULT(cur, rhs, n)                                                                          \
    ((cur) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)) : (struct span){YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end})

static void ast_yyerror(struct span *at, struct parse *p, const char *message);

static ast_list list_of(struct parse *p, struct ast *first)
{
    ast_list l = {0};
    if (first)
        vec_push(p->arena, &l, first);
    return l;
}

static ast_list list_add(struct parse *p, ast_list l, struct ast *next)
{
    if (next)
        vec_push(p->arena, &l, next);
    return l;
}

static struct ast *named(struct parse *p, enum ast_kind kind, struct span span, struct str name, struct span name_span, struct ast *kid)
{
    struct ast *n = kid ? node_with(p, kind, span, &kid, 1) : node_new(p, kind, span);
    n->name = name;
    n->name_span = name_span;
    return n;
}

static struct ast *number(struct parse *p, enum ast_kind kind, struct span span, struct number v)
{
    struct ast *n = node_new(p, kind, span);
    if (kind == AST_INT || kind == AST_BOOL)
        n->u.integer = v.integer;
    else
        n->u.real = v.real;
    return n;
}

static struct ast *boolean(struct parse *p, struct span span, uint64_t value)
{
    struct ast *n = node_new(p, AST_BOOL, span);
    n->u.integer = value;
    return n;
}

static struct ast *let(struct parse *p, const ast_list *targets, struct ast *value, struct span span)
{
    struct ast *pair[] = {targets->at[0], value};
    if (targets->n == 1 && targets->at[0]->kind == AST_INDEX)
        return node_with(p, AST_STORE, span, pair, 2);
    struct ast *n = node_with(p, AST_LET, span, &value, 1);
    n->n_names = targets->n;
    n->names = arena_array(p->arena, struct str, targets->n);
    n->name_spans = arena_array(p->arena, struct span, targets->n);
    for (uint32_t i = 0; i < targets->n; i++) {
        n->names[i] = targets->at[i]->name;
        n->name_spans[i] = targets->at[i]->span;
        if (targets->at[i]->kind == AST_INDEX)
            diag_add(p->diags, AX_not_supported, targets->at[i]->span, "one element at a time can be stored");
        else if (targets->at[i]->kind != AST_NAME)
            diag_add(p->diags, AX_syntax, targets->at[i]->span, "only a name can be assigned to");
    }
    return n;
}

static struct ast *def(struct parse *p, enum ast_kind kind, struct str name, struct span name_span, const ast_list *params, const ast_list *body, struct span span)
{
    for (uint32_t i = 1; i < params->n; i++)
        if (!params->at[i]->n_kids && params->at[i - 1]->n_kids)
            diag_add(p->diags, AX_syntax, params->at[i]->span, "a parameter without a default stands after one that has one");
    struct ast *n = node_list(p, kind, span, body);
    n->name = name;
    n->name_span = name_span;
    n->params = params->at;
    n->n_params = params->n;
    n->body = n->kid;
    n->n_body = n->n_kids;
    return n;
}

/* A statement with blocks: what it asks, the statements of its block, those of its else. */
static struct ast *control(struct parse *p, enum ast_kind kind, struct span span, struct ast *head, const ast_list *body, const ast_list *other)
{
    ast_list all = list_of(p, head);
    for (uint32_t i = 0; i < body->n; i++)
        all = list_add(p, all, body->at[i]);
    for (uint32_t i = 0; other && i < other->n; i++)
        all = list_add(p, all, other->at[i]);
    struct ast *n = node_list(p, kind, span, &all);
    n->body = n->kid + 1;
    n->n_body = body->n;
    n->other = n->body + body->n;
    n->n_other = other ? other->n : 0;
    return n;
}

static struct ast *for_loop(struct parse *p, struct str name, struct span name_span, struct ast *over, const ast_list *body, struct span span)
{
    struct ast *n = control(p, AST_FOR, span, over, body, NULL);
    n->name = name;
    n->name_span = name_span;
    if (over->kind != AST_CALL || !str_is(over->name, "range"))
        diag_add(p->diags, AX_syntax, over->span, "a `for` runs over range(stop) or range(start, stop, step)");
    return n;
}

/* x += y is x = x + y */
static struct ast *augmented(struct parse *p, const ast_list *targets, uint16_t op, struct span op_span, struct ast *value, struct span span)
{
    if (targets->n != 1)
        diag_add(p->diags, AX_syntax, op_span, "one name at a time can be changed");
    return let(p, targets, node_binary(p, op, op_span, targets->at[0], value), span);
}

static struct ast *call(struct parse *p, struct ast *callee, const ast_list *args, struct span span)
{
    for (uint32_t i = 1; i < args->n; i++)
        if (args->at[i]->kind != AST_KEYWORD && args->at[i - 1]->kind == AST_KEYWORD)
            diag_add(p->diags, AX_syntax, args->at[i]->span, "an argument by position stands before those by name");
    struct ast *n = node_list(p, AST_CALL, span, args);
    n->name = callee->name;
    n->name_span = callee->span;
    if (callee->kind != AST_NAME)
        diag_add(p->diags, AX_not_supported, callee->span, "only a function's name can be called");
    if (callee->kind == AST_ATTR)
        diag_note(p->diags, callee->name_span, "there are no methods and no modules: write `%.*s(...)`", (int)callee->name.n, callee->name.s);
    return n;
}

static struct ast *conditional(struct parse *p, struct ast *yes, struct ast *cond, struct ast *no)
{
    struct ast *kids[] = {yes, cond, no};
    return node_with(p, AST_COND, span_join(yes->span, no->span), kids, 3);
}

static struct ast *slice(struct parse *p, struct span span, struct ast *begin, struct ast *end, struct ast *step)
{
    struct ast *kids[] = {begin, end, step};
    return node_with(p, AST_SLICE, span, kids, 3);
}

static void later(struct parse *p, struct span span, struct str word)
{
    diag_add(p->diags, AX_not_supported, span, "'%.*s' is not supported yet", (int)word.n, word.s);
    parse_skip_statement(p, parse_level(p, p->brackets.n));
}
}

%token <number> INT "a number" FLOAT "a decimal number" IMAG "an imaginary number"
%token <name> NAME "a name" LATER "a reserved word"
%token NEWLINE "the end of the line" SEMICOLON "';'"
%token INNER_SEMICOLON "a ';' in brackets" /* in no rule */
%token <op> AND "'and'" OR "'or'" NOT "'not'"
%token IF "'if'" ELSE "'else'" ELIF "'elif'" FOR "'for'" IN "'in'" WHILE "'while'" BREAK "'break'" CONTINUE "'continue'" DEF "'def'" KERNEL "'kernel'" PARAM "'param'" RETURN "'return'"
%token TRUE_ "'True'" FALSE_ "'False'" NONE "'None'" BAD "a stray character"
%token ELLIPSIS "'...'"
%token <op> POWER "'**'" PLUS "'+'" MINUS "'-'" TIMES "'*'" SHIFT "a shift" BITAND "'&'" BITOR "'|'" BITXOR "'^'"
%token <op> INVERT "'~'" COMPARE "a comparison" AUGMENT "an augmented assignment"

%type <list> statements statement_list simple_line values formals formal_list arguments argument_list indices index_list extents targets
%type <node> statement simple expr disjunction conjunction inversion comparison bitor bitxor bitand shift sum term factor power
%type <node> primary atom argument formal index extent maybe compared tupled
%type <list> block otherwise

%%

program: statements { p->program = node_list(p, AST_PROGRAM, @1, &$1); };

statements: statement_list { $$ = $1; };

statement_list:
      %empty { $$ = list_of(p, NULL); }
    | statement_list NEWLINE { $$ = $1; }
    | statement_list SEMICOLON { $$ = $1; }
    | statement_list simple_line ends { $$ = $1; for (uint32_t i = 0; i < $2.n; i++) $$ = list_add(p, $$, $2.at[i]); }
    | statement_list error ends { $$ = $1; yyerrok; }
    ;

ends: NEWLINE | SEMICOLON;

simple_line: statement { $$ = list_of(p, $1); };

statement:
      simple
    | DEF NAME '(' formals ')' '=' expr {
          ast_list body = list_of(p, node_with(p, AST_EXPR, @7, &$7, 1));
          $$ = def(p, AST_DEF, $2, @2, &$4, &body, @$);
      }
    | DEF NAME '(' formals ')' block { $$ = def(p, AST_DEF, $2, @2, &$4, &$6, @$); }
    | KERNEL NAME '(' formals ')' block { $$ = def(p, AST_KERNEL, $2, @2, &$4, &$6, @$); }
    | PARAM NAME ':' NAME {
          $$ = named(p, AST_PARAM, @$, $2, @2, NULL); $$->type_name = $4; $$->name_span = @4;
      }
    | PARAM NAME ':' NAME '[' extents ']' {
          $$ = node_list(p, AST_PARAM, @$, &$6); $$->name = $2; $$->type_name = $4; $$->name_span = @4;
      }
    | LATER { later(p, @1, $1); $$ = NULL; }
    | IF expr block otherwise { $$ = control(p, AST_IF, @$, $2, &$3, &$4); }
    | WHILE expr block { $$ = control(p, AST_WHILE, @$, $2, &$3, NULL); }
    | FOR NAME IN expr block { $$ = for_loop(p, $2, @2, $4, &$5, @$); }
    ;

otherwise: %empty { $$ = list_of(p, NULL); }
    | ELSE block { $$ = $2; }
    | ELIF expr block otherwise { $$ = list_of(p, control(p, AST_IF, @$, $2, &$3, &$4)); }
    ;

block: '{' statement_list '}' { $$ = $2; }
    | '{' statement_list error '}' { $$ = $2; yyerrok; }
    | '{' statement_list simple_line '}' { $$ = $2; for (uint32_t i = 0; i < $3.n; i++) $$ = list_add(p, $$, $3.at[i]); }
    ;

simple:
      values {
          $$ = $1.n == 1 ? node_with(p, AST_EXPR, @$, $1.at, 1) : node_list(p, AST_RETURN, @$, &$1);
      }
    | targets '=' tupled { $$ = let(p, &$1, $3, @$); }
    | targets AUGMENT expr { $$ = augmented(p, &$1, $2, @2, $3, @$); }
    | RETURN values { $$ = node_list(p, AST_RETURN, @$, &$2); }
    | RETURN { ast_list l = list_of(p, NULL); $$ = node_list(p, AST_RETURN, @$, &l); }
    | BREAK { $$ = node_new(p, AST_BREAK, @1); }
    | CONTINUE { $$ = node_new(p, AST_CONTINUE, @1); }
    ;

targets: values { $$ = $1; };

tupled: values { $$ = $1.n == 1 ? $1.at[0] : node_list(p, AST_TUPLE, @1, &$1); };

values: expr { $$ = list_of(p, $1); }
    | values ',' expr { $$ = list_add(p, $1, $3); }
    ;

formals: %empty { $$ = list_of(p, NULL); } | formal_list | formal_list ',';
formal_list: formal { $$ = list_of(p, $1); } | formal_list ',' formal { $$ = list_add(p, $1, $3); };
formal: NAME { $$ = named(p, AST_FORMAL, @$, $1, @1, NULL); }
    | NAME '=' expr { $$ = named(p, AST_FORMAL, @$, $1, @1, $3); }
    ;

extents: extent { $$ = list_of(p, $1); } | extents ',' extent { $$ = list_add(p, $1, $3); };
extent: NAME { $$ = named(p, AST_NAME, @$, $1, @1, NULL); }
    | INT { $$ = number(p, AST_INT, @1, $1); }
    | ':' { $$ = node_new(p, AST_NONE, @1); }
    ;

expr: disjunction
    | disjunction IF disjunction ELSE expr { $$ = conditional(p, $1, $3, $5); }
    ;
disjunction: conjunction | disjunction OR conjunction { $$ = node_binary(p, $2, @2, $1, $3); };
conjunction: inversion | conjunction AND inversion { $$ = node_binary(p, $2, @2, $1, $3); };
inversion: comparison | NOT inversion { $$ = node_unary(p, $1, @1, $2, @$); };
comparison: bitor | compared;
compared: bitor COMPARE bitor { $$ = node_compare(p, $2, $1, $3); $$->name_span = @2; }
    | compared COMPARE bitor { $$ = node_compare_more(p, $1, $2, $3); }
    ;
bitor: bitxor | bitor BITOR bitxor { $$ = node_binary(p, $2, @2, $1, $3); };
bitxor: bitand | bitxor BITXOR bitand { $$ = node_binary(p, $2, @2, $1, $3); };
bitand: shift | bitand BITAND shift { $$ = node_binary(p, $2, @2, $1, $3); };
shift: sum | shift SHIFT sum { $$ = node_binary(p, $2, @2, $1, $3); };
sum: term | sum PLUS term { $$ = node_binary(p, $2, @2, $1, $3); } | sum MINUS term { $$ = node_binary(p, $2, @2, $1, $3); };
term: factor | term TIMES factor { $$ = node_binary(p, $2, @2, $1, $3); };
factor: power
    | MINUS factor { $$ = node_unary(p, OP_negative, @1, $2, @$); }
    | PLUS factor { $$ = node_unary(p, OP_positive, @1, $2, @$); }
    | INVERT factor { $$ = node_unary(p, $1, @1, $2, @$); }
    ;
power: primary | primary POWER factor { $$ = node_binary(p, $2, @2, $1, $3); };

primary: atom
    | primary '(' arguments ')' { $$ = call(p, $1, &$3, @$); }
    | primary '[' indices ']' { ast_list l = list_of(p, $1); for (uint32_t i = 0; i < $3.n; i++) l = list_add(p, l, $3.at[i]); $$ = node_list(p, AST_INDEX, @$, &l); }
    | primary '.' NAME { $$ = named(p, AST_ATTR, @$, $3, @3, $1); }
    ;

arguments: %empty { $$ = list_of(p, NULL); } | argument_list | argument_list ',';
argument_list: argument { $$ = list_of(p, $1); } | argument_list ',' argument { $$ = list_add(p, $1, $3); };
argument: expr | NAME '=' expr { $$ = named(p, AST_KEYWORD, @$, $1, @1, $3); };

indices: index_list | index_list ',';
index_list: index { $$ = list_of(p, $1); } | index_list ',' index { $$ = list_add(p, $1, $3); };
index: expr
    | maybe ':' maybe { $$ = slice(p, @$, $1, $3, NULL); }
    | maybe ':' maybe ':' maybe { $$ = slice(p, @$, $1, $3, $5); }
    | ELLIPSIS { $$ = node_new(p, AST_ELLIPSIS, @1); }
    ;
maybe: %empty { $$ = NULL; } | expr;

atom:
      INT { $$ = number(p, AST_INT, @1, $1); }
    | FLOAT { $$ = number(p, AST_FLOAT, @1, $1); }
    | IMAG { $$ = number(p, AST_IMAG, @1, $1); }
    | TRUE_ { $$ = boolean(p, @1, 1); }
    | FALSE_ { $$ = boolean(p, @1, 0); }
    | NONE { $$ = node_new(p, AST_NONE, @1); }
    | NAME { $$ = named(p, AST_NAME, @1, $1, @1, NULL); }
    | '(' values ')' { $$ = $2.n == 1 ? $2.at[0] : node_list(p, AST_TUPLE, @$, &$2); $$->span = @$; }
    | '(' values ',' ')' { $$ = node_list(p, AST_TUPLE, @$, &$2); }
    | '(' ')' { ast_list l = list_of(p, NULL); $$ = node_list(p, AST_TUPLE, @$, &l); }
    | '[' values ']' { $$ = node_list(p, AST_TUPLE, @$, &$2); $$->u.integer = true; }
    | '[' values ',' ']' { $$ = node_list(p, AST_TUPLE, @$, &$2); $$->u.integer = true; }
    ;

%%

int parse_tokens(struct parse *p, struct ast_yypstate *state)
{
    union token_value value;
    struct span span = {0, 0};
    int status;
    do {
        int token = parse_token(&value, &span, p);
        errno = 0; /* see ast_yyerror */
        status = ast_yypush_parse(state, token, &value, &span, p);
        p->last = span;
    } while (status == YYPUSH_MORE);
    return status;
}

/* Bison's own complaint: its stack has grown to its limit, or there is no memory for it to grow. */
static void ast_yyerror(struct span *at, struct parse *p, const char *message)
{
    (void)message;
    if (errno == ENOMEM)
        diag_add(p->diags, AX_out_of_memory, *at, "no memory for the parser's stack");
    else if (!p->over_limit)
        diag_add(p->diags, AX_nesting_too_deep, *at, "the expression is nested too deeply");
    p->over_limit = true;
}

/* ---- what is said about a syntax error ---- */

enum expected { EXPECTED_SOMETHING, EXPECTED_OPERATOR, EXPECTED_OPERAND };

/* Past an operand a product may follow; before one only a sign. */
static enum expected kind_of_expected(const yypcontext_t *ctx)
{
    yysymbol_kind_t all[YYNTOKENS];
    int n = yypcontext_expected_tokens(ctx, all, YYNTOKENS);
    enum expected kind = EXPECTED_SOMETHING;
    for (int i = 0; i < n; i++) {
        if (all[i] == YYSYMBOL_TIMES)
            return EXPECTED_OPERATOR;
        if (all[i] == YYSYMBOL_FLOAT)
            kind = EXPECTED_OPERAND;
    }
    return kind;
}

static void add_expected(const yypcontext_t *ctx, const struct bracket *b, struct strbuf *m)
{
    enum { MOST = 4 };
    yysymbol_kind_t some[MOST];
    int n = yypcontext_expected_tokens(ctx, some, MOST);
    for (int i = 0; i < n; i++)
        strbuf_printf(m, "%s%s", i == 0 ? ": expected " : i + 1 < n ? ", " : " or ", yysymbol_name(some[i]));
    if (n > 0)
        return;
    enum expected kind = kind_of_expected(ctx);
    if (kind == EXPECTED_OPERAND)
        strbuf_puts(m, ": expected an expression");
    else if (kind == EXPECTED_OPERATOR && b)
        strbuf_printf(m, ": expected an operator, ',' or '%c'", b->open == '(' ? ')' : ']');
    else if (kind == EXPECTED_OPERATOR)
        strbuf_puts(m, ": expected an operator or the end of the statement");
}

/* The innermost bracket of the statement that is open before `at`: NULL when there is none. */
static const struct bracket *open_bracket(const struct parse *p, uint32_t at)
{
    uint32_t n = p->brackets.n;
    while (n && p->brackets.at[n - 1].at >= at)
        n--;
    return parse_level(p, n) < n ? &p->brackets.at[n - 1] : NULL;
}

static bool line_between(const struct parse *p, uint32_t from, uint32_t to)
{
    return from < to && memchr(p->text + from, '\n', to - from);
}

static void report_never_closed(struct parse *p, struct bracket b)
{
    diag_add(p->diags, AX_unclosed_bracket, (struct span){b.at, b.at + 1}, "'%c' is never closed", b.open);
}

/* Where the error stands: its token, the bracket around it. */
struct where {
    struct span at;
    yysymbol_kind_t token;
    char c;    /* the token's first character, 0 for the end of the statement */
    bool ends;     /* the statement ends here */
    bool new_line; /* it is the first on its line, or a ; and may begin a statement of its own */
    const struct bracket *in;
};

/* A bracket that nothing closes is what is wrong when the statement ends inside it, or errs on a later line. */
static bool report_unclosed(struct parse *p, const struct where *w)
{
    if (!w->in)
        return false;
    uint32_t n = (uint32_t)(w->in - p->brackets.at) + 1, wanted = n - parse_level(p, n), closed = parse_closers(p, w->at.end, wanted);
    if (closed == wanted)
        return false;
    struct bracket open = p->brackets.at[n - 1 - closed];
    if (!w->ends && !w->new_line && !line_between(p, open.at, w->at.begin))
        return false;
    report_never_closed(p, open);
    p->line_ends = w->new_line;
    return true;
}

/* A { that cuts off a ( or [, and the end of the text inside a block. */
static bool report_block(struct parse *p, const struct where *w)
{
    if (w->c == '{' && p->wrong.open)
        report_never_closed(p, p->wrong);
    else if (w->token == YYSYMBOL_YYEOF && p->brackets.n)
        report_never_closed(p, p->brackets.at[p->brackets.n - 1]);
    else
        return false;
    return true;
}

static bool report_wrong_bracket(struct parse *p, const struct where *w)
{
    char open = w->c == ')' ? '(' : w->c == ']' ? '[' : w->c == '}' ? '{' : 0;
    if (!open || p->wrong.open == open)
        return false;
    if (!p->wrong.open || p->wrong.open == '{') {
        diag_add(p->diags, AX_syntax, w->at, "'%c' closes nothing", w->c);
        return true;
    }
    diag_add(p->diags, AX_syntax, w->at, "'%c' does not close '%c'", w->c, p->wrong.open);
    diag_note(p->diags, (struct span){p->wrong.at, p->wrong.at + 1}, "opened here");
    return true;
}

static void report_token(struct parse *p, const yypcontext_t *ctx, const struct where *w)
{
    struct strbuf m = {0};
    if (w->ends)
        strbuf_puts(&m, "the statement ends too soon");
    else
        strbuf_printf(&m, "unexpected '%.*s'", (int)(w->at.end - w->at.begin), p->text + w->at.begin);
    add_expected(ctx, w->in, &m);
    diag_add(p->diags, w->ends ? AX_unexpected_end : AX_syntax, w->at, "%s", m.s ? m.s : "syntax error");
    strbuf_fini(&m);
}

static void report(struct parse *p, const yypcontext_t *ctx, const struct where *w)
{
    if (w->token == YYSYMBOL_BAD || report_unclosed(p, w)) /* a stray character has its own message */
        return;
    if (w->token == YYSYMBOL_LATER)
        diag_add(p->diags, AX_not_supported, w->at, "'%.*s' is not supported here yet", (int)(w->at.end - w->at.begin), p->text + w->at.begin);
    else if (!report_block(p, w) && !report_wrong_bracket(p, w))
        report_token(p, ctx, w);
}

/* Brackets that nothing closes are given up: what follows is not inside them. A { at hand has seen to those before it. */
static void give_up_brackets(struct parse *p, const struct where *w)
{
    uint32_t level = parse_level(p, p->brackets.n), open = p->brackets.n - level;
    if (p->line_ends || parse_closers(p, w->at.end, open) < open)
        p->brackets.n = level;
}

/* A } ends the block around the statement, also from within a ( of the statement. */
static bool ends_block(struct parse *p, const struct where *w)
{
    uint32_t level = parse_level(p, p->brackets.n);
    if (w->c != '}' || !p->wrong.open)
        return false;
    if (p->wrong.open == '{')
        return true;
    if (level)
        p->brackets.n = level - 1;
    return level > 0;
}

/* The parser goes on after the statement: with a token of a new line that was read as a part of it, or past its end. */
static void recover(struct parse *p, const struct where *w)
{
    if (ends_block(p, w))
        return;
    give_up_brackets(p, w);
    if (p->line_ends)
        p->at = w->at.begin;
    else if (!w->ends)
        parse_skip_statement(p, parse_level(p, p->brackets.n - (w->c == '{')));
}

static int yyreport_syntax_error(const yypcontext_t *ctx, struct parse *p)
{
    enum { ENOUGH = 100 }; /* errors: a text with more is not read to its end */
    struct where w = {.at = *yypcontext_location(ctx), .token = yypcontext_token(ctx)};
    w.ends = w.token == YYSYMBOL_NEWLINE || w.token == YYSYMBOL_YYEOF || w.token == YYSYMBOL_SEMICOLON;
    w.c = w.ends ? 0 : p->text[w.at.begin];
    w.new_line = w.token == YYSYMBOL_INNER_SEMICOLON || (!w.ends && line_between(p, p->last.end, w.at.begin) && !strchr(")]}", w.c) && w.token != YYSYMBOL_BAD);
    w.in = open_bracket(p, w.at.begin);
    if (p->over_limit)
        return 0;
    p->over_limit = ++p->n_errors > ENOUGH;
    report(p, ctx, &w);
    recover(p, &w);
    return 0;
}
