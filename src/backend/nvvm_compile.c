/* Text in libNVVM's dialect to PTX. See nvvm.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/nvvm.h"

#define NO_SPAN ((struct span){0, 0})

struct job {
    const struct nvvm *n;
    void *program;
    struct diags *diags;
};

/* What the library has written of one kind, or NULL when there is nothing, or no memory for it, with a diagnostic. */
static char *take(struct job *j, int (*size_of)(void *, size_t *), int (*get)(void *, char *))
{
    size_t size = 0;
    bool any = size_of(j->program, &size) == NVVM_SUCCESS && size > 1;
    char *text = any ? calloc(size + 1, 1) : NULL;
    if (any && !text)
        diag_add(j->diags, AX_out_of_memory, NO_SPAN, "out of memory");
    if (text && get(j->program, text) == NVVM_SUCCESS)
        return text;
    free(text);
    return NULL;
}

static void log_to_notes(struct job *j)
{
    char *log = take(j, j->n->log_size, j->n->log), *rest = log, *line;
    while ((line = strsep(&rest, "\n")))
        if (line[strspn(line, " \t\r")])
            diag_note(j->diags, NO_SPAN, "%s", line);
    free(log);
}

static bool told_nothing(struct job *j)
{
    char *log = take(j, j->n->log_size, j->n->log);
    bool nothing = log ? !log[strspn(log, " \t\r\n")] : !diags_of_memory(j->diags);
    free(log);
    return nothing;
}

static bool fine(struct job *j, int result, const char *step)
{
    if (result == NVVM_SUCCESS)
        return true;
    const char *why = j->n->error_string(result);
    diag_add(j->diags, AX_libnvvm_refused, NO_SPAN, "libNVVM failed %s: %s", step, why ? why : "no reason given");
    return false;
}

/* It takes what it does not know with success, and says so in its log only. */
static char *run(struct job *j, const char *text, const char *const *options, int n_options)
{
    if (!fine(j, j->n->add_module(j->program, text, strlen(text), "arex"), "to read the code") ||
        !fine(j, j->n->compile(j->program, n_options, options), "to compile")) {
        log_to_notes(j);
        return NULL;
    }
    if (!told_nothing(j)) {
        if (!diags_of_memory(j->diags))
            diag_add(j->diags, AX_libnvvm_refused, NO_SPAN, "libNVVM compiled the code with reservations");
        log_to_notes(j);
        return NULL;
    }
    char *ptx = take(j, j->n->result_size, j->n->result);
    if (!ptx && !diags_of_memory(j->diags))
        diag_add(j->diags, AX_libnvvm_refused, NO_SPAN, "libNVVM gave no code");
    return ptx;
}

char *nvvm_compile(const struct nvvm *n, const char *text, const char *arch, struct diags *diags)
{
    char target[32];
    /* It fuses mul and add unless it is told not to: what fast mode fuses is in the program already. The others are its
     * defaults, said because the same bits hang on them. */
    const char *options[] = {target, "-fma=0", "-ftz=0", "-prec-sqrt=1", "-prec-div=1"};
    struct job j = {.n = n, .diags = diags};
    snprintf(target, sizeof target, "-arch=compute_%s", strncmp(arch, "sm_", 3) == 0 ? arch + 3 : arch);
    if (!fine(&j, n->create(&j.program), "to begin"))
        return NULL;
    char *ptx = run(&j, text, options, sizeof options / sizeof *options);
    n->destroy(&j.program);
    return ptx;
}

int nvvm_ptx_version(const char *ptx)
{
    int major, minor;
    const char *at = strstr(ptx, "\n.version ");
    return at && sscanf(at, "\n.version %d.%d", &major, &minor) == 2 ? 10 * major + minor : 0;
}
