/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/made-processes.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drivers/agent/keeper-protocol.h"
#include "model/base/cleanup.h"

#define FIRST_PID 5000000 /* more than a kernel gives */
#define FDS_MAX 256
#define PENDING_MAX 32

World world;

static bool active;
static pid_t next_pid;
static int child_fd = -1; /* the keeper's, for SIGCHLD */
static int write_end = -1;
static int proc_fd = -1;
static size_t proc_at;
static struct ucred creds[FDS_MAX];
static struct {
        int fd;
        struct ucred cred;
} pending[PENDING_MAX];
static size_t n_pending;

pid_t __real_fork(void);
int __real_kill(pid_t pid, int sig);
int __real_waitid(idtype_t type, id_t id, siginfo_t *ret, int options);
pid_t __real_getsid(pid_t pid);
int __real_prctl(int option, ...);
int __real_sigprocmask(int how, const sigset_t *set, sigset_t *ret);
int __real_signalfd(int fd, const sigset_t *mask, int flags);
int __real_pipe2(int fds[2], int flags);
int __real_open64(const char *path, int flags, ...);
int __real_openat64(int at, const char *path, int flags, ...);
ssize_t __real_getdents64(int fd, void *buffer, size_t n);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __real_accept4(int fd, struct sockaddr *from, socklen_t *n, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t n, int flags);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *n);

pid_t __wrap_fork(void);
int __wrap_kill(pid_t pid, int sig);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *ret, int options);
pid_t __wrap_getsid(pid_t pid);
int __wrap_prctl(int option, ...);
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *ret);
int __wrap_signalfd(int fd, const sigset_t *mask, int flags);
int __wrap_pipe2(int fds[2], int flags);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...);
ssize_t __wrap_getdents64(int fd, void *buffer, size_t n);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n);

/* --- the table -------------------------------------------------------------------------------- */

void world_begin(void) {
        memset(&world, 0, sizeof(world));
        world.now_ms = 1000;
        next_pid = FIRST_PID;
        active = true;
}

void world_end(void) {
        for (size_t i = 0; i < n_pending; i++)
                (void)close(pending[i].fd);
        n_pending = 0;
        for (Process *p = world.processes; p < world.processes + PROCESSES_MAX; p++)
                if (p->pid > 0 && p->errors_fd >= 0)
                        (void)close(p->errors_fd);
        child_fd = write_end = proc_fd = -1; /* the keeper's */
        active = false;
}

static Process *find_pid(pid_t pid) {
        for (Process *p = world.processes; p < world.processes + PROCESSES_MAX; p++)
                if (p->pid == pid && pid > 0)
                        return p;
        return NULL;
}

Process *world_add(Owner owner, pid_t pid, pid_t parent, pid_t session) {
        Process *place = NULL;
        size_t n_free = 0;

        for (Process *p = world.processes; p < world.processes + PROCESSES_MAX; p++)
                if (p->pid == 0) {
                        place = place ? place : p;
                        n_free++;
                }
        /* What the keeper starts always has one. */
        if (n_free < 2 && owner != OWNER_MAIN && owner != OWNER_RECORDER)
                return NULL;
        assert(place);
        *place = (Process){ .pid = pid > 0 ? pid : next_pid++,
                .parent = parent,
                .session = session,
                .owner = owner,
                .errors_fd = -1,
                .name = "agent" };
        return place;
}

Process *world_find(Owner owner) {
        for (Process *p = world.processes; p < world.processes + PROCESSES_MAX; p++)
                if (p->pid > 0 && p->owner == owner && !p->zombie)
                        return p;
        return NULL;
}

size_t world_count_ours(void) {
        size_t n = 0;

        for (Process *p = world.processes; p < world.processes + PROCESSES_MAX; p++)
                n += p->pid > 0 && p->owner != OWNER_OTHERS;
        return n;
}

