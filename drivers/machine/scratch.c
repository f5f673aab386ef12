/* SPDX-License-Identifier: MIT */
#include "drivers/machine/scratch.h"

#include <dirent.h>
#include <ftw.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "drivers/os/file.h"
#include "drivers/os/lock.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/base/utf8.h"

#define RUN_TIMEOUT_USEC (120 * USEC_PER_SEC)
#define OUTPUT_MAX (4 * 1024 * 1024)
#define TOP_PREFIX "mosaic-preflight-"
#define LOCK_NAME "owner"
#define LOCK_NOTE "preflight"
/* Of the sockets below the directory, without systemd and with it. */
#define LONGEST_BELOW "/run/mosaic/12345678/keep/canary-two.123456"
#define ENVIRONMENT_MAX (4 * 1024 * 1024)

static int
remove_one(const char *path, const struct stat *st _unused_, int type, struct FTW *f _unused_) {
        /* What could not be removed is found by whoever looks for leftovers. */
        (void)(type == FTW_DP ? rmdir(path) : unlink(path));
        return 0;
}

Scratch *scratch_free(Scratch *s) {
        if (!s)
                return NULL;
        if (s->top && !s->keep)
                (void)nftw(s->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        free(s->top);
        free(s->roster);
        free(s->program);
        free(s->units);
        free(s->tmux_dir);
        strv_free(s->env);
        if (s->lock >= 0)
                (void)close(s->lock);
        free(s);
        return NULL;
}

/* $TMPDIR, if it is one. */
static const char *parent_of_all(void) {
        const char *parent = getenv("TMPDIR");

        return parent && parent[0] == '/' ? parent : "/tmp";
}

/* Sockets lie below it, whose paths are short, and its name stands in a roster and in unit files.
 */
static int check_top(const char *path) {
        for (const char *s = path; *s;) {
                uint32_t c;
                size_t length = utf8_decode(s, strlen(s), &c);

                if (length == 0 || utf8_is_unsafe(c) || c == '"' || c == '\\')
                        return -EINVAL;
                s += length;
        }
        return strlen(path) + strlen(LONGEST_BELOW) < sizeof(((struct sockaddr_un *)NULL)->sun_path)
                               ? 0
                               : -ENAMETOOLONG;
}

static int make_top_in(const char *parent, char **ret) {
        _cleanup_free_ char *resolved = realpath(parent, NULL), *path = NULL;
        int r;

        if (!resolved)
                return -errno;
        if (format_text(&path, "%s/" TOP_PREFIX "XXXXXX", resolved) < 0)
                return -ENOMEM;
        r = check_top(path);
        if (r < 0)
                return r;
        if (!mkdtemp(path))
                return -errno;
        *ret = TAKE_PTR(path);
        return 0;
}

/* A $TMPDIR that will not do is no reason to try nothing out. */
static int make_top(char **ret) {
        int r = make_top_in(parent_of_all(), ret);

        if (r < 0 && r != -ENOMEM && strcmp(parent_of_all(), "/tmp") != 0)
                r = make_top_in("/tmp", ret);
        return r;
}

/* "NAME=TOP/BELOW", and the directory itself. */
static int add_place(Scratch *s, const char *name, const char *below) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = path_join(s->top, below, &path);
        if (r == 0)
                r = dir_make(path);
        return r < 0 ? r : strv_env_set(&s->env, name, path);
}

