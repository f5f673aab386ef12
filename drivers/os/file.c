/* SPDX-License-Identifier: MIT */
#include "drivers/os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

/* Up to this many files are synchronised one by one: syncfs(2) writes out whatever else its file
 * system holds, so it pays only for more. */
#define FSYNC_MAX 4

/* Nobody takes that long to write a file of ours. */
#define LEFTOVER_AGE_SEC 60

int file_write_fd(int fd, const void *bytes, size_t n) {
        const char *p = bytes;

        while (n > 0) {
                ssize_t written = write(fd, p, n);

                if (written < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += written;
                n -= (size_t)written;
        }
        return 0;
}

#define ASIDE_MAX 99
#define TEMPORARY_INFIX ".tmp-"

/* ".NAME.tmp-PID", beside it: no reader takes it for a record, and what a crash left shows whose it
 * was. */
static int temporary_name(const char *path, char **ret) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

        return format_text(ret, "%.*s.%s" TEMPORARY_INFIX "%ld", (int)(name - path), path, name,
                        (long)getpid());
}

static int write_temporary(int dir_fd,
                const char *temporary,
                const void *bytes,
                size_t n,
                mode_t mode,
                bool sync) {
        _cleanup_close_ int fd = -1;
        int r;

        if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return -errno;
        r = fchmod(fd, mode) < 0 ? -errno : file_write_fd(fd, bytes, n);
        if (r == 0 && sync && fsync(fd) < 0)
                r = -errno;
        if (r < 0)
                (void)unlinkat(dir_fd, temporary, 0);
        return r;
}

