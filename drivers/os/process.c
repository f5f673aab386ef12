/* SPDX-License-Identifier: MIT */
#include "drivers/os/process.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "model/base/format.h"
#include "model/base/strbuf.h"

#define ERRORS_MAX 4096

void process_result_done(ProcessResult *r) {
        free(r->output);
        free(r->errors);
        *r = PROCESS_RESULT_NULL;
}

typedef struct Pipes {
        int in[2];
        int out[2];
        int err[2];
} Pipes;

static void close_fd(int *fd) {
        if (*fd >= 0)
                (void)close(*fd);
        *fd = -1;
}

static void pipes_done(Pipes *p) {
        for (size_t i = 0; i < 2; i++) {
                close_fd(p->in + i);
                close_fd(p->out + i);
                close_fd(p->err + i);
        }
}

static int set_nonblocking(int fd) {
        int flags = fcntl(fd, F_GETFL);

        return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

#define OUTPUT_ROOM (512 * 1024)

static int pipes_open(bool input, Pipes *p) {
        if (input ? pipe2(p->in, O_CLOEXEC) < 0
                  : (p->in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
                return -errno;
        if (pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0)
                return -errno;
        if (input && set_nonblocking(p->in[1]) < 0)
                return -errno;
        /* Room for all that a child has to say while nobody listens yet; where it is refused, the
         * child waits. */
        (void)fcntl(p->out[0], F_SETPIPE_SZ, OUTPUT_ROOM);
        if (set_nonblocking(p->out[0]) < 0 || set_nonblocking(p->err[0]) < 0)
                return -errno;
        return 0;
}

static bool is_program(const char *path) {
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Where a program is, by $PATH. Only its absolute parts count: what lies in the working directory,
 * agents may have written. */
static int find_program(const char *name, char **ret) {
        const char *path = getenv("PATH");

        if (strchr(name, '/')) {
                *ret = strdup(name);
                return *ret ? 0 : -ENOMEM;
        }
        for (const char *p = path ? path : PROCESS_DEFAULT_PATH; *p;) {
                _cleanup_free_ char *candidate = NULL;
                size_t n = strcspn(p, ":");

                if (format_text(&candidate, "%.*s/%s", (int)n, p, name) < 0)
                        return -ENOMEM;
                if (*p == '/' && is_program(candidate)) {
                        *ret = TAKE_PTR(candidate);
                        return 0;
                }
                p += n + (p[n] == ':');
        }
        return -ENOENT;
}

/* The child gets default signals: what the caller blocks or ignores is not its business. An output
 * without a pipe is the caller's. */
static int start(const ProcessRequest *request, Pipes *p, pid_t *ret) {
        _cleanup_free_ char *program = NULL;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t all, none;
        int r;

        r = find_program(request->argv[0], &program);
        if (r < 0)
                return r;
        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r != 0) {
                (void)posix_spawn_file_actions_destroy(&actions);
                return -r;
        }
        (void)sigfillset(&all);
        (void)sigemptyset(&none);
        r = posix_spawn_file_actions_adddup2(&actions, p->in[0], 0);
        if (r == 0 && p->out[1] >= 0)
                r = posix_spawn_file_actions_adddup2(&actions, p->out[1], 1);
        if (r == 0 && p->err[1] >= 0)
                r = posix_spawn_file_actions_adddup2(&actions, p->err[1], 2);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(&attributes, &all);
        if (r == 0)
                r = posix_spawnattr_setsigmask(&attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setflags(
                                &attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        if (r == 0)
                r = posix_spawn(ret, program, &actions, &attributes, request->argv,
                                request->env ? request->env : environ);
        (void)posix_spawn_file_actions_destroy(&actions);
        (void)posix_spawnattr_destroy(&attributes);
        return -r;
}

/* Reads what is there. Returns 1 at the end of the stream, 0 if more may come. */
static int drain(int fd, StrBuf *to, size_t max, bool drop_rest) {
        char buffer[16384];

        for (;;) {
                ssize_t n = read(fd, buffer, sizeof(buffer));

                if (n == 0)
                        return 1;
                if (n < 0)
                        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
                if (to->length + (size_t)n > max) {
                        if (!drop_rest)
                                return -EFBIG;
                        n = (ssize_t)(max - to->length);
                }
                strbuf_add_bytes(to, buffer, (size_t)n);
        }
}

/* Moves bytes both ways until both outputs are closed or the deadline has come. */
static int
exchange(const ProcessRequest *request, Pipes *p, uint64_t deadline, StrBuf *out, StrBuf *err) {
        size_t written = 0;

        while (p->out[0] >= 0 || p->err[0] >= 0) {
                struct pollfd fds[] = {
                        { .fd = p->out[0], .events = POLLIN },
                        { .fd = p->err[0], .events = POLLIN },
                        { .fd = p->in[1], .events = POLLOUT },
                };
                uint64_t now = clock_monotonic_usec();
                int r;

                if (now >= deadline)
                        return -ETIMEDOUT;
                r = poll(fds, ELEMENTSOF(fds), clock_poll_msec(now, deadline));
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r <= 0)
                        continue;
                if (fds[0].revents) {
                        r = drain(p->out[0], out, request->output_max, /* drop_rest= */ false);
                        if (r < 0)
                                return r;
                        if (r > 0)
                                close_fd(p->out + 0);
                }
                if (fds[1].revents) {
                        r = drain(p->err[0], err, ERRORS_MAX, /* drop_rest= */ true);
                        if (r < 0)
                                return r;
                        if (r > 0)
                                close_fd(p->err + 0);
                }
                if (fds[2].revents) {
                        ssize_t n = write(p->in[1], request->input + written,
                                        request->input_size - written);

                        if (n > 0)
                                written += (size_t)n;
                        /* A child that does not read all of it says why by its exit status. */
                        if (written == request->input_size ||
                                        (n < 0 && errno != EAGAIN && errno != EINTR))
                                close_fd(p->in + 1);
                }
        }
        return 0;
}

struct Process {
        ProcessRequest request; /* its input is read until process_finish() has returned */
        Pipes pipes;
        pid_t pid; /* 0 once it was waited for */
        uint64_t deadline_usec;
};

#define REAP_STEP_MSEC 10

bool process_wait_end(int pidfd, uint64_t deadline_usec) {
        for (;;) {
                struct pollfd wait = { .fd = pidfd, .events = POLLIN };
                int left = clock_poll_msec(clock_monotonic_usec(), deadline_usec);

                if (poll(&wait, 1, left) > 0)
                        return true;
                if (left == 0)
                        return false;
        }
}

/* The same for our child where there is no descriptor to wait on. */
static bool look_for_end(const Process *p) {
        for (;;) {
                int left = clock_poll_msec(clock_monotonic_usec(), p->deadline_usec);
                siginfo_t info = { .si_pid = 0 };

                if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
                                info.si_pid != 0)
                        return true;
                if (left == 0)
                        return false;
                (void)poll(NULL, 0, left < REAP_STEP_MSEC ? left : REAP_STEP_MSEC);
        }
}

/* Waits for the end of a child that has closed its outputs; kills it at the deadline. */
static int reap(Process *p, int *ret_status) {
        _cleanup_close_ int pidfd = pidfd_open(p->pid, 0);
        int r = 0;

        if (!(pidfd >= 0 ? process_wait_end(pidfd, p->deadline_usec) : look_for_end(p))) {
                (void)kill(p->pid, SIGKILL);
                r = -ETIMEDOUT;
        }
        while (waitpid(p->pid, ret_status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        p->pid = 0;
        return r;
}

Process *process_free(Process *p) {
        int status;

        if (!p)
                return NULL;
        if (p->pid > 0) {
                (void)kill(p->pid, SIGKILL);
                (void)reap(p, &status);
        }
        pipes_done(&p->pipes);
        free(p);
        return NULL;
}

int process_start(const ProcessRequest *request, Process **ret) {
        _cleanup_(process_freep) Process *p = calloc(1, sizeof(Process));
        int r;

        if (!p)
                return -ENOMEM;
        p->request = *request;
        p->pipes = (Pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
        p->deadline_usec = clock_monotonic_usec() + request->timeout_usec;
        r = pipes_open(request->input, &p->pipes);
        if (r < 0)
                return r;
        r = start(request, &p->pipes, &p->pid);
        if (r < 0) {
                p->pid = 0;
                return r;
        }
        close_fd(p->pipes.in + 0);
        close_fd(p->pipes.out + 1);
        close_fd(p->pipes.err + 1);
        *ret = TAKE_PTR(p);
        return 0;
}

int process_finish(Process *p, ProcessResult *ret) {
        _cleanup_strbuf_ StrBuf out = STRBUF_NULL, err = STRBUF_NULL;
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
        int status = 0, r;

        (void)sigaction(SIGPIPE, &ignore, &before);
        r = exchange(&p->request, &p->pipes, p->deadline_usec, &out, &err);
        (void)sigaction(SIGPIPE, &before, NULL);
        if (r == 0)
                r = reap(p, &status);
        if (r < 0)
                return r;

        result.output_size = out.length;
        if (strbuf_finish(&out, &result.output) < 0 || strbuf_finish(&err, &result.errors) < 0)
                return -ENOMEM;
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        *ret = result;
        result = PROCESS_RESULT_NULL;
        return 0;
}

int process_run(const ProcessRequest *request, ProcessResult *ret) {
        _cleanup_(process_freep) Process *p = NULL;
        int r;

        r = process_start(request, &p);
        return r < 0 ? r : process_finish(p, ret);
}

int process_feed(char *const *argv, const char *text, size_t n) {
        const ProcessRequest request = { .argv = argv };
        Pipes pipes = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
        struct sigaction ignore = { .sa_handler = SIG_IGN }, before[3];
        static const int signals[] = { SIGINT, SIGQUIT, SIGPIPE };
        pid_t pid = 0;
        int r;

        if (pipe2(pipes.in, O_CLOEXEC) < 0)
                return -errno;
        /* Keys that send signals are meant for the one who has the terminal. */
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void)sigaction(signals[i], &ignore, before + i);
        r = start(&request, &pipes, &pid);
        if (r == 0) {
                close_fd(pipes.in + 0);
                (void)!file_write_fd(pipes.in[1], text, n); /* who has read enough may leave */
                close_fd(pipes.in + 1);
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void)sigaction(signals[i], before + i, NULL);
        pipes_done(&pipes);
        return r;
}

int process_become(char *const *argv, char *const *env) {
        _cleanup_free_ char *program = NULL;
        int r;

        r = find_program(argv[0], &program);
        if (r < 0)
                return r;
        (void)execve(program, argv, env ? env : environ);
        return -errno;
}

int process_reserve_streams(void) {
        for (int fd = 0; fd <= 2; fd++) {
                int got;

                if (fcntl(fd, F_GETFD) >= 0)
                        continue;
                if (errno != EBADF)
                        return -errno;
                /* The wrong way round: writing to what stands for standard output is an error. */
                got = open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC | O_NOCTTY);
                if (got < 0)
                        return -errno;
                assert(got == fd); /* the lowest free one */
        }
        return 0;
}
