/* Diagnostics as the public header shows them. */
#include <stdlib.h>
#include <string.h>
#include "api.h"

/* What kind of trouble an error is follows from its code. */
static arex_status status_of(enum diag_id id)
{
    const char *code = diag_table[id].code;
    if (id == AX_out_of_memory || id == AX_device_out_of_memory)
        return AREX_ERROR_MEMORY;
    if (strncmp(code, "AX05", 4) == 0 && id != AX_bad_arch)
        return AREX_ERROR_MACHINE;
    if (strncmp(code, "AX06", 4) == 0)
        return AREX_ERROR_MACHINE;
    if (id == AX_stopped)
        return AREX_STOPPED;
    return id == AX_usage || id == AX_bad_stage || id == AX_bad_arch ? AREX_ERROR_USAGE : AREX_ERROR_PROGRAM;
}

static arex_status status_of_all(const struct diags *d)
{
    for (unsigned i = 0; i < d->n; i++)
        if (diag_table[d->at[i].id].severity == SEVERITY_ERROR)
            return status_of(d->at[i].id);
    return AREX_ERROR_MEMORY; /* an error there was no memory to describe */
}

arex_status diags_hand_over(struct diags *diags, bool ok, arex_diagnostics **out)
{
    if (!ok && !diags_has_errors(diags)) /* who only knows that there was no memory leaves it to be said here */
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
    arex_status status = ok && (diags->mild || !diags_has_errors(diags)) ? AREX_OK : status_of_all(diags);
    arex_diagnostics *d = out && (diags->n || status != AREX_OK) ? calloc(1, sizeof *d) : NULL;
    if (out)
        *out = d;
    if (d)
        d->diags = *diags;
    else
        diags_fini(diags);
    return status;
}

PUBLIC int arex_diagnostics_count(const arex_diagnostics *d)
{
    return d ? (int)d->diags.n : 0;
}

PUBLIC arex_status arex_diagnostics_get(const arex_diagnostics *d, int index, arex_diagnostic *out)
{
    if (!d || !out || index < 0 || (unsigned)index >= d->diags.n)
        return AREX_ERROR_USAGE;
    const struct diag *g = &d->diags.at[index];
    unsigned line = 0, column = 0;
    if (g->span.end)
        diags_position(&d->diags, g->span.begin, &line, &column);
    *out = (arex_diagnostic){.code = diag_table[g->id].code, .severity = diag_severity(&d->diags, (unsigned)index) == SEVERITY_ERROR ? 0 : 1,
                             .message = g->message ? g->message : diag_table[g->id].title, .begin = g->span.begin, .end = g->span.end,
                             .line = (int32_t)line, .column = (int32_t)column};
    return AREX_OK;
}

PUBLIC const char *arex_diagnostics_text(const arex_diagnostics *d, int index)
{
    arex_diagnostics *m = (arex_diagnostics *)d; /* the text is kept for the caller */
    struct strbuf b = {0};
    if (!d || index < -1 || index >= (int)d->diags.n)
        return "";
    if (!m->texts)
        m->texts = calloc(d->diags.n + 1, sizeof *m->texts);
    char **text = m->texts ? &m->texts[index + 1] : NULL;
    if (!text || *text)
        return text ? *text : "";
    if (index < 0)
        diags_render(&d->diags, &b);
    else
        diag_render(&d->diags, (unsigned)index, &b);
    *text = strbuf_take(&b);
    return *text ? *text : "";
}

PUBLIC void arex_diagnostics_free(arex_diagnostics *d)
{
    if (!d)
        return;
    for (unsigned i = 0; d->texts && i <= d->diags.n; i++)
        free(d->texts[i]);
    free(d->texts);
    diags_fini(&d->diags);
    free(d);
}

PUBLIC void arex_free(char *text)
{
    free(text);
}
