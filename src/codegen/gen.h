/*
 * What the rooms of the emitter share while one nest is emitted. Private to src/codegen.
 *
 * Values sit at one of three levels: UNIFORM ones are computed once per call of the function, ROW ones once per row (or
 * per item of a reduction), LANE ones for every element, `w` at a time. A body's lane values are emitted twice, at the
 * vector width and at width 1 for what is left over.
 */
#ifndef AREX_CODEGEN_GEN_H
#define AREX_CODEGEN_GEN_H
#include "emit.h"
#include "ll.h"

enum level { LEVEL_UNIFORM, LEVEL_ROW, LEVEL_LANE, LEVEL_NONE /* not computed: see keep.c */ };

/* One array as the code sees it. */
struct view {
    const struct loop_access *access;
    enum loop_class cls;
    uint32_t slot; /* of the pointer or value; strides follow */
    val row;       /* address of the current row */
    val stride;    /* instead of the slot's, of a STRIDED one; or NULL */
};

/* The row of a table, per lane, that was fetched last: table.c. */
struct table_row {
    val fn, index, column[TABLE_COLUMNS];
    enum table table;
    uint32_t region;
};

/* A body (main or epilogue) being emitted. */
struct body {
    const struct loop_body *source;
    unsigned n_dims, inner; /* dims of the space; the one that lanes run along */
    struct view *loads, *stores;
    uint32_t n_loads, n_stores;
    uint8_t *level;   /* per node */
    val *low;         /* values of levels UNIFORM and ROW, or bound from outside */
    val *low_fault;
    val *lane;        /* values at the current width */
    val *lane_fault;
    uint8_t *taken;   /* per node: from what the row keeps, so it is not loaded or computed; or NULL (keep.c) */
    unsigned w;       /* the current width */
    struct table_row row; /* forgotten where values are */
    val *shared;      /* per OP_shared node: where the block's array is, or the thread's own (blocks.c) */
    const val *turn;  /* of a block on the CPU: which of its threads is at hand; or NULL */
    const val *thread, *block, *index; /* of a kernel in blocks: indices of the thread in its block, of the block, of the thread among all; per dim */
};

struct gen {
    struct ll l;
    const struct codegen_job *job;
    const struct emit_target *target;
    const struct ir *ir;
    const struct loop_plan *plan;
    const struct loop_nest *nest;
    const struct loop_variant *variant;
    struct loop_slots slots;
    struct arena *arena;
    struct diags *diags;
    block entry, uniform;     /* slots are loaded in `entry`, uniform values computed in `uniform` */
    val slot[LOOP_MAX_SLOTS]; /* loaded so far */
    val slots_arg, begin, end; /* CPU */
    val row, n_rows;           /* in a kernel that does several nests row by row (rows.c): the one at hand, how many; else NULL */
    uint32_t first_slot;       /* where the arguments of its current nest start */
    val scratch;               /* memory that its block shares: 8 bytes a thread */
    struct kept {
        const struct loop_kept *of;
        bool is_there; /* the writer has an element for each of the row */
    } kept[LOOP_MOST_KEPT]; /* of its row, from nest to nest */
    uint32_t n_kept;
    val row_memory; /* where they lie */
    struct {
        unsigned width, at;
    } turn; /* where a turn of the loop computes several vectors one after another: elements of all, and before the one at hand; else 0 */
    bool gpu;
    uint64_t work;    /* see codegen_work, of the functions up to `counted` */
    LLVMValueRef counted;
    bool refused; /* with a diagnostic: what is emitted is thrown away */
};

/* Vectors of 512 bits, and the instructions that came with them. */
static inline bool gen_has_avx512(const struct gen *g)
{
    return !g->gpu && g->target->has_avx512;
}

/* How many elements a step of a lane-level body takes, and where: everything a load or store needs. */
struct where {
    val inner;     /* index along the innermost dim ... */
    unsigned plus; /* ... to which this is added, of the first element: a constant goes into the instruction */
    val sequence;  /* LANES over several rows: index into the reduced sequence instead; else NULL */
    val position;  /* in a kernel of rows: of the first element in the row; else NULL */
};