void world_tell_child(void) {
        const uint64_t one = 1;

        if (child_fd >= 0)
                (void)!write(child_fd, &one, sizeof(one));
}

static void note_end(const Process *p) {
        Main *m = world.mains + world.n_mains - 1;
        const char *signal_name = sigabbrev_np(p->status);

        assert(world.n_mains > 0 && m->pid == p->pid);
        m->is_closed = true; /* an end right after the exec looks the same */
        if (p->code == CLD_EXITED)
                (void)snprintf(m->end, sizeof(m->end), "exited %d", p->status);
        else if (signal_name)
                (void)snprintf(m->end, sizeof(m->end), "%s %s",
                                p->code == CLD_DUMPED ? "dumped" : "killed", signal_name);
        else
                (void)snprintf(m->end, sizeof(m->end), "%s %d",
                                p->code == CLD_DUMPED ? "dumped" : "killed", p->status);
}

void world_end_process(Process *p, int code, int status) {
        for (Process *c = world.processes; c < world.processes + PROCESSES_MAX; c++)
                if (c->pid > 0 && c->parent == p->pid && c->owner != OWNER_OTHERS)
                        c->parent = getpid();
        p->code = code;
        p->status = status;
        p->doomed = false;
        if (p->errors_fd >= 0)
                (void)close(p->errors_fd);
        p->errors_fd = -1;
        if (p->owner == OWNER_MAIN)
                note_end(p);
        if (p->parent == getpid()) {
                p->zombie = true;
                world_tell_child();
        } else
                p->pid = 0; /* somebody else waited for it */
}

void world_bury_doomed(void) {
        for (Process *p = world.processes; p < world.processes + PROCESSES_MAX; p++)
                if (p->pid > 0 && p->doomed)
                        world_end_process(p, CLD_KILLED, SIGKILL);
}

/* --- processes, as the keeper sees them ------------------------------------------------------- */

pid_t __wrap_fork(void) {
        bool recorder;
        Process *p;

        if (!active)
                return __real_fork();
        if (world.failing_forks > 0 || world.n_mains == MAINS_MAX) {
                world.failing_forks -= world.failing_forks > 0;
                write_end = -1;
                errno = EAGAIN;
                return -1;
        }
        /* A pipe was made for the launcher; who records has none. */
        recorder = write_end < 0;
        /* Of the agent before nothing is left, and nothing is left to be recorded. */
        assert(world_count_ours() == 0);
        assert(recorder || world.may_start);
        p = world_add(recorder ? OWNER_RECORDER : OWNER_MAIN, 0, getpid(), getsid(0));
        assert(p);
        if (!recorder) {
                world.mains[world.n_mains++] = (Main){ .pid = p->pid };
                p->session = p->pid;
                p->errors_fd = fcntl(write_end, F_DUPFD_CLOEXEC, 0);
                assert(p->errors_fd >= 0);
        }
        write_end = -1;
        return p->pid;
}

int __wrap_kill(pid_t pid, int sig) {
        Process *p;

        if (!active)
                return __real_kill(pid, sig);
        assert(pid > 0 && pid != getpid());
        p = find_pid(pid);
        assert(!p || p->owner != OWNER_OTHERS);
        assert(sig == SIGTERM || sig == SIGHUP || sig == SIGCONT || sig == SIGKILL);
        if (!p) {
                errno = ESRCH;
                return -1;
        }
        /* The agent is left alone until somebody asks for its end; what it left behind is not. */
        assert(world.may_stop || !world_find(OWNER_MAIN));
        assert(sig != SIGKILL || p->owner != OWNER_MAIN || p->zombie ||
                        world.now_ms >= world.may_kill_ms);
        if (sig != SIGKILL || p->zombie)
                return 0;
        if (world.dies_slowly)
                p->doomed = true;
        else
                world_end_process(p, CLD_KILLED, SIGKILL);
        return 0;
}

