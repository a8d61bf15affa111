/* Maps a native kernel image so that it can run: written first, executable afterwards, never both. */
#ifndef AREX_CPU_LOADER_H
#define AREX_CPU_LOADER_H
#include <stdbool.h>
#include "base/diag.h"
#include "base/image.h"

struct loaded_code {
    unsigned char *base;
    size_t size;
};

bool loader_map(struct loaded_code *out, const struct kernel_image *image, struct diags *diags);
void loader_unmap(struct loaded_code *code);

#endif
