/* SPDX-License-Identifier: MIT */
#include "drivers/machine/machine.h"

#include <string.h>
#include <sys/stat.h>

#include "drivers/direct/direct.h"
#include "drivers/machine/lost-server.h"
#include "drivers/machine/screens.h"
#include "drivers/machine/terminal.h"
#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "drivers/store/store.h"
#include "drivers/systemd/dropin.h"
#include "drivers/systemd/install.h"
#include "drivers/systemd/manager.h"
#include "drivers/tmux/command.h"
#include "drivers/tmux/guarded.h"
#include "drivers/tmux/typing.h"
#include "drivers/tmux/server.h"
#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"

#define CALL_TIMEOUT_USEC (10 * USEC_PER_SEC)
/* While nothing waits for its answers yet. */
#define BEGIN_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define OTHER_START_USEC (2 * USEC_PER_SEC)
/* How often, and after what time, a manager that hung up is called again. */
#define MANAGER_TRIES 10
#define MANAGER_BACK_USEC (100 * USEC_PER_MSEC)
/* Longer than the longest stop timeout a roster may ask for, and its KILL. */
#define JOBS_TIMEOUT_USEC (400 * USEC_PER_SEC)

/* A driver's job while the manager runs it. */
typedef struct UnitWork {
        UnitJob job;
        DriverJob *driver_job;
} UnitWork;

struct MachineDriver {
        const Paths *paths;
        FleetRecord *record;
        TmuxServer *tmux;
        Manager *manager; /* NULL until needed, and again after it broke */
        DirectSupervisor *direct;
        UnitWork **work; /* submitted; each allocated: the manager keeps pointers */
        size_t n_work;
        uint64_t jobs_deadline_usec; /* of all of them; CLOCK_MONOTONIC */
        TmuxListing *begun;          /* by begin(), for the next observe() */
        bool server_hidden;          /* in the last look */
        DriverJobDone done;          /* during wait() */
        void *done_userdata;
};

static void work_free(UnitWork *w) {
        unit_job_done(&w->job);
        free(w);
}

MachineDriver *machine_driver_free(MachineDriver *m) {
        if (!m)
                return NULL;
        tmux_listing_free(m->begun);
        manager_free(m->manager);
        direct_free(m->direct);
        tmux_server_free(m->tmux);
        for (size_t i = 0; i < m->n_work; i++)
                work_free(m->work[i]);
        free(m->work);
        free(m);
        return NULL;
}

static bool is_systemd(const MachineDriver *m) {
        return m->record->supervisor == SUPERVISOR_SYSTEMD;
}

static int open_tmux(MachineDriver *m) {
        TmuxServer *s;
        int r;

        r = tmux_server_new(m->record->tmux_socket, m->paths->id_or_default, m->record->tmux_tmpdir,
                        &s);
        if (r < 0)
                return r;
        m->begun = tmux_listing_free(m->begun);
        tmux_server_free(m->tmux);
        m->tmux = s;
        return 0;
}

