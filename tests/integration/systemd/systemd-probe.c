/* SPDX-License-Identifier: MIT */

/*
 * Drives the manager API from a command line and prints what it says, one fact a line: the subject
 * of test-manager.py, and the bench of the job API.
 *
 *     manager-probe observe [all]
 *     manager-probe jobs start|stop|restart WINDOW DEADLINE_MS UNIT...
 *     manager-probe reset-failed UNIT... | reload | version | path DIR | open
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/os/clock.h"
#include "drivers/systemd/dropin.h"
#include "drivers/systemd/install.h"
#include "drivers/systemd/manager.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

static int fail(const char *what, int error, const Manager *m) {
        printf("%s: error=%s said=%s\n", what, strerrorname_np(-error), m ? manager_error(m) : "");
        return 1;
}

static int run_observe(Manager *m, const Paths *p, bool all) {
        _cleanup_(observed_freep) Observed *o = NULL;

        if (observed_new(SUPERVISOR_SYSTEMD, &o) < 0 || manager_observe(m, p, all, o) < 0)
                return 1;
        observed_sort(o);
        printf("manager: state=%s why=%s\n", source_state_to_string(o->manager.state),
                        o->manager.why ? o->manager.why : "");
        fprintf(stderr, "took %" PRIu64 " us\n", o->manager.took_usec);
        printf("holder: state=%s since=%d\n", unit_state_to_string(o->holder),
                        o->holder_since_usec != 0);
        printf("controller: state=%s\n", unit_state_to_string(o->controller));
        for (size_t i = 0; i < o->n_units; i++) {
                const ObservedUnit *u = &o->units[i];

                printf("unit: agent=%s state=%s masked=%d job=%d details=%d pid=%d "
                       "restarts=%" PRIu64
                       " result=%s memory=%s changed=%d invocation=%s load=%s\n",
                                u->agent, unit_state_to_string(u->state), u->masked != NULL,
                                u->job_pending, u->details, (int)u->main_pid, u->restarts,
                                u->result ? u->result : "",
                                u->memory == UINT64_MAX ? "unknown" : "known", u->changed_usec != 0,
                                u->invocation ? u->invocation : "",
                                u->load_error ? u->load_error : "");
        }
        return 0;
}

static void print_job(UnitJob *job, void *userdata) {
        size_t *n = userdata;

        (*n)++;
        if (job->error != 0)
                printf("job: unit=%s result=%s error=%s message=%s\n", job->unit, job->result,
                                strerrorname_np(-job->error), job->message);
}

static int run_jobs(Manager *m, char **argv) {
        static const char *const kinds[] = { "start", "stop" };
        uint64_t milliseconds, start, end;
        size_t n, n_reported = 0, n_done = 0;
        UnitJobKind kind = JOB_START;
        UnitJob *jobs;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strcmp(argv[0], kinds[i]) == 0)
                        kind = (UnitJobKind)i;
        if (parse_uint64(argv[1], &milliseconds) < 0)
                return 64;
        argv += 2;
        n = strv_length(argv);
        jobs = calloc(n, sizeof(UnitJob));
        if (!jobs)
                return 1;
        for (size_t i = 0; i < n; i++) {
                jobs[i].unit = strdup(argv[i]);
                jobs[i].kind = kind;
        }
        start = clock_monotonic_usec();
        /* Two submits, as a caller that makes sessions in batches does. */
        r = manager_jobs_submit(m, jobs, n / 2);
        if (r >= 0)
                r = manager_jobs_submit(m, jobs + n / 2, n - n / 2);
        if (r < 0)
                return fail("submit", r, m);
        do
                r = manager_jobs_wait(
                                m, start + milliseconds * USEC_PER_MSEC, print_job, &n_reported);
        while (r > 0);
        end = clock_monotonic_usec();
        for (size_t i = 0; i < n; i++)
                n_done += jobs[i].finished && jobs[i].error == 0;
        printf("jobs: n=%zu reported=%zu done=%zu wait=%d alive=%d\n", n, n_reported, n_done, r,
                        manager_is_alive(m));
        fprintf(stderr, "took %" PRIu64 " us\n", end - start);
        for (size_t i = 0; i < n; i++)
                unit_job_done(&jobs[i]);
        free(jobs);
        return 0;
}

static void print_report(const InstallReport *report) {
        for (size_t i = 0; i < report->n_items; i++)
                printf("file: %s: %s%s%s\n", report->items[i].path,
                                install_status_to_string(report->items[i].status),
                                report->items[i].note ? ": " : "",
                                report->items[i].note ? report->items[i].note : "");
        for (char **s = report->active; s && *s; s++)
                printf("active: %s\n", *s);
        printf("report: units_changed=%d reloaded=%d note=%s\n", report->units_changed,
                        report->reloaded, report->reload_note ? report->reload_note : "");
}

static int run_install(const Paths *p, char **options) {
        _cleanup_(install_report_freep) InstallReport *report = NULL;
        _cleanup_free_ char *culprit = NULL;
        int r;

        r = units_install(p, "/tmp", strv_find(options, "dry") ? INSTALL_DRY_RUN : 0, &culprit,
                        &report);
        if (r < 0) {
                printf("culprit: %s\n", culprit ? culprit : "");
                return fail("install", r, NULL);
        }
        print_report(report);
        return 0;
}

