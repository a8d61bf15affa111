/* What the files of the command share: options, arrays from outside, printing. */
#ifndef AREX_CLI_H
#define AREX_CLI_H
#include <arex/arex.h>
#include <stdbool.h>
#include <stdio.h>

enum { EXIT_OK = 0, EXIT_PROGRAM = 1, EXIT_USE = 2, EXIT_MACHINE = 3 };

enum option_id {
#define OPTION(id, letter, name, argument, commands, help) OPT_##id,
#include "options.def"
#undef OPTION
    OPT_COUNT
};

/* Values point into argv. Inputs and outputs repeat, the rest: the last one counts. */
struct options {
    const char *value[OPT_COUNT]; /* "" for a switch that is given */
    const char **inputs, **outputs, **words;
    int n_inputs, n_outputs, n_words;
};

/* 0, or EXIT_USE after saying why on stderr. command: the letter of options.def. */
int options_parse(struct options *o, int argc, char **argv, char command);
void options_fini(struct options *o);
void options_help(FILE *to, char command);

/* An array and what must be given back for it. */
struct value {
    struct arex_array array;
    int64_t scalar; /* storage of an inline scalar */
    double parts[2]; /* of a complex one */
    void *map;      /* mapped file, or NULL */
    size_t map_size;
    void *copy;     /* swapped or aligned copy, or NULL */
};

/* "2.5", "True", "x.npy". False after an error message on stderr. */
bool value_read(struct value *v, const char *text);
void value_fini(struct value *v);
bool npy_read(struct value *v, const char *path);
/* Writes beside `path`, then renames: a file is whole or untouched. What is no file is written as it is. A name ending in .png makes a picture, any other an .npy file. */
bool file_write(const struct arex_array *a, const char *path);
/* What is in a file, of a C-contiguous array. errno says what went wrong. */
typedef bool file_content(const struct arex_array *a, FILE *f);
file_content npy_content, png_content;
bool png_fits(const struct arex_array *a, const char *path); /* false after an error message */

void print_value(FILE *to, const struct arex_array *a);
/* Machine code of a GPU from PTX, by tools of the CUDA toolkit where the machine has them. An exit code. */
int sass_print(const char *ptx, const char *arch);
/* Runs the corpus (NULL: the one beside the command) and compares; update: prints it with the hashes found. An exit code. */
int selfcheck(arex_context *context, const char *file, const arex_compile_options *made, const arex_call_options *options, bool update);
/* The nearest to a mistyped name of those that are tried, or NULL. Set name (n characters), best to NULL. */
struct near_name {
    const char *name;
    size_t n;
    const char *best;
    unsigned distance;
};
void near_try(struct near_name *near, const char *candidate);
void file_error(const char *path, const char *why);

#endif