int machine_driver_new(const Paths *paths, FleetRecord *record, MachineDriver **ret) {
        _cleanup_(machine_driver_freep) MachineDriver *m = calloc(1, sizeof(MachineDriver));
        int r;

        if (!m)
                return -ENOMEM;
        m->paths = paths;
        m->record = record;
        r = open_tmux(m);
        if (r < 0)
                return r;
        r = direct_new(paths, &m->direct);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

/* Does it re-execute itself at this moment? It is back at once. @known: it was there just now. */
static bool comes_back(int error, bool known) {
        return error == -ECONNRESET || error == -ENOTCONN || error == -EPIPE ||
               (known && (error == -ENOENT || error == -ECONNREFUSED));
}

static int need_manager(MachineDriver *m) {
        unsigned tries = MANAGER_TRIES;
        bool known = m->manager;
        int r;

        /* While jobs are on their way the broken connection stays: it is what can say that they are
         * lost. */
        if (m->manager && (manager_is_alive(m->manager) || m->n_work > 0))
                return 0;
        m->manager = manager_free(m->manager);
        for (;;) {
                r = manager_open(m->paths, CALL_TIMEOUT_USEC, &m->manager);
                if (!comes_back(r, known) || --tries == 0)
                        return r;
                clock_pause(MANAGER_BACK_USEC);
        }
}

/* --- observe ---------------------------------------------------------------------------------- */

/* The manager's answers, as far as they come; that it is silent is for observe() to say. */
static int begin_manager(MachineDriver *m, char **ret_path) {
        int r;

        /* A connection from before may have broken since. */
        m->manager = manager_free(m->manager);
        r = manager_open(m->paths, BEGIN_TIMEOUT_USEC, &m->manager);
        if (r == 0)
                r = manager_search_path(m->manager, ret_path);
        if (r == 0)
                r = manager_observe_begin(m->manager, m->paths);
        if (r < 0)
                m->manager = manager_free(m->manager);
        else
                manager_set_timeout(m->manager, CALL_TIMEOUT_USEC);
        return r == -ENOMEM ? r : 0;
}

static int machine_begin(void *world, char **ret_path) {
        MachineDriver *m = world;
        int r;

        *ret_path = NULL;
        m->begun = tmux_listing_free(m->begun);
        r = tmux_listing_begin(m->tmux, &m->begun);
        if (r < 0)
                return r;
        /* Without a server there is nothing to wait for, and the roster may name another socket. */
        if (!tmux_listing_has_client(m->begun))
                m->begun = tmux_listing_free(m->begun);
        return is_systemd(m) ? begin_manager(m, ret_path) : 0;
}

static int try_manager(MachineDriver *m, bool details, Observed *o) {
        int r = need_manager(m);

        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                /* This fleet is systemd's: a manager that is not there is not an empty fleet. */
                manager_open_error(r, &o->manager);
                o->manager.state = SOURCE_UNKNOWN;
                return 0;
        }
        return manager_observe(m->manager, m->paths, details, o);
}

/* Again where it hung up in the middle. */
static int observe_manager(MachineDriver *m, bool details, Observed *o) {
        uint64_t before = clock_monotonic_usec();
        unsigned tries = MANAGER_TRIES;
        int r;

        do
                r = try_manager(m, details, o);
        while (r == 0 && m->manager && !manager_is_alive(m->manager) && --tries > 0);
        o->manager.took_usec = clock_monotonic_usec() - before;
        return r;
}

/* Is our drop-in what this spec asks for? */
static int observe_dropins(const MachineDriver *m, const Desired *desired, Observed *o) {
        for (size_t i = 0; i < o->n_file; i++) {
                ObservedFiles *f = o->file + i;
                const AgentSpec *s = desired_find(desired, f->agent);
                DropinState state = DROPIN_ABSENT;
                int r;

                r = s ? dropin_check(m->paths, s, &state) : 0;
                if (r == -ENOMEM)
                        return r;
                f->dropin = state != DROPIN_ABSENT;
                f->dropin_current = state == DROPIN_CURRENT;
                if (r < 0)
                        source_set(&o->files, SOURCE_UNKNOWN, "cannot read the drop-in of %s: %s",
                                        f->agent, strerror(-r));
        }
        return 0;
}

/* Under systemd the server is the main process of an active holder; asked only when its socket is
 * gone. */
static int holder_pid(const MachineDriver *m, const Observed *o, pid_t *ret) {
        _cleanup_free_ char *unit = NULL;
        int r;

        if (o->holder != UNIT_ACTIVE || !m->manager)
                return -ESRCH;
        r = paths_unit(m->paths, "tmux-holder", &unit);
        return r < 0 ? r : manager_main_pid(m->manager, unit, ret);
}

