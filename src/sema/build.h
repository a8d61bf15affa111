/*
 * What the files of this folder share: values, scopes, and the state of one build.
 *
 * A value is either an array in the IR or something known while compiling (a literal, an axis, a dtype). Both pass
 * through inlined functions alike, which is how an `axis` parameter stays a literal. VALUE_ERROR is what an
 * expression with an error is: it stays silent in everything that uses it.
 */
#ifndef AREX_SEMA_BUILD_H
#define AREX_SEMA_BUILD_H
#include "sema/sema.h"

enum value_kind {
    VALUE_ERROR,
    VALUE_ARRAY,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_BOOL,
    VALUE_NONE,
    VALUE_TUPLE,
    VALUE_DTYPE
};

struct value {
    enum value_kind kind;
    bool weak; /* ARRAY: takes the dtype of what it meets */
    uint8_t dtype;
    ir_id id;
    int64_t i; /* INT, BOOL; NONE: NOT_GIVEN where the text has no None but leaves an argument out */
    double f;
    const struct value *items; /* TUPLE */
    uint32_t n_items;
    struct span span;
};

enum { NOT_GIVEN = 1 };
static inline bool value_not_given(const struct value *v)
{
    return v->kind == VALUE_NONE && v->i == NOT_GIVEN;
}

/* Names bound so far; a function remembers how many were bound when it was defined, and sees only those. */
struct scope {
    struct scope *up;
    uint32_t up_limit; /* bindings of `up` that are visible from here */
    struct binding **bucket;
    uint32_t n, n_buckets;
};

struct binding {
    struct binding *next;
    struct str name;
    uint32_t seq;
    struct span span;
    const struct ast *def; /* a function when not NULL */
    struct scope *home;    /* of a function: where it was defined */
    bool library;
    const struct value *defaults; /* of a function, one a formal; VALUE_ERROR where it has none */
    struct value value;
    unsigned n_results; /* of a function, while the interface is found */
    bool partial; /* only some of the ways to here give it a value */
};

struct frame { /* an inlined call in progress */
    struct frame *up;
    const struct ast *def;
    struct span call;
    bool built_in;
    bool by_element;     /* it has statements of control: see control.c */
    struct scope *root;  /* its own names, when it has */
    uint32_t n_results;  /* how many values its returns give; 0 before the first */
};

struct library;

struct sema {
    struct arena *arena;
    struct diags *diags;
    struct ir *ir;
    const struct ast *program;
    struct scope *scope;
    struct frame *frame;
    struct library *library;
    struct made_calls *made; /* calls of its functions: made.c */
    uint32_t n_inlines, max_inlines, depth;
    struct value path; /* which elements come to the statement at hand: a bool array, or known to be true */
    uint32_t n_loops;  /* loops around it */
    const struct stepping *stepping; /* the innermost loop over arrays around it */
    bool in_kernel, too_deep, fast;
    ir_id launch[LAUNCH_COUNT];
};

#define SEMA_MAX_DEPTH 2500 /* of expressions, through inlined calls: bounds the C stack */

