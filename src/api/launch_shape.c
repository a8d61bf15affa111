/* See launch_shape.h. */
#include "launch_shape.h"

enum { GPU_BLOCK = 256, GPU_WARPS = 4, GRID_HEIGHT = 65535 };

static unsigned power_of_two(int64_t n, unsigned most)
{
    unsigned p = 1;
    while (p < n && p < most)
        p *= 2;
    return p;
}

static int64_t up(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

static unsigned at_most(int64_t n, unsigned most)
{
    return n < most ? (unsigned)n : most;
}

/* Threads side by side along the inner dim; several rows a block when rows are short. */
static void grid_of_rows(struct device_launch *l, int64_t inner, int64_t rows, unsigned width)
{
    int64_t across = up(inner, width);
    l->block[0] = power_of_two(across, GPU_BLOCK);
    l->block[1] = GPU_BLOCK / l->block[0];
    l->grid[0] = (unsigned)up(across, l->block[0]);
    l->grid[1] = at_most(up(rows, l->block[1]), GRID_HEIGHT);
}

/* As it was asked for: x is the last dim. */
static void shape_blocks(const struct geometry *geo, struct device_launch *l)
{
    int64_t threads = 1;
    unsigned rank = geo->nest->rank;
    l->items = 1;
    for (unsigned d = 0; d < rank; d++) {
        int64_t blocks = geo->extent[d] / geo->block[d];
        l->items *= blocks;
        threads *= geo->block[d];
        l->grid[rank - 1 - d] = (unsigned)blocks;
        l->block[rank - 1 - d] = (unsigned)geo->block[d];
    }
    l->grain = up(4096, threads);
}

bool launch_shape_fits(const struct geometry *geo, struct diags *diags)
{
    unsigned axis;
    if (geometry_blocks_fit(geo, &axis))
        return true;
    if (axis < 3)
        diag_add(diags, AX_usage, (struct span){0, 0}, "a kernel with shared arrays or syncthreads is launched over at most %s blocks along %c", axis ? "65535" : "2^31 - 1", "xyz"[axis]);
    else
        diag_add(diags, AX_usage, (struct span){0, 0}, "a kernel with shared arrays or syncthreads has at most 64 threads of a block along z");
    return false;
}

void launch_shape_main(const struct ir *ir, const struct geometry *geo, struct device_launch *l)
{
    const struct loop_nest *n = geo->nest;
    unsigned width = loop_gpu_width(ir, n);
    int64_t inner = geo->extent[n->n_kept - 1], rows = inner ? geo->kept / inner : 0;
    switch (n->kind) {
    case NEST_MAP:
        if (n->blocks || (geo->flags & VARIANT_BLOCKS)) {
            shape_blocks(geo, l);
            break;
        }
        l->items = geo->kept;
        l->grain = 16384;
        grid_of_rows(l, inner, rows, width * loop_gpu_turns(ir, n));
        break;
    case NEST_LANES:
        l->items = geo->kept * geo->blocks;
        l->grain = up(16384, geo->length < TREE_BLOCK ? geo->length + 1 : TREE_BLOCK);
        l->block[0] = 32 * GPU_WARPS;
        l->grid[0] = (unsigned)up(l->items, GPU_WARPS);
        break;
    case NEST_COLUMNS:
        l->items = geo->blocks * rows * up(inner, LOOP_COLUMN_TILE);
        l->grain = 1;
        grid_of_rows(l, inner, rows * geo->blocks, width);
        break;
    case NEST_SCAN:
        l->items = geo->length ? geo->kept * geo->blocks : 0;
        l->grain = up(16384, geo->length < TREE_BLOCK ? geo->length + 1 : TREE_BLOCK);
        l->block[0] = LOOP_SCAN_THREADS;
        l->grid[0] = (unsigned)l->items;
        break;
    }
}

void launch_shape_join(const struct geometry *geo, struct device_launch *l)
{
    l->items = geo->kept;
    l->grain = up(4096, geo->blocks);
    l->block[0] = GPU_BLOCK;
    if (geo->nest->kind == NEST_LANES) {
        l->block[0] = power_of_two(geo->blocks, TREE_JOIN_LANES);
        l->block[1] = l->block[0] < GPU_BLOCK ? GPU_BLOCK / l->block[0] : 1;
        l->grid[0] = (unsigned)up(geo->kept, l->block[1]);
    } else {
        l->grid[0] = (unsigned)up(geo->kept, GPU_BLOCK);
    }
}