/* No socket, and its server may live: nothing is begun. */
static int hidden_is_unknown(const MachineDriver *m, Observed *o, int error) {
        if (error == -ENOMEM)
                return error;
        source_set(&o->tmux, SOURCE_UNKNOWN,
                        "there is no socket %s, and whether its server lives cannot be told: %s",
                        m->record->tmux_socket, strerror(-error));
        return 0;
}

/*
 * No socket, but its server lives: somebody unlinked it. A second server would be a second fleet;
 * SIGUSR1 makes the first one create it again. Where the supervisor does not know it, the runs
 * name the server whose terminal they took; each names its own.
 */
static int find_hidden_server(MachineDriver *m, Observed *o) {
        pid_t pid = 0;
        bool is_tmux = false;
        int r;

        m->server_hidden = false;
        if (o->tmux.state != SOURCE_ABSENT)
                return 0;
        r = is_systemd(m) ? holder_pid(m, o, &pid) : store_read_server(m->paths, &pid);
        if (r < 0 && r != -ESRCH)
                return hidden_is_unknown(m, o, r);
        r = pid > 0 ? lost_server_is(pid, /* younger= */ 0, &is_tmux) : 0;
        for (size_t i = 0; i < o->n_run && r == 0 && !is_tmux; i++) {
                pid = o->run[i].alive ? o->run[i].server_pid : 0;
                if (pid > 0)
                        r = lost_server_is(pid, o->run[i].pid, &is_tmux);
        }
        if (r < 0)
                return hidden_is_unknown(m, o, r);
        if (!is_tmux)
                return 0;
        m->server_hidden = true;
        o->hidden_server_pid = pid;
        source_set(&o->tmux, SOURCE_UNKNOWN, "the socket %s is gone, but its server lives (pid %d)",
                        m->record->tmux_socket, (int)pid);
        return 0;
}

/* While no server of ours runs the socket is the one that the roster names now; saved by accept()
 * only. */
static int follow_roster(MachineDriver *m, const Desired *desired) {
        int probe = tmux_server_probe(m->tmux), r;
        pid_t pid;

        if (desired->tmux_width == 0)
                return 0; /* who only asks whether anything runs has no roster */
        if (m->server_hidden || (probe != -ENOENT && probe != -ECONNREFUSED))
                return 0;
        r = is_systemd(m) ? -ESRCH : store_read_server(m->paths, &pid);
        if (r != -ESRCH)
                return r; /* it lives, behind a lost socket; or that is not known */
        r = fleet_record_accept(m->record, m->paths, desired);
        return r < 0 ? r : open_tmux(m);
}

/* The listing that begin() started, or a new one. */
static int take_listing(MachineDriver *m, const Desired *desired, TmuxListing **ret) {
        int r;

        if (m->begun) {
                *ret = TAKE_PTR(m->begun);
                return 0;
        }
        r = follow_roster(m, desired);
        return r < 0 ? r : tmux_listing_begin(m->tmux, ret);
}

/* What the processes of agents use: by itself all there is without accounting. One that ends
 * meanwhile used nothing. */
static void observe_usage(Observed *o) {
        for (size_t i = 0; i < o->n_run; i++)
                if (o->run[i].alive && proc_usage(o->run[i].pid, &o->run[i].cpu_usec,
                                                       &o->run[i].memory) < 0)
                        o->run[i].cpu_usec = o->run[i].memory = 0;
}

