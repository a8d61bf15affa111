/*
 * Where libNVVM may lie: a file that is named, or the places where a full CUDA toolkit, a trimmed one, conda and pip put
 * it. The environment is read once, when the context is made; folders are looked at when the library is first needed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
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

typedef int like(const struct dirent *e);
typedef void add_one(struct toolkit *t, const char *path);

static int is_python(const struct dirent *e)
{
    return strncmp(e->d_name, "python3", 7) == 0;
}

static int is_cuda(const struct dirent *e)
{
    return strncmp(e->d_name, "cuda-", 5) == 0 && e->d_name[5] >= '1' && e->d_name[5] <= '9';
}

static void add_below(struct toolkit *t, const char *folder, const char *name, add_one *one)
{
    struct strbuf path = {0};
    strbuf_printf(&path, "%s/%s", folder, name);
    t->starved |= path.failed;
    if (!path.failed)
        one(t, path.s);
    strbuf_fini(&path);
}

/* What a folder has of such a name, the last by name first. Not by glob: glibc's frees twice where memory runs out. */
static void add_each(struct toolkit *t, const char *folder, like *of_such_a_name, add_one *one)
{
    struct dirent **found = NULL;
    int n = scandir(folder, &found, of_such_a_name, alphasort);
    t->starved |= n < 0 && errno == ENOMEM;
    while (n-- > 0) {
        add_below(t, folder, found[n]->d_name, one);
        free(found[n]);
    }
    free(found);
}

static void add_site_there(struct toolkit *t, const char *site)
{
    if (access(site, F_OK) == 0)
        add_site(t, site);
}

static void add_python(struct toolkit *t, const char *python)
{
    add_below(t, python, "site-packages", add_site_there);
}

static void add_pythons(struct toolkit *t, const char *folder)
{
    add_each(t, folder, is_python, add_python);
}

static void add_sites_of(struct toolkit *t, const char *prefix)
{
    if (prefix)
        add_below(t, prefix, "lib", add_pythons);
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

static void add_toolkit(struct toolkit *t, const char *root)
{
    add_root(t, root, "NVIDIA's CUDA toolkit");
}

/* "/usr/local/cuda" is the one that is in use; others lie beside it under their versions. */
static void add_usual(struct toolkit *t)
{
    add_toolkit(t, "/usr/local/cuda");
    add_each(t, "/usr/local", is_cuda, add_toolkit);
    add_toolkit(t, "/opt/cuda");
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
