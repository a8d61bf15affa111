/*
 * Prints values as NumPy would: scalars by their shortest digits, arrays in brackets with one width for all elements,
 * the middle of large ones left out, lines of at most 75 characters.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

enum { EDGE = 3, THRESHOLD = 1000, WIDTH = 75, PRECISION = 8, WORD = 400 };

struct printer {
    FILE *to;
    const struct arex_array *a;
    bool summary, exponent;
    int left, right, width, pass, line;
    double least, most;
    bool negative_inf, special, plus; /* plus: numbers that are not negative have a sign too */
    struct printer *imaginary;        /* of complex elements: of their imaginary parts */
};

enum kind { FLOATING, SIGNED, UNSIGNED };

/* What the printer must know of a type: `fraction` is of floats, the bits stored of it. */
static const struct form {
    int dtype;
    enum kind kind;
    int fraction;
} forms[] = {
    {AREX_INT8, SIGNED, 0}, {AREX_INT16, SIGNED, 0}, {AREX_INT32, SIGNED, 0}, {AREX_INT64, SIGNED, 0},
    {AREX_UINT8, UNSIGNED, 0}, {AREX_UINT16, UNSIGNED, 0}, {AREX_UINT32, UNSIGNED, 0}, {AREX_UINT64, UNSIGNED, 0},
    {AREX_FLOAT16, FLOATING, 10}, {AREX_BFLOAT16, FLOATING, 7}, {AREX_FLOAT32, FLOATING, 23}, {AREX_FLOAT64, FLOATING, 52},
};

static const struct form *form_of(int dtype)
{
    size_t i = 0;
    while (i + 1 < sizeof forms / sizeof *forms && forms[i].dtype != dtype)
        i++;
    return &forms[i];
}

/* Of any float: an exponent of what the fraction leaves beside the sign. */
static double float_from(uint64_t bits, int size, int fraction)
{
    int exponent_bits = 8 * size - 1 - fraction, bias = (1 << (exponent_bits - 1)) - 1;
    uint64_t mantissa = bits & ((UINT64_C(1) << fraction) - 1);
    int exponent = (int)(bits >> fraction & ((1u << exponent_bits) - 1));
    double v = (double)(exponent ? mantissa | UINT64_C(1) << fraction : mantissa);
    if (exponent == 2 * bias + 1)
        v = mantissa ? NAN : INFINITY;
    else
        v = ldexp(v, (exponent ? exponent : 1) - bias - fraction);
    return bits >> (8 * size - 1) ? -v : v;
}

static uint64_t bits_at(const struct arex_array *a, const char *p)
{
    uint64_t bits = 0;
    memcpy(&bits, p, arex_dtype_size(a->dtype));
    return bits;
}

static double float_at(const struct arex_array *a, const char *p)
{
    return float_from(bits_at(a, p), (int)arex_dtype_size(a->dtype), form_of(a->dtype)->fraction);
}

static int int_text(const struct arex_array *a, const char *p, int width, char *out)
{
    uint64_t bits = bits_at(a, p);
    unsigned above = 64 - 8 * (unsigned)arex_dtype_size(a->dtype);
    if (form_of(a->dtype)->kind == UNSIGNED)
        return snprintf(out, WORD, "%*llu", width, (unsigned long long)bits);
    return snprintf(out, WORD, "%*lld", width, (long long)((int64_t)(bits << above) >> above));
}

/* Decimal digits that the type always holds: numbers with more before the point are printed with an exponent. */
static int sure_digits(int dtype)
{
    return (int)(form_of(dtype)->fraction * 0.30103);
}

static bool is_complex(int dtype)
{
    return dtype == AREX_COMPLEX64 || dtype == AREX_COMPLEX128;
}

/* The array of real or imaginary parts. */
static struct arex_array part_of(const struct arex_array *a, unsigned part)
{
    struct arex_array p = *a;
    p.dtype = a->dtype == AREX_COMPLEX64 ? AREX_FLOAT32 : AREX_FLOAT64;
    p.data = (char *)a->data + part * arex_dtype_size(p.dtype);
    return p;
}

static bool is_float(int dtype)
{
    return form_of(dtype)->kind == FLOATING;
}

