/* The tables of the language, for people and for machines. */
#include <stdio.h>
#include <string.h>
#include "api.h"

static void json_string(struct strbuf *out, const char *s)
{
    strbuf_puts(out, "\"");
    for (; *s; s++)
        if (*s == '"' || *s == '\\')
            strbuf_printf(out, "\\%c", *s);
        else if ((unsigned char)*s < 32)
            strbuf_printf(out, "\\u%04x", (unsigned char)*s);
        else
            strbuf_add(out, s, 1);
    strbuf_puts(out, "\"");
}

struct field {
    const char *key, *value;
};

static void json_row(struct strbuf *out, bool first, const struct field *f, unsigned n, const char *more)
{
    strbuf_puts(out, first ? "\n  {" : ",\n  {");
    for (unsigned i = 0; i < n; i++) {
        strbuf_printf(out, "%s\"%s\": ", i ? ", " : "", f[i].key);
        json_string(out, f[i].value);
    }
    strbuf_printf(out, "%s}", more);
}

static const char *const kind_names[] = {[OPK_ELEM] = "elementwise", [OPK_REDUCE] = "reduction", [OPK_SCAN] = "scan", [OPK_COMPOSE] = "composed", [OPK_SPECIAL] = "special"};
static const char *const domain_names[] = {"any", "positive", "unit", "small", "angle", "bools"};

static const char *name_of_prim(enum prim p)
{
    return p == PRIM_none ? "" : prim_table[p].name;
}

static void op_json(struct strbuf *out, enum op op, bool first)
{
    const struct op_info *o = &op_table[op];
    struct strbuf more = {0};
    struct field f[] = {{"name", o->name}, {"symbol", o->symbol}, {"kind", kind_names[o->kind]}, {"signature", o->signature}, {"on_bool", name_of_prim(o->on_bool)},
                        {"on_int", name_of_prim(o->on_int)}, {"on_float", name_of_prim(o->on_float)}, {"domain", domain_names[o->domain]}, {"doc", o->doc}};
    strbuf_printf(&more, ", \"arity\": %u, \"ulp\": %u.%u", o->arity, (unsigned)o->ulp, (unsigned)(o->ulp * 10) % 10);
    json_row(out, first, f, sizeof f / sizeof *f, more.s ? more.s : "");
    out->failed |= more.failed;
    strbuf_fini(&more);
}

static void list_ops(struct strbuf *out, bool json)
{
    bool first = true;
    for (enum op op = OP_none + 1; op < OP_COUNT; op++) {
        const struct op_info *o = &op_table[op];
        if (o->kind == OPK_INTERNAL || o->flags & (OPF_FAST | OPF_LIBRARY))
            continue;
        if (json)
            op_json(out, op, first);
        else
            strbuf_printf(out, "%-14s %-4s %-12s %s\n", o->name, o->symbol, kind_names[o->kind], o->doc);
        first = false;
    }
}

static const struct accuracy {
    const char *op, *dtype, *mode;
    double ulp, parts;
    const char *x, *y;
    uint64_t inputs;
} accuracies[] = {
#define ACCURACY(op, dtype, mode, ulp, x, y, inputs)      {#op, #dtype, #mode, ulp, 0, x, y, inputs},
#define COMPLEX(op, dtype, ulp, parts, a, b, inputs) {#op, #dtype, "strict", ulp, parts, a, b, inputs},
#include "accuracy.def"
#undef ACCURACY
#undef COMPLEX
};

/* "0.8516": printf would put the locale's decimal point. */
static void fixed(char *out, size_t size, double v)
{
    unsigned long n = (unsigned long)(v * 10000 + 0.5);
    snprintf(out, size, "%lu.%04lu", n / 10000, n % 10000);
}

static bool has_second(const struct accuracy *a)
{
    return strcmp(a->y, "0x0p+0") && strcmp(a->y, "0x0p+0 0x0p+0");
}

static void list_accuracy(struct strbuf *out, bool json)
{
    for (size_t i = 0; i < sizeof accuracies / sizeof *accuracies; i++) {
        const struct accuracy *a = &accuracies[i];
        char ulp[32], parts[32], inputs[32];
        fixed(ulp, sizeof ulp, a->ulp);
        fixed(parts, sizeof parts, a->parts);
        snprintf(inputs, sizeof inputs, "%llu", (unsigned long long)a->inputs);
        struct field f[] = {{"name", a->op}, {"dtype", a->dtype}, {"mode", a->mode}, {"ulp", ulp}, {"x", a->x}, {"y", a->y}, {"inputs", inputs}, {"parts", parts}};
        if (json)
            json_row(out, i == 0, f, sizeof f / sizeof *f, "");
        else
            strbuf_printf(out, "%-10s %-10s %-6s %7s ulp at %s%s%s, of %s inputs\n", a->op, a->dtype, a->mode, ulp, a->x, has_second(a) ? ", " : "",
                          has_second(a) ? a->y : "", a->inputs == UINT64_C(1) << 32 ? "all 2^32" : inputs);
    }
}

