/*
 * The array IR: typed values in SSA form, with symbolic shapes and regions.
 *
 * A node is a 32-bit id; id 0 is poison (what an expression with an error is). Arguments come before their
 * users, so ascending ids are a topological order. Nodes are hashed as they are made: equal ones are one node,
 * constants fold, exact rewrite rules (grammar/rules.def) apply. Once sema is done the IR is read-only.
 *
 * Shapes are symbolic: extents of arguments are unknown when compiling and never enter the code. A dim is an
 * extent known to be 1, a constant, an axis of an argument, or the broadcast of several. At a call the dims get
 * values (ir_shapes_resolve) and every broadcast is checked.
 *
 * Regions hold nodes that are computed only sometimes, or many times: region 0 is the program; an OP_rarely owns the
 * region of its slow side; an OP_loop owns the region of its condition, and inside that one the region of its body. A node
 * may use nodes of its own region and of the regions around it.
 *
 * A loop runs element by element: each element of its shape goes on until its own condition is false, and its variables
 * stay as they are from then on. Lists of values (what variables start from, what they become) are chains of OP_tie.
 */
#ifndef AREX_IR_H
#define AREX_IR_H
#include "base/arena.h"
#include "base/diag.h"
#include "base/vec.h"
#include "ir/ops.h"
#include "ir/tables.h"

#define IR_MAX_RANK 8

typedef uint32_t ir_id;

enum ir_dim_kind { DIM_ONE, DIM_CONST, DIM_INPUT, DIM_BROADCAST, DIM_SLICE, DIM_SUM, DIM_PRODUCT };

/* Python's start:stop:step; what is not given is not flagged. step is not 0. */
struct ir_slice {
    int64_t start, stop, step;
    uint8_t flags;
};
enum { SLICE_HAS_START = 1, SLICE_HAS_STOP = 2 };

struct ir_dim {
    enum ir_dim_kind kind;
    int64_t extent;       /* CONST */
    uint16_t input, axis; /* INPUT */
    uint32_t *of;         /* BROADCAST: two or more dims of other kinds, ascending, distinct; SUM, PRODUCT: what is added, multiplied */
    uint32_t n_of;
    /* PRODUCT: times `extent`, divided by the dim `base` (0 where that is 0) */
    uint32_t base, own;    /* SLICE: of `base`; but 1 where an array is stretched along it (`own` is 1 and `base` is not) */
    struct ir_slice slice; /* SLICE */
};

/*
 * A view: an array seen through indexing, without a copy. Steps are applied in order to pointer, shape and strides, at
 * the call. Indexing an expression is pushed down to the arrays it is made of (src/ir/views.c), so only inputs and
 * results of reductions have views.
 */
enum ir_step_kind { STEP_SLICE, STEP_INDEX, STEP_NEWAXIS, STEP_PERMUTE, STEP_PART };

struct ir_step {
    uint8_t kind, axis;
    uint8_t order[8];      /* PERMUTE: new axis i is old axis order[i] */
    uint32_t of;           /* SLICE, INDEX: the dim this axis has in what was indexed; an array stretched along it stays as it is */
    struct ir_slice slice; /* SLICE */
    int64_t index;         /* INDEX: the axis goes; PART: 0 for the real parts of complex elements, 1 for the imaginary ones. The first step */
};

struct ir_view {
    struct ir_step *steps;
    uint32_t n;
};

struct ir_shape {
    uint8_t rank;
    uint32_t dim[IR_MAX_RANK]; /* indices into ir.dims; dim 0 is DIM_ONE */
};

enum {
    IR_WEAK = 1,  /* a literal or Python scalar: takes the dtype of what it meets (NEP 50) */
    IR_EFFECT = 2, /* a loop that changes memory: one that is given up is told of, though nobody reads its results */
    IR_OWN = 4,    /* of a shared array: each thread has its own */
    IR_NUMBER = 8  /* of a rarely: where the condition does not hold, the fast result is no nan */
};

enum { IR_AXES_MASK = 0xff, IR_KEEPDIMS = 0x100 }; /* attr of a reduction (and of count): bit i is axis i of the argument */

