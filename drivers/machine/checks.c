/* SPDX-License-Identifier: MIT */
#include "drivers/machine/checks.h"

#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/machine/checks-host.h"
#include "drivers/machine/checks-limits.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "drivers/systemd/install.h"
#include "drivers/tmux/server.h"
#include "model/base/format.h"

#define CGROUP_MAX 65536

/* Nothing can be updated by it, and what is installed goes without one as well. */
static int say_garbled(const CheckSubject *s, Checks *c) {
        _cleanup_free_ char *help = NULL;

        if (format_text(&help, "mv %s/manifest.json %s/manifest.json.bad", s->paths->state,
                            s->paths->state) < 0)
                return -ENOMEM;
        return checks_add_help(c, CHECK_UNITS, CHECK_UNKNOWN, help,
                        "manifest.json in the state directory is garbled, so what is ours is not "
                        "known");
}

static int check_units(const CheckSubject *s, Checks *c) {
        _cleanup_(install_report_freep) InstallReport *report = NULL;
        size_t n_changed = 0, n_modified;
        int r;

        r = units_install(s->paths, s->record->tmux_tmpdir, INSTALL_DRY_RUN, NULL, &report);
        if (r == -ENOMEM)
                return r;
        if (r == -EBADMSG)
                return say_garbled(s, c);
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
        [CHECK_PATH] = { .check = check_path },
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
