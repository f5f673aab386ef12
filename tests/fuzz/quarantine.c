/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/quarantine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "model/base/cleanup.h"

#define BEGIN_USEC (1700000000 * UINT64_C(1000000))
#define LONGEST_USEC (24 * 3600 * UINT64_C(1000000))
#define FDS_MAX 128

Quarantine quarantine;

static bool active;
static bool was_open[FDS_MAX];
static uint64_t now_usec;

/* Each function that is taken over: how it is called, and the real one. */
#define TAKE(type, name, ...)                                                                      \
        type __real_##name(__VA_ARGS__);                                                           \
        type __wrap_##name(__VA_ARGS__);                                                           \
        type __wrap_##name(__VA_ARGS__)

#define REFUSE(error)                                                                              \
        do {                                                                                       \
                errno = (error);                                                                   \
                return -1;                                                                         \
        } while (0)

void quarantine_begin(void) {
        for (int fd = 0; fd < FDS_MAX; fd++)
                was_open[fd] = fcntl(fd, F_GETFD) >= 0;
        now_usec = BEGIN_USEC;
        quarantine.n_writes = quarantine.n_outside = quarantine.n_locks = quarantine.n_spawns = 0;
        active = true;
}

void quarantine_end(void) {
        active = false;
        for (int fd = 0; fd < FDS_MAX; fd++)
                if (!was_open[fd])
                        (void)close(fd);
}

/* --- processes and connections ---------------------------------------------------------------- */

TAKE(int,
                posix_spawn,
                pid_t *ret,
                const char *path,
                const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes,
                char *const *argv,
                char *const *env) {
        if (!active)
                return __real_posix_spawn(ret, path, actions, attributes, argv, env);
        quarantine.n_spawns++;
        return EAGAIN;
}

TAKE(pid_t, fork, void) {
        if (!active)
                return __real_fork();
        quarantine.n_spawns++;
        REFUSE(EAGAIN);
}

TAKE(int, execve, const char *path, char *const *argv, char *const *env) {
        if (!active)
                return __real_execve(path, argv, env);
        quarantine.n_spawns++;
        REFUSE(ENOEXEC);
}

TAKE(int, kill, pid_t pid, int sig) {
        if (!active)
                return __real_kill(pid, sig);
        assert(pid > 0);
        REFUSE(ESRCH);
}

TAKE(int, pidfd_open, pid_t pid, unsigned flags) {
        if (!active)
                return __real_pidfd_open(pid, flags);
        REFUSE(ESRCH);
}

TAKE(int, pidfd_send_signal, int fd, int sig, siginfo_t *info, unsigned flags) {
        if (!active)
                return __real_pidfd_send_signal(fd, sig, info, flags);
        REFUSE(ESRCH);
}

TAKE(int, connect, int fd, const struct sockaddr *address, socklen_t n) {
        if (!active)
                return __real_connect(fd, address, n);
        REFUSE(ECONNREFUSED);
}

TAKE(int, sd_bus_start, sd_bus *bus) {
        return active ? -ECONNREFUSED : __real_sd_bus_start(bus);
}

TAKE(int, sd_event_loop, sd_event *event) {
        return active ? -EIO : __real_sd_event_loop(event);
}

/* What would change this process itself. */
TAKE(int, dup2, int from, int to) {
        if (!active)
                return __real_dup2(from, to);
        REFUSE(EBADF);
}

TAKE(int, close_range, unsigned first, unsigned last, int flags) {
        if (!active)
                return __real_close_range(first, last, flags);
        REFUSE(ENOSYS);
}

TAKE(int, sigaction, int sig, const struct sigaction *action, struct sigaction *old) {
        if (!active)
                return __real_sigaction(sig, action, old);
        if (old)
                memset(old, 0, sizeof(*old));
        return 0;
}

TAKE(int, sigprocmask, int how, const sigset_t *set, sigset_t *old) {
        if (!active)
                return __real_sigprocmask(how, set, old);
        if (old)
                (void)sigemptyset(old);
        return 0;
}

TAKE(int, setitimer, __itimer_which_t which, const struct itimerval *value, struct itimerval *old) {
        return active ? 0 : __real_setitimer(which, value, old);
}

