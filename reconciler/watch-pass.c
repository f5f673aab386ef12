/* SPDX-License-Identifier: MIT */
#include "reconciler/watch-pass.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/lock.h"
#include "drivers/store/history.h"
#include "drivers/store/pacing-record.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/json.h"
#include "reconciler/output.h"
#include "reconciler/step.h"
#include "reconciler/watch-roster.h"

/* When to look again by ourselves: for what no event tells. */
#define LOOK_LOCK_USEC (250 * USEC_PER_MSEC)   /* another writer works */
#define LOOK_WRITER_USEC (500 * USEC_PER_MSEC) /* the roster is being written */
/* A disk or a table of files that is full tells nobody when it is no more. */
#define LOOK_UNREADABLE_USEC (15 * USEC_PER_SEC)

#define CRASH_LINES 5

static volatile sig_atomic_t signal_came;

static void on_signal(int number) {
        signal_came = number;
}

static bool was_interrupted(void *userdata _unused_) {
        return signal_came != 0;
}

typedef struct WatchPass {
        Context *c;
        const WatchOrder *order;
        int out;
        uint64_t begun_usec;
        Pass pass;
        RosterView roster;
        uint64_t next_usec; /* look again after so long; USEC_INFINITY: no wish */
} WatchPass;

/* --- events ----------------------------------------------------------------------------------- */

static void open_event(JsonBuilder *b, const char *event) {
        json_open_object(b, NULL);
        json_put_string(b, "format", "mosaic.fleet.watch");
        json_put_string(b, "version", "1.0");
        json_put_string(b, "event", event);
        json_put_uint(b, "at_usec", clock_realtime_usec());
}

static int close_event(WatchPass *w, JsonBuilder *b) {
        _cleanup_free_ char *text = NULL, *line = NULL;
        int r;

        json_close(b);
        r = json_finish_text(b, JSON_PLAIN, &text);
        if (r == 0)
                r = format_text(&line, "%s\n", text);
        return r < 0 ? r : file_write_fd(w->out, line, strlen(line));
}

static int tell_sentence(WatchPass *w, const char *event, const char *format, ...) _printf_(3, 4);

/* "source": where things come from is not as it should be. "failed": why there is no "pass". */
static int tell_sentence(WatchPass *w, const char *event, const char *format, ...) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        open_event(&b, event);
        json_put_string(&b, "message", text);
        return close_event(w, &b);
}

/* Nobody to tell is no reason to stop: what is done is told again by the next look. */
static void on_action(const Plan *plan, const Report *report, size_t i, void *userdata) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        const ActionResult *result = report->results + i;
        const Action *a = plan->actions + i;
        WatchPass *w = userdata;

        open_event(&b, "action");
        json_put_string(&b, "agent", a->agent);
        json_put_string(&b, "verb", action_kind_to_string(a->kind));
        json_put_string(&b, "reason", reason_to_string(a->reason));
        json_put_string(&b, "message", a->text);
        json_put_string(&b, "outcome", outcome_to_string(result->outcome));
        json_put_string(&b, "error", result->text);
        json_put_uint(&b, "took_ms", result->took_usec / USEC_PER_MSEC);
        (void)close_event(w, &b);
}

static void put_roster(JsonBuilder *b, const RosterView *v) {
        json_open_object(b, "roster");
        json_put_string(b, "state", roster_state_to_string(v->state));
        json_put_uint(b, "generation", v->generation);
        json_put_bool(b, "is_new", v->is_new);
        json_put_string(b, "sha256", *v->file_sha256 ? v->file_sha256 : NULL);
        json_put_string(b, "message", v->message);
        json_close(b);
}

static int tell_pass(WatchPass *w, ExitCode code, const char *message) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        const Pass *p = &w->pass;
        const Plan *last = p->rest ? p->rest : p->plan;

        open_event(&b, "pass");
        json_put_string(&b, "cause", cause_to_string(w->order->cause));
        put_roster(&b, &w->roster);
        json_put_uint(&b, "took_ms", (clock_monotonic_usec() - w->begun_usec) / USEC_PER_MSEC);
        json_put_string(&b, "message", message);
        json_put_uint(&b, "agents", last ? last->n_agents : 0);
        json_put_uint(&b, "unchanged", last ? last->n_unchanged : 0);
        json_put_uint(&b, "actions", p->plan ? p->plan->n_actions : 0);
        json_put_uint(&b, "held", last ? plan_count_remarks(last, REMARK_HELD) : 0);
        json_put_uint(&b, "done", p->report ? report_count(p->report, OUTCOME_DONE) : 0);
        if (last)
                output_put_remarks(&b, last);
        else {
                json_open_array(&b, "remarks");
                json_close(&b);
        }
        json_put_string(&b, "probe",
                        p->observed && p->observed->pacing.brake_usec != 0
                                        ? p->observed->pacing.probe
                                        : NULL);
        if (w->next_usec == USEC_INFINITY)
                json_put_null(&b, "next_ms");
        else
                json_put_uint(&b, "next_ms", w->next_usec / USEC_PER_MSEC);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", (uint64_t)code);
        json_close(&b);
        return close_event(w, &b);
}

