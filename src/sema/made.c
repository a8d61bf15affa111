/*
 * One call of a library's function for equal arguments: its plain operations are one node each anyway, but what is computed `rarely` has a region
 * of its own in every call. Without this `exp(x)/sum(exp(x))` would be two exponentials.
 */
#include <string.h>
#include "base/hash.h"
#include "sema/build.h"

enum { BUCKETS = 1024 };

struct made_calls {
    struct made_call *bucket[BUCKETS];
};

struct made_call {
    struct made_call *next;
    const struct binding *of;
    const struct value *given; /* one a formal */
    struct value result;
    uint32_t region;
};

static bool is_alike(const struct value *a, const struct value *b)
{
    return a->kind == b->kind && a->weak == b->weak && a->dtype == b->dtype && a->id == b->id &&
           a->i == b->i && memcmp(&a->f, &b->f, sizeof a->f) == 0 && !a->n_items && !b->n_items;
}

static bool are_alike(const struct value *a, const struct value *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!is_alike(&a[i], &b[i]))
            return false;
    return true;
}

static struct made_call **bucket_of(struct sema *s, const struct binding *f, const struct value *given)
{
    uint64_t h = hash_bytes(HASH_START, &f, sizeof f);
    if (!s->made)
        s->made = arena_new(s->arena, struct made_calls);
    for (uint32_t i = 0; i < f->def->n_params; i++) {
        h = hash_bytes(h, &given[i].id, sizeof given[i].id);
        h = hash_bytes(h, &given[i].i, sizeof given[i].i);
        h = hash_bytes(h, &given[i].f, sizeof given[i].f);
    }
    return &s->made->bucket[h % BUCKETS];
}

const struct value *made_find(struct sema *s, const struct binding *f, const struct value *given)
{
    for (const struct made_call *c = *bucket_of(s, f, given); c; c = c->next)
        if (c->of == f && are_alike(c->given, given, f->def->n_params) &&
            ir_region_around(s->ir, c->region, s->ir->region))
            return &c->result;
    return NULL;
}

void made_keep(struct sema *s, const struct binding *f, const struct value *given, struct value result)
{
    struct made_call **bucket = bucket_of(s, f, given), *c = arena_new(s->arena, struct made_call);
    *c = (struct made_call){*bucket, f, given, result, s->ir->region};
    *bucket = c;
}
