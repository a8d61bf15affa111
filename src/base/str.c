/* Text slices and a growing buffer. See str.h. */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"

struct str str_of(const char *c)
{
    return (struct str){c, (uint32_t)strlen(c)};
}

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

bool str_is(struct str a, const char *c)
{
    return str_eq(a, str_of(c));
}

/* The Unicode Standard, table 3-7. */
unsigned utf8_length(const char *text, size_t n)
{
    static const struct form {
        unsigned char first, last, low, high, length; /* range of the first byte, of the second */
    } forms[] = {
        {0x01, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
        {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const unsigned char *s = (const unsigned char *)text;
    const struct form *f = forms, *end = forms + sizeof forms / sizeof *forms;
    while (f < end && (s[0] < f->first || s[0] > f->last))
        f++;
    if (f == end || f->length > n || (f->length > 1 && (s[1] < f->low || s[1] > f->high)))
        return 0;
    for (unsigned k = 2; k < f->length; k++)
        if ((s[k] & 0xc0) != 0x80)
            return 0;
    return f->length;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Three rows of the table of distances: of the last two prefixes of a, and of this one. */
unsigned str_distance(struct str a, struct str b, unsigned limit)
{
    enum { LONGEST = 64 };
    unsigned rows[3][LONGEST + 1], *before = rows[0], *last = rows[1], *row = rows[2];
    if (a.n > LONGEST || b.n > LONGEST)
        return limit + 1;
    for (unsigned j = 0; j <= b.n; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned change = last[j - 1] + (a.s[i - 1] != b.s[j - 1]);
            row[j] = least(change, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.s[i - 1] == b.s[j - 2] && a.s[i - 2] == b.s[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return least(last[b.n], limit + 1);
}

static bool make_room(struct strbuf *b, size_t more)
{
    if (b->failed)
        return false;
    if (b->cap - b->n > more)
        return true;
    size_t cap = (b->cap ? b->cap * 2 : 128) + more;
    char *s = realloc(b->s, cap);
    if (!s) {
        b->failed = true;
        return false;
    }
    b->s = s;
    b->cap = cap;
    return true;
}

void strbuf_add(struct strbuf *b, const char *s, size_t n)
{
    if (!make_room(b, n + 1))
        return;
    if (n)
        memcpy(b->s + b->n, s, n);
    b->n += n;
    b->s[b->n] = 0;
}

void strbuf_puts(struct strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

static void add_formatted(struct strbuf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    if (n >= 0 && make_room(b, (size_t)n + 1)) {
        vsnprintf(b->s + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_formatted(b, fmt, args);
    va_end(args);
}

static int shortest(char *text, size_t room, double v, int bits)
{
    int n = 0;
    for (int digits = bits == 32 ? 6 : 15, most = bits == 32 ? 9 : 17; digits <= most; digits++) {
        n = snprintf(text, room, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (bits == 32 ? (float)back == (float)v : back == v)
            break;
    }
    return n;
}

/* printf and strtod take the decimal point from the locale of the thread. */
void strbuf_float(struct strbuf *b, double v, int bits)
{
    char text[64];
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = uselocale(c);
    int n = shortest(text, sizeof text, v, bits);
    uselocale(before);
    freelocale(c);
    strbuf_add(b, text, (size_t)n);
}

char *strbuf_take(struct strbuf *b)
{
    if (!b->s && !b->failed)
        strbuf_add(b, "", 0);
    char *s = b->failed ? NULL : b->s;
    if (b->failed)
        free(b->s);
    memset(b, 0, sizeof *b);
    return s;
}

void strbuf_fini(struct strbuf *b)
{
    free(b->s);
    memset(b, 0, sizeof *b);
}
