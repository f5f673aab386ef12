/* SPDX-License-Identifier: MIT */
#include "drivers/machine/checks-host.h"

#include <string.h>
#include <sys/stat.h>

#include "drivers/agent/program.h"
#include "drivers/machine/scratch.h"
#include "drivers/machine/site-facts.h"
#include "drivers/os/file.h"
#include "drivers/os/ownership.h"
#include "drivers/os/state-link.h"
#include "drivers/systemd/manager.h"
#include "drivers/tmux/server.h"
#include "framework/assets.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"

#define MANAGER_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define CGROUP_FILE_MAX 65536
#define TMUX_MAJOR 3
#define TMUX_MINOR 3

int check_parts(const CheckSubject *s, Checks *c) {
        static const char *const names[] = { "mosaic-keeper", "mosaic-launcher" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = NULL;
                int r = path_join(s->paths->libexec, names[i], &path);

                if (r < 0)
                        return r;
                if (access(path, X_OK) < 0)
                        return checks_add(c, CHECK_PARTS, CHECK_FAILED, "%s: %s", path,
                                        strerror(errno));
        }
        return checks_add(c, CHECK_PARTS, CHECK_OK, "%s, with keeper and launcher in %s",
                        s->paths->program, s->paths->libexec);
}

/* "3.3a", "next-3.5": at least what is needed? What has no number ("master") is new. */
static bool tmux_is_new_enough(const char *version) {
        const char *digits = version + strcspn(version, "0123456789");
        unsigned long major, minor;
        char *end;

        if (!*digits)
                return true;
        major = strtoul(digits, &end, 10);
        minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
        return major > TMUX_MAJOR || (major == TMUX_MAJOR && minor >= TMUX_MINOR);
}

int check_tmux(const CheckSubject *s _unused_, Checks *c) {
        _cleanup_free_ char *version = NULL;
        int r = tmux_version(&version);

        if (r == -ENOMEM)
                return r;
        if (r == -ENOENT)
                return checks_add(c, CHECK_TMUX, CHECK_FAILED, "there is no tmux in PATH");
        if (r < 0)
                return checks_add(c, CHECK_TMUX, CHECK_UNKNOWN, "'tmux -V' did not work: %s",
                                strerror(-r));
        if (!tmux_is_new_enough(version))
                return checks_add(c, CHECK_TMUX, CHECK_FAILED, "version %s, needed is %d.%d",
                                version, TMUX_MAJOR, TMUX_MINOR);
        return checks_add(c, CHECK_TMUX, CHECK_OK, "version %s", version);
}

/* It accepts; whether it also answers is what the look of the pass has found. */
static int check_listener(const CheckSubject *s, pid_t pid, Checks *c) {
        const char *socket = s->record->tmux_socket;
        const Source *tmux = s->observed ? &s->observed->tmux : NULL;
        _cleanup_free_ char *help = NULL;

        if (!tmux || tmux->state != SOURCE_UNKNOWN)
                return checks_add(c, CHECK_SOCKET, CHECK_OK, "pid %d listens on %s", (int)pid,
                                socket);
        if (!s->observed->server_other_version)
                return checks_add_help(c, CHECK_SOCKET, CHECK_FAILED, "mosaic fleet plan",
                                "pid %d listens on %s, but: %s", (int)pid, socket,
                                tmux->why ? tmux->why : "it could not be asked");
        /* An upgrade of tmux beside a server that runs: only the end of the server helps. */
        if (format_text(&help, "kill %d; mosaic fleet start", (int)pid) < 0)
                return -ENOMEM;
        return checks_add_help(c, CHECK_SOCKET, CHECK_FAILED, help,
                        "the server on %s (pid %d) is of another version than tmux in PATH; until "
                        "it and its agents are ended nobody can attach or send",
                        socket, (int)pid);
}

