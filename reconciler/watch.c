/* SPDX-License-Identifier: MIT */
#include "reconciler/watch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "drivers/os/clock.h"
#include "drivers/os/dirwatch.h"
#include "drivers/os/event-source.h"
#include "drivers/os/lock.h"
#include "drivers/os/pidwatch.h"
#include "drivers/systemd/unit-signals.h"
#include "model/base/parse.h"
#include "reconciler/run.h"
#include "reconciler/watch-child.h"
#include "reconciler/watch-log.h"
#include "reconciler/watch-state.h"

/* Where the kernel does not tell of saves, this often is looked. */
#define STAT_EVERY_USEC (2 * USEC_PER_SEC)
/* A file that a program keeps open for writing is taken once it did not change for so long. */
#define TAKE_OPEN_USEC (5 * USEC_PER_SEC)
/* If what `status` shows could not be written it is old, and is not left so until the resync. */
#define REWRITE_USEC (15 * USEC_PER_SEC)
/* A wake-up for the resync may come so much later, together with others. */
#define RESYNC_ACCURACY_USEC USEC_PER_SEC

/* Files in the order in which they were given to dirwatch. */
enum {
        FILE_ROSTER,
        FILE_SOCKET,
        _FILE_MAX,
};

typedef struct Watch {
        Context *c;
        sd_event *event;
        Schedule schedule;
        WatchChild *child;
        WatchLog *log;
        WatchState state;
        DirWatch *files;
        PidWatch *pids;
        UnitSignals *units; /* NULL under `direct` */
        sd_event_source *pass_timer;
        sd_event_source *stat_timer;
        sd_event_source *files_io;
        struct stat stats[_FILE_MAX]; /* of the last look by stat(2) */
        int lock;                     /* ours, for life */
        int write_error;              /* of the last try to write the state */
        bool units_connected;         /* what was said of it last */
        bool files_degraded;
        bool stopping;
        char open_sha256[65];  /* content of a file that somebody has open ... */
        uint64_t open_usec;    /* ... since when it was seen so */
        uint64_t next_in_usec; /* what the pass that is being made wishes for; UINT64_MAX:
                                * nothing */
        char status[512];      /* the service manager was told last */
} Watch;

static void watch_done(Watch *w) {
        watch_child_free(w->child);
        sd_event_source_disable_unref(w->pass_timer);
        sd_event_source_disable_unref(w->stat_timer);
        sd_event_source_disable_unref(w->files_io);
        unit_signals_free(w->units);
        pidwatch_free(w->pids);
        dirwatch_free(w->files);
        watch_log_free(w->log);
        watch_state_done(&w->state);
        sd_event_unref(w->event);
}

/* --- when ------------------------------------------------------------------------------------- */

static int arm(Watch *w) {
        uint64_t due = w->stopping ? UINT64_MAX : schedule_due(&w->schedule);
        int r;

        if (due == UINT64_MAX)
                return sd_event_source_set_enabled(w->pass_timer, SD_EVENT_OFF);
        r = sd_event_source_set_time_accuracy(w->pass_timer,
                        due == w->schedule.next_resync_usec ? RESYNC_ACCURACY_USEC : 1);
        if (r >= 0)
                r = sd_event_source_set_time(w->pass_timer, due);
        return r < 0 ? r : sd_event_source_set_enabled(w->pass_timer, SD_EVENT_ONESHOT);
}

static int mark(Watch *w, Cause cause) {
        schedule_mark(&w->schedule, cause, clock_monotonic_usec());
        return arm(w);
}

/* Has the file been open and unchanged for so long that its writer does not count? */
static bool takes_open(const Watch *w, uint64_t now) {
        return w->open_usec != 0 && now >= w->open_usec + TAKE_OPEN_USEC;
}

static int on_pass_due(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Watch *w = userdata;
        uint64_t now = clock_monotonic_usec();
        WatchOrder order = {
                .cause = schedule_cause(&w->schedule, now),
                .removals_wait_usec = schedule_roster_settles(&w->schedule, now),
                .generation = w->state.generation,
                .open_sha256 = takes_open(w, now) ? w->open_sha256 : NULL,
        };
        int r;

        if (w->stopping || watch_child_runs(w->child))
                return 0;
        if (!lock_is_current(w->c->paths, w->lock)) {
                watch_log(w->log, WATCH_SOURCE, LOG_ERR,
                                "the state directory was removed or replaced: this controller "
                                "ends");
                return sd_event_exit(w->event, EXIT_BLOCKED);
        }
        schedule_begin(&w->schedule, now);
        r = watch_child_start(w->child, &order);
        if (r < 0) {
                watch_log(w->log, WATCH_SOURCE, LOG_ERR, "cannot begin a pass: %s", strerror(-r));
                schedule_failed(&w->schedule, now);
        }
        return arm(w);
}