/* Does `text` lie nearest to x among the numbers of the type: within half of the step to either neighbour. */
static bool reads_back(int dtype, const char *text, double x)
{
    int fraction = form_of(dtype)->fraction, exponent;
    double read = strtod(text, NULL);
    if (dtype == AREX_FLOAT64 || dtype == AREX_FLOAT32)
        return dtype == AREX_FLOAT32 ? strtof(text, NULL) == (float)x : read == x;
    int bias = (1 << (14 - fraction)) - 1;
    frexp(x, &exponent);
    exponent = exponent - 1 < 1 - bias ? 1 - bias : exponent - 1;
    double half = ldexp(0.5, exponent - fraction), off = fabs(read) - fabs(x);
    bool even = fmod(ldexp(fabs(x), fraction - exponent), 2) == 0, power = ldexp(1, exponent) == fabs(x) && exponent > 1 - bias;
    double below = power ? half / 2 : half;
    return off >= 0 ? off < half || (off == half && even) : -off < below || (-off == below && even);
}

/* Digits after the first that are needed to read the same value back. */
static int shortest(int dtype, double x)
{
    char text[64];
    int n = 0;
    for (; n < 17; n++) {
        snprintf(text, sizeof text, "%.*e", n, x);
        if (reads_back(dtype, text, x))
            break;
    }
    return n;
}

static int exponent_of(int digits, double x)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", digits, x);
    return atoi(strchr(text, 'e') + 1);
}

static bool print_special(char *out, double x)
{
    if (isnan(x))
        strcpy(out, "nan");
    else if (isinf(x))
        strcpy(out, x < 0 ? "-inf" : "inf");
    return isnan(x) || isinf(x);
}

/* "1.5", "2.", cut to `precision` digits of fraction. */
static void positional(char *out, int dtype, double x, int precision)
{
    int digits = shortest(dtype, x), fraction = digits - exponent_of(digits, x);
    if (fraction < 0) {
        /* digits past the shortest are zeros, as NumPy prints them */
        char mantissa[64];
        snprintf(mantissa, sizeof mantissa, "%.*e", digits, x);
        int exponent = exponent_of(digits, x), n = 0;
        const char *m = mantissa;
        if (*m == '-')
            out[n++] = *m++;
        for (; *m != 'e'; m++)
            if (*m != '.')
                out[n++] = *m;
        for (int k = digits; k < exponent; k++)
            out[n++] = '0';
        out[n++] = '.';
        out[n] = 0;
        return;
    }
    snprintf(out, WORD, "%.*f", fraction < precision ? fraction : precision, x);
    if (!strchr(out, '.')) {
        strcat(out, ".");
        return;
    }
    for (size_t n = strlen(out); out[n - 1] == '0'; n--)
        out[n - 1] = 0;
}

static void scientific(char *out, int dtype, double x, int precision)
{
    int digits = shortest(dtype, x);
    snprintf(out, WORD, "%.*e", digits < precision ? digits : precision, x);
    char tail[16], *e = strchr(out, 'e');
    snprintf(tail, sizeof tail, "%s", e);
    if (!memchr(out, '.', (size_t)(e - out))) {
        *e++ = '.';
    } else {
        while (e[-1] == '0')
            e--;
    }
    strcpy(e, tail);
}

static void scalar_text(char *out, int dtype, double x)
{
    if (print_special(out, x))
        return;
    double size = fabs(x);
    if (size != 0 && (size < 1e-4 || size >= (dtype == AREX_FLOAT64 ? 1e16 : pow(10, sure_digits(dtype))))) {
        snprintf(out, WORD, "%.*e", shortest(dtype, x), x);
        return;
    }
    positional(out, dtype, x, 400);
    if (out[strlen(out) - 1] == '.')
        strcat(out, "0");
}

static void most(int *a, int b)
{
    if (*a < b)
        *a = b;
}

static void add_plus(const struct printer *p, char *text)
{
    if (!p->plus || text[0] == '-')
        return;
    memmove(text + 1, text, strlen(text) + 1);
    text[0] = '+';
}

