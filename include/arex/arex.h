/* Arex: array expressions compiled to fused kernels. The declarations are in <arex/api.h>. */
#ifndef AREX_H
#define AREX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include <arex/api.h>

#ifdef __cplusplus
}
#endif

#endif