/* --- what a pass told ------------------------------------------------------------------------- */

static int take_pids(Watch *w, const Json *list) {
        size_t n = json_length(list);
        _cleanup_free_ pid_t *pids = calloc(n + 1, sizeof(pid_t));
        bool gone = false;
        int r;

        if (!pids)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                uint64_t pid;

                if (json_as_uint64(json_at(list, i), &pid) == 0 && pid <= INT32_MAX)
                        pids[i] = (pid_t)pid;
        }
        r = pidwatch_set(w->pids, pids, n, &gone);
        if (r == -ENOMEM)
                return r;
        /* Who is not watched is still seen by the resync. */
        return gone ? mark(w, CAUSE_DRIFT) : 0;
}

static const char *exit_reason(uint64_t code) {
        switch ((ExitCode)code) {
        case EXIT_OK:
                return "in_sync";
        case EXIT_PENDING:
                return "pending";
        case EXIT_BLOCKED:
                return "blocked";
        case EXIT_NOT_CONVERGED:
                return "not_converged";
        case EXIT_UNKNOWN:
                return "unknown";
        case EXIT_LOCKED:
                return "locked";
        case EXIT_INVALID:
                return "roster";
        case EXIT_INTERNAL:
        case EXIT_STALE:
        case EXIT_USAGE:
                break;
        }
        return "error";
}

/* What somebody has open is remembered by its content. */
static void note_open(Watch *w, const Json *roster, uint64_t now) {
        const char *sha256 = json_text(roster, "sha256");

        if (strcmp(json_text(roster, "state"), "unsettled") != 0) {
                w->open_usec = 0;
                return;
        }
        if (w->open_usec != 0 && strcmp(sha256, w->open_sha256) == 0)
                return;
        (void)snprintf(w->open_sha256, sizeof(w->open_sha256), "%s", sha256);
        w->open_usec = now;
}

static void describe_agents(const Json *e, char *buffer, size_t n) {
        uint64_t held = json_number(e, "held");
        int used = snprintf(buffer, n, "%" PRIu64 " of %" PRIu64 " agents as the roster says",
                        json_number(e, "unchanged"), json_number(e, "agents"));

        if (held > 0)
                (void)snprintf(buffer + used, n - (size_t)used, ", %" PRIu64 " held", held);
}

/* Said once: each word to a manager that hangs may have to wait for it. */
static void notify_status(Watch *w, const Json *e) {
        const WatchCondition *roster = w->state.conditions + CONDITION_ROSTER;
        const WatchCondition *converged = w->state.conditions + CONDITION_CONVERGED;
        char text[sizeof(w->status)], agents[96];

        describe_agents(e, agents, sizeof(agents));
        if (!roster->status)
                (void)snprintf(text, sizeof(text), "%s; generation %" PRIu64 " stays in force",
                                roster->message ? roster->message : roster->reason,
                                w->state.generation);
        else
                (void)snprintf(text, sizeof(text), "Generation %" PRIu64 ": %s (%s)",
                                w->state.generation, agents, converged->reason);
        if (strcmp(text, w->status) == 0)
                return;
        (void)stpcpy(w->status, text);
        (void)sd_notifyf(0, "STATUS=%s", text);
}

static void set_conditions(Watch *w, const Json *e) {
        const Json *roster = json_get(e, "roster");
        const char *state = json_text(roster, "state");
        uint64_t code = json_number(json_get(e, "summary"), "exit"), now = clock_realtime_usec();
        char text[96];

        /* While somebody writes it is what it was. */
        if (strcmp(state, "unsettled") != 0)
                (void)watch_state_set(&w->state, CONDITION_ROSTER, strcmp(state, "accepted") == 0,
                                state, json_get_string(roster, "message"), now);
        describe_agents(e, text, sizeof(text));
        (void)watch_state_set(&w->state, CONDITION_CONVERGED, code == EXIT_OK, exit_reason(code),
                        json_get_string(e, "message") ? json_get_string(e, "message") : text, now);
        w->state.generation = json_number(roster, "generation");
        if (strcmp(state, "accepted") == 0)
                (void)snprintf(w->state.roster_sha256, sizeof(w->state.roster_sha256), "%s",
                                json_text(roster, "sha256"));
}