int check_socket(const CheckSubject *s, Checks *c) {
        _cleanup_(tmux_server_freep) TmuxServer *server = NULL;
        const char *socket = s->record->tmux_socket;
        pid_t pid = 0;
        int r;

        r = tmux_server_new(socket, s->paths->id_or_default, s->record->tmux_tmpdir, &server);
        if (r < 0)
                return r;
        r = tmux_server_pid(server, &pid);
        switch (r) {
        case 0:
                return check_listener(s, pid, c);
        case -ENOENT:
                return checks_add(c, CHECK_SOCKET, CHECK_OK, "free, nothing runs: %s", socket);
        case -ECONNREFUSED:
                return checks_add(c, CHECK_SOCKET, CHECK_NOTE,
                                "nobody listens on %s any more; the next start replaces it",
                                socket);
        case -ETIMEDOUT:
                return checks_add_help(c, CHECK_SOCKET, CHECK_FAILED, "mosaic fleet plan",
                                "the tmux server on %s does not answer", socket);
        case -EACCES:
        case -EPERM:
                return checks_add(c, CHECK_SOCKET, CHECK_FAILED, "%s belongs to somebody else",
                                socket);
        case -ENOTSOCK:
                return checks_add(c, CHECK_SOCKET, CHECK_FAILED, "%s is no socket", socket);
        default:
                return checks_add(c, CHECK_SOCKET, CHECK_UNKNOWN, "%s: %s", socket, strerror(-r));
        }
}

/* --- the user manager ------------------------------------------------------------------------- */

int check_manager(const CheckSubject *s, Checks *c) {
        _cleanup_(manager_freep) Manager *m = NULL;
        _cleanup_free_ char *version = NULL;
        bool needed = s->record->supervisor == SUPERVISOR_SYSTEMD;
        int r;

        r = manager_open(s->paths, MANAGER_TIMEOUT_USEC, &m);
        if (r == 0)
                r = manager_version(m, &version);
        if (r == -ENOMEM)
                return r;
        if (r == 0)
                return checks_add(c, CHECK_MANAGER, CHECK_OK, "answers, systemd %s%s", version,
                                needed ? "" : "; this fleet does without (supervisor direct)");
        if (r != -ENOENT && r != -ECONNREFUSED)
                return checks_add_help(c, CHECK_MANAGER, needed ? CHECK_FAILED : CHECK_NOTE,
                                needed ? "systemctl --user daemon-reexec" : NULL,
                                "there is one, but it does not answer: %s", strerror(-r));
        if (!needed)
                return checks_add(c, CHECK_MANAGER, CHECK_OK,
                                "none, and none is needed: supervisor direct");
        return checks_add(c, CHECK_MANAGER, CHECK_FAILED, "none listens on %s",
                        s->paths->manager_socket ? s->paths->manager_socket
                                                 : "a socket (XDG_RUNTIME_DIR is not set)");
}

/* Directories of @path that are not in @other, with ':' between them. */
static int path_difference(const char *path, const char *other, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        for (const char *s = path; *s;) {
                size_t n = strcspn(s, ":");
                bool found = n == 0;

                for (const char *o = other; *o && !found;) {
                        size_t length = strcspn(o, ":");

                        found = length == n && strncmp(o, s, n) == 0;
                        o += length + (o[length] == ':');
                }
                if (!found) {
                        if (b.length > 0)
                                strbuf_add_char(&b, ':');
                        strbuf_add_bytes(&b, s, n);
                }
                s += n + (s[n] == ':');
        }
        return strbuf_finish(&b, ret);
}

/* Without systemd agents have the PATH of the tmux server, if one runs. */
static int check_server_path(const CheckSubject *s, Checks *c) {
        _cleanup_free_ char *servers = NULL, *missing = NULL;
        const char *ours = getenv("PATH");
        int r;

        r = site_facts_server_path(s->paths, &servers);
        if (r < 0 || !servers)
                return r;
        r = path_difference(ours ? ours : "", servers, &missing);
        if (r < 0)
                return r;
        if (*missing)
                return checks_add_help(c, CHECK_PATH, CHECK_NOTE,
                                "mosaic fleet stop && mosaic fleet start",
                                "agents get the PATH that the tmux server was started with, which "
                                "lacks of this shell's: %s",
                                missing);
        return checks_add(c, CHECK_PATH, CHECK_OK,
                        "the tmux server was started with all of this shell's");
}

