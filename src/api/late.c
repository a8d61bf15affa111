/*
 * Faults of work that nobody waited for: they are told by the next call that waits. The work puts them into memory that the host sees; a repeat is armed while there may
 * be some that nobody has looked for.
 */
#include <stdlib.h>
#include <string.h>
#include "repeat.h"

/* What a repeat that is gone had to tell. */
struct late {
    struct late *next;
    struct diags diags;
};

/* With all the memory it takes to be told. */
struct late *late_new(void)
{
    struct late *l = calloc(1, sizeof *l);
    if (l && diags_reserve(&l->diags))
        return l;
    free(l);
    return NULL;
}

void late_drop(struct late *l)
{
    if (l)
        diags_fini(&l->diags);
    free(l);
}

/* After its work has been given to the device: before, somebody might have waited for all and taken it for done. */
void late_arm(struct repeat *r, void *stream)
{
    struct arex_context *c = r->program->context;
    lock_take(&c->late_lock);
    r->ticket = ++c->tickets;
    r->stream = stream == DEVICE_STREAM_DEFAULT ? NULL : stream;
    if (!r->armed) {
        r->armed = true;
        r->next_armed = c->armed;
        c->armed = r;
    }
    lock_give(&c->late_lock);
}

uint64_t late_ticket(struct arex_context *c)
{
    lock_take(&c->late_lock);
    uint64_t now = c->tickets;
    lock_give(&c->late_lock);
    return now;
}

/* What the work has raised so far, which it then has not any more, unless there was no memory to tell it. True: nothing. */
static bool take_faults(const struct repeat *r, struct diags *diags)
{
    volatile struct ir_faults *there = replay_faults(r->replay);
    struct ir_faults f = {.bits = there->bits, .index = there->index};
    if (faults_told(&f, r->signature->ir, r->dims, diags))
        return true;
    if (diags_of_memory(diags))
        return false;
    there->bits = 0;
    there->index = 0;
    diags_set_source(diags, r->program->name, r->program->source, r->program->n_source);
    return false;
}

static bool told_before(struct arex_context *c, struct diags *diags)
{
    struct late *l = c->late;
    if (!l)
        return false;
    c->late = l->next;
    diags_fini(diags);
    *diags = l->diags;
    free(l);
    return true;
}

bool late_told(struct arex_context *c, uint64_t ticket, bool all, void *stream, struct diags *diags)
{
    stream = stream == DEVICE_STREAM_DEFAULT ? NULL : stream;
    atomic_store_explicit(&c->given, 0, memory_order_relaxed);
    lock_take(&c->late_lock);
    bool ok = !told_before(c, diags);
    for (struct repeat **at = &c->armed; ok && *at;) {
        struct repeat *r = *at;
        bool done = r->ticket <= ticket && (all || r->stream == stream);
        ok = take_faults(r, diags);
        if (done && !diags_of_memory(diags)) {
            r->armed = false;
            *at = r->next_armed;
        } else {
            at = &r->next_armed;
        }
    }
    lock_give(&c->late_lock);
    return ok;
}

static void unlink_armed(struct arex_context *c, struct repeat *r)
{
    struct repeat **at = &c->armed;
    while (*at != r)
        at = &(*at)->next_armed;
    *at = r->next_armed;
    r->armed = false;
}

/* Waits for its work if it is armed; what that raised is kept. */
void late_forget(struct repeat *r)
{
    struct arex_context *c = r->program->context;
    struct diags d;
    diags_init(&d);
    if (r->armed && cuda_wait_all(r->signature->device, &d)) {
        lock_take(&c->late_lock);
        if (!take_faults(r, &r->late->diags)) {
            r->late->next = c->late;
            c->late = r->late;
            r->late = NULL;
        }
        lock_give(&c->late_lock);
    }
    lock_take(&c->late_lock);
    if (r->armed)
        unlink_armed(c, r);
    lock_give(&c->late_lock);
    diags_fini(&d);
}

void late_free(struct arex_context *c)
{
    while (c->late) {
        struct late *l = c->late;
        c->late = l->next;
        late_drop(l);
    }
}
