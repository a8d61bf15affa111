/* One IR under construction, anew for every test, and what makes its nodes short to write. */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "ir/eval.h"

#define NOWHERE ((struct span){0, 0})

extern struct arena arena;
extern struct diags diags;
extern struct ir ir;
extern jmp_buf failed; /* where the arena jumps to; set before what may run into its limit */

int ir_begin(void **state); /* cmocka's set-up and tear-down */
int ir_end(void **state);
void ir_anew(void); /* starts afresh within a test */
#define TEST(f) cmocka_unit_test_setup_teardown(f, ir_begin, ir_end)

ir_id input(const char *name, enum dtype t, unsigned rank);
ir_id real(double v); /* a float64 */
ir_id two(enum op op, enum dtype result, ir_id a, ir_id b);
uint32_t pick(uint32_t n); /* below n, the same numbers in every run */

/* Values where kinds of numbers end, and the bits they have as a t, converted. */
enum { N_SPECIALS = 18 };
extern const double specials[N_SPECIALS];
bool works(enum dtype t);
uint64_t from_double(enum dtype t, double v);

#endif
