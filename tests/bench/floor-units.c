/* SPDX-License-Identifier: MIT */

/*
 * The floors that the benchmarks are measured against, without anything of the product in them: N
 * plain units started or stopped over the user manager's private socket with all calls pipelined,
 * one listing of units, and a bare loop that runs a command and takes the time.
 *
 *   floor-units start|stop TEMPLATE N   TEMPLATE "x@" means x@0.service ... ; until the last job is
 * done floor-units list PATTERN            one ListUnitsByPatterns, every reply read floor-units
 * time COUNT CMD ARG...   runs CMD COUNT times; per run: wall and CPU in microseconds
 *
 * start and stop print the wall time in microseconds.
 */

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_USEC (120ULL * 1000 * 1000)

static uint64_t now_usec(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The manager's own socket: no bus daemon, no Hello. */
static int connect_manager(sd_bus **ret) {
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        char address[4096];
        sd_bus *bus = NULL;
        int r;

        if (!runtime)
                return -ENXIO;
        (void)snprintf(address, sizeof(address), "unix:path=%s/systemd/private", runtime);
        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0) {
                sd_bus_unref(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

typedef struct Jobs {
        unsigned long open;   /* calls without a reply, and jobs that have not ended */
        unsigned long failed; /* calls and jobs */
} Jobs;

static int on_reply(sd_bus_message *m, void *data, sd_bus_error *error) {
        Jobs *jobs = data;

        (void)error;
        if (sd_bus_message_is_method_error(m, NULL)) {
                fprintf(stderr, "floor-units: %s\n", sd_bus_message_get_error(m)->message);
                jobs->failed++;
                jobs->open--;
        }
        return 0;
}

static int on_removed(sd_bus_message *m, void *data, sd_bus_error *error) {
        const char *path, *unit, *result;
        Jobs *jobs = data;
        uint32_t id;

        (void)error;
        if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
                return 0;
        if (strncmp(unit, "floor-", 6) != 0)
                return 0;
        if (strcmp(result, "done") != 0)
                jobs->failed++;
        jobs->open--;
        return 0;
}

static int run_jobs(const char *method, const char *template, unsigned long n) {
        sd_bus *bus = NULL;
        Jobs jobs = { .open = n };
        uint64_t began, deadline;
        int r;

        r = connect_manager(&bus);
        if (r < 0)
                return r;
        began = now_usec();
        deadline = began + DEADLINE_USEC;
        r = sd_bus_match_signal_async(bus, NULL, NULL, "/org/freedesktop/systemd1",
                        "org.freedesktop.systemd1.Manager", "JobRemoved", on_removed, NULL, &jobs);
        if (r >= 0)
                r = sd_bus_call_method_async(bus, NULL, NULL, "/org/freedesktop/systemd1",
                                "org.freedesktop.systemd1.Manager", "Subscribe", NULL, NULL, NULL);
        for (unsigned long i = 0; i < n && r >= 0; i++) {
                char unit[256];

                (void)snprintf(unit, sizeof(unit), "%s%lu.service", template, i);
                r = sd_bus_call_method_async(bus, NULL, NULL, "/org/freedesktop/systemd1",
                                "org.freedesktop.systemd1.Manager", method, on_reply, &jobs, "ss",
                                unit, "replace");
        }
        while (jobs.open > 0 && r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, 1000000);
                if (now_usec() > deadline)
                        r = -ETIMEDOUT;
        }
        if (r >= 0)
                printf("%llu\n", (unsigned long long)(now_usec() - began));
        sd_bus_unref(bus);
        if (r >= 0 && jobs.failed > 0) {
                fprintf(stderr, "floor-units: %lu of %lu failed\n", jobs.failed, n);
                return -EIO;
        }
        return r < 0 ? r : 0;
}

static int list(const char *pattern) {
        sd_bus_message *reply = NULL;
        sd_bus *bus = NULL;
        unsigned long n = 0;
        const char *s[7];
        uint32_t job;
        int r;

        r = connect_manager(&bus);
        if (r < 0)
                return r;
        r = sd_bus_call_method(bus, NULL, "/org/freedesktop/systemd1",
                        "org.freedesktop.systemd1.Manager", "ListUnitsByPatterns", NULL, &reply,
                        "asas", 0, 1, pattern);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "(ssssssouso)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssouso)", &s[0], &s[1], &s[2], &s[3],
                                          &s[4], &s[5], &s[6], &job, &s[0], &s[1])) > 0)
                n++;
        if (r >= 0)
                printf("%lu\n", n);
        sd_bus_message_unref(reply);
        sd_bus_unref(bus);
        return r < 0 ? r : 0;
}

static uint64_t children_usec(void) {
        struct rusage u;

        (void)getrusage(RUSAGE_CHILDREN, &u);
        return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
               (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* posix_spawn of a small program: what is measured is the command, not a big caller's fork. */
static int take_time(unsigned long count, char **argv) {
        posix_spawn_file_actions_t files;
        int r;

        r = -posix_spawn_file_actions_init(&files);
        if (r < 0)
                return r;
        r = -posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
        for (unsigned long i = 0; i < count && r == 0; i++) {
                uint64_t wall = now_usec(), cpu = children_usec();
                int status = 0;
                pid_t pid;

                r = -posix_spawnp(&pid, argv[0], &files, NULL, argv, environ);
                if (r < 0)
                        break;
                if (waitpid(pid, &status, 0) < 0)
                        r = -errno;
                printf("%llu %llu %d\n", (unsigned long long)(now_usec() - wall),
                                (unsigned long long)(children_usec() - cpu),
                                WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        posix_spawn_file_actions_destroy(&files);
        return r;
}

static unsigned long number(const char *s) {
        char *end;
        unsigned long v;

        errno = 0;
        v = strtoul(s, &end, 10);
        return errno || *end || end == s ? 0 : v;
}

int main(int argc, char **argv) {
        int r = -EINVAL;

        if (argc == 4 && strcmp(argv[1], "start") == 0 && number(argv[3]) > 0)
                r = run_jobs("StartUnit", argv[2], number(argv[3]));
        else if (argc == 4 && strcmp(argv[1], "stop") == 0 && number(argv[3]) > 0)
                r = run_jobs("StopUnit", argv[2], number(argv[3]));
        else if (argc == 3 && strcmp(argv[1], "list") == 0)
                r = list(argv[2]);
        else if (argc >= 4 && strcmp(argv[1], "time") == 0 && number(argv[2]) > 0)
                r = take_time(number(argv[2]), argv + 3);
        if (r < 0) {
                fprintf(stderr, "floor-units: %s\n", strerror(-r));
                return 1;
        }
        return 0;
}
