/* See fixture.h. */
#include "fixture.h"

struct arena arena;
struct diags diags;
struct ir ir;
jmp_buf failed;

int ir_begin(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    arena.on_fail = &failed;
    diags_init(&diags);
    ir_init(&ir, &arena, 0);
    return 0;
}

int ir_end(void **state)
{
    (void)state;
    arena_fini(&arena);
    diags_fini(&diags);
    return 0;
}

ir_id input(const char *name, enum dtype t, unsigned rank)
{
    return ir_input_new(&ir, str_of(name), t, rank, false, NOWHERE);
}

static uint64_t noise = 88172645463325252u;

uint32_t pick(uint32_t n)
{
    noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
    return (uint32_t)(noise >> 33) % n;
}
