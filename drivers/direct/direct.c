/* SPDX-License-Identifier: MIT */
#include "drivers/direct/direct.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "drivers/agent/keeper-client.h"
#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/process.h"
#include "model/base/array.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

#define SERVER_TIMEOUT_USEC (15 * USEC_PER_SEC)
#define STEP_MSEC 5

/* How long a keeper that was just created may take to listen. */
#define KEEPER_PATIENCE_USEC (5 * USEC_PER_SEC)

struct DirectSupervisor {
        const Paths *paths;
        DriverJob **jobs; /* submitted, borrowed */
        size_t n_jobs;
};

int direct_new(const Paths *paths, DirectSupervisor **ret) {
        DirectSupervisor *d = calloc(1, sizeof(DirectSupervisor));

        if (!d)
                return -ENOMEM;
        d->paths = paths;
        *ret = d;
        return 0;
}

DirectSupervisor *direct_free(DirectSupervisor *d) {
        if (d)
                free(d->jobs);
        free(d);
        return NULL;
}

static void pause_a_moment(void) {
        const struct timespec step = { .tv_nsec = STEP_MSEC * 1000000L };

        (void)nanosleep(&step, NULL);
}

/* --- server ------------------------------------------------------------------------------------
 */

/* The variables that units carry under systemd (decision 0001), over the client's environment. */
static int holder_environment(const DirectSupervisor *d, const TmuxServer *tmux, char ***ret) {
        const char *const variables[][2] = {
                { "MOSAIC_HOME", d->paths->home },
                { "MOSAIC_STATE_DIR", d->paths->state },
                { "MOSAIC_RUNTIME_DIR", d->paths->runtime },
                { "MOSAIC_LIBEXEC_DIR", d->paths->libexec },
                { "MOSAIC_FLEET", d->paths->id_or_default },
        };
        _cleanup_strv_ char **env = NULL;
        int r;

        r = strv_copy(tmux->env, &env);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
                r = strv_env_set(&env, variables[i][0], variables[i][1]);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(env);
        return 0;
}

int direct_start_server(DirectSupervisor *d, const TmuxServer *tmux, char **ret_message) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        _cleanup_free_ char *launcher = NULL;
        _cleanup_strv_ char **env = NULL;
        char holder[] = "--holder";
        ProcessRequest request;
        int r;

        r = path_join(d->paths->libexec, "mosaic-launcher", &launcher);
        if (r < 0)
                return r;
        r = holder_environment(d, tmux, &env);
        if (r < 0)
                return r;
        r = dir_make(d->paths->runtime);
        if (r < 0)
                return r;
        request = (ProcessRequest){
                .argv = (char *const[]){ launcher, holder, NULL },
                .env = env,
                .output_max = 65536,
                .timeout_usec = SERVER_TIMEOUT_USEC,
        };
        r = process_run(&request, &result);
        if (r < 0)
                return r;
        if (result.status != 0) {
                result.errors[strcspn(result.errors, "\n")] = '\0';
                *ret_message = strdup(
                                *result.errors ? result.errors : "the tmux server did not start");
                return -EIO;
        }
        return 0;
}

/* The process behind the socket, as a pidfd. */
static int server_pidfd(const TmuxServer *tmux, int *ret) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t size = sizeof(struct ucred);
        struct ucred peer;
        _cleanup_close_ int fd = -1;
        int pidfd;

        if (strlen(tmux->socket) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        (void)stpcpy(address.sun_path, tmux->socket);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
                        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
        if (pidfd < 0)
                return -errno;
        *ret = pidfd;
        return 0;
}

int direct_stop_server(DirectSupervisor *d _unused_, const TmuxServer *tmux, char **ret_message) {
        _cleanup_close_ int pidfd = -1;
        struct pollfd wait;
        int r;

        r = server_pidfd(tmux, &pidfd);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return 0;
        if (r < 0)
                return r;
        r = tmux_server_run(tmux, "kill-server\n", NULL, NULL);
        if (r == -ENOMEM)
                return r;
        /* A socket that is gone is not yet a server that is gone, and a new one would race with it.
         */
        wait = (struct pollfd){ .fd = pidfd, .events = POLLIN };
        if (poll(&wait, 1, (int)(SERVER_TIMEOUT_USEC / USEC_PER_MSEC)) != 1) {
                *ret_message = strdup("the tmux server did not end");
                return -ETIMEDOUT;
        }
        return 0;
}

