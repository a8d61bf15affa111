/*
 * The CUDA device over the fake driver: what it does, and that every call of the driver may fail, early or late, with a
 * diagnostic and nothing left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cuda/driver.h"
#include "device.h"

/* As in fake_cuda.c. */
struct fake_launch {
    unsigned grid[3], block[3], shared, n_slots;
    int entry;
    long long slots[64];
};

static char fake_path[4096], old_path[4096];
static struct {
    void (*reset)(void), (*fail_at)(const char *, int, int), (*limit)(size_t);
    int (*failed)(void), (*live)(void), (*synchronised)(void), (*launches)(void), (*out_of_order)(void), (*waits)(void);
    const void *(*last_launch)(void);
} fake;

static void *look_up(void *lib, const char *name)
{
    void *p = dlsym(lib, name);
    assert_non_null(p);
    return p;
}

static struct kernel_image image(void)
{
    struct kernel_image im = {.kind = IMAGE_PTX, .size = 5, .n_entries = 2};
    im.bytes = (uint8_t *)strdup("fake");
    im.entries = calloc(2, sizeof *im.entries);
    strcpy(im.entries[0].name, "n0_main");
    strcpy(im.entries[1].name, "n0_join");
    return im;
}

/* Everything a program does with a device. True when all of it worked. */
static bool scenario(struct diags *d)
{
    int64_t slots[] = {42, 7};
    char data[100], back[100] = {0};
    void *a = NULL, *b = NULL, *stream = NULL, *page = NULL;
    struct device_module *m = NULL;
    struct kernel_image im = image();
    struct device_launch l = {.slots = slots, .n_slots = 2, .grid = {3, 2, 1}, .block = {32, 4, 1}, .shared_bytes = 48};
    memset(data, 5, sizeof data);
    struct device *dev = cuda_device_open(fake_path, 0, d);
    bool ok = dev && dev->ops->alloc(dev, 100, NULL, &a, d) && dev->ops->alloc(dev, 100, NULL, &b, d) && dev->ops->copy_in(dev, a, data, 100, NULL, d) &&
              dev->ops->zero(dev, b, 100, NULL, d) && dev->ops->copy(dev, b, a, 100, NULL, d) && dev->ops->load(dev, &im, &m, d) &&
              dev->ops->launch(dev, m, 1, &l, NULL, d) && dev->ops->synchronize(dev, NULL, d) && dev->ops->copy_out(dev, back, b, 100, NULL, d) &&
              cuda_stream_new(dev, &stream, d) && (page = cuda_shared_new(dev, d)) != NULL;
    if (ok)
        assert_memory_equal(data, back, 100);
    if (page)
        cuda_shared_free(dev, page);
    if (stream)
        cuda_stream_free(dev, stream);
    if (m)
        dev->ops->unload(dev, m);
    if (a)
        dev->ops->free(dev, a);
    if (b)
        dev->ops->free(dev, b);
    if (dev)
        dev->ops->close(dev);
    image_fini(&im);
    return ok;
}

static void test_works(void **state)
{
    struct diags d;
    (void)state;
    fake.reset();
    diags_init(&d);
    assert_true(scenario(&d));
    assert_int_equal(d.n, 0);
    assert_int_equal(fake.live(), 0);
    assert_int_equal(fake.launches(), 1);
    const struct fake_launch *l = fake.last_launch();
    static const struct fake_launch want = {{3, 2, 1}, {32, 4, 1}, 48, 2, 1, {42, 7}};
    assert_memory_equal(l, &want, sizeof want);
    assert_int_equal(fake.out_of_order(), 0);
    diags_fini(&d);
}

/* Failures of these change nothing for the caller. */
static bool is_quiet(const char *symbol)
{
    static const char *const quiet[] = {"cuMemFree_v2", "cuModuleUnload", "cuDevicePrimaryCtxRelease_v2", "cuCtxPopCurrent_v2", "cuCtxSynchronize", "cuCtxGetCurrent", "cuStreamDestroy_v2", "cuMemFreeHost",
                                        "cuGetErrorName", "cuGetErrorString", "cuMemGetInfo_v2"};
    for (unsigned i = 0; i < sizeof quiet / sizeof *quiet; i++)
        if (strcmp(symbol, quiet[i]) == 0)
            return true;
    return false;
}

