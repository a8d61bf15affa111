/* The tables' numbers as C data, and what looking one up means. See tables.h. */
#include <assert.h>
#include <string.h>
#include "ir/tables.h"

typedef float table_float32;
typedef double table_float64;

#define TABLE(name, type, rows) static const table_##type name##_data[][TABLE_COLUMNS] = {
#define ROW(a, b, c, d)         {a, b, c, d},
#define END_TABLE               };
#include "runtime/math/tables.def"
#undef TABLE
#undef ROW
#undef END_TABLE

#define ROW(a, b, c, d)
#define END_TABLE
#define TABLE(name, type, rows)                                                                              \
    static_assert((rows) > 0 && ((rows) & ((rows)-1)) == 0, "rows of a table are a power of two: " #name);   \
    static_assert(sizeof name##_data == (rows) * sizeof *name##_data,                                        \
                  "as many rows as tables.def says: " #name);                                                \
    static_assert(sizeof name##_data <= 1 << 16,                                                             \
                  "16 bits tell where a row starts (src/codegen/table.c): " #name);
#include "runtime/math/tables.def"
#undef TABLE

const struct table_info table_table[TABLE_COUNT] = {
#define TABLE(name, type, rows) {#name, DT_##type, rows, name##_data},
#include "runtime/math/tables.def"
#undef TABLE
};

enum table table_by_name(struct str name)
{
    for (unsigned t = 0; t < TABLE_COUNT; t++)
        if (str_is(name, table_table[t].name))
            return (enum table)t;
    return TABLE_COUNT;
}

void table_look_up(enum table t, unsigned column, const void *index, void *out, size_t n)
{
    const struct table_info *info = &table_table[t];
    size_t size = type_table[info->dtype].size;
    for (size_t k = 0; k < n; k++) {
        uint64_t row = 0; /* the low bytes come first: all that counts modulo a power of two */
        memcpy(&row, (const char *)index + k * size, size);
        row &= info->rows - 1;
        memcpy((char *)out + k * size, (const char *)info->data + row * table_row_size(t) + column * size,
               size);
    }
}
