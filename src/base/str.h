/*
 * Text: slices that own nothing (struct str), and a growing buffer on the heap (struct strbuf).
 * A strbuf that runs out of memory sets `failed` and ignores further text; the owner checks once, at the end.
 */
#ifndef AREX_BASE_STR_H
#define AREX_BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *s;
    uint32_t n;
};

struct str str_of(const char *c);
bool str_eq(struct str a, struct str b);
bool str_is(struct str a, const char *c);
/* Bytes of the character that begins n > 0 bytes of text; 0 for NUL and for what is not UTF-8: shortest forms only, no surrogates. */
unsigned utf8_length(const char *text, size_t n);
/* Bytes of the byte order mark of UTF-8 that text begins with: 3, or 0. */
static inline unsigned str_bom(const char *s, size_t n)
{
    return n >= 3 && s[0] == '\xef' && s[1] == '\xbb' && s[2] == '\xbf' ? 3 : 0;
}

/* Damerau-Levenshtein distance, for "did you mean"; capped at limit + 1. */
unsigned str_distance(struct str a, struct str b, unsigned limit);

struct strbuf {
    char *s; /* NUL-terminated whenever not NULL */
    size_t n, cap;
    bool failed;
};

void strbuf_add(struct strbuf *b, const char *s, size_t n);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A float so that reading it back gives the same bits, whatever the locale: shortest of %.9g (bits 32) or %.17g. */
void strbuf_float(struct strbuf *b, double v, int bits);
/* The text as a malloc'd string the caller frees, or NULL when memory ran out; the buffer is empty afterwards. */
char *strbuf_take(struct strbuf *b);
void strbuf_fini(struct strbuf *b);

#endif
