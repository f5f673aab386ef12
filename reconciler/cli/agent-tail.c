/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "drivers/os/clock.h"
#include "model/base/array.h"
#include "model/base/parse.h"
#include "model/scrollback.h"
#include "reconciler/agent-terminal.h"
#include "reconciler/complain.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

#define LINES_DEFAULT 80
/* How often is looked: at most twice a second, and once while nothing happens. */
#define STEP_USEC (500 * USEC_PER_MSEC)
#define STEP_IDLE_USEC USEC_PER_SEC
#define IDLE_AFTER 20
/* Lines above the screen that each look compares. */
#define OVERLAP 400
#define READ_AGAIN_MAX 4

typedef struct Tail {
        Context *c;
        const Options *o;
        const AgentTerminal *t;
        char **lines; /* of the batch */
        size_t n_lines;
        bool failed;
} Tail;

static void tail_forget(Tail *tail) {
        for (size_t i = 0; i < tail->n_lines; i++)
                free(tail->lines[i]);
        free(tail->lines);
        tail->lines = NULL;
        tail->n_lines = 0;
}

/* One document per batch: on one line each while following. */
static int print_document(const Tail *tail, const PaneLook *look) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        const PaneTarget *pane = &tail->t->pane;

        json_open_object(&b, NULL);
        json_put_string(&b, "format", "mosaic.agent.tail");
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "agent", pane->agent);
        json_put_string(&b, "session", pane->session_id);
        json_put_string(&b, "pane", pane->pane_id);
        json_put_uint(&b, "history", look->history);
        json_put_uint(&b, "activity_usec", look->activity_usec);
        json_open_array(&b, "lines");
        for (size_t i = 0; i < tail->n_lines; i++)
                json_put_string(&b, NULL, tail->lines[i]);
        json_close(&b);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", EXIT_OK);
        json_close(&b);
        json_close(&b);
        return tail->c->json_lines ? output_print_line(&b) : output_print_document(&b);
}

static int print_batch(Tail *tail, const PaneLook *look) {
        int r = 0;

        if (tail->failed)
                return -ENOMEM;
        if (tail->c->json)
                r = print_document(tail, look);
        for (size_t i = 0; i < tail->n_lines && !tail->c->json; i++)
                puts(tail->lines[i]);
        tail_forget(tail);
        (void)fflush(stdout);
        return r;
}

static void add_line(const ScrollbackLine *line, void *userdata) {
        Tail *tail = userdata;
        char **slot = array_grow(&tail->lines, tail->n_lines, sizeof(char *));

        if (slot)
                *slot = strdup(line->styled ? line->styled : line->plain);
        if (!slot || !*slot) {
                tail->failed = true;
                return;
        }
        tail->n_lines++;
}

static int say_gone(const Tail *tail) {
        return run_refuse(tail->c, "tail", EXIT_NOT_CONVERGED,
                        "the terminal of %s is gone: its pane, its session or the tmux server "
                        "ended",
                        tail->t->pane.agent);
}

static int say_error(const Tail *tail, int error) {
        return run_refuse(tail->c, "tail", EXIT_UNKNOWN, "the terminal of %s cannot be read: %s",
                        tail->t->pane.agent,
                        error == -ETIMEDOUT ? "the tmux server does not answer"
                        : error == -EBADMSG ? "tmux gave no whole answer"
                        : error == -ENOENT  ? "there is no tmux in PATH"
                                            : strerror(-error));
}

/* A look with at least the lines that were asked for, as far as there are so many. Wrapped lines
 * count once, so that it may take more than one. */
static int look_at_end(Tail *tail, PaneLook *look, Scrollback *s, uint64_t *ret_n_history) {
        uint64_t n_history = tail->o->lines + OVERLAP;

        for (;;) {
                _cleanup_pane_look_ PaneLook l = PANE_LOOK_NULL;
                int r;

                r = pane_look(tail->t->server, &tail->t->pane, n_history, NULL, &l);
                if (r != 0)
                        return r;
                scrollback_done(s);
                r = scrollback_read(l.text, tail->o->ansi, s);
                if (r < 0)
                        return r;
                /* The first line may be the end of a wrapped one. */
                if (s->n_lines > tail->o->lines || n_history >= l.history) {
                        *look = l;
                        l = PANE_LOOK_NULL;
                        *ret_n_history = n_history;
                        return 0;
                }
                n_history *= 4;
        }
}

