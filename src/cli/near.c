/*
 * "Did you mean": which of some names a mistyped one is nearest to. As the library's own in distance: letters changed, missing, added, or
 * two that stand next to each other exchanged, at most one for every third letter.
 */
#include "cli.h"
#include <string.h>

enum { LONGEST = 40 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned d[LONGEST + 1][LONGEST + 1];
    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            d[i][j] = (unsigned)(i ? i : j);
            if (!i || !j)
                continue;
            d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]), least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

void near_try(struct near_name *near, const char *candidate)
{
    size_t m = strlen(candidate);
    if (near->n > LONGEST || m > LONGEST || (near->n == m && !memcmp(near->name, candidate, m)))
        return;
    unsigned d = distance(near->name, near->n, candidate, m);
    if (d <= near->n / 3 + (near->n > 1 && near->n < 3) && (!near->best || d < near->distance)) {
        near->best = candidate;
        near->distance = d;
    }
}
