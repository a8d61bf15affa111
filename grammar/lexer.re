/*
 * The lexer (re2c): bytes to tokens. Newlines end statements except inside ( and [; brackets are counted here.
 */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include "ast/parse.h"
#include "parser.h"

uint32_t parse_level(const struct parse *p, uint32_t n)
{
    while (n && p->brackets.at[n - 1].open != '{')
        n--;
    return n;
}

uint32_t parse_closers(const struct parse *p, uint32_t at, uint32_t wanted)
{
    uint32_t depth = 0, found = 0;
    for (uint32_t i = at; i < p->n && found < wanted; i++) {
        char c = p->text[i];
        if (c == '#')
            i += (uint32_t)strcspn(p->text + i, "\n");
        else if (c == '(' || c == '[')
            depth++;
        else if ((c == ')' || c == ']') && depth)
            depth--;
        else if (c == ')' || c == ']')
            found++;
    }
    return found;
}

void parse_skip_statement(struct parse *p, uint32_t level)
{
    p->skipping = true;
    p->level = level;
}

static struct bracket innermost(const struct parse *p)
{
    return p->brackets.n ? p->brackets.at[p->brackets.n - 1] : (struct bracket){0, 0};
}

/* A block inside a ( or [ that nothing closes: the lines of the block end all the same. */
static void cut_off(struct parse *p, uint32_t at)
{
    uint32_t level = parse_level(p, p->brackets.n), inside = p->brackets.n - level;
    if (inside && (p->skipping || parse_closers(p, at, inside) < inside)) {
        p->wrong = innermost(p);
        p->brackets.n = level;
    }
}

static int push(struct parse *p, char open, uint32_t at, int token)
{
    struct bracket b = {open, at};
    p->wrong = (struct bracket){0, 0};
    if (open == '{')
        cut_off(p, at);
    vec_push(p->arena, &p->brackets, b);
    return token;
}

/* A ) for a ] closes what it can; a brace only a brace. The grammar refuses both. */
static int pop(struct parse *p, char open, int token)
{
    if (p->skipping && open == '{')
        p->brackets.n = parse_level(p, p->brackets.n);
    p->wrong = innermost(p);
    if (p->wrong.open && (p->wrong.open == '{') == (open == '{'))
        p->brackets.n--;
    return token;
}

static bool inside_expression(const struct parse *p)
{
    char open = innermost(p).open;
    return open && open != '{';
}

static bool word_at(const char *text, const char *word)
{
    size_t n = strlen(word);
    return strncmp(text, word, n) == 0 && !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", text[n] ? text[n] : ' ');
}

/* The block of an `if` may be followed by a line that begins with else: the statement goes on. */
static bool before_else(const struct parse *p)
{
    const char *next = p->text + p->at;
    if (!p->last.end || p->text[p->last.end - 1] != '}')
        return false;
    for (;;) {
        next += strspn(next, " \t\r\f\n");
        if (*next != '#')
            return word_at(next, "else") || word_at(next, "elif");
        next += strcspn(next, "\n");
    }
}

/* A token may be read twice, when the statement before it was given up; what is wrong with it is said once. */
static bool unheard(struct parse *p, uint32_t begin)
{
    if (begin < p->heard)
        return false;
    p->heard = begin + 1;
    return true;
}

static struct span span_from(const struct parse *p, uint32_t begin)
{
    return (struct span){begin, p->at};
}

/* The digits without underscores, in the arena. */
static char *digits(struct parse *p, uint32_t begin, uint32_t end)
{
    char *s = arena_alloc(p->arena, end - begin + 1), *to = s;
    for (uint32_t i = begin; i < end; i++)
        if (p->text[i] != '_')
            *to++ = p->text[i];
    return s;
}

/* Python's rule: only zero itself begins with 0. */
static void check_leading_zero(struct parse *p, const char *s, uint32_t begin)
{
    const char *value = s + strspn(s, "0");
    if (s[0] != '0' || !*value || !unheard(p, begin))
        return;
    if (strspn(value, "01234567") == strlen(value))
        diag_add(p->diags, AX_bad_number, span_from(p, begin), "a number does not begin with 0: write %s, or 0o%s in octal", value, value);
    else
        diag_add(p->diags, AX_bad_number, span_from(p, begin), "a number does not begin with 0: write %s", value);
}

static int integer(struct parse *p, union token_value *v, uint32_t begin, int base)
{
    char *s = digits(p, begin, p->at);
    if (base == 10)
        check_leading_zero(p, s, begin);
    errno = 0;
    v->number.integer = strtoull(base == 10 ? s : s + 2, NULL, base);
    /* what fits uint64 alone is for those who know its type and sign */
    if (errno == ERANGE && unheard(p, begin))
        diag_add(p->diags, AX_number_too_large, span_from(p, begin), "the integer %s is too large", s);
    return INT;
}

