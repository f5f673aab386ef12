/* SPDX-License-Identifier: MIT */
#include "reconciler/watch-child.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "drivers/os/clock.h"
#include "drivers/os/event-source.h"
#include "model/base/parse.h"
#include "model/plan.h"

/* Longer than the longest stop that a roster may ask for, and its KILL; then TERM, then KILL. */
#define PASS_MAX_USEC (15 * 60 * USEC_PER_SEC)
#define TERM_MAX_USEC (30 * USEC_PER_SEC)
/* One event: the remarks of some thousand agents. */
#define LINE_MAX_BYTES (8u << 20)

struct WatchChild {
        Context *c;
        sd_event *event;
        struct rlimit files; /* that the loop was started with */
        WatchChildEvent on_event;
        WatchChildEnd on_end;
        void *userdata;

        pid_t pid; /* 0: none runs */
        int pipe;
        bool told; /* its "pass" came */
        bool timed_out;
        char *why; /* it said so itself: there will be no "pass" */
        StrBuf line;
        sd_event_source *io;
        sd_event_source *exit;
        sd_event_source *deadline;
};

static void forget(WatchChild *w) {
        w->io = sd_event_source_disable_unref(w->io);
        w->exit = sd_event_source_disable_unref(w->exit);
        w->deadline = sd_event_source_disable_unref(w->deadline);
        if (w->pipe >= 0)
                (void)close(w->pipe);
        w->pipe = -1;
        strbuf_done(&w->line);
        free(w->why);
        w->why = NULL;
        w->pid = 0;
}

WatchChild *watch_child_free(WatchChild *w) {
        if (!w)
                return NULL;
        watch_child_stop(w);
        forget(w);
        sd_event_unref(w->event);
        free(w);
        return NULL;
}

/* The loop has a descriptor for each agent and terminal; what it starts gets the limit that it was
 * given itself. */
static void raise_limit(WatchChild *w) {
        struct rlimit all;

        if (getrlimit(RLIMIT_NOFILE, &w->files) < 0)
                return;
        all = w->files;
        all.rlim_cur = all.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &all);
}

int watch_child_new(Context *c,
                sd_event *event,
                WatchChildEvent on_event,
                WatchChildEnd on_end,
                void *userdata,
                WatchChild **ret) {
        WatchChild *w = calloc(1, sizeof(WatchChild));

        if (!w)
                return -ENOMEM;
        *w = (WatchChild){
                .c = c,
                .event = sd_event_ref(event),
                .on_event = on_event,
                .on_end = on_end,
                .userdata = userdata,
                .pipe = -1,
                .line = STRBUF_NULL,
        };
        raise_limit(w);
        *ret = w;
        return 0;
}

bool watch_child_runs(const WatchChild *w) {
        return w->pid > 0;
}

void watch_child_stop(WatchChild *w) {
        if (w->pid > 0)
                (void)kill(w->pid, SIGTERM);
}

/* --- listening -------------------------------------------------------------------------------- */

static int take_line(WatchChild *w, const char *text, size_t n) {
        _cleanup_json_ Json *event = NULL;
        const char *kind;
        int r;

        r = json_parse(text, n, &event);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return 0; /* torn: the process was killed in the middle of it */
        kind = json_get_string(event, "event");
        if (kind && strcmp(kind, "failed") == 0) {
                free(w->why);
                return json_get_strdup(event, "message", /* optional= */ true, &w->why);
        }
        w->told = w->told || (kind && strcmp(kind, "pass") == 0);
        return w->on_event(event, w->userdata);
}