int __wrap_waitid(idtype_t type, id_t id, siginfo_t *ret, int options) {
        bool any = false;

        if (!active)
                return __real_waitid(type, id, ret, options);
        assert(type == P_ALL && options == (WEXITED | WNOHANG));
        for (Process *p = world.processes; p < world.processes + PROCESSES_MAX; p++) {
                if (p->pid == 0 || p->parent != getpid() || p->owner == OWNER_OTHERS)
                        continue;
                any = true;
                if (!p->zombie)
                        continue;
                *ret = (siginfo_t){ .si_code = p->code };
                ret->si_pid = p->pid;
                ret->si_status = p->status;
                p->pid = 0;
                return 0;
        }
        if (any)
                return 0;
        errno = ECHILD;
        return -1;
}

pid_t __wrap_getsid(pid_t pid) {
        Process *p;

        if (!active || pid == 0 || pid == getpid())
                return __real_getsid(pid);
        p = find_pid(pid);
        if (!p)
                errno = ESRCH;
        return p ? p->session : -1;
}

int __wrap_prctl(int option, ...) {
        va_list ap;
        unsigned long a[4];

        if (active)
                return 0;
        va_start(ap, option);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                a[i] = va_arg(ap, unsigned long);
        va_end(ap);
        return __real_prctl(option, a[0], a[1], a[2], a[3]);
}

int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *ret) {
        return active ? 0 : __real_sigprocmask(how, set, ret);
}

int __wrap_signalfd(int fd, const sigset_t *mask, int flags) {
        if (!active)
                return __real_signalfd(fd, mask, flags);
        assert(flags == (SFD_CLOEXEC | SFD_NONBLOCK) && child_fd < 0);
        child_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert(child_fd >= 0);
        return child_fd;
}

int __wrap_pipe2(int fds[2], int flags) {
        int r;

        if (active && world.failing_pipes > 0) {
                world.failing_pipes--;
                errno = EMFILE;
                return -1;
        }
        r = __real_pipe2(fds, flags);
        if (active && r == 0)
                write_end = fds[1];
        return r;
}

/* --- /proc ------------------------------------------------------------------------------------ */

static int text_file(const char *text) {
        int fd = memfd_create("proc", MFD_CLOEXEC);

        assert(fd >= 0);
        assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        assert(lseek(fd, 0, SEEK_SET) == 0);
        return fd;
}

static int children_file(void) {
        char text[PROCESSES_MAX * 12 + 1] = "";
        size_t n = 0;

        for (Process *p = world.processes; p < world.processes + PROCESSES_MAX; p++)
                if (p->pid > 0 && p->parent == getpid() && p->owner != OWNER_OTHERS)
                        n += (size_t)snprintf(text + n, sizeof(text) - n, "%d ", (int)p->pid);
        return text_file(text);
}

int __wrap_open64(const char *path, int flags, ...) {
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        if (!active)
                return __real_open64(path, flags, mode);
        assert((flags & O_ACCMODE) == O_RDONLY && !(flags & O_CREAT));
        if (strcmp(path, "/proc") == 0 && !world.no_proc) {
                proc_at = 0;
                proc_fd = __real_open64("/dev/null", O_RDONLY | O_CLOEXEC);
                return proc_fd;
        }
        if (strncmp(path, "/proc/self/task/", 16) == 0 && !world.no_children_file)
                return children_file();
        errno = ENOENT;
        return -1;
}

int __wrap_openat64(int at, const char *path, int flags, ...) {
        char text[256];
        Process *p;
        int pid;

        if (!active)
                return __real_openat64(at, path, flags, 0);
        assert(at == proc_fd && strlen(path) > 5 && strcmp(path + strlen(path) - 5, "/stat") == 0);
        if (sscanf(path, "%d/stat", &pid) != 1 || !(p = find_pid(pid))) {
                errno = ENOENT;
                return -1;
        }
        (void)snprintf(text, sizeof(text), "%d (%s) S %d %d %d 0 -1 4194560\n", pid, p->name,
                        (int)p->parent, pid, (int)p->session);
        return text_file(text);
}

