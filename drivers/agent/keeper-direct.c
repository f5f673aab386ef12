/* SPDX-License-Identifier: MIT */
#include "drivers/agent/keeper-direct.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/agent/keeper-protocol.h"
#include "drivers/os/clock.h"
#include "model/base/cleanup.h"

/* No stdio and no malloc here outside of a forked child: hundreds of keepers sleep at the same
 * time, and each page one of them writes to is paid for hundreds of times. */

#define LAUNCHER_NAME "mosaic-launcher"
#define RECORD_TIMEOUT_MS 10000
#define KILL_AGAIN_MS 1000

static uint64_t now_ms(void) {
        return clock_monotonic_usec() / 1000;
}

static void number_to_text(char *buffer, size_t size, uint64_t v) {
        char digits[20];
        size_t n = 0, i = 0;

        do
                digits[n++] = (char)('0' + v % 10);
        while ((v /= 10) > 0);
        while (n > 0 && i + 1 < size)
                buffer[i++] = digits[--n];
        buffer[i] = '\0';
}

static void copy_text(char *buffer, size_t size, const char *text) {
        size_t n = strnlen(text, size - 1);

        memcpy(buffer, text, n);
        buffer[n] = '\0';
}

static void close_fd(int *fd) {
        if (*fd >= 0)
                (void)close(*fd);
        *fd = -1;
}

void direct_init(Direct *d, const char *name) {
        *d = (Direct){ .name = name, .signal_fd = -1, .errors_fd = -1 };
        copy_text(d->code, sizeof(d->code), "none");
        copy_text(d->status, sizeof(d->status), "0");
}

const char *direct_state_to_string(const Direct *d) {
        switch (d->state) {
        case DIRECT_IDLE:
                return KEEPER_STATE_NONE;
        case DIRECT_STARTING:
                return KEEPER_STATE_STARTING;
        case DIRECT_RUNNING:
                return KEEPER_STATE_RUNNING;
        case DIRECT_STOPPING:
        case DIRECT_RECORDING:
                return KEEPER_STATE_STOPPING;
        }
        return KEEPER_STATE_NONE;
}

int direct_timeout(const Direct *d) {
        uint64_t now;

        if (d->deadline_ms == 0)
                return -1;
        now = now_ms();
        if (d->deadline_ms <= now)
                return 0;
        return d->deadline_ms - now > INT_MAX ? INT_MAX : (int)(d->deadline_ms - now);
}

/* --- starting processes ----------------------------------------------------------------------- */

/* The launcher is installed beside the keeper. An upgrade may have replaced the file that runs
 * here: the kernel then appends " (deleted)" to the link, and the new launcher is the right one. */
static int launcher_path(char *buffer, size_t size) {
        static const char deleted[] = " (deleted)";
        const char *dir = getenv("MOSAIC_LIBEXEC_DIR");
        char *slash;
        ssize_t n;
        size_t length;

        if (dir && dir[0] == '/' && strlen(dir) + sizeof(LAUNCHER_NAME) + 1 < size) {
                length = strlen(dir);
                memcpy(buffer, dir, length);
                buffer[length] = '/';
                memcpy(buffer + length + 1, LAUNCHER_NAME, sizeof(LAUNCHER_NAME));
                if (access(buffer, X_OK) == 0)
                        return 0;
        }
        n = readlink("/proc/self/exe", buffer, size - 1);
        if (n < 0)
                return -errno;
        buffer[n] = '\0';
        length = (size_t)n;
        if (length > strlen(deleted) && strcmp(buffer + length - strlen(deleted), deleted) == 0)
                buffer[length - strlen(deleted)] = '\0';
        slash = strrchr(buffer, '/');
        if (!slash || (size_t)(slash + 1 - buffer) + sizeof(LAUNCHER_NAME) > size)
                return -ENAMETOOLONG;
        memcpy(slash + 1, LAUNCHER_NAME, sizeof(LAUNCHER_NAME));
        return 0;
}

