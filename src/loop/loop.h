/*
 * Loop nests: the schedule of a program as data. IR in, a list of nests out; no code, no extents, no device.
 *
 * A nest walks one space once. MAP stores elementwise results. LANES and COLUMNS reduce: LANES when the last
 * axis is among the reduced ones, COLUMNS when it is kept. A reducing nest runs in two steps: `main` makes partial
 * results per block, `epilogue` joins them and computes what follows elementwise over the kept space. A SCAN stores, along one axis,
 * what its elements come to up to each of them: on a GPU in one step, on the CPU what blocks come to first, where there are several, then the elements.
 *
 * Space dims that are statically 1 are dropped (one stays where a nest would have none: a MAP has a dim, a reducing
 * nest a kept and a reduced one); kept dims come first, then the reduced ones, each in logical order. At a call the executor may merge or (in a MAP) reorder dims; merged ones become extents of 1 in front,
 * so code depends on `rank` and `n_kept` only.
 *
 * Slots: the arguments of a nest's entries are 64-bit slots in the order given by struct loop_slots.
 */
#ifndef AREX_LOOP_H
#define AREX_LOOP_H
#include "ir/ir.h"

enum loop_kind { NEST_MAP, NEST_LANES, NEST_COLUMNS, NEST_SCAN };
enum loop_source {
    SOURCE_ARGUMENT,
    SOURCE_BUFFER,
    SOURCE_PLACE, /* no memory: an address from 0 on is the value, times 8; what strides and merged dims do to one fits the other */
    SOURCE_COUNT, /* no memory: the int64 a count node stands for, put into the slot by the executor */
    SOURCE_ROUND  /* no memory: how many rounds of the steps `index` went before, put there by the executor */
};

#define LOOP_MAX_RANK (IR_MAX_RANK + 1) /* a reduction of everything keeps one dim of extent 1 */

struct loop_access {
    enum loop_source source;
    uint32_t index; /* argument, or plan buffer */
    ir_id value;    /* the node whose value is read or written */
    ir_id target;   /* of a store: the node in whose memory it is, where that is not `value`: a state, or an array of which a part is replaced */
    bool view;      /* read through the view that `value` is; stored to the part that `target` replaces */
    bool scalar;    /* of an array without axes, through a view or not: passed by value where it is not on the device */
    uint8_t part;   /* of a store: which part of a complex `target` */
    bool layout;    /* no elements: the address or a stride of the array, in the slot; `value` is an OP_layout of it */
    uint8_t dtype, rank;
    int8_t axis[LOOP_MAX_RANK]; /* for every dim of the space: the array's axis, or -1 (same element all along it) */
};

struct loop_body {
    VEC(struct loop_access) loads;
    VEC(ir_id) order; /* nodes to compute, ascending, those of inner regions included */
    VEC(struct loop_access) stores;
};

struct loop_reduce {
    ir_id value;   /* the REDUCE or SCAN node */
    ir_id operand; /* what it reduces, computed by main */
    enum op op;
};

struct loop_nest {
    enum loop_kind kind;
    uint8_t rank, n_kept;
    uint32_t dim[LOOP_MAX_RANK]; /* indices into ir.dims */
    uint16_t lanes;            /* LANES: of the tree, from the float accumulator */
    struct loop_body main, epilogue;
    VEC(struct loop_reduce) reduces;
    bool updates;   /* a kernel's: stores nothing, changes memory by OP_update */
    bool blocks;    /* and its threads share memory or wait for each other: dims are those of the launch, never merged */
    uint32_t block[LOOP_MAX_RANK]; /* where it updates: the dims of a block of threads */
    uint32_t level; /* longest chain of reductions before it */
    ir_id replaces; /* MAP: of an OP_replace, the nest that lays down the whole, */
    bool part;      /* or the part; there is none for the whole where the part is all of it */
    bool once;      /* lays down a whole that from the second round of its steps on the memory may hold already: loop_find_once says whether */
};

enum loop_role {
    BUFFER_OUTPUT,
    BUFFER_TEMPORARY,
    BUFFER_LENT, /* an output's memory, for a value that the output is made from: until the nest that stores the output has read it */
};