/* All that a /proc has: what is no process, ourselves, and the table, a few at a time. */
ssize_t __wrap_getdents64(int fd, void *buffer, size_t n) {
        static const char *const others[] = { ".", "..", "self", "1", "12x", "0", "-1",
                "99999999999", "sys" };
        size_t used = 0;

        if (!active)
                return __real_getdents64(fd, buffer, n);
        assert(fd == proc_fd);
        for (; proc_at < ELEMENTSOF(others) + 1 + PROCESSES_MAX; proc_at++) {
                struct dirent64 *e = (struct dirent64 *)(void *)((char *)buffer + used);
                const size_t size = 280;
                const Process *p = NULL;

                if (used + size > n)
                        return (ssize_t)used;
                memset(e, 0, size);
                e->d_reclen = (unsigned short)size;
                if (proc_at > ELEMENTSOF(others))
                        p = &world.processes[proc_at - ELEMENTSOF(others) - 1];
                if (proc_at < ELEMENTSOF(others))
                        (void)snprintf(e->d_name, sizeof(e->d_name), "%s", others[proc_at]);
                else if (!p)
                        (void)snprintf(e->d_name, sizeof(e->d_name), "%d", (int)getpid());
                else if (p->pid > 0)
                        (void)snprintf(e->d_name, sizeof(e->d_name), "%d", (int)p->pid);
                else
                        continue;
                used += size;
        }
        return (ssize_t)used;
}

/* --- waiting and connections ------------------------------------------------------------------ */

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms) {
        int r;

        if (!active)
                return __real_poll(fds, n, timeout_ms);
        do
                r = __real_poll(fds, n, 0);
        while (r < 0 && errno == EINTR);
        assert(r >= 0 && n >= 2);
        /* the second is the listener */
        fds[1].revents = n_pending > 0 ? POLLIN : 0;
        world.is_idle = r == 0 && n_pending == 0;
        if (r > 0 || n_pending > 0)
                return r + (n_pending > 0);
        if (timeout_ms < 0) {
                errno = EINTR;
                return -1;
        }
        world.now_ms += (uint64_t)timeout_ms;
        return 0;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret) {
        if (!active)
                return __real_clock_gettime(id, ret);
        *ret = (struct timespec){ .tv_sec = (time_t)(world.now_ms / 1000),
                .tv_nsec = (long)(world.now_ms % 1000 * 1000000) };
        return 0;
}

void world_connect(int fd, pid_t pid, uid_t uid) {
        if (n_pending == PENDING_MAX) {
                (void)close(fd);
                return;
        }
        pending[n_pending].fd = fd;
        pending[n_pending++].cred = (struct ucred){ .pid = pid, .uid = uid };
}

int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *n, int flags) {
        int accepted;

        if (!active)
                return __real_accept4(fd, from, n, flags);
        assert(flags == (SOCK_CLOEXEC | SOCK_NONBLOCK) && !from);
        if (n_pending == 0) {
                errno = EAGAIN;
                return -1;
        }
        accepted = pending[0].fd;
        assert(accepted < FDS_MAX);
        creds[accepted] = pending[0].cred;
        memmove(pending, pending + 1, --n_pending * sizeof(pending[0]));
        return accepted;
}

/* Only the keeper calls it. */
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags) {
        /* Who is told that the agent ended is told the truth. */
        if (active && n > 0 && *(const char *)bytes == KEEPER_DONE)
                assert(world_count_ours() == 0);
        return __real_send(fd, bytes, n, flags);
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n) {
        if (!active || level != SOL_SOCKET || name != SO_PEERCRED)
                return __real_getsockopt(fd, level, name, value, n);
        assert(*n == sizeof(struct ucred) && fd < FDS_MAX);
        memcpy(value, creds + fd, sizeof(struct ucred));
        return 0;
}
