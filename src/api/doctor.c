/* What this machine offers, what is missing, and what to do about it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "api.h"

struct report {
    struct strbuf *out;
    bool json, first;
};

static void line(struct report *r, const char *key, const char *value)
{
    if (!r->json) {
        strbuf_printf(r->out, "%-16s %s\n", key, value);
        return;
    }
    strbuf_printf(r->out, "%s\n  \"%s\": \"", r->first ? "" : ",", key);
    for (const char *s = value; *s; s++)
        strbuf_printf(r->out, *s == '"' || *s == '\\' ? "\\%c" : (unsigned char)*s < 32 ? " " : "%c", *s);
    strbuf_puts(r->out, "\"");
    r->first = false;
}

static void linef(struct report *r, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void linef(struct report *r, const char *key, const char *fmt, ...)
{
    char text[1200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    line(r, key, text);
}

/* A line that says more of `key`: for machines under a key of its own, for people below. */
static void more(struct report *r, const char *key, const char *suffix, const char *value)
{
    char full[64];
    snprintf(full, sizeof full, "%s_%s", key, suffix);
    line(r, r->json ? full : "", value);
}

/* The first sentence of what went wrong, its notes, and the cure from the registry. */
static void trouble(struct report *r, const char *key, const struct diags *d)
{
    struct strbuf notes = {0};
    r->out->failed |= d->starved || diags_of_memory(d);
    if (d->n == 0)
        return;
    const struct diag *g = &d->at[0];
    line(r, key, g->message ? g->message : diag_table[g->id].title);
    for (unsigned i = 0; i < g->n_notes; i++)
        strbuf_printf(&notes, "%s%s", i ? "; " : "", g->notes[i].text ? g->notes[i].text : "");
    if (notes.n)
        more(r, key, "notes", notes.s);
    more(r, key, "cure", diag_table[g->id].help);
    r->out->failed |= notes.failed;
    strbuf_fini(&notes);
}

/* LLVM lists what a CPU has (+) and what it lacks (-); only the first is news. */
static void features(struct report *r, const char *all)
{
    struct strbuf have = {0};
    for (const char *s = all; *s;) {
        size_t n = strcspn(s, ",");
        if (*s == '+' && n > 1) {
            strbuf_puts(&have, have.n ? " " : "");
            strbuf_add(&have, s + 1, n - 1);
        }
        s += n + (s[n] == ',');
    }
    linef(r, "cpu_features", "%s", have.s ? have.s : "");
    r->out->failed |= have.failed;
    strbuf_fini(&have);
}

static void report_codegen(struct report *r, struct arex_context *c)
{
    struct diags d;
    struct codegen_host host;
    diags_init(&d);
    const struct codegen_api *api = context_codegen(c, &d);
    if (api && api->host(&host, &d)) {
        linef(r, "llvm", "%s", host.llvm_version);
        linef(r, "cpu", "%s, vectors of %u bits, fma %s", host.cpu, host.vector_bits, host.has_fma ? "in hardware" : "by emulation (slow)");
        features(r, host.features);
    } else {
        trouble(r, "llvm", &d);
    }
    diags_fini(&d);
}

static void report_nvvm(struct report *r, struct arex_context *c)
{
    struct diags d;
    struct codegen_nvvm found;
    unsigned n;
    const struct codegen_place *places = context_nvvm(c, &n);
    diags_init(&d);
    const struct codegen_api *api = context_codegen(c, &d);
    r->out->failed |= !places;
    if (api && api->nvvm(places, n, &found, &d))
        linef(r, "libnvvm", "%d.%d, reads IR %d.%d, %s", found.major, found.minor, found.ir_major, found.ir_minor, found.path);
    else
        trouble(r, "libnvvm", &d);
    diags_fini(&d);
}

static void report_cpu(struct report *r, struct arex_context *c)
{
    struct diags d;
    diags_init(&d);
    struct device *cpu = context_cpu(c, &d);
    if (cpu)
        linef(r, "processor", "%s, %u threads", cpu->title, cpu_device_threads(cpu));
    else
        trouble(r, "processor", &d);
    diags_fini(&d);
}

static void report_gpu(struct report *r, struct arex_context *c, int i)
{
    struct diags d;
    char key[16];
    diags_init(&d);
    struct device *gpu = context_cuda(c, i, &d);
    snprintf(key, sizeof key, "device_%d", i);
    if (gpu) {
        if (i == 0)
            linef(r, "driver", "CUDA %d.%d", gpu->driver_version / 1000, gpu->driver_version % 1000 / 10);
        linef(r, key, "%s, sm_%d, %d multiprocessors", gpu->title, gpu->sm, gpu->multiprocessors);
    } else {
        trouble(r, key, &d);
    }
    diags_fini(&d);
}

static void report_gpus(struct report *r, struct arex_context *c)
{
    struct diags d;
    diags_init(&d);
    int n = cuda_device_count(c->cuda_driver, &d);
    if (n < 0)
        trouble(r, "driver", &d);
    else
        linef(r, "devices", "%d", n);
    for (int i = 0; i < n && i < MAX_DEVICES; i++)
        report_gpu(r, c, i);
    diags_fini(&d);
}

PUBLIC arex_status arex_doctor(arex_context *c, int json, char **text)
{
    struct strbuf out = {0};
    struct report r = {&out, json != 0, true};
    if (!c || !text)
        return AREX_ERROR_USAGE;
    strbuf_puts(&out, json ? "{" : "");
    line(&r, "arex", arex_version());
    report_cpu(&r, c);
    report_codegen(&r, c);
    report_nvvm(&r, c);
    report_gpus(&r, c);
    line(&r, "cache", "in memory, per program");
    strbuf_puts(&out, json ? "\n}\n" : "");
    *text = strbuf_take(&out);
    return *text ? AREX_OK : AREX_ERROR_MEMORY;
}
