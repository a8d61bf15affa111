/*
 * Measures how far what the library's compiled programs give lies from the exact results, which MPFR knows.
 *
 * Errors are in ulps: units of the last place of the exact result's binade (of the smallest normal one below that). A
 * result that overflows counts as the next power of two. Wrong nans, infinities and signs of zero count as `FAR`.
 */
#ifndef AREX_ACCURACY_H
#define AREX_ACCURACY_H
#include <mpfr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAR 1e9

enum mode { STRICT, FAST };

struct function {
    const char *name, *source, *peer, *cuda[2]; /* cuda: float32, float64 */
    int arity;
    int (*one)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t);
    int (*two)(mpfr_ptr, mpfr_srcptr, mpfr_srcptr, mpfr_rnd_t);
    void (*near)(uint64_t *seed, double *x, double *y);
};
extern const struct function functions[];
extern const size_t n_functions;

struct worst {
    double ulp, x, y;
    uint64_t inputs;
};

/* ---- reference.c ---- */
/* Error of `got` for inputs x, y; wide: of float64. */
double error_of(const struct function *f, bool wide, double x, double y, double got);
void references_free(void);

/* ---- points.c ---- */
uint64_t next_random(uint64_t *seed);
/* Specials, edges of binades and values near the hard cases: fills at most n, returns how many. Values of float32 unless wide. */
size_t points_fixed(const struct function *f, bool wide, double *x, double *y, size_t n);
size_t points_random(const struct function *f, bool wide, uint64_t *seed, double *x, double *y, size_t n);
/*
 * Is the function measured there? logaddexp is only where nothing cancels; fast division by what has a normal reciprocal, fast rsqrt and
 * logarithms of what is normal, fast exponentials of float64 where the result is.
 */
bool point_counts(const struct function *f, bool wide, enum mode mode, double x, double y);
/* Zeros of lgamma and digamma at negative arguments: in float64 small results count in ulps of 1. */
bool point_is_of_one(const struct function *f, double x);

/* ---- library.c: what is measured ---- */
struct library;
struct library *library_open(const struct function *f, bool wide, enum mode mode, const char *arch);
void library_close(struct library *l);
/* Ends the process with a message when the library does not give results. */
void library_run(struct library *l, const double *x, const double *y, double *out, size_t n);
void library_run_floats(struct library *l, const float *x, float *out, size_t n);

/* ---- peers.c: libm, libmvec ---- */
enum peer { PEER_LIBM, PEER_LIBMVEC };
/* False when there is no such function. */
bool peer_run(enum peer p, const struct function *f, bool wide, const double *x, const double *y, double *out, size_t n);
/* long double results, to look for candidates with. */
bool peer_run_long(const struct function *f, const double *x, const double *y, long double *out, size_t n);

#endif