struct ir_node {
    uint16_t op;   /* enum op: ELEM rows that have a primitive, REDUCE rows, count, rarely, input, const, cast, bitcast */
    uint8_t dtype; /* enum dtype */
    uint8_t n_args;
    uint8_t flags;
    ir_id args[3];   /* rarely: condition, slow result, fast result; loop: starts, condition, nexts */
    uint32_t shape;  /* index into ir.shapes; shape 0 is rank 0 */
    uint32_t region; /* where it is computed */
    uint64_t attr;   /* input: index; const: bits; reductions, count: axes; rarely: the region of the slow side; view, loop: which;
                        carry: loop and variable; result: which carry; bitcast: 1 where a nan may give the bits of any */
    struct span span;
};

struct ir_region {
    uint32_t parent;
    ir_id owner; /* the rarely or the loop; 0 for region 0 */
};

struct ir_loop {
    uint32_t head, body; /* regions: of the condition, and of what follows when it holds */
    uint32_t shape;
    ir_id *carry; /* the variables, as the condition and the body see them */
    uint32_t n;
};

/*
 * Statements repeated over whole arrays. Which nodes are repeated is told by what they depend on (ir_owners): what depends on no state is
 * computed once, before. `parent` is the steps in whose round these are run; NO_STEPS for the program.
 */
struct ir_steps {
    ir_id *state; /* the arrays, as a round sees them */
    uint32_t n, parent;
    ir_id round;
};
#define NO_STEPS UINT32_MAX

enum ir_check_kind {
    CHECK_BROADCAST, /* the shapes of node's arguments must broadcast */
    CHECK_EXTENT,    /* dim a == dim b (a `param` said so); text names the extent */
    CHECK_NONEMPTY,  /* node reduces at least one element (min, max) */
    CHECK_FITS,      /* weak integer input `input` fits dtype */
    CHECK_INDEX,     /* index lies within dim_a */
    CHECK_EQUAL,     /* dim a == dim b, or text tells what is wrong */
    CHECK_IS_NOT,    /* dim a != index, or text tells what is wrong */
    CHECK_STRETCHES, /* dim a == dim b, or dim a is 1 */
};

struct ir_check {
    enum ir_check_kind kind;
    struct span span;
    ir_id node;
    uint32_t dim_a, dim_b;
    uint16_t input;
    uint8_t dtype;
    int64_t index; /* CHECK_INDEX: into dim_a, which is axis dim_b of what is indexed */
    struct str text;
};

struct ir_input {
    struct str name;
    struct span span; /* first use, or the param line */
    uint8_t dtype, rank;
    bool weak;
    uint32_t shape;
    ir_id node;
};

struct ir_output {
    struct str name; /* may be empty: an unnamed expression */
    ir_id node;
    struct span span;
};

struct ir {
    struct arena *arena;
    VEC(struct ir_node) nodes; /* [0] is poison */
    VEC(struct ir_dim) dims;
    VEC(struct ir_shape) shapes;
    VEC(struct ir_region) regions;
    VEC(struct ir_loop) loops;
    VEC(struct ir_steps) steps;
    VEC(struct ir_check) checks;
    VEC(struct ir_view) views;
    VEC(struct ir_input) inputs;
    VEC(struct ir_output) outputs;
    VEC(ir_id) effects;         /* of a kernel: what it does to memory, and the loops in which it does so */
    uint32_t launch;            /* of a kernel: the shape of its threads */
    ir_id block;                /* of a kernel: the input whose shape is that of the threads of a block */
    ir_id blocks;               /* and of the blocks */
    uint32_t n_moments;         /* reads and writes of what a kernel changes so far: each is a node of its own */
    struct ir_builder *builder; /* hash tables and the like; private to src/ir */
    uint32_t region;            /* where new nodes go */
    uint32_t stepping;          /* the steps whose round is being built, or NO_STEPS */
    uint32_t max_nodes;
    uint32_t max_rounds; /* of one loop, after which it is given up with FAULT_ENDLESS */
    uint64_t work, max_work; /* steps of building so far, and how many there may be; 0: no limit */
};

#define ir_at(ir, id) (&(ir)->nodes.at[id])

/* ---- building: every function returns an existing or new id, or 0 with a diagnostic when types do not fit ---- */

void ir_init(struct ir *ir, struct arena *arena, uint32_t max_nodes);
/* Units of max_work, see arex_compile_options: beyond it building ends as it does when the arena is full. */
void ir_set_max_work(struct ir *ir, uint32_t units);
ir_id ir_const(struct ir *ir, enum dtype dtype, uint64_t bits, unsigned flags, struct span span);
ir_id ir_input_new(struct ir *ir, struct str name, enum dtype dtype, unsigned rank, bool weak, struct span span);
/* Raw nodes: arguments already have the dtypes the operation wants; shapes are broadcast, faults of shape recorded as checks. */
ir_id ir_elem(struct ir *ir, enum op op, enum dtype result, const ir_id *args, unsigned n, unsigned flags, struct span span,
              struct diags *diags);
