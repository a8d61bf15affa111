/*
 * Diagnostics of this stage: spans that make sense to the user, the chain of calls as notes, "did you mean".
 */
#include <stdarg.h>
#include <stdio.h>
#include "sema/build.h"

struct value value_error(void)
{
    return (struct value){.kind = VALUE_ERROR};
}

struct span sema_span(const struct sema *s, struct span span)
{
    const struct frame *f = s->frame;

    for (; f && f->built_in; f = f->up)
        span = f->call;
    return span;
}

void sema_error(struct sema *s, enum diag_id id, struct span span, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    const struct frame *f = s->frame;
    int notes = 0;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    diag_add(s->diags, id, sema_span(s, span), "%s", text);
    for (; f && notes < 3; f = f->up) {
        if (f->built_in || f->def->kind == AST_KERNEL)
            continue;
        diag_note(s->diags, f->call, "in this call of `%.*s`", (int)f->def->name.n, f->def->name.s);
        notes++;
    }
}

struct guess {
    struct str best;
    unsigned distance,
        begins; /* begins: how many characters both begin with, which decides between equal distances */
};

static unsigned same_beginning(struct str a, struct str b)
{
    unsigned n = 0;
    while (n < a.n && n < b.n && a.s[n] == b.s[n])
        n++;
    return n;
}

static void guess_try(struct guess *g, struct str name, struct str candidate)
{
    unsigned d = str_distance(name, candidate, 2), begins = same_beginning(name, candidate);

    if ((d < g->distance || (d == g->distance && begins > g->begins)) &&
        d <= name.n / 3 + (name.n > 1 && name.n < 3)) /* a short name is close to everything */
        *g = (struct guess){candidate, d, begins};
}

static void say_guess(struct sema *s, const struct guess *g, struct span span)
{
    if (g->best.n)
        diag_note(s->diags, sema_span(s, span), "did you mean `%.*s`?", (int)g->best.n, g->best.s);
}

static void guess_tables(struct guess *g, struct str name)
{
#define ELEM(id, symbol, arity, rule, flags, on_bool, on_int, on_float, ulp, domain, doc) #id,
#define REDUCE(id, rule, combine, identity, doc)                                          #id,
#define SCAN(id, rule, combine, identity, doc)                                            #id,
#define COMPOSE(id, signature, doc)                                                       #id,
#define SPECIAL(id, taker, signature, doc)                                                #id,
#define ALIAS(alias, id)                                                                  #alias,
#define TYPE(id, cls, size, ctype, npy, compute, mantissa, works)                         #id,
    static const char *const names[] = {
#include "ops.def"
#include "types.def"
    };
#undef ELEM
#undef REDUCE
#undef SCAN
#undef COMPOSE
#undef SPECIAL
#undef ALIAS
#undef TYPE
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        guess_try(g, name, str_of(names[i]));
}

static void guess_types(struct guess *g, struct str name)
{
    for (int t = DT_none + 1; t < DT_COUNT; t++)
        if (type_table[t].works)
            guess_try(g, name, str_of(type_table[t].name));
}

/* What the program binds: functions, or names of values. */
static void guess_scope(struct guess *g, const struct scope *scope, struct str name, bool functions)
{
    for (; scope; scope = scope->up)
        for (uint32_t i = 0; i < scope->n_buckets; i++)
            for (const struct binding *b = scope->bucket[i]; b; b = b->next)
                if (!b->library && (b->def != NULL) == functions)
                    guess_try(g, name, b->name);
}

void sema_unknown_name(struct sema *s, struct str name, const char *what, const struct ast *def,
                       struct span span)
{
    static const char *const words[] = {"threadIdx", "blockIdx", "blockDim", "gridDim",
                                        "newaxis",   "True",     "False",    "None"};
    struct guess g = {{NULL, 0}, 3, 0};

    for (uint32_t i = 0; def && i < def->n_params; i++)
        guess_try(&g, name, def->params[i]->name);
    guess_scope(&g, s->scope, name, false);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        guess_try(&g, name, str_of(words[i]));
    guess_types(&g, name);
    sema_error(s, AX_unknown_name, span, "`%.*s` %s", (int)name.n, name.s, what);
    say_guess(s, &g, span);
}

void sema_unknown_type(struct sema *s, struct str name, struct span span)
{
    struct guess g = {{NULL, 0}, 3, 0};

    guess_types(&g, name);
    sema_error(s, AX_unknown_type, span, "`%.*s` is not a type", (int)name.n, name.s);
    say_guess(s, &g, span);
}

void sema_unknown_function(struct sema *s, struct str name, struct span span)
{
    struct guess g = {{NULL, 0}, 3, 0};

    guess_scope(&g, s->scope, name, true);
    guess_tables(&g, name);
    sema_error(s, AX_unknown_function, span, "no function is called `%.*s`", (int)name.n, name.s);
    say_guess(s, &g, span);
}

void sema_unknown_keyword(struct sema *s, struct str function, struct str name, const struct str *known,
                          unsigned n, struct span span)
{
    struct guess g = {{NULL, 0}, 3, 0};

    for (unsigned i = 0; i < n; i++)
        guess_try(&g, name, known[i]);
    sema_error(s, AX_unknown_keyword, span, "`%.*s` has no parameter `%.*s`", (int)function.n, function.s,
               (int)name.n, name.s);
    say_guess(s, &g, span);
}
