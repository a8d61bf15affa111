/* The thread pool and the loader of the CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "cpu/loader.h"
#include "cpu/pool.h"
#include "device.h"

enum { MOST = 100003 };

static _Atomic unsigned char hits[MOST];

static void mark(const int64_t *slots, int64_t begin, int64_t end)
{
    if (slots && begin % slots[0])
        abort();
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&hits[i], 1);
}

static void covers_once(struct pool *p, int64_t items, int64_t grain, unsigned threads)
{
    memset((void *)hits, 0, sizeof hits);
    pool_run(p, mark, &grain, items, grain, threads, NULL);
    for (int64_t i = 0; i < MOST; i++)
        assert_int_equal(hits[i], i < items);
}

static void test_pool_covers(void **state)
{
    static const int64_t items[] = {0, 1, 2, 63, 64, 65, 4096, MOST};
    (void)state;
    for (unsigned threads = 1; threads <= 8; threads += threads < 4 ? 1 : 4) {
        struct pool *p = pool_new(threads);
        for (unsigned i = 0; i < sizeof items / sizeof *items; i++)
            for (int64_t n = items[i] - 1; items[i] && n <= items[i] + 1 && n <= MOST; n++)
                covers_once(p, n, items[i], 0);
        for (unsigned i = 0; i < sizeof items / sizeof *items; i++)
            for (int64_t grain = 1; grain <= 1000; grain = grain * 10 + 1)
                covers_once(p, items[i], grain, i % 3);
        pool_free(p);
    }
}

static void count(const int64_t *slots, int64_t begin, int64_t end)
{
    atomic_fetch_add((_Atomic int64_t *)(intptr_t)slots[0], end - begin);
}

/* slots: counter of threads inside, the most seen */
static void crowd(const int64_t *slots, int64_t begin, int64_t end)
{
    _Atomic int *inside = (_Atomic int *)(intptr_t)slots[0], *most = (_Atomic int *)(intptr_t)slots[1];
    int now = atomic_fetch_add(inside, 1) + 1, seen = atomic_load(most);
    (void)begin, (void)end;
    while (now > seen && !atomic_compare_exchange_weak(most, &seen, now))
        ;
    usleep(50);
    atomic_fetch_sub(inside, 1);
}

static void test_pool_limit(void **state)
{
    struct pool *p = pool_new(8);
    (void)state;
    assert_int_equal(pool_threads(p), 8);
    for (unsigned limit = 8; limit >= 1; limit--)
        for (int i = 0; i < 20; i++) {
            _Atomic int inside = 0, most = 0;
            int64_t slots[] = {(intptr_t)&inside, (intptr_t)&most};
            pool_run(p, crowd, slots, 64, 1, limit, NULL);
            assert_in_range(most, 1, limit);
            assert_int_equal(inside, 0);
        }
    pool_free(p);
    p = pool_new(0);
    assert_true(pool_threads(p) >= 1);
    pool_free(p);
    p = pool_new(1000000);
    assert_in_range(pool_threads(p), 1, 1000000);
    pool_free(p); /* never used */
    pool_free(NULL);
}

/* ---- watched ---- */

struct looks {
    int calls, most; /* the last call stops */
    double done;
};

static int look(void *user, double done)
{
    struct looks *l = user;
    assert_true(done >= l->done && done <= 1);
    l->done = done;
    return ++l->calls >= l->most;
}

static void slow_count(const int64_t *slots, int64_t begin, int64_t end)
{
    struct timespec t = {0, 2000000};
    nanosleep(&t, NULL);
    atomic_fetch_add((_Atomic int64_t *)(intptr_t)slots[0], end - begin);
}

static void *ask_from_elsewhere(void *watch)
{
    return watch_asked(watch) ? watch : NULL;
}

static bool elsewhere(struct watch *w)
{
    pthread_t t;
    void *said;
    assert_int_equal(pthread_create(&t, NULL, ask_from_elsewhere, w), 0);
    pthread_join(t, &said);
    return said == w;
}