TAKE(int, setpgid, pid_t pid, pid_t group) {
        return active ? 0 : __real_setpgid(pid, group);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Whether a name leads below the directory. */
static bool is_inside(int at, const char *path) {
        size_t n = strlen(quarantine.directory);
        char link[64], start[4096];
        ssize_t length;

        if (strstr(path, "..") || (*path != '/' && at == AT_FDCWD))
                return false;
        if (*path == '/')
                return strncmp(path, quarantine.directory, n) == 0 && path[n] == '/';
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
        length = readlink(link, start, sizeof(start) - 1);
        if (length < 0)
                return false;
        start[length] = '\0';
        return strncmp(start, quarantine.directory, n) == 0 &&
               (start[n] == '/' || start[n] == '\0');
}

static bool may_write(int at, const char *path) {
        size_t n = strlen(path);

        quarantine.n_writes++;
        quarantine.n_locks += n >= 4 && strcmp(path + n - 4, "lock") == 0;
        if (is_inside(at, path))
                return true;
        quarantine.n_outside++;
        errno = EROFS;
        return false;
}

static bool writes(int flags) {
        return (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
}

static bool is_no_file(const char *path) {
        return strcmp(path, "/dev/null") == 0;
}

int __real_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...) {
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        if (active && strcmp(path, "/proc/self/fd/1") == 0) /* standard output, once more */
                path = "/dev/null";
        if (active && writes(flags) && !is_no_file(path) && !may_write(at, path))
                return -1;
        /* A pipe or a terminal would be waited for. */
        return __real_openat64(at, path, active ? flags | O_NONBLOCK : flags, mode);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...) {
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        if (!active)
                return __real_open64(path, flags, mode);
        return __wrap_openat64(AT_FDCWD, path, flags, mode);
}

TAKE(FILE *, fopen64, const char *path, const char *mode) {
        if (active && strpbrk(mode, "wa+") && !may_write(AT_FDCWD, path))
                return NULL;
        return __real_fopen64(path, mode);
}

TAKE(int, mkdir, const char *path, mode_t mode) {
        struct stat st;

        /* Of one that is there nothing is written. */
        if (active && stat(path, &st) < 0) {
                quarantine.n_locks++;
                if (!may_write(AT_FDCWD, path))
                        return -1;
        }
        return __real_mkdir(path, mode);
}

TAKE(char *, mkdtemp, char *path) {
        return active && !may_write(AT_FDCWD, path) ? NULL : __real_mkdtemp(path);
}

TAKE(int, renameat, int from, const char *path, int to, const char *to_path) {
        if (active && (!may_write(from, path) || !may_write(to, to_path)))
                return -1;
        return __real_renameat(from, path, to, to_path);
}

TAKE(int, rename, const char *path, const char *to_path) {
        if (active && (!may_write(AT_FDCWD, path) || !may_write(AT_FDCWD, to_path)))
                return -1;
        return __real_rename(path, to_path);
}

TAKE(int, unlinkat, int at, const char *path, int flags) {
        return active && !may_write(at, path) ? -1 : __real_unlinkat(at, path, flags);
}

TAKE(int, unlink, const char *path) {
        return active && !may_write(AT_FDCWD, path) ? -1 : __real_unlink(path);
}

TAKE(int, rmdir, const char *path) {
        return active && !may_write(AT_FDCWD, path) ? -1 : __real_rmdir(path);
}

/* Who has the lock says by one where it is. */
TAKE(int, symlink, const char *target, const char *path) {
        if (!active)
                return __real_symlink(target, path);
        quarantine.n_locks++;
        return may_write(AT_FDCWD, path) ? __real_symlink(target, path) : -1;
}

TAKE(int, fsync, int fd) {
        return active ? 0 : __real_fsync(fd);
}

TAKE(int, syncfs, int fd) {
        return active ? 0 : __real_syncfs(fd);
}

/* --- the standard streams --------------------------------------------------------------------- */

TAKE(int, isatty, int fd) {
        if (active && fd <= STDERR_FILENO)
                return quarantine.is_terminal;
        return __real_isatty(fd);
}

TAKE(ssize_t, read, int fd, void *buffer, size_t n) {
        if (!active || fd != STDIN_FILENO)
                return __real_read(fd, buffer, n);
        if (n > quarantine.n_input)
                n = quarantine.n_input;
        memcpy(buffer, quarantine.input, n);
        quarantine.input += n;
        quarantine.n_input -= n;
        return (ssize_t)n;
}

TAKE(ssize_t, write, int fd, const void *bytes, size_t n) {
        if (!active || fd > STDERR_FILENO)
                return __real_write(fd, bytes, n);
        return (ssize_t)fwrite(bytes, 1, n, fd == STDOUT_FILENO ? stdout : stderr);
}

/* --- time ------------------------------------------------------------------------------------- */

static void pass_time(uint64_t usec) {
        now_usec += usec;
        if (now_usec - BEGIN_USEC > LONGEST_USEC)
                longjmp(quarantine.too_long, 1);
}

TAKE(int, clock_gettime, clockid_t id, struct timespec *ret) {
        if (!active)
                return __real_clock_gettime(id, ret);
        pass_time(1);
        *ret = (struct timespec){ .tv_sec = (time_t)(now_usec / 1000000),
                .tv_nsec = (long)(now_usec % 1000000 * 1000) };
        return 0;
}

TAKE(int, nanosleep, const struct timespec *time, struct timespec *left) {
        if (!active)
                return __real_nanosleep(time, left);
        pass_time((uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_nsec / 1000 + 1);
        return 0;
}

TAKE(int, poll, struct pollfd *fds, nfds_t n, int timeout_ms) {
        int r;

        if (!active)
                return __real_poll(fds, n, timeout_ms);
        r = __real_poll(fds, n, 0);
        if (r == 0)
                pass_time(timeout_ms < 0 ? LONGEST_USEC : (uint64_t)timeout_ms * 1000);
        return r;
}

/* What the two are called where the compiler checks lengths. */
TAKE(ssize_t, __read_chk, int fd, void *buffer, size_t n, size_t size) {
        if (!active)
                return __real___read_chk(fd, buffer, n, size);
        return __wrap_read(fd, buffer, n);
}

TAKE(int, __poll_chk, struct pollfd *fds, nfds_t n, int timeout_ms, size_t size) {
        if (!active)
                return __real___poll_chk(fds, n, timeout_ms, size);
        return __wrap_poll(fds, n, timeout_ms);
}
