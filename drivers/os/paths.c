/* SPDX-License-Identifier: MIT */
#include "drivers/os/paths.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/base/format.h"
#include "model/base/hash.h"
#include "model/base/utf8.h"

#ifndef MOSAIC_LIBEXEC_DIR
#error "MOSAIC_LIBEXEC_DIR comes from the build"
#endif

Paths *paths_free(Paths *p) {
        if (!p)
                return NULL;
        free(p->user_home);
        free(p->home);
        free(p->fleet_id);
        free(p->id_or_default);
        free(p->roster);
        free(p->state);
        free(p->runtime);
        free(p->units);
        free(p->libexec);
        free(p->program);
        free(p->manager_socket);
        free(p->unit_prefix);
        free(p);
        return NULL;
}

int path_join(const char *dir, const char *name, char **ret) {
        size_t n = strlen(dir);

        while (n > 1 && dir[n - 1] == '/')
                n--;
        if (n == 1 && dir[0] == '/')
                n = 0;
        return format_text(ret, "%.*s/%s", (int)n, dir, name);
}

/* An absolute path from the environment; NULL when unset, empty or relative (the XDG rule: ignore
 * it). */
static const char *absolute_variable(const char *name) {
        const char *value = getenv(name);

        return value && value[0] == '/' ? value : NULL;
}

