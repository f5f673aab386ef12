/* SPDX-License-Identifier: MIT */

/*
 * The whole program, from its arguments and its environment to its exit code, in a cage
 * (tests/fuzz/quarantine.h), with a home that the input describes. The code is one of the table,
 * and said in words; what is refused, and what only looks, writes nothing and starts nothing;
 * nothing is written beyond its directories; nothing that a terminal would heed is printed, but
 * colours where they are wanted; a document is one.
 */

#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <sys/stat.h>

#include "model/base/utf8.h"
#include "model/json.h"
#include "reconciler/verb.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/quarantine.h"
#include "tests/fuzz/scratch.h"

#define WORDS_MAX 8
#define VARIABLES_MAX 16

int mosaic_main(int argc, char **argv);

static const char *const options[] = { "--json", "--help", "--yes", "-y", "--color",
        "--color=always", "--color=never", "--no-pager", "--allow-remove", "--force-busy",
        "--lock-timeout", "--reason", "--profile", "--write", "--force", "--keep-holds", "--purge",
        "--agents", "--live", "--dry-run", "--supervisor", "--out", "--plan", "--origin",
        "--format", "--resync", "--lines", "-n", "--follow", "-f", "--ansi", "--read-only", "-r",
        "--watch", "--interval", "--message", "--file", "--source-label", "--source", "--socket",
        "--timeout", "--wait", "--no-submit", "--adapt", "--new", "--restart", "--version",
        "--detailed", "--", "-" };

static const char *const values[] = { "web", "db", "0", "1", "-1", "30s", "2m", "minimal", "demo",
        "local-canary", "systemd", "direct", "json", "github", "text", "always", "idle", "bash",
        "zsh", "fish", "WEB", "", "/nonexistent", "@/out.plan", "@/config/mosaic/fleet/roster.yaml",
        "fleet", "agent" };

static const char roster[] =
                "version: 1\nagents:\n  web:\n    runtime: shell\n    workdir: /usr/share\n"
                "  db:\n    runtime: shell\n    workdir: /usr/share\n    after: [web]\n";

/* --- what is given ---------------------------------------------------------------------------- */

typedef struct Given {
        char *words[WORDS_MAX + 1];
        size_t n_words;
        char *variables[VARIABLES_MAX + 1];
        size_t n_variables;
        const Verb *verb; /* that is asked for, if it is one that there is */
        bool elsewhere;   /* a path may lead anywhere */
} Given;

static void add_word(Given *g, const char *word) {
        char *copy;

        /* "@" is the directory that may be written to */
        if (asprintf(&copy, "%s%s", *word == '@' ? scratch_directory() : "",
                            word + (*word == '@')) < 0)
                copy = NULL;
        assert(copy && g->n_words < WORDS_MAX);
        g->words[g->n_words++] = copy;
}

static void choose_verb(Input *in, Given *g) {
        size_t n = 0;

        while (verbs[n])
                n++;
        g->verb = verbs[input_choose(in, (unsigned)n)];
        if (g->verb->group)
                add_word(g, g->verb->group);
        add_word(g, g->verb->name);
}

static void choose_words(Input *in, Given *g) {
        add_word(g, "mosaic");
        if (!input_flag(in))
                choose_verb(in, g);
        while (g->n_words < WORDS_MAX && in->at < in->n) {
                unsigned kind = input_choose(in, 4);
                _cleanup_free_ char *raw = NULL;

                if (kind == 0)
                        return;
                g->elsewhere = g->elsewhere || kind == 3;
                if (kind == 1)
                        add_word(g, options[input_choose(in, ELEMENTSOF(options))]);
                else if (kind == 2)
                        add_word(g, values[input_choose(in, ELEMENTSOF(values))]);
                else {
                        raw = input_text(in, 60);
                        add_word(g, raw);
                }
        }
}

static void add_variable(Given *g, const char *name, const char *value) {
        assert(g->n_variables < VARIABLES_MAX);
        if (asprintf(&g->variables[g->n_variables], "%s=%s", name, value) < 0)
                abort();
        g->n_variables++;
}

