/* SPDX-License-Identifier: MIT */
#include "drivers/os/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "model/base/parse.h"

#define CONTROLLER_LOCK "controller.lock"

static void read_holder(int fd, LockHolder *ret) {
        char text[64] = "";
        int pid = 0;

        *ret = (LockHolder){ 0 };
        if (pread(fd, text, sizeof(text) - 1, 0) > 0 &&
                        sscanf(text, "%d %31s", &pid, ret->verb) >= 1)
                ret->pid = pid;
}

static int write_holder(int fd, const char *verb) {
        char text[64];
        int n = snprintf(text, sizeof(text), "%d %.31s\n", (int)getpid(), verb);

        if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
                return errno ? -errno : -EIO;
        return 0;
}

/* What writers that were killed left behind. Who has the lock knows that it is worth a look: the
 * age of a file and its writer's pid say whether somebody still writes (launchers do, without the
 * lock). */
static int sweep(const Paths *p) {
        const struct {
                const char *top;
                const char *sub;
        } places[] = {
                { p->state, "." },
                { p->state, "specs" },
                { p->state, "holds" },
                { p->state, "stops" },
                { p->state, "ended" },
                { p->runtime, "." },
                { p->runtime, "run" },
        };

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *dir = NULL;
                int r;

                r = path_join(places[i].top, places[i].sub, &dir);
                if (r < 0)
                        return r;
                dir_sweep(dir, "");
        }
        return 0;
}

/* Takes the lock at @path; @ret_holder: who has it, or what the one before left written there. */
static int take(const char *path,
                const char *verb,
                uint64_t timeout_usec,
                int *ret_fd,
                LockHolder *ret_holder) {
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;
        const struct timespec step = { .tv_nsec = 20 * 1000000L };
        _cleanup_close_ int fd = -1;
        int r;

        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        /* flock(2) has no deadline; while somebody else works, looking every 20 ms is cheap. */
        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -errno;
                if (clock_monotonic_usec() >= deadline) {
                        read_holder(fd, ret_holder);
                        return LOCK_BUSY;
                }
                /* Only a handler ends it early: somebody pressed Ctrl-C and meant it. */
                if (nanosleep(&step, NULL) < 0 && errno == EINTR)
                        return -EINTR;
        }
        read_holder(fd, ret_holder);
        r = write_holder(fd, verb);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The lock of that name in the state directory. */
static int take_state(const Paths *p,
                const char *file,
                const char *verb,
                uint64_t timeout_usec,
                int *ret_fd,
                LockHolder *ret_holder) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = dir_make(p->state);
        if (r == 0)
                r = dir_check_own(p->state);
        if (r == 0)
                r = dir_check_own(p->runtime);
        if (r == 0)
                r = path_join(p->state, file, &path);
        return r < 0 ? r : take(path, verb, timeout_usec, ret_fd, ret_holder);
}

int lock_take(const Paths *p,
                const char *verb,
                uint64_t timeout_usec,
                int *ret_fd,
                LockHolder *ret_holder) {
        _cleanup_close_ int fd = -1;
        int r;

        r = take_state(p, "lock", verb, timeout_usec, &fd, ret_holder);
        if (r == 0)
                r = sweep(p);
        if (r != 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int lock_take_controller(const Paths *p, const char *verb, int *ret_fd, LockHolder *ret_holder) {
        return take_state(p, CONTROLLER_LOCK, verb, 0, ret_fd, ret_holder);
}

/* Does this process have this file locked? A look by flock(2) itself would be in the way of who
 * wants the lock at that moment. The device is not compared: file systems with subvolumes show
 * stat(2) another one. */
static bool has_locked(pid_t pid, ino_t inode) {
        _cleanup_fclose_ FILE *f = fopen("/proc/locks", "re");
        char line[256];

        while (f && fgets(line, sizeof(line), f)) {
                unsigned long number;
                int holder;

                if (sscanf(line, "%*d: FLOCK ADVISORY WRITE %d %*x:%*x:%lu", &holder, &number) ==
                                                2 &&
                                holder == pid && number == inode)
                        return true;
        }
        return false;
}

pid_t lock_controller(const Paths *p) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -1;
        LockHolder holder;
        struct stat st;

        if (path_join(p->state, CONTROLLER_LOCK, &path) < 0)
                return 0;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) < 0)
                return 0;
        read_holder(fd, &holder);
        return holder.pid > 0 && strcmp(holder.verb, LOCK_WATCH) == 0 &&
                                               has_locked(holder.pid, st.st_ino)
                               ? holder.pid
                               : 0;
}

int lock_take_agent(const Paths *p,
                const char *agent,
                const char *note,
                uint64_t timeout_usec,
                int *ret_fd,
                LockHolder *ret_holder) {
        _cleanup_free_ char *dir = NULL, *path = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        r = path_join(p->runtime, "send", &dir);
        if (r < 0)
                return r;
        r = dir_make(dir);
        if (r < 0)
                return r;
        r = path_join(dir, agent, &path);
        if (r < 0)
                return r;
        r = take(path, note, timeout_usec, &fd, ret_holder);
        if (r != 0)
                return r;
        /* The tmux clients that we start hold it too: what one of them still does after we were
         * killed happens before the next one gets the lock. */
        if (fcntl(fd, F_SETFD, 0) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Who asks whether it is dead has it for a moment. */
#define FILE_TIMEOUT_USEC (5 * USEC_PER_SEC)

int lock_take_file(const char *path, const char *note, int *ret_fd, LockHolder *ret_holder) {
        return take(path, note, FILE_TIMEOUT_USEC, ret_fd, ret_holder);
}

int lock_take_dead(const char *path, int *ret_fd, LockHolder *ret_holder) {
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? LOCK_BUSY : -errno;
        /* Its pid stands in it only once it had the lock. */
        read_holder(fd, ret_holder);
        if (ret_holder->pid == 0)
                return LOCK_BUSY;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int lock_note(int fd, const char *note) {
        return write_holder(fd, note);
}

bool lock_is_current(const Paths *p, int fd) {
        _cleanup_free_ char *path = NULL;
        struct stat held, there;

        if (path_join(p->state, CONTROLLER_LOCK, &path) < 0 || fstat(fd, &held) < 0)
                return true; /* nothing is known against it */
        return stat(path, &there) == 0 && there.st_ino == held.st_ino &&
               there.st_dev == held.st_dev;
}