/* One of ours, or one that has the name of an agent and is in its way. */
static bool matters(const WatchPass *w, const ObservedSession *s) {
        return s->owner != SESSION_FOREIGN || desired_find(w->pass.desired, s->name);
}

/* Whose end is worth a look: the server, the keepers, and where no manager tells the agents. */
static int tell_pids(WatchPass *w) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        const Observed *o = w->pass.observed;

        open_event(&b, "pids");
        json_open_array(&b, "pids");
        if (o->server_pid > 0)
                json_put_uint(&b, NULL, (uint64_t)o->server_pid);
        for (size_t i = 0; i < o->n_sessions; i++)
                if (matters(w, o->sessions + i) && o->sessions[i].pane_pid > 0)
                        json_put_uint(&b, NULL, (uint64_t)o->sessions[i].pane_pid);
        /* Of units the user manager tells. */
        for (size_t i = 0; i < o->n_units && o->supervisor == SUPERVISOR_DIRECT; i++)
                if (o->units[i].main_pid > 0)
                        json_put_uint(&b, NULL, (uint64_t)o->units[i].main_pid);
        json_close(&b);
        return close_event(w, &b);
}

/* --- crash loops ------------------------------------------------------------------------------ */

/* The last lines of a screen that have something on them, as an array. */
static void put_last_lines(JsonBuilder *b, char *text) {
        const char *lines[CRASH_LINES];
        size_t n = 0;

        for (char *line = text, *next; *line; line = next) {
                next = line + strcspn(line, "\n");
                if (*next)
                        *next++ = '\0';
                if (line[strspn(line, " \t")] == '\0')
                        continue;
                for (char *end = line + strlen(line); end[-1] == ' '; end--)
                        end[-1] = '\0';
                if (n == CRASH_LINES)
                        memmove(lines, lines + 1, --n * sizeof(*lines));
                lines[n++] = line;
        }
        json_open_array(b, "lines");
        for (size_t i = 0; i < n; i++)
                json_put_string(b, NULL, lines[i]);
        json_close(b);
}

/* An agent that has just ended too often: how, and what its pane shows. */
static int tell_crash(WatchPass *w, const PaceEntry *e) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        const Observed *o = w->pass.observed;
        const ObservedStop *stop = observed_stop(o, e->agent);
        char *names[] = { (char *)(uintptr_t)e->agent, NULL };
        DriverScreen screen = { 0 };
        int r;

        r = o->tmux.state == SOURCE_PRESENT
                            ? w->c->driver.capture(w->c->driver.world, o, names, &screen)
                            : 0;
        if (r == -ENOMEM)
                return r;
        open_event(&b, "crash");
        json_put_string(&b, "agent", e->agent);
        json_put_string(&b, "code", stop ? stop->code : NULL);
        json_put_string(&b, "status", stop ? stop->status : NULL);
        json_put_uint(&b, "starts", e->n_starts);
        json_put_uint(&b, "next_ms",
                        e->due_usec > o->monotonic_usec
                                        ? (e->due_usec - o->monotonic_usec) / USEC_PER_MSEC
                                        : 0);
        put_last_lines(&b, screen.screen.text ? screen.screen.text : (char[]){ "" });
        screen_done(&screen.screen);
        return close_event(w, &b);
}