/* --- agents ------------------------------------------------------------------------------------
 */

int direct_submit(DirectSupervisor *d, DriverJob *job) {
        DriverJob **slot = array_grow(&d->jobs, d->n_jobs, sizeof(DriverJob *));

        if (!slot)
                return -ENOMEM;
        *slot = job;
        d->n_jobs++;
        return 0;
}

static bool is_absent(int error) {
        return error == -ENOENT || error == -ECONNREFUSED;
}

/* What became of a call becomes what became of the job. */
static void conclude(DriverJob *job, const KeeperCall *c) {
        bool stop = job->kind == DRIVER_STOP;
        int error = c->error;

        /* Nobody there to stop is what was wanted. */
        if (stop && (is_absent(error) || error == -ECONNRESET))
                error = 0;
        job->finished = true;
        job->took_usec += c->took_usec;
        job->error = error;
        if (error == 0)
                return;
        if (c->text)
                job->message = strdup(c->text);
        else if (is_absent(error))
                job->message = strdup("its session has no keeper");
        else if (asprintf(&job->message, "its keeper: %s", strerror(-error)) < 0)
                job->message = NULL;
}

/* One request to the keepers of all these jobs. With @last, an absent keeper is final. Returns how
 * many are still open, or -ENOMEM. */
static ssize_t ask(DirectSupervisor *d, DriverJob **jobs, size_t n, uint64_t deadline, bool last) {
        uint64_t now = clock_monotonic_usec();
        KeeperCall *calls = calloc(n, sizeof(KeeperCall));
        size_t n_open = 0;
        int r;

        if (!calls)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                calls[i] = (KeeperCall){
                        .name = jobs[i]->agent,
                        .request = jobs[i]->kind == DRIVER_STOP ? KEEPER_ASK_STOP
                                                                : KEEPER_ASK_START,
                        .stop_timeout_usec = jobs[i]->stop_timeout_usec,
                };
        r = keeper_call_many(d->paths->runtime, calls, n, deadline > now ? deadline - now : 1);
        for (size_t i = 0; i < n && r == 0; i++) {
                DriverJob *job = jobs[i];

                if (!last && job->kind == DRIVER_START && is_absent(calls[i].error))
                        jobs[n_open++] = job;
                else
                        conclude(job, calls + i);
        }
        keeper_calls_done(calls, n);
        free(calls);
        return r < 0 ? r : (ssize_t)n_open;
}

/* All the stops, or all the starts. A keeper that was made a moment ago may not listen yet: those
 * that are absent are asked again, together, until patience ends. */
static int phase(DirectSupervisor *d, DriverJobKind kind, uint64_t deadline) {
        uint64_t patience = clock_monotonic_usec() + KEEPER_PATIENCE_USEC;
        _cleanup_free_ DriverJob **jobs = calloc(d->n_jobs, sizeof(DriverJob *));
        size_t n = 0;

        if (!jobs)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_jobs; i++)
                if (d->jobs[i]->kind == kind)
                        jobs[n++] = d->jobs[i];
        while (n > 0) {
                ssize_t open = ask(d, jobs, n, deadline, clock_monotonic_usec() >= patience);

                if (open < 0)
                        return (int)open;
                n = (size_t)open;
                if (n > 0)
                        pause_a_moment();
        }
        return 0;
}

int direct_wait(DirectSupervisor *d, uint64_t deadline_usec, DriverJobDone done, void *userdata) {
        int r;

        if (d->n_jobs == 0)
                return 0;
        r = phase(d, DRIVER_STOP, deadline_usec);
        if (r == 0)
                r = phase(d, DRIVER_START, deadline_usec);
        for (size_t i = 0; i < d->n_jobs; i++) {
                if (!d->jobs[i]->finished)
                        d->jobs[i]->error = r < 0 ? r : -ECANCELED;
                d->jobs[i]->finished = true;
                if (done)
                        done(d->jobs[i], userdata);
        }
        free(d->jobs);
        d->jobs = NULL;
        d->n_jobs = 0;
        return r == -ENOMEM ? r : 0;
}