static void write_state(Watch *w) {
        uint64_t now = clock_monotonic_usec(), due = schedule_due(&w->schedule);
        int r;

        w->state.next_usec =
                        clock_realtime_usec() + (due > now && due != UINT64_MAX ? due - now : 0);
        r = watch_state_write(w->c, &w->state, NULL);
        if (r < 0 && r != w->write_error)
                watch_log(w->log, WATCH_SOURCE, LOG_WARNING,
                                "cannot write what the controller sees for 'status': %s",
                                strerror(-r));
        w->write_error = r;
}

static void take_pass(Watch *w, const Json *e) {
        uint64_t code = json_number(json_get(e, "summary"), "exit"), msec;

        if (json_get_uint64(e, "next_ms", &msec) == 0)
                w->next_in_usec = msec * USEC_PER_MSEC;
        if (code == EXIT_LOCKED) /* nothing was seen */
                return;
        if (json_number(json_get(e, "roster"), "generation") != w->state.generation)
                schedule_touched(&w->schedule, w->schedule.begun_usec);
        note_open(w, json_get(e, "roster"), clock_monotonic_usec());
        w->state.n_passes++;
        w->state.pass_usec = clock_realtime_usec();
        w->state.took_msec = json_number(e, "took_ms");
        w->state.n_actions = json_number(e, "actions");
        w->state.exit = (int)code;
        (void)snprintf(w->state.cause, sizeof(w->state.cause), "%s", json_text(e, "cause"));
        set_conditions(w, e);
        notify_status(w, e);
}

static int on_event_line(const Json *event, void *userdata) {
        const char *kind = json_text(event, "event");
        Watch *w = userdata;
        int r;

        if (strcmp(kind, "pids") == 0)
                return take_pids(w, json_get(event, "pids"));
        r = watch_log_event(w->log, event);
        if (r == 0 && strcmp(kind, "pass") == 0)
                take_pass(w, event);
        return r;
}

static void pass_failed(Watch *w, const char *why) {
        watch_log(w->log, WATCH_SOURCE, LOG_ERR, "a pass failed: %s", why);
        (void)watch_state_set(
                        &w->state, CONDITION_CONVERGED, false, "error", why, clock_realtime_usec());
        (void)snprintf(w->status, sizeof(w->status), "A pass failed: %s", why);
        (void)sd_notifyf(0, "STATUS=%s", w->status);
}

/* The process of a pass is gone; @why: it did not come to its end. Only now another may begin. */
static int on_pass_end(const char *why, void *userdata) {
        Watch *w = userdata;

        if (w->stopping)
                return sd_event_exit(w->event, EXIT_OK);
        if (why) {
                pass_failed(w, why);
                schedule_failed(&w->schedule, clock_monotonic_usec());
        } else
                schedule_end(&w->schedule, clock_monotonic_usec(), w->next_in_usec);
        write_state(w);
        if (!why && w->write_error < 0 && w->next_in_usec > REWRITE_USEC)
                schedule_end(&w->schedule, clock_monotonic_usec(), REWRITE_USEC);
        w->next_in_usec = UINT64_MAX;
        return arm(w);
}

/* --- what happens ----------------------------------------------------------------------------- */

static const char *file_path(const Watch *w, int file) {
        return file == FILE_ROSTER ? w->c->paths->roster : w->c->record->tmux_socket;
}

