/* Arrays as pictures, by libpng's simple interface: rows from the top, 8 bits a channel. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "cli.h"
#if AREX_PNG
#include <png.h>
#endif

static bool refuse(const char *path, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", path, why);
    return false;
}

bool png_fits(const struct arex_array *a, const char *path)
{
    bool grey = a->rank == 2, colour = a->rank == 3 && (a->shape[2] == 3 || a->shape[2] == 4);
    if (!AREX_PNG)
        return refuse(path, "this command was built without libpng; write a .npy file");
    if (a->dtype != AREX_UINT8 && a->dtype != AREX_BOOL && a->dtype != AREX_FLOAT32 && a->dtype != AREX_FLOAT64)
        return refuse(path, "a picture is made of uint8, of bool, or of float32 or float64 from 0 to 1");
    if (!grey && !colour)
        return refuse(path, "a picture has the shape (height, width), or (height, width, 3) or (height, width, 4) in colour");
    if (a->shape[0] < 1 || a->shape[1] < 1 || a->shape[0] > 65535 || a->shape[1] > 65535)
        return refuse(path, "a picture has 1 to 65535 rows and columns");
    return true;
}

#if AREX_PNG
static uint8_t level(double v)
{
    return v >= 1 ? 255 : v > 0 ? (uint8_t)(v * 255 + 0.5) : 0; /* of nan, 0 */
}

static void fill(const struct arex_array *a, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = a->dtype == AREX_UINT8     ? ((const uint8_t *)a->data)[i]
                : a->dtype == AREX_BOOL    ? (((const uint8_t *)a->data)[i] ? 255 : 0)
                : a->dtype == AREX_FLOAT32 ? level(((const float *)a->data)[i])
                                           : level(((const double *)a->data)[i]);
}

bool png_content(const struct arex_array *a, FILE *f)
{
    static const png_uint_32 formats[] = {[1] = PNG_FORMAT_GRAY, [3] = PNG_FORMAT_RGB, [4] = PNG_FORMAT_RGBA};
    size_t channels = a->rank == 2 ? 1 : (size_t)a->shape[2], n = (size_t)a->shape[0] * (size_t)a->shape[1] * channels;
    png_image image = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)a->shape[1], .height = (png_uint_32)a->shape[0], .format = formats[channels]};
    uint8_t *bytes = malloc(n);
    if (!bytes)
        return false;
    fill(a, bytes, n);
    bool ok = png_image_write_to_stdio(&image, f, 0, bytes, 0, NULL);
    if (!ok && !errno)
        errno = EIO;
    png_image_free(&image);
    free(bytes);
    return ok;
}
#else
bool png_content(const struct arex_array *a, FILE *f)
{
    (void)a, (void)f;
    return false;
}
#endif