/* The scenario enters the context eleven times for work, then to give back, when nobody is told any more. */
static void fails_well(const char *symbol)
{
    int most = strcmp(symbol, "cuCtxPushCurrent_v2") == 0 ? 11 : 3;
    for (int nth = 1; nth <= most; nth++) {
        struct diags d;
        diags_init(&d);
        fake.reset();
        fake.fail_at(symbol, nth, 999);
        bool ok = scenario(&d);
        assert_int_equal(ok, is_quiet(symbol) || !fake.failed());
        assert_int_equal(diags_has_errors(&d), !ok);
        assert_int_equal(fake.live(), 0);
        diags_fini(&d);
    }
}

static void test_every_failure(void **state)
{
    (void)state;
#define DRIVER(name, symbol, parameters, arguments) fails_well(symbol);
#include "driver.def"
#undef DRIVER
}

/* The context cannot be entered while giving back: nothing is freed on the GPU, but nothing of ours is lost either. */
static void test_close_without_context(void **state)
{
    (void)state;
    for (int nth = 2; nth <= 4; nth++) {
        struct diags d;
        void *a, *b;
        diags_init(&d);
        fake.reset();
        struct device *dev = cuda_device_open(fake_path, 0, &d);
        fake.fail_at("cuCtxPushCurrent_v2", nth + 1, 999);
        assert_true(dev->ops->alloc(dev, 100, NULL, &a, &d) && dev->ops->alloc(dev, 5000, NULL, &b, &d));
        dev->ops->free(dev, a);
        dev->ops->free(dev, b);
        dev->ops->close(dev);
        assert_int_equal(d.n, 0);
        diags_fini(&d);
    }
}

static void *const one = (void *)0x1000, *const two = (void *)0x2000; /* streams */

/* What another stream has freed serves only once all work was waited for, and the wait succeeded. */
static void test_failed_wait(void **state)
{
    enum { SIZE = 1 << 26 }; /* so much is rather waited for than left lying */
    struct diags d;
    void *a, *b;
    (void)state;
    fake.reset();
    diags_init(&d);
    struct device *dev = cuda_device_open(fake_path, 0, &d);
    assert_true(dev->ops->alloc(dev, SIZE, one, &a, &d) && dev->ops->zero(dev, a, 64, one, &d));
    dev->ops->free(dev, a);
    fake.fail_at("cuCtxSynchronize", 1, 999);
    assert_true(dev->ops->alloc(dev, SIZE, two, &b, &d));
    assert_ptr_not_equal(a, b);
    dev->ops->free(dev, b);
    fake.fail_at("none", 1, 0);
    assert_true(dev->ops->alloc(dev, SIZE, NULL, &b, &d) && dev->ops->zero(dev, b, 64, NULL, &d));
    assert_int_equal(fake.synchronised(), 1);
    assert_int_equal(fake.out_of_order(), 0);
    assert_int_equal(fake.live(), 3); /* two pieces and the context */
    fake.fail_at("cuCtxSynchronize", 1, 999);
    assert_false(cuda_wait_all(dev, &d));
    assert_int_equal(d.at[0].id, AX_driver_error);
    dev->ops->free(dev, b);
    dev->ops->close(dev);
    assert_int_equal(fake.live(), 0);
    diags_fini(&d);
}

