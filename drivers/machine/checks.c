/* SPDX-License-Identifier: MIT */
#include "drivers/machine/checks.h"

#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/os/proc.h"
#include "drivers/systemd/install.h"
#include "drivers/tmux/server.h"

static int check_units(const Paths *p, const FleetRecord *record, Checks *c) {
        _cleanup_(install_report_freep) InstallReport *report = NULL;
        size_t n_changed = 0, n_modified;
        int r;

        r = units_install(p, record->tmux_tmpdir, /* dry_run= */ true, NULL, &report);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return checks_add(c, "units", CHECK_UNKNOWN, "mosaic fleet install-systemd",
                                "the installed files could not be compared: %s", strerror(-r));
        n_changed = report->counts[INSTALL_NEW] + report->counts[INSTALL_UPDATED];
        n_modified = report->counts[INSTALL_MODIFIED];
        if (n_changed > 0)
                return checks_add(c, "units", CHECK_FAILED, "mosaic fleet install-systemd",
                                "%zu installed file%s missing or of another version", n_changed,
                                n_changed == 1 ? " is" : "s are");
        if (n_modified > 0)
                return checks_add(c, "units", CHECK_NOTE, NULL,
                                "%zu installed file%s changed by you, and kept", n_modified,
                                n_modified == 1 ? " was" : "s were");
        return checks_add(c, "units", CHECK_OK, NULL, "all installed files are of this version");
}

/* The server must live in the holder's cgroup, so that no agent's stop can take it down. */
static int check_holder(const Paths *p, const Observed *o, Checks *c) {
        _cleanup_free_ char *cgroup = NULL, *unit = NULL;
        const char *last;
        int r;

        if (o->tmux.state != SOURCE_PRESENT || o->server_pid <= 0)
                return checks_add(c, "holder",
                                o->tmux.state == SOURCE_UNKNOWN ? CHECK_UNKNOWN : CHECK_NOTE, NULL,
                                "no tmux server was seen");
        r = paths_unit(p, "tmux-holder.service", &unit);
        if (r < 0)
                return r;
        r = proc_cgroup(o->server_pid, &cgroup);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return checks_add(c, "holder", CHECK_UNKNOWN, NULL, "the cgroup of pid %d: %s",
                                (int)o->server_pid, strerror(-r));
        last = strrchr(cgroup, '/');
        if (!last || strcmp(last + 1, unit) != 0)
                return checks_add(c, "holder", CHECK_FAILED,
                                "mosaic fleet stop; mosaic fleet start",
                                "the tmux server (pid %d) is in %s, not in %s", (int)o->server_pid,
                                cgroup, unit);
        return checks_add(c, "holder", CHECK_OK, NULL, "the tmux server (pid %d) is in %s",
                        (int)o->server_pid, unit);
}

static int check_linger(Checks *c) {
        const struct passwd *pw = getpwuid(getuid());
        _cleanup_free_ char *path = NULL;

        if (!pw)
                return checks_add(c, "linger", CHECK_UNKNOWN, NULL, "this user has no name");
        if (asprintf(&path, "/var/lib/systemd/linger/%s", pw->pw_name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (access(path, F_OK) == 0)
                return checks_add(c, "linger", CHECK_OK, NULL, "the fleet outlives your logins");
        return checks_add(c, "linger", CHECK_NOTE, "loginctl enable-linger",
                        "linger is off: the fleet ends with your last login");
}

static bool controller_is_there(const char *cgroup, const char *file) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s%s/%s", roots[i], cgroup, file) < 0) {
                        path = NULL;
                        return false;
                }
                if (access(path, F_OK) == 0)
                        return true;
        }
        return false;
}

static int check_limits(const Desired *d, const Observed *o, Checks *c) {
        static const char *const files[] = { "memory.max", "cpu.max", "pids.max" };
        static const char *const names[] = { "memory", "cpu", "tasks" };
        bool wanted[ELEMENTSOF(files)] = { false }, any = false;
        _cleanup_free_ char *cgroup = NULL;
        char missing[64] = "";

        for (size_t i = 0; i < d->n_agents; i++) {
                wanted[0] = wanted[0] || d->agents[i]->limit_memory > 0;
                wanted[1] = wanted[1] || d->agents[i]->limit_cpu > 0;
                wanted[2] = wanted[2] || d->agents[i]->limit_tasks > 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                any = any || wanted[i];
        if (!any)
                return checks_add(c, "limits", CHECK_OK, NULL, "the roster asks for none");
        if (o->supervisor == SUPERVISOR_DIRECT)
                return checks_add(c, "limits", CHECK_NOTE, NULL,
                                "not enforced: without systemd there is nobody to do it");
        if (o->server_pid <= 0 || proc_cgroup(o->server_pid, &cgroup) < 0)
                return checks_add(c, "limits", CHECK_UNKNOWN, NULL,
                                "nothing runs whose cgroup tells");
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                if (wanted[i] && !controller_is_there(cgroup, files[i]))
                        (void)snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing),
                                        "%s%s", *missing ? ", " : "", names[i]);
        if (*missing)
                return checks_add(c, "limits", CHECK_NOTE, NULL,
                                "%s: not enforced, the user manager has no such controller",
                                missing);
        return checks_add(
                        c, "limits", CHECK_OK, NULL, "enforced by the user manager's controllers");
}

/* Ours is another socket than the default one, by path and by inode. */
static int check_default_server(const FleetRecord *record, Checks *c) {
        _cleanup_free_ char *path = NULL;
        struct stat ours, other;
        int r;

        r = tmux_socket_path(record->tmux_tmpdir, "default", &path);
        if (r < 0)
                return r;
        if (strcmp(path, record->tmux_socket) == 0 ||
                        (stat(path, &other) == 0 && stat(record->tmux_socket, &ours) == 0 &&
                                        other.st_ino == ours.st_ino && other.st_dev == ours.st_dev))
                return checks_add(c, "default-server", CHECK_FAILED, NULL,
                                "this fleet's socket is that of the default tmux server");
        return checks_add(c, "default-server", CHECK_OK, NULL,
                        "not involved: this fleet lives on %s", record->tmux_socket);
}

int machine_checks(const Paths *p,
                const FleetRecord *record,
                const Desired *desired,
                const Observed *observed,
                Checks *ret) {
        int r = 0;

        if (record->supervisor == SUPERVISOR_SYSTEMD) {
                r = check_units(p, record, ret);
                if (r == 0)
                        r = check_holder(p, observed, ret);
                if (r == 0)
                        r = check_linger(ret);
        }
        if (r == 0)
                r = check_limits(desired, observed, ret);
        if (r == 0)
                r = check_default_server(record, ret);
        return r;
}