static int machine_observe(void *world, const Desired *desired, bool details, Observed **ret) {
        _cleanup_(tmux_listing_freep) TmuxListing *listing = NULL;
        _cleanup_(observed_freep) Observed *o = NULL;
        MachineDriver *m = world;
        int r;

        r = observed_new(m->record->supervisor, &o);
        if (r < 0)
                return r;
        /* tmux takes longest: everything else is read meanwhile. */
        r = take_listing(m, desired, &listing);
        if (r < 0)
                return r;
        o->now_usec = clock_realtime_usec();
        o->monotonic_usec = clock_monotonic_usec();
        r = store_observe(m->paths, o);
        if (r < 0)
                return r;
        if (is_systemd(m)) {
                r = observe_manager(m, details, o);
                if (r < 0)
                        return r;
                o->units_installed = units_are_installed(m->paths);
                r = observe_dropins(m, desired, o);
        } else
                r = store_observe_units(o);
        if (r < 0)
                return r;
        r = tmux_listing_end(listing, o);
        if (r == 0)
                r = find_hidden_server(m, o);
        if (r < 0)
                return r;
        if (o->tmux.state == SOURCE_PRESENT) {
                r = fleet_record_differs(m->record, m->paths, desired, &o->tmux_settings_wait);
                if (r < 0)
                        return r;
        }
        if (!is_systemd(m))
                o->holder = o->tmux.state == SOURCE_PRESENT ? UNIT_ACTIVE : UNIT_NOT_LOADED;
        if (details)
                observe_usage(o);
        observed_sort(o);
        if (!is_systemd(m)) {
                r = direct_observe(m->direct, o);
                if (r < 0)
                        return r;
                observed_sort(o);
        }
        *ret = TAKE_PTR(o);
        return 0;
}

/* --- screens ---------------------------------------------------------------------------------- */

static int machine_capture(
                void *world, const Observed *observed, char *const *agents, DriverScreen *screens) {
        MachineDriver *m = world;

        return screens_capture(m->tmux, observed, agents, screens);
}

static int machine_vouch(void *world, const Observed *observed, const char *agent, char **ret_why) {
        MachineDriver *m = world;

        return terminal_vouch(m->paths, observed, agent, ret_why);
}

static int machine_input(void *world,
                const Observed *observed,
                const DriverInput *input,
                DriverInputReply *ret) {
        MachineDriver *m = world;

        return terminal_input(m->tmux, observed, input, ret);
}

static int machine_forget_inputs(void *world, const char *agent) {
        MachineDriver *m = world;

        return typing_sweep(m->tmux, agent);
}

/* --- files ------------------------------------------------------------------------------------ */

static int machine_accept(void *world, const Desired *desired, AgentSpec *const *specs, size_t n) {
        MachineDriver *m = world;
        int probe = tmux_server_probe(m->tmux), r;
        /* Only what is certainly not there counts as not running. */
        bool server_runs = (probe != -ENOENT && probe != -ECONNREFUSED) || m->server_hidden;

        /* The socket of a running server does not move under it: a changed name waits for a
         * stop. */
        if (!server_runs) {
                r = fleet_record_accept(m->record, m->paths, desired);
                if (r < 0)
                        return r;
                r = open_tmux(m);
                if (r < 0)
                        return r;
        }
        r = fleet_record_write(m->paths, m->record);
        if (r < 0)
                return r;
        return store_write_specs(m->paths, specs, n);
}

static int machine_write_dropins(void *world, AgentSpec *const *specs, size_t n, bool reload) {
        MachineDriver *m = world;
        int r;

        /* Until the reload is done the next pass knows that one is due. */
        r = is_systemd(m) && reload ? store_expect_reload(m->paths) : 0;
        if (r < 0)
                return r;
        return is_systemd(m) ? dropins_write(m->paths, specs, n) : 0;
}

static int machine_reload(void *world) {
        MachineDriver *m = world;
        int r;

        if (!is_systemd(m))
                return 0;
        r = need_manager(m);
        if (r == 0)
                r = manager_reload(m->manager);
        if (r == 0)
                r = manager_apply_limits(m->manager);
        return r < 0 ? r : store_reloaded(m->paths);
}

static int machine_reset_failed(void *world, char *const *agents) {
        _cleanup_strv_ char **units = NULL;
        MachineDriver *m = world;
        int r;

        if (!is_systemd(m))
                return 0;
        for (; *agents; agents++) {
                char *unit;

                r = paths_agent_unit(m->paths, *agents, &unit);
                if (r < 0)
                        return r;
                r = strv_take(&units, unit);
                if (r < 0)
                        return r;
        }
        r = need_manager(m);
        return r < 0 ? r : manager_reset_failed(m->manager, units);
}