/* The caller's environment without what names a fleet, a server or a place of the caller's. */
static int inherit(Scratch *s) {
        static const char *const prefixes[] = { "MOSAIC_", "TMUX",
                "XDG_CONFIG_HOME=", "XDG_STATE_HOME=" };

        for (char **e = environ; e && *e; e++) {
                bool ours = true;
                int r;

                for (size_t i = 0; i < ELEMENTSOF(prefixes) && ours; i++)
                        ours = strncmp(*e, prefixes[i], strlen(prefixes[i])) != 0;
                r = ours ? strv_push(&s->env, *e) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* systemd reads units from $XDG_RUNTIME_DIR/systemd/user too, and forgets them with the session: so
 * ~/.config stays as it is. */
static int add_systemd(Scratch *s, const Paths *p) {
        static const char tail[] = "/systemd/private";
        _cleanup_free_ char *base = NULL;
        size_t n;

        if (!p->manager_socket)
                return -ENOENT;
        n = strlen(p->manager_socket) - strlen(tail);
        base = strndup(p->manager_socket, n);
        if (!base)
                return -ENOMEM;
        return strv_env_set(&s->env, "XDG_CONFIG_HOME", base);
}

static int make_environment(Scratch *s, const Paths *p) {
        int r;

        r = inherit(s);
        if (r == 0)
                r = add_place(s, "HOME", "home");
        if (r == 0)
                r = add_place(s, "MOSAIC_HOME", "mosaic");
        if (r == 0)
                r = add_place(s, "XDG_STATE_HOME", "state");
        if (r == 0)
                r = add_place(s, "TMUX_TMPDIR", "tmux");
        if (r == 0)
                r = strv_env_set(&s->env, "MOSAIC_LIBEXEC_DIR", p->libexec);
        if (r == 0 && s->supervisor == SUPERVISOR_SYSTEMD)
                return add_systemd(s, p);
        if (r == 0)
                r = add_place(s, "XDG_CONFIG_HOME", "config");
        return r < 0 ? r : add_place(s, "XDG_RUNTIME_DIR", "run");
}

/* All that follows from its directory. */
static int furnish(Scratch *s, const Paths *p) {
        int r;

        s->program = strdup(p->program);
        if (!s->program)
                return -ENOMEM;
        r = make_environment(s, p);
        if (r == 0)
                r = path_join(s->top, "mosaic/fleet/roster.yaml", &s->roster);
        if (r == 0)
                r = path_join(strv_env_get(s->env, "XDG_CONFIG_HOME"), "systemd/user", &s->units);
        if (r < 0)
                return r;
        s->tmux_dir = strdup(strv_env_get(s->env, "TMUX_TMPDIR"));
        return s->tmux_dir ? 0 : -ENOMEM;
}

int scratch_new(const Paths *p, Supervisor supervisor, Scratch **ret) {
        _cleanup_(scratch_freep) Scratch *s = calloc(1, sizeof(Scratch));
        _cleanup_free_ char *lock = NULL;
        LockHolder holder;
        int r;

        if (!s)
                return -ENOMEM;
        s->lock = -1;
        s->supervisor = supervisor;
        if (supervisor == SUPERVISOR_SYSTEMD && !p->manager_socket)
                return SCRATCH_NO_MANAGER;
        r = make_top(&s->top);
        if (r == 0)
                r = path_join(s->top, LOCK_NAME, &lock);
        if (r == 0)
                r = lock_take_file(lock, LOCK_NOTE, &s->lock, &holder);
        if (r == LOCK_BUSY)
                r = -EBUSY;
        if (r == 0)
                r = furnish(s, p);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

/* --- those of killed processes ---------------------------------------------------------------- */

/* Only what make_top() made, and only ours: a link or a directory of somebody else's that bears the
 * name is none. */
static bool is_top(const char *path) {
        struct stat st;

        return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
               (st.st_mode & 07777) == 0700;
}

/* 0 with the lock of its dead process; LOCK_BUSY, -ENOENT, another negative errno. */
static int take_dead(const char *top, int *ret_lock) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -1;
        LockHolder holder;
        int r;

        if (!is_top(top))
                return -ENOENT;
        r = path_join(top, LOCK_NAME, &path);
        if (r == 0)
                r = lock_take_dead(path, &fd, &holder);
        if (r == 0 && strcmp(holder.verb, LOCK_NOTE) != 0)
                r = -ENOENT;
        if (r == 0)
                *ret_lock = TAKE_FD(fd);
        return r;
}

static int find_dead_in(const char *parent, char ***tops) {
        _cleanup_closedir_ DIR *d = opendir(parent);

        while (d) {
                const struct dirent *e = readdir(d);
                _cleanup_close_ int lock = -1;
                _cleanup_free_ char *top = NULL;
                int r;

                if (!e)
                        return 0;
                if (strncmp(e->d_name, TOP_PREFIX, strlen(TOP_PREFIX)) != 0)
                        continue;
                r = path_join(parent, e->d_name, &top);
                if (r < 0)
                        return r;
                r = take_dead(top, &lock);
                if (r == 0 && !strv_find(*tops, top))
                        r = strv_push(tops, top);
                if (r == -ENOMEM)
                        return r;
        }
        return 0;
}

int scratch_find_dead(char ***ret) {
        _cleanup_strv_ char **tops = NULL;
        int r;

        r = find_dead_in("/tmp", &tops);
        if (r == 0 && strcmp(parent_of_all(), "/tmp") != 0)
                r = find_dead_in(parent_of_all(), &tops);
        if (r < 0)
                return r;
        strv_sort(tops);
        *ret = TAKE_PTR(tops);
        return 0;
}

int scratch_adopt(const Paths *p, const char *top, Scratch **ret) {
        _cleanup_(scratch_freep) Scratch *s = calloc(1, sizeof(Scratch));
        _cleanup_free_ char *run = NULL;
        int r;

        if (!s)
                return -ENOMEM;
        s->lock = -1;
        s->keep = true;
        r = take_dead(top, &s->lock);
        if (r == 0)
                r = path_join(top, "run", &run);
        if (r != 0)
                return r;
        s->top = strdup(top);
        if (!s->top)
                return -ENOMEM;
        /* Without systemd it has a runtime directory of its own. */
        s->supervisor = access(run, F_OK) == 0 ? SUPERVISOR_DIRECT : SUPERVISOR_SYSTEMD;
        r = furnish(s, p);
        if (r < 0)
                return r;
        s->keep = false;
        *ret = TAKE_PTR(s);
        return 0;
}

int scratch_write_roster(
                const Scratch *s, const char *text, const char *const *agents, size_t n_agents) {
        static const char mark[] = "@top@";
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        int r;

        for (const char *at; (at = strstr(text, mark)); text = at + strlen(mark)) {
                strbuf_add_bytes(&b, text, (size_t)(at - text));
                strbuf_add(&b, s->top);
        }
        strbuf_add(&b, text);
        if (b.failed)
                return -ENOMEM;
        for (size_t i = 0; i < n_agents; i++) {
                _cleanup_free_ char *dir = NULL;

                if (format_text(&dir, "%s/work/%s", s->top, agents[i]) < 0)
                        return -ENOMEM;
                r = dir_make(dir);
                if (r < 0)
                        return r;
        }
        return file_replace(s->roster, strbuf_text(&b), b.length, 0600);
}

int scratch_run(const Scratch *s, char *const *words, ProcessResult *ret) {
        _cleanup_strv_ char **argv = NULL;
        ProcessRequest request = {
                .env = s->env,
                .output_max = OUTPUT_MAX,
                .timeout_usec = RUN_TIMEOUT_USEC,
        };
        int r;

        r = strv_push(&argv, s->program);
        for (; r == 0 && *words; words++)
                r = strv_push(&argv, *words);
        if (r < 0)
                return r;
        request.argv = argv;
        return process_run(&request, ret);
}

/* --- what is left ----------------------------------------------------------------------------- */

/* Does the environment of the process name our directory? Those of others cannot be read. */
static bool is_ours(const char *pid, const char *top) {
        _cleanup_free_ char *path = NULL, *bytes = NULL;
        size_t size;

        if (format_text(&path, "/proc/%s/environ", pid) < 0)
                return false;
        if (file_read_limited(path, ENVIRONMENT_MAX, &bytes, &size) < 0)
                return false;
        return memmem(bytes, size, top, strlen(top)) != NULL;
}

static int add_processes(const Scratch *s, StrBuf *b) {
        _cleanup_closedir_ DIR *d = opendir("/proc");

        if (!d)
                return -errno;
        for (struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && is_ours(e->d_name, s->top))
                        strbuf_addf(b, "%sprocess %s", b->length > 0 ? ", " : "", e->d_name);
        return 0;
}

/* Names in a directory that begin so; a directory that is not there has none. */
static int add_files(const char *path, const char *prefix, StrBuf *b) {
        _cleanup_closedir_ DIR *d = opendir(path);

        if (!d)
                return errno == ENOENT ? 0 : -errno;
        for (struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0)
                        strbuf_addf(b, "%s%s/%s", b->length > 0 ? ", " : "", path, e->d_name);
        return 0;
}

int scratch_leftovers(const Scratch *s, const char *unit_prefix, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        _cleanup_free_ char *sockets = NULL, *state = NULL;
        int r;

        if (format_text(&sockets, "%s/tmux-%u", s->tmux_dir, (unsigned)getuid()) < 0)
                return -ENOMEM;
        r = path_join(s->top, "state/mosaic", &state);
        if (r == 0)
                r = add_processes(s, &b);
        if (r == 0)
                r = add_files(sockets, "", &b);
        if (r == 0)
                r = add_files(state, "", &b);
        if (r == 0 && unit_prefix)
                r = add_files(s->units, unit_prefix, &b);
        return r < 0 ? r : strbuf_finish(&b, ret);
}
