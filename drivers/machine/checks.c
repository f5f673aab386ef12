/* SPDX-License-Identifier: MIT */
#include "drivers/machine/checks.h"

#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/machine/checks-host.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "drivers/systemd/install.h"
#include "drivers/tmux/server.h"
#include "model/base/format.h"

#define CGROUP_MAX 65536

static int check_units(const CheckSubject *s, Checks *c) {
        _cleanup_(install_report_freep) InstallReport *report = NULL;
        size_t n_changed = 0, n_modified;
        int r;

        r = units_install(s->paths, s->record->tmux_tmpdir, INSTALL_DRY_RUN, NULL, &report);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return checks_add(c, CHECK_UNITS, CHECK_UNKNOWN,
                                "the installed files could not be compared: %s", strerror(-r));
        n_changed = report->counts[INSTALL_NEW] + report->counts[INSTALL_UPDATED];
        n_modified = report->counts[INSTALL_MODIFIED];
        if (!s->desired && !units_are_installed(s->paths))
                return checks_add_help(c, CHECK_UNITS, CHECK_NOTE, "mosaic fleet install-systemd",
                                "nothing is installed in %s yet", s->paths->home);
        if (n_changed > 0)
                return checks_add_help(c, CHECK_UNITS, CHECK_FAILED,
                                units_are_installed(s->paths) ? "mosaic update"
                                                              : "mosaic fleet install-systemd",
                                "%zu installed file%s missing or of another version", n_changed,
                                n_changed == 1 ? " is" : "s are");
        if (n_modified > 0)
                return checks_add_help(c, CHECK_UNITS, CHECK_NOTE, NULL,
                                "%zu installed file%s changed by you, and kept", n_modified,
                                n_modified == 1 ? " was" : "s were");
        return checks_add(c, CHECK_UNITS, CHECK_OK, "all installed files are of this version");
}

/* The server must live in the holder's cgroup, so that no agent's stop can take it down. */
static int check_holder(const CheckSubject *s, Checks *c) {
        _cleanup_free_ char *cgroup = NULL, *unit = NULL;
        const Observed *o = s->observed;
        const char *last;
        int r;

        if (o->tmux.state != SOURCE_PRESENT || o->server_pid <= 0)
                return checks_add_help(c, CHECK_HOLDER,
                                o->tmux.state == SOURCE_UNKNOWN ? CHECK_UNKNOWN : CHECK_NOTE, NULL,
                                "no tmux server was seen");
        r = paths_unit(s->paths, "tmux-holder", &unit);
        if (r < 0)
                return r;
        r = proc_cgroup(o->server_pid, &cgroup);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return checks_add_help(c, CHECK_HOLDER, CHECK_UNKNOWN, NULL,
                                "the cgroup of pid %d: %s", (int)o->server_pid, strerror(-r));
        last = strrchr(cgroup, '/');
        if (!last || strcmp(last + 1, unit) != 0)
                return checks_add(c, CHECK_HOLDER, CHECK_FAILED,
                                "the tmux server (pid %d) is in %s, not in %s", (int)o->server_pid,
                                cgroup, unit);
        return checks_add(c, CHECK_HOLDER, CHECK_OK, "the tmux server (pid %d) is in %s",
                        (int)o->server_pid, unit);
}

static int check_linger(const CheckSubject *s _unused_, Checks *c) {
        const struct passwd *pw = getpwuid(getuid());
        _cleanup_free_ char *path = NULL;

        if (!pw)
                return checks_add(c, CHECK_LINGER, CHECK_UNKNOWN, "this user has no name");
        if (format_text(&path, "/var/lib/systemd/linger/%s", pw->pw_name) < 0)
                return -ENOMEM;
        if (access(path, F_OK) == 0)
                return checks_add(c, CHECK_LINGER, CHECK_OK, "the fleet outlives your logins");
        return checks_add(c, CHECK_LINGER, CHECK_NOTE,
                        "linger is off: the fleet ends with your last login");
}

typedef struct Limit {
        const char *name;       /* the roster's word */
        const char *controller; /* the kernel's */
        const char *file;       /* there if the unified hierarchy enforces it */
} Limit;

static const Limit limits[] = {
        { "memory", "memory", "memory.max" },
        { "cpu", "cpu", "cpu.max" },
        { "tasks", "pids", "pids.max" },
};

static bool is_wanted(const AgentSpec *s, size_t limit) {
        const uint64_t values[] = { s->limit_memory, s->limit_cpu, s->limit_tasks };

        return values[limit] > 0;
}

static bool has_file(const char *root, const char *cgroup, const char *file) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s%s/%s", root, cgroup, file) < 0) {
                path = NULL;
                return false;
        }
        return access(path, F_OK) == 0;
}

static bool list_has(const char *list, const char *word) {
        size_t length = strlen(word);

        for (const char *p = list; p; p = strchr(p, ',')) {
                p += *p == ',';
                if (strncmp(p, word, length) == 0 && (p[length] == ',' || p[length] == '\0'))
                        return true;
        }
        return false;
}

/* /proc/PID/cgroup: in the hierarchy of this controller the process is in the unit's own cgroup,
 * and there the limit can be written. @text is cut into pieces. */
static bool is_enforced(char *text, const char *unit, const Limit *limit) {
        for (char *line = text, *next; line && *line; line = next) {
                char *list = strchr(line, ':'), *cgroup = list ? strchr(list + 1, ':') : NULL;
                const char *last;

                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                if (!cgroup)
                        continue;
                *cgroup++ = '\0';
                list++;
                last = strrchr(cgroup, '/');
                if (!last || strcmp(last + 1, unit) != 0)
                        continue;
                if (list_has(list, limit->controller))
                        return true;
                if (*list == '\0' && (has_file("/sys/fs/cgroup", cgroup, limit->file) ||
                                                     has_file("/sys/fs/cgroup/unified", cgroup,
                                                                     limit->file)))
                        return true;
        }
        return false;
}