int check_path(const CheckSubject *s, Checks *c) {
        _cleanup_free_ char *managers = NULL, *missing = NULL;
        const char *ours = getenv("PATH");
        int r;

        if (s->record->supervisor != SUPERVISOR_SYSTEMD)
                return check_server_path(s, c);
        r = site_facts_manager_path(s->paths, &managers);
        if (r < 0)
                return r;
        if (!managers)
                return checks_add_help(c, CHECK_PATH, CHECK_UNKNOWN, NULL,
                                "the user manager's PATH could not be read");
        if (!ours)
                ours = "";
        r = path_difference(ours, managers, &missing);
        if (r < 0)
                return r;
        if (*missing)
                return checks_add(c, CHECK_PATH, CHECK_NOTE,
                                "agents get the user manager's PATH, which lacks of this shell's: "
                                "%s",
                                missing);
        return checks_add(c, CHECK_PATH, CHECK_OK, "the user manager has all of this shell's");
}

/* Can units of the manager have this controller? On the unified hierarchy the manager's cgroup
 * lists it; on an old one the manager must be able to make cgroups in the controller's own. */
static bool has_controller(const char *cgroup, const char *name) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        _cleanup_free_ char *old = NULL;

        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                _cleanup_free_ char *path = NULL, *text = NULL;
                size_t size;

                if (format_text(&path, "%s%s/cgroup.controllers", roots[i], cgroup) < 0)
                        return false;
                if (file_read_limited(path, CGROUP_FILE_MAX, &text, &size) >= 0 &&
                                text_has_word(text, name))
                        return true;
        }
        if (format_text(&old, "/sys/fs/cgroup/%s%s", name, cgroup) < 0)
                return false;
        return access(old, W_OK) == 0;
}

int check_controllers(const CheckSubject *s, Checks *c) {
        static const char *const names[] = { "cpu", "memory", "pids" };
        _cleanup_(manager_freep) Manager *m = NULL;
        _cleanup_free_ char *cgroup = NULL;
        char missing[64] = "";
        int r;

        r = manager_open(s->paths, MANAGER_TIMEOUT_USEC, &m);
        if (r == 0)
                r = manager_control_group(m, &cgroup);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return checks_add_help(c, CHECK_CONTROLLERS, CHECK_UNKNOWN, NULL,
                                "the user manager could not be asked");
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (!has_controller(cgroup, names[i]))
                        (void)snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing),
                                        "%s%s", *missing ? " " : "", names[i]);
        if (*missing)
                return checks_add(c, CHECK_CONTROLLERS, CHECK_NOTE,
                                "limits of these are not enforced: %s. In user@.service say "
                                "[Service] Delegate=cpu memory pids",
                                missing);
        return checks_add(c, CHECK_CONTROLLERS, CHECK_OK, "cpu, memory and pids are delegated");
}

/* --- files and programs ----------------------------------------------------------------------- */

