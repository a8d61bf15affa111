/*
 * The math library: functions are found by name in an index made at build time, and each is parsed when first used.
 */
#include <stdio.h>
#include <string.h>
#include "sema/build.h"
#include "sema/library.h"

/* Parsed definitions of this compilation, by place in math_functions. */
struct library {
    struct scope *scope; /* functions already parsed */
};

static const struct math_function *indexed(struct str name)
{
    unsigned lo = 0, hi = n_math_functions;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const char *at = math_functions[mid].name;
        size_t n = strlen(at), least = n < name.n ? n : name.n;
        int order = memcmp(at, name.s, least);
        if (!order)
            order = n < name.n ? -1 : n > name.n;
        if (!order)
            return &math_functions[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static struct binding *parse_function(struct sema *s, const struct math_function *f)
{
    const struct math_file *file = &math_files[f->file];
    struct diags quiet;
    struct ast *tree;
    struct scope *saved = s->scope;

    diags_init(&quiet);
    tree = ast_parse(s->arena, file->text + f->begin, f->size, NULL, &quiet);
    bool starved = !tree && diags_of_memory(&quiet);
    if (!tree && !starved)
        sema_error(s, AX_internal, (struct span){0, 0}, "the library's function %s does not parse: %s",
                   f->name, quiet.n ? quiet.at[0].message : "");
    diags_fini(&quiet);
    if (starved)
        arena_out_of_memory(s->arena);
    if (!tree)
        return NULL;
    s->scope = s->library->scope;
    for (uint32_t i = 0; i < tree->n_kids; i++)
        if (tree->kid[i]->kind == AST_DEF)
            bind_def(s, tree->kid[i], true);
    s->scope = saved;
    return scope_find(s->library->scope, str_of(f->name), true);
}

static struct binding *find_exact(struct sema *s, struct str name)
{
    struct binding *b = scope_find(s->library->scope, name, true);
    const struct math_function *f;

    if (b)
        return b;
    f = indexed(name);
    return f ? parse_function(s, f) : NULL;
}

static void open_library(struct sema *s)
{
    if (s->library)
        return;
    s->library = arena_new(s->arena, struct library);
    s->library->scope = scope_new(s->arena, NULL);
}

struct binding *library_complex(struct sema *s, struct str name)
{
    char typed[96];
    open_library(s);
    snprintf(typed, sizeof typed, "%.*s_complex", name.n < 64 ? (int)name.n : 0, name.s);
    return find_exact(s, str_of(typed));
}

struct binding *library_find(struct sema *s, struct str name, enum dtype dtype)
{
    char typed[96];
    struct binding *b = NULL;

    open_library(s);
    if (dtype != DT_none && name.n < 64) {
        snprintf(typed, sizeof typed, "%.*s_%s", (int)name.n, name.s, type_table[dtype].name);
        b = find_exact(s, str_of(typed));
    }
    if (!b && type_is_complex(dtype) && name.n < 64)
        b = library_complex(s, name);
    return b ? b : find_exact(s, name);
}
