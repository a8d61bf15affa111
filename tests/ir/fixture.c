/* See fixture.h. */
#include <math.h>
#include <string.h>
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

void ir_anew(void)
{
    ir_end(NULL);
    ir_begin(NULL);
}

ir_id input(const char *name, enum dtype t, unsigned rank)
{
    return ir_input_new(&ir, str_of(name), t, rank, false, NOWHERE);
}

ir_id real(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return ir_const(&ir, DT_float64, bits, 0, NOWHERE);
}

ir_id two(enum op op, enum dtype result, ir_id a, ir_id b)
{
    return ir_elem(&ir, op, result, (ir_id[]){a, b}, 2, 0, NOWHERE, &diags);
}

static uint64_t noise = 88172645463325252u;

uint32_t pick(uint32_t n)
{
    noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
    return (uint32_t)(noise >> 33) % n;
}

const double specials[] = {0.0, -0.0, 1,      -1,     2,        3,         -7,  0.5,    63,
                           64,  1e10, -1e300, 5e-324, INFINITY, -INFINITY, NAN, 9.3e18, -9.3e18};

bool works(enum dtype t)
{
    return t != DT_none && type_table[t].works &&
           !type_is_complex(t); /* complex values are pairs of others */
}

uint64_t from_double(enum dtype t, double v)
{
    uint64_t bits = 0;
    float f = (float)v;
    switch (type_table[t].cls) {
    case CLASS_BOOL:
        return v != 0;
    case CLASS_FLOAT:
        if (type_table[t].size == 8)
            memcpy(&bits, &v, 8);
        else if (type_table[t].size == 4)
            memcpy(&bits, &f, 4);
        else
            eval_cast(t, &bits, DT_float64, &v, 1);
        return bits;
    default:
        eval_cast(t, &bits, DT_float64, &v, 1);
        return bits;
    }
}
