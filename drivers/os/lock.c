/* SPDX-License-Identifier: MIT */
#include "drivers/os/lock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "model/base/parse.h"

#define CONTROLLER_LOCK "controller.lock"

#define STEP_USEC UINT64_C(20000)
/* Who has just got the lock writes its name into it at once. */
#define NAME_USEC UINT64_C(200000)

/* "PID VERB START", as long in every lock: one is written over the other in one call, which needs
 * no room on a full disk, and a reader sees one of them. */
#define NAME_SIZE 80

/* What is written there. @ret_start: of the process, 0 if it is not said. */
static void read_name(int fd, LockHolder *ret, uint64_t *ret_start) {
        char text[NAME_SIZE + 1] = "";
        size_t have = 0;
        ssize_t n;
        int pid = 0;

        *ret = (LockHolder){ 0 };
        *ret_start = 0;
        /* A part of it would be the name of somebody else. */
        while ((n = pread(fd, text + have, NAME_SIZE - have, (off_t)have)) > 0)
                have += (size_t)n;
        if (n == 0 && have > 0 && sscanf(text, "%d %31s %" SCNu64, &pid, ret->verb, ret_start) >= 1)
                ret->pid = pid;
}

/* Who has the lock. What stands there may be of the one before, as long as the new one has not
 * written; of a process that is gone nothing is said, its pid may be another's by now. */
static bool read_holder(int fd, LockHolder *ret) {
        uint64_t start;

        read_name(fd, ret, &start);
        if (ret->pid > 0 && proc_is(ret->pid, start) > 0)
                return true;
        *ret = (LockHolder){ 0 };
        return false;
}

static int write_holder(int fd, const char *verb) {
        char text[NAME_SIZE + 1];
        uint64_t start;
        int length, r;

        r = proc_start_time(getpid(), &start);
        if (r < 0)
                return r;
        memset(text, ' ', sizeof(text));
        length = snprintf(text, NAME_SIZE, "%d %.31s %" PRIu64, (int)getpid(), verb, start);
        text[length] = ' ';
        text[NAME_SIZE - 1] = '\n';
        for (size_t done = 0; done < NAME_SIZE;) {
                ssize_t n = pwrite(fd, text + done, NAME_SIZE - done, (off_t)done);

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (size_t)n;
        }
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

/* Is it certainly not the file that others would open now? So if the fleet was uninstalled
 * meanwhile. */
static bool is_replaced(int fd, const char *path) {
        struct stat held, there;

        if (fstat(fd, &held) < 0)
                return false;
        if (stat(path, &there) < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
        return there.st_ino != held.st_ino || there.st_dev != held.st_dev;
}

/* Takes the lock at @path; @ret_holder: who has it, or what the one before left written there.
 * -ESTALE: it was taken away while we waited for it, and is nobody's any more. */
static int
take(const char *path, const char *verb, uint64_t deadline, int *ret_fd, LockHolder *ret_holder) {
        const struct timespec step = { .tv_nsec = STEP_USEC * 1000L };
        _cleanup_close_ int fd = -1;
        uint64_t start;
        int r;

        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        /* flock(2) has no deadline; while somebody else works, looking every 20 ms is cheap. */
        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                uint64_t now = clock_monotonic_usec();

                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -errno;
                if (now >= deadline && (read_holder(fd, ret_holder) || now >= deadline + NAME_USEC))
                        return LOCK_BUSY;
                /* Only a handler ends it early: somebody pressed Ctrl-C and meant it. */
                if (nanosleep(&step, NULL) < 0 && errno == EINTR)
                        return -EINTR;
        }
        if (is_replaced(fd, path))
                return -ESTALE;
        read_name(fd, ret_holder, &start);
        r = write_holder(fd, verb);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The same for a lock in a directory that is made if it is not there. */
static int take_in(const char *dir,
                const char *file,
                const char *verb,
                uint64_t timeout_usec,
                int *ret_fd,
                LockHolder *ret_holder) {
        uint64_t deadline = clock_monotonic_usec() + timeout_usec;
        _cleanup_free_ char *path = NULL;
        int r;

        r = path_join(dir, file, &path);
        if (r < 0)
                return r;
        do {
                r = dir_make(dir);
                if (r == 0)
                        r = take(path, verb, deadline, ret_fd, ret_holder);
        } while (r == -ESTALE || r == -ENOENT);
        return r;
}

/* In the state directory, if nobody else may write to what the fleet goes by. */
static int take_state(const Paths *p,
                const char *file,
                const char *verb,
                uint64_t timeout_usec,
                int *ret_fd,
                LockHolder *ret_holder) {
        int r;

        r = dir_make(p->state);
        if (r == 0)
                r = dir_check_own(p->state);
        if (r == 0)
                r = dir_check_own(p->runtime);
        return r < 0 ? r : take_in(p->state, file, verb, timeout_usec, ret_fd, ret_holder);
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
        return read_holder(fd, &holder) && strcmp(holder.verb, LOCK_WATCH) == 0 &&
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
        _cleanup_free_ char *dir = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        r = path_join(p->runtime, "send", &dir);
        if (r < 0)
                return r;
        r = take_in(dir, agent, note, timeout_usec, &fd, ret_holder);
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
        uint64_t deadline = clock_monotonic_usec() + FILE_TIMEOUT_USEC;
        int r;

        do
                r = take(path, note, deadline, ret_fd, ret_holder);
        while (r == -ESTALE);
        return r;
}

int lock_take_dead(const char *path, int *ret_fd, LockHolder *ret_holder) {
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        uint64_t start;

        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? LOCK_BUSY : -errno;
        /* Its pid stands in it only once it had the lock. */
        read_name(fd, ret_holder, &start);
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

        if (path_join(p->state, CONTROLLER_LOCK, &path) < 0)
                return true; /* nothing is known against it */
        return !is_replaced(fd, path);
}