/* The decimal point of the text, not of the user's locale. */
static double real(struct parse *p, uint32_t begin, uint32_t end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double v = strtod_l(digits(p, begin, end), NULL, c);
    freelocale(c);
    return v;
}

static int malformed(struct parse *p, union token_value *v, uint32_t begin)
{
    if (unheard(p, begin))
        diag_add(p->diags, AX_bad_number, span_from(p, begin), "malformed number '%.*s'", (int)(p->at - begin), p->text + begin);
    v->number.integer = 0;
    return INT;
}

static int unexpected(struct parse *p, uint32_t begin)
{
    unsigned char c = (unsigned char)p->text[begin];
    while ((p->text[p->at] & 0xc0) == 0x80)
        p->at++;
    if (!unheard(p, begin))
        return BAD;
    if (c == '"' || c == '\'')
        diag_add(p->diags, AX_unexpected_character, span_from(p, begin), "unexpected %c: there are no texts in this language, only numbers and booleans", c);
    else if (c < 32 || c == 127)
        diag_add(p->diags, AX_unexpected_character, span_from(p, begin), "unexpected control character 0x%02x", c);
    else
        diag_add(p->diags, AX_unexpected_character, span_from(p, begin), "unexpected character '%.*s'", (int)(p->at - begin), p->text + begin);
    return BAD;
}

static int end_of_text(struct parse *p)
{
    if (p->at_end_of_line)
        return 0;
    p->at_end_of_line = true; /* one newline, so that the last statement ends like the others */
    return NEWLINE;
}