/* In the child: runs the launcher, in its own session without a terminal. */
_Noreturn static void exec_launcher(const Direct *d, bool record, int errors_fd) {
        static const char complaint[] = "cannot execute " LAUNCHER_NAME "\n";
        const char *argv[4];
        char path[PATH_MAX];
        sigset_t none;
        size_t n = 0;
        int null_fd;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);

        argv[n++] = LAUNCHER_NAME;
        if (record)
                argv[n++] = "--stopped";
        argv[n++] = d->name;
        argv[n] = NULL;

        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd >= 0) {
                (void)dup2(null_fd, STDIN_FILENO);
                (void)dup2(null_fd, STDOUT_FILENO);
        }
        if (errors_fd >= 0)
                (void)dup2(errors_fd, STDERR_FILENO);

        if (setenv("INVOCATION_ID", d->invocation, 1) < 0)
                _exit(LAUNCHER_TRY_AGAIN);
        if (record) {
                if (setenv("EXIT_CODE", d->code, 1) < 0 || setenv("EXIT_STATUS", d->status, 1) < 0)
                        _exit(LAUNCHER_TRY_AGAIN);
                /* Only the keeper knows this one; the launcher derives the others from code and
                 * status. */
                if (d->timed_out ? setenv("SERVICE_RESULT", "timeout", 1) < 0
                                 : unsetenv("SERVICE_RESULT") < 0)
                        _exit(LAUNCHER_TRY_AGAIN);
        }
        if (launcher_path(path, sizeof(path)) == 0)
                (void)execv(path, (char *const *)(const void *)argv);
        (void)!write(STDERR_FILENO, complaint, sizeof(complaint) - 1);
        _exit(LAUNCHER_TRY_AGAIN);
}

static int become_supervisor(Direct *d) {
        sigset_t mask;

        if (d->signal_fd >= 0)
                return 0;
        /* What an agent leaves behind is handed to the nearest subreaper above it: to us. */
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return -errno;
        (void)sigemptyset(&mask);
        (void)sigaddset(&mask, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        d->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        return d->signal_fd < 0 ? -errno : 0;
}

static int make_invocation(char *buffer) {
        static const char hex[] = "0123456789abcdef";
        uint8_t id[16];

        if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
                return -EIO;
        for (size_t i = 0; i < sizeof(id); i++) {
                buffer[2 * i] = hex[id[i] >> 4];
                buffer[2 * i + 1] = hex[id[i] & 15];
        }
        buffer[2 * sizeof(id)] = '\0';
        return 0;
}

int direct_start(Direct *d) {
        int pipe_fds[2], r;
        pid_t pid;

        r = become_supervisor(d);
        if (r < 0)
                return r;
        r = make_invocation(d->invocation);
        if (r < 0)
                return r;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid < 0) {
                r = -errno;
                (void)close(pipe_fds[0]);
                (void)close(pipe_fds[1]);
                return r;
        }
        if (pid == 0)
                exec_launcher(d, false, pipe_fds[1]);
        (void)close(pipe_fds[1]);
        (void)fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);

        d->state = DIRECT_STARTING;
        d->main = pid;
        d->errors_fd = pipe_fds[0];
        d->n_errors = 0;
        d->n_said = d->n_said_ready = 0;
        d->ready = d->killing = d->timed_out = d->start_failed = false;
        d->deadline_ms = 0;
        return 0;
}

/* --- ending processes ------------------------------------------------------------------------- */

static int parse_pid(const char *s, pid_t *ret) {
        uint64_t v = 0;

        if (*s < '1' || *s > '9')
                return -EINVAL;
        for (; *s >= '0' && *s <= '9'; s++) {
                v = v * 10 + (uint64_t)(*s - '0');
                if (v > INT_MAX)
                        return -ERANGE;
        }
        if (*s != '\0' && *s != ' ')
                return -EINVAL;
        *ret = (pid_t)v;
        return 0;
}

typedef bool (*PidTest)(const Direct *d, int proc_fd, pid_t pid);