ir_id ir_cast(struct ir *ir, ir_id x, enum dtype to, struct span span);
ir_id ir_bitcast(struct ir *ir, ir_id x, enum dtype to, struct span span);
ir_id ir_bitcast_of_number(struct ir *ir, ir_id x, enum dtype to, struct span span); /* of a nan: the bits of any nan */
/* A number of a table's row; index: the signed integer of the numbers' width. */
ir_id ir_table(struct ir *ir, enum table table, unsigned column, ir_id index, struct span span);
static inline enum table ir_table_of(const struct ir_node *n)
{
    return (enum table)(n->attr / TABLE_COLUMNS);
}
static inline unsigned ir_table_column(const struct ir_node *n)
{
    return (unsigned)(n->attr % TABLE_COLUMNS);
}
/* A complex value of parts of one type, and a part of one: of an input, a view that looks at half of each element. */
ir_id ir_pair(struct ir *ir, ir_id re, ir_id im, struct span span, struct diags *diags);
ir_id ir_part(struct ir *ir, ir_id x, unsigned part, struct span span);
/* axis: of x. */
ir_id ir_scan(struct ir *ir, enum op op, ir_id x, unsigned axis, struct span span);
ir_id ir_reduce(struct ir *ir, enum op op, ir_id x, unsigned axes, bool keepdims, struct span span);
/* int64: where in C order along `axes` of the shape each element stands; extents of the other axes are 1. */
ir_id ir_place(struct ir *ir, uint32_t shape, unsigned axes, struct span span);
ir_id ir_count(struct ir *ir, ir_id x, unsigned axes, struct span span);
/* One step of indexing applied to a value of any kind; axis (and order) in the value's own axes. */
ir_id ir_view(struct ir *ir, ir_id x, struct ir_step step, struct span span, struct diags *diags);
/* A kernel's memory: an input that it changes; one update of it, where mask holds. Updates happen in the order in which they are made. */
enum update { UPDATE_STORE, UPDATE_ADD, UPDATE_MIN, UPDATE_MAX, UPDATE_CAS };
ir_id ir_memory(struct ir *ir, ir_id input, struct span span); /* of a complex input: of the pair of its parts */
struct ir_update {
    enum update kind;
    ir_id memory, value, mask, compare; /* memory: or a part of a complex one; compare: of CAS */
    const ir_id *indices;               /* one an axis */
};
ir_id ir_update(struct ir *ir, const struct ir_update *u, struct span span, struct diags *diags);
/* An array of a block of threads, or of each thread's own: an axis an extent; and where its threads meet. */
ir_id ir_shared(struct ir *ir, enum dtype dtype, const int64_t *extents, unsigned rank, bool own, struct span span);
ir_id ir_barrier(struct ir *ir, ir_id mask, struct span span);
/* Elements of x by index: one int64 value an axis of x, all broadcast; those of `checked` axes must lie within the extent. */
ir_id ir_take(struct ir *ir, ir_id x, const ir_id *indices, unsigned checked, struct span span, struct diags *diags);
uint32_t ir_region_begin(struct ir *ir);
void ir_region_end(struct ir *ir);
ir_id ir_rarely(struct ir *ir, ir_id cond, uint32_t region, ir_id slow, ir_id fast, unsigned flags, struct span span, struct diags *diags);

/*
 * A loop over n variables of these dtypes, in steps: begin makes the variables and opens the region of the condition, body
 * opens that of the body, end closes both; finish makes the loop node. Its results are one node a variable. `shape` is
 * that of every element that loops: all values that take part broadcast to it.
 */
uint32_t ir_loop_begin(struct ir *ir, const enum dtype *dtypes, const bool *weak, uint32_t n, uint32_t shape, struct span span);
void ir_loop_body(struct ir *ir, uint32_t loop);
ir_id ir_loop_end(struct ir *ir, uint32_t loop, const ir_id *nexts, struct span span); /* the nexts, tied */
ir_id ir_loop_finish(struct ir *ir, uint32_t loop, const ir_id *starts, ir_id cond, ir_id nexts, struct span span);
ir_id ir_loop_result(struct ir *ir, ir_id loop, uint32_t variable);
uint32_t ir_broadcast(struct ir *ir, uint32_t a, uint32_t b); /* of two shapes, unchecked */

