/*
 * The grammar (Bison): tokens to the syntax tree. Precedence and associativity are Python's, written out rule by rule.
 * An error inside a statement is reported and the rest of the statement skipped, so that later ones are checked too.
 */
%code requires {
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
    struct ast *n = node_with(p, AST_LET, span, &value, 1);
    n->n_names = targets->n;
    n->names = arena_array(p->arena, struct str, targets->n);
    n->name_spans = arena_array(p->arena, struct span, targets->n);
    for (uint32_t i = 0; i < targets->n; i++) {
        n->names[i] = targets->at[i]->name;
        n->name_spans[i] = targets->at[i]->span;
        if (targets->at[i]->kind == AST_INDEX)
            diag_add(p->diags, AX_not_supported, targets->at[i]->span, "replacing a part of an array is not supported yet");
        else if (targets->at[i]->kind != AST_NAME)
            diag_add(p->diags, AX_syntax, targets->at[i]->span, "only a name can be assigned to");
    }
    return n;
}

static struct ast *def(struct parse *p, struct str name, struct span name_span, const ast_list *params, const ast_list *body, struct span span)
{
    struct ast *n = node_list(p, AST_DEF, span, body);
    n->name = name;
    n->name_span = name_span;
    n->params = params->at;
    n->n_params = params->n;
    n->body = n->kid;
    n->n_body = n->n_kids;
    return n;
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
    p->said = true;
}
}

%token <number> INT "a number" FLOAT "a decimal number" IMAG "an imaginary number"
%token <name> NAME "a name" LATER "a reserved word"
%token NEWLINE "the end of the line" SEMICOLON "';'"
%token <op> AND "'and'" OR "'or'" NOT "'not'"
%token IF "'if'" ELSE "'else'" DEF "'def'" PARAM "'param'" RETURN "'return'"
%token TRUE_ "'True'" FALSE_ "'False'" NONE "'None'" BAD "a stray character"
%token ELLIPSIS "'...'"
%token <op> POWER "'**'" PLUS "'+'" MINUS "'-'" TIMES "'*'" SHIFT "a shift" BITAND "'&'" BITOR "'|'" BITXOR "'^'"
%token <op> INVERT "'~'" COMPARE "a comparison"

%type <list> statements statement_list simple_line values formals formal_list arguments argument_list indices extents targets
%type <node> statement simple expr disjunction conjunction inversion comparison bitor bitxor bitand shift sum term factor power
%type <node> primary atom argument formal index extent maybe compared tupled
%type <list> block

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
          $$ = def(p, $2, @2, &$4, &body, @$);
      }
    | DEF NAME '(' formals ')' block { $$ = def(p, $2, @2, &$4, &$6, @$); }
    | PARAM NAME ':' NAME {
          $$ = named(p, AST_PARAM, @$, $2, @2, NULL); $$->type_name = $4; $$->name_span = @4;
      }
    | PARAM NAME ':' NAME '[' extents ']' {
          $$ = node_list(p, AST_PARAM, @$, &$6); $$->name = $2; $$->type_name = $4; $$->name_span = @4;
      }
    | LATER { later(p, @1, $1); } error { $$ = NULL; }
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
    | RETURN values { $$ = node_list(p, AST_RETURN, @$, &$2); }
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

indices: index { $$ = list_of(p, $1); } | indices ',' index { $$ = list_add(p, $1, $3); };
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
    | '[' values ']' { $$ = node_list(p, AST_TUPLE, @$, &$2); }
    ;

%%

int parse_tokens(struct parse *p, struct ast_yypstate *state)
{
    union token_value value;
    struct span span = {0, 0};
    int status;
    do {
        int token = parse_token(&value, &span, p);
        status = ast_yypush_parse(state, token, &value, &span, p);
        p->last = span;
    } while (status == YYPUSH_MORE);
    return status;
}