/* Whole lines are taken, the rest waits for more. */
static int take_bytes(WatchChild *w, const char *bytes, size_t n) {
        const char *end = bytes + n;

        while (bytes < end) {
                const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
                _cleanup_free_ char *line = NULL;
                int r;

                strbuf_add_bytes(&w->line, bytes, (size_t)((newline ? newline : end) - bytes));
                if (!newline)
                        return w->line.failed ? -ENOMEM : 0;
                bytes = newline + 1;
                r = strbuf_finish(&w->line, &line);
                w->line = STRBUF_NULL;
                if (r == 0)
                        r = take_line(w, line, strlen(line));
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Returns 0 once there is nothing to read at the moment, or for ever. */
static int drain(WatchChild *w) {
        char buffer[32 * 1024];

        for (;;) {
                ssize_t n = read(w->pipe, buffer, sizeof(buffer));
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n == 0 && w->io ? sd_event_source_set_enabled(w->io, SD_EVENT_OFF)
                                               : 0;
                if (w->line.length + (size_t)n > LINE_MAX_BYTES)
                        return -EFBIG;
                r = take_bytes(w, buffer, (size_t)n);
                if (r < 0)
                        return r;
        }
}

static int
on_io(sd_event_source *source _unused_, int fd _unused_, uint32_t events _unused_, void *userdata) {
        return drain(userdata);
}

static int on_exit_of(sd_event_source *source _unused_, const siginfo_t *si, void *userdata) {
        WatchChild *w = userdata;
        _cleanup_free_ char *said = NULL;
        bool told, timed_out;
        char why[96];
        int r;

        r = drain(w);
        said = TAKE_PTR(w->why);
        told = w->told && r == 0;
        timed_out = w->timed_out;
        forget(w);
        /* It is over all the same: who waits for its end must hear of it. */
        if (r < 0)
                (void)snprintf(why, sizeof(why), "what it said was lost: %s", strerror(-r));
        else if (timed_out)
                (void)snprintf(why, sizeof(why), "it took longer than 15 minutes and was ended");
        else if (si->si_code != CLD_EXITED)
                (void)snprintf(why, sizeof(why), "signal %d", si->si_status);
        else if (si->si_status >= 128)
                (void)snprintf(why, sizeof(why), "%s", strerror(si->si_status - 128));
        else
                (void)snprintf(why, sizeof(why), "it ended without a word");
        return w->on_end(told ? NULL : said ? said : why, w->userdata);
}

static int on_deadline(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        WatchChild *w = userdata;
        int r;

        if (w->pid <= 0)
                return 0;
        (void)kill(w->pid, w->timed_out ? SIGKILL : SIGTERM);
        w->timed_out = true;
        r = sd_event_source_set_time(source, clock_monotonic_usec() + TERM_MAX_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* --- the process ------------------------------------------------------------------------------ */

/* What the loop has open is the loop's: above all its lock, and the descriptors of a thousand
 * processes, which would leave this one none. */
static void keep_only(int fd) {
        if (fd > STDERR_FILENO + 1)
                (void)close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
        (void)close_range((unsigned)fd + 1, ~0U, 0);
}

/* Never returns. Its exit status says an errno only where it could not say it in an event. */
static void run_child(WatchChild *w, const WatchOrder *order, int out, pid_t parent) {
        sigset_t none;
        int r;

        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(EXIT_INTERNAL);
        /* Ctrl-C is for the controller, which then tells us. */
        (void)setpgid(0, 0);
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGUSR1, SIG_IGN);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)setrlimit(RLIMIT_NOFILE, &w->files);
        keep_only(out);
        r = watch_pass_run(w->c, order, out);
        _exit(r < 0 ? 128 + (-r & 127) : r);
}

static int add_sources(WatchChild *w) {
        int r;

        r = sd_event_add_io(w->event, &w->io, w->pipe, EPOLLIN, on_io, w);
        if (r >= 0)
                r = sd_event_add_child(w->event, &w->exit, w->pid, WEXITED, on_exit_of, w);
        if (r >= 0)
                r = sd_event_add_time(w->event, &w->deadline, CLOCK_MONOTONIC,
                                clock_monotonic_usec() + PASS_MAX_USEC, USEC_PER_SEC, on_deadline,
                                w);
        if (r >= 0)
                r = event_source_strict(w->io);
        if (r >= 0)
                r = event_source_strict(w->exit);
        if (r >= 0)
                r = event_source_strict(w->deadline);
        return r;
}

int watch_child_start(WatchChild *w, const WatchOrder *order) {
        pid_t parent = getpid();
        int pipe[2], r;

        if (pipe2(pipe, O_CLOEXEC) < 0)
                return -errno;
        (void)fcntl(pipe[0], F_SETFL, O_NONBLOCK);
        (void)fflush(stdout);
        w->pid = fork();
        if (w->pid == 0)
                run_child(w, order, pipe[1], parent);
        (void)close(pipe[1]);
        w->pipe = pipe[0];
        w->told = w->timed_out = false;
        r = w->pid < 0 ? -errno : add_sources(w);
        if (r >= 0)
                return 0;
        if (w->pid > 0) {
                (void)kill(w->pid, SIGKILL);
                (void)waitpid(w->pid, NULL, 0);
        }
        forget(w);
        return r;
}
