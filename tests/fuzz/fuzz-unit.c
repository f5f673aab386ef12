/* SPDX-License-Identifier: MIT */

/*
 * Unit files: drop-ins of a spec that the input describes, and our templates with paths from it.
 * Both are read by a reader of systemd's syntax that was written for this: every key has the value
 * that was meant, and there is no key more.
 */

#include <inttypes.h>

#include "drivers/systemd/dropin.h"
#include "drivers/systemd/template.h"
#include "framework/assets.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/base/utf8.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

/* --- a reader of unit files ------------------------------------------------------------------- */

#define LINES_MAX 64

typedef struct Unit {
        char *text; /* cut up */
        size_t n;
        const char *section[LINES_MAX], *key[LINES_MAX], *value[LINES_MAX];
} Unit;

static void unit_done(Unit *u) {
        free(u->text);
}

static void unit_read(const char *text, Unit *u) {
        const char *section = "";
        char *rest, *line;

        *u = (Unit){ .text = strdup(text) };
        assert(u->text);
        rest = u->text;
        while ((line = strsep(&rest, "\n"))) {
                size_t n = strlen(line);
                char *equals;

                assert(n == 0 || (line[n - 1] != '\\' && line[n - 1] != '\r'));
                assert(*line != ' ' && *line != '\t');
                if (*line == '\0' || *line == '#' || *line == ';')
                        continue;
                if (*line == '[') {
                        assert(line[n - 1] == ']');
                        section = line;
                        continue;
                }
                equals = strchr(line, '=');
                assert(equals && equals > line && u->n < LINES_MAX);
                *equals = '\0';
                u->section[u->n] = section;
                u->key[u->n] = line;
                u->value[u->n++] = equals + 1;
        }
}

/* --- drop-ins --------------------------------------------------------------------------------- */

static uint64_t read_duration(const char *s) {
        static const struct {
                const char *word;
                uint64_t usec;
        } words[] = { { "s", 1000000 }, { "ms", 1000 }, { "us", 1 } };
        char *end;
        uint64_t v;

        if (strcmp(s, "infinity") == 0)
                return UINT64_MAX;
        v = strtoull(s, &end, 10);
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(end, words[i].word) == 0) {
                        assert(v <= UINT64_MAX / words[i].usec);
                        return v * words[i].usec;
                }
        assert(false);
        return 0;
}

/* What one key must be; each that is met counts. */
typedef struct Wanted {
        const Unit *unit;
        size_t n;
} Wanted;

static const char *value_of(Wanted *w, const char *section, const char *key) {
        const char *value = NULL;

        for (size_t i = 0; i < w->unit->n; i++)
                if (strcmp(w->unit->key[i], key) == 0) {
                        assert(!value && strcmp(w->unit->section[i], section) == 0);
                        value = w->unit->value[i];
                }
        assert(value);
        w->n++;
        return value;
}

static void want_text(Wanted *w, const char *section, const char *key, const char *text) {
        assert(strcmp(value_of(w, section, key), text) == 0);
}

static void want_number(Wanted *w, const char *key, uint64_t v, const char *suffix) {
        char text[40];

        (void)snprintf(text, sizeof(text), "%" PRIu64 "%s", v, suffix);
        want_text(w, key[0] == 'S' ? "[Unit]" : "[Service]", key, text);
}

static void want_limits(Wanted *w, const AgentSpec *s) {
        if (s->limit_memory > 0)
                want_number(w, "MemoryMax", s->limit_memory, "");
        if (s->limit_cpu > 0)
                want_number(w, "CPUQuota", s->limit_cpu, "%");
        if (s->limit_tasks > 0)
                want_number(w, "TasksMax", s->limit_tasks, "");
}