static void test_out_of_memory(void **state)
{
    struct diags d;
    void *a, *b;
    (void)state;
    fake.reset();
    diags_init(&d);
    fake.limit(4096);
    struct device *dev = cuda_device_open(fake_path, 1, &d);
    assert_non_null(dev);
    assert_true(dev->ops->alloc(dev, 3000, NULL, &a, &d));
    dev->ops->free(dev, a); /* kept for reuse, and given up when the driver has nothing left */
    assert_true(dev->ops->alloc(dev, 2000, NULL, &b, &d));
    assert_false(dev->ops->alloc(dev, 1 << 20, NULL, &a, &d));
    assert_int_equal(d.at[0].id, AX_device_out_of_memory);
    assert_non_null(strstr(d.at[0].message, "4096"));
    assert_non_null(strstr(d.at[0].message, "2048")); /* what is free */
    dev->ops->free(dev, b);
    dev->ops->close(dev);
    assert_int_equal(fake.live(), 0);
    diags_fini(&d);
}

static void *place(struct device *dev, void *stream)
{
    struct diags d;
    void *p = NULL;
    diags_init(&d);
    assert_true(dev->ops->alloc(dev, 64, stream, &p, &d) && dev->ops->zero(dev, p, 64, stream, &d));
    diags_fini(&d);
    return p;
}

/* On one stream memory is used again at once, on another not before a wait; nor what two have used, or somebody outside. */
static void test_memory_by_stream(void **state)
{
    struct diags d;
    void *a, *b, *kept[8];
    (void)state;
    fake.reset();
    diags_init(&d);
    struct device *dev = cuda_device_open(fake_path, 0, &d);
    a = place(dev, NULL);
    dev->ops->free(dev, a);
    assert_ptr_equal(place(dev, DEVICE_STREAM_DEFAULT), a); /* the same stream */
    dev->ops->free(dev, a);
    b = place(dev, one);
    assert_ptr_not_equal(a, b);
    dev->ops->uses(dev, (char *)b + 32, NULL); /* within it */
    dev->ops->free(dev, b);
    assert_ptr_not_equal(place(dev, one), b);
    assert_ptr_equal(place(dev, NULL), a);
    dev->ops->uses(dev, a, DEVICE_STREAMS_OF_OTHERS);
    dev->ops->free(dev, a);
    assert_ptr_not_equal(place(dev, NULL), a);
    assert_int_equal(fake.synchronised(), 0);
    assert_true(cuda_wait_all(dev, &d));
    assert_true(place(dev, NULL) == b || place(dev, NULL) == b);
    a = place(dev, DEVICE_STREAM_OF_THREAD); /* another one in each thread */
    dev->ops->free(dev, a);
    assert_ptr_not_equal(place(dev, DEVICE_STREAM_OF_THREAD), a);
    for (int i = 0; i < 8; i++)
        kept[i] = place(dev, one);
    for (int i = 0; i < 8; i++)
        dev->ops->free(dev, kept[i]);
    int before = fake.synchronised();
    place(dev, two); /* enough lies about to be worth a wait */
    assert_int_equal(fake.synchronised(), before + 1);
    assert_int_equal(fake.out_of_order(), 0);
    dev->ops->close(dev);
    assert_int_equal(fake.live(), 0);
    diags_fini(&d);
}

/* What the host reads by the default stream, other streams may still be writing. */
static void test_copies_wait_for_other_streams(void **state)
{
    struct diags d;
    char back[64];
    (void)state;
    fake.reset();
    diags_init(&d);
    struct device *dev = cuda_device_open(fake_path, 0, &d);
    void *a = place(dev, one);
    assert_true(dev->ops->copy_out(dev, back, a, 64, NULL, &d) && dev->ops->copy_out(dev, back, a, 64, NULL, &d));
    assert_int_equal(fake.synchronised(), 1);
    assert_int_equal(fake.out_of_order(), 0);
    dev->ops->close(dev);
    diags_fini(&d);
}

