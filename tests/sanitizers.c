/*
 * Options of the sanitizers for tests that ask for memory that is not there: it is to be refused, as malloc does, and not
 * end the test. A fork is followed too.
 */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1:die_after_fork=0";
}