/* First pass: range of sizes. Second: widths. */
static void measure(struct printer *p, const char *at)
{
    char text[WORD];
    if (p->a->dtype == AREX_BOOL) {
        p->width = 5;
        return;
    }
    if (!is_float(p->a->dtype)) {
        most(&p->width, int_text(p->a, at, 0, text));
        return;
    }
    double x = float_at(p->a, at), size = fabs(x);
    if (!isfinite(x)) {
        p->special = true;
        p->negative_inf |= isinf(x) && x < 0;
    } else if (p->pass == 0) {
        if (size != 0) {
            p->least = fmin(p->least, size);
            p->most = fmax(p->most, size);
        }
    } else {
        (p->exponent ? scientific : positional)(text, p->a->dtype, x, PRECISION);
        add_plus(p, text);
        char *dot = strchr(text, '.'), *e = strchr(text, 'e');
        most(&p->left, (int)(dot - text));
        most(&p->right, (int)((e ? e : text + strlen(text)) - dot - 1));
        most(&p->width, e ? (int)strlen(e) : 0);
    }
}

static void element_text(struct printer *p, const char *at, char *out);

/* The j stands behind the digits, before the spaces that make all elements as wide. */
static void complex_text(struct printer *p, const char *at, char *out)
{
    struct printer real = *p;
    char text[WORD];
    real.imaginary = NULL;
    element_text(&real, at, out);
    element_text(p->imaginary, at + arex_dtype_size(p->a->dtype), text);
    size_t n = strlen(text), digits = n;
    while (digits > 0 && text[digits - 1] == ' ')
        digits--;
    memmove(text + digits + 1, text + digits, n - digits + 1);
    text[digits] = 'j';
    snprintf(out + strlen(out), WORD - strlen(out), "%s", text);
}

static void element_text(struct printer *p, const char *at, char *out)
{
    char text[WORD];
    if (p->imaginary) {
        complex_text(p, at, out);
    } else if (p->a->dtype == AREX_BOOL) {
        snprintf(out, WORD, "%5s", *at ? "True" : "False");
    } else if (!is_float(p->a->dtype)) {
        int_text(p->a, at, p->width, out);
    } else if (print_special(text, float_at(p->a, at))) {
        add_plus(p, text);
        snprintf(out, WORD, "%*s", p->left + 1 + p->right + p->width, text);
    } else if (p->exponent) {
        /* all get as many digits as the longest, and those past the shortest are of the exact value */
        snprintf(text, sizeof text, "%#.*e", p->right, float_at(p->a, at));
        add_plus(p, text);
        int n = (int)strlen(text), e = (int)(strchr(text, 'e') - text);
        snprintf(out, WORD, "%*s", p->left + p->right + 1 + n - e, text);
    } else {
        positional(text, p->a->dtype, float_at(p->a, at), PRECISION);
        add_plus(p, text);
        int whole = (int)(strchr(text, '.') - text);
        int n = snprintf(out, WORD, "%*s", p->left - whole, "");
        snprintf(out + n, WORD - (size_t)n, "%-*s", whole + 1 + p->right, text);
    }
}

static void row(struct printer *p, const char *at, int indent)
{
    int64_t n = p->a->shape[p->a->rank - 1], stride = p->a->strides[p->a->rank - 1];
    bool cut = p->summary && n > 2 * EDGE;
    char word[WORD];
    int used = indent, limit = WIDTH - p->a->rank, spaces = 0;
    for (int64_t i = 0; i < n; i++) {
        if (cut && i == EDGE)
            i = n - EDGE - 1, strcpy(word, "...");
        else
            element_text(p, at + i * stride, word);
        int length = (int)strlen(word);
        if (used > indent && used + 1 + length > limit) {
            fprintf(p->to, "\n%*s", indent, "");
            used = indent;
            spaces = 0;
        } else if (used > indent) {
            spaces++;
            used++;
        }
        /* spaces at the end of a line that is broken are dropped */
        int bare = length;
        while (bare > 0 && word[bare - 1] == ' ')
            bare--;
        fprintf(p->to, "%*s%.*s", spaces, "", bare, word);
        spaces = length - bare;
        used += length;
    }
    fprintf(p->to, "%*s", spaces, "");
}

