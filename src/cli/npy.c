/*
 * NumPy's .npy files. Read: versions 1 to 3, both orders of axes, both orders of bytes, mapped read-only where the
 * bytes can be used as they lie. Written: version 1, C order, files under another name first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli.h"

void file_error(const char *path, const char *why)
{
    fprintf(stderr, "error[AX0703]: %s: %s\n", path, why);
}

struct descr {
    const char *text;
    int dtype;
};

/* Without the byte order. */
static const struct descr descrs[] = {
    {"b1", AREX_BOOL}, {"i1", AREX_INT8}, {"i2", AREX_INT16}, {"i4", AREX_INT32}, {"i8", AREX_INT64},
    {"u1", AREX_UINT8}, {"u2", AREX_UINT16}, {"u4", AREX_UINT32}, {"u8", AREX_UINT64}, {"f2", AREX_FLOAT16},
    {"V2", AREX_BFLOAT16}, /* as NumPy writes the one of ml_dtypes */
    {"f4", AREX_FLOAT32}, {"f8", AREX_FLOAT64}, {"c8", AREX_COMPLEX64}, {"c16", AREX_COMPLEX128},
};

static const char *find_key(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    at = at ? strchr(at, ':') : NULL;
    if (at)
        at += 1 + strspn(at + 1, " ");
    return at;
}

static const char *parse_descr(const char *header, struct arex_array *a, bool *swap)
{
    const char *at = find_key(header, "'descr'");
    if (!at || (*at != '\'' && *at != '['))
        return "the header has no descr";
    if (*at == '[')
        return "records are not supported";
    char order = at[1];
    const char *end = strchr(at + 1, '\'');
    bool marked = order && strchr("<>|=", order) != NULL;
    const char *name = at + 1 + marked;
    if (!end || end < name)
        return "the header has no descr";
    *swap = order == '>';
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (strlen(descrs[i].text) == (size_t)(end - name) && !memcmp(descrs[i].text, name, (size_t)(end - name)))
            a->dtype = descrs[i].dtype;
    return a->dtype && arex_dtype_supported(a->dtype) ? NULL : "its type of elements is not supported";
}

static const char *parse_shape(const char *header, struct arex_array *a)
{
    const char *at = find_key(header, "'shape'");
    if (!at || *at != '(')
        return "the header has no shape";
    at++;
    while (*(at += strspn(at, " ,")) != ')') {
        char *end;
        errno = 0;
        long long n = strtoll(at, &end, 10);
        if (end == at || errno || n < 0)
            return "the header's shape is malformed";
        if (a->rank == AREX_MAX_RANK)
            return "it has more than 8 axes";
        a->shape[a->rank++] = n;
        at = end + (*end == 'L');
    }
    return NULL;
}

/* Strides, and the bytes of all elements. */
static const char *lay_out(struct arex_array *a, bool fortran, size_t *bytes)
{
    int64_t step = (int64_t)arex_dtype_size(a->dtype);
    bool empty = false;
    for (int k = 0; k < a->rank; k++) {
        int axis = fortran ? k : a->rank - 1 - k;
        a->strides[axis] = step;
        empty |= a->shape[axis] == 0;
        if (a->shape[axis] && __builtin_mul_overflow(step, a->shape[axis], &step))
            return "its shape is too large";
    }
    *bytes = empty ? 0 : (size_t)step;
    return NULL;
}

static void swap_elements(unsigned char *data, size_t bytes, size_t size)
{
    for (size_t i = 0; i + size <= bytes; i += size)
        for (size_t j = 0; j < size / 2; j++) {
            unsigned char t = data[i + j];
            data[i + j] = data[i + size - 1 - j];
            data[i + size - 1 - j] = t;
        }
}