/* --- following -------------------------------------------------------------------------------- */

typedef struct Follow {
        Tail *tail;
        Scrollback seen;
        PaneLook last;
        uint64_t n_history;  /* lines above the screen that @seen was read with */
        uint64_t begin_usec; /* of that look, CLOCK_REALTIME */
} Follow;

/* The end of what is there. */
static int begin(Follow *f) {
        Tail *tail = f->tail;
        size_t first;
        int r;

        r = look_at_end(tail, &f->last, &f->seen, &f->n_history);
        if (r != 0)
                return r;
        first = f->seen.n_lines > tail->o->lines ? f->seen.n_lines - tail->o->lines : 0;
        for (size_t i = 0; i < f->seen.n_lines; i++) {
                f->seen.lines[i].reported = true;
                if (i >= first)
                        add_line(f->seen.lines + i, tail);
        }
        return print_batch(tail, &f->last);
}

/* By how many lines the history grew. When it is full tmux drops a tenth of it at once. */
static uint64_t growth(const PaneLook *before, const PaneLook *now) {
        uint64_t tenth = now->history_limit / 10;

        if (now->history >= before->history)
                return now->history - before->history;
        return tenth > 0 && now->history + tenth >= before->history
                               ? now->history + tenth - before->history
                               : 0;
}

static uint64_t first_line(uint64_t history, uint64_t n_history) {
        return history > n_history ? history - n_history : 0;
}

/* More was printed than was read: reads again, from the lines that were seen on. Who still prints
 * moves them meanwhile. */
static int read_more(Follow *f, PaneLook *look, uint64_t *n_history, uint64_t *grown) {
        for (unsigned i = 0; *grown + look->height > *n_history && i < READ_AGAIN_MAX; i++) {
                _cleanup_pane_look_ PaneLook again = PANE_LOOK_NULL;
                int r;

                *n_history = OVERLAP + 2 * *grown + look->height;
                r = pane_look(f->tail->t->server, &f->tail->t->pane, *n_history, NULL, &again);
                if (r != 0)
                        return r;
                *grown += growth(look, &again);
                pane_look_done(look);
                *look = again;
                again = PANE_LOOK_NULL;
        }
        return 0;
}

/* Something changed: finds what is new. */
static int take_look(Follow *f, PaneLook *look) {
        _cleanup_scrollback_ Scrollback now = SCROLLBACK_NULL;
        uint64_t grown = growth(&f->last, look), n_history = OVERLAP, before;
        bool much = grown + look->height > n_history;
        /* A full scrollback loses a tenth at once, and who prints much fills it more than once. */
        ScrollbackMove move = { .sure = !much && look->history >= f->last.history };
        bool lost;
        int r;

        r = read_more(f, look, &n_history, &grown);
        if (r == 0)
                r = scrollback_read(look->text, f->tail->o->ansi, &now);
        if (r != 0)
                return r;
        before = first_line(f->last.history, f->n_history);
        move.moved = (ssize_t)(first_line(f->last.history + grown, n_history) - before);
        move.n_above = before;
        r = scrollback_follow(&f->seen, &now, &move, add_line, f->tail);
        if (r < 0)
                return r;
        lost = grown > n_history ||
               (r == SCROLLBACK_BROKEN && look->history + 2 * (look->history_limit / 10) >=
                                                          look->history_limit);
        if (lost)
                fprintf(stderr, "mosaic: tail: lines may be missing here: they left the scrollback "
                                "before they could be read\n");
        pane_look_done(&f->last);
        f->last = *look;
        *look = PANE_LOOK_NULL;
        f->n_history = n_history;
        return 0;
}

/* One step. @ret_changed: something was printed since the last one. */
static int step(Follow *f, bool *ret_changed) {
        _cleanup_pane_look_ PaneLook look = PANE_LOOK_NULL;
        /* tmux counts activity in whole seconds: one that is over can hold nothing more. */
        bool sure = f->last.activity_usec + USEC_PER_SEC < f->begin_usec;
        uint64_t now = clock_realtime_usec();
        Tail *tail = f->tail;
        int r;

        r = pane_look(tail->t->server, &tail->t->pane, OVERLAP, sure ? f->last.signature : NULL,
                        &look);
        if (r != 0)
                return r;
        f->begin_usec = now;
        *ret_changed = look.text != NULL;
        if (look.text)
                r = take_look(f, &look);
        else
                scrollback_settle(&f->seen, add_line, tail);
        return r;
}