/* Calls kill(2) for every process of this machine that passes the test. */
static void signal_matching(const Direct *d, PidTest test, const int *signals, size_t n_signals) {
        char buffer[2048] __attribute__((aligned(8)));
        int fd;
        ssize_t n;

        fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return;
        while ((n = getdents64(fd, buffer, sizeof(buffer))) > 0)
                for (ssize_t at = 0; at < n;) {
                        struct dirent64 *e = (struct dirent64 *)(void *)(buffer + at);
                        pid_t pid;

                        at += e->d_reclen;
                        if (parse_pid(e->d_name, &pid) < 0 || pid == getpid() || !test(d, fd, pid))
                                continue;
                        for (size_t i = 0; i < n_signals; i++)
                                (void)kill(pid, signals[i]);
                }
        (void)close(fd);
}

/* Jobs of an interactive shell are in process groups of their own, but in its session. The agent
 * itself is left out: a second TERM means "now!" to many programs. */
static bool is_job_of_main(const Direct *d, _unused_ int proc_fd, pid_t pid) {
        return pid != d->main && getsid(pid) == d->main;
}

/* For kernels without /proc/PID/task/TID/children. */
static bool is_child_of_ours(_unused_ const Direct *d, int proc_fd, pid_t pid) {
        char path[32], stat[512];
        const char *p;
        pid_t parent;
        ssize_t n;
        int fd;

        number_to_text(path, sizeof(path) - sizeof("/stat"), (uint64_t)pid);
        memcpy(path + strlen(path), "/stat", sizeof("/stat"));
        fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, stat, sizeof(stat) - 1);
        (void)close(fd);
        if (n <= 0)
                return false;
        stat[n] = '\0';
        /* "PID (NAME) STATE PARENT ...": NAME may hold anything, a parenthesis too */
        p = strrchr(stat, ')');
        return p && strlen(p) > 4 && parse_pid(p + 4, &parent) == 0 && parent == getpid();
}

/*
 * Kills our children. Theirs come to us as each dies, SIGCHLD tells, and the next round gets them:
 * so it ends when there is nobody left, however deep the tree was.
 */
static void kill_children(const Direct *d) {
        static const int sigkill = SIGKILL;
        char path[64] = "/proc/self/task/", buffer[1024];
        size_t kept = 0;
        ssize_t n;
        int fd;

        number_to_text(path + strlen(path), 24, (uint64_t)getpid());
        memcpy(path + strlen(path), "/children", sizeof("/children"));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                signal_matching(d, is_child_of_ours, &sigkill, 1);
                return;
        }
        while ((n = read(fd, buffer + kept, sizeof(buffer) - 1 - kept)) > 0) {
                size_t length = kept + (size_t)n;
                char *at = buffer, *space;

                buffer[length] = '\0';
                while ((space = memchr(at, ' ', length - (size_t)(at - buffer)))) {
                        pid_t pid;

                        if (parse_pid(at, &pid) == 0)
                                (void)kill(pid, SIGKILL);
                        at = space + 1;
                }
                kept = length - (size_t)(at - buffer);
                memmove(buffer, at, kept);
        }
        (void)close(fd);
}

/* Kills what is left, and once more after a while: /proc may be unreadable for lack of descriptors
 * or memory. That somebody died is told before. */
static void kill_all(Direct *d) {
        d->killing = true;
        if (d->main > 0)
                (void)kill(d->main, SIGKILL);
        kill_children(d);
        d->deadline_ms = now_ms() + KILL_AGAIN_MS;
}

void direct_stop(Direct *d, uint64_t timeout_ms) {
        /* What systemd sends with SendSIGHUP=yes: an interactive shell does not heed TERM, and what
         * is stopped heeds nothing before CONT. */
        static const int signals[] = { SIGTERM, SIGHUP, SIGCONT };
        uint64_t deadline = now_ms() + timeout_ms;

        if (d->state == DIRECT_IDLE || d->state == DIRECT_RECORDING || d->killing)
                return;
        if (d->state != DIRECT_STOPPING || d->deadline_ms == 0 || deadline < d->deadline_ms)
                d->deadline_ms = deadline;
        if (d->state == DIRECT_STOPPING)
                return;
        if (d->state == DIRECT_STARTING)
                d->start_failed = true;
        d->state = DIRECT_STOPPING;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void)kill(d->main, signals[i]);
        signal_matching(d, is_job_of_main, signals, ELEMENTSOF(signals));
}