int check_permissions(const CheckSubject *s, Checks *c) {
        const struct {
                const char *path;
                bool closed; /* nobody else may even look */
        } places[] = {
                { s->paths->home, false },
                { s->paths->roster, false },
                { s->paths->state, true },
                { s->paths->runtime, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *help = NULL;
                struct stat st;

                if (stat(places[i].path, &st) < 0) {
                        if (errno == ENOENT)
                                continue;
                        return checks_add(c, CHECK_PERMISSIONS, CHECK_UNKNOWN, "%s: %s",
                                        places[i].path, strerror(errno));
                }
                if (st.st_uid != geteuid())
                        return checks_add(c, CHECK_PERMISSIONS, CHECK_FAILED,
                                        "%s belongs to another user (%u)", places[i].path,
                                        (unsigned)st.st_uid);
                if (places[i].closed ? !(st.st_mode & 0077) : !others_may_write(&st))
                        continue;
                if (format_text(&help, "chmod %s %s", places[i].closed ? "go-rwx" : "go-w",
                                    places[i].path) < 0)
                        return -ENOMEM;
                return checks_add_help(c, CHECK_PERMISSIONS, CHECK_FAILED, help,
                                "%s is open to others (mode %04o)", places[i].path,
                                (unsigned)(st.st_mode & 07777));
        }
        return checks_add(c, CHECK_PERMISSIONS, CHECK_OK,
                        "home, roster, state and runtime are this user's alone");
}

/* Said only where it is so: the fleet is known by its state, and one that has two is two. */
int check_state(const CheckSubject *s, Checks *c) {
        _cleanup_free_ char *other = NULL;
        int r = state_link_check(s->paths, &other);

        if (r != STATE_IS_ELSEWHERE)
                return r;
        return checks_add(c, CHECK_STATE, CHECK_FAILED,
                        "this fleet keeps its state in %s; here XDG_STATE_HOME leads to %s, and "
                        "what is told of the fleet is told from there",
                        other, s->paths->state);
}

/* No roster says what is needed: which of the built-in ones are there. Their programs are called as
 * they are. */
static int check_known_runtimes(const CheckSubject *s, Checks *c) {
        static const char folder[] = "fleet/runtimes/";
        _cleanup_(site_facts_done) SiteFacts facts = { 0 };
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        int r;

        r = site_facts_read(s->paths, s->record->supervisor, &facts);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_assets; i++) {
                const char *file = assets[i].path + sizeof(folder) - 1;
                _cleanup_free_ char *name = NULL, *found = NULL;

                if (strncmp(assets[i].path, folder, sizeof(folder) - 1) != 0)
                        continue;
                name = strndup(file, strcspn(file, "."));
                if (!name)
                        return -ENOMEM;
                if (program_find(name, facts.path, &found) == 0)
                        strbuf_addf(&b, "%s%s", b.length > 0 ? ", " : "", name);
        }
        if (b.failed)
                return -ENOMEM;
        return checks_add(c, CHECK_RUNTIMES, CHECK_NOTE,
                        "no valid roster says which are needed; in the PATH of agents: %s",
                        b.length > 0 ? strbuf_text(&b) : "none");
}

int check_runtimes(const CheckSubject *s, Checks *c) {
        _cleanup_strv_ char **found = NULL;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        const AgentSpec *missing = NULL;
        size_t n_missing = 0;
        int r;

        if (!s->desired)
                return check_known_runtimes(s, c);
        for (size_t i = 0; i < s->desired->n_agents; i++) {
                const AgentSpec *a = s->desired->agents[i];

                if (a->elsewhere)
                        continue;
                if (a->program_missing) {
                        n_missing++;
                        if (!missing)
                                missing = a;
                        continue;
                }
                if (strv_find(found, a->runtime))
                        continue;
                r = strv_push(&found, a->runtime);
                if (r < 0)
                        return r;
                strbuf_addf(&b, "%s%s", b.length > 0 ? ", " : "", a->runtime);
        }
        if (missing)
                return checks_add_help(c, CHECK_RUNTIMES, CHECK_FAILED, missing->install,
                                "%zu agent%s not be started, the first is %s: %s", n_missing,
                                n_missing == 1 ? " can" : "s can", missing->name,
                                missing->blocked_text);
        if (b.failed)
                return -ENOMEM;
        return checks_add(c, CHECK_RUNTIMES, CHECK_OK, "%s%s",
                        b.length > 0 ? "found: " : "none is needed", strbuf_text(&b));
}

/* Said only where there is one: nobody misses it. */
int check_stale(const CheckSubject *s _unused_, Checks *c) {
        _cleanup_strv_ char **tops = NULL;
        int r;

        r = scratch_find_dead(&tops);
        for (char **top = tops; r == 0 && top && *top; top++)
                r = checks_add(c, CHECK_STALE, CHECK_NOTE,
                                "a preflight was killed, and its throw-away fleet is left: %s",
                                *top);
        return r;
}