/* From inside of work: the owner looks, the others learn what came of it. */
static void test_watch_asked(void **state)
{
    (void)state;
    struct looks l = {.most = 2};
    struct watch w;
    watch_init(&w, look, &l);
    assert_int_equal(watch_asked(NULL), 0);
    w.next_ns = 0;
    assert_false(elsewhere(&w));
    assert_int_equal(l.calls, 0);
    assert_int_equal(watch_asked(&w), 0);
    assert_int_equal(l.calls, 1);
    assert_int_equal(watch_asked(&w), 0); /* too soon for another look */
    assert_int_equal(l.calls, 1);
    w.next_ns = 0;
    assert_int_equal(watch_asked(&w), 1);
    assert_true(elsewhere(&w));
    assert_int_equal(watch_asked(&w), 1);
    assert_int_equal(l.calls, 2);
    watch_init(&w, NULL, NULL);
    assert_int_equal(watch_asked(&w), 0);
}

/* 2 ms a piece: some 20 looks a second. */
static void test_pool_watched(void **state)
{
    struct pool *p = pool_new(4);
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads += 3) {
        _Atomic int64_t total = 0;
        int64_t slots[] = {(intptr_t)&total};
        struct looks l = {.most = 3};
        struct watch w;
        watch_init(&w, look, &l);
        assert_false(pool_run(p, slow_count, slots, 100000, 10, threads, &w));
        assert_int_equal(l.calls, 3);
        assert_in_range(total, 1, 99999);
        l = (struct looks){.most = 1000};
        total = 0;
        watch_init(&w, look, &l);
        assert_true(pool_run(p, slow_count, slots, 1001, 10, threads, &w));
        assert_int_equal(total, 1001);
        total = 0;
        watch_init(&w, NULL, NULL);
        assert_true(pool_run(p, count, slots, 1000, 10, threads, &w));
        assert_int_equal(total, 1000);
    }
    pool_free(p);
}

static void *call_often(void *arg)
{
    _Atomic int64_t total = 0;
    int64_t slots[] = {(intptr_t)&total};
    for (int i = 0; i < 2000; i++)
        pool_run(arg, count, slots, 1000, 10, 0, NULL);
    return atomic_load(&total) == 2000 * 1000 ? NULL : arg;
}

static void test_pool_callers(void **state)
{
    struct pool *p = pool_new(4);
    pthread_t t[3];
    (void)state;
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, call_often, p);
    for (int i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(t[i], &wrong);
        assert_null(wrong);
    }
    pool_free(p);
}

#if defined(__SANITIZE_THREAD__)
static void test_pool_fork(void **state)
{
    (void)state;
    skip(); /* the sanitizer follows no threads started after a fork */
}
#else
static void test_pool_fork(void **state)
{
    struct pool *p = pool_new(4);
    int status;
    (void)state;
    assert_null(call_often(p));
    pid_t child = fork();
    if (child == 0)
        _exit(call_often(p) ? 1 : 0);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_null(call_often(p));
    pool_free(p);
}
#endif

#if defined(__x86_64__)
/* mov eax, 42; ret */
static struct kernel_image answer(void)
{
    static const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    struct kernel_image im = {.kind = IMAGE_NATIVE, .size = sizeof code, .n_entries = 1};
    im.bytes = malloc(sizeof code);
    memcpy(im.bytes, code, sizeof code);
    im.entries = calloc(1, sizeof *im.entries);
    return im;
}

static void test_loader(void **state)
{
    struct diags d;
    struct loaded_code code;
    struct kernel_image im = answer();
    int (*fn)(void);
    (void)state;
    diags_init(&d);
    assert_true(loader_map(&code, &im, &d));
    memcpy(&fn, &code.base, sizeof fn);
    assert_int_equal(fn(), 42);
    loader_unmap(&code);
    im.entries[0].offset = (uint32_t)im.size;
    assert_false(loader_map(&code, &im, &d));
    im.entries[0].offset = 1 << 20;
    assert_false(loader_map(&code, &im, &d));
    im.entries[0].offset = 0;
    struct image_import bad = {"system", 8}, outside = {"fma", 12};
    im.imports = &bad;
    im.n_imports = 1;
    assert_false(loader_map(&code, &im, &d));
    im.imports = &outside;
    assert_false(loader_map(&code, &im, &d));
    assert_int_equal(d.n_errors, 4);
    im.imports = NULL;
    image_fini(&im);
    diags_fini(&d);
}