/* Copies that the host has a part in are waited for, and the stream even where nothing is copied out; copies within the device are not. */
static void test_copies_are_waited_for(void **state)
{
    struct diags d;
    char here[64] = {0};
    (void)state;
    fake.reset();
    diags_init(&d);
    struct device *dev = cuda_device_open(fake_path, 0, &d);
    const struct device_ops *o = dev->ops;
    void *a = place(dev, NULL), *b = place(dev, NULL);
    int before = fake.waits();
    assert_true(o->copy(dev, a, b, 64, NULL, &d) && o->copy(dev, a, b, 0, NULL, &d) && o->copy_in(dev, a, here, 0, NULL, &d));
    assert_int_equal(fake.waits(), before);
    assert_true(o->copy_in(dev, a, here, 64, NULL, &d));
    assert_int_equal(fake.waits(), before + 1);
    assert_true(o->copy_out(dev, here, a, 64, NULL, &d));
    assert_int_equal(fake.waits(), before + 2);
    assert_true(o->copy_out(dev, here, a, 0, NULL, &d));
    assert_int_equal(fake.waits(), before + 3);
    o->close(dev);
    diags_fini(&d);
}

static void test_shared(void **state)
{
    enum { N = 100 };
    struct diags d;
    char *at[N];
    (void)state;
    fake.reset();
    diags_init(&d);
    struct device *dev = cuda_device_open(fake_path, 0, &d);
    for (int i = 0; i < N; i++) {
        at[i] = cuda_shared_new(dev, &d);
        for (int k = 0; k < CUDA_SHARED; k++)
            assert_int_equal(at[i][k], 0);
        memset(at[i], i + 1, CUDA_SHARED);
    }
    for (int i = 0; i < N; i++)
        assert_true(at[i][0] == (char)(i + 1) && at[i][CUDA_SHARED - 1] == (char)(i + 1));
    assert_int_equal(fake.live(), 3); /* two pages and the context */
    cuda_shared_free(dev, at[70]);
    assert_ptr_equal(cuda_shared_new(dev, &d), at[70]);
    assert_int_equal(at[70][5], 0);
    dev->ops->close(dev);
    assert_int_equal(fake.live(), 0);
    diags_fini(&d);
}

static void refused(const char *file, enum diag_id id, const char *word)
{
    struct diags d;
    diags_init(&d);
    assert_null(cuda_device_open(file, 0, &d));
    assert_int_equal(d.at[0].id, id);
    struct strbuf text = {0};
    diags_render(&d, &text);
    assert_non_null(strstr(text.s, word));
    strbuf_fini(&text);
    diags_fini(&d);
}

static void test_no_driver(void **state)
{
    (void)state;
    refused("/nowhere/libcuda.so.1", AX_no_driver, "/nowhere/libcuda.so.1");
    refused("/etc/passwd", AX_no_driver, "/etc/passwd");
    refused("libm.so.6", AX_driver_too_old, "cuInit");
    if (access(old_path, R_OK) == 0) /* a bundle need not have it */
        refused(old_path, AX_driver_too_old, "cuCtxSynchronize");
}

static void test_no_device(void **state)
{
    struct diags d;
    (void)state;
    diags_init(&d);
    fake.reset();
    assert_null(cuda_device_open(fake_path, 7, &d));
    assert_int_equal(d.at[0].id, AX_no_device);
    assert_int_equal(cuda_device_count(fake_path, &d), 2);
    diags_fini(&d);
}

