/*
 * The constant tables of the math library (runtime/math/tables.def): numbers that its functions look up by a row's index. Any index is one of
 * a row: it is taken modulo their number, a power of two. Constant data; nothing is parsed or made when a program starts.
 */
#ifndef AREX_IR_TABLES_H
#define AREX_IR_TABLES_H
#include "ir/ops.h"

#define TABLE_COLUMNS 4

enum table {
#define TABLE(name, type, rows) TABLE_##name,
#define ROW(a, b, c, d)
#define END_TABLE
#include "runtime/math/tables.def"
#undef TABLE
#undef ROW
#undef END_TABLE
    TABLE_COUNT
};

struct table_info {
    const char *name;
    enum dtype dtype; /* float32 or float64; the index is an integer of its width */
    uint32_t rows;
    const void *data; /* rows of TABLE_COLUMNS numbers */
};
extern const struct table_info table_table[TABLE_COUNT];

enum table table_by_name(struct str name); /* TABLE_COUNT when unknown */
/* The bytes of a row. */
static inline unsigned table_row_size(enum table t)
{
    return TABLE_COLUMNS * type_table[table_table[t].dtype].size;
}
/* out[k] = column of row index[k] modulo the rows, for n elements of the table's type and of its width. */
void table_look_up(enum table t, unsigned column, const void *index, void *out, size_t n);

#endif
