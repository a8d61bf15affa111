/* rows(table, i): what the library's functions read of its constant tables. Programs have no such function. */
#include "sema/build.h"

/* Faults here are the library's own: no user can write what they are about. */
static struct value no_rows(struct sema *s, struct span span)
{
    sema_error(
        s, AX_internal, span,
        "`rows` takes a table of the math library and an index, the signed integer of its numbers' width");
    return value_error();
}

static ir_id index_of(struct sema *s, enum table table, const struct value *v)
{
    enum dtype want = type_bits(table_table[table].dtype);
    if (v->kind == VALUE_INT || (v->kind == VALUE_ARRAY && v->dtype == want))
        return value_as(s, v, want);
    return 0;
}

/* All four numbers of the row; those that are not used are computed by nobody. */
struct value call_rows(struct sema *s, const struct ast *e)
{
    bool named = e->n_kids == 2 && e->kid[0]->kind == AST_NAME && e->kid[1]->kind != AST_KEYWORD;
    enum table table = named ? table_by_name(e->kid[0]->name) : TABLE_COUNT;
    struct value index = table != TABLE_COUNT ? eval(s, e->kid[1]) : value_error();
    ir_id at = table != TABLE_COUNT ? index_of(s, table, &index) : 0;
    if (!at)
        return no_rows(s, e->span);
    struct value *items = arena_array(s->arena, struct value, TABLE_COLUMNS);
    for (unsigned column = 0; column < TABLE_COLUMNS; column++)
        items[column] =
            value_array(s, ir_table(s->ir, table, column, at, sema_span(s, e->span)), false, e->span);
    return (struct value){.kind = VALUE_TUPLE, .items = items, .n_items = TABLE_COLUMNS, .span = e->span};
}