static int copy_string(const char *s, char **ret) {
        char *copy = strdup(s);

        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

/* What the user database says; NULL where the user has no entry (containers run with any uid). */
static int database_home(char **ret) {
        struct passwd entry, *found = NULL;
        _cleanup_free_ char *buffer = NULL;
        size_t size = 4096;
        int r;

        for (;;) {
                char *bigger = realloc(buffer, size);

                if (!bigger)
                        return -ENOMEM;
                buffer = bigger;
                r = getpwuid_r(getuid(), &entry, buffer, size, &found);
                if (r != ERANGE || size > 1024 * 1024)
                        break;
                size *= 2;
        }
        if (r != 0 || !found || !entry.pw_dir || entry.pw_dir[0] != '/') {
                *ret = NULL;
                return 0;
        }
        return copy_string(entry.pw_dir, ret);
}

/* If @head is a link: the path it leads to, followed by @rest. NULL when it is none. */
static int follow_dangling(const char *head, const char *rest, char **ret) {
        _cleanup_free_ char *parent = NULL, *start = NULL;
        char target[PATH_MAX];
        ssize_t n;
        int r;

        *ret = NULL;
        n = readlink(head, target, sizeof(target) - 1);
        if (n < 0)
                return errno == EINVAL || errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        target[n] = '\0';

        if (target[0] == '/')
                return path_join(target, rest, ret);
        parent = strndup(head, (size_t)(strrchr(head, '/') - head));
        if (!parent)
                return -ENOMEM;
        r = path_join(parent, target, &start);
        if (r < 0)
                return r;
        return path_join(start, rest, ret);
}

/* Adds the names in @rest, none of which exists, to @real. */
static int append_by_text(char **real, const char *rest) {
        while (*rest) {
                _cleanup_free_ char *step = NULL;
                char *longer;
                size_t n;

                rest += strspn(rest, "/");
                n = strcspn(rest, "/");
                if (n == 0 || (n == 1 && rest[0] == '.')) {
                        rest += n;
                        continue;
                }
                /* Taken by text it could name another directory than once the path exists. */
                if (n == 2 && strncmp(rest, "..", 2) == 0)
                        return -EINVAL;
                step = strndup(rest, n);
                if (!step || path_join(*real, step, &longer) < 0)
                        return -ENOMEM;
                free(*real);
                *real = longer;
                rest += n;
        }
        return 0;
}

/*
 * Resolves every link of a path of which the end may not exist (yet, or any more). A link that
 * leads nowhere is followed too: the name of a home must not change when its file system is
 * unmounted.
 */
static int resolve(const char *path, unsigned depth, char **ret) {
        _cleanup_free_ char *head = NULL, *real = NULL;
        size_t length = strlen(path);
        int r;

        assert(path[0] == '/');

        if (depth > 40)
                return -ELOOP;
        head = strdup(path);
        if (!head)
                return -ENOMEM;
        while (length > 1 && head[length - 1] == '/')
                head[--length] = '\0';
        for (;;) {
                _cleanup_free_ char *next = NULL;

                real = realpath(head, NULL);
                if (real)
                        break;
                if (length <= 1 || (errno != ENOENT && errno != ENOTDIR))
                        return -errno;
                r = follow_dangling(head, path + length, &next);
                if (r < 0)
                        return r;
                if (next)
                        return resolve(next, depth + 1, ret);
                while (length > 1 && head[length - 1] != '/')
                        length--;
                while (length > 1 && head[length - 1] == '/')
                        length--;
                head[length] = '\0';
        }

        r = append_by_text(&real, path + length);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(real);
        return 0;
}

/* The path as given, made absolute, links resolved. */
static int resolve_from_here(const char *path, char **ret) {
        _cleanup_free_ char *here = NULL, *joined = NULL;
        int r;

        if (path[0] == '/')
                return resolve(path, 0, ret);
        here = getcwd(NULL, 0);
        if (!here)
                return -errno;
        r = path_join(here, path, &joined);
        if (r < 0)
                return r;
        return resolve(joined, 0, ret);
}

/*
 * The default home has the plain names; any other gets the start of a hash of its path. "Default"
 * goes by the user database, not by $HOME: two shells with different $HOME share one user manager,
 * and must not both be the fleet with the plain unit names.
 */
static int set_fleet_id(Paths *p, const char *database) {
        _cleanup_free_ char *plain = NULL, *plain_home = NULL;
        char digest[SHA256_HEX_SIZE];
        int r;

        r = path_join(database ? database : p->user_home, ".config/mosaic", &plain);
        if (r < 0)
                return r;
        r = resolve(plain, 0, &plain_home);
        if (r < 0)
                return r;

        if (strcmp(plain_home, p->home) == 0) {
                r = copy_string("", &p->fleet_id);
                if (r < 0)
                        return r;
                return copy_string("default", &p->id_or_default);
        }

        sha256_hex(p->home, strlen(p->home), digest);
        digest[8] = '\0';
        r = copy_string(digest, &p->fleet_id);
        if (r < 0)
                return r;
        return copy_string(digest, &p->id_or_default);
}

/*
 * Units carry MOSAIC_STATE_DIR and MOSAIC_RUNTIME_DIR, so that what runs in a unit finds the files
 * of the one who installed it even where the user manager's XDG variables differ. They count only
 * with the MOSAIC_FLEET of this home: a variable left over from another fleet must not mix the two.
 */
static const char *unit_variable(const Paths *p, const char *name) {
        const char *fleet = getenv("MOSAIC_FLEET");

        if (!fleet || strcmp(fleet, p->id_or_default) != 0)
                return NULL;
        return absolute_variable(name);
}

/* $XDG_X, or ~/@fallback. */
static int xdg_directory(const Paths *p, const char *name, const char *fallback, char **ret) {
        const char *value = absolute_variable(name);

        return value ? copy_string(value, ret) : path_join(p->user_home, fallback, ret);
}

static bool is_own_directory(const char *path) {
        struct stat st;

        return stat(path, &st) >= 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

/*
 * $XDG_RUNTIME_DIR, else /run/user/UID (cron, ssh without PAM, an agent's cleaned environment).
 * Only a directory of our own counts: after `su` the variable still names the other user's, and
 * with it the other user's manager. NULL when there is none.
 */
static int runtime_base(char **ret) {
        const char *value = absolute_variable("XDG_RUNTIME_DIR");
        _cleanup_free_ char *usual = NULL;

        *ret = NULL;
        if (value && is_own_directory(value))
                return copy_string(value, ret);
        if (format_text(&usual, "/run/user/%u", (unsigned)geteuid()) < 0)
                return -ENOMEM;
        if (is_own_directory(usual))
                *ret = TAKE_PTR(usual);
        return 0;
}

static int set_state(Paths *p) {
        _cleanup_free_ char *base = NULL, *ours = NULL;
        const char *given = unit_variable(p, "MOSAIC_STATE_DIR");
        int r;

        if (given)
                return copy_string(given, &p->state);
        r = xdg_directory(p, "XDG_STATE_HOME", ".local/state", &base);
        if (r < 0)
                return r;
        r = path_join(base, "mosaic", &ours);
        if (r < 0)
                return r;
        return path_join(ours, p->id_or_default, &p->state);
}

static int set_runtime(Paths *p) {
        _cleanup_free_ char *base = NULL, *ours = NULL;
        const char *given = unit_variable(p, "MOSAIC_RUNTIME_DIR");
        int r;

        r = runtime_base(&base);
        if (r < 0)
                return r;
        if (base) {
                r = path_join(base, "systemd/private", &p->manager_socket);
                if (r < 0)
                        return r;
        }
        if (given)
                return copy_string(given, &p->runtime);

        /* Without a runtime directory there is no user manager either. The state directory is
         * private already, which nothing under /tmp is; what lies there proves itself by the boot
         * id. */
        if (!base)
                return path_join(p->state, "runtime", &p->runtime);
        r = path_join(base, "mosaic", &ours);
        if (r < 0)
                return r;
        return path_join(ours, p->id_or_default, &p->runtime);
}

static int set_program(Paths *p) {
        static const char gone[] = " (deleted)";
        char buffer[PATH_MAX];
        ssize_t n;

        n = readlink("/proc/self/exe", buffer, sizeof(buffer) - 1);
        if (n < 0)
                return -errno;
        buffer[n] = '\0';

        /* A controller that was replaced on disk while it ran: its own path is where the new one
         * is. */
        if ((size_t)n > strlen(gone) && access(buffer, F_OK) < 0 &&
                        strcmp(buffer + n - strlen(gone), gone) == 0)
                buffer[(size_t)n - strlen(gone)] = '\0';
        return copy_string(buffer, &p->program);
}

/* MOSAIC_LIBEXEC_DIR, else beside the program (a build directory), else libexec beside the
 * program's bin directory (an unpacked archive can be moved), else where the build put it. */
static int set_libexec(Paths *p) {
        const char *given = absolute_variable("MOSAIC_LIBEXEC_DIR"), *slash;
        _cleanup_free_ char *bin = NULL, *beside = NULL, *launcher = NULL;

        if (given)
                return copy_string(given, &p->libexec);

        slash = strrchr(p->program, '/');
        bin = strndup(p->program, slash ? (size_t)(slash - p->program) : 0);
        if (!bin)
                return -ENOMEM;
        /* A build directory: the programs lie side by side. */
        if (path_join(bin, "mosaic-launcher", &launcher) < 0)
                return -ENOMEM;
        if (access(launcher, X_OK) >= 0) {
                p->libexec = TAKE_PTR(bin);
                return 0;
        }
        free(launcher);
        launcher = NULL;
        slash = strrchr(bin, '/');
        if (slash && strcmp(slash, "/bin") == 0) {
                bin[slash - bin] = '\0';
                if (format_text(&beside, "%s/libexec/mosaic", bin) < 0)
                        return -ENOMEM;
                if (path_join(beside, "mosaic-launcher", &launcher) < 0)
                        return -ENOMEM;
                if (access(launcher, X_OK) >= 0) {
                        p->libexec = TAKE_PTR(beside);
                        return 0;
                }
        }
        return copy_string(MOSAIC_LIBEXEC_DIR, &p->libexec);
}

/* They are printed, and written into units and JSON. */
static bool are_texts(const Paths *p) {
        const char *const all[] = { p->user_home, p->home, p->state, p->runtime, p->units,
                p->libexec, p->program };

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                for (const char *s = all[i]; s && *s;) {
                        uint32_t c;
                        size_t length = utf8_decode(s, strlen(s), &c);

                        if (length == 0 || utf8_is_unsafe(c))
                                return false;
                        s += length;
                }
        return true;
}

int paths_new(Paths **ret) {
        _cleanup_(paths_freep) Paths *p = NULL;
        _cleanup_free_ char *database = NULL, *config = NULL, *home = NULL;
        const char *value;
        int r;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;

        r = database_home(&database);
        if (r < 0)
                return r;
        value = absolute_variable("HOME");
        if (!value)
                value = database;
        if (!value)
                return -ENOENT;
        r = copy_string(value, &p->user_home);
        if (r < 0)
                return r;

        value = getenv("MOSAIC_HOME");
        if (value && value[0])
                r = copy_string(value, &home);
        else
                r = path_join(p->user_home, ".config/mosaic", &home);
        if (r < 0)
                return r;
        r = resolve_from_here(home, &p->home);
        if (r < 0)
                return r;

        r = set_fleet_id(p, database);
        if (r < 0)
                return r;
        if (format_text(&p->unit_prefix, "mosaic-%s%s", p->fleet_id, p->fleet_id[0] ? "-" : "") < 0)
                return -ENOMEM;
        r = path_join(p->home, "fleet/roster.yaml", &p->roster);
        if (r < 0)
                return r;
        r = set_state(p);
        if (r < 0)
                return r;
        r = set_runtime(p);
        if (r < 0)
                return r;
        r = xdg_directory(p, "XDG_CONFIG_HOME", ".config", &config);
        if (r < 0)
                return r;
        r = path_join(config, "systemd/user", &p->units);
        if (r < 0)
                return r;
        r = set_program(p);
        if (r < 0)
                return r;
        r = set_libexec(p);
        if (r < 0)
                return r;
        if (!are_texts(p))
                return -EILSEQ;

        *ret = TAKE_PTR(p);
        return 0;
}

int paths_agent_unit(const Paths *p, const char *agent, char **ret) {
        return format_text(ret, "%sagent@%s.service", p->unit_prefix, agent);
}

int paths_unit(const Paths *p, const char *which, char **ret) {
        return format_text(ret, "%s%s.service", p->unit_prefix, which);
}