/* Makes a rename last. A file system that cannot do that (EINVAL) has no better answer either. */
static int sync_directory(int fd) {
        return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int open_directory(const char *path) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* Opens the directory of @path; *ret_name points to the last part of it. */
static int open_parent(const char *path, const char **ret_name) {
        _cleanup_free_ char *dir = NULL;
        const char *slash = strrchr(path, '/');

        if (!slash) {
                *ret_name = path;
                return open_directory(".");
        }
        if (slash[1] == '\0')
                return -EISDIR;
        dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
        if (!dir)
                return -ENOMEM;
        *ret_name = slash + 1;
        return open_directory(dir);
}

/* Only a plain file, or nothing, may be replaced: a rename over a link makes two files of one, and
 * over a device or a socket it takes away what others use. */
static int check_replaceable(int dir_fd, const char *name) {
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (S_ISREG(st.st_mode))
                return 0;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTSUP;
}

static int replace(const char *path, const void *bytes, size_t n, mode_t mode, bool durable) {
        _cleanup_free_ char *temporary = NULL;
        _cleanup_close_ int dir_fd = -1;
        const char *name;
        int r;

        dir_fd = open_parent(path, &name);
        if (dir_fd < 0)
                return dir_fd;
        r = check_replaceable(dir_fd, name);
        if (r < 0)
                return r;
        r = temporary_name(name, &temporary);
        if (r < 0)
                return r;
        r = write_temporary(dir_fd, temporary, bytes, n, mode, durable);
        if (r < 0)
                return r;
        if (renameat(dir_fd, temporary, dir_fd, name) < 0) {
                r = -errno;
                (void)unlinkat(dir_fd, temporary, 0);
                return r;
        }
        return durable ? sync_directory(dir_fd) : 0;
}

int file_replace(const char *path, const void *bytes, size_t n, mode_t mode) {
        return replace(path, bytes, n, mode, /* durable= */ true);
}

int file_replace_volatile(const char *path, const void *bytes, size_t n, mode_t mode) {
        return replace(path, bytes, n, mode, /* durable= */ false);
}

/* Writes all and renames all, if @durable with everything on disk in between. */
static int replace_all(int dir_fd,
                char *const *names,
                char *const *temporary,
                char *const *texts,
                mode_t mode,
                bool durable) {
        size_t n = strv_length(names);
        int r;

        for (size_t i = 0; i < n; i++) {
                r = write_temporary(dir_fd, temporary[i], texts[i], strlen(texts[i]), mode,
                                durable && n <= FSYNC_MAX);
                if (r < 0)
                        return r;
        }
        if (durable && n > FSYNC_MAX && syncfs(dir_fd) < 0)
                return -errno;
        for (size_t i = 0; i < n; i++) {
                r = check_replaceable(dir_fd, names[i]);
                if (r < 0)
                        return r;
                if (renameat(dir_fd, temporary[i], dir_fd, names[i]) < 0)
                        return -errno;
        }
        return durable ? sync_directory(dir_fd) : 0;
}

static int
replace_many(const char *dir, char *const *names, char *const *texts, mode_t mode, bool durable) {
        _cleanup_strv_ char **temporary = NULL;
        _cleanup_close_ int dir_fd = -1;
        int r;

        if (strv_length(names) != strv_length(texts))
                return -EINVAL;
        dir_fd = open_directory(dir);
        if (dir_fd < 0)
                return dir_fd;
        for (size_t i = 0; i < strv_length(names); i++) {
                char *name;

                r = temporary_name(names[i], &name);
                if (r < 0)
                        return r;
                r = strv_take(&temporary, name);
                if (r < 0)
                        return r;
        }
        r = replace_all(dir_fd, names, temporary, texts, mode, durable);
        if (r < 0)
                for (size_t i = 0; i < strv_length(temporary); i++)
                        (void)unlinkat(dir_fd, temporary[i], 0); /* ENOENT: already renamed */
        return r;
}

int file_replace_many(const char *dir, char *const *names, char *const *texts, mode_t mode) {
        return replace_many(dir, names, texts, mode, /* durable= */ true);
}

int file_replace_many_volatile(
                const char *dir, char *const *names, char *const *texts, mode_t mode) {
        return replace_many(dir, names, texts, mode, /* durable= */ false);
}

/* ".NAME.tmp-PID" whose NAME begins with @prefix, of a writer that is gone. A pid may have been
 * given away again, or be one of another container that shares the directory: so the age counts as
 * well. */
static bool is_leftover(int dir_fd, const char *file, const char *prefix, time_t now) {
        const char *infix = NULL;
        struct stat st;
        uint64_t pid;

        if (file[0] != '.' || strncmp(file + 1, prefix, strlen(prefix)) != 0)
                return false;
        for (const char *p = file + 1; (p = strstr(p, TEMPORARY_INFIX)); p++)
                infix = p;
        if (!infix || infix == file + 1 ||
                        parse_uint_range(infix + strlen(TEMPORARY_INFIX), 1, INT32_MAX, &pid) < 0)
                return false;
        if (fstatat(dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
                        st.st_uid != geteuid())
                return false;
        return st.st_mtime < now - LEFTOVER_AGE_SEC && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void dir_sweep(const char *path, const char *prefix) {
        _cleanup_closedir_ DIR *d = opendir(path);
        time_t now = time(NULL);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (is_leftover(dirfd(d), e->d_name, prefix, now))
                        (void)unlinkat(dirfd(d), e->d_name, 0);
}

int file_sweep(const char *path) {
        _cleanup_free_ char *dir = strdup(path);
        char *slash;

        if (!dir)
                return -ENOMEM;
        slash = strrchr(dir, '/');
        if (!slash)
                return -EINVAL;
        *slash = '\0';
        dir_sweep(slash == dir ? "/" : dir, slash + 1);
        return 0;
}

#define FIRST_ROOM 4096

/* Room for what is expected, for a byte more, and for the NUL. */
static size_t first_room(size_t expected) {
        return expected + 2 > FIRST_ROOM && expected < SIZE_MAX - 2 ? expected + 2 : FIRST_ROOM;
}

/* @expected: what fstat(2) says of a plain file. Where one read gives just that and had room for
 * more, the file ends there, and nobody need be asked again. 0: not known. */
static int read_fd(int fd, size_t max, size_t expected, char **ret, size_t *ret_size) {
        _cleanup_free_ char *bytes = NULL;
        size_t room = 0, n = 0;

        for (;;) {
                ssize_t got;

                if (n + 1 >= room) {
                        /* one byte more than allowed is read, to see that there is more */
                        size_t bigger = room == 0 ? first_room(expected) : 2 * room;
                        char *p;

                        if (bigger > max + 2)
                                bigger = max + 2;
                        p = realloc(bytes, bigger);
                        if (!p)
                                return -ENOMEM;
                        bytes = p;
                        room = bigger;
                }
                got = read(fd, bytes + n, room - n - 1);
                if (got < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (got == 0)
                        break;
                n += (size_t)got;
                if (n > max)
                        return -EFBIG;
                if (n == expected && n == (size_t)got && n + 1 < room)
                        break;
        }
        bytes[n] = '\0';
        *ret = TAKE_PTR(bytes);
        *ret_size = n;
        return 0;
}

int file_read_fd(int fd, size_t max, char **ret, size_t *ret_size) {
        return read_fd(fd, max, 0, ret, ret_size);
}

static bool others_can_write(const struct stat *st) {
        return st->st_mode & (S_IWGRP | S_IWOTH);
}

static int read_path(
                int dir_fd, const char *path, bool own, size_t max, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        if (max > SIZE_MAX - 2)
                return -EINVAL;
        /* O_NONBLOCK: a FIFO of that name must not hold us up */
        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if (own && ((st.st_uid != geteuid() && st.st_uid != 0) || others_can_write(&st)))
                return -EPERM;
        return read_fd(fd, max, (size_t)st.st_size, ret, ret_size);
}

int file_read_limited(const char *path, size_t max, char **ret, size_t *ret_size) {
        return read_path(AT_FDCWD, path, /* own= */ false, max, ret, ret_size);
}

int file_read_own(const char *path, size_t max, char **ret, size_t *ret_size) {
        return file_read_own_at(AT_FDCWD, path, max, ret, ret_size);
}

int file_read_own_at(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size) {
        return read_path(dir_fd, path, /* own= */ true, max, ret, ret_size);
}

int file_remove(const char *path) {
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

int file_set_aside(const char *path, char **ret) {
        for (unsigned i = 1; i <= ASIDE_MAX; i++) {
                _cleanup_free_ char *to = NULL;
                struct stat st;

                if (format_text(&to, "%s.%u", path, i) < 0)
                        return -ENOMEM;
                if (lstat(to, &st) == 0)
                        continue;
                if (rename(path, to) < 0)
                        return -errno;
                *ret = TAKE_PTR(to);
                return 0;
        }
        return -EEXIST;
}

int file_remove_durably(const char *path) {
        _cleanup_close_ int dir_fd = -1;
        const char *name;

        if (unlink(path) < 0)
                return errno == ENOENT ? 0 : -errno;
        dir_fd = open_parent(path, &name);
        return dir_fd < 0 ? dir_fd : sync_directory(dir_fd);
}

/* A new directory lasts once the one above it is on disk. */
static int make_one(const char *path) {
        _cleanup_close_ int dir_fd = -1;
        const char *name;

        if (mkdir(path, 0700) < 0)
                return -errno;
        dir_fd = open_parent(path, &name);
        /* Where others may only enter and write, nothing can be made to last. */
        if (dir_fd == -EACCES || dir_fd == -EISDIR)
                return 0;
        return dir_fd < 0 ? dir_fd : sync_directory(dir_fd);
}

int dir_make(const char *path) {
        _cleanup_free_ char *copy = strdup(path);
        struct stat st;
        int r;

        if (!copy)
                return -ENOMEM;
        if (path[0] == '\0')
                return -EINVAL;
        r = make_one(path);
        if (r == -ENOENT) {
                for (char *p = copy + 1; *p; p++) {
                        if (*p != '/')
                                continue;
                        *p = '\0';
                        r = make_one(copy);
                        if (r < 0 && r != -EEXIST)
                                return r;
                        *p = '/';
                }
                r = make_one(path);
        }
        if (r != -EEXIST)
                return r;
        if (stat(path, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int dir_check_own(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        return st.st_uid != geteuid() || others_can_write(&st) ? -EPERM : 0;
}