static bool is_touched(const struct stat *a, const struct stat *b) {
        return a->st_ino != b->st_ino || a->st_size != b->st_size ||
               a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

static int on_files(sd_event_source *source, int fd, uint32_t events, void *userdata);
static int follow_files(Watch *w);

/* Where the kernel tells nothing: a look, and another try to be told. */
static int on_stat_due(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        Watch *w = userdata;
        int r;

        for (int i = 0; i < _FILE_MAX; i++) {
                struct stat st = { 0 };

                (void)stat(file_path(w, i), &st); /* one that is not there has no times */
                if (!is_touched(&st, w->stats + i))
                        continue;
                w->stats[i] = st;
                r = mark(w, i == FILE_ROSTER ? CAUSE_ROSTER : CAUSE_DRIFT);
                if (r < 0)
                        return r;
        }
        r = sd_event_source_set_time(source, clock_monotonic_usec() + STAT_EVERY_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        if (r >= 0)
                r = dirwatch_renew(w->files);
        return r < 0 ? r : follow_files(w);
}

/* After each change of the watches: which descriptor, and whether the kernel tells enough. */
static int follow_files(Watch *w) {
        int error = dirwatch_degraded(w->files), fd = dirwatch_fd(w->files), r;

        if (w->files_io && sd_event_source_get_io_fd(w->files_io) != fd)
                w->files_io = sd_event_source_disable_unref(w->files_io);
        dirwatch_close_old(w->files);
        if (!w->files_io && fd >= 0) {
                r = sd_event_add_io(w->event, &w->files_io, fd, EPOLLIN, on_files, w);
                if (r >= 0)
                        r = event_source_strict(w->files_io);
                if (r < 0)
                        return r;
        }
        (void)watch_state_set(&w->state, CONDITION_FILES, error == 0,
                        error ? "degraded" : "inotify", error ? strerror(-error) : NULL,
                        clock_realtime_usec());
        if (!!error == w->files_degraded)
                return 0;
        w->files_degraded = !!error;
        if (error)
                watch_log(w->log, WATCH_SOURCE, LOG_WARNING,
                                "the kernel refuses to watch the roster (%s): looking every 2 s; "
                                "sysctl fs.inotify says the limits",
                                strerror(-error));
        else
                watch_log(w->log, WATCH_SOURCE, LOG_NOTICE, "the kernel watches the roster again");
        if (!error) {
                /* What happened while nobody told. */
                r = sd_event_source_set_enabled(w->stat_timer, SD_EVENT_OFF);
                return r < 0 ? r : mark(w, CAUSE_ROSTER);
        }
        r = sd_event_source_set_time(w->stat_timer, clock_monotonic_usec());
        return r < 0 ? r : sd_event_source_set_enabled(w->stat_timer, SD_EVENT_ONESHOT);
}

static int on_files(sd_event_source *source _unused_,
                int fd _unused_,
                uint32_t events _unused_,
                void *userdata) {
        bool touched[_FILE_MAX] = { false };
        Watch *w = userdata;
        int r;

        r = dirwatch_take(w->files, touched, _FILE_MAX);
        if (r == 0)
                r = follow_files(w);
        if (r == 0 && touched[FILE_ROSTER])
                r = mark(w, CAUSE_ROSTER);
        if (r == 0 && touched[FILE_SOCKET])
                r = mark(w, CAUSE_DRIFT);
        return r;
}

static int on_pids(sd_event_source *source _unused_,
                int fd _unused_,
                uint32_t events _unused_,
                void *userdata) {
        Watch *w = userdata;

        return pidwatch_take(w->pids) ? mark(w, CAUSE_DRIFT) : 0;
}

static void note_units(Watch *w) {
        bool connected = unit_signals_connected(w->units);

        (void)watch_state_set(&w->state, CONDITION_MANAGER, connected,
                        connected ? "connected" : "disconnected", NULL, clock_realtime_usec());
        if (connected == w->units_connected)
                return;
        w->units_connected = connected;
        watch_log(w->log, WATCH_SOURCE, connected ? LOG_NOTICE : LOG_WARNING, "%s",
                        connected ? "connected to the user manager"
                                  : "the user manager hung up; trying again");
}

static void on_units(void *userdata) {
        Watch *w = userdata;

        note_units(w);
        if (mark(w, CAUSE_DRIFT) < 0)
                (void)sd_event_exit(w->event, EXIT_INTERNAL);
}

/* --- signals ---------------------------------------------------------------------------------- */

static int on_stop_signal(sd_event_source *source _unused_,
                const struct signalfd_siginfo *si _unused_,
                void *userdata) {
        Watch *w = userdata;

        w->stopping = true;
        (void)sd_notify(0, "STOPPING=1\nSTATUS=Stopping; every agent stays as it is");
        if (!watch_child_runs(w->child))
                return sd_event_exit(w->event, EXIT_OK);
        /* What was begun is finished, nothing more is begun. */
        watch_child_stop(w->child);
        return arm(w);
}

static int on_hangup(sd_event_source *source _unused_,
                const struct signalfd_siginfo *si _unused_,
                void *userdata) {
        Watch *w = userdata;
        int r;

        r = dirwatch_renew(w->files);
        if (r == 0)
                r = follow_files(w);
        return r < 0 ? r : mark(w, CAUSE_ASKED);
}

static int on_dump(sd_event_source *source _unused_,
                const struct signalfd_siginfo *si _unused_,
                void *userdata) {
        _cleanup_free_ char *text = NULL;
        Watch *w = userdata;

        if (watch_state_write(w->c, &w->state, &text) == 0)
                watch_log(w->log, WATCH_STATE, LOG_NOTICE, "%s", text);
        return 0;
}

static int add_signals(Watch *w) {
        const struct {
                int number;
                sd_event_signal_handler_t handler;
        } signals[] = {
                { SIGTERM, on_stop_signal },
                { SIGINT, on_stop_signal },
                { SIGHUP, on_hangup },
                { SIGUSR1, on_dump },
        };
        sigset_t set;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGCHLD);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void)sigaddset(&set, signals[i].number);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        (void)signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                sd_event_source *source;
                int r = sd_event_add_signal(
                                w->event, &source, signals[i].number, signals[i].handler, w);

                if (r >= 0)
                        r = event_source_strict_floating(source);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- setting up ------------------------------------------------------------------------------- */

static int add_sources(Watch *w) {
        sd_event_source *source;
        int r;

        r = pidwatch_new(&w->pids);
        if (r == 0)
                r = sd_event_add_io(w->event, &source, pidwatch_fd(w->pids), EPOLLIN, on_pids, w);
        if (r >= 0)
                r = event_source_strict_floating(source);
        if (r >= 0)
                r = sd_event_add_time(w->event, &w->stat_timer, CLOCK_MONOTONIC, 0,
                                RESYNC_ACCURACY_USEC, on_stat_due, w);
        if (r >= 0)
                r = event_source_strict(w->stat_timer);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->stat_timer, SD_EVENT_OFF);
        if (r >= 0)
                r = dirwatch_new(&w->files);
        if (r >= 0)
                r = dirwatch_add(w->files, w->c->paths->roster, /* content= */ true);
        if (r >= 0)
                r = dirwatch_add(w->files, w->c->record->tmux_socket, /* content= */ false);
        if (r >= 0)
                r = dirwatch_renew(w->files);
        if (r >= 0)
                r = follow_files(w);
        if (r < 0 || w->c->record->supervisor != SUPERVISOR_SYSTEMD)
                return r;
        w->units_connected = true; /* so that only a failure is news */
        (void)watch_state_set(&w->state, CONDITION_MANAGER, false, "connecting", NULL,
                        clock_realtime_usec());
        return unit_signals_new(w->c->paths, w->event, on_units, w, &w->units);
}

