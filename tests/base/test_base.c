/* The ground everything stands on: arenas, arrays, text, hashes, and how diagnostics are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/diag.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/slab.h"
#include "base/vec.h"

/* ---- arena ---- */

static void test_arena(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, 0);
    for (size_t n = 0; n < 5000; n += 7) {
        unsigned char *p = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    unsigned char *large = arena_alloc(&a, 3 << 20);
    assert_int_equal(large[(3 << 20) - 1], 0);
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    arena_fini(&a);
}

struct taken {
    unsigned times;
    char *at[4];
};

static const size_t slab_counts[] = {3, 0, 1, 40}, slab_sizes[] = {8, 4, 1, 3};

static void take(void *owner, struct slab *s)
{
    struct taken *t = owner;
    t->times++;
    for (unsigned i = 0; i < 4; i++)
        t->at[i] = slab_take(s, slab_counts[i], slab_sizes[i]);
}

/* Counted first, then there, zeroed, each after the other. */
static void test_slab(void **state)
{
    struct taken t = {0};
    struct slab counting = {0};
    (void)state;
    take(&t, &counting);
    for (unsigned i = 0; i < 4; i++)
        assert_null(t.at[i]);
    t.times = 0;
    char *memory = slab_new(take, &t), *end = memory;
    assert_non_null(memory);
    assert_int_equal(t.times, 2);
    for (unsigned i = 0; i < 4; i++) {
        size_t bytes = slab_counts[i] * slab_sizes[i];
        assert_int_equal((uintptr_t)t.at[i] % 16, 0);
        assert_true(t.at[i] >= end);
        for (size_t k = 0; k < bytes; k++)
            assert_int_equal(t.at[i][k], 0);
        memset(t.at[i], 1, bytes);
        end = t.at[i] + bytes;
    }
    assert_true(end <= memory + counting.used);
    free(memory);
}

static void test_arena_limit(void **state)
{
    struct arena a;
    jmp_buf failed;
    volatile unsigned n = 0;
    (void)state;
    arena_init(&a, 10000);
    a.on_fail = &failed;
    if (setjmp(failed) == 0)
        for (;;) {
            arena_alloc(&a, 100);
            n++;
        }
    assert_int_equal(a.failure, ARENA_OVER_LIMIT);
    assert_in_range(n, 80, 100);
    if (setjmp(failed) == 0) {
        arena_alloc(&a, SIZE_MAX - 8); /* rounding up must not wrap */
        fail();
    }
    arena_fini(&a);
}

static void test_vec(void **state)
{
    struct arena a;
    VEC(uint32_t) v = {0};
    (void)state;
    arena_init(&a, 0);
    for (uint32_t i = 0; i < 10000; i++)
        vec_push(&a, &v, i * i);
    assert_int_equal(v.n, 10000);
    for (uint32_t i = 0; i < v.n; i++)
        assert_int_equal(v.at[i], i * i);
    arena_fini(&a);
}

/* ---- text ---- */

static void test_str(void **state)
{
    (void)state;
    assert_true(str_eq(str_of("ab"), (struct str){"abc", 2}));
    assert_false(str_eq(str_of("ab"), str_of("abc")));
    assert_true(str_eq((struct str){NULL, 0}, str_of("")));
    assert_true(str_is(str_of("x"), "x"));
    assert_int_equal(str_distance(str_of("maximum"), str_of("maxmium"), 3), 1); /* two letters changed places */
    assert_int_equal(str_distance(str_of("sqrt"), str_of("sqr"), 3), 1);
    assert_int_equal(str_distance(str_of(""), str_of("abc"), 5), 3);
    assert_int_equal(str_distance(str_of("abcdef"), str_of("uvwxyz"), 2), 3);
}