/* Bison's own complaint: its stack has grown to its limit. */
static void ast_yyerror(struct span *at, struct parse *p, const char *message)
{
    (void)message;
    if (!p->over_limit)
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

static const struct bracket *open_bracket(const struct parse *p)
{
    const struct bracket *b = p->brackets.n ? &p->brackets.at[p->brackets.n - 1] : NULL;
    return b && b->open != '{' ? b : NULL;
}

static void add_expected(struct parse *p, const yypcontext_t *ctx, struct strbuf *m)
{
    enum { MOST = 4 };
    yysymbol_kind_t some[MOST];
    int n = yypcontext_expected_tokens(ctx, some, MOST);
    for (int i = 0; i < n; i++)
        strbuf_printf(m, "%s%s", i == 0 ? ": expected " : i + 1 < n ? ", " : " or ", yysymbol_name(some[i]));
    if (n > 0)
        return;
    const struct bracket *b = open_bracket(p);
    enum expected kind = kind_of_expected(ctx);
    if (kind == EXPECTED_OPERAND)
        strbuf_puts(m, ": expected an expression");
    else if (kind == EXPECTED_OPERATOR && b)
        strbuf_printf(m, ": expected an operator, ',' or '%c'", b->open == '(' ? ')' : ']');
    else if (kind == EXPECTED_OPERATOR)
        strbuf_puts(m, ": expected an operator or the end of the statement");
}

/* Do the brackets open at `at` close later in the text? */
static bool closes(const struct parse *p, uint32_t at)
{
    uint32_t depth = 0;
    for (uint32_t i = at; i < p->n; i++) {
        char c = p->text[i];
        if (c == '#')
            i += (uint32_t)strcspn(p->text + i, "\n");
        else if (c == '(' || c == '[')
            depth++;
        else if (c == ')' || c == ']') {
            if (!depth)
                return true;
            depth--;
        }
    }
    return false;
}

static bool first_on_its_line(const struct parse *p, struct span at)
{
    for (uint32_t i = p->last.end; i < at.begin; i++)
        if (p->text[i] == '\n')
            return true;
    return false;
}

/* An open bracket that nothing closes: the rest of the text is not inside it. */
static bool report_unclosed(struct parse *p, struct span at, bool ends)
{
    const struct bracket *b = open_bracket(p);
    bool new_line = first_on_its_line(p, at);
    if (!b || closes(p, at.begin))
        return false;
    if (ends || new_line)
        diag_add(p->diags, AX_unclosed_bracket, (struct span){b->at, b->at + 1}, "'%c' is never closed", b->open);
    while (open_bracket(p))
        p->brackets.n--;
    if (new_line && !ends) {
        p->at = at.begin;
        p->line_ends = true;
    }
    return ends || new_line;
}

static bool report_wrong_bracket(struct parse *p, struct span at)
{
    char c = p->text[at.begin], open = c == ')' ? '(' : c == ']' ? '[' : c == '}' ? '{' : 0;
    if (!open || at.end != at.begin + 1 || p->wrong.open == open)
        return false;
    if (!p->wrong.open) {
        diag_add(p->diags, AX_syntax, at, "'%c' closes nothing", c);
        return true;
    }
    diag_add(p->diags, AX_syntax, at, "'%c' does not close '%c'", c, p->wrong.open);
    diag_note(p->diags, (struct span){p->wrong.at, p->wrong.at + 1}, "opened here");
    while (open_bracket(p))
        p->brackets.n--;
    return true;
}

static void report_token(struct parse *p, const yypcontext_t *ctx, struct span at, bool ends)
{
    struct strbuf m = {0};
    if (ends)
        strbuf_puts(&m, "the statement ends too soon");
    else
        strbuf_printf(&m, "unexpected '%.*s'", (int)(at.end - at.begin), p->text + at.begin);
    add_expected(p, ctx, &m);
    diag_add(p->diags, ends ? AX_unexpected_end : AX_syntax, at, "%s", m.s ? m.s : "syntax error");
    strbuf_fini(&m);
}

static int yyreport_syntax_error(const yypcontext_t *ctx, struct parse *p)
{
    enum { ENOUGH = 100 }; /* errors: a text with more is not read to its end */
    yysymbol_kind_t token = yypcontext_token(ctx);
    struct span at = *yypcontext_location(ctx);
    bool ends = token == YYSYMBOL_NEWLINE || token == YYSYMBOL_YYEOF || token == YYSYMBOL_SEMICOLON, said = p->said || p->over_limit;
    p->said = false;
    p->over_limit |= ++p->n_errors > ENOUGH;
    if (said || token == YYSYMBOL_BAD) /* a stray character has its own message */
        return 0;
    if (token == YYSYMBOL_LATER) {
        diag_add(p->diags, AX_not_supported, at, "'%.*s' is not supported here yet", (int)(at.end - at.begin), p->text + at.begin);
        return 0;
    }
    if (!report_unclosed(p, at, ends) && !report_wrong_bracket(p, at))
        report_token(p, ctx, at, ends);
    return 0;
}