static const char *place(struct value *v, size_t offset, size_t bytes, bool swap)
{
    size_t size = arex_dtype_size(v->array.dtype);
    unsigned char *data = (unsigned char *)v->map + offset;
    if (bytes > v->map_size - offset)
        return "the file is truncated: it has fewer elements than its shape says";
    swap = swap && size > 1;
    if (swap || (uintptr_t)data % size) {
        v->copy = malloc(bytes ? bytes : 1);
        if (!v->copy)
            return "no memory for a copy";
        memcpy(v->copy, data, bytes);
        if (swap)
            swap_elements(v->copy, bytes, size);
        data = v->copy;
    }
    v->array.data = data;
    return NULL;
}

static const char *read_header(struct value *v)
{
    const unsigned char *p = v->map;
    if (v->map_size < 10 || memcmp(p, "\x93NUMPY", 6))
        return "not a .npy file";
    size_t start = p[6] == 1 ? 10 : 12;
    if (p[6] < 1 || p[6] > 3 || v->map_size < start)
        return "not a version of .npy that is known";
    size_t n = p[8] | (size_t)p[9] << 8;
    if (start == 12)
        n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (n > v->map_size - start)
        return "the file is truncated inside its header";
    if (n > 65536)
        return "its header is too long for an array";
    char *header = strndup((const char *)p + start, n);
    if (!header)
        return "no memory for its header";
    bool swap = false;
    size_t bytes = 0;
    const char *order = find_key(header, "'fortran_order'");
    const char *why = parse_descr(header, &v->array, &swap);
    if (!why)
        why = parse_shape(header, &v->array);
    if (!why && (!order || (strncmp(order, "True", 4) && strncmp(order, "False", 5))))
        why = "the header has no fortran_order";
    if (!why)
        why = lay_out(&v->array, *order == 'T', &bytes);
    free(header);
    return why ? why : place(v, start + n, bytes, swap);
}

bool npy_read(struct value *v, const char *path)
{
    struct stat st;
    const char *why = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* what is no file shall not be waited for */
    if (fd < 0) {
        file_error(path, strerror(errno));
        return false;
    }
    v->array.device = -1;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        why = "not a regular file";
    } else if (st.st_size < 10) {
        why = "not a .npy file";
    } else {
        v->map_size = (size_t)st.st_size;
        v->map = mmap(NULL, v->map_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (v->map == MAP_FAILED) {
            v->map = NULL;
            why = strerror(errno);
        } else {
            why = read_header(v);
        }
    }
    close(fd);
    if (why)
        file_error(path, why);
    return !why;
}

static const char *descr_of(int dtype)
{
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (descrs[i].dtype == dtype)
            return descrs[i].text;
    return NULL;
}

/* Length of the header, which ends where data may start. */
static size_t make_header(const struct arex_array *a, char *out, size_t room)
{
    char shape[256];
    size_t n = 0;
    for (int k = 0; k < a->rank; k++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, k ? ", %lld" : "%lld", (long long)a->shape[k]);
    if (a->rank == 1)
        n += (size_t)snprintf(shape + n, sizeof shape - n, ",");
    shape[n] = 0;
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    int used = snprintf(out + 10, room - 10, "{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }",
                        arex_dtype_size(a->dtype) == 1 ? "|" : "<", descr_of(a->dtype), shape);
    size_t total = (10 + (size_t)used + 1 + 63) / 64 * 64;
    memset(out + 10 + used, ' ', total - 10 - (size_t)used);
    out[total - 1] = '\n';
    out[8] = (char)((total - 10) & 255);
    out[9] = (char)((total - 10) >> 8);
    return total;
}

bool npy_content(const struct arex_array *a, FILE *f)
{
    char header[1024];
    size_t bytes = arex_dtype_size(a->dtype), head = make_header(a, header, sizeof header);
    for (int k = 0; k < a->rank; k++)
        bytes *= (size_t)a->shape[k];
    return fwrite(header, 1, head, f) == head && (!bytes || fwrite(a->data, 1, bytes, f) == bytes);
}
