/* Files that outputs go to: whole or untouched, what is in them by their name's end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli.h"

/* A pipe or a terminal: nothing to keep whole, and nothing that may be replaced by a file. */
static bool write_in_place(const struct arex_array *a, file_content *content, const char *path)
{
    FILE *f = fopen(path, "wb");
    bool ok = f && content(a, f);
    return (!f || !fclose(f)) && ok;
}

/* Beside it first. mode: of the file that is replaced, or of a new one. */
static bool write_beside(const struct arex_array *a, file_content *content, const char *path, mode_t mode)
{
    size_t n = strlen(path) + 8;
    char *temporary = malloc(n);
    if (!temporary)
        return false;
    snprintf(temporary, n, "%s.XXXXXX", path);
    int fd = mkstemp(temporary);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    bool ok = f && content(a, f) && !fchmod(fd, mode);
    ok = (!f || !fclose(f)) && ok && !rename(temporary, path);
    if (!ok && fd >= 0) {
        int why = errno;
        unlink(temporary);
        errno = why;
    }
    free(temporary);
    return ok;
}

static mode_t mode_of_new_files(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n > m && strcasecmp(path + n - m, end) == 0;
}

bool file_write(const struct arex_array *a, const char *path)
{
    bool image = ends_with(path, ".png");
    if (image && !png_fits(a, path))
        return false;
    struct stat st;
    file_content *content = image ? png_content : npy_content;
    bool exists = !stat(path, &st);
    char *file = exists ? realpath(path, NULL) : NULL; /* behind a link: the link stays */
    bool ok = exists && !S_ISREG(st.st_mode) ? write_in_place(a, content, path)
                                              : write_beside(a, content, file ? file : path, exists ? st.st_mode & 07777 : mode_of_new_files());
    if (!ok)
        file_error(path, strerror(errno));
    free(file);
    return ok;
}
