/* SPDX-License-Identifier: MIT */
#include "drivers/os/roster-file.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/os/file.h"
#include "drivers/os/ownership.h"
#include "model/base/yaml-bytes.h"
#include "model/roster.h"

static int refuse(Diags *diags, const char *code, const char *help, const char *text) {
        (void)diags_add(diags, SEVERITY_ERROR, code, SPAN_NONE, NULL, help, "%s", text);
        return ROSTER_INVALID;
}

static int refuse_open(Diags *diags, int error) {
        switch (error) {
        case ENOENT:
        case ENOTDIR:
                return refuse(diags, "roster-missing",
                                "mosaic fleet init --profile minimal --write makes a first one",
                                "there is no roster");
        case ENOMEM:
        case EMFILE:
        case ENFILE:
                return -error;
        default:
                (void)diags_add(diags, SEVERITY_ERROR, "roster-unreadable", SPAN_NONE, NULL, NULL,
                                "cannot open the roster: %s", strerror(error));
                return ROSTER_INVALID;
        }
}

/* Whoever can write the roster can run programs as this user. */
static int check_owner(const struct stat *st, Diags *diags) {
        if (st->st_uid != geteuid() && st->st_uid != 0)
                return refuse(diags, "roster-owner", "chown it, or make a copy of your own",
                                "the roster belongs to another user");
        if (others_may_write(st))
                return refuse(diags, "roster-writable", "chmod go-w on it",
                                "other users may write the roster, and so run programs as you");
        return 0;
}

/* A read lease is granted only while nobody has the file open for writing; who wants to, then waits
 * the moment until it is given back. Returns false if somebody has. */
static bool hold_writers(int fd) {
        struct sigaction ignore = { .sa_handler = SIG_IGN };

        /* The kernel says by SIGIO that a writer waits, and that would be our end. */
        (void)sigaction(SIGIO, &ignore, NULL);
        return fcntl(fd, F_SETLEASE, F_RDLCK) == 0 || errno != EAGAIN;
}

static void release_writers(int fd) {
        (void)fcntl(fd, F_SETLEASE, F_UNLCK);
}

static bool is_same(const struct stat *a, const struct stat *b) {
        return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
               a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* @ret_settled NULL: nobody asks. */
static int
read_roster(const char *path, Diags *diags, char **ret_bytes, size_t *ret_size, bool *ret_settled) {
        _cleanup_close_ int fd = -1;
        struct stat st, after;
        int r;

        /* a FIFO or a terminal must not hold us up, nor become our terminal */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return refuse_open(diags, errno);
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return refuse(diags, "roster-not-a-file", "put the roster there as a file",
                                S_ISDIR(st.st_mode) ? "the roster is a directory"
                                                    : "the roster is no regular file");
        r = check_owner(&st, diags);
        if (r != 0)
                return r;
        if (ret_settled)
                *ret_settled = hold_writers(fd);
        r = file_read_fd(fd, YAML_SIZE_MAX, ret_bytes, ret_size);
        if (ret_settled) {
                *ret_settled = *ret_settled && fstat(fd, &after) == 0 && is_same(&st, &after);
                release_writers(fd);
        }
        if (r == -EFBIG)
                return refuse(diags, "too-large", "split the fleet over several homes",
                                "the roster is larger than 4 MiB");
        if (r < 0 && r != -ENOMEM) {
                (void)diags_add(diags, SEVERITY_ERROR, "roster-unreadable", SPAN_NONE, NULL, NULL,
                                "cannot read the roster: %s", strerror(-r));
                return ROSTER_INVALID;
        }
        return r;
}

int roster_file_read(const char *path, Diags *diags, char **ret_bytes, size_t *ret_size) {
        return read_roster(path, diags, ret_bytes, ret_size, NULL);
}

int roster_file_read_settled(const char *path,
                Diags *diags,
                char **ret_bytes,
                size_t *ret_size,
                bool *ret_settled) {
        *ret_settled = true;
        return read_roster(path, diags, ret_bytes, ret_size, ret_settled);
}