/*
 * Steps over n states that start from these values, of the states' own types; where the value has fewer axes than the shape, it is stretched.
 * begin makes the states, end the node of the steps from what the states become; finish nothing, when they are given up.
 */
uint32_t ir_steps_begin(struct ir *ir, const ir_id *starts, const uint32_t *shapes, uint32_t n, struct span span);
ir_id ir_steps_end(struct ir *ir, uint32_t steps, const ir_id *starts, ir_id rounds, const ir_id *nexts, struct span span);
ir_id ir_stepped(struct ir *ir, ir_id steps, uint32_t state);
/* x with the part that `steps` of indexing lead to replaced by a value that broadcasts to it. */
ir_id ir_replace(struct ir *ir, ir_id x, const struct ir_step *steps, uint32_t n, ir_id value, struct span span, struct diags *diags);

/* ---- asking ---- */

/* owner[id]: the innermost steps in whose rounds the node is computed, or NO_STEPS. owner has nodes.n entries. */
void ir_owners(const struct ir *ir, uint32_t *owner);

bool ir_region_around(const struct ir *ir, uint32_t outer, uint32_t inner); /* or the same */
/* Item i of a chain of OP_tie. */
ir_id ir_tied(const struct ir *ir, ir_id chain, uint32_t i);
/* The innermost loop's region around `region` (itself included) that is computed again and again, or 0. */
uint32_t ir_looping_region(const struct ir *ir, uint32_t region);

/* Is the node complex elements in memory, or to be laid there, of two parts that are its arguments: a pair, or what a kernel changes? */
static inline bool ir_is_of_parts(const struct ir *ir, ir_id id)
{
    return ir_at(ir, id)->n_args == 2 && (ir_at(ir, id)->op == OP_pair || ir_at(ir, id)->op == OP_memory);
}
/* What a kernel changes, or shares in a block; or a part of the former. */
static inline bool ir_is_changed(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    enum op op = (enum op)(n->op == OP_view ? ir_at(ir, n->args[0])->op : n->op);
    return op == OP_memory || op == OP_shared;
}
enum dtype ir_arg_dtype(const struct ir *ir, ir_id id); /* of args[0], or of args[1] for where: what picks the primitive */
enum prim ir_prim(const struct ir *ir, ir_id id);       /* the primitive of an ELEM node */
/* What a node of a kernel says about where a thread is, along an axis of the launch. */
enum ir_standing { STANDS_NOT, STANDS_THREAD, STANDS_BLOCK }; /* its index in the block; that of its block */
enum ir_standing ir_stands(const struct ir *ir, ir_id id, unsigned *axis);
/* uniform[id] = 1 for every node that has one value for all threads of a block, as far as the IR tells. uniform has nodes.n entries. */
void ir_uniform(const struct ir *ir, uint8_t *uniform);
static inline bool ir_is_own(const struct ir *ir, ir_id shared)
{
    return ir_at(ir, shared)->op == OP_shared && ir_at(ir, shared)->flags & IR_OWN;
}
/* Bytes of an OP_shared. */
int64_t ir_shared_size(const struct ir *ir, ir_id shared);
/* live[id] = 1 for every node that some output, or some slow side of a live rarely, needs. live has nodes.n entries. */
void ir_live(const struct ir *ir, uint8_t *live);
/* NULL when sound, else a sentence about the first fault found (in the arena). */
const char *ir_verify(const struct ir *ir);
void ir_print(const struct ir *ir, struct strbuf *out);
void ir_print_dim(const struct ir *ir, uint32_t dim, struct strbuf *out);

/*
 * Gives every dim its value from the shapes of the arguments (extents[input][axis]) and runs the checks.
 * values has dims.n entries. False, with diagnostics that show the shapes and underline the operands, when a check fails.
 * weak_values[input] is the value of a weak integer argument (CHECK_FITS); may be NULL when there is none.
 */
bool ir_shapes_resolve(const struct ir *ir, const int64_t (*extents)[IR_MAX_RANK], const int64_t *weak_values,
                       int64_t *values, struct diags *diags);

