/* SPDX-License-Identifier: MIT */

/*
 * mosaic-keeper NAME: the process of a pane. It owns the terminal while agents come and go: gives
 * up the controlling terminal, so that an agent can have it, keeps the slave side open, so that the
 * pane lives on, and lends it to the launcher over a socket. Under the direct supervisor it is also
 * the agent's parent (keeper-direct.c). `mosaic-keeper --hold` only sleeps.
 *
 * Hundreds of these run for weeks: static, no malloc, no stdio, asleep in one poll(2) without
 * timeout.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "drivers/agent/keeper-direct.h"
#include "drivers/agent/keeper-protocol.h"
#include "model/base/cleanup.h"

#define TERMINAL_FD STDIN_FILENO
#define CLIENTS_MAX 16
/* A pane that went away hangs its agent up; this long may the agent take before it is killed. */
#define HANGUP_TIMEOUT_MS 10000
/* And this long a new keeper waits for the old one of such a pane. */
#define PREDECESSOR_TIMEOUT_MS 15000

typedef struct Client {
        int fd;
        pid_t pid;
        char waits_for; /* KEEPER_START or KEEPER_STOP; 0: nothing, its next request is read */
        unsigned serial;
} Client;

typedef struct Packet {
        char bytes[KEEPER_PACKET_MAX];
        size_t n;
} Packet;

/* Not zeroed as a whole: that would cost a page. */
#define PACKET(p)                                                                                  \
        Packet p;                                                                                  \
        p.n = 0

static Client clients[CLIENTS_MAX];
static unsigned last_serial;
static Direct direct;
static bool hung_up;

static char socket_name[64];
static dev_t socket_dev;
static ino_t socket_ino;

/* --- text ------------------------------------------------------------------------------------- */

static void packet_bytes(Packet *p, const void *bytes, size_t n) {
        if (n > sizeof(p->bytes) - p->n)
                n = sizeof(p->bytes) - p->n;
        memcpy(p->bytes + p->n, bytes, n);
        p->n += n;
}

static void packet_text(Packet *p, const char *text) {
        packet_bytes(p, text, strlen(text));
}

static void packet_number(Packet *p, uint64_t v) {
        char digits[20];
        size_t at = sizeof(digits);

        do
                digits[--at] = (char)('0' + v % 10);
        while ((v /= 10) > 0);
        packet_bytes(p, digits + at, sizeof(digits) - at);
}

/* "mosaic-keeper: WHAT: ENOENT", on the pane. */
_Noreturn static void die(const char *what, int error) {
        const char *name = strerrorname_np(error < 0 ? -error : error);
        PACKET(p);

        packet_text(&p, "mosaic-keeper: ");
        packet_text(&p, what);
        if (error != 0) {
                packet_text(&p, ": ");
                packet_text(&p, name ? name : "unknown error");
        }
        packet_text(&p, "\n");
        (void)!write(STDERR_FILENO, p.bytes, p.n);
        _exit(1);
}

/* --- terminal --------------------------------------------------------------------------------- */

/* From here on nothing typed can signal us, and one agent after the other can have the terminal. */
static void give_up_terminal(void) {
        if (isatty(TERMINAL_FD) == 0)
                die("standard input is not a terminal; this program runs in a pane", 0);

        /* The kernel hangs up the foreground group of who gives a terminal up: ourselves. */
        (void)signal(SIGHUP, SIG_IGN);
        if (ioctl(TERMINAL_FD, TIOCNOTTY) < 0 && errno != ENOTTY)
                die("cannot give up the terminal", errno);
        (void)signal(SIGHUP, SIG_DFL);
}

/* --- socket ----------------------------------------------------------------------------------- */

static void make_directory(const char *path) {
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                die(path, errno);
}

/* Enters $MOSAIC_RUNTIME_DIR/keep. Working there makes names short enough for sun_path, whatever
 * the length of the path. */
static int enter_directory(void) {
        const char *runtime = getenv("MOSAIC_RUNTIME_DIR");
        char path[4096];
        struct stat st;
        size_t n;
        int fd;

        if (!runtime || runtime[0] != '/')
                die("MOSAIC_RUNTIME_DIR is not set", 0);
        n = strlen(runtime);
        if (n + sizeof("/" KEEPER_DIRECTORY) > sizeof(path))
                die("MOSAIC_RUNTIME_DIR", ENAMETOOLONG);
        memcpy(path, runtime, n + 1);
        for (char *p = path + 1; *p; p++)
                if (*p == '/') {
                        *p = '\0';
                        make_directory(path);
                        *p = '/';
                }
        make_directory(path);
        memcpy(path + n, "/" KEEPER_DIRECTORY, sizeof("/" KEEPER_DIRECTORY));
        make_directory(path);
        if (chdir(path) < 0)
                die(path, errno);
        fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                die(path, errno);
        if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
                die("the directory of the sockets must be ours alone (mode 0700)", 0);
        return fd;
}