static int set_up(Watch *w, const WatchOptions *options) {
        uint64_t now = clock_monotonic_usec();
        int r;

        r = sd_event_new(&w->event);
        if (r >= 0)
                r = watch_log_new(w->c, w->event, &w->log);
        if (r < 0)
                return r;
        w->state.started_usec = clock_realtime_usec();
        schedule_init(&w->schedule, options->resync_usec, now);
        r = add_signals(w);
        if (r >= 0)
                r = sd_event_add_time(
                                w->event, &w->pass_timer, CLOCK_MONOTONIC, now, 1, on_pass_due, w);
        if (r >= 0)
                r = event_source_strict(w->pass_timer);
        if (r >= 0)
                r = watch_child_new(w->c, w->event, on_event_line, on_pass_end, w, &w->child);
        if (r >= 0)
                r = add_sources(w);
        if (r >= 0)
                r = sd_event_set_watchdog(w->event, true);
        return r < 0 ? r : arm(w);
}

int watch_run(Context *c, const WatchOptions *options) {
        _cleanup_(watch_done) Watch w = { .c = c, .next_in_usec = UINT64_MAX };
        _cleanup_close_ int lock = -1;
        LockHolder holder;
        int r;

        r = lock_take_controller(c->paths, LOCK_WATCH, &lock, &holder);
        if (r == LOCK_BUSY)
                return run_refuse(c, "watch", EXIT_LOCKED,
                                "a controller of this fleet runs already, pid %d; see: mosaic "
                                "fleet status",
                                (int)holder.pid);
        if (r == -EPERM)
                return run_refuse_shared(c, "watch");
        if (r < 0)
                return r;
        r = run_claim_state(c, "watch");
        if (r != 0)
                return r;
        w.lock = lock;
        r = set_up(&w, options);
        if (r < 0)
                return r;
        watch_log(w.log, WATCH_STARTED, LOG_NOTICE, "watching %s, pid %d", c->paths->roster,
                        (int)getpid());
        (void)sd_notify(0, "READY=1\nSTATUS=Watching");
        r = sd_event_loop(w.event);
        watch_state_remove(c);
        if (r >= 0)
                watch_log(w.log, WATCH_STOPPED, LOG_NOTICE, "stopped; every agent stays as it is");
        return r;
}
