/*
 * Scopes: hash tables of bindings in the arena, the newest of a name first in its chain.
 */
#include "base/hash.h"
#include <math.h>
#include "sema/build.h"

struct scope *scope_new(struct arena *arena, struct scope *up)
{
    struct scope *scope = arena_new(arena, struct scope);

    scope->up = up;
    scope->up_limit = up ? up->n : 0;
    scope->n_buckets = 8;
    scope->bucket = arena_array(arena, struct binding *, 8);
    return scope;
}

static struct binding **bucket_of(struct scope *scope, struct str name)
{
    return &scope->bucket[hash_bytes(HASH_START, name.s, name.n) & (scope->n_buckets - 1)];
}

struct binding **scope_all(struct arena *arena, struct scope *scope)
{
    struct binding **all = arena_array(arena, struct binding *, scope->n + 1);

    for (uint32_t i = 0; i < scope->n_buckets; i++)
        for (struct binding *b = scope->bucket[i]; b; b = b->next)
            all[b->seq] = b;
    return all;
}

/* Chains are refilled from oldest to newest, so that the newest stays first. */
static void grow(struct arena *arena, struct scope *scope)
{
    struct binding **all = scope_all(arena, scope);

    scope->n_buckets *= 4;
    scope->bucket = arena_array(arena, struct binding *, scope->n_buckets);
    for (uint32_t i = 0; i < scope->n; i++) {
        struct binding **at = bucket_of(scope, all[i]->name);
        all[i]->next = *at;
        *at = all[i];
    }
}

struct binding *scope_bind(struct arena *arena, struct scope *scope, struct str name, struct span span)
{
    struct binding *b = arena_new(arena, struct binding), **at;

    if (scope->n >= scope->n_buckets)
        grow(arena, scope);
    at = bucket_of(scope, name);
    *b = (struct binding){.next = *at, .name = name, .seq = scope->n++, .span = span};
    *at = b;
    return b;
}

struct binding *scope_find(struct scope *scope, struct str name, bool function)
{
    uint32_t limit = UINT32_MAX;

    for (; scope; limit = scope->up_limit, scope = scope->up)
        for (struct binding *b = *bucket_of(scope, name); b; b = b->next)
            if (b->seq < limit && !b->def == !function && str_eq(b->name, name))
                return b;
    return NULL;
}

bool constant_value(struct str name, struct value *out)
{
    struct span nowhere = {0, 0};

    if (str_is(name, "pi"))
        *out = value_float(3.14159265358979323846, nowhere);
    else if (str_is(name, "e"))
        *out = value_float(2.71828182845904523536, nowhere);
    else if (str_is(name, "inf"))
        *out = value_float(INFINITY, nowhere);
    else if (str_is(name, "nan"))
        *out = value_float(NAN, nowhere);
    else
        return false;
    return true;
}