static void test_strbuf(void **state)
{
    struct strbuf b = {0};
    (void)state;
    for (int i = 0; i < 1000; i++)
        strbuf_printf(&b, "%d,", i);
    assert_int_equal(b.n, strlen(b.s));
    assert_memory_equal(b.s + b.n - 4, "999,", 5);
    char *text = strbuf_take(&b);
    assert_null(b.s);
    free(text);
    text = strbuf_take(&b);
    assert_string_equal(text, "");
    free(text);
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        unsigned n, length;
    } cases[] = {
        {"a", 1, 1}, {"\0", 1, 0}, {"\x7f", 1, 1}, {"\x80", 1, 0}, {"\xbf", 1, 0}, {"\xc1\xbf", 2, 0}, {"\xc2\x80", 2, 2}, {"\xc2\x80", 1, 0}, {"\xc2\x7f", 2, 0},
        {"\xdf\xbf", 2, 2}, {"\xe0\x9f\xbf", 3, 0}, {"\xe0\xa0\x80", 3, 3}, {"\xe2\x82\xac", 2, 0}, {"\xe2\x82\x2c", 3, 0}, {"\xed\x9f\xbf", 3, 3}, {"\xed\xa0\x80", 3, 0},
        {"\xee\x80\x80", 3, 3}, {"\xf0\x8f\xbf\xbf", 4, 0}, {"\xf0\x90\x80\x80", 4, 4}, {"\xf4\x8f\xbf\xbf", 4, 4}, {"\xf4\x90\x80\x80", 4, 0}, {"\xf5\x80\x80\x80", 4, 0}, {"\xff", 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(utf8_length(cases[i].text, cases[i].n), cases[i].length);
}

static void expect_float(double v, int bits, const char *text)
{
    struct strbuf b = {0};
    strbuf_float(&b, v, bits);
    assert_string_equal(b.s, text);
    strbuf_fini(&b);
}

static void floats(void)
{
    expect_float(0.1, 64, "0.1");
    expect_float(0.1f, 32, "0.1");
    expect_float(1.0 / 3, 64, "0.3333333333333333");
    expect_float(1e300, 64, "1e+300");
    expect_float(-0.0, 64, "-0");
    expect_float(16777217.0, 64, "16777217");
    expect_float(1.0 / 0.0, 64, "inf");
    expect_float(5e-324, 64, "4.94065645841247e-324");
}

/* The text is the same whatever decimal point the user's locale has; in one built for the test it takes two bytes. */
static void test_floats(void **state)
{
    static const char *const commas[] = {"ps_AF.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"};
    (void)state;
    floats();
    for (size_t i = 0; i < sizeof commas / sizeof *commas; i++)
        if (setlocale(LC_NUMERIC, commas[i]))
            floats();
        else
            assert_true(i > 0 || !getenv("LOCPATH"));
    setlocale(LC_NUMERIC, "C");
}

static void test_hash(void **state)
{
    uint64_t a = hash_bytes(HASH_START, "abc", 3), b = hash_bytes(HASH_START, "abd", 3);
    unsigned low = 0;
    (void)state;
    assert_int_not_equal(a, b);
    assert_int_equal(hash_bytes(hash_bytes(HASH_START, "ab", 2), "c", 1), a);
    /* tables use the low bits: small numbers must spread over them */
    for (uint32_t i = 0; i < 256; i++)
        low |= 1u << (hash_bytes(HASH_START, &i, sizeof i) & 31);
    assert_int_equal(low, UINT32_MAX);
}

/* ---- diagnostics ---- */

static char *rendered(struct diags *d)
{
    struct strbuf out = {0};
    diags_render(d, &out);
    diags_fini(d);
    return strbuf_take(&out);
}

static void expect_rendered(const char *source, struct span span, const char *text)
{
    struct diags d;
    diags_init(&d);
    diags_set_source(&d, "f", source, strlen(source));
    diag_add(&d, AX_syntax, span, "m");
    char *got = rendered(&d);
    assert_string_equal(got, text);
    free(got);
}

static void test_render(void **state)
{
    (void)state;
    expect_rendered("a + b\nc d", (struct span){8, 9}, "f:2:3: error[AX0101]: m\n    c d\n      ^\n");
    expect_rendered("abcd", (struct span){1, 3}, "f:1:2: error[AX0101]: m\n    abcd\n     ^~\n");
    expect_rendered("abc", (struct span){3, 3}, "f:1:4: error[AX0101]: m\n    abc\n       ^\n");
    expect_rendered("\tab", (struct span){2, 3}, "f:1:3: error[AX0101]: m\n    \tab\n    \t ^\n");
    expect_rendered("\xc3\xa9\xe2\x82\xac = x", (struct span){8, 9}, "f:1:6: error[AX0101]: m\n    \xc3\xa9\xe2\x82\xac = x\n         ^\n");
    expect_rendered("ab\ncd", (struct span){1, 5}, "f:1:2: error[AX0101]: m\n    ab\n     ^\n"); /* the first line of several */
    expect_rendered("ab", (struct span){90, 99}, "f:1:3: error[AX0101]: m\n    ab\n      ^\n"); /* outside: at the end */
    expect_rendered("ab", (struct span){0, 0}, "error[AX0101]: m\n"); /* nowhere */
    expect_rendered("a\x1b[2J\x7f\x80\xe2\x82 b", (struct span){10, 11}, "f:1:11: error[AX0101]: m\n    a [2J ??? b\n              ^\n"); /* no control characters, UTF-8 only */
}

/* Of a long line the part around the caret is shown. */
static void test_long_line(void **state)
{
    char source[1001];
    struct diags d;
    (void)state;
    for (unsigned at = 0; at < 1000; at += 37) {
        memset(source, '.', 1000);
        source[1000] = 0;
        source[at] = 'X';
        diags_init(&d);
        diags_set_source(&d, "f", source, 1000);
        diag_add(&d, AX_syntax, (struct span){at, at + 1}, "m");
        char *got = rendered(&d), *line = strchr(got, '\n') + 1, *carets = strchr(line, '\n') + 1;
        assert_true(carets - line < 140);
        assert_int_equal(strchr(line, 'X') - line, strchr(carets, '^') - carets);
        free(got);
    }
}

static void test_notes_and_limit(void **state)
{
    struct diags d;
    (void)state;
    diags_init(&d);
    d.limit = 2;
    diags_set_source(&d, "f", "x y", 3);
    diag_add(&d, AX_unused_param, (struct span){0, 1}, "w");
    assert_false(diags_has_errors(&d));
    diag_add(&d, AX_shape_mismatch, (struct span){2, 3}, "e");
    diag_note(&d, (struct span){0, 1}, "see %s", "here");
    for (int i = 0; i < 3; i++)
        diag_add(&d, AX_syntax, (struct span){0, 1}, "more");
    assert_int_equal(d.n, 2);
    assert_int_equal(d.n_errors, 4);
    char *got = rendered(&d);
    assert_string_equal(got, "f:1:1: warning[AX0218]: w\n    x y\n    ^\nf:1:3: error[AX0301]: e\n    x y\n      ^\n  note: see here\n    x y\n    ^\nand 3 more\n");
    free(got);
}

static void test_table(void **state)
{
    (void)state;
    for (unsigned i = 0; i < AX_COUNT; i++) {
        assert_int_equal(strlen(diag_table[i].code), 6);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(diag_table[i].code, diag_table[k].code);
        assert_true(diag_table[i].help[0] && diag_table[i].title[0]);
    }
}

/* ---- locks and forks ---- */

struct held {
    struct lock lock;
    pthread_barrier_t taken, done;
};

static void *hold(void *user)
{
    struct held *h = user;
    lock_take(&h->lock);
    pthread_barrier_wait(&h->taken);
    pthread_barrier_wait(&h->done);
    lock_give(&h->lock);
    return NULL;
}

static void *count_up(void *user)
{
    struct held *h = ((void **)user)[0];
    int *n = ((void **)user)[1];
    for (int i = 0; i < 10000; i++) {
        lock_take(&h->lock);
        ++*n;
        lock_give(&h->lock);
    }
    return NULL;
}

/* In the forked process: the lock is free, and still a lock between its threads. */
static int in_child(struct held *h, unsigned before)
{
    int n = 0;
    void *both[] = {h, &n};
    pthread_t threads[3];
    alarm(20);
#ifdef __SANITIZE_THREAD__ /* it allows no new threads there */
    (void)threads;
    for (unsigned i = 0; i < 3; i++)
        count_up(both);
#else
    for (unsigned i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, count_up, both);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
#endif
    return n == 30000 && fork_count() != before ? 0 : 1;
}

static void test_lock_after_fork(void **state)
{
    struct held h;
    pthread_t holder;
    int status = -1;
    (void)state;
    lock_init(&h.lock);
    pthread_barrier_init(&h.taken, NULL, 2);
    pthread_barrier_init(&h.done, NULL, 2);
    unsigned before = fork_count();
    assert_int_equal(pthread_create(&holder, NULL, hold, &h), 0);
    pthread_barrier_wait(&h.taken);
    pid_t child = fork();
    if (child == 0)
        _exit(in_child(&h, before));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(fork_count(), before);
    assert_int_not_equal(pthread_mutex_trylock(&h.lock.mutex), 0); /* here it is still held */
    pthread_barrier_wait(&h.done);
    pthread_join(holder, NULL);
    lock_fini(&h.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena), cmocka_unit_test(test_slab), cmocka_unit_test(test_arena_limit), cmocka_unit_test(test_vec),       cmocka_unit_test(test_str),
        cmocka_unit_test(test_strbuf), cmocka_unit_test(test_utf8), cmocka_unit_test(test_floats),     cmocka_unit_test(test_hash),      cmocka_unit_test(test_render),
        cmocka_unit_test(test_long_line), cmocka_unit_test(test_notes_and_limit), cmocka_unit_test(test_table), cmocka_unit_test(test_lock_after_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
