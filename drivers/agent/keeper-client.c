/* SPDX-License-Identifier: MIT */
#include "drivers/agent/keeper-client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "drivers/agent/keeper-protocol.h"
#include "drivers/os/clock.h"
#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/parse.h"

/* Connections open at one time: well below the soft limit of 1024 descriptors. */
#define WINDOW 256
/* A keeper with a full queue cannot be waited for by poll(2). */
#define BUSY_RETRY_MS 10

static int open_keep(const char *runtime_dir) {
        _cleanup_free_ char *path = NULL;
        int fd;

        if (format_text(&path, "%s/" KEEPER_DIRECTORY, runtime_dir) < 0)
                return -ENOMEM;
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* -EAGAIN: it lives, but its queue is full. */
static int connect_at(int keep_fd, const char *name) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -1;
        struct ucred peer;
        socklen_t size = sizeof(peer);
        int n;

        /* The way through /proc keeps any runtime directory short enough for sun_path. */
        n = snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", keep_fd, name);
        if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
                return -errno;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (peer.uid != geteuid())
                return -EPERM;
        return TAKE_FD(fd);
}

int keeper_connect(const char *runtime_dir, const char *name) {
        _cleanup_close_ int keep_fd = -1;

        keep_fd = open_keep(runtime_dir);
        return keep_fd < 0 ? keep_fd : connect_at(keep_fd, name);
}

/* --- requests and answers --------------------------------------------------------------------- */

