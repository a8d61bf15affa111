/*
 * A kernel image: what code generation hands to a device, and what a cache may store. Plain bytes, no pointers into
 * anything else. Owned by whoever holds the struct; image_fini frees the bytes.
 *
 * NATIVE: one position-independent blob of text and constants, PC-relative references resolved. `imports` lists
 * 8-byte slots inside the blob that the loader fills with the address of an allowed C function (fma, fmaf) before
 * the blob becomes executable. PTX: NUL-terminated text; size counts the NUL.
 */
#ifndef AREX_BASE_IMAGE_H
#define AREX_BASE_IMAGE_H
#include <stddef.h>
#include <stdint.h>

enum image_kind { IMAGE_NATIVE, IMAGE_PTX };

struct image_entry {
    char name[24];   /* "n0_main", "n0_join": nest number and step */
    uint32_t offset; /* NATIVE: of the function's first byte */
};

struct image_import {
    char name[16];
    uint32_t slot; /* offset of the 8 bytes to fill */
};

struct kernel_image {
    enum image_kind kind;
    uint8_t *bytes; /* malloc'd */
    size_t size;
    struct image_entry *entries; /* malloc'd */
    unsigned n_entries;
    struct image_import *imports; /* malloc'd, NATIVE only */
    unsigned n_imports;
};

void image_fini(struct kernel_image *image);
const struct image_entry *image_entry(const struct kernel_image *image, const char *name);

#endif
