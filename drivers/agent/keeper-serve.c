/* SPDX-License-Identifier: MIT */
#include "drivers/agent/keeper-serve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/agent/keeper-packet.h"
#include "model/base/cleanup.h"

/* A pane that went away hangs its agent up; this long may the agent take before it is killed. */
#define HANGUP_TIMEOUT_MS 10000

void keeper_server_init(KeeperServer *s, const char *name, int terminal, int listener) {
        s->listener = listener;
        s->terminal = terminal;
        for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++)
                s->clients[i].fd = -1;
        direct_init(&s->direct, name);
}

/* --- clients ---------------------------------------------------------------------------------- */

static void client_drop(KeeperClient *c) {
        (void)close(c->fd);
        *c = (KeeperClient){ .fd = -1 };
}

static void client_reply(KeeperClient *c, const Packet *p) {
        if (send(c->fd, p->bytes, p->n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                client_drop(c);
        else
                c->waits_for = 0;
}

/* A free place, else that of who has been silent longest; NULL if all wait for an answer. The last
 * place is for the launcher alone, however many ask for what only it can bring about. */
static KeeperClient *client_place(KeeperServer *s, pid_t pid) {
        KeeperClient *last = s->clients + KEEPER_CLIENTS_MAX - 1, *oldest = NULL;

        if (s->direct.main > 0 && pid == s->direct.main) {
                if (last->fd >= 0)
                        client_drop(last);
                return last;
        }
        for (KeeperClient *c = s->clients; c < last; c++) {
                if (c->fd < 0)
                        return c;
                if (c->waits_for == 0 && (!oldest || c->serial - oldest->serial > UINT32_MAX / 2))
                        oldest = c;
        }
        if (oldest)
                client_drop(oldest);
        return oldest;
}

/* As many as there are places: who connects without end must not keep us from the agent. */
static void accept_clients(KeeperServer *s) {
        for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++) {
                struct ucred peer;
                socklen_t size = sizeof(peer);
                KeeperClient *c;
                int fd;

                fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0) {
                        if (errno == EINTR || errno == ECONNABORTED)
                                continue;
                        return;
                }
                if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
                                peer.uid != geteuid() || !(c = client_place(s, peer.pid))) {
                        (void)close(fd);
                        continue;
                }
                *c = (KeeperClient){ .fd = fd, .pid = peer.pid, .serial = ++s->last_serial };
        }
}

static void reply_failed(KeeperClient *c, const char *text) {
        PACKET(p);

        packet_text(&p, (const char[]){ KEEPER_FAILED, '\0' });
        packet_text(&p, text);
        client_reply(c, &p);
}

/* Lends the terminal: the slave side itself, and what tmux says about it in our environment. */
static void reply_terminal(KeeperServer *s, KeeperClient *c) {
        static const char *const names[] = { "TMUX", "TMUX_PANE", "TERM" };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
                                      .cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS } };
        int fd = s->terminal;
        struct iovec iov;
        struct msghdr m = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control.space) };
        PACKET(p);

        if (s->hung_up) {
                reply_failed(c, "the pane of this keeper is gone");
                return;
        }
        packet_text(&p, (const char[]){ KEEPER_TERMINAL, '\0' });
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char *value = getenv(names[i]);

                if (!value)
                        continue;
                packet_text(&p, names[i]);
                packet_text(&p, "=");
                packet_bytes(&p, value, strlen(value) + 1);
        }
        iov = (struct iovec){ .iov_base = p.bytes, .iov_len = p.n };
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        if (sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                client_drop(c);
}

static void reply_state(KeeperServer *s, KeeperClient *c) {
        PACKET(p);

        packet_text(&p, (const char[]){ KEEPER_STATE, '\0' });
        packet_number(&p, (uint64_t)s->direct.main);
        packet_text(&p, " ");
        packet_text(&p, direct_state_to_string(&s->direct));
        client_reply(c, &p);
}

static void reply_done(KeeperServer *s, KeeperClient *c) {
        PACKET(p);

        packet_text(&p, (const char[]){ KEEPER_DONE, '\0' });
        packet_text(&p, s->direct.code);
        packet_text(&p, " ");
        packet_text(&p, s->direct.status);
        client_reply(c, &p);
}

/* Why the start failed: what the launcher said, else how it ended. */
static void reply_start_failed(KeeperServer *s, KeeperClient *c) {
        PACKET(p);
        size_t n = s->direct.n_errors;

        while (n > 0 && s->direct.errors[n - 1] == '\n')
                n--;
        packet_text(&p, (const char[]){ KEEPER_FAILED, '\0' });
        if (n > 0)
                packet_bytes(&p, s->direct.errors, n);
        else {
                packet_text(&p, "the launcher ended (");
                packet_text(&p, s->direct.code);
                packet_text(&p, " ");
                packet_text(&p, s->direct.status);
                packet_text(&p, ") before the agent ran");
        }
        client_reply(c, &p);
}

static void reply_running(KeeperServer *s, KeeperClient *c) {
        PACKET(p);

        packet_text(&p, (const char[]){ KEEPER_RUNNING, '\0' });
        packet_number(&p, (uint64_t)s->direct.main);
        client_reply(c, &p);
}

/* --- requests --------------------------------------------------------------------------------- */