static int send_request(int fd, const KeeperCall *call) {
        char request[32];
        uint64_t ms = (call->stop_timeout_usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
        int n = 0;

        switch (call->request) {
        case KEEPER_ASK_QUERY:
                n = snprintf(request, sizeof(request), "%c", KEEPER_QUERY);
                break;
        case KEEPER_ASK_START:
                n = snprintf(request, sizeof(request), "%c", KEEPER_START);
                break;
        case KEEPER_ASK_STOP:
                if (ms > 86400000)
                        ms = 86400000;
                n = snprintf(request, sizeof(request), "%c%llu", KEEPER_STOP,
                                (unsigned long long)ms);
                break;
        }
        if (send(fd, request, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return errno == EPIPE ? -ECONNRESET : -errno;
        return 0;
}

static int parse_pid(const char *text, pid_t *ret) {
        uint64_t v;

        if (parse_uint_range(text, 0, INT_MAX, &v) < 0)
                return -EBADMSG;
        *ret = (pid_t)v;
        return 0;
}

static int parse_state(char *text, KeeperCall *call) {
        static const char *const names[] = {
                [KEEPER_HAS_NONE] = KEEPER_STATE_NONE,
                [KEEPER_HAS_STARTING] = KEEPER_STATE_STARTING,
                [KEEPER_HAS_RUNNING] = KEEPER_STATE_RUNNING,
                [KEEPER_HAS_STOPPING] = KEEPER_STATE_STOPPING,
        };
        char *blank = strchr(text, ' ');

        if (!blank)
                return -EBADMSG;
        *blank = '\0';
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(blank + 1, names[i]) == 0) {
                        call->state = (KeeperState)i;
                        return parse_pid(text, &call->pid);
                }
        return -EBADMSG;
}

static int parse_end(char *text, KeeperCall *call) {
        char *blank = strchr(text, ' ');

        if (!blank)
                return -EBADMSG;
        *blank = '\0';
        if (strlen(text) >= sizeof(call->code) || strlen(blank + 1) >= sizeof(call->status))
                return -EBADMSG;
        (void)stpcpy(call->code, text);
        (void)stpcpy(call->status, blank + 1);
        return 0;
}

int keeper_answer_parse(char *packet, KeeperCall *call) {
        if (call->request == KEEPER_ASK_QUERY && packet[0] == KEEPER_STATE)
                return parse_state(packet + 1, call);
        if (call->request == KEEPER_ASK_STOP && packet[0] == KEEPER_DONE)
                return parse_end(packet + 1, call);
        if (call->request == KEEPER_ASK_START && packet[0] == KEEPER_RUNNING)
                return parse_pid(packet + 1, &call->pid);
        if (call->request == KEEPER_ASK_START && packet[0] == KEEPER_FAILED) {
                call->text = strdup(packet + 1);
                return call->text ? -ECANCELED : -ENOMEM;
        }
        return -EBADMSG;
}

/* -EAGAIN: nothing there yet. */
static int receive_answer(int fd, KeeperCall *call) {
        char packet[KEEPER_PACKET_MAX + 1];
        ssize_t n;

        n = recv(fd, packet, sizeof(packet) - 1, MSG_DONTWAIT);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        if (n == 0)
                return -ECONNRESET;
        packet[n] = '\0';
        return keeper_answer_parse(packet, call);
}

/* --- many at once ----------------------------------------------------------------------------- */

/* One call on its way. */
typedef struct Flight {
        KeeperCall *call;
        int fd; /* -1: not connected yet */
        uint64_t began_usec;
} Flight;

struct KeeperBatch {
        char *runtime_dir;
        int keep_fd; /* -1: not opened yet */
        Flight *flights;
        size_t n_flights;
        size_t n_open; /* of these, connected */
};

int keeper_batch_new(const char *runtime_dir, KeeperBatch **ret) {
        KeeperBatch *b = calloc(1, sizeof(KeeperBatch));

        if (!b)
                return -ENOMEM;
        b->keep_fd = -1;
        b->runtime_dir = strdup(runtime_dir);
        if (!b->runtime_dir) {
                free(b);
                return -ENOMEM;
        }
        *ret = b;
        return 0;
}

KeeperBatch *keeper_batch_free(KeeperBatch *b) {
        if (!b)
                return NULL;
        for (size_t i = 0; i < b->n_flights; i++)
                if (b->flights[i].fd >= 0)
                        (void)close(b->flights[i].fd);
        if (b->keep_fd >= 0)
                (void)close(b->keep_fd);
        free(b->flights);
        free(b->runtime_dir);
        free(b);
        return NULL;
}

int keeper_batch_add(KeeperBatch *b, KeeperCall *call) {
        Flight *f = array_grow(&b->flights, b->n_flights, sizeof(Flight));

        if (!f)
                return -ENOMEM;
        call->finished = false;
        *f = (Flight){ .call = call, .fd = -1, .began_usec = clock_monotonic_usec() };
        b->n_flights++;
        return 0;
}

static void flight_end(KeeperBatch *b, Flight *f, int error) {
        if (f->fd >= 0) {
                (void)close(f->fd);
                f->fd = -1;
                b->n_open--;
        }
        f->call->error = error;
        f->call->took_usec = clock_monotonic_usec() - f->began_usec;
        f->call->finished = true;
}

/* Takes out what has ended. Returns how many. */
static size_t batch_sweep(KeeperBatch *b) {
        size_t n = 0, before = b->n_flights;

        for (size_t i = 0; i < before; i++)
                if (!b->flights[i].call->finished)
                        b->flights[n++] = b->flights[i];
        b->n_flights = n;
        return before - n;
}

size_t keeper_batch_abandon(KeeperBatch *b, int error) {
        for (size_t i = 0; i < b->n_flights; i++)
                flight_end(b, b->flights + i, error);
        return batch_sweep(b);
}

/* Connects and sends as many as the window takes. Returns whether some keeper must be tried
 * again. */
static bool batch_send(KeeperBatch *b) {
        bool busy = false;

        for (size_t i = 0; i < b->n_flights && b->n_open < WINDOW; i++) {
                Flight *f = b->flights + i;
                int r;

                if (f->fd >= 0 || f->call->finished)
                        continue;
                r = connect_at(b->keep_fd, f->call->name);
                if (r == -EAGAIN) {
                        busy = true;
                        continue;
                }
                if (r >= 0) {
                        f->fd = r;
                        b->n_open++;
                        r = send_request(f->fd, f->call);
                }
                if (r < 0)
                        flight_end(b, f, r);
        }
        return busy;
}

static int batch_poll(KeeperBatch *b, bool busy, int timeout) {
        struct pollfd fds[WINDOW];
        Flight *open[WINDOW];
        size_t n = 0;

        for (size_t i = 0; i < b->n_flights && n < WINDOW; i++)
                if (b->flights[i].fd >= 0) {
                        fds[n] = (struct pollfd){ .fd = b->flights[i].fd, .events = POLLIN };
                        open[n++] = b->flights + i;
                }
        if (busy && timeout > BUSY_RETRY_MS)
                timeout = BUSY_RETRY_MS;
        if (poll(fds, n, timeout) < 0)
                return errno == EINTR ? 0 : -errno;
        for (size_t k = 0; k < n; k++) {
                int r;

                if (fds[k].revents == 0)
                        continue;
                r = receive_answer(fds[k].fd, open[k]->call);
                if (r != -EAGAIN)
                        flight_end(b, open[k], r);
        }
        return 0;
}

size_t keeper_batch_wait(KeeperBatch *b, uint64_t until_usec) {
        if (b->keep_fd < 0 && b->n_flights > 0) {
                b->keep_fd = open_keep(b->runtime_dir);
                if (b->keep_fd < 0)
                        return keeper_batch_abandon(b, b->keep_fd);
        }
        while (b->n_flights > 0) {
                uint64_t now = clock_monotonic_usec();
                bool busy = batch_send(b);
                size_t ended = batch_sweep(b);
                int r;

                if (ended > 0)
                        return ended;
                if (now >= until_usec)
                        return 0;
                r = batch_poll(b, busy, clock_poll_msec(now, until_usec));
                if (r < 0)
                        return keeper_batch_abandon(b, r);
        }
        return 0;
}

int keeper_call_many(const char *runtime_dir, KeeperCall *calls, size_t n, uint64_t timeout_usec) {
        _cleanup_(keeper_batch_freep) KeeperBatch *b = NULL;
        uint64_t deadline;
        int r;

        if (n == 0)
                return 0;
        if (__builtin_add_overflow(clock_monotonic_usec(), timeout_usec, &deadline))
                deadline = UINT64_MAX;
        r = keeper_batch_new(runtime_dir, &b);
        for (size_t i = 0; i < n && r == 0; i++)
                r = keeper_batch_add(b, calls + i);
        if (r < 0)
                return r;
        while (b->n_flights > 0)
                if (keeper_batch_wait(b, deadline) == 0)
                        (void)keeper_batch_abandon(b, -ETIMEDOUT);
        return 0;
}

void keeper_calls_done(KeeperCall *calls, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(calls[i].text);
                calls[i].text = NULL;
        }
}

/* --- one at a time ---------------------------------------------------------------------------- */

int keeper_query(const char *runtime_dir,
                const char *name,
                uint64_t timeout_usec,
                pid_t *ret_pid,
                KeeperState *ret_state) {
        KeeperCall call = { .name = name, .request = KEEPER_ASK_QUERY };
        int r;

        r = keeper_call_many(runtime_dir, &call, 1, timeout_usec);
        if (r == 0)
                r = call.error;
        if (r < 0)
                return r;
        *ret_pid = call.pid;
        *ret_state = call.state;
        return 0;
}
