/*
 * Diagnostics: a stable code from grammar/diag.def, a message in the user's words, a byte span, notes.
 *
 * A struct diags collects what one operation has to say. It lives on the heap, not in an arena, because it
 * outlives the compilation that filled it. Adding never fails loudly: when memory runs out the list keeps
 * what it has and `lost` counts the rest, and has_errors still tells the truth. One thread at a time.
 */
#ifndef AREX_BASE_DIAG_H
#define AREX_BASE_DIAG_H
#include "base/str.h"

struct span {
    uint32_t begin, end; /* bytes; begin == end == 0 means "nowhere in the source" */
};

struct span span_join(struct span a, struct span b);

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

/* AX_syntax, AX_unknown_name, ... in the order of the table */
enum diag_id {
#define DIAG(id, code, severity, title, help) AX_##id,
#include "diag.def"
#undef DIAG
    AX_COUNT
};

struct diag_info {
    const char *id, *code, *title, *help;
    enum severity severity;
};
extern const struct diag_info diag_table[AX_COUNT];

struct diag_note {
    struct span span;
    char *text;
};

struct diag {
    enum diag_id id;
    struct span span;
    char *message;
    struct diag_note *notes;
    unsigned n_notes;
};

struct diags {
    char *source; /* copy of the text the spans point into, or NULL */
    char *source_name;
    struct diag *at;
    unsigned n, cap, n_errors, lost;
    unsigned limit; /* stop collecting after so many; 0 means 20 */
    bool starved;   /* there was no memory to keep all that was said */
    bool mild;      /* told with success: nothing here is worse than a warning */
};

void diags_init(struct diags *d);
void diags_fini(struct diags *d);
void diags_set_source(struct diags *d, const char *name, const char *text, size_t n);
/* Room for one more, so that adding it loses its words at most. */
bool diags_reserve(struct diags *d);
void diag_add(struct diags *d, enum diag_id id, struct span span, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Attaches to the diagnostic added last. */
void diag_note(struct diags *d, struct span span, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool diags_has_errors(const struct diags *d);
/* Is the first error that memory ran out, or one that there was no memory to describe? */
bool diags_of_memory(const struct diags *d);
enum severity diag_severity(const struct diags *d, unsigned index);
/* 1-based line and column (in characters, UTF-8 aware) of a byte offset. */
void diags_position(const struct diags *d, uint32_t offset, unsigned *line, unsigned *column);
/* "name:2:7: error[AX0203]: message", the source line, a caret range, the notes. */
void diag_render(const struct diags *d, unsigned index, struct strbuf *out);
void diags_render(const struct diags *d, struct strbuf *out);

#endif