struct loop_buffer {
    enum loop_role role;
    uint32_t output; /* BUFFER_OUTPUT, BUFFER_LENT: which */
    ir_id value;
    uint8_t dtype;
    uint32_t shape;
    uint32_t first, last; /* nests between which it is alive; outputs live to the end */
    uint32_t in;          /* the buffer whose memory it has: itself, or that of the array of which it replaces a part in place */
};

/* Nests that are repeated, and what happens to memory when a round is over: each buffer gets that of another, all at once. */
struct loop_move {
    uint32_t to, from;
};
struct loop_steps {
    uint32_t number;   /* in ir.steps */
    uint32_t parent;   /* index into plan.steps of those in whose rounds they are, or NO_STEPS */
    uint32_t first, n; /* nests; none where only memory changes hands */
    uint32_t rounds;   /* the buffer that holds their number, or NO_STEPS where `known` is it */
    int64_t known;
    struct loop_state {
        uint32_t now, next; /* buffers: of the state, and of what it becomes */
    } *states;
    uint32_t n_states;
    VEC(struct loop_move) moves;
};

enum { LOOP_MOST_KEPT = 2, LOOP_KEPT_ALIGNMENT = 16 };
enum { LOOP_COSTLY = 12 }; /* operations, from which on reading a value is quicker than computing it */

/* Nests one after another that can be done row by row: what a row of one needs of the others is that row. */
struct loop_rows {
    uint32_t first, n; /* n is 2 or more; the first is a LANES nest */
    struct loop_kept {
        ir_id value;
        uint32_t writer; /* the nest that has it first; later ones need not load or compute it */
        uint8_t dtype;
    } kept[LOOP_MOST_KEPT]; /* what is worth keeping of a row from nest to nest, where there is memory close by; the second in the place of the first, which nobody needs then (src/loop/keep.c) */
    uint32_t n_kept;
};

struct loop_plan {
    const struct ir *ir;
    VEC(struct loop_nest) nests; /* in order of execution */
    VEC(struct loop_rows) rows;  /* in order, apart */
    VEC(struct loop_steps) steps; /* outer ones before those in them, then in order of execution */
    VEC(struct loop_buffer) buffers;
    uint32_t *output_buffer; /* per output: its buffer */
    uint32_t n_outputs;
};

struct loop_limits {
    uint32_t max_nests; /* 0: 256 */
    uint32_t max_work;  /* operations in all nests; 0: no limit */
    bool recompute;     /* lay down nothing that can be computed again: on a GPU that is quicker than its memory */
};

/* NULL, with a diagnostic, when a limit is passed. */
struct loop_plan *loop_build(struct arena *arena, const struct ir *ir, const struct loop_limits *limits, struct diags *diags);
void loop_place_parts(struct arena *arena, struct loop_plan *plan); /* in place where nothing can tell; and the moves of steps */
void loop_mark_once(struct arena *arena, struct loop_plan *plan);
/* once[nest]: done in the first round of its steps only, at these extents. All of nests.n are false before. */
void loop_find_once(const struct loop_plan *plan, const int64_t *dims, bool *once);
uint32_t loop_steps_of(const struct loop_plan *plan, uint32_t nest); /* the innermost steps around it, or NO_STEPS */
uint32_t loop_memory_of(const struct loop_plan *plan, uint32_t buffer);
uint32_t loop_temporaries(const struct loop_plan *plan); /* arrays that it needs memory for beside its outputs */
void loop_find_rows(struct arena *arena, struct loop_plan *plan);
void loop_find_kept(struct arena *arena, const struct loop_plan *plan, struct loop_rows *rows);
/* Does a nest after the one that has `kept` need `id`, though it is given that? */
bool loop_needed_after(struct arena *arena, const struct loop_plan *plan, const struct loop_rows *rows, const struct loop_kept *kept, ir_id id);
/* needed[id]: what a nest loads or computes where it is given some values. All false before. */
void loop_needed(const struct ir *ir, const struct loop_nest *nest, const ir_id *given, unsigned n, uint8_t *needed);
bool loop_same_space(const struct loop_plan *plan, const struct loop_nest *lanes, const struct loop_nest *nest); /* the first reduces its last axes */
bool loop_same_rows(const struct loop_plan *plan, uint32_t first, uint32_t nest); /* may it be done with the LANES nest `first`? */
const char *loop_verify(struct arena *arena, const struct loop_plan *plan);
void loop_print(const struct loop_plan *plan, struct strbuf *out);      /* stage `loop` */
void loop_print_plan(const struct loop_plan *plan, struct strbuf *out); /* stage `plan` */