static int scan(union token_value *value, struct span *span, struct parse *p)
{
    const char *YYCURSOR, *YYMARKER;
    uint32_t begin;
again:
    begin = p->at;
    YYCURSOR = p->text + p->at;
#define TOKEN(t) (p->at = (uint32_t)(YYCURSOR - p->text), *span = span_from(p, begin), (t))
#define KEYWORD(t, o) (value->op = (o), TOKEN(t))
    /*!re2c
        re2c:define:YYCTYPE = "unsigned char";
        re2c:yyfill:enable = 0;

        digit   = [0-9];
        dec     = digit ("_"? digit)*;
        exp     = [eE] [+-]? dec;
        float   = (dec "." dec? | "." dec) exp? | dec exp;
        name    = [A-Za-z_] [A-Za-z0-9_]*;

        [ \t\r\f]+          { p->at = (uint32_t)(YYCURSOR - p->text); goto again; }
        "#" [^\n\x00]*      { p->at = (uint32_t)(YYCURSOR - p->text); goto again; }
        "\\" "\r"? "\n"     { p->at = (uint32_t)(YYCURSOR - p->text); goto again; }
        "\n"                { (void)TOKEN(0); if (inside_expression(p) || before_else(p)) goto again; return NEWLINE; }
        ";"                 { return TOKEN(inside_expression(p) ? INNER_SEMICOLON : SEMICOLON); }
        "\x00"              {
            if (begin < p->n) { (void)TOKEN(0); return unexpected(p, begin); }
            *span = (struct span){p->n, p->n};
            return end_of_text(p);
        }

        "0" [xX] [0-9a-fA-F] ("_"? [0-9a-fA-F])* { (void)TOKEN(0); return integer(p, value, begin, 16); }
        "0" [bB] [01] ("_"? [01])*  { (void)TOKEN(0); return integer(p, value, begin, 2); }
        "0" [oO] [0-7] ("_"? [0-7])* { (void)TOKEN(0); return integer(p, value, begin, 8); }
        dec                 { (void)TOKEN(0); return integer(p, value, begin, 10); }
        float               { (void)TOKEN(0); value->number.real = real(p, begin, p->at); return FLOAT; }
        (dec | float) [jJ]  { (void)TOKEN(0); value->number.real = real(p, begin, p->at - 1); return IMAG; }
        (dec | float) [A-Za-z_] [A-Za-z0-9_]* {
            (void)TOKEN(0);
            return malformed(p, value, begin);
        }

        "and"               { return KEYWORD(AND, OP_logical_and); }
        "or"                { return KEYWORD(OR, OP_logical_or); }
        "not"               { return KEYWORD(NOT, OP_logical_not); }
        "if"                { return TOKEN(IF); }
        "else"              { return TOKEN(ELSE); }
        "def"               { return TOKEN(DEF); }
        "param"             { return TOKEN(PARAM); }
        "return"            { return TOKEN(RETURN); }
        "True"              { return TOKEN(TRUE_); }
        "False"             { return TOKEN(FALSE_); }
        "None" | "newaxis"  { return TOKEN(NONE); }
        "elif"              { return TOKEN(ELIF); }
        "for"               { return TOKEN(FOR); }
        "in"                { return TOKEN(IN); }
        "while"             { return TOKEN(WHILE); }
        "break"             { return TOKEN(BREAK); }
        "continue"          { return TOKEN(CONTINUE); }
        "kernel"            { return TOKEN(KERNEL); }
        "lambda" | "import" | "class" {
            (void)TOKEN(0);
            value->name = (struct str){arena_strndup(p->arena, p->text + begin, p->at - begin), p->at - begin};
            return LATER;
        }
        name                {
            (void)TOKEN(0);
            value->name = (struct str){arena_strndup(p->arena, p->text + begin, p->at - begin), p->at - begin};
            return NAME;
        }

        "("                 { return push(p, '(', begin, TOKEN('(')); }
        "["                 { return push(p, '[', begin, TOKEN('[')); }
        "{"                 { return push(p, '{', begin, TOKEN('{')); }
        ")"                 { return pop(p, '(', TOKEN(')')); }
        "]"                 { return pop(p, '[', TOKEN(']')); }
        "}"                 { return pop(p, '{', TOKEN('}')); }
        "..."               { return TOKEN(ELLIPSIS); }
        "."                 { return TOKEN('.'); }
        ","                 { return TOKEN(','); }
        ":"                 { return TOKEN(':'); }
        "="                 { return TOKEN('='); }
        "**="               { return KEYWORD(AUGMENT, OP_power); }
        "+="                { return KEYWORD(AUGMENT, OP_add); }
        "-="                { return KEYWORD(AUGMENT, OP_subtract); }
        "*="                { return KEYWORD(AUGMENT, OP_multiply); }
        "/="                { return KEYWORD(AUGMENT, OP_divide); }
        "@="                { return KEYWORD(AUGMENT, OP_matmul); }
        "//="               { return KEYWORD(AUGMENT, OP_floor_divide); }
        "%="                { return KEYWORD(AUGMENT, OP_remainder); }
        "<<="               { return KEYWORD(AUGMENT, OP_left_shift); }
        ">>="               { return KEYWORD(AUGMENT, OP_right_shift); }
        "&="                { return KEYWORD(AUGMENT, OP_bitwise_and); }
        "|="                { return KEYWORD(AUGMENT, OP_bitwise_or); }
        "^="                { return KEYWORD(AUGMENT, OP_bitwise_xor); }
        "**"                { return KEYWORD(POWER, OP_power); }
        "+"                 { return KEYWORD(PLUS, OP_add); }
        "-"                 { return KEYWORD(MINUS, OP_subtract); }
        "*"                 { return KEYWORD(TIMES, OP_multiply); }
        "/"                 { return KEYWORD(TIMES, OP_divide); }
        "@"                 { return KEYWORD(TIMES, OP_matmul); }
        "//"                { return KEYWORD(TIMES, OP_floor_divide); }
        "%"                 { return KEYWORD(TIMES, OP_remainder); }
        "<<"                { return KEYWORD(SHIFT, OP_left_shift); }
        ">>"                { return KEYWORD(SHIFT, OP_right_shift); }
        "&"                 { return KEYWORD(BITAND, OP_bitwise_and); }
        "|"                 { return KEYWORD(BITOR, OP_bitwise_or); }
        "^"                 { return KEYWORD(BITXOR, OP_bitwise_xor); }
        "~"                 { return KEYWORD(INVERT, OP_invert); }
        "<"                 { return KEYWORD(COMPARE, OP_less); }
        "<="                { return KEYWORD(COMPARE, OP_less_equal); }
        ">"                 { return KEYWORD(COMPARE, OP_greater); }
        ">="                { return KEYWORD(COMPARE, OP_greater_equal); }
        "=="                { return KEYWORD(COMPARE, OP_equal); }
        "!="                { return KEYWORD(COMPARE, OP_not_equal); }
        *                   { (void)TOKEN(0); return unexpected(p, begin); }
    */
}

static bool ends_statement(const struct parse *p, int token)
{
    bool end = token == NEWLINE || token == SEMICOLON;
    return token == 0 || (end && p->brackets.n <= p->level) || (token == '}' && p->brackets.n < p->level);
}

int parse_token(union token_value *value, struct span *span, struct parse *p)
{
    if (p->over_limit)
        return 0;
    if (p->line_ends) {
        p->line_ends = false;
        *span = (struct span){p->at, p->at};
        return NEWLINE;
    }
    int token = scan(value, span, p);
    while (p->skipping && !ends_statement(p, token))
        token = scan(value, span, p);
    p->skipping = false;
    return token;
}
