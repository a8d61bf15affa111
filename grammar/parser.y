/*
 * The grammar (Bison): tokens to the syntax tree. Precedence and associativity are Python's, written out rule by rule.
 * An error inside a statement is reported and the rest of the statement skipped, so that later ones are checked too.
 */
%code requires {
#include "ast/parse.h"
}
%define api.pure full
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

static int ast_yylex(union token_value *value, struct span *span, struct parse *p)
{
    int token;
    do
        token = parse_token(value, span, p);
    while (token == -2);
    return token;
}

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
    struct ast *n = node_new(p, AST_SLICE, span);
    n->kid = arena_array(p->arena, struct ast *, 3);
    n->kid[0] = begin;
    n->kid[1] = end;
    n->kid[2] = step;
    n->n_kids = 3;
    return n;
}

static void later(struct parse *p, struct span span, struct str word)
{
    diag_add(p->diags, AX_not_supported, span, "'%.*s' is not supported yet", (int)word.n, word.s);
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
compared: bitor COMPARE bitor { $$ = node_compare(p, $1, false, $2, $3); $$->name_span = @2; }
    | compared COMPARE bitor { $$ = node_compare(p, $1, true, $2, $3); }
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
    | '(' values ')' { $$ = $2.n == 1 ? $2.at[0] : node_list(p, AST_TUPLE, @$, &$2); }
    | '(' values ',' ')' { $$ = node_list(p, AST_TUPLE, @$, &$2); }
    | '(' ')' { ast_list l = list_of(p, NULL); $$ = node_list(p, AST_TUPLE, @$, &l); }
    | '[' values ']' { $$ = node_list(p, AST_TUPLE, @$, &$2); }
    ;

%%

/* Only what was already said is kept quiet: a stray character has its own message. */
static void ast_yyerror(struct span *at, struct parse *p, const char *message)
{
    (void)message;
    diag_add(p->diags, AX_nesting_too_deep, *at, "the expression is nested too deeply");
    p->over_limit = true;
}

static const char *words(yysymbol_kind_t s)
{
    return yysymbol_name(s);
}

static int yyreport_syntax_error(const yypcontext_t *ctx, struct parse *p)
{
    enum { MOST = 4 };
    yysymbol_kind_t token = yypcontext_token(ctx), expected[MOST];
    struct span at = *yypcontext_location(ctx);
    if (token == YYSYMBOL_BAD)
        return 0;
    struct strbuf m = {0};
    int n = yypcontext_expected_tokens(ctx, expected, MOST);
    if (p->brackets.n && (token == YYSYMBOL_NEWLINE || token == YYSYMBOL_YYEOF)) {
        struct bracket b = p->brackets.at[p->brackets.n - 1];
        diag_add(p->diags, AX_unclosed_bracket, (struct span){b.at, b.at + 1}, "'%c' is never closed", b.open);
        return 0;
    }
    if (token == YYSYMBOL_NEWLINE || token == YYSYMBOL_YYEOF)
        strbuf_puts(&m, "the statement ends too soon");
    else if (token == YYSYMBOL_LATER)
        strbuf_printf(&m, "'%.*s' is not supported here yet", (int)(at.end - at.begin), p->text + at.begin);
    else
        strbuf_printf(&m, "unexpected '%.*s'", (int)(at.end - at.begin), p->text + at.begin);
    for (int i = 0; i < n; i++)
        strbuf_printf(&m, "%s%s", i == 0 ? ": expected " : i + 1 < n ? ", " : " or ", words(expected[i]));
    if (n <= 0)
        strbuf_puts(&m, ": expected an expression");
    enum diag_id id = token == YYSYMBOL_LATER ? AX_not_supported : token == YYSYMBOL_YYEOF || token == YYSYMBOL_NEWLINE ? AX_unexpected_end : AX_syntax;
    diag_add(p->diags, id, at, "%s", m.s ? m.s : "syntax error");
    strbuf_fini(&m);
    return 0;
}
