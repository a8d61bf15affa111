/* Diagnostics: collecting them, and showing them with the line they are about. See diag.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/diag.h"

enum { DEFAULT_LIMIT = 20 };

const struct diag_info diag_table[AX_COUNT] = {
#define DIAG(id, code, severity, title, help) [AX_##id] = {#id, code, title, help, SEVERITY_##severity},
#include "diag.def"
#undef DIAG
};

struct span span_join(struct span a, struct span b)
{
    if (a.begin == a.end)
        return b;
    if (b.begin == b.end)
        return a;
    return (struct span){a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}

void diags_init(struct diags *d)
{
    memset(d, 0, sizeof *d);
}

void diags_fini(struct diags *d)
{
    for (unsigned i = 0; i < d->n; i++) {
        for (unsigned k = 0; k < d->at[i].n_notes; k++)
            free(d->at[i].notes[k].text);
        free(d->at[i].notes);
        free(d->at[i].message);
    }
    free(d->at);
    free(d->source);
    free(d->source_name);
    memset(d, 0, sizeof *d);
}

/* As many bytes as the text has, so that spans still fit; nothing in it moves a terminal's cursor or is not UTF-8. */
static void copy_for_display(char *to, const char *text, size_t n)
{
    for (size_t i = 0, length; i < n; i += length) {
        char c = text[i];
        bool control = (c >= 0 && c < ' ' && !strchr("\t\n\r", c)) || c == 0 || c == 127;
        length = utf8_length(text + i, n - i);
        if (control || !length) {
            length = 1;
            to[i] = control ? ' ' : '?';
        } else {
            memcpy(to + i, text + i, length);
        }
    }
    to[n] = 0;
}

void diags_set_source(struct diags *d, const char *name, const char *text, size_t n)
{
    free(d->source);
    free(d->source_name);
    d->source = malloc(n + 1);
    d->source_name = strdup(name);
    if (!d->source)
        return;
    copy_for_display(d->source, text, n);
}

static char *format(struct diags *d, const char *fmt, va_list args)
{
    char *s = NULL;
    bool made = vasprintf(&s, fmt, args) >= 0;
    d->starved |= !made;
    return made ? s : NULL;
}

bool diags_reserve(struct diags *d)
{
    if (d->n >= (d->limit ? d->limit : DEFAULT_LIMIT))
        return false;
    if (d->n < d->cap)
        return true;
    unsigned cap = d->cap ? 2 * d->cap : 4;
    struct diag *grown = realloc(d->at, cap * sizeof *grown);
    if (!grown) {
        d->starved = true;
        return false;
    }
    d->at = grown;
    d->cap = cap;
    return true;
}

void diag_add(struct diags *d, enum diag_id id, struct span span, const char *fmt, ...)
{
    d->n_errors += diag_table[id].severity == SEVERITY_ERROR;
    if (!diags_reserve(d)) {
        d->lost++;
        return;
    }
    va_list args;
    va_start(args, fmt);
    d->at[d->n++] = (struct diag){.id = id, .span = span, .message = format(d, fmt, args)};
    va_end(args);
}

void diag_note(struct diags *d, struct span span, const char *fmt, ...)
{
    if (d->n == 0 || d->lost)
        return;
    struct diag *g = &d->at[d->n - 1];
    struct diag_note *grown = realloc(g->notes, (g->n_notes + 1) * sizeof *grown);
    d->starved |= !grown;
    if (!grown)
        return;
    va_list args;
    va_start(args, fmt);
    g->notes = grown;
    g->notes[g->n_notes++] = (struct diag_note){span, format(d, fmt, args)};
    va_end(args);
}

bool diags_has_errors(const struct diags *d)
{
    return d->n_errors > 0;
}

static bool is_error(const struct diag *g)
{
    return diag_table[g->id].severity == SEVERITY_ERROR;
}

