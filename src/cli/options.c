/* Options of the command line, driven by options.def. */
#include <stdlib.h>
#include <string.h>
#include "cli.h"

struct option_info {
    const char *name, *argument, *commands, *help;
    char letter;
};

static const struct option_info table[OPT_COUNT] = {
#define OPTION(id, letter, name, argument, commands, help) {name, argument, commands, help, letter},
#include "options.def"
#undef OPTION
};

static int find_long(const char *name, size_t n, char command)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (strlen(table[i].name) == n && !memcmp(table[i].name, name, n) && strchr(table[i].commands, command))
            return i;
    return -1;
}

static int find_letter(char letter, char command)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (table[i].letter == letter && letter && strchr(table[i].commands, command))
            return i;
    return -1;
}

static void keep(struct options *o, int id, const char *value)
{
    o->value[id] = value;
    if (id == OPT_input)
        o->inputs[o->n_inputs++] = value;
    if (id == OPT_output)
        o->outputs[o->n_outputs++] = value;
}

/* Number of words of argv taken, or 0 after a message. */
static int parse_one(struct options *o, int left, char **argv, char command)
{
    const char *word = argv[0], *value = NULL;
    int id;
    if (word[1] == '-') {
        const char *eq = strchr(word, '=');
        id = find_long(word + 2, eq ? (size_t)(eq - word - 2) : strlen(word + 2), command);
        value = eq ? eq + 1 : NULL;
    } else {
        id = find_letter(word[1], command);
        value = word[2] ? word + 2 : NULL;
    }
    if (id < 0) {
        fprintf(stderr, "arex: unknown option %s\n", word);
        return 0;
    }
    if (!table[id].argument) {
        if (value) {
            fprintf(stderr, "arex: --%s takes no value\n", table[id].name);
            return 0;
        }
        keep(o, id, "");
        return 1;
    }
    if (!value && left < 2) {
        fprintf(stderr, "arex: --%s needs %s\n", table[id].name, table[id].argument);
        return 0;
    }
    keep(o, id, value ? value : argv[1]);
    return value ? 1 : 2;
}

/* "-x" may be an expression: only a known letter, or a double dash, makes an option. */
static bool is_option(const char *word, char command)
{
    if (word[0] != '-' || !word[1])
        return false;
    if (word[1] == '-')
        return (word[2] >= 'a' && word[2] <= 'z') && (find_long(word + 2, strcspn(word + 2, "="), command) >= 0 || !strchr(word, '('));
    return find_letter(word[1], command) >= 0 || !word[2];
}

int options_parse(struct options *o, int argc, char **argv, char command)
{
    *o = (struct options){0};
    o->inputs = calloc(3 * (size_t)argc + 3, sizeof *o->inputs);
    if (!o->inputs)
        return EXIT_MACHINE;
    o->outputs = o->inputs + argc + 1;
    o->words = o->outputs + argc + 1;
    bool plain = false;
    for (int i = 0; i < argc;) {
        if (!plain && !strcmp(argv[i], "--")) {
            plain = true;
            i++;
        } else if (!plain && is_option(argv[i], command)) {
            int taken = parse_one(o, argc - i, argv + i, command);
            if (!taken)
                return EXIT_USE;
            i += taken;
        } else {
            o->words[o->n_words++] = argv[i++];
        }
    }
    return 0;
}

void options_fini(struct options *o)
{
    free(o->inputs);
    *o = (struct options){0};
}

void options_help(FILE *to, char command)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        if (command && !strchr(table[i].commands, command))
            continue;
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", table[i].name, table[i].argument ? " " : "",
                 table[i].argument ? table[i].argument : "");
        if (table[i].letter)
            fprintf(to, "  -%c, %-26s %s\n", table[i].letter, left, table[i].help);
        else
            fprintf(to, "      %-26s %s\n", left, table[i].help);
    }
}
