/* See fake.h. */
#include <dlfcn.h>
#include <unistd.h>
#include "fake.h"

struct fake fake;

/* Beside this program where tests are packed, in the folder of the runtime's tests where they are built. */
static void find_file(char *out, size_t room, const char *folder, const char *name)
{
    snprintf(out, room, "%s/%s", folder, name);
    if (access(out, R_OK))
        snprintf(out, room, "%s/../runtime/%s", folder, name);
}

void find_fake(const char *folder)
{
    find_file(fake.path, sizeof fake.path, folder, "libfake_cuda.so");
    find_file(fake.old_path, sizeof fake.old_path, folder, "libfake_cuda_old.so");
}

void find_function(const char *name, void *out)
{
    void *p = dlsym(fake.handle, name);
    assert_non_null(p);
    memcpy(out, &p, sizeof p);
}

int open_fake(void **state)
{
    (void)state;
    fake.handle = dlopen(fake.path, RTLD_NOW | RTLD_LOCAL);
    if (!fake.handle)
        fail_msg("%s", dlerror());
    find_function("fake_reset", &fake.reset);
    find_function("fake_fail", &fake.refuse);
    find_function("fake_memory_limit", &fake.memory_limit);
    find_function("fake_live", &fake.live);
    find_function("fake_launches", &fake.launches);
    find_function("fake_counts", &fake.counts);
    find_function("fake_last_launch", &fake.last_launch);
    fake.reset();
    return 0;
}

int close_fake(void **state)
{
    (void)state;
    return dlclose(fake.handle);
}

void context_over(const char *driver, int device)
{
    arex_context_options o;
    arex_context_options_init(&o);
    o.cuda_driver = driver;
    o.device = device;
    assert_int_equal(arex_context_new(&o, &context, NULL), AREX_OK);
}

void context_done(void)
{
    arex_context_free(context);
    context = NULL;
    assert_int_equal(fake.live(), 0);
}