static void check_dropin_text(const AgentSpec *s, const char *text) {
        _cleanup_(unit_done) Unit u = { .n = 0 };
        Wanted w = { .unit = &u };
        uint64_t stop = s->stop_timeout_usec;

        unit_read(text, &u);
        if (s->restart_policy == RESTART_NEVER || s->restart_attempts == 0)
                want_text(&w, "[Unit]", "StartLimitIntervalSec", "0");
        else {
                assert(read_duration(value_of(&w, "[Unit]", "StartLimitIntervalSec")) ==
                                s->restart_window_usec);
                want_number(&w, "StartLimitBurst", (uint64_t)s->restart_attempts + 1, "");
        }
        want_text(&w, "[Service]", "Restart",
                        s->restart_policy == RESTART_ALWAYS       ? "always"
                        : s->restart_policy == RESTART_ON_FAILURE ? "on-failure"
                                                                  : "no");
        if (s->restart_policy == RESTART_ON_FAILURE)
                want_text(&w, "[Service]", "RestartForceExitStatus", "SIGHUP");
        if (s->restart_policy != RESTART_NEVER)
                assert(read_duration(value_of(&w, "[Service]", "RestartSec")) ==
                                s->restart_delay_usec);
        assert(read_duration(value_of(&w, "[Service]", "TimeoutStopSec")) == (stop ? stop : 1));
        want_limits(&w, s);
        if (s->success_exit_status && s->success_exit_status[0]) {
                _cleanup_free_ char *copy = strdup(value_of(&w, "[Service]", "SuccessExitStatus"));
                char *rest = copy, *word;
                size_t i = 0;

                while ((word = strsep(&rest, " ")))
                        assert(s->success_exit_status[i] &&
                                        strcmp(word, s->success_exit_status[i++]) == 0);
                assert(!s->success_exit_status[i]);
        }
        assert(w.n == u.n);
}

