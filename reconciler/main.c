/* SPDX-License-Identifier: MIT */

/* Command line to verb. Only this function ends the process. */

#include <locale.h>
#include <string.h>

#include "drivers/os/process.h"
#include "model/base/suggest.h"
#include "model/plan.h"
#include "reconciler/complain.h"
#include "reconciler/next-step.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

static bool is_help(const char *word) {
        return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static int unknown_verb(const char *group, const char *name) {
        _cleanup_free_ char *meant = NULL;
        const char *space = group ? " " : "";

        if (!group)
                group = "";
        if (verb_suggest(*group ? group : NULL, name, &meant) < 0)
                return EXIT_INTERNAL;
        if (meant)
                complain("unknown verb '%s%s%s'; did you mean 'mosaic %s'?", group, space, name,
                                meant);
        else
                complain("unknown verb '%s%s%s'; 'mosaic %s%s--help' lists them", group, space,
                                name, group, space);
        return EXIT_USAGE;
}

static int unknown_option(const char *word) {
        static const char *const names[] = { "color", "help", "no-pager", "version" };
        Suggestion s = suggestion_init(strncmp(word, "--", 2) == 0 ? word + 2 : word);

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                suggestion_offer(&s, names[i]);
        if (s.best)
                complain("unknown option '%s'; did you mean '--%s'?", word, s.best);
        else
                complain("unknown option '%s' before the verb; 'mosaic --help' lists them", word);
        return EXIT_USAGE;
}

static bool has_word(int argc, char **argv, const char *word) {
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
                if (strcmp(argv[i], word) == 0)
                        return true;
        return false;
}

static bool asks_for_help(int argc, char **argv) {
        return has_word(argc, argv, "--help") || has_word(argc, argv, "-h");
}

static int print_overview(Context *c, const char *group) {
        context_page(c);
        verb_print_overview(group);
        return EXIT_OK;
}

/* 'mosaic help fleet plan', 'mosaic fleet help plan'; @name may be NULL. */
static int print_help(Context *c, const char *group, const char *name) {
        const Verb *v;

        if (!name || *name == '-')
                return print_overview(c, group);
        v = verb_find(group, name);
        if (!v)
                return unknown_verb(group, name);
        context_page(c);
        verb_print_help(v);
        return EXIT_OK;
}

/* Returns 0, or 1 after the sentence. */
static int open_fleet(Context *c) {
        int r = context_open(c);

        if (r == -EBADMSG || r == -EPERM) /* said already */
                return EXIT_INTERNAL;
        if (r < 0) {
                complain("cannot find out where this fleet lives: %s",
                                access("/proc/self/exe", F_OK) < 0 ? "/proc is not mounted"
                                : r == -ENOENT ? "no home directory (set HOME or MOSAIC_HOME)"
                                : r == -EILSEQ ? "HOME, MOSAIC_HOME or another of its directories "
                                                 "has a name with control characters, or that is "
                                                 "not UTF-8"
                                               : strerror(-r));
                return EXIT_INTERNAL;
        }
        return 0;
}

/* No room, or no permission: where. */
static void say_where_it_writes(const Context *c, int error) {
        bool written = error == -EACCES || error == -EPERM || error == -EROFS || error == -ENOSPC ||
                       error == -EDQUOT;

        if (written && c->paths)
                fprintf(stderr,
                                "help: mosaic keeps what it knows in %s and %s: "
                                "both must be yours, writable, and have room\n",
                                c->paths->state, c->paths->runtime);
}

/* The code of an end whose result could not be told. */
static int failed(const Context *c) {
        if (!c->typed)
                return EXIT_INTERNAL;
        fprintf(stderr, "mosaic: the text was typed once and may be submitted: look at the agent's "
                        "screen before it is sent again\n");
        return EXIT_UNKNOWN;
}

static int run_verb(Context *c, const Verb *v, int argc, char **argv) {
        int r, code;

        if (asks_for_help(argc, argv)) {
                context_page(c);
                verb_print_help(v);
                return EXIT_OK;
        }
        if (!v->without_fleet) {
                r = open_fleet(c);
                if (r != 0)
                        return r;
        }
        c->group = v->group;
        r = v->run(c, argc, argv);
        if (r >= 0)
                return r;
        code = failed(c);
        fprintf(stderr, "mosaic: %s%s%s: %s (exit %d)\n", v->group ? v->group : "",
                        v->group ? " " : "", v->name, strerror(-r), code);
        say_where_it_writes(c, r);
        r = run_print_refusal(c, v->name, (ExitCode)code, strerror(-r));
        if (r < 0)
                fprintf(stderr, "mosaic: no document could be made: %s\n", strerror(-r));
        return code;
}

/* No verb at all: what a person would do next. */
static int say_next_step(Context *c) {
        int r = open_fleet(c);

        if (r == 0)
                r = next_step_print(c);
        return r < 0 ? EXIT_INTERNAL : r;
}

/* Options before the verb. Returns whether to go on with what is at *@ret_at, else the end's
 * code. */
static bool leading_options(Context *c, int argc, char **argv, int *ret_at, int *ret_code) {
        int at = 1;

        *ret_code = EXIT_OK;
        for (; at < argc && argv[at][0] == '-'; at++) {
                const char *value = NULL;

                if (is_help(argv[at])) {
                        *ret_code = print_overview(c, NULL);
                        return false;
                }
                if (strcmp(argv[at], "--version") == 0) {
                        printf("mosaic %s\n", MOSAIC_VERSION);
                        return false;
                }
                if (strcmp(argv[at], "--no-pager") == 0)
                        continue;
                if (strncmp(argv[at], "--color=", 8) == 0)
                        value = argv[at] + 8;
                else if (strcmp(argv[at], "--color") == 0 && at + 1 < argc)
                        value = argv[++at];
                else if (strcmp(argv[at], "--color") == 0)
                        value = ""; /* refused, with the words that it may be */
                *ret_code = value ? options_set_color(c, NULL, value) : unknown_option(argv[at]);
                if (*ret_code != 0)
                        return false;
        }
        *ret_at = at;
        return true;
}

static int run(Context *c, int argc, char **argv) {
        const char *group = NULL;
        const Verb *v;
        int at, code;

        if (!leading_options(c, argc, argv, &at, &code))
                return code;
        if (at == argc)
                return say_next_step(c);
        if (is_help(argv[at]) && argv[at + 1] && verb_group_find(argv[at + 1]))
                return print_help(c, argv[at + 1], argv[at + 2]);
        if (is_help(argv[at]))
                return print_help(c, NULL, argv[at + 1]);
        if (verb_group_find(argv[at])) {
                group = argv[at++];
                if (at == argc)
                        return print_overview(c, group);
                if (is_help(argv[at]))
                        return print_help(c, group, argv[at + 1]);
        }
        v = verb_find(group, argv[at]);
        return v ? run_verb(c, v, argc - at, argv + at) : unknown_verb(group, argv[at]);
}

int main(int argc, char **argv) {
        _cleanup_context_ Context c = { 0 };
        int code, r;

        /* Widths of characters only: numbers are read and written as in C everywhere. */
        (void)setlocale(LC_CTYPE, "");

        r = process_reserve_streams();
        if (r < 0) {
                fprintf(stderr, "mosaic: cannot open /dev/null for a closed standard stream: %s\n",
                                strerror(-r));
                return EXIT_INTERNAL;
        }
        context_read_terminal(&c);
        /* Help is printed before the options behind it are looked at. */
        c.no_pager = has_word(argc, argv, "--no-pager");
        code = run(&c, argc, argv);
        r = pager_end(&c.pager, c.width, c.color);
        if (r == 0 && output_is_short())
                r = -ENOMEM;
        if (r < 0) {
                fprintf(stderr, "mosaic: the output is not whole: %s\n", strerror(-r));
                code = code == EXIT_OK ? failed(&c) : code;
        }
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "mosaic: cannot write the output: %s\n", strerror(errno));
                return failed(&c);
        }
        return code;
}
