/* See short.h. For glibc on x86-64, without sanitizers, which bring an allocator of their own. */
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "short.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

enum { BUCKETS = 1 << 12, IN_A_BUCKET = 16, MOST_FRAMES = 24 };

struct range {
    uintptr_t begin, end;
};

static struct range ours, libc;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned nth, asked, refused;
static bool armed, on_and_on;
static uintptr_t first;
static unsigned live;
static struct block {
    void *p; /* NULL: free */
    uintptr_t by;
} blocks[BUCKETS][IN_A_BUCKET]; /* by address: LLVM frees millions that are not here */

/* ---- who asks? ---- */

static int note_library(struct dl_phdr_info *info, size_t size, void *user)
{
    struct range *r = strstr(info->dlpi_name, "/libarex.so") ? &ours : strstr(info->dlpi_name, "/libc.so") ? &libc : NULL;
    (void)size, (void)user;
    for (int i = 0; r && i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, end = begin + info->dlpi_phdr[i].p_memsz;
            r->begin = r->begin && r->begin < begin ? r->begin : begin;
            r->end = r->end > end ? r->end : end;
        }
    return 0;
}

void short_begin(void)
{
    void *frames[2];
    backtrace(frames, 2); /* the first one opens a library */
    dl_iterate_phdr(note_library, NULL);
}

static bool inside(const struct range *r, uintptr_t at)
{
    return at >= r->begin && at < r->end;
}

/* The C library asks for itself or for who called it, as in strdup. */
static _Thread_local bool looking;

static uintptr_t caller_of_libc(uintptr_t from)
{
    void *frames[MOST_FRAMES];
    if (looking)
        return 0;
    looking = true;
    int n = backtrace(frames, MOST_FRAMES), i = 0;
    looking = false;
    while (i < n && (uintptr_t)frames[i] != from)
        i++;
    while (i < n && inside(&libc, (uintptr_t)frames[i]))
        i++;
    return i < n ? (uintptr_t)frames[i] : 0;
}

/* The address in libarex.so that a request comes from; 0: from elsewhere. */
static uintptr_t asker(void *return_address)
{
    uintptr_t at = (uintptr_t)return_address;
    at = inside(&libc, at) ? caller_of_libc(at) : at;
    return inside(&ours, at) ? at : 0;
}

/* ---- what it gets ---- */

static bool refuses(uintptr_t by)
{
    if (!by || !armed)
        return false;
    pthread_mutex_lock(&lock);
    bool no = ++asked == nth || (on_and_on && asked > nth);
    first = no && !refused ? by - ours.begin : first;
    refused += no;
    pthread_mutex_unlock(&lock);
    return no;
}

/* The block where `p` would be that holds `what`: p itself, or NULL for a free one. */
static struct block *find(const void *p, const void *what)
{
    struct block *bucket = blocks[((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 52];
    for (unsigned i = 0; i < IN_A_BUCKET; i++)
        if (bucket[i].p == what)
            return &bucket[i];
    return NULL;
}

static void *made(void *p, uintptr_t by)
{
    if (!p || !by)
        return p;
    pthread_mutex_lock(&lock);
    struct block *b = find(p, NULL);
    if (b)
        *b = (struct block){p, by};
    live++; /* with no room it stays alive, which the test tells */
    pthread_mutex_unlock(&lock);
    return p;
}

static void gone(const void *p)
{
    if (!p || !live)
        return;
    pthread_mutex_lock(&lock);
    struct block *b = find(p, p);
    if (b) {
        b->p = NULL;
        live--;
    }
    pthread_mutex_unlock(&lock);
}

static void *none(void)
{
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size)
{
    uintptr_t by = asker(__builtin_return_address(0));
    return refuses(by) ? none() : made(__libc_malloc(size), by);
}

void *calloc(size_t n, size_t size)
{
    uintptr_t by = asker(__builtin_return_address(0));
    return refuses(by) ? none() : made(__libc_calloc(n, size), by);
}

void *realloc(void *p, size_t size)
{
    uintptr_t by = asker(__builtin_return_address(0));
    if (refuses(by))
        return none();
    gone(p);
    return made(__libc_realloc(p, size), by);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    uintptr_t by = asker(__builtin_return_address(0));
    return refuses(by) ? none() : made(__libc_memalign(alignment, size), by);
}

void free(void *p)
{
    int before = errno;
    gone(p);
    __libc_free(p);
    errno = before;
}

/* Memory for code, and threads: the system may have none left either. */
void *mmap64(void *at, size_t size, int protection, int flags, int file, off_t offset)
{
    static void *(*theirs)(void *, size_t, int, int, int, off_t);
    void *next = theirs ? NULL : dlsym(RTLD_NEXT, "mmap64");
    if (next)
        memcpy(&theirs, &next, sizeof theirs);
    return refuses(asker(__builtin_return_address(0))) ? none(), MAP_FAILED : theirs(at, size, protection, flags, file, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *user)
{
    static int (*theirs)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *next = theirs ? NULL : dlsym(RTLD_NEXT, "pthread_create");
    if (next)
        memcpy(&theirs, &next, sizeof theirs);
    return refuses(asker(__builtin_return_address(0))) ? EAGAIN : theirs(thread, attributes, start, user);
}

/* What the loader remembers of a failure, for dlerror, is not the caller's. */
void *dlopen(const char *file, int mode)
{
    static void *(*theirs)(const char *, int);
    void *next = theirs ? NULL : dlsym(RTLD_NEXT, "dlopen");
    if (next)
        memcpy(&theirs, &next, sizeof theirs);
    looking = true;
    void *library = theirs(file, mode);
    looking = false;
    return library;
}

char *dlerror(void)
{
    static char *(*theirs)(void);
    void *next = theirs ? NULL : dlsym(RTLD_NEXT, "dlerror");
    if (next)
        memcpy(&theirs, &next, sizeof theirs);
    looking = true;
    char *why = theirs();
    looking = false;
    return why;
}

/* ---- for the test ---- */

void short_refuse(unsigned n, bool on)
{
    nth = n;
    on_and_on = on;
    asked = refused = 0;
    first = 0;
    armed = true;
}

unsigned short_done(void)
{
    armed = false;
    return refused;
}

unsigned short_live(void)
{
    return live;
}

const char *short_first(void)
{
    static char text[32];
    snprintf(text, sizeof text, first ? "libarex.so+0x%zx" : "%.0zx", first);
    return text;
}

const char *short_alive(void)
{
    static char text[256];
    size_t n = 0;
    text[0] = 0;
    for (unsigned i = 0; i < BUCKETS * IN_A_BUCKET && n < sizeof text - 32; i++) {
        const struct block *b = &blocks[i / IN_A_BUCKET][i % IN_A_BUCKET];
        if (b->p)
            n += (size_t)snprintf(text + n, sizeof text - n, "%slibarex.so+0x%zx", n ? ", " : "", b->by - ours.begin);
    }
    return text;
}