static int machine_remove_files(void *world, const char *agent) {
        MachineDriver *m = world;
        int r;

        if (is_systemd(m)) {
                r = dropin_remove(m->paths, agent);
                if (r < 0)
                        return r;
        }
        return store_remove_agent(m->paths, agent);
}

static int machine_announce_stops(void *world, const Observed *observed, char *const *agents) {
        MachineDriver *m = world;

        return store_announce_stops(m->paths, observed, agents);
}

/* --- holder ----------------------------------------------------------------------------------- */

/* One job of the manager, waited for. */
static int run_unit(MachineDriver *m, const char *which, UnitJobKind kind, char **ret_message) {
        _cleanup_(unit_job_done) UnitJob job = { .kind = kind };
        uint64_t deadline;
        int r;

        r = paths_unit(m->paths, which, &job.unit);
        if (r < 0)
                return r;
        r = need_manager(m);
        if (r < 0)
                return r;
        r = manager_jobs_submit(m->manager, &job, 1);
        if (r < 0)
                return r;
        deadline = clock_monotonic_usec() + JOBS_TIMEOUT_USEC;
        do
                r = manager_jobs_wait(m->manager, deadline, NULL, NULL);
        while (r > 0);
        if (r < 0)
                return r;
        if (job.error < 0)
                *ret_message = TAKE_PTR(job.message);
        return job.error;
}

/* Does our holder session live on the socket? */
static int has_our_holder(const MachineDriver *m, bool *ret) {
        _cleanup_(tmux_listing_freep) TmuxListing *listing = NULL;
        _cleanup_(observed_freep) Observed *o = NULL;
        int r;

        *ret = false;
        r = observed_new(m->record->supervisor, &o);
        if (r == 0)
                r = tmux_listing_begin(m->tmux, &listing);
        if (r == 0)
                r = tmux_listing_end(listing, o);
        if (r < 0)
                return r;
        for (size_t i = 0; i < o->n_sessions; i++)
                *ret = *ret || o->sessions[i].owner == SESSION_HOLDER;
        return 0;
}

/* The start failed because there is a server by now: perhaps that of a run of ours which was killed
 * in the middle of making it. Then it is, or becomes within a moment, the one that was wanted. */
static int wait_for_our_holder(const MachineDriver *m, bool *ret) {
        uint64_t deadline = clock_monotonic_usec() + OTHER_START_USEC;

        for (;;) {
                int r = has_our_holder(m, ret);

                if (r < 0 || *ret || clock_monotonic_usec() >= deadline)
                        return r;
                clock_pause(20 * USEC_PER_MSEC);
        }
}

static int machine_start_holder(void *world, char **ret_message) {
        MachineDriver *m = world;
        bool ours = false;
        pid_t pid;
        int r;

        if (is_systemd(m))
                return run_unit(m, "tmux-holder", JOB_START, ret_message);
        r = direct_start_server(m->direct, m->tmux, ret_message);
        if (r == -EIO) {
                int q = wait_for_our_holder(m, &ours);

                if (q < 0)
                        return q;
                if (ours) {
                        free(*ret_message);
                        *ret_message = NULL;
                        r = 0;
                }
        }
        if (r == 0)
                r = tmux_server_pid(m->tmux, &pid);
        return r < 0 ? r : store_write_server(m->paths, pid);
}

/* tmux leaves its socket behind; one that nobody listens on is rubbish. */
static int remove_socket(const MachineDriver *m) {
        if (tmux_server_probe(m->tmux) != -ECONNREFUSED)
                return 0;
        return unlink(m->record->tmux_socket) < 0 && errno != ENOENT ? -errno : 0;
}

static int machine_start_controller(void *world, char **ret_message) {
        MachineDriver *m = world;

        return is_systemd(m) ? run_unit(m, "fleet", JOB_START, ret_message) : 0;
}

