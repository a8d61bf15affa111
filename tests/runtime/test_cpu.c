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
    pool_run(p, mark, &grain, items, grain, threads);
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
            for (int64_t grain = 1; grain <= 1000; grain = grain * 10 + 1)
                covers_once(p, items[i], grain, i % 3);
        pool_free(p);
    }
}

static void count(const int64_t *slots, int64_t begin, int64_t end)
{
    atomic_fetch_add((_Atomic int64_t *)(intptr_t)slots[0], end - begin);
}

static void *call_often(void *arg)
{
    _Atomic int64_t total = 0;
    int64_t slots[] = {(intptr_t)&total};
    for (int i = 0; i < 2000; i++)
        pool_run(arg, count, slots, 1000, 10, 0);
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
    im.entries[0].offset = 1 << 20;
    assert_false(loader_map(&code, &im, &d));
    im.entries[0].offset = 0;
    struct image_import bad = {"system", 8}, outside = {"fma", 12};
    im.imports = &bad;
    im.n_imports = 1;
    assert_false(loader_map(&code, &im, &d));
    im.imports = &outside;
    assert_false(loader_map(&code, &im, &d));
    assert_int_equal(d.n_errors, 3);
    im.imports = NULL;
    image_fini(&im);
    diags_fini(&d);
}

static void test_device(void **state)
{
    struct diags d;
    void *p;
    (void)state;
    diags_init(&d);
    struct device *dev = cpu_device_open(2, &d);
    assert_int_equal(cpu_device_threads(dev), 2);
    for (size_t size = 0; size < 300; size += 77) {
        assert_true(dev->ops->alloc(dev, size, &p, &d));
        assert_int_equal((uintptr_t)p % 64, 0);
        dev->ops->free(dev, p);
    }
    assert_false(dev->ops->alloc(dev, SIZE_MAX / 2, &p, &d));
    assert_int_equal(d.at[0].id, AX_out_of_memory);
    dev->ops->close(dev);
    diags_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_covers), cmocka_unit_test(test_pool_callers), cmocka_unit_test(test_pool_fork),
        cmocka_unit_test(test_loader), cmocka_unit_test(test_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