/* May it stand in SuccessExitStatus=? Only digits, or a signal's name, and not the launcher's. */
static bool is_word(const char *word) {
        size_t n = strlen(word);
        unsigned v = 0;

        if (n > 0 && n <= 3 && strspn(word, "0123456789") == n) {
                for (size_t i = 0; i < n; i++)
                        v = v * 10 + (unsigned)(word[i] - '0');
                return v <= 255 && v != 178 && (*word != '0' || n == 1);
        }
        return strncmp(word, "SIG", 3) == 0 && n <= 9 &&
               word[3 + strspn(word + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZ12")] == '\0';
}

static void check_dropin(Input *in) {
        static const char *const words[] = { "0", "143", "SIGTERM", "255", "178", "SIGUSR1" };
        AgentSpec s = { .restart_policy = (RestartPolicy)input_choose(in, _RESTART_POLICY_MAX) };
        _cleanup_free_ char *text = NULL;
        _cleanup_strv_ char **status = NULL;
        unsigned n = input_choose(in, 4);
        bool sound = true;
        int r;

        s.restart_delay_usec = input_number(in);
        s.restart_attempts = (unsigned)input_number(in);
        s.restart_window_usec = input_number(in);
        s.stop_timeout_usec = input_number(in);
        s.limit_memory = input_number(in);
        s.limit_cpu = (unsigned)input_number(in);
        s.limit_tasks = (unsigned)input_number(in);
        for (unsigned i = 0; i < n; i++) {
                _cleanup_free_ char *word = input_flag(in) ? input_text(in, 20)
                                                           : strdup(words[input_choose(in, 6)]);

                assert(word && strv_push(&status, word) == 0);
                sound = sound && is_word(word);
        }
        s.success_exit_status = status;
        r = dropin_render(&s, &text);
        assert(r == 0 || r == -EINVAL);
        assert(sound || r < 0); /* "SIGNONE" has the form of one and is none */
        if (r == 0)
                check_dropin_text(&s, text);
}

/* --- templates -------------------------------------------------------------------------------- */

/*
 * One value as systemd takes it: quotes and escapes, then "%", in arguments of a program also "$".
 * What still means something becomes a byte that no path can have; blanks outside of quotes become
 * newlines.
 */
static char *decode(const char *value, bool is_exec) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        bool quoted = false, argument = false;
        char *text;
        int r;

        for (const char *p = value; *p; p++)
                if (*p == '"')
                        quoted = !quoted;
                else if (*p == '\\') {
                        p++;
                        assert(*p == '"' || *p == '\\');
                        strbuf_add_char(&b, *p);
                } else if (*p == '%' || (argument && *p == '$')) {
                        bool literal = p[1] == *p;

                        p += literal;
                        strbuf_add_char(&b, literal ? *p : '\001');
                } else if (*p == ' ' && !quoted) {
                        argument = is_exec;
                        strbuf_add_char(&b, '\n');
                } else
                        strbuf_add_char(&b, *p);
        assert(!quoted);
        r = strbuf_finish(&b, &text);
        assert(r == 0);
        return text;
}

static bool is_path_of_program(const char *s) {
        return !strpbrk(s, "\"'\\");
}

static bool can_be_written(const char *s) {
        for (const char *p = s; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return false;
        return utf8_is_valid(s, strlen(s));
}

/* @plain with each of @names replaced by the one of @values; a name is one byte. */
static char *replace(const char *plain, const char *names, char *const *values) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char *text;
        int r;

        for (const char *p = plain; *p; p++) {
                const char *at = strchr(names, *p);

                if (at)
                        strbuf_add(&b, values[at - names]);
                else
                        strbuf_add_char(&b, *p);
        }
        r = strbuf_finish(&b, &text);
        assert(r == 0);
        return text;
}

static void compare(const Unit *plain, const Unit *got, const char *names, char *const *values) {
        assert(plain->n == got->n);
        for (size_t i = 0; i < got->n; i++) {
                bool is_exec = strncmp(got->key[i], "Exec", 4) == 0;
                _cleanup_free_ char *before = decode(plain->value[i], is_exec),
                                    *after = decode(got->value[i], is_exec),
                                    *wanted = replace(before, names, values);

                assert(strcmp(plain->section[i], got->section[i]) == 0);
                assert(strcmp(plain->key[i], got->key[i]) == 0);
                assert(strcmp(wanted, after) == 0);
        }
}

static void fill(Paths *p, const char *const *v) {
        p->home = (char *)(uintptr_t)v[0];
        p->state = (char *)(uintptr_t)v[1];
        p->runtime = (char *)(uintptr_t)v[2];
        p->libexec = (char *)(uintptr_t)v[3];
        p->program = (char *)(uintptr_t)v[4];
}

static void check_templates(Input *in) {
        static const char names[] = "\002\003\004\005\006\007";
        /* Bytes that stand for the paths; to the renderer they are control characters, so the plain
         * rendering is made with capitals and these are put in afterwards. */
        static const char *const capitals[] = { "/HOME", "/STATE", "/RUNTIME", "/LIBEXEC",
                "/PROGRAM", "/TMPDIR" };
        bool other = input_flag(in);
        Paths p = { .unit_prefix = (char *)(uintptr_t)(other ? "mosaic-1a2b3c4d-" : "mosaic-"),
                .id_or_default = (char *)(uintptr_t)(other ? "1a2b3c4d" : "default") };
        _cleanup_strv_ char **values = NULL;
        bool sound = true;

        for (size_t i = 0; i < ELEMENTSOF(capitals); i++) {
                _cleanup_free_ char *path = input_text(in, 60);
                bool is_program = i == 3 || i == 4;

                assert(strv_pushf(&values, "/%s", path) == 0);
                sound = sound && can_be_written(path) && (!is_program || is_path_of_program(path));
        }
        for (size_t i = 0; i < n_assets; i++) {
                _cleanup_free_ char *bytes = NULL, *plain = NULL, *text = NULL;
                _cleanup_(unit_done) Unit a = { .n = 0 }, b = { .n = 0 };
                const char *culprit = NULL;
                int r;

                if (strncmp(assets[i].path, "systemd/user/", 13) != 0)
                        continue;
                bytes = strndup((const char *)assets[i].bytes, assets[i].size);
                assert(bytes);
                fill(&p, capitals);
                r = template_render(bytes, &p, capitals[5], &culprit, &plain);
                assert(r == 0);
                for (size_t k = 0; k < ELEMENTSOF(capitals); k++)
                        for (char *at; (at = strstr(plain, capitals[k]));) {
                                size_t n = strlen(capitals[k]);

                                *at = names[k];
                                memmove(at + 1, at + n, strlen(at + n) + 1);
                        }
                fill(&p, (const char *const *)values);
                r = template_render(bytes, &p, values[5], &culprit, &text);
                assert(r == (sound ? 0 : -EILSEQ));
                if (r < 0) {
                        assert(strv_find(values, culprit));
                        return;
                }
                unit_read(plain, &a);
                unit_read(text, &b);
                compare(&a, &b, names, values);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);

        if (input_flag(&in))
                check_templates(&in);
        else
                check_dropin(&in);
        return 0;
}