static int tell_crashes(WatchPass *w) {
        const Observed *o = w->pass.observed;

        for (size_t i = 0; i < o->pacing.n_items; i++) {
                const PaceEntry *e = o->pacing.items + i;
                int r = e->crash_loop && e->down_usec == o->monotonic_usec ? tell_crash(w, e) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- the pass --------------------------------------------------------------------------------- */

static void wish(WatchPass *w, uint64_t usec) {
        if (usec < w->next_usec)
                w->next_usec = usec;
}

static int looked(const Pass *p _unused_, void *userdata) {
        return tell_crashes(userdata);
}

/* Without its ledger an agent that keeps ending would be started again and again, or never. */
static int keep(const Pacing *ledger, void *userdata) {
        _cleanup_free_ char *aside = NULL;
        WatchPass *w = userdata;
        const char *state = w->c->paths->state;
        int r;

        r = pacing_record_write(w->c->paths, ledger, &aside);
        if (aside)
                (void)tell_sentence(w, "source",
                                "%s/%s was no record of who keeps ending: it is kept as %s, and a "
                                "new one is begun",
                                state, PACING_RECORD_FILE, aside);
        if (r < 0)
                (void)tell_sentence(w, "failed",
                                "cannot write %s/%s: %s; make room, or the directory yours again",
                                state, PACING_RECORD_FILE, strerror(-r));
        return r;
}

/* What is only put off, pass after pass, is no history. */
static bool was_busy(const Report *r) {
        return r && report_count(r, OUTCOME_DONE) + report_count(r, OUTCOME_FAILED) > 0;
}

static int look_and_act(WatchPass *w) {
        StepCallbacks callbacks = {
                .looked = looked,
                .keep = keep,
                .apply = { .done = on_action, .interrupted = was_interrupted, .userdata = w },
                .userdata = w,
        };
        /* A save that no event told of is known only now; a verb may have accepted it meanwhile, or
         * a pass that did not come to its end. */
        uint64_t wait_usec = w->roster.generation != w->order->generation
                                             ? SCHEDULE_STABLE_USEC
                                             : w->order->removals_wait_usec;
        Pass *p = &w->pass;
        int r, code;

        r = context_open_driver(w->c);
        if (r < 0)
                return r;
        code = step_run(w->c, wait_usec, &callbacks, p);
        if (code < 0)
                return code;
        r = was_busy(p->report) ? history_append(w->c->paths, "watch", p->plan, p->report) : 0;
        if (r == -ENOMEM)
                return r;
        wish(w, step_next(p, wait_usec, clock_monotonic_usec()));
        r = tell_pids(w);
        if (r == 0)
                r = tell_pass(w, (ExitCode)code, NULL);
        return r < 0 ? r : code;
}

static int under_lock(WatchPass *w) {
        int r;

        r = watch_roster_load(w->c, w->order->open_sha256, &w->pass, &w->roster);
        if (w->roster.state == ROSTER_STATE_UNSETTLED)
                wish(w, LOOK_WRITER_USEC);
        else if (w->roster.state == ROSTER_STATE_UNREADABLE)
                wish(w, LOOK_UNREADABLE_USEC);
        if (r == EXIT_INVALID || r == EXIT_BLOCKED) {
                int q = tell_pass(w, (ExitCode)r, w->roster.message);

                return q < 0 ? q : r;
        }
        if (r < 0)
                (void)tell_sentence(w, "failed", "cannot accept the roster into %s/roster.json: %s",
                                w->c->paths->state, strerror(-r));
        return r < 0 ? r : look_and_act(w);
}

/* The record may have been changed by a verb since the controller started. */
static int read_record(Context *c) {
        FleetRecord *record;
        int r;

        r = fleet_record_read(c->paths, &record);
        if (r == -ENOENT)
                return 0; /* none yet: the one that was made up */
        if (r < 0)
                return r;
        fleet_record_free(c->record);
        c->record = record;
        return 0;
}

static int take_lock(WatchPass *w, int *ret_fd) {
        _cleanup_free_ char *message = NULL;
        LockHolder holder;
        int r;

        r = lock_take(w->c->paths, "watch", 0, ret_fd, &holder);
        if (r != LOCK_BUSY)
                return r;
        if (format_text(&message, "'%s', pid %d, works on this fleet",
                            *holder.verb ? holder.verb : "another writer", (int)holder.pid) < 0)
                return -ENOMEM;
        wish(w, LOOK_LOCK_USEC);
        r = tell_pass(w, EXIT_LOCKED, message);
        return r < 0 ? r : EXIT_LOCKED;
}

int watch_pass_run(Context *c, const WatchOrder *order, int out) {
        struct sigaction action = { .sa_handler = on_signal };
        WatchPass w = {
                .c = c,
                .order = order,
                .out = out,
                .begun_usec = clock_monotonic_usec(),
                .pass = PASS_NULL,
                .next_usec = USEC_INFINITY,
        };
        _cleanup_close_ int lock = -1;
        int r;

        (void)sigaction(SIGTERM, &action, NULL);
        r = take_lock(&w, &lock);
        if (r == 0)
                r = read_record(c);
        if (r == 0)
                r = under_lock(&w);
        pass_done(&w.pass);
        roster_view_done(&w.roster);
        return r;
}