static void set_address(struct sockaddr_un *sa, const char *name) {
        *sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
        memcpy(sa->sun_path, name, strlen(name) + 1);
}

/* Is there a living keeper of our name? Returns a connection to it, -ECONNREFUSED or -ENOENT. */
static int find_predecessor(void) {
        struct sockaddr_un sa;
        int fd, r;

        set_address(&sa, socket_name);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                die("socket", errno);
        if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
                return fd;
        r = -errno;
        (void)close(fd);
        return r;
}

/* Binds to a name of our own and renames it: the name is never absent and never refuses. */
static int bind_socket(void) {
        PACKET(temporary);
        struct sockaddr_un sa;
        struct stat st;
        mode_t mask;
        int fd;

        packet_text(&temporary, ".");
        packet_text(&temporary, socket_name);
        packet_text(&temporary, ".");
        packet_number(&temporary, (uint64_t)getpid());
        packet_bytes(&temporary, "", 1);
        set_address(&sa, temporary.bytes);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                die("socket", errno);
        (void)unlink(sa.sun_path);
        mask = umask(0177);
        if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
                die("cannot bind the socket", errno);
        (void)umask(mask); /* agents inherit it under the direct supervisor */
        if (listen(fd, CLIENTS_MAX) < 0 || stat(sa.sun_path, &st) < 0 ||
                        rename(sa.sun_path, socket_name) < 0) {
                int r = errno;

                (void)unlink(sa.sun_path);
                die("cannot listen on the socket", r);
        }
        socket_dev = st.st_dev;
        socket_ino = st.st_ino;
        return fd;
}