/* jmp [rip + 2], the address at 8 */
static void test_import(void **state)
{
    static const uint8_t stub[16] = {0xff, 0x25, 2, 0, 0, 0};
    struct diags d;
    struct loaded_code code;
    struct kernel_image im = answer();
    struct image_import ours = {"fma", 8};
    double (*fn)(double, double, double);
    (void)state;
    diags_init(&d);
    memcpy(im.bytes, stub, sizeof stub);
    im.imports = &ours;
    im.n_imports = 1;
    assert_true(loader_map(&code, &im, &d));
    memcpy(&fn, &code.base, sizeof fn);
    assert_true(fn(3, 5, 7) == 22);
    loader_unmap(&code);
    im.imports = NULL;
    image_fini(&im);
    assert_int_equal(d.n, 0);
    diags_fini(&d);
}

/* mov rax, [rdi]; lock add [rax], rdx - rsi; through the device: every item once, wrong entries and kinds refused */
static void test_launch(void **state)
{
    static const uint8_t bytes[] = {0x48, 0x8b, 0x07, 0x48, 0x29, 0xf2, 0xf0, 0x48, 0x01, 0x10, 0xc3};
    struct diags d;
    struct device_module *m;
    struct kernel_image im = answer();
    int64_t total = 0, slots[] = {(intptr_t)&total};
    struct device_launch l = {.slots = slots, .n_slots = 1, .items = 12345, .grain = 64};
    (void)state;
    diags_init(&d);
    struct device *dev = cpu_device_open(4, &d);
    memcpy(im.bytes, bytes, sizeof bytes);
    assert_true(dev->ops->load(dev, &im, &m, &d));
    assert_true(dev->ops->launch(dev, m, 0, &l, NULL, &d));
    assert_int_equal(total, 12345);
    assert_true(cpu_launch_with(dev, m, 0, &l, 2, &d));
    assert_int_equal(total, 2 * 12345);
    assert_int_equal(d.n, 0);
    assert_false(dev->ops->launch(dev, m, 1, &l, NULL, &d));
    dev->ops->unload(dev, m);
    im.kind = IMAGE_PTX;
    assert_false(dev->ops->load(dev, &im, &m, &d));
    assert_int_equal(d.n_errors, 2);
    assert_int_equal(d.at[0].id, AX_internal); /* no such entry */
    assert_int_equal(d.at[1].id, AX_load_failed);
    dev->ops->close(dev);
    image_fini(&im);
    diags_fini(&d);
}

#else
static void test_loader(void **state)
{
    (void)state;
    skip(); /* the code is for x86-64 */
}

static void test_import(void **state)
{
    (void)state;
    skip();
}

static void test_launch(void **state)
{
    (void)state;
    skip();
}
#endif

static void test_device(void **state)
{
    struct diags d;
    void *p;
    (void)state;
    diags_init(&d);
    struct device *dev = cpu_device_open(2, &d);
    assert_int_equal(cpu_device_threads(dev), 2);
    for (size_t size = 0; size < 300; size += 77) {
        assert_true(dev->ops->alloc(dev, size, NULL, &p, &d));
        assert_int_equal((uintptr_t)p % 64, 0);
        dev->ops->free(dev, p);
    }
    assert_false(dev->ops->alloc(dev, SIZE_MAX / 2, NULL, &p, &d));
    assert_int_equal(d.at[0].id, AX_out_of_memory);
    dev->ops->close(dev);
    diags_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_covers), cmocka_unit_test(test_pool_watched), cmocka_unit_test(test_watch_asked), cmocka_unit_test(test_pool_callers), cmocka_unit_test(test_pool_fork),
        cmocka_unit_test(test_pool_limit), cmocka_unit_test(test_import), cmocka_unit_test(test_launch),
        cmocka_unit_test(test_loader), cmocka_unit_test(test_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
