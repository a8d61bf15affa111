/* What the parts of fusion share: its state, spaces of nests, where values go. Private to src/loop. */
#ifndef AREX_LOOP_FUSE_H
#define AREX_LOOP_FUSE_H
#include "loop/loop.h"

struct space {
    uint8_t rank; /* of the logical shape whose axes are walked */
    uint8_t n;
    uint8_t axis[LOOP_MAX_RANK]; /* logical axis of each dim; AXIS_MADE for a dim that was added */
    uint32_t dim[LOOP_MAX_RANK];
};

enum { AXIS_MADE = 0xff };

struct visit {
    ir_id id;
    uint32_t next; /* argument to meet */
};

/* A value that is stored: an output, or what a state of steps starts from or becomes. */
struct placing {
    ir_id id, target; /* target: the state, or the complex output that it is part of */
    uint8_t part;
    uint32_t buffer;
    uint32_t shape;
    uint32_t nest;
    enum { IN_MAIN, IN_EPILOGUE, IN_MAP, IN_PLACE } where;
};

/* A value laid down in an output's memory. */
struct lent {
    ir_id value;
    uint32_t buffer, writer, reader; /* nests */
};

struct fuse {
    struct arena *arena;
    const struct ir *ir;
    struct loop_plan *plan;
    struct diags *diags;
    uint8_t *live;
    uint32_t *level;
    uint32_t *nest_of;   /* per REDUCE and SCAN node: 1 + its nest */
    uint32_t *home;      /* per node: 1 + the nest it can be computed after, HOME_NONE, or 0 when it waits for none */
    uint32_t *buffer_of; /* per node: 1 + the buffer that holds it */
    VEC(struct lent) lent;
    VEC(struct placing) placed;
    uint32_t *owner;  /* of ir_owners */
    uint32_t segment; /* the first nest that what is placed now may be joined with: no loop of steps lies between */
    uint32_t maps;    /* and the first of the MAP nests */
    uint32_t reader;  /* the nest whose main body is collected, plus 1 */
    uint8_t *seen;
    struct visit *stack; /* of collect; every node is on it once at most */
    uint32_t depth;
    uint32_t max_nests;
};

static inline bool is_reduce(const struct ir_node *n)
{
    return op_collects((enum op)n->op);
}

static inline const struct ir_shape *shape_of(const struct fuse *f, ir_id id)
{
    return &f->ir->shapes.at[ir_at(f->ir, id)->shape];
}

/* ---- place.c ---- */
void space_add(struct space *s, const struct ir_shape *shape, unsigned keep); /* the dims that are not statically 1, those in `keep` of its axes */
void space_fill(struct space *s, unsigned at_least);
struct space space_of(const struct fuse *f, uint32_t shape);
struct space space_whole(const struct fuse *f, ir_id id);
void space_of_reduction(const struct fuse *f, ir_id reduce, struct space *kept, struct space *reduced);
struct loop_nest *fuse_nest(struct fuse *f, enum loop_kind kind, uint32_t level); /* a new one; others may move */
uint32_t fuse_buffer(struct fuse *f, ir_id id);                                   /* that holds the value, made where there is none */
bool fuse_place(struct fuse *f); /* gives levels, nests and placings; false: there are too many nests, and it is said */

#endif
