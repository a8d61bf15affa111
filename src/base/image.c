#include <stdlib.h>
#include <string.h>
#include "base/image.h"

void image_fini(struct kernel_image *image)
{
    free(image->bytes);
    free(image->entries);
    free(image->imports);
    memset(image, 0, sizeof *image);
}

const struct image_entry *image_entry(const struct kernel_image *image, const char *name)
{
    for (unsigned i = 0; i < image->n_entries; i++)
        if (strcmp(image->entries[i].name, name) == 0)
            return &image->entries[i];
    return NULL;
}
