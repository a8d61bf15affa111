/* The index of the embedded math library, sorted by name: where each function's text lies. Made by runtime/math/embed.py. */
#ifndef AREX_SEMA_LIBRARY_H
#define AREX_SEMA_LIBRARY_H
#include <stdint.h>

struct math_function {
    const char *name;
    uint32_t file, begin, size; /* math_files[file].text + begin */
};
extern const struct math_function math_functions[];
extern const unsigned n_math_functions;

#endif
