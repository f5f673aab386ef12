/* SPDX-License-Identifier: MIT */

/* Command line to verb. Only this function ends the process. */

#include <locale.h>
#include <string.h>

#include "model/plan.h"
#include "reconciler/output.h"
#include "reconciler/verb.h"

static bool is_group(const char *word) {
        for (size_t i = 0; verbs[i]; i++)
                if (verbs[i]->group && strcmp(verbs[i]->group, word) == 0)
                        return true;
        return false;
}

static bool is_help(const char *word) {
        return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static int unknown_verb(const char *group, const char *name) {
        const char *near = verb_suggest(group, name);

        fprintf(stderr, "mosaic: unknown verb '%s%s%s'", group ? group : "", group ? " " : "",
                        name);
        if (!group && verb_find("fleet", name))
                fprintf(stderr, "; did you mean 'mosaic fleet %s'?\n", name);
        else if (near)
                fprintf(stderr, "; did you mean '%s'?\n", near);
        else
                fprintf(stderr, "; 'mosaic %s%s--help' lists them\n", group ? group : "",
                                group ? " " : "");
        return EXIT_USAGE;
}

static int run_verb(const Verb *v, int argc, char **argv) {
        _cleanup_context_ Context c = { 0 };
        int r;

        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
                        verb_print_help(v);
                        return EXIT_OK;
                }
        r = context_open(&c);
        if (r == -EBADMSG) /* said already */
                return EXIT_INTERNAL;
        if (r < 0) {
                fprintf(stderr, "mosaic: cannot find out where this fleet lives: %s\n",
                                access("/proc/self/exe", F_OK) < 0 ? "/proc is not mounted"
                                : r == -ENOENT ? "no home directory (set HOME or MOSAIC_HOME)"
                                               : strerror(-r));
                return EXIT_INTERNAL;
        }
        c.group = v->group;
        r = v->run(&c, argc, argv);
        if (r < 0) {
                fprintf(stderr, "mosaic: %s %s: %s\n", v->group ? v->group : "", v->name,
                                strerror(-r));
                return EXIT_INTERNAL;
        }
        return r;
}

int main(int argc, char **argv) {
        const char *group = NULL;
        const Verb *v;
        int at = 1, code;

        /* Widths of characters only: numbers are read and written as in C everywhere. */
        (void)setlocale(LC_CTYPE, "");

        if (argc < 2 || is_help(argv[1])) {
                verb_print_overview(NULL);
                return EXIT_OK;
        }
        if (strcmp(argv[1], "--version") == 0) {
                printf("mosaic %s\n", MOSAIC_VERSION);
                return EXIT_OK;
        }
        if (is_group(argv[1])) {
                group = argv[at++];
                if (at == argc || is_help(argv[at])) {
                        verb_print_overview(group);
                        return EXIT_OK;
                }
        }
        v = verb_find(group, argv[at]);
        if (!v)
                return unknown_verb(group, argv[at]);
        code = run_verb(v, argc - at, argv + at);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "mosaic: cannot write the output: %s\n", strerror(errno));
                return EXIT_INTERNAL;
        }
        return code;
}
