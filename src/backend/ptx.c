/*
 * What the driver's assembler gets wrong in PTX is written another way.
 *
 * For GPUs from sm_90 on, ptxas (seen in 13.0 and in drivers of its time) turns `max.s16 m, a, c` and `m == c` into one
 * VIMNMX.S16x2, whose two halves leave their comparisons in one predicate: the half that nobody asked for decides.
 * So `where(maximum(x, 7) == 7, ...)` on int16 chose wrongly. In 32 bits there is one half. libNVVM asks for the two halves
 * itself, from sm_100 on; they go the same way, one after the other.
 */
#include <stdlib.h>
#include <string.h>
#include "backend/backend.h"
#include "base/str.h"

/* "\tmax.s16 \t%rs1, %rs2, 7;\n" or "\tmax.s16x2 \t%r1, %r2, %r3;\n" in its parts. */
struct extreme {
    char op[4], sign;
    bool pair;
    struct str to, a, b;
};

static bool upto(const char **at, const char *end, char stop, struct str *out)
{
    const char *s = *at;
    while (s < end && (*s == ' ' || *s == '\t'))
        s++;
    const char *e = memchr(s, stop, (size_t)(end - s));
    if (!e)
        return false;
    *out = (struct str){s, (uint32_t)(e - s)};
    *at = e + 1;
    return true;
}

static bool is_extreme(const char *line, const char *end, struct extreme *x)
{
    enum { NAME = 7 }; /* max.s16 */
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if (end - line < NAME + 1 || (memcmp(line, "max.", 4) != 0 && memcmp(line, "min.", 4) != 0) || memcmp(line + 5, "16", 2) != 0)
        return false;
    memcpy(x->op, line, 3);
    x->op[3] = 0;
    x->sign = line[4];
    line += NAME;
    x->pair = end - line > 2 && memcmp(line, "x2", 2) == 0;
    line += x->pair ? 2 : 0;
    return (x->sign == 's' || x->sign == 'u') && (*line == ' ' || *line == '\t') && upto(&line, end, ',', &x->to) && upto(&line, end, ',', &x->a) &&
           upto(&line, end, ';', &x->b);
}

static void widened(struct strbuf *out, const struct extreme *x)
{
    strbuf_puts(out, "\t{\n\t.reg .b32 \t%wide<3>;\n");
    strbuf_printf(out, "\tcvt.%c32.%c16 \t%%wide0, %.*s;\n", x->sign, x->sign, (int)x->a.n, x->a.s);
    strbuf_printf(out, "\tcvt.%c32.%c16 \t%%wide1, %.*s;\n", x->sign, x->sign, (int)x->b.n, x->b.s);
    strbuf_printf(out, "\t%s.%c32 \t%%wide2, %%wide0, %%wide1;\n", x->op, x->sign);
    strbuf_printf(out, "\tcvt.u16.u32 \t%.*s, %%wide2;\n\t}\n", (int)x->to.n, x->to.s);
}

static void half_widened(struct strbuf *out, const struct extreme *x, unsigned half)
{
    strbuf_printf(out, "\tcvt.%c32.%c16 \t%%wide0, %%half%u;\n", x->sign, x->sign, half);
    strbuf_printf(out, "\tcvt.%c32.%c16 \t%%wide1, %%half%u;\n", x->sign, x->sign, half + 2);
    strbuf_printf(out, "\t%s.%c32 \t%%wide2, %%wide0, %%wide1;\n", x->op, x->sign);
    strbuf_printf(out, "\tcvt.u16.u32 \t%%half%u, %%wide2;\n", half);
}

/* Operands may be numbers: those are not taken apart. */
static void pair_widened(struct strbuf *out, const struct extreme *x)
{
    strbuf_puts(out, "\t{\n\t.reg .b32 \t%wide<3>;\n\t.reg .b16 \t%half<4>;\n");
    strbuf_printf(out, "\tmov.b32 \t%%wide0, %.*s;\n\tmov.b32 \t{%%half0, %%half1}, %%wide0;\n", (int)x->a.n, x->a.s);
    strbuf_printf(out, "\tmov.b32 \t%%wide1, %.*s;\n\tmov.b32 \t{%%half2, %%half3}, %%wide1;\n", (int)x->b.n, x->b.s);
    half_widened(out, x, 0);
    half_widened(out, x, 1);
    strbuf_printf(out, "\tmov.b32 \t%.*s, {%%half0, %%half1};\n\t}\n", (int)x->to.n, x->to.s);
}

char *backend_ptx_mended(const char *ptx, size_t n)
{
    struct strbuf out = {0};
    const char *end = ptx + n, *written = ptx;
    for (const char *line = ptx, *next; line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        struct extreme x;
        next = stop ? stop + 1 : end;
        if (!is_extreme(line, next, &x))
            continue;
        strbuf_add(&out, written, (size_t)(line - written));
        (x.pair ? pair_widened : widened)(&out, &x);
        written = next;
    }
    strbuf_add(&out, written, (size_t)(end - written));
    return strbuf_take(&out);
}