static void finish(Direct *d) {
        d->state = DIRECT_IDLE;
        d->recorder = 0;
        d->deadline_ms = 0;
        d->killing = false;
}

/* All are gone: has the end written down. */
static void record(Direct *d) {
        pid_t pid;

        pid = fork();
        if (pid == 0)
                exec_launcher(d, true, -1);
        if (pid < 0) {
                finish(d);
                return;
        }
        d->state = DIRECT_RECORDING;
        d->recorder = pid;
        d->killing = false;
        d->deadline_ms = now_ms() + RECORD_TIMEOUT_MS;
}

static void main_ended(Direct *d, const siginfo_t *info) {
        const char *signal_name;

        if (d->state == DIRECT_STARTING)
                d->start_failed = true;
        direct_on_errors(d);
        close_fd(&d->errors_fd);
        d->main = 0;
        if (info->si_code == CLD_EXITED) {
                copy_text(d->code, sizeof(d->code), "exited");
                number_to_text(d->status, sizeof(d->status), (uint64_t)info->si_status);
        } else {
                copy_text(d->code, sizeof(d->code),
                                info->si_code == CLD_DUMPED ? "dumped" : "killed");
                signal_name = sigabbrev_np(info->si_status);
                if (signal_name)
                        copy_text(d->status, sizeof(d->status), signal_name);
                else
                        number_to_text(d->status, sizeof(d->status), (uint64_t)info->si_status);
        }
        d->state = DIRECT_STOPPING;
        d->killing = true;
        d->deadline_ms = 0;
}

void direct_on_child(Direct *d) {
        struct signalfd_siginfo ignored;
        siginfo_t info;

        while (read(d->signal_fd, &ignored, sizeof(ignored)) > 0)
                ;
        for (;;) {
                info.si_pid = 0;
                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == ECHILD && d->state == DIRECT_STOPPING)
                                record(d);
                        return;
                }
                if (info.si_pid == 0)
                        break;
                if (info.si_pid == d->main)
                        main_ended(d, &info);
                else if (info.si_pid == d->recorder)
                        finish(d);
        }
        if (d->killing)
                kill_all(d);
}

/*
 * The launcher was ready, its end of the pipe closed, and it has said nothing in between: so an
 * exec closed it. (A launcher whose exec failed says so before it exits.) The numbers, not the
 * order in which packet and text are seen here, tell what was said when.
 */
static void run_if_executed(Direct *d) {
        if (d->state == DIRECT_STARTING && d->ready && d->errors_fd < 0 &&
                        d->n_said == d->n_said_ready)
                d->state = DIRECT_RUNNING;
}

void direct_on_errors(Direct *d) {
        char buffer[256];
        ssize_t n;

        if (d->errors_fd < 0)
                return;
        while ((n = read(d->errors_fd, buffer, sizeof(buffer))) > 0) {
                size_t room = sizeof(d->errors) - d->n_errors;
                size_t taken = (size_t)n < room ? (size_t)n : room;

                memcpy(d->errors + d->n_errors, buffer, taken);
                d->n_errors += taken;
                d->n_said += (uint64_t)n;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;

        close_fd(&d->errors_fd);
        run_if_executed(d);
}

void direct_on_ready(Direct *d, uint64_t n_said) {
        if (d->state != DIRECT_STARTING || d->ready)
                return;
        d->ready = true;
        d->n_said_ready = n_said;
        run_if_executed(d);
}

void direct_on_time(Direct *d) {
        if (d->deadline_ms == 0 || now_ms() < d->deadline_ms)
                return;
        if (d->killing) {
                kill_all(d);
                return;
        }
        d->timed_out = true;
        if (d->state == DIRECT_RECORDING) {
                /* a state directory that hangs must not keep the agent from starting again */
                (void)kill(d->recorder, SIGKILL);
                d->deadline_ms = 0;
                return;
        }
        kill_all(d);
}