/* An array as views change it: `offset` in bytes from its first element, shape and strides in place. */
struct ir_layout {
    unsigned rank;
    int64_t offset, shape[IR_MAX_RANK], stride[IR_MAX_RANK];
};
void ir_view_apply(const struct ir_view *view, const int64_t *dim_values, enum dtype base, struct ir_layout *layout);
/* The place of OP_place as memory has it: strides in multiples of 8 bytes, from address 0. */
void ir_place_layout(const struct ir *ir, const struct ir_node *place, const int64_t *dim_values, struct ir_layout *layout);
/* How many elements a slice of n takes, and the first. */
int64_t ir_slice_length(const struct ir_slice *slice, int64_t n, int64_t *first);

/* ---- the reference evaluator: plain loops, one array a node, the same bits as every device ---- */

/* Bits of a call's faults; all but the first are errors. */
enum { FAULT_DIVIDE = 1, FAULT_NEGATIVE_POWER = 2, FAULT_INDEX = 4, FAULT_ENDLESS = 64 };

/*
 * What a call raised, as devices keep it. Of indices out of range one is remembered, whatever the order in which they are
 * met: that of the first check, the largest. A key of that order: check and index; 0 for none.
 */
struct ir_faults {
    uint32_t bits, stopped;
    uint64_t index;
    /* On the CPU loops that last ask now and then whether to go on: not 0 ends them, and sets `stopped`, which others see when they begin.
     * NULL: nobody is asked. */
    int (*asked)(void *user);
    void *user;
};
#define FAULT_KEY_INDEX_BITS 40 /* indices are told up to half of 2 to that */
static inline uint64_t ir_fault_key(ir_id check, int64_t index)
{
    const int64_t most = INT64_C(1) << (FAULT_KEY_INDEX_BITS - 1);
    const uint64_t first = (UINT64_C(1) << (64 - FAULT_KEY_INDEX_BITS)) - 1;
    index = index < -most ? -most : index >= most ? most - 1 : index;
    return (first - (check < first ? check : first)) << FAULT_KEY_INDEX_BITS | (uint64_t)(index + most);
}
static inline ir_id ir_fault_check(uint64_t key)
{
    return (ir_id)((UINT64_C(1) << (64 - FAULT_KEY_INDEX_BITS)) - 1 - (key >> FAULT_KEY_INDEX_BITS));
}
static inline int64_t ir_fault_index(uint64_t key)
{
    return (int64_t)(key & ((UINT64_C(1) << FAULT_KEY_INDEX_BITS) - 1)) - (INT64_C(1) << (FAULT_KEY_INDEX_BITS - 1));
}
enum { LAYOUT_ADDRESS, LAYOUT_STRIDE };
/*
 * The value of an OP_layout, of an array seen as `layout`, its first element at `address`: axes of one element have no stride.
 * Of an array of no elements every index is out of range: what is read all the same is at `nowhere`, and seen by nobody.
 */
static inline int64_t ir_layout_value(uint64_t attr, uint64_t address, unsigned rank, const int64_t *shape, const int64_t *stride, uint64_t nowhere)
{
    for (unsigned d = 0; d < rank; d++)
        if (shape[d] == 0)
            return attr == LAYOUT_ADDRESS ? (int64_t)nowhere : 0;
    return attr == LAYOUT_ADDRESS ? (int64_t)address : shape[attr - LAYOUT_STRIDE] == 1 ? 0 : stride[attr - LAYOUT_STRIDE];
}

struct ir_array {
    void *data;
    int64_t stride[IR_MAX_RANK]; /* bytes */
};
/* dim_values from ir_shapes_resolve. outputs: C-contiguous, allocated by the caller. False when memory ran out. */
bool ir_eval(const struct ir *ir, const struct ir_array *inputs, const int64_t *dim_values, void *const *outputs,
             struct ir_faults *faults);

/* The fixed reduction tree (docs/design.md, "One answer"); every implementation takes its constants from here. */
#define TREE_BLOCK       4096 /* elements a block */
#define TREE_LANE_BYTES  512  /* lanes a block = TREE_LANE_BYTES / size of the accumulator */
#define TREE_JOIN_LANES  1024 /* lanes over which the partial results of blocks are joined */
#define TREE_CHUNK       256  /* rows a chunk when the last axis is kept */
/*
 * Scans: blocks of TREE_BLOCK elements, of SCAN_WAYS groups, of as many chunks, of as many elements. In a chunk elements are joined one after another; so
 * are the results of the chunks of a group and of the groups of a block. What blocks come to is scanned by the same scheme, and blocks of
 * those are joined one after another. An element's result is what is before its block, joined to (what is before its group in the block, joined to (what is before its chunk in the group, joined to its own in the chunk)).
 */
#define SCAN_WAYS        16

#endif
