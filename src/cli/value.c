/* Values of inputs from the command line: weak scalars, and files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "cli.h"

static void weak(struct value *v, int dtype)
{
    v->array.dtype = dtype;
    v->array.device = -1;
    v->array.flags = AREX_WEAK;
    v->array.data = &v->scalar;
}

static bool is_word(const char *text, const char *a, const char *b)
{
    return !strcmp(text, a) || !strcmp(text, b);
}

/* "2j", "1.5-3e2j" */
static bool read_complex(struct value *v, const char *text)
{
    char *end;
    v->parts[0] = 0;
    v->parts[1] = strtod(text, &end);
    if (end != text && strcmp(end, "j") != 0) {
        const char *next = end;
        v->parts[0] = v->parts[1];
        v->parts[1] = strtod(next, &end);
        if (end == next || (*next != '+' && *next != '-'))
            return false;
    }
    if (end == text || strcmp(end, "j") != 0)
        return false;
    weak(v, AREX_COMPLEX128);
    v->array.data = v->parts;
    return true;
}

/* 1 read, 0 not a number, -1 an error was printed. */
static int read_scalar(struct value *v, const char *text)
{
    char *end;
    if (is_word(text, "True", "true") || is_word(text, "False", "false")) {
        *(uint8_t *)&v->scalar = text[0] == 'T' || text[0] == 't';
        weak(v, AREX_BOOL);
        return 1;
    }
    size_t sign = text[0] == '-' || text[0] == '+';
    const char *body = text + sign;
    bool words = is_word(body, "nan", "inf");
    if (((body[0] >= '0' && body[0] <= '9') || body[0] == '.') && text[strlen(text) - 1] == 'j' && read_complex(v, text))
        return 1;
    if (!words && strspn(body, "0123456789.eE+-_xXabcdefABCDEF") != strlen(body))
        return 0;
    if (!words && !(body[0] >= '0' && body[0] <= '9') && body[0] != '.')
        return 0;
    errno = 0;
    bool hex = body[0] == '0' && (body[1] == 'x' || body[1] == 'X');
    v->scalar = strtoll(text, &end, hex ? 16 : 10);
    if (*text && !*end) {
        if (errno == ERANGE) {
            fprintf(stderr, "error[AX0104]: number too large: %s\n  = help: write a float (1e20) for more\n", text);
            return -1;
        }
        weak(v, AREX_INT64);
        return 1;
    }
    double d = strtod(text, &end);
    if (end == text || *end)
        return 0;
    memcpy(&v->scalar, &d, sizeof d);
    weak(v, AREX_FLOAT64);
    return 1;
}

bool value_read(struct value *v, const char *text)
{
    *v = (struct value){0};
    int r = read_scalar(v, text);
    return r ? r > 0 : npy_read(v, text);
}

void value_fini(struct value *v)
{
    if (v->map)
        munmap(v->map, v->map_size);
    free(v->copy);
    *v = (struct value){0};
}