/* ---- module.c ---- */
void gen_function(struct gen *g, unsigned nest, const char *step, uint32_t n_slots); /* a new one, builder in `uniform` */
void gen_return(struct gen *g);                                                      /* from it */
/* A step of the current nest: a function of its own, or the next part of a kernel of rows. */
void gen_begin(struct gen *g, unsigned nest, const char *step);
void gen_resident(struct gen *g, unsigned blocks); /* on a GPU: registers are given out so that so many blocks fit a multiprocessor */
void gen_end(struct gen *g);
void gen_set_nest(struct gen *g, unsigned i);
void gen_nest(struct gen *g, unsigned i); /* all its steps */
val gen_slot(struct gen *g, uint32_t i);
val gen_slot_ptr(struct gen *g, uint32_t i);
val gen_ptr(struct gen *g, val address);
/* for (i = from; i < to; i += step): opens the loop and leaves the builder in its body */
struct loop {
    block head, body, done;
    val i, to;
};
struct loop gen_loop(struct gen *g, val from, val to);
void gen_loop_end(struct gen *g, struct loop *loop, val step);
struct branch {
    block yes, done;
};
struct branch gen_if(struct gen *g, val cond); /* builder in the yes side */
void gen_if_end(struct gen *g, struct branch *b);
val gen_alloca(struct gen *g, type t, unsigned n); /* in `entry`, aligned for vectors */

/* ---- types.c ---- */
type gen_type(struct gen *g, enum dtype t);        /* of a value: bool is i1; types that are storage only are their bits */
type gen_memory_type(struct gen *g, enum dtype t); /* in memory: bool is i8 */
val gen_from_memory(struct gen *g, val v, enum dtype t);
val gen_to_memory(struct gen *g, val v, enum dtype t);
val gen_const(struct gen *g, enum dtype t, uint64_t bits);
val gen_global(struct gen *g, val v, const char *name, unsigned align); /* where the constant v lies in memory, once for all equal ones */
val gen_in_memory(struct gen *g, val v); /* a constant vector, from memory where instructions take that for nothing */
val gen_canonical_nan(struct gen *g, val v, enum dtype t);
/* A register of AVX-512: x where its class is one of the classes, else v. */
enum float_class { QUIET_NAN, SIGNALING_NAN, ZERO, ONE, MINUS_INFINITY, INFINITE, NEGATIVE, POSITIVE };
#define BY_CLASS(c)  (1u << 4 * (c)) /* the instruction takes four bits for each class; 1: x */
#define BY_CLASS_ALL 0x11111111u
val gen_by_class(struct gen *g, val v, val x, uint32_t classes);
val gen_cast(struct gen *g, val v, enum dtype from, enum dtype to);

/* ---- registers.c: what takes a register at a time ---- */
typedef val of_register(struct gen *g, const val *v, void *with);
/* `of` of each register of n vectors alike, one or two, from the lowest on; what is shorter than a register is given to it as it is. `with` is for `of`. */
val by_registers(struct gen *g, const val *v, unsigned n, of_register *of, void *with);
unsigned register_width(const struct gen *g, val like); /* elements of 32 or 64 bits */
bool fills_registers(const struct gen *g, val v);       /* one or more? */
val by_avx512(struct gen *g, const char *name, const val *v, unsigned n); /* an intrinsic of one register: for all its elements, rounded as ever */

/* ---- half.c: floats of 16 bits, the integers in which they are kept, and float32 ---- */
val half_widen(struct gen *g, val v, enum dtype from);
val half_narrow(struct gen *g, val v, enum dtype to); /* of float32; to nearest, ties to even */
val half_canonical_nan(struct gen *g, val v, enum dtype t);
val half_odd(struct gen *g, val v); /* float64 to float32 such that rounding that once more is rounding once */

/* ---- fma.c: where the processor has none ---- */
val fma_emit(struct gen *g, val a, val b, val c);

/* ---- round.c: the same for floor, ceil, trunc, rint ---- */
val round_emit(struct gen *g, enum prim prim, val v);

/* ---- estimate.c: 1 / x and 1 / sqrt(x), roughly ---- */
enum estimate { RECIPROCAL, ROOT };
val estimate_cpu(struct gen *g, enum estimate e, val v);

/* ---- divider.c: what AVX-512's divider is left to do ---- */
unsigned divider_share(const struct gen *g, unsigned n);                               /* how many of n registers that a turn computes have their roots from it */
unsigned divider_registers(const struct gen *g, unsigned least, unsigned most);        /* how many a turn of the nest should have, a power of two times the least */

/* ---- wide.c: square roots of wide vectors, by steps or by the instruction ---- */
val wide_sqrt(struct gen *g, val v);
val wide_tame_sqrt(struct gen *g, val v); /* of numbers far from overflow and underflow */