static void test_rejected(void **state)
{
    struct diags d;
    struct device_module *m;
    struct kernel_image im = image();
    (void)state;
    diags_init(&d);
    fake.reset();
    struct device *dev = cuda_device_open(fake_path, 0, &d);
    fake.fail_at("cuModuleLoadDataEx", 1, CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
    assert_false(dev->ops->load(dev, &im, &m, &d));
    assert_int_equal(d.at[0].id, AX_ptx_rejected);
    struct strbuf text = {0};
    diags_render(&d, &text);
    assert_non_null(strstr(text.s, "line 3: this is no PTX"));
    strbuf_fini(&text);
    assert_true(dev->ops->load(dev, &im, &m, &d)); /* the device goes on */
    assert_false(dev->ops->launch(dev, m, 2, &(struct device_launch){0}, NULL, &d));
    dev->ops->unload(dev, m);
    im.kind = IMAGE_NATIVE;
    assert_false(dev->ops->load(dev, &im, &m, &d));
    assert_int_equal(fake.live(), 1); /* the context */
    dev->ops->close(dev);
    image_fini(&im);
    diags_fini(&d);
}

struct user {
    struct device *device;
    struct device_module *module;
    void *stream;
    unsigned wrong;
};

static void *use_much(void *arg)
{
    struct user *u = arg;
    const struct device_ops *o = u->device->ops;
    struct diags d;
    diags_init(&d);
    for (int i = 0; i < 500; i++) {
        void *p;
        int64_t slots[] = {i, i}, back[2] = {0};
        struct device_launch l = {.slots = slots, .n_slots = 2, .grid = {1, 1, 1}, .block = {32, 1, 1}};
        if (!o->alloc(u->device, (size_t)(i % 7 + 1) * 100, u->stream, &p, &d)) {
            u->wrong++;
            continue;
        }
        bool ok = o->copy_in(u->device, p, slots, sizeof slots, u->stream, &d) && o->launch(u->device, u->module, 0, &l, u->stream, &d) &&
                  o->copy_out(u->device, back, p, sizeof back, u->stream, &d);
        u->wrong += !ok || memcmp(slots, back, sizeof back) != 0;
        o->free(u->device, p);
    }
    u->wrong += diags_has_errors(&d);
    diags_fini(&d);
    return NULL;
}

/* Each thread with a stream of its own: memory does not go from one to the other without a wait. */
static void test_threads(void **state)
{
    struct diags d;
    pthread_t t[2];
    struct user u[2];
    struct kernel_image im = image();
    struct device_module *m;
    (void)state;
    diags_init(&d);
    fake.reset();
    struct device *dev = cuda_device_open(fake_path, 0, &d);
    assert_true(dev->ops->load(dev, &im, &m, &d));
    for (int i = 0; i < 2; i++) {
        u[i] = (struct user){dev, m, i ? two : one, 0};
        pthread_create(&t[i], NULL, use_much, &u[i]);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(u[0].wrong + u[1].wrong, 0);
    assert_int_equal(fake.launches(), 1000);
    assert_int_equal(fake.out_of_order(), 0);
    dev->ops->unload(dev, m);
    dev->ops->close(dev);
    assert_int_equal(fake.live(), 0);
    image_fini(&im);
    diags_fini(&d);
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *slash = strrchr(argv[0], '/');
    int folder = slash ? (int)(slash - argv[0]) : 1;
    snprintf(fake_path, sizeof fake_path, "%.*s/libfake_cuda.so", folder, slash ? argv[0] : ".");
    snprintf(old_path, sizeof old_path, "%.*s/libfake_cuda_old.so", folder, slash ? argv[0] : ".");
    void *lib = dlopen(fake_path, RTLD_NOW);
    if (!lib)
        return 77;
    fake.reset = (void (*)(void))look_up(lib, "fake_reset");
    fake.fail_at = (void (*)(const char *, int, int))look_up(lib, "fake_fail");
    fake.limit = (void (*)(size_t))look_up(lib, "fake_memory_limit");
    fake.failed = (int (*)(void))look_up(lib, "fake_failed");
    fake.live = (int (*)(void))look_up(lib, "fake_live");
    fake.synchronised = (int (*)(void))look_up(lib, "fake_synchronised");
    fake.launches = (int (*)(void))look_up(lib, "fake_launches");
    fake.last_launch = (const void *(*)(void))look_up(lib, "fake_last_launch");
    fake.out_of_order = (int (*)(void))look_up(lib, "fake_out_of_order");
    fake.waits = (int (*)(void))look_up(lib, "fake_waits");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_works), cmocka_unit_test(test_every_failure), cmocka_unit_test(test_close_without_context), cmocka_unit_test(test_failed_wait),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_memory_by_stream), cmocka_unit_test(test_copies_wait_for_other_streams), cmocka_unit_test(test_copies_are_waited_for),
        cmocka_unit_test(test_shared), cmocka_unit_test(test_no_driver), cmocka_unit_test(test_no_device), cmocka_unit_test(test_rejected), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