static void list_aliases(struct strbuf *out, bool json)
{
    bool first = true;
#define ELEM(id, symbol, arity, rule, flags, on_bool, on_int, on_float, ulp, domain, doc)
#define REDUCE(id, rule, combine, identity, doc)
#define SCAN(id, rule, combine, identity, doc)
#define COMPOSE(id, signature, doc)
#define SPECIAL(id, taker, signature, doc)
#define ALIAS(alias, id)                                                                                     \
    {                                                                                                        \
        struct field f[] = {{"name", #alias}, {"of", #id}};                                                  \
        if (json)                                                                                            \
            json_row(out, first, f, 2, "");                                                                  \
        else                                                                                                 \
            strbuf_printf(out, "%-14s %s\n", f[0].value, f[1].value);                                        \
        first = false;                                                                                       \
    }
#include "ops.def"
#undef ELEM
#undef REDUCE
#undef SCAN
#undef COMPOSE
#undef SPECIAL
#undef ALIAS
}

static void list_types(struct strbuf *out, bool json)
{
    for (enum dtype t = DT_none + 1; t < DT_COUNT; t++) {
        struct field f[] = {{"name", type_table[t].name}, {"npy", type_table[t].npy}, {"works", type_table[t].works ? "yes" : "later"}};
        if (json)
            json_row(out, t == DT_none + 1, f, 3, "");
        else
            strbuf_printf(out, "%-11s %2u bytes  %s\n", f[0].value, type_table[t].size, type_table[t].works ? "" : "to come");
    }
}

static void list_stages(struct strbuf *out, bool json)
{
    bool first = true;
#define STAGE(name, needs, doc)                                                                              \
    {                                                                                                        \
        struct field f[] = {{"name", #name}, {"needs", #needs}, {"doc", doc}};                               \
        if (json)                                                                                            \
            json_row(out, first, f, 3, "");                                                                  \
        else                                                                                                 \
            strbuf_printf(out, "%-6s %s\n", f[0].value, f[2].value);                                         \
        first = false;                                                                                       \
    }
#include "stages.def"
#undef STAGE
}

static void list_errors(struct strbuf *out, bool json)
{
    for (enum diag_id id = 0; id < AX_COUNT; id++) {
        const struct diag_info *d = &diag_table[id];
        struct field f[] = {{"code", d->code}, {"id", d->id}, {"severity", d->severity == SEVERITY_ERROR ? "error" : "warning"}, {"title", d->title}, {"help", d->help}};
        if (json)
            json_row(out, id == 0, f, sizeof f / sizeof *f, "");
        else
            strbuf_printf(out, "%s  %s\n        %s\n", d->code, d->title, d->help);
    }
}

PUBLIC arex_status arex_list(const char *what, int json, char **text)
{
    static const struct {
        const char *name;
        void (*print)(struct strbuf *, bool);
    } lists[] = {{"ops", list_ops}, {"accuracy", list_accuracy}, {"aliases", list_aliases}, {"types", list_types}, {"stages", list_stages}, {"errors", list_errors}};
    struct strbuf out = {0};
    if (!what || !text)
        return AREX_ERROR_USAGE;
    *text = NULL;
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
        if (strcmp(what, lists[i].name) == 0) {
            strbuf_puts(&out, json ? "[" : "");
            lists[i].print(&out, json);
            strbuf_puts(&out, json ? "\n]\n" : "");
            *text = strbuf_take(&out);
            return *text ? AREX_OK : AREX_ERROR_MEMORY;
        }
    return AREX_ERROR_USAGE;
}

/* ---- small facts ---- */

_Static_assert((int)AREX_BOOL == DT_bool && (int)AREX_INT64 == DT_int64 && (int)AREX_UINT64 == DT_uint64 && (int)AREX_FLOAT64 == DT_float64 &&
                   (int)AREX_COMPLEX128 == DT_complex128 && (int)AREX_COMPLEX128 + 1 == DT_COUNT,
               "the public enum follows grammar/types.def");

PUBLIC const char *arex_version(void)
{
    return "0.1.0";
}

static bool is_dtype(int t)
{
    return t > AREX_NONE && t < (int)DT_COUNT;
}

PUBLIC const char *arex_dtype_name(int t)
{
    return is_dtype(t) ? type_table[t].name : NULL;
}

PUBLIC int arex_dtype_of(const char *name)
{
    return name ? (int)type_by_name(str_of(name)) : AREX_NONE;
}

PUBLIC size_t arex_dtype_size(int t)
{
    return is_dtype(t) ? type_table[t].size : 0;
}

PUBLIC int arex_dtype_supported(int t)
{
    return is_dtype(t) && type_table[t].works;
}