/* Prints what was held back, then why it ends. */
static int end_follow(Follow *f, int outcome) {
        int r;

        scrollback_settle(&f->seen, add_line, f->tail);
        r = f->tail->n_lines > 0 ? print_batch(f->tail, &f->last) : 0;
        if (r < 0)
                return r;
        return outcome == PANE_GONE ? say_gone(f->tail) : say_error(f->tail, outcome);
}

/* Waits. Returns true if who reads what is printed went away: an agent that is silent would keep
 * `mosaic agent tail -f NAME | head` for ever. */
static bool reader_leaves(uint64_t usec) {
        struct pollfd out = { .fd = STDOUT_FILENO };

        return poll(&out, 1, (int)(usec / USEC_PER_MSEC)) > 0;
}

static int follow(Follow *f) {
        unsigned quiet = 0;

        for (;;) {
                bool changed = false;
                int r;

                if (reader_leaves(quiet < IDLE_AFTER ? STEP_USEC : STEP_IDLE_USEC)) {
                        (void)raise(SIGPIPE); /* as the next line would */
                        return EXIT_OK;
                }
                r = step(f, &changed);
                if (r == -ENOMEM)
                        return r;
                if (r != 0)
                        return end_follow(f, r);
                if (f->tail->n_lines > 0) {
                        r = print_batch(f->tail, &f->last);
                        if (r < 0)
                                return r;
                }
                if (ferror(stdout))
                        return EXIT_OK; /* main() says so */
                quiet = changed ? 0 : quiet + 1;
        }
}

static void follow_done(Follow *f) {
        scrollback_done(&f->seen);
        pane_look_done(&f->last);
        tail_forget(f->tail);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_agent_terminal_ AgentTerminal t = AGENT_TERMINAL_NULL;
        _cleanup_options_ Options o = { 0 };
        Tail tail = { .c = c, .o = &o, .t = &t };
        _cleanup_(follow_done) Follow f = { .tail = &tail, .begin_usec = clock_realtime_usec() };
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_LINES | OPTION_FOLLOW | OPTION_ANSI, argc, argv,
                        &o);
        if (r == 0)
                r = options_check_one_name(&o, argv[0]);
        if (r != 0)
                return r;
        c->json_lines = o.follow;
        if (!o.follow)
                context_page(c);
        if (o.lines == 0)
                o.lines = LINES_DEFAULT;
        r = agent_terminal_find(c, argv[0], o.names[0], &t);
        if (r != 0)
                return r;
        if (!t.alive)
                complain("tail: %s does not run; this is what its terminal shows", o.names[0]);
        r = begin(&f);
        if (r == -ENOMEM)
                return r;
        if (r != 0)
                return r == PANE_GONE ? say_gone(&tail) : say_error(&tail, r);
        return o.follow ? follow(&f) : EXIT_OK;
}

const Verb verb_agent_tail = {
        .group = "agent",
        .name = "tail",
        .task = TASK_AGENT,
        .synopsis = "NAME [-n N] [-f] [OPTION...]",
        .summary = "Show the end of an agent's terminal; -f follows",
        .words = "@agent",
        .help = "A stopped or dead agent's too. Wrapped lines are joined, and nothing of the text\n"
                "can act on your terminal. With -f new lines are printed as they come, over\n"
                "restarts of the agent, until its session ends: a line counts once it stayed the\n"
                "same for half a second, so that spinners and half-written lines do not.\n"
                "\n"
                "Options:\n"
                "  -n, --lines N     How many lines, 1 to 100000; 80 unless you say\n"
                "  -f, --follow      Go on with what is new\n"
                "      --ansi        Keep colours and attributes; everything else goes\n"
                "      --json        Print the lines as JSON; with -f a document per line\n"
                "      --no-pager    Do not page what does not fit the screen\n"
                "\n"
                "Exit status: 0; 4 the agent has no terminal, or it ended; 6 cannot tell,\n"
                "64 no such agent.\n"
                "\n"
                "Examples:\n"
                "  mosaic agent tail web\n"
                "  mosaic agent tail web -n 200 --ansi | less -R\n"
                "  mosaic agent tail -f web\n",
        .run = run,
};
