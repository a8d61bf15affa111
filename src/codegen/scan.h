/*
 * What both ways of emitting a SCAN share: in steps (scan.c, CPU), and in one launch (scan_gpu.c, scan_back.c). Private to these.
 */
#ifndef AREX_CODEGEN_SCAN_H
#define AREX_CODEGEN_SCAN_H
#include "gen.h"

enum { CHUNK = SCAN_WAYS, CHUNKS = TREE_BLOCK / CHUNK, GROUPS = CHUNKS / SCAN_WAYS };

struct scan {
    struct gen *g;
    struct body body;
    const struct loop_reduce *reduce;
    enum dtype dtype;
    unsigned width;               /* elements that are computed and stored at once, at most */
    val elements, chunks, groups; /* of the block: what is in it; per chunk and group what is before it */
    val row, block;               /* the sequence, and the block in it */
    val start, n;                 /* first element of the block in the sequence, how many */
    val totals;                   /* CPU: the block is one of totals, from this index on; or NULL */
};

val scan_combine(struct scan *s, val a, val b);
val scan_identity(struct scan *s);

/* Element k of memory and the w - 1 after it. */
val scan_take(struct scan *s, val memory, val k, unsigned w);
void scan_put(struct scan *s, val memory, val k, val v);

void scan_begin_item(struct scan *s, val item); /* block `item` of all sequences one after another */
val scan_compute(struct scan *s, val i, unsigned w); /* what is scanned, from element i of the block on */
void scan_store(struct scan *s, val i, val v);       /* what it came to */
/* An element's result, of what it comes to in its own chunk. */
val scan_with_all_before(struct scan *s, val before_block, val group, val chunk, val own);

/* ---- scan_gpu.c ---- */
void scan_gpu(struct scan *s);

/* ---- scan_back.c ---- */
enum { SCAN_LEVELS = 3 };
struct one_pass {
    struct scan *s;
    val number; /* shared: the ticket */
    val before; /* shared: what totals of each level come to, then what is before the block of totals */
    val many;   /* has a sequence several blocks? */
    val words, first_chunk; /* of all; the first of this sequence's chunks of totals */
};
void scan_find_words(struct one_pass *o);          /* of the sequence at hand */
void scan_tell_total(struct one_pass *o, val all); /* what the block at hand comes to, to the others: by one thread */
/* What is before the block at hand, which comes to `of_block`. By all threads. */
val scan_before_block(struct one_pass *o, val of_block);

#endif