/* ---- how an array meets the innermost dim: what code is specialised on ---- */

enum loop_class {
    CLASS_VALUE,   /* the slot holds the element's bits */
    CLASS_UNIFORM, /* one element for the whole nest, behind the pointer */
    CLASS_ROW,     /* inner stride 0: one element a row */
    CLASS_UNIT,    /* inner stride = element size */
    CLASS_ALIGNED, /* the same, and every row starts at a multiple of 16 bytes */
    CLASS_STRIDED,
};

enum loop_variant_flags {
    VARIANT_FLAT = 1,   /* LANES: the reduced dims merged into one */
    VARIANT_STREAM = 2, /* results are larger than the caches: stores that bypass them */
    VARIANT_ROWS = 4,   /* GPU: one of loop_rows that is one kernel */
    VARIANT_KEEP = 16,  /* GPU: one of loop_rows, and what it keeps is in shared memory */
    VARIANT_BLOCKS = 8, /* GPU: a kernel's threads in the blocks that were asked for, though nothing but speed needs that */
};

/* One per nest. classes: main loads, main stores, epilogue loads, epilogue stores. */
struct loop_variant {
    uint8_t flags;
    uint8_t *classes;
    uint32_t n_classes;
};

/* What contiguous arguments of full extent give (rank 0 as VALUE): for `emit`, where no data is at hand. */
struct loop_variant *loop_default_variants(struct arena *arena, const struct loop_plan *plan);

/* ---- slots ---- */

/* Elements a GPU thread takes at a time: as many as 16 bytes hold of the widest array, at most 4, or 8 of the smallest types. */
unsigned loop_gpu_width(const struct ir *ir, const struct loop_nest *nest);
unsigned loop_gpu_turns(const struct ir *ir, const struct loop_nest *nest); /* vectors of so many elements that a thread of a MAP takes, one after another */
#define LOOP_ROW_BLOCKS 32 /* blocks of the tree that a row done by one kernel of a GPU has at most: one a lane of a warp */
#define LOOP_ROW_WARPS_EACH 4 /* warps of that kernel are a multiple of it */
#define LOOP_ROW_THREADS 512  /* of that kernel, at most */
#define LOOP_ROW_TILE 4096 /* elements of whole rows that a CPU worker takes through the nests of loop_rows at a time */
#define LOOP_COLUMN_TILE 2048 /* kept elements a CPU worker accumulates at a time in a COLUMNS nest */

struct loop_slots {
    uint32_t extents;  /* rank slots: extents, kept dims first */
    uint32_t length;   /* product of the reduced extents */
    uint32_t blocks;   /* partial results per kept element */
    uint32_t kept;     /* product of the kept extents */
    uint32_t partials; /* one pointer a reduce; of a SCAN on a GPU, to what its blocks tell each other */
    uint32_t faults;   /* pointer to a uint32 that faults are or-ed into */
    uint32_t main_loads, main_stores;         /* 1 + rank slots each: pointer or value, byte strides */
    uint32_t epilogue_loads, epilogue_stores; /* 1 + n_kept slots each */
    uint32_t block; /* rank slots where nest->updates: extents of a block of threads */
    uint32_t count;
};
/* The dim that vectors run along: the last of all, or of the kept ones. */
unsigned loop_inner(const struct loop_nest *nest);
/* Is a value read rather than computed? Reductions are, but for those of the nest itself. */
bool loop_is_loaded(const struct ir *ir, ir_id id);
struct loop_slots loop_slots(const struct loop_nest *nest);
/*
 * What the blocks of a SCAN tell each other on a GPU, all 0 before the launch; nothing where sequences are of one block. A ticket, in room of its own;
 * words of 64 bits, loop_scan_words of them for a value of so many bytes: a value per block, [kept][blocks], then one per SCAN_WAYS blocks, [kept][blocks / SCAN_WAYS, rounded up].
 */
enum { LOOP_SCAN_TICKET = 128 /* bytes */, LOOP_SCAN_THREADS = 128 /* of a block */ };
unsigned loop_scan_words(unsigned size);
int64_t loop_scan_bytes(int64_t kept, int64_t blocks, unsigned size);

#define LOOP_MAX_SLOTS 512 /* 4096 bytes, what a GPU launch takes */

#endif