static void choose_environment(Input *in, Given *g) {
        static const char *const names[] = { "NO_COLOR", "COLUMNS", "TERM", "PAGER", "MOSAIC_PAGER",
                "LC_ALL", "TMUX", "TMUX_TMPDIR", "TMPDIR", "MOSAIC_FLEET", "MOSAIC_HOME",
                "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "HOME", "JOURNAL_STREAM", "INVOCATION_ID" };
        static const char *const directories[] = { "XDG_RUNTIME_DIR", "TMPDIR", "TMUX_TMPDIR" };
        char path[128];

        for (unsigned i = input_choose(in, 4); i > 0; i--) {
                const char *name = names[input_choose(in, ELEMENTSOF(names))];
                _cleanup_free_ char *value = input_text(in, 60);

                add_variable(g, name, value);
                g->elsewhere = true;
        }
        /* Of two the first one counts. */
        add_variable(g, "HOME", scratch_directory());
        add_variable(g, "PATH", "/usr/bin:/bin");
        (void)snprintf(path, sizeof(path), "%s/runtime", scratch_directory());
        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                add_variable(g, directories[i], path);
}

static void make_directory(const char *name) {
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/%s", scratch_directory(), name);
        assert(mkdir(path, 0700) == 0);
}

static void make_home(Input *in) {
        _cleanup_free_ char *raw = NULL;

        make_directory(".config");
        make_directory(".config/mosaic");
        make_directory("runtime");
        switch (input_choose(in, 4)) {
        case 0:
                scratch_write(".config/mosaic/fleet/roster.yaml", roster, sizeof(roster) - 1);
                break;
        case 1:
                raw = input_text(in, 200);
                scratch_write(".config/mosaic/fleet/roster.yaml", raw, strlen(raw));
                break;
        case 2:
                scratch_write(".config/mosaic/fleet/roster.yaml", "version: 2\n", 11);
                break;
        default:
                break;
        }
}

/* --- what comes of it ------------------------------------------------------------------------- */

typedef struct Told {
        int code;
        bool too_long; /* it waited for a day */
        char *out, *err;
        size_t n_out, n_err;
} Told;

static void run(Input *in, Given *g, Told *t) {
        static char name[] = "mosaic", *no_words[] = { name, NULL };
        FILE *saved_out = stdout, *saved_err = stderr, *saved_in = stdin;
        char **saved_environ = environ;

        quarantine.is_terminal = input_flag(in);
        quarantine.directory = scratch_directory();
        quarantine.input = (const char *)in->bytes + in->at;
        quarantine.n_input = in->n - in->at;
        /* What is left of a scan of other words is forgotten. */
        optind = 0;
        (void)getopt(1, no_words, "");
        stdout = open_memstream(&t->out, &t->n_out);
        stderr = open_memstream(&t->err, &t->n_err);
        stdin = fopen("/dev/null", "re");
        assert(stdout && stderr && stdin);
        environ = g->variables;
        quarantine_begin();
        if (setjmp(quarantine.too_long) == 0)
                t->code = mosaic_main((int)g->n_words, g->words);
        else
                t->too_long = true;
        environ = saved_environ;
        (void)fclose(stdin);
        stdin = saved_in;
        (void)fclose(stdout);
        stdout = saved_out;
        (void)fclose(stderr);
        stderr = saved_err;
        quarantine_end();
}

/* "ESC [ numbers m" */
static size_t colour_length(const char *s, size_t n) {
        size_t i = 2;

        if (n < 3 || s[0] != '\033' || s[1] != '[')
                return 0;
        while (i < n && strchr("0123456789;", s[i]) && s[i])
                i++;
        return i < n && s[i] == 'm' ? i + 1 : 0;
}

static void check_harmless(const char *s, size_t n, bool colours) {
        for (size_t i = 0; i < n;) {
                size_t length = colours ? colour_length(s + i, n - i) : 0;
                uint32_t c;

                if (length == 0) {
                        length = utf8_decode(s + i, n - i, &c);
                        assert(length > 0 && (c == '\n' || c == '\t' || !utf8_is_unsafe(c)));
                }
                i += length;
        }
}

static bool has_word(const Given *g, const char *word) {
        for (size_t i = 1; i < g->n_words && strcmp(g->words[i], "--") != 0; i++)
                if (strcmp(g->words[i], word) == 0)
                        return true;
        return false;
}

/* Verbs that only look, whatever is behind them. */
static bool only_looks(const Given *g) {
        static const char *const names[] = { "completion", "config", "doctor", "explain", "probe",
                "roster", "status", "tail", "validate", "verify", "version" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (g->verb && strcmp(g->verb->name, names[i]) == 0)
                        return true;
        return has_word(g, "--help") || has_word(g, "-h");
}

static bool is_of_the_table(int code) {
        return (code >= 0 && code <= 7) || code == 64 || code == 65;
}

static void check(const Given *g, const Told *t) {
        bool refused = t->code == 64 || t->code == 65;

        check_harmless(t->out, t->n_out, true);
        check_harmless(t->err, t->n_err, true);
        if (t->too_long)
                return;
        assert(is_of_the_table(t->code));
        /* Tab is not answered with a sentence. */
        assert(t->code == 0 || t->n_out + t->n_err > 0 || has_word(g, "--agents"));
        assert(t->code != 64 || t->n_err > 0);
        if (only_looks(g))
                assert(quarantine.n_writes == 0);
        /* Whether a name is in the roster is asked under the lock; what became of a message is
         * noted, whatever it was. */
        if (refused && !(g->verb && g->verb->group && strcmp(g->verb->group, "agent") == 0))
                assert(quarantine.n_writes == quarantine.n_locks);
        if (refused)
                assert(quarantine.n_spawns == 0);
        if (!g->elsewhere && !has_word(g, "--out"))
                assert(quarantine.n_outside == 0);
        if (t->code == 0 && t->n_out > 0 && *t->out == '{') {
                _cleanup_json_ Json *j = NULL;
                int r = json_parse(t->out, t->n_out, &j);

                assert(r == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);
        Given g = { 0 };
        Told t = { 0 };

        scratch_clear();
        choose_words(&in, &g);
        choose_environment(&in, &g);
        make_home(&in);
        run(&in, &g, &t);
        check(&g, &t);
        free(t.out);
        free(t.err);
        for (size_t i = 0; i < g.n_words; i++)
                free(g.words[i]);
        for (size_t i = 0; i < g.n_variables; i++)
                free(g.variables[i]);
        return 0;
}
