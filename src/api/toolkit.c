/*
 * Where libNVVM may lie: a file that is named, or the places where a full CUDA toolkit, a trimmed one, conda and pip put
 * it. The environment is read once, when the context is made; folders are looked at when the library is first needed.
 */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include "api.h"

#define SONAME "libnvvm.so.4"

enum { MOST_PLACES = 64 };

static const char *const variables[TOOLKIT_VARIABLES] = {
    [TOOLKIT_FILE] = "AREX_LIBNVVM", [TOOLKIT_HOME] = "CUDA_HOME", [TOOLKIT_PATH] = "CUDA_PATH", [TOOLKIT_CONDA] = "CONDA_PREFIX", [TOOLKIT_VENV] = "VIRTUAL_ENV"};

static bool copied(const char *s, char **out)
{
    bool said = s && *s;
    *out = said ? strdup(s) : NULL;
    return *out || !said;
}

bool toolkit_init(struct toolkit *t, const char *file, const char *packages)
{
    bool all = copied(file, &t->given) && copied(packages, &t->packages);
    for (int i = 0; all && i < TOOLKIT_VARIABLES; i++)
        all = copied(getenv(variables[i]), &t->variable[i]);
    return all;
}

static void drop_places(struct toolkit *t)
{
    for (unsigned i = 0; i < t->n; i++)
        free((char *)t->places[i].path);
    free(t->places);
    t->places = NULL;
    t->n = 0;
}

void toolkit_fini(struct toolkit *t)
{
    drop_places(t);
    free(t->given);
    free(t->packages);
    for (int i = 0; i < TOOLKIT_VARIABLES; i++)
        free(t->variable[i]);
    memset(t, 0, sizeof *t);
}

/* Takes the path: once. */
static void add(struct toolkit *t, char *path, const char *provider)
{
    bool known = !path || t->n == MOST_PLACES;
    t->starved |= !path;
    for (unsigned i = 0; i < t->n && !known; i++)
        known = strcmp(t->places[i].path, path) == 0;
    if (known)
        free(path);
    else
        t->places[t->n++] = (struct codegen_place){path, provider};
}

static void add_joined(struct toolkit *t, const char *root, const char *rest, const char *provider)
{
    struct strbuf b = {0};
    strbuf_printf(&b, "%s/%s", root, rest);
    add(t, strbuf_take(&b), provider);
}

/* A full toolkit, and one cut down to what programs run with. */
static void add_root(struct toolkit *t, const char *root, const char *provider)
{
    if (!root)
        return;
    add_joined(t, root, "nvvm/lib64/" SONAME, provider);
    add_joined(t, root, "lib64/" SONAME, provider);
    add_joined(t, root, "lib/" SONAME, provider);
}

/* What pip installs; wheels for CUDA 12 hold it with nvcc. */
static void add_site(struct toolkit *t, const char *site)
{
    add_joined(t, site, "nvidia/cu13/lib/" SONAME, "the Python package nvidia-nvvm");
    add_joined(t, site, "nvidia/cuda_nvcc/nvvm/lib64/libnvvm.so", "the Python package nvidia-cuda-nvcc-cu12");
}

/* The files that a pattern stands for; the caller frees them. */
static glob_t files_like(struct toolkit *t, const char *pattern)
{
    glob_t found = {0};
    t->starved |= glob(pattern, 0, NULL, &found) == GLOB_NOSPACE;
    return found;
}

static void add_sites_of(struct toolkit *t, const char *prefix)
{
    struct strbuf b = {0};
    if (!prefix)
        return;
    strbuf_printf(&b, "%s/lib/python3*/site-packages", prefix);
    t->starved |= b.failed;
    glob_t found = files_like(t, b.failed ? "" : b.s);
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_site(t, found.gl_pathv[i]);
    globfree(&found);
    strbuf_fini(&b);
}

static void add_packages(struct toolkit *t, const char *list)
{
    char *own, *rest, *one;
    t->starved |= !copied(list, &own);
    rest = own;
    while (own && (one = strsep(&rest, ":")))
        if (*one)
            add_site(t, one);
    free(own);
}

/* "/usr/local/cuda" is the one that is in use; others lie beside it under their versions. */
static void add_usual(struct toolkit *t)
{
    static const char provider[] = "NVIDIA's CUDA toolkit";
    add_root(t, "/usr/local/cuda", provider);
    glob_t found = files_like(t, "/usr/local/cuda-[1-9]*");
    for (size_t i = found.gl_pathc; i-- > 0;)
        add_root(t, found.gl_pathv[i], provider);
    globfree(&found);
    add_root(t, "/opt/cuda", provider);
    add(t, strdup(SONAME), "the system's list of libraries");
}

/* A file that is named is the only place: another library than the one asked for would surprise. */
static void find_places(struct toolkit *t)
{
    if (t->given || t->variable[TOOLKIT_FILE]) {
        add(t, strdup(t->given ? t->given : t->variable[TOOLKIT_FILE]), t->given ? "named in the options" : "named by AREX_LIBNVVM");
        return;
    }
    add_root(t, t->variable[TOOLKIT_HOME], "the toolkit named by CUDA_HOME");
    add_root(t, t->variable[TOOLKIT_PATH], "the toolkit named by CUDA_PATH");
    add_root(t, t->variable[TOOLKIT_CONDA], "conda's package cuda-nvvm-impl");
    add_packages(t, t->packages);
    add_sites_of(t, t->variable[TOOLKIT_VENV]);
    add_sites_of(t, t->variable[TOOLKIT_CONDA]);
    add_usual(t);
}

const struct codegen_place *context_nvvm(struct arex_context *c, unsigned *n)
{
    struct toolkit *t = &c->toolkit;
    lock_take(&c->lock);
    if (!t->places) {
        t->places = calloc(MOST_PLACES, sizeof *t->places);
        t->starved = !t->places;
        if (t->places)
            find_places(t);
        if (t->starved)
            drop_places(t); /* all or none: the next who asks looks again */
    }
    *n = t->n;
    const struct codegen_place *places = t->places;
    lock_give(&c->lock);
    return places;
}