static int machine_stop_controller(void *world, char **ret_message) {
        MachineDriver *m = world;

        return is_systemd(m) ? run_unit(m, "fleet", JOB_STOP, ret_message) : 0;
}

static int machine_stop_holder(void *world, char **ret_message) {
        MachineDriver *m = world;
        int r;

        r = is_systemd(m) ? run_unit(m, "tmux-holder", JOB_STOP, ret_message)
                          : direct_stop_server(m->direct, m->tmux, ret_message);
        return r < 0 ? r : remove_socket(m);
}

static int machine_repair_holder(void *world, const Observed *observed, char **ret_message) {
        MachineDriver *m = world;

        return lost_server_repair(m->tmux, observed->hidden_server_pid, ret_message);
}

/* --- sessions --------------------------------------------------------------------------------- */

static int add_session_command(const MachineDriver *m, const DriverJob *job, StrBuf *b) {
        _cleanup_free_ char *keeper = NULL;
        int r;

        switch (job->kind) {
        case DRIVER_SESSION:
                r = path_join(m->paths->libexec, "mosaic-keeper", &keeper);
                if (r < 0)
                        return r;
                return tmux_command_new_session(b, m->paths->id_or_default, job->agent,
                                m->record->width, m->record->height, keeper);
        case DRIVER_RENAME:
                return tmux_guarded_rename(b, m->paths->id_or_default, job->agent, job->session_id);
        case DRIVER_KILL_SESSION:
                return tmux_guarded_kill(b, m->paths->id_or_default, job->agent, job->session_id);
        case DRIVER_START:
        case DRIVER_STOP:
                break;
        }
        return -EINVAL;
}

/* Keepers refuse a directory that others could write to, and nobody would hear them say so. */
static int check_keep_directory(const MachineDriver *m, char **ret_message) {
        _cleanup_free_ char *dir = NULL;
        struct stat st;
        int r;

        r = path_join(m->paths->runtime, "keep", &dir);
        if (r < 0)
                return r;
        if (stat(dir, &st) < 0)
                return errno == ENOENT ? dir_make(dir) : -errno;
        if (S_ISDIR(st.st_mode) && st.st_uid == getuid() && (st.st_mode & 077) == 0)
                return 0;
        (void)!format_text(ret_message, "%s must be a directory of yours with mode 0700", dir);
        return -EPERM;
}

static void fail_jobs(DriverJob *jobs, size_t n, int error, const char *message) {
        for (size_t i = 0; i < n; i++) {
                jobs[i].finished = true;
                jobs[i].error = error;
                jobs[i].message = message ? strdup(message) : NULL;
        }
}

/*
 * One client for all. tmux runs a list to its end whatever fails in it, so the words of an error do
 * not tell whose it was: what became of each is seen when one looks again. A start makes up for a
 * missing session by itself, so a failure here is not the agent's.
 */
static int machine_sessions(void *world, DriverJob *jobs, size_t n) {
        _cleanup_strbuf_ StrBuf commands = STRBUF_NULL;
        _cleanup_free_ char *text = NULL, *errors = NULL, *message = NULL;
        uint64_t before = clock_monotonic_usec();
        MachineDriver *m = world;
        int r;

        r = check_keep_directory(m, &message);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                fail_jobs(jobs, n, r, message);
                return 0;
        }
        for (size_t i = 0; i < n; i++) {
                r = add_session_command(m, jobs + i, &commands);
                if (r < 0)
                        return r;
        }
        r = strbuf_finish(&commands, &text);
        if (r < 0)
                return r;
        r = tmux_server_run(m->tmux, text, NULL, &errors);
        if (r == -ENOENT) {
                fail_jobs(jobs, n, r, "there is no tmux in PATH");
                return 0;
        }
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                jobs[i].finished = true;
                jobs[i].took_usec = (clock_monotonic_usec() - before) / n;
        }
        return 0;
}