typedef enum Enforced {
        ENFORCED,
        NOT_ENFORCED,
        NOT_ASKED,
        NOBODY_RUNS, /* nothing whose cgroup would tell */
} Enforced;

static int limit_is_enforced(
                const Paths *p, const Desired *d, const Observed *o, size_t limit, Enforced *ret) {
        bool asked = false;

        for (size_t i = 0; i < d->n_agents; i++) {
                const AgentSpec *s = d->agents[i];
                const ObservedRun *run = observed_run(o, s->name);
                _cleanup_free_ char *path = NULL, *text = NULL, *unit = NULL;
                size_t size;
                int r;

                if (s->elsewhere || !is_wanted(s, limit))
                        continue;
                asked = true;
                if (!run || !run->alive)
                        continue;
                r = paths_agent_unit(p, s->name, &unit);
                if (r < 0)
                        return r;
                if (format_text(&path, "/proc/%d/cgroup", (int)run->pid) < 0)
                        return -ENOMEM;
                r = file_read_limited(path, CGROUP_MAX, &text, &size);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        continue;
                *ret = is_enforced(text, unit, limits + limit) ? ENFORCED : NOT_ENFORCED;
                return 0;
        }
        *ret = asked ? NOBODY_RUNS : NOT_ASKED;
        return 0;
}

static int check_limits(const CheckSubject *s, Checks *c) {
        size_t counts[NOBODY_RUNS + 1] = { 0 };
        char missing[64] = "";

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                Enforced e;
                int r = limit_is_enforced(s->paths, s->desired, s->observed, i, &e);

                if (r < 0)
                        return r;
                counts[e]++;
                if (e == NOT_ENFORCED)
                        (void)snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing),
                                        "%s%s", *missing ? ", " : "", limits[i].name);
        }
        if (counts[NOT_ASKED] == ELEMENTSOF(limits))
                return checks_add(c, CHECK_LIMITS, CHECK_OK, "the roster asks for none");
        if (s->observed->supervisor == SUPERVISOR_DIRECT)
                return checks_add(c, CHECK_LIMITS, CHECK_NOTE,
                                "not enforced: without systemd there is nobody to do it");
        if (*missing)
                return checks_add(c, CHECK_LIMITS, CHECK_NOTE,
                                "%s: not enforced, the user manager has no such controller",
                                missing);
        if (counts[NOBODY_RUNS] > 0)
                return checks_add(c, CHECK_LIMITS, CHECK_NOTE,
                                "no agent with limits runs whose cgroup tells");
        return checks_add(c, CHECK_LIMITS, CHECK_OK, "enforced by the user manager's controllers");
}

/* Ours is another socket than the default one, by path and by inode. */
static int check_default_server(const CheckSubject *s, Checks *c) {
        const FleetRecord *record = s->record;
        _cleanup_free_ char *path = NULL;
        struct stat ours, other;
        int r;

        r = tmux_socket_path(record->tmux_tmpdir, "default", &path);
        if (r < 0)
                return r;
        if (strcmp(path, record->tmux_socket) == 0 ||
                        (stat(path, &other) == 0 && stat(record->tmux_socket, &ours) == 0 &&
                                        other.st_ino == ours.st_ino && other.st_dev == ours.st_dev))
                return checks_add(c, CHECK_DEFAULT_SERVER, CHECK_FAILED,
                                "this fleet's socket is that of the default tmux server");
        return checks_add(c, CHECK_DEFAULT_SERVER, CHECK_OK, "not involved, this fleet has %s",
                        record->tmux_socket);
}

typedef struct CheckRow {
        int (*check)(const CheckSubject *s, Checks *c); /* NULL: not of the machine */
        bool only_systemd;
        bool needs_look; /* roster and observation */
} CheckRow;

static const CheckRow rows[_CHECK_KIND_MAX] = {
        [CHECK_PARTS] = { .check = check_parts },
        [CHECK_TMUX] = { .check = check_tmux },
        [CHECK_SOCKET] = { .check = check_socket },
        [CHECK_MANAGER] = { .check = check_manager },
        [CHECK_PATH] = { .check = check_path, .only_systemd = true },
        [CHECK_CONTROLLERS] = { .check = check_controllers, .only_systemd = true },
        [CHECK_LINGER] = { .check = check_linger, .only_systemd = true },
        [CHECK_PERMISSIONS] = { .check = check_permissions },
        [CHECK_STATE] = { .check = check_state },
        [CHECK_RUNTIMES] = { .check = check_runtimes },
        [CHECK_STALE] = { .check = check_stale },
        [CHECK_UNITS] = { .check = check_units, .only_systemd = true },
        [CHECK_HOLDER] = { .check = check_holder, .only_systemd = true, .needs_look = true },
        [CHECK_LIMITS] = { .check = check_limits, .needs_look = true },
        [CHECK_DEFAULT_SERVER] = { .check = check_default_server },
};

int machine_checks(unsigned by, const CheckSubject *s, Checks *ret) {
        for (size_t i = 0; i < _CHECK_KIND_MAX; i++) {
                const CheckRow *row = rows + i;
                int r;

                if (!row->check || !(check_shown_by((CheckKind)i) & by) ||
                                (row->needs_look && (!s->desired || !s->observed)) ||
                                (row->only_systemd && s->record->supervisor != SUPERVISOR_SYSTEMD))
                        continue;
                r = row->check(s, ret);
                if (r < 0)
                        return r;
        }
        return 0;
}