/* ---- size.c: the larger or the smaller of |a| and |b|, where neither is nan ---- */
enum by_size { SMALLER, LARGER };
val by_size(struct gen *g, enum by_size which, val a, val b);

/* ---- quarter.c: `shifted & mask` where it is the sign of a quarter turn and the processor has a shorter way, else NULL ---- */
val quarter_sign(struct gen *g, val shifted, val mask);

/* ---- quick.c: of fast mode ---- */
val quick_divide(struct gen *g, val a, val b);
val quick_rsqrt(struct gen *g, val v);

/* ---- tame.c: of numbers far from overflow and underflow ---- */
val tame_divide(struct gen *g, val a, val b);
val tame_sqrt(struct gen *g, val v);

/* ---- sixteenth.c: parts of positive normal numbers, and what is near them ---- */
val near_reciprocal(struct gen *g, val v);
val near_log2(struct gen *g, val v);
val tame_scale(struct gen *g, val v, val n, val low); /* v 2**n; n's last bits are low's */

/* ---- prims.c ---- */
/* fault: per lane a byte of FAULT_ bits, or NULL; or-ed with what the operation raises. */
val prim_emit(struct gen *g, enum prim prim, enum dtype arg, val *args, val *fault);
val prim_any(struct gen *g, val mask);
val prim_or_fault(struct gen *g, val a, val b);

/* ---- body.c ---- */
void body_init(struct gen *g, struct body *b, const struct loop_body *source, const uint8_t *classes, uint32_t loads_slot,
               uint32_t stores_slot, unsigned n_dims);
void body_bind(struct body *b, ir_id id, val v); /* a value made outside, at ROW level */
void body_plan_levels(struct gen *g, struct body *b);
void body_uniform(struct gen *g, struct body *b);
/* offsets[i] += sum over dims from..to-1 of index * stride, for the row-major `index`; views start at their base when first */
void body_rows(struct gen *g, struct body *b, val index, unsigned from, unsigned to, bool first);
void body_row_values(struct gen *g, struct body *b);
void body_lanes(struct gen *g, struct body *b, const struct where *at, unsigned w); /* computes all lane values */
void body_stores(struct gen *g, struct body *b, const struct where *at);
/* The same for indices at hand; and the loads of this level. */
void body_rows_at(struct gen *g, struct body *b, const val *index, unsigned from, unsigned to, bool first);
void body_lane_loads(struct gen *g, struct body *b, const struct where *at, unsigned w); /* forgets what lanes were computed before */
void body_node(struct gen *g, struct body *b, ir_id id, enum level level);
val body_value(struct gen *g, struct body *b, ir_id id); /* at the current width */
val body_fault_of(struct gen *g, struct body *b, ir_id id);
void body_set(struct body *b, ir_id id, enum level level, val v, val fault);
val body_choose_fault(struct gen *g, val cond, val yes, val no); /* faults of a side that a choice leaves out are not seen */
void body_region(struct gen *g, struct body *b, uint32_t region, enum level level); /* the region's nodes of this level */
val body_load_element(struct gen *g, const struct body *b, const struct view *v, const struct where *at);
void body_store_element(struct gen *g, const struct body *b, const struct view *v, const struct where *at, val x);
void gen_raise(struct gen *g, val fault);
unsigned body_width(struct gen *g, const struct body *b); /* elements a CPU vector holds of what the body computes */
unsigned body_cost(struct gen *g, const struct body *b);
bool body_has_loop(struct gen *g, const struct body *b);
bool body_has_places(const struct body *b); /* values that are addresses: no memory can stand in for them */

/* ---- rarely.c ---- */
void rarely_emit(struct gen *g, struct body *b, ir_id id, enum level level);
bool rarely_done(const struct ir *ir, ir_id id); /* is it of a slow side? */
bool rarely_gives_the_one_nan(const struct ir *ir, ir_id id);
void rarely_raise_levels(struct gen *g, struct body *b, ir_id id);

/* ---- gather.c ---- */
void within_emit(struct gen *g, struct body *b, ir_id id, enum level level);
void gather_emit(struct gen *g, struct body *b, ir_id id, enum level level);
void update_emit(struct gen *g, struct body *b, ir_id id, enum level level); /* at width 1 */

/* ---- table.c ---- */
void table_emit(struct gen *g, struct body *b, ir_id id, enum level level);

/* ---- loops.c ---- */
/*
 * The rounds of a loop: after so many it is given up, and on the CPU who watches is asked every 2^16 rounds whether to go on, in loops around
 * others more often. One comparison a round for both: with the next count at which there is something to do. Emitted in this order: begin in
 * the head, look at its end, turn at the end of the body.
 */
