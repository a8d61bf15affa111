/* Compiles as strict C99 and as C++17: nothing but the public header. */
#include <arex/arex.h>

int main(void)
{
    arex_array x = {0, AREX_FLOAT64, 0, -1, 0, {0}, {0}};
    return arex_version() == 0 || x.rank;
}
