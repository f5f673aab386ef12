/* SPDX-License-Identifier: MIT */
#include "drivers/machine/screens.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "drivers/os/proc.h"
#include "drivers/tmux/command.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"

/*
 * One client captures all of them. Each screen follows two lines that begin with a word nobody can
 * guess: what an agent prints cannot end its screen early or pass for another's. The second has the
 * numbers, and last the title, which is text of the agent's.
 */
#define FACTS                                                                                      \
        "#{cursor_x} #{cursor_y} #{pane_width} #{pane_height} #{session_attached} #{pane_dead} "   \
        "#{pane_in_mode} #{alternate_on} #{pane_pid} #{window_activity} #{pane_tty} #{pane_title}"

enum {
        FACT_CURSOR_X,
        FACT_CURSOR_Y,
        FACT_WIDTH,
        FACT_HEIGHT,
        FACT_ATTACHED,
        FACT_DEAD,
        FACT_IN_MODE,
        FACT_ALTERNATE,
        FACT_PANE_PID,
        FACT_ACTIVITY,
        _FACT_MAX,
};

static int capture_commands(const Observed *o, char *const *agents, const char *word, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        for (size_t i = 0; agents[i]; i++) {
                const ObservedSession *s = observed_session(o, agents[i]);
                const ObservedRun *run = observed_run(o, agents[i]);
                const char *pane = run && run->pane_id ? run->pane_id : s ? s->pane_id : NULL;

                strbuf_addf(&b, "display-message -p '%s %zu'\n", word, i);
                /* What a run file says of a pane goes onto a command line only if it is an id. */
                if (!pane || !tmux_is_pane_id(pane))
                        continue;
                strbuf_addf(&b,
                                "display-message -p -t '%s' '%s facts " FACTS "' ; "
                                "capture-pane -p -N -t '%s'\n",
                                pane, word, pane);
        }
        strbuf_addf(&b, "display-message -p '%s end'\n", word);
        return strbuf_finish(&b, ret);
}

/* The rest of @line if it begins with "WORD "; NULL if not. */
static char *after_word(char *line, const char *word) {
        size_t length = strlen(word);

        return strncmp(line, word, length) == 0 && line[length] == ' ' ? line + length + 1 : NULL;
}

/* Numbers, then the title. tmux leaves a number empty where there is none: no mode is 0. */
static int read_facts(char *text, DriverScreen *shown) {
        Screen *s = &shown->screen;
        uint64_t v[_FACT_MAX];
        const char *tty;

        for (size_t i = 0; i < _FACT_MAX; i++) {
                char *field = strsep(&text, " ");

                v[i] = 0;
                if (!text || (*field && parse_uint64(field, v + i) < 0))
                        return -EBADMSG;
        }
        s->cursor_x = (unsigned)v[FACT_CURSOR_X];
        s->cursor_y = (unsigned)v[FACT_CURSOR_Y];
        s->width = (unsigned)v[FACT_WIDTH];
        s->height = (unsigned)v[FACT_HEIGHT];
        s->attached = (unsigned)v[FACT_ATTACHED];
        s->dead = v[FACT_DEAD] != 0;
        s->in_mode = v[FACT_IN_MODE] != 0;
        s->alternate = v[FACT_ALTERNATE] != 0;
        s->pane_pid = (pid_t)v[FACT_PANE_PID];
        s->activity_usec = v[FACT_ACTIVITY] * USEC_PER_SEC;
        tty = strsep(&text, " ");
        if (!text || strlen(tty) >= sizeof(shown->terminal))
                return -EBADMSG;
        (void)stpcpy(shown->terminal, tty);
        s->title = strdup(text);
        return s->title ? 0 : -ENOMEM;
}

/* Takes the lines of one screen; returns where the next begins, NULL if the output is not what was
 * asked for. A pane that is gone has neither facts nor text. */
static char *cut_screen(
                char *p, const char *word, size_t number, DriverScreen *shown, int *ret_error) {
        Screen *screen = &shown->screen;
        _cleanup_strbuf_ StrBuf text = STRBUF_NULL;
        char expected[24], *rest, *end;

        (void)snprintf(expected, sizeof(expected), "%zu", number);
        for (size_t line = 0; (end = strchr(p, '\n')); line++, p = end + 1) {
                *end = '\0';
                rest = after_word(p, word);
                if (line == 0) {
                        if (!rest || strcmp(rest, expected) != 0)
                                return NULL;
                } else if (line == 1 && rest && strncmp(rest, "facts ", 6) == 0) {
                        *ret_error = read_facts(rest + 6, shown);
                        if (*ret_error < 0)
                                return NULL;
                } else if (rest) {
                        *end = '\n';
                        if (screen->title)
                                *ret_error = strbuf_finish(&text, &screen->text);
                        return *ret_error < 0 ? NULL : p;
                } else
                        strbuf_addf(&text, "%s\n", p);
        }
        return NULL;
}

int screens_read(char *output, const char *word, DriverScreen *screens, size_t n) {
        char *p = output, *rest;
        int error = 0;

        for (size_t i = 0; i < n && p; i++)
                p = cut_screen(p, word, i, screens + i, &error);
        rest = p ? after_word(p, word) : NULL;
        if (error == 0 && rest && strcmp(rest, "end\n") == 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                screen_done(&screens[i].screen);
                screens[i] = (DriverScreen){ .known = false };
        }
        return error == -ENOMEM ? error : 0;
}

int screens_capture(const TmuxServer *tmux,
                const Observed *observed,
                char *const *agents,
                DriverScreen *screens) {
        _cleanup_free_ char *commands = NULL, *output = NULL;
        uint64_t random;
        char word[32];
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        (void)snprintf(word, sizeof(word), "mosaic-%016" PRIx64, random);
        r = capture_commands(observed, agents, word, &commands);
        if (r < 0)
                return r;
        r = tmux_server_run(tmux, commands, &output, NULL);
        if (r == -ENOMEM)
                return r;
        if (r >= 0) {
                r = screens_read(output, word, screens, strv_length(agents));
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; agents[i]; i++) {
                const ObservedRun *run = observed_run(observed, agents[i]);

                screens[i].line_mode = *screens[i].terminal &&
                                       proc_terminal_collects_lines(screens[i].terminal);
                screens[i].known =
                                screens[i].screen.text && !screens[i].screen.dead && run &&
                                run->alive &&
                                proc_other_foreground(run->pid, &screens[i].other_foreground) == 0;
        }
        return 0;
}