struct loop_clock {
    val count, limit, next; /* limit NULL: on a GPU, where nobody is asked */
    val given_up, ends;     /* since look */
    unsigned period;
};
struct loop_clock loop_clock_begin(struct gen *g, struct body *b, ir_id loop, block before);
void loop_clock_look(struct gen *g, struct loop_clock *c);
void loop_clock_turn(struct gen *g, const struct loop_clock *c);
void loop_emit(struct gen *g, struct body *b, ir_id id, enum level level);
void loop_raise_levels(struct gen *g, struct body *b, ir_id id);

/* ---- memory.c ---- */
val gen_lay_down(struct gen *g, val v, enum dtype t); /* a vector; returns where it lies */
val gen_take_up(struct gen *g, val memory, val k, enum dtype t);
void gen_put(struct gen *g, val memory, val k, enum dtype t, val v);
val gen_whole(struct gen *g, val memory, unsigned w, enum dtype t);

/* ---- partial.c ---- */
/* One vector step of a body over `count` elements from `inner` on, w of them or fewer (CPU). */
struct partial {
    struct body *body;
    struct view *loads, *stores; /* as they were */
    val inner, count, whole;     /* whole: count is w */
    val *memory;                 /* per store */
};
/* Replaces the body's views: elements that are not there are stood in for by the last one. The builder is left where
 * the step is to be emitted, at the index that is returned. */
val partial_begin(struct gen *g, struct partial *p, struct body *b, val inner, val count, unsigned w);
/* Stores what there is when the step was not whole, puts the views back. */
void partial_end(struct gen *g, struct partial *p);

/* ---- reduce.c ---- */
val reduce_identity(struct gen *g, const struct loop_reduce *r);
val reduce_combine(struct gen *g, const struct loop_reduce *r, val a, val b);
val reduce_finish(struct gen *g, const struct loop_reduce *r, val v); /* what nothing adds up to */
enum dtype reduce_dtype(struct gen *g, const struct loop_reduce *r);

/* ---- the shapes of nests ---- */
void map_emit(struct gen *g, unsigned index);
void lanes_emit(struct gen *g, unsigned index);
void columns_emit(struct gen *g, unsigned index);
void join_emit(struct gen *g, unsigned index); /* the second step of the last two */
void scan_emit(struct gen *g, unsigned index);

/* ---- turns.c: a thread's `n` vectors of a row that ends at `end`, one after another, and what is left of the row ---- */
void turns_emit(struct gen *g, struct body *b, unsigned width, unsigned n, val end);

/* ---- rows.c ---- */
void rows_emit(struct gen *g, const struct loop_rows *rows);

/* ---- keep.c: what a kernel of rows keeps of its row ---- */
void keep_begin(struct gen *g, const struct loop_rows *rows);
void keep_end(struct gen *g);
void keep_plan(struct gen *g, struct body *b); /* after the body's levels are known */
bool keep_has(const struct body *b, ir_id id); /* is it taken? */
void keep_take(struct gen *g, struct body *b, const struct where *at, unsigned w);
void keep_put(struct gen *g, struct body *b, const struct where *at); /* what this nest is the first to have */

/* ---- blocks.c: kernels whose threads share memory or wait for each other ---- */
bool blocks_kept(const struct gen *g); /* are the nest's threads in blocks? */
void blocks_emit(struct gen *g, unsigned index);
void blocks_make_shared(struct gen *g, struct body *b);  /* arrays that threads have together, or each its own */
void blocks_clear_own(struct gen *g, struct body *b);    /* a thread's own arrays become 0 */
unsigned blocks_shared_words(const struct gen *g, ir_id id); /* of 8 bytes */

/* ---- gpu.c ---- */
enum axis { AXIS_X, AXIS_Y, AXIS_Z };
val gpu_thread(struct gen *g, enum axis a); /* i64 */
val gpu_block(struct gen *g, enum axis a);
val gpu_block_size(struct gen *g, enum axis a);
val gpu_grid_size(struct gen *g, enum axis a);
void gpu_barrier(struct gen *g);
val gpu_shuffle_xor(struct gen *g, val v, unsigned mask, enum dtype t); /* each element of v */
val gpu_shared(struct gen *g, type t, unsigned n);
val gpu_launch_memory(struct gen *g, unsigned alignment); /* shared memory, as much as the launch says */

#endif