/* --- jobs ------------------------------------------------------------------------------------- */

static UnitJobKind unit_job_kind(DriverJobKind kind) {
        return kind == DRIVER_STOP ? JOB_STOP : JOB_START;
}

static int submit_unit(MachineDriver *m, DriverJob *job) {
        UnitWork **slot, *w = calloc(1, sizeof(UnitWork));
        int r;

        if (!w)
                return -ENOMEM;
        w->driver_job = job;
        w->job.kind = unit_job_kind(job->kind);
        r = paths_agent_unit(m->paths, job->agent, &w->job.unit);
        if (r == 0)
                r = need_manager(m);
        slot = r == 0 ? array_grow(&m->work, m->n_work, sizeof(UnitWork *)) : NULL;
        if (!slot) {
                work_free(w);
                return r < 0 ? r : -ENOMEM;
        }
        *slot = w;
        m->n_work++;
        return manager_jobs_submit(m->manager, &w->job, 1);
}

static int machine_submit(void *world, DriverJob *jobs, size_t n) {
        MachineDriver *m = world;

        m->jobs_deadline_usec = clock_monotonic_usec() + JOBS_TIMEOUT_USEC;
        for (size_t i = 0; i < n; i++) {
                int r = is_systemd(m) ? submit_unit(m, jobs + i)
                                      : direct_submit(m->direct, jobs + i);

                if (r < 0)
                        return r;
        }
        if (is_systemd(m))
                manager_jobs_pump(m->manager);
        return 0;
}

/* Of a start that failed the manager knows no more than that. The launcher writes to the terminal,
 * systemd to the journal. */
static char *job_message(UnitJob *job, const char *agent) {
        char *text;

        if (job->kind == JOB_START && job->result && strcmp(job->result, "failed") == 0 &&
                        format_text(&text,
                                        "it did not start: 'mosaic agent tail %s' or 'mosaic agent "
                                        "logs %s' says why",
                                        agent, agent) == 0)
                return text;
        return TAKE_PTR(job->message);
}

static void on_unit_job(UnitJob *job, void *userdata) {
        MachineDriver *m = userdata;
        UnitWork *w = (UnitWork *)job; /* its first member */
        DriverJob *d = w->driver_job;

        d->finished = true;
        d->error = job->error;
        d->message = job_message(job, d->agent);
        d->took_usec = job->took_usec;
        if (m->done)
                m->done(d, m->done_userdata);
}

static int machine_wait(void *world, DriverJobDone done, void *userdata) {
        MachineDriver *m = world;
        int r;

        if (!is_systemd(m))
                return direct_wait(m->direct, m->tmux, m->jobs_deadline_usec, done, userdata);
        if (m->n_work == 0)
                return 0;
        m->done = done;
        m->done_userdata = userdata;
        r = manager_jobs_wait(m->manager, m->jobs_deadline_usec, on_unit_job, m);
        if (r > 0)
                return 0;
        for (size_t i = 0; i < m->n_work; i++)
                work_free(m->work[i]);
        free(m->work);
        m->work = NULL;
        m->n_work = 0;
        return r;
}

Driver machine_driver_interface(MachineDriver *m) {
        return (Driver){
                .world = m,
                .begin = machine_begin,
                .observe = machine_observe,
                .capture = machine_capture,
                .vouch = machine_vouch,
                .input = machine_input,
                .forget_inputs = machine_forget_inputs,
                .accept = machine_accept,
                .write_dropins = machine_write_dropins,
                .reload = machine_reload,
                .reset_failed = machine_reset_failed,
                .remove_files = machine_remove_files,
                .announce_stops = machine_announce_stops,
                .start_holder = machine_start_holder,
                .stop_holder = machine_stop_holder,
                .start_controller = machine_start_controller,
                .stop_controller = machine_stop_controller,
                .repair_holder = machine_repair_holder,
                .sessions = machine_sessions,
                .submit = machine_submit,
                .wait = machine_wait,
        };
}