static int run_uninstall(const Paths *p, char **options) {
        _cleanup_(install_report_freep) InstallReport *report = NULL;
        const UninstallOptions o = {
                .dry_run = strv_find(options, "dry") ? INSTALL_DRY_RUN : 0,
                .purge = strv_find(options, "purge") != NULL,
                .remove_state = strv_find(options, "state") != NULL,
        };
        int r;

        r = units_uninstall(p, &o, &report);
        if (r < 0)
                return fail("uninstall", r, NULL);
        print_report(report);
        printf("outcome: %d\n", r);
        return 0;
}

/* Drop-ins of agents with a delay of 200 ms, a window of a minute, and 143 as a success. */
static int run_dropins(const Paths *p, char **argv) {
        static char success[] = "143", *words[] = { success, NULL };
        _cleanup_free_ AgentSpec *specs = NULL;
        _cleanup_free_ AgentSpec **list = NULL;
        size_t n = strv_length(argv + 3);
        uint64_t attempts, tasks, start;
        RestartPolicy policy = RESTART_ALWAYS;
        int r;

        for (RestartPolicy i = 0; i < _RESTART_POLICY_MAX; i++)
                if (strcmp(argv[0], restart_policy_to_string(i)) == 0)
                        policy = i;
        if (parse_uint64(argv[1], &attempts) < 0 || parse_uint64(argv[2], &tasks) < 0)
                return 64;
        specs = calloc(n, sizeof(*specs));
        list = calloc(n, sizeof(*list));
        if (!specs || !list)
                return 1;
        for (size_t i = 0; i < n; i++) {
                specs[i] = (AgentSpec){
                        .name = argv[3 + i],
                        .restart_policy = policy,
                        .restart_delay_usec = 200 * USEC_PER_MSEC,
                        .restart_attempts = (unsigned)attempts,
                        .restart_window_usec = 60 * USEC_PER_SEC,
                        .stop_timeout_usec = 5 * USEC_PER_SEC,
                        .limit_tasks = (unsigned)tasks,
                        .success_exit_status = words,
                };
                list[i] = &specs[i];
        }
        start = clock_monotonic_usec();
        r = dropins_write(p, list, n);
        fprintf(stderr, "took %" PRIu64 " us\n", clock_monotonic_usec() - start);
        return r < 0 ? fail("dropins", r, NULL) : 0;
}

static void print_paths(const Paths *p) {
        printf("home: %s\nid: %s\nstate: %s\nruntime: %s\nunits: %s\nlibexec: %s\nprefix: %s\n"
               "socket: %s\nprogram: %s\n",
                        p->home, p->id_or_default, p->state, p->runtime, p->units, p->libexec,
                        p->unit_prefix, p->manager_socket ? p->manager_socket : "", p->program);
}

int main(int argc, char **argv) {
        _cleanup_(manager_freep) Manager *m = NULL;
        _cleanup_(paths_freep) Paths *p = NULL;
        _cleanup_free_ char *version = NULL;
        Source source = { 0 };
        bool contains;
        int r;

        if (argc < 2)
                return 64;
        r = paths_new(&p);
        if (r < 0)
                return fail("paths", r, NULL);
        if (strcmp(argv[1], "paths") == 0) {
                print_paths(p);
                return 0;
        }
        if (strcmp(argv[1], "install") == 0)
                return run_install(p, argv + 2);
        if (strcmp(argv[1], "uninstall") == 0)
                return run_uninstall(p, argv + 2);
        if (strcmp(argv[1], "dropins") == 0 && argc > 5)
                return run_dropins(p, argv + 2);

        r = manager_open(p, 3 * USEC_PER_SEC, &m);
        if (r < 0) {
                manager_open_error(r, &source);
                printf("source: state=%s why=%s\n", source_state_to_string(source.state),
                                source.why);
                free(source.why);
                return fail("open", r, NULL);
        }

        if (strcmp(argv[1], "observe") == 0)
                return run_observe(m, p, argc > 2);
        if (strcmp(argv[1], "observe-hung") == 0 && argc > 2) {
                uint64_t pid;

                if (parse_uint_range(argv[2], 2, INT32_MAX, &pid) < 0 ||
                                kill((pid_t)pid, SIGSTOP) < 0)
                        return 1;
                r = run_observe(m, p, true);
                return kill((pid_t)pid, SIGCONT) < 0 ? 1 : r;
        }
        if (strcmp(argv[1], "jobs") == 0 && argc > 4)
                return run_jobs(m, argv + 2);
        if (strcmp(argv[1], "reset-failed") == 0)
                r = manager_reset_failed(m, argv + 2);
        else if (strcmp(argv[1], "reload") == 0)
                r = manager_reload(m);
        else if (strcmp(argv[1], "version") == 0) {
                r = manager_version(m, &version);
                printf("version: %s\n", version ? version : "");
        } else if (strcmp(argv[1], "path") == 0 && argc > 2) {
                r = manager_unit_path_contains(m, argv[2], &contains);
                printf("contains: %d\n", r >= 0 && contains);
        }
        if (r < 0)
                return fail(argv[1], r, m);
        printf("ok\n");
        return 0;
}