bool diags_of_memory(const struct diags *d)
{
    unsigned first = 0;
    while (first < d->n && !is_error(&d->at[first]))
        first++;
    return first < d->n ? d->at[first].id == AX_out_of_memory : d->n_errors > 0;
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Where the text begins: past the mark of UTF-8 that some editors put there. */
static const char *first_line(const struct diags *d)
{
    return d->source + str_bom(d->source, strlen(d->source));
}

static const char *line_start(const struct diags *d, uint32_t offset)
{
    const char *s = d->source + offset, *first = first_line(d);
    while (s > first && s[-1] != '\n')
        s--;
    return s;
}

static uint32_t inside(const struct diags *d, uint32_t offset)
{
    size_t n = strlen(d->source);
    uint32_t first = (uint32_t)(first_line(d) - d->source);
    return offset > n ? (uint32_t)n : offset < first ? first : offset;
}

void diags_position(const struct diags *d, uint32_t offset, unsigned *line, unsigned *column)
{
    *line = *column = 0;
    if (!d->source)
        return;
    offset = inside(d, offset);
    *line = *column = 1;
    for (const char *s = d->source; s < d->source + offset; s++)
        *line += *s == '\n';
    for (const char *s = line_start(d, offset); s < d->source + offset; s++)
        *column += !continues(*s);
}

static unsigned width_of_line(const char *s)
{
    return (unsigned)strcspn(s, "\r\n");
}

/* Up to n characters on from s, not beyond stop. */
static const char *characters_on(const char *s, const char *stop, unsigned n)
{
    while (s < stop && n) {
        s++;
        while (s < stop && continues(*s))
            s++;
        n--;
    }
    return s;
}

static const char *characters_back(const char *s, const char *start, unsigned n)
{
    while (s > start && n) {
        s--;
        while (s > start && continues(*s))
            s--;
        n--;
    }
    return s;
}

/* The part of a line that is shown: all of it, or WIDEST characters around `from`. */
struct window {
    const char *begin, *end;
    bool cut_before, cut_after;
};

static struct window window_of(const char *line, const char *stop, const char *from)
{
    enum { WIDEST = 120, BEFORE = 60 };
    struct window w = {line, stop, false, false};
    if (characters_on(line, stop, WIDEST) == stop)
        return w;
    w.begin = characters_back(from < stop ? from : stop, line, BEFORE);
    w.end = characters_on(w.begin, stop, WIDEST);
    w.cut_before = w.begin > line;
    w.cut_after = w.end < stop;
    return w;
}

/* Tabs stay tabs under the line, so that carets line up in any terminal. */
static void caret_line(const struct diags *d, struct span span, struct strbuf *out)
{
    uint32_t begin = inside(d, span.begin), end = inside(d, span.end);
    const char *line = line_start(d, begin), *from = d->source + begin, *to = d->source + end;
    struct window w = window_of(line, line + width_of_line(line), from);
    strbuf_puts(out, w.cut_before ? "    ..." : "    ");
    strbuf_add(out, w.begin, (size_t)(w.end - w.begin));
    strbuf_puts(out, w.cut_after ? "...\n" : "\n");
    strbuf_puts(out, w.cut_before ? "       " : "    ");
    for (const char *s = w.begin; s < from && s < w.end; s++)
        if (!continues(*s))
            strbuf_add(out, *s == '\t' ? "\t" : " ", 1);
    strbuf_puts(out, "^");
    for (const char *s = from + 1; s < to && s < w.end; s++)
        if (!continues(*s))
            strbuf_puts(out, "~");
    strbuf_puts(out, "\n");
}

static void position(const struct diags *d, struct span span, struct strbuf *out)
{
    unsigned line, column;
    if (span.begin == span.end && span.begin == 0)
        return;
    diags_position(d, span.begin, &line, &column);
    strbuf_printf(out, "%s:%u:%u: ", d->source_name ? d->source_name : "<string>", line, column);
}

static void excerpt(const struct diags *d, struct span span, struct strbuf *out)
{
    if (d->source && !(span.begin == 0 && span.end == 0))
        caret_line(d, span, out);
}

enum severity diag_severity(const struct diags *d, unsigned index)
{
    return d->mild ? SEVERITY_WARNING : diag_table[d->at[index].id].severity;
}

void diag_render(const struct diags *d, unsigned index, struct strbuf *out)
{
    const struct diag *g = &d->at[index];
    const struct diag_info *info = &diag_table[g->id];
    position(d, g->span, out);
    strbuf_printf(out, "%s[%s]: %s\n", diag_severity(d, index) == SEVERITY_ERROR ? "error" : "warning", info->code, g->message ? g->message : info->title);
    excerpt(d, g->span, out);
    for (unsigned i = 0; i < g->n_notes; i++) {
        strbuf_printf(out, "  note: %s\n", g->notes[i].text ? g->notes[i].text : "");
        excerpt(d, g->notes[i].span, out);
    }
}

void diags_render(const struct diags *d, struct strbuf *out)
{
    for (unsigned i = 0; i < d->n; i++)
        diag_render(d, i, out);
    if (d->lost)
        strbuf_printf(out, "and %u more\n", d->lost);
}