static int64_t now_ms(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * Listens on keep/NAME. The socket of a dead keeper is replaced; that of a living one never: its
 * pane went away and its agent is about to end (or somebody made a second session), so we wait, and
 * give up after a while. The lock on the directory makes look and rename one step among keepers.
 */
static int listen_on_socket(void) {
        int64_t give_up = now_ms() + PREDECESSOR_TIMEOUT_MS;
        _cleanup_close_ int dir = enter_directory();

        for (;;) {
                struct pollfd fds[2] = { { .fd = TERMINAL_FD }, { .fd = -1 } };
                int predecessor, fd;
                int64_t left;

                while (flock(dir, LOCK_EX) < 0)
                        if (errno != EINTR)
                                die("cannot lock the directory of the sockets", errno);
                predecessor = find_predecessor();
                if (predecessor == -ECONNREFUSED || predecessor == -ENOENT) {
                        fd = bind_socket();
                        (void)flock(dir, LOCK_UN);
                        return fd;
                }
                (void)flock(dir, LOCK_UN);

                /* -EAGAIN: alive, with a full queue; there is nothing to wait on but time */
                if (predecessor < 0 && predecessor != -EAGAIN)
                        die("cannot ask the keeper of that name", predecessor);
                left = give_up - now_ms();
                if (left <= 0)
                        die("a living keeper has that name", 0);
                if (predecessor < 0 && left > 100)
                        left = 100;
                fds[1].fd = predecessor;
                (void)poll(fds, 2, (int)left);
                if (fds[0].revents != 0)
                        _exit(0);
                if (predecessor >= 0)
                        (void)close(predecessor);
        }
}

/* Leaves no dead socket behind, and never removes that of a successor. */
static void remove_socket(void) {
        _cleanup_close_ int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;

        if (dir < 0 || flock(dir, LOCK_EX) < 0)
                return;
        if (fstatat(dir, socket_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == socket_dev &&
                        st.st_ino == socket_ino)
                (void)unlinkat(dir, socket_name, 0);
}

/* --- clients ---------------------------------------------------------------------------------- */

static void client_drop(Client *c) {
        (void)close(c->fd);
        *c = (Client){ .fd = -1 };
}

static void client_reply(Client *c, const Packet *p) {
        if (send(c->fd, p->bytes, p->n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                client_drop(c);
        else
                c->waits_for = 0;
}

/* A free place, else that of who has been silent longest; NULL if all wait for an answer. The last
 * place is for the launcher alone, however many ask for what only it can bring about. */
static Client *client_place(pid_t pid) {
        Client *last = clients + CLIENTS_MAX - 1, *oldest = NULL;

        if (direct.main > 0 && pid == direct.main) {
                if (last->fd >= 0)
                        client_drop(last);
                return last;
        }
        for (Client *c = clients; c < last; c++) {
                if (c->fd < 0)
                        return c;
                if (c->waits_for == 0 && (!oldest || c->serial - oldest->serial > UINT32_MAX / 2))
                        oldest = c;
        }
        if (oldest)
                client_drop(oldest);
        return oldest;
}

static void accept_clients(int listener) {
        for (;;) {
                struct ucred peer;
                socklen_t size = sizeof(peer);
                Client *c;
                int fd;

                fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0) {
                        if (errno == EINTR || errno == ECONNABORTED)
                                continue;
                        return;
                }
                if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
                                peer.uid != geteuid() || !(c = client_place(peer.pid))) {
                        (void)close(fd);
                        continue;
                }
                *c = (Client){ .fd = fd, .pid = peer.pid, .serial = ++last_serial };
        }
}

static void reply_failed(Client *c, const char *text) {
        PACKET(p);

        packet_text(&p, (const char[]){ KEEPER_FAILED, '\0' });
        packet_text(&p, text);
        client_reply(c, &p);
}

/* Lends the terminal: the slave side itself, and what tmux says about it in our environment. */
static void reply_terminal(Client *c) {
        static const char *const names[] = { "TMUX", "TMUX_PANE", "TERM" };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
                                      .cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS } };
        int fd = TERMINAL_FD;
        struct iovec iov;
        struct msghdr m = { .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control.space) };
        PACKET(p);

        if (hung_up) {
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

static void reply_state(Client *c) {
        PACKET(p);

        packet_text(&p, (const char[]){ KEEPER_STATE, '\0' });
        packet_number(&p, (uint64_t)direct.main);
        packet_text(&p, " ");
        packet_text(&p, direct_state_to_string(&direct));
        client_reply(c, &p);
}

static void reply_done(Client *c) {
        PACKET(p);

        packet_text(&p, (const char[]){ KEEPER_DONE, '\0' });
        packet_text(&p, direct.code);
        packet_text(&p, " ");
        packet_text(&p, direct.status);
        client_reply(c, &p);
}

/* Why the start failed: what the launcher said, else how it ended. */
static void reply_start_failed(Client *c) {
        PACKET(p);
        size_t n = direct.n_errors;

        while (n > 0 && direct.errors[n - 1] == '\n')
                n--;
        packet_text(&p, (const char[]){ KEEPER_FAILED, '\0' });
        if (n > 0)
                packet_bytes(&p, direct.errors, n);
        else {
                packet_text(&p, "the launcher ended (");
                packet_text(&p, direct.code);
                packet_text(&p, " ");
                packet_text(&p, direct.status);
                packet_text(&p, ") before the agent ran");
        }
        client_reply(c, &p);
}

static void reply_running(Client *c) {
        PACKET(p);

        packet_text(&p, (const char[]){ KEEPER_RUNNING, '\0' });
        packet_number(&p, (uint64_t)direct.main);
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

static void handle_request(Client *c) {
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
                reply_terminal(c);
                break;
        case KEEPER_QUERY:
                reply_state(c);
                break;
        case KEEPER_READY:
                if (direct.main > 0 && c->pid == direct.main &&
                                parse_number(request + 1, (size_t)n - 1, &number) == 0)
                        direct_on_ready(&direct, number);
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
                direct_stop(&direct, number);
                break;
        default:
                client_drop(c);
                break;
        }
}

/* Answers who waits for what has come about, then starts if somebody asked for it. */
static void settle(void) {
        bool wanted = false;

        for (Client *c = clients; c < clients + CLIENTS_MAX; c++) {
                if (c->fd < 0 || c->waits_for == 0)
                        continue;
                if (c->waits_for == KEEPER_STOP && direct.state == DIRECT_IDLE)
                        reply_done(c);
                else if (c->waits_for == KEEPER_START && direct.state == DIRECT_RUNNING)
                        reply_running(c);
                else if (c->waits_for == KEEPER_START && direct.state == DIRECT_IDLE) {
                        if (direct.start_failed)
                                reply_start_failed(c);
                        else if (hung_up)
                                reply_failed(c, "the pane of this keeper is gone");
                        else
                                wanted = true;
                }
        }
        if (direct.state == DIRECT_IDLE)
                direct.start_failed = false;
        if (wanted) {
                int r = direct_start(&direct);

                for (Client *c = clients; r < 0 && c < clients + CLIENTS_MAX; c++)
                        if (c->fd >= 0 && c->waits_for == KEEPER_START)
                                reply_failed(c, strerrorname_np(-r) ? strerrorname_np(-r)
                                                                    : "error");
        }
}

/* --- sleep ------------------------------------------------------------------------------------ */

static void on_hangup(void) {
        hung_up = true;
        if (direct.state == DIRECT_IDLE)
                return;
        /* The kernel hung the agent up; see to it that it goes and that its end is recorded. */
        direct_stop(&direct, HANGUP_TIMEOUT_MS);
}

_Noreturn static void run(int listener) {
        enum { TERMINAL, LISTENER, CHILDREN, ERRORS, CLIENTS };
        struct pollfd fds[CLIENTS + CLIENTS_MAX];

        for (;;) {
                /* The terminal is watched for hangup only: nothing that an agent prints or a human
                 * types wakes us. The same for a client that waits for an answer. */
                fds[TERMINAL] = (struct pollfd){ .fd = hung_up ? -1 : TERMINAL_FD };
                fds[LISTENER] = (struct pollfd){ .fd = listener, .events = POLLIN };
                fds[CHILDREN] = (struct pollfd){ .fd = direct.signal_fd, .events = POLLIN };
                fds[ERRORS] = (struct pollfd){ .fd = direct.errors_fd, .events = POLLIN };
                for (size_t i = 0; i < CLIENTS_MAX; i++)
                        fds[CLIENTS + i] = (struct pollfd){ .fd = clients[i].fd,
                                .events = clients[i].waits_for ? 0 : POLLIN };

                if (poll(fds, ELEMENTSOF(fds), direct_timeout(&direct)) < 0) {
                        if (errno == EINTR)
                                continue;
                        die("poll", errno);
                }

                /* First, so that no launcher is given a terminal that is gone. */
                if (fds[TERMINAL].revents != 0)
                        on_hangup();
                for (size_t i = 0; i < CLIENTS_MAX; i++) {
                        Client *c = clients + i;

                        if (fds[CLIENTS + i].revents == 0)
                                continue;
                        if (fds[CLIENTS + i].revents & POLLIN)
                                handle_request(c);
                        else
                                client_drop(c);
                }
                if (fds[ERRORS].revents != 0)
                        direct_on_errors(&direct);
                settle(); /* between a start and the end that may already be known */
                if (fds[CHILDREN].revents != 0)
                        direct_on_child(&direct);
                direct_on_time(&direct);
                settle();
                if (fds[LISTENER].revents != 0)
                        accept_clients(listener);
                if (hung_up && direct.state == DIRECT_IDLE) {
                        remove_socket();
                        _exit(0);
                }
        }
}

/* ^[a-z][a-z0-9-]{0,39}$, as model/spec.h says. */
static bool name_is_valid(const char *name) {
        size_t n = 0;

        if (name[0] < 'a' || name[0] > 'z')
                return false;
        for (; name[n]; n++)
                if (n >= 40 || !((name[n] >= 'a' && name[n] <= 'z') ||
                                               (name[n] >= '0' && name[n] <= '9') ||
                                               name[n] == '-'))
                        return false;
        return true;
}

int main(int argc, char *argv[]) {
        int listener;

        if (argc == 2 && strcmp(argv[1], "--hold") == 0) {
                struct pollfd fd = { .fd = TERMINAL_FD };

                give_up_terminal();
                while (poll(&fd, 1, -1) < 0 && errno == EINTR)
                        ;
                return 0;
        }
        if (argc != 2 || !name_is_valid(argv[1])) {
                static const char usage[] = "usage: mosaic-keeper NAME | --hold\n";

                (void)!write(STDERR_FILENO, usage, sizeof(usage) - 1);
                return 64;
        }
        memcpy(socket_name, argv[1], strlen(argv[1]) + 1);
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                clients[i].fd = -1;
        direct_init(&direct, argv[1]);
        give_up_terminal();
        listener = listen_on_socket();
        run(listener);
}