/* Decimal, at most eight digits: a day has fewer milliseconds. Anything else ends the client. */
static int parse_number(const char *text, size_t n, uint64_t *ret) {
        uint64_t v = 0;

        if (n == 0 || n > 8)
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -EINVAL;
                v = v * 10 + (uint64_t)(text[i] - '0');
        }
        *ret = v;
        return 0;
}

static void handle_request(KeeperServer *s, KeeperClient *c) {
        char request[16];
        uint64_t number;
        ssize_t n;

        n = recv(c->fd, request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0 || n > (ssize_t)sizeof(request)) {
                client_drop(c);
                return;
        }
        switch (request[0]) {
        case KEEPER_TAKE:
                reply_terminal(s, c);
                break;
        case KEEPER_QUERY:
                reply_state(s, c);
                break;
        case KEEPER_READY:
                if (s->direct.main > 0 && c->pid == s->direct.main &&
                                parse_number(request + 1, (size_t)n - 1, &number) == 0)
                        direct_on_ready(&s->direct, number);
                break;
        case KEEPER_START:
                c->waits_for = KEEPER_START;
                break;
        case KEEPER_STOP:
                if (parse_number(request + 1, (size_t)n - 1, &number) < 0) {
                        client_drop(c);
                        break;
                }
                c->waits_for = KEEPER_STOP;
                direct_stop(&s->direct, number);
                break;
        default:
                client_drop(c);
                break;
        }
}

/* Answers who waits for what has come about, then starts if somebody asked for it. */
static void settle(KeeperServer *s) {
        bool wanted = false;

        for (KeeperClient *c = s->clients; c < s->clients + KEEPER_CLIENTS_MAX; c++) {
                if (c->fd < 0 || c->waits_for == 0)
                        continue;
                if (c->waits_for == KEEPER_STOP && s->direct.state == DIRECT_IDLE)
                        reply_done(s, c);
                else if (c->waits_for == KEEPER_START && s->direct.state == DIRECT_RUNNING)
                        reply_running(s, c);
                else if (c->waits_for == KEEPER_START && s->direct.state == DIRECT_IDLE) {
                        if (s->direct.start_failed)
                                reply_start_failed(s, c);
                        else if (s->hung_up)
                                reply_failed(c, "the pane of this keeper is gone");
                        else
                                wanted = true;
                }
        }
        if (s->direct.state == DIRECT_IDLE)
                s->direct.start_failed = false;
        if (wanted) {
                int r = direct_start(&s->direct);

                for (KeeperClient *c = s->clients; r < 0 && c < s->clients + KEEPER_CLIENTS_MAX;
                                c++)
                        if (c->fd >= 0 && c->waits_for == KEEPER_START)
                                reply_failed(c, strerrorname_np(-r) ? strerrorname_np(-r)
                                                                    : "error");
        }
}

/* --- sleep ------------------------------------------------------------------------------------ */

static void on_hangup(KeeperServer *s) {
        s->hung_up = true;
        if (s->direct.state == DIRECT_IDLE)
                return;
        /* The kernel hung the agent up; see to it that it goes and that its end is recorded. */
        direct_stop(&s->direct, HANGUP_TIMEOUT_MS);
}

enum { TERMINAL, LISTENER, CHILDREN, ERRORS, CLIENTS, N_FDS = CLIENTS + KEEPER_CLIENTS_MAX };

/* The terminal is watched for hangup only: nothing that an agent prints or a human types wakes us.
 * The same for a client that waits for an answer. */
static void list_fds(const KeeperServer *s, struct pollfd fds[static N_FDS]) {
        fds[TERMINAL] = (struct pollfd){ .fd = s->hung_up ? -1 : s->terminal };
        fds[LISTENER] = (struct pollfd){ .fd = s->listener, .events = POLLIN };
        fds[CHILDREN] = (struct pollfd){ .fd = s->direct.signal_fd, .events = POLLIN };
        fds[ERRORS] = (struct pollfd){ .fd = s->direct.errors_fd, .events = POLLIN };
        for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++)
                fds[CLIENTS + i] = (struct pollfd){ .fd = s->clients[i].fd,
                        .events = s->clients[i].waits_for ? 0 : POLLIN };
}

int keeper_serve(KeeperServer *s) {
        struct pollfd fds[N_FDS];

        list_fds(s, fds);
        if (poll(fds, N_FDS, direct_timeout(&s->direct)) < 0)
                return errno == EINTR ? 1 : -errno;

        /* First, so that no launcher is given a terminal that is gone. */
        if (fds[TERMINAL].revents != 0)
                on_hangup(s);
        for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++) {
                if (fds[CLIENTS + i].revents & POLLIN)
                        handle_request(s, s->clients + i);
                else if (fds[CLIENTS + i].revents != 0)
                        client_drop(s->clients + i);
        }
        if (fds[ERRORS].revents != 0)
                direct_on_errors(&s->direct);
        settle(s); /* between a start and the end that may already be known */
        if (fds[CHILDREN].revents != 0)
                direct_on_child(&s->direct);
        direct_on_time(&s->direct);
        settle(s);
        if (fds[LISTENER].revents != 0)
                accept_clients(s);
        return !(s->hung_up && s->direct.state == DIRECT_IDLE);
}