/* errors.c */
void sema_error(struct sema *s, enum diag_id id, struct span span, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Inside the library, spans point into its text: the user's call stands for them. */
struct span sema_span(const struct sema *s, struct span span);
/* A name that is bound nowhere: "`name` WHAT", with the nearest name, of the parameters of def too (may be NULL), as a note. */
void sema_unknown_name(struct sema *s, struct str name, const char *what, const struct ast *def, struct span span);
void sema_unknown_type(struct sema *s, struct str name, struct span span);
void sema_unknown_function(struct sema *s, struct str name, struct span span);
void sema_unknown_keyword(struct sema *s, struct str function, struct str name, const struct str *known,
                          unsigned n, struct span span);
struct value value_error(void);

/* scope.c */
struct scope *scope_new(struct arena *arena, struct scope *up);
struct binding *scope_bind(struct arena *arena, struct scope *scope, struct str name, struct span span);
/* The value or function of a name, the innermost and latest; names of functions and of values live side by side. */
struct binding *scope_find(struct scope *scope, struct str name, bool function);
struct binding **scope_all(struct arena *arena, struct scope *scope); /* its n bindings in the order in which they were made */
bool constant_value(struct str name, struct value *out); /* pi, e, inf, nan */

/* literal.c */
struct value value_int(int64_t i, struct span span);
struct value value_float(double f, struct span span);
struct value value_bool(bool b, struct span span);
struct value value_array(const struct sema *s, ir_id id, bool weak, struct span span);
bool value_is_literal(const struct value *v);
const char *value_words(struct sema *s, const struct value *v); /* "int32", "a tuple", ... */
/* True when args are literals and the result is one; errors give VALUE_ERROR. */
bool literal_fold(struct sema *s, enum op op, const struct value *args, unsigned n, struct span span,
                  struct value *out);
ir_id value_to_ir(struct sema *s, const struct value *v);
/* As dtype, with the rules for weak values checked. */
ir_id value_as(struct sema *s, const struct value *v, enum dtype dtype);

/* promote.c */
enum dtype promote_pair(enum dtype a, enum dtype b);
enum dtype promote_values(const struct value *args, unsigned n, bool *weak);
bool value_is_numeric(const struct value *v);
enum dtype value_dtype(const struct value *v);

/* operator.c */
struct value apply_op(struct sema *s, enum op op, const struct value *args, unsigned n, struct span span);
/* What was computed for values of a type that is storage only, rounded to it; other values, and tuples' other items, as they are. */
struct value narrow(struct sema *s, struct value v, enum dtype t);

/* loose.c: fast mode. The node or the library's function that an operation becomes there, 0 or false where it stays what it is. */
bool is_loose(const struct sema *s, enum dtype t); /* the program's own text, in fast mode, in a float's type that computes */
ir_id loose_node(struct sema *s, enum op op, const ir_id *args, unsigned n, enum dtype t, struct span span);
bool loose_function(struct sema *s, enum op op, enum dtype t, char *name, size_t size);
bool loose_power(struct sema *s, const struct value *x, double by, enum dtype t, struct span span, struct value *out);

/* expr.c */
struct value eval(struct sema *s, const struct ast *e);

/* call.c */
struct value eval_call(struct sema *s, const struct ast *e);
/* made.c: calls of the library's functions, arguments one a formal; NULL where there was none like it. */
const struct value *made_find(struct sema *s, const struct binding *f, const struct value *given);
void made_keep(struct sema *s, const struct binding *f, const struct value *given, struct value result);
struct value inline_call(struct sema *s, struct binding *f, const struct value *given,
                         const struct str *keywords, unsigned n, struct span span);
bool known_dtype(struct sema *s, const struct value *v); /* a dtype that works; else false with a diagnostic */
struct value convert(struct sema *s, const struct value *x, const struct value *to, struct span span);
/* Expands the library's function on values; `dtype` picks name_dtype where there is one. */
struct value call_library(struct sema *s, struct str name, enum dtype dtype, const struct value *args,
                          const struct str *keywords, unsigned n, struct span span);

/* complex.c: complex values are pairs of parts; every operation on them is an Arex function of its name with _complex behind it */
bool any_complex(const struct value *args, unsigned n);
struct value complex_pair(struct sema *s, ir_id re, ir_id im, bool weak, struct span span);
struct value complex_part(struct sema *s, const struct value *v, unsigned part); /* of any number */
ir_id complex_as(struct sema *s, const struct value *v, enum dtype dtype); /* to or from complex; 0 with a diagnostic where an imaginary part would be lost */
/* As the IR has it, a complex variable of a loop is two: a value's parts from to[n] on, how many there are then; and back. */
unsigned complex_parts(enum dtype t);
uint32_t complex_split(struct sema *s, ir_id value, ir_id *to, uint32_t n, struct span span);
struct value complex_join(struct sema *s, enum dtype t, const ir_id *parts, bool weak, struct span span);
struct value apply_complex(struct sema *s, enum op op, const struct value *args, unsigned n, struct span span);
struct value call_complex(struct sema *s, enum op op, const struct value *args, unsigned n, struct span span); /* complex, real, imag */

/* reduce.c */
struct value eval_scan(struct sema *s, enum op op, const struct value *given, const struct str *keywords, unsigned n, struct span span);
struct value eval_reduce(struct sema *s, enum op op, const struct value *given, const struct str *keywords,
                         unsigned n, struct span span);

/* index.c */
ir_id index_value(struct sema *s, struct value v); /* int64, in range for elements that do not come here */
struct value eval_index(struct sema *s, const struct ast *e);
/* What is indexed in slices and known integers, and the steps that lead there. */
struct part {
    VEC(struct ir_step) steps;
};
struct value eval_part(struct sema *s, const struct ast *e, struct part *part);
struct value transpose(struct sema *s, const struct value *x, const struct value *axes, struct span span);
/* The functions that reorder axes: a value a parameter of the signature, None where an optional one is not given. */
struct value call_axes(struct sema *s, enum op op, const struct value *args, struct span span);

/* making.c: values as for call_axes */
struct value call_making(struct sema *s, enum op op, const struct value *args, struct span span);
/* optional.c: values as for call_axes */
struct value call_optional(struct sema *s, enum op op, const struct value *args, struct span span);

/* shaping.c: values as for call_axes */
struct value call_shaping(struct sema *s, enum op op, const struct value *args, struct span span);
void equal_dims(struct sema *s, uint32_t a, uint32_t b, const char *text, struct span span); /* else a call fails, and says `text` */

/* table.c: of the library only */
struct value call_rows(struct sema *s, const struct ast *e);

/* product.c: values as for call_axes */
struct value call_product(struct sema *s, enum op op, const struct value *args, struct span span);

/* part.c: a part of an array replaced, outside kernels */
void run_part(struct sema *s, const struct ast *st);

/* library.c */
struct binding *library_find(struct sema *s, struct str name, enum dtype dtype);
struct binding *library_complex(struct sema *s, struct str name); /* name_complex, or NULL */

/* statement.c */
void bind_def(struct sema *s, const struct ast *def, bool library);
void run_let(struct sema *s, const struct ast *let);
struct value run_return(struct sema *s, const struct ast *ret);
/* The statements of a body; the value of its return or last expression. */
struct value run_body(struct sema *s, struct ast **body, unsigned n, struct span span);
/* control.c: functions with if, for and while */
bool has_control(const struct ast *def);
struct value run_control(struct sema *s, const struct ast *def);
enum { DEPTH_OF_BLOCK = 4 }; /* of the C stack, in expressions */
bool deeper(struct sema *s, struct span span); /* by a block; false with a diagnostic */
void begin_control(struct sema *s, struct span span); /* the scope at hand is that of such a function */
void run_block(struct sema *s, struct ast *const *st, uint32_t n);
/* range(stop), range(first, stop, step): how many rounds, and what the first is, and the step. False with a diagnostic. */
struct range {
    struct value count, first, step;
};
bool eval_range(struct sema *s, const struct ast *range, struct range *out);

/* steps.c: for at the level of the program, over whole arrays */
void run_steps(struct sema *s, const struct ast *st);
void lay_down_state(struct sema *s, const struct ast *e); /* before e is indexed */

/* kernel.c */
extern const struct str launch_names[LAUNCH_COUNT];
bool kernel_function(struct str name);             /* one that only kernels have */
bool is_kernel_memory(struct sema *s, const struct value *v); /* an array that a kernel changes, or a shared one */
bool reads_kernel_memory(struct sema *s, const struct value *v); /* such an array, or one computed from it */
bool is_element(struct sema *s, const struct value *v, struct span span); /* a thread's one value; else false with a diagnostic */
bool kernel_attribute(const struct ast *e);        /* threadIdx and its kin */
bool kernel_changes(const struct ast *kernel, struct str name);
void run_kernel(struct sema *s, const struct sema_interface *interface);
void run_store(struct sema *s, const struct ast *st);
struct value call_kernel_function(struct sema *s, const struct ast *e);
struct value eval_kernel_attribute(struct sema *s, const struct ast *e);

/* How many values an output expression gives: several for a tuple or a call of a function that returns several. */

#endif