/* Visits the elements that are shown; with printing, brackets and lines too. */
static void walk(struct printer *p, const char *at, int axis, bool printing)
{
    int64_t n = p->a->shape[axis];
    bool cut = p->summary && n > 2 * EDGE, inner = axis == p->a->rank - 1;
    if (printing)
        fputc('[', p->to);
    if (printing && inner) {
        row(p, at, axis + 1);
    } else {
        for (int64_t i = 0; i < n; i++) {
            if (cut && i == EDGE) {
                i = n - EDGE;
                if (printing)
                    fprintf(p->to, "%*s...", axis + 1, "");
                for (int k = axis + 1; printing && k < p->a->rank; k++)
                    fputc('\n', p->to);
            }
            if (printing && i)
                fprintf(p->to, "%*s", axis + 1, "");
            if (inner)
                measure(p, at + i * p->a->strides[axis]);
            else
                walk(p, at + i * p->a->strides[axis], axis + 1, printing);
            for (int k = axis + 1; printing && i + 1 < n && k < p->a->rank; k++)
                fputc('\n', p->to);
        }
    }
    if (printing)
        fputc(']', p->to);
}

static void measure_all(struct printer *p)
{
    walk(p, p->a->data, 0, false);
    p->exponent = p->most > 0 && (p->most >= pow(10, fmin(8, sure_digits(p->a->dtype))) || p->least < 1e-4 || p->most / p->least > 1000);
    p->pass = 1;
    walk(p, p->a->data, 0, false);
    if (p->special && is_float(p->a->dtype))
        most(&p->left, 3 + (p->negative_inf || p->plus) - p->right - 1 - p->width);
}

static void print_elements(FILE *to, const struct arex_array *a, bool summary)
{
    bool pair = is_complex(a->dtype);
    struct arex_array parts[2] = {pair ? part_of(a, 0) : *a, pair ? part_of(a, 1) : *a};
    struct printer p = {.to = to, .a = &parts[0], .summary = summary, .least = INFINITY}, imaginary = p;
    measure_all(&p);
    imaginary.a = &parts[1];
    imaginary.plus = true;
    if (pair) {
        measure_all(&imaginary);
        p.imaginary = &imaginary;
    }
    walk(&p, parts[0].data, 0, true);
}

/* (1+2j), as Python has it. */
static void print_complex(FILE *to, const struct arex_array *a)
{
    char text[2][WORD];
    for (unsigned k = 0; k < 2; k++) {
        struct arex_array part = part_of(a, k);
        scalar_text(text[k], part.dtype, float_at(&part, part.data));
        size_t n = strlen(text[k]);
        if (n > 2 && strcmp(text[k] + n - 2, ".0") == 0)
            text[k][n - 2] = 0;
    }
    fprintf(to, "(%s%s%sj)\n", text[0], text[1][0] == '-' ? "" : "+", text[1]);
}

static void print_scalar(FILE *to, const struct arex_array *a)
{
    char text[WORD];
    if (is_complex(a->dtype)) {
        print_complex(to, a);
        return;
    }
    if (a->dtype == AREX_BOOL)
        fputs(*(uint8_t *)a->data ? "True" : "False", to);
    else if (!is_float(a->dtype))
        int_text(a, a->data, 0, text), fputs(text, to);
    else
        scalar_text(text, a->dtype, float_at(a, a->data)), fputs(text, to);
    fputc('\n', to);
}

void print_value(FILE *to, const struct arex_array *a)
{
    if (a->rank == 0) {
        print_scalar(to, a);
        return;
    }
    int64_t n = 1;
    for (int k = 0; k < a->rank; k++)
        n *= a->shape[k];
    if (n == 0)
        fputs("[]", to);
    else
        print_elements(to, a, n > THRESHOLD);
    fprintf(to, "\ndtype=%s shape=(", arex_dtype_name(a->dtype));
    for (int k = 0; k < a->rank; k++)
        fprintf(to, k ? ", %lld" : "%lld", (long long)a->shape[k]);
    fputs(a->rank == 1 ? ",)\n" : ")\n", to);
}
