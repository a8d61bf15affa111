/*
 * What LLVM's archives ask of glibc 2.36 for, so that the library runs where glibc is 2.35 (Ubuntu 22.04): the linker takes it from here.
 * arc4random: LLVM names temporary files by it.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint32_t arc4random(void);

uint32_t arc4random(void)
{
    uint32_t n;
    struct timespec now;
    if (syscall(SYS_getrandom, &n, sizeof n, 1 /* without waiting */) == (long)sizeof n)
        return n;
    clock_gettime(CLOCK_MONOTONIC, &now); /* before the system has any entropy: a name is tried again when it is taken */
    return (uint32_t)now.tv_nsec;
}
