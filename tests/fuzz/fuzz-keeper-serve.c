/* SPDX-License-Identifier: MIT */

/*
 * The keeper's side of its socket. The input is what happens: clients that come, say anything,
 * wait or do not, and go at bad moments; an agent that starts, says something, executes, forks and
 * ends; processes of others; calls that fail. Only the agent's own processes are signalled, and
 * only when somebody asked for its end or it ended by itself; each answer is one, and true; in the
 * end all who wait are answered, all can be stopped, nothing is left open.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "drivers/agent/keeper-client.h"
#include "drivers/agent/keeper-protocol.h"
#include "drivers/agent/keeper-serve.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/made-processes.h"

#define CLIENTS_MAX 24
#define REQUESTS_MAX 8
#define STEPS_MAX 120
#define ROUNDS_MAX 200
#define STRANGER 77 /* a process of this user that is none of ours */

typedef struct Talker {
        int fd; /* -1: not connected */
        pid_t pid;
        char requests[REQUESTS_MAX]; /* that are to be answered, in order */
        size_t n_requests;
        bool odd; /* it said something that ends a connection */
} Talker;

static Input *in;
static KeeperServer server;
static Talker talkers[CLIENTS_MAX];
static int terminal[2]; /* the keeper's, and the other side */
static bool gone;       /* the keeper ended, as it does when its pane is gone */

/* --- what is seen of the keeper --------------------------------------------------------------- */

static const Main *main_of(pid_t pid) {
        for (size_t i = 0; i < world.n_mains; i++)
                if (world.mains[i].pid == pid)
                        return world.mains + i;
        return NULL;
}

/* It said that it is ready, and nothing after that before its exec closed the pipe. */
static bool has_executed(const Main *m) {
        bool ready = false;

        for (size_t i = 0; i < m->n_ready; i++)
                ready = ready || m->ready[i] == m->n_said;
        ready = ready || m->n_ready == ELEMENTSOF(m->ready); /* not all are known */
        return m->is_closed && ready;
}

static void check_state(void) {
        const Direct *d = &server.direct;
        size_t n_ours = world_count_ours();

        switch (d->state) {
        case DIRECT_IDLE:
                assert(d->main == 0 && n_ours == 0);
                break;
        case DIRECT_STARTING:
                assert(d->main > 0);
                break;
        case DIRECT_RUNNING:
                assert(d->main > 0 && has_executed(main_of(d->main)));
                break;
        case DIRECT_STOPPING:
                assert(d->main > 0 || d->killing);
                break;
        case DIRECT_RECORDING:
                assert(d->main == 0 && d->recorder > 0 && n_ours == 1);
                break;
        }
        assert(d->main == 0 || main_of(d->main) == world.mains + world.n_mains - 1);
        assert(d->errors_fd < 0 || d->main > 0);
        for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++)
                assert(server.clients[i].fd >= 0 || server.clients[i].waits_for == 0);
}

/* Whether somebody who is still there waits for such an answer. */
static bool is_awaited(char request) {
        for (Talker *t = talkers; t < talkers + CLIENTS_MAX; t++)
                if (t->fd >= 0 && memchr(t->requests, request, t->n_requests))
                        return true;
        return false;
}

/* Until nothing happens any more without time. */
static void serve(void) {
        uint64_t now = world.now_ms;

        for (unsigned i = 0; !gone; i++) {
                int r = keeper_serve(&server);

                assert(r >= 0 && i < ROUNDS_MAX);
                check_state();
                gone = r == 0;
                assert(gone == (server.hung_up && server.direct.state == DIRECT_IDLE));
                if (world.now_ms != now || world.is_idle)
                        break;
        }
        world.may_start = is_awaited(KEEPER_START);
        world.may_stop = server.hung_up || is_awaited(KEEPER_STOP) ||
                         server.direct.state == DIRECT_STOPPING;
        if (!world.may_stop)
                world.may_kill_ms = UINT64_MAX;
}

/* Somebody wants the end of the agent, and gives it so much time. */
static void allow_end(uint64_t timeout_ms) {
        world.may_stop = true;
        if (world.now_ms + timeout_ms < world.may_kill_ms)
                world.may_kill_ms = world.now_ms + timeout_ms;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void check_terminal(const char *packet, size_t n, int fd) {
        struct stat lent, own;

        assert(n > 0 && packet[0] == KEEPER_TERMINAL && packet[n - 1] == '\0');
        assert(fd >= 0 && fstat(fd, &lent) == 0 && fstat(terminal[0], &own) == 0);
        assert(lent.st_ino == own.st_ino && lent.st_dev == own.st_dev);
        for (const char *p = packet + 1; p < packet + n; p += strlen(p) + 1)
                assert(strchr(p, '='));
}

static bool has_ended_so(const char *code, const char *status) {
        char end[40];

        (void)snprintf(end, sizeof(end), "%s %s", code, status);
        for (size_t i = 0; i < world.n_mains; i++)
                if (strcmp(world.mains[i].end, end) == 0)
                        return true;
        return strcmp(end, "none 0") == 0;
}

static void check_answer(char request, char *packet, size_t n, int fd) {
        KeeperCall call = { .request = request == KEEPER_QUERY   ? KEEPER_ASK_QUERY
                                       : request == KEEPER_START ? KEEPER_ASK_START
                                                                 : KEEPER_ASK_STOP };
        int r;

        if (request == KEEPER_TAKE) {
                if (packet[0] == KEEPER_FAILED)
                        assert(server.hung_up && n > 1 && fd < 0);
                else
                        check_terminal(packet, n, fd);
                return;
        }
        assert(fd < 0 && n > 1);
        r = keeper_answer_parse(packet, &call);
        assert(r == 0 || (r == -ECANCELED && request == KEEPER_START && *call.text));
        if (r == 0 && request == KEEPER_QUERY)
                assert((call.pid > 0) == (main_of(call.pid) != NULL));
        else if (r == 0 && request == KEEPER_START)
                assert(main_of(call.pid) && has_executed(main_of(call.pid)));
        else if (r == 0)
                assert(has_ended_so(call.code, call.status));
        free(call.text);
}

/* Takes all in that a client was told. */
static void hear(Talker *t) {
        while (t->fd >= 0) {
                char packet[KEEPER_PACKET_MAX + 1], control[CMSG_SPACE(2 * sizeof(int))];
                struct iovec iov = { .iov_base = packet, .iov_len = sizeof(packet) - 1 };
                struct msghdr m = { .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof(control) };
                ssize_t n = recvmsg(t->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
                struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
                int fd = -1;

                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        (void)close(t->fd);
                        *t = (Talker){ .fd = -1 };
                        return;
                }
                assert(!(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && t->n_requests > 0);
                if (c)
                        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
                packet[n] = '\0';
                check_answer(t->requests[0], packet, (size_t)n, fd);
                memmove(t->requests, t->requests + 1, --t->n_requests);
                if (fd >= 0)
                        (void)close(fd);
        }
}

/* --- clients ---------------------------------------------------------------------------------- */

static pid_t choose_pid(void) {
        const Process *agent = world_find(OWNER_AGENT);

        switch (input_choose(in, 3)) {
        case 1:
                return server.direct.main > 0 ? server.direct.main : STRANGER;
        case 2:
                return agent ? agent->pid : STRANGER;
        default:
                return STRANGER;
        }
}

static void connect_as(Talker *t, pid_t pid, uid_t uid) {
        int fds[2];

        if (t->fd >= 0)
                return;
        assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        /* Of another user nothing is heard. */
        *t = (Talker){ .fd = fds[0], .pid = pid, .odd = uid != geteuid() };
        world_connect(fds[1], pid, uid);
}

static void hang_up(Talker *t) {
        if (t->fd >= 0)
                (void)close(t->fd);
        *t = (Talker){ .fd = -1 };
}

static void say(Talker *t, const char *bytes, size_t n) {
        bool number = n > 1 && n <= 9 && strspn(bytes + 1, "0123456789") >= n - 1;
        char request = n > 0 ? *bytes : '\0';

        if (t->fd < 0 || t->n_requests == REQUESTS_MAX ||
                        sendto(t->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0) < 0 || t->odd)
                return;
        /* What comes after that is not heard. */
        t->odd = n == 0 || n > 16 || !strchr("TRSKQ", request) ||
                 (request == KEEPER_STOP && !number);
        if (request == KEEPER_READY && number && t->pid == server.direct.main &&
                        world.n_mains > 0) {
                Main *m = world.mains + world.n_mains - 1;

                if (m->n_ready < ELEMENTSOF(m->ready))
                        m->ready[m->n_ready++] = (unsigned)strtoul(bytes + 1, NULL, 10);
        }
        if (t->odd || request == KEEPER_READY)
                return;
        t->requests[t->n_requests++] = request;
        world.may_start = world.may_start || request == KEEPER_START;
        if (request == KEEPER_STOP)
                allow_end(strtoul(bytes + 1, NULL, 10));
}

static void say_something(Talker *t) {
        static const char *const requests[] = { "Q", "S", "K0", "K500", "K10000", "T", "R0", "R5",
                "K", "K123456789", "K-1", "R", "X", "" };
        unsigned i = input_choose(in, ELEMENTSOF(requests) + 1);
        _cleanup_free_ char *raw = NULL;

        if (i < ELEMENTSOF(requests)) {
                say(t, requests[i], strlen(requests[i]));
                return;
        }
        raw = input_text(in, 40);
        say(t, raw, strlen(raw));
}

/* --- the agent -------------------------------------------------------------------------------- */

/* The launcher's own connection: it says how much it said, and executes. */
static void execute(void) {
        Process *p = world_find(OWNER_MAIN);
        Talker *t = talkers + input_choose(in, CLIENTS_MAX);
        char packet[24];

        if (!p || p->errors_fd < 0)
                return;
        hang_up(t);
        connect_as(t, p->pid, geteuid());
        (void)snprintf(packet, sizeof(packet), "R%u",
                        input_flag(in) ? 3 : world.mains[world.n_mains - 1].n_said);
        say(t, packet, strlen(packet));
        if (input_flag(in))
                serve();
        if (p->errors_fd >= 0)
                (void)close(p->errors_fd);
        p->errors_fd = -1;
        world.mains[world.n_mains - 1].is_closed = true;
}

static void speak(void) {
        Process *p = world_find(OWNER_MAIN);
        char text[600];
        size_t n = (size_t)input_byte(in) * 2;

        if (!p || p->errors_fd < 0)
                return;
        memset(text, input_flag(in) ? '\n' : 'e', sizeof(text));
        assert(write(p->errors_fd, text, n) == (ssize_t)n);
        world.mains[world.n_mains - 1].n_said += (unsigned)n;
}

static void end_one(Owner owner) {
        static const struct {
                int code, status;
        } ends[] = { { CLD_EXITED, 0 }, { CLD_EXITED, 1 }, { CLD_EXITED, 255 },
                { CLD_KILLED, SIGTERM }, { CLD_DUMPED, SIGSEGV }, { CLD_KILLED, 45 } };
        unsigned i = input_choose(in, ELEMENTSOF(ends));
        Process *p = world_find(owner);

        if (p)
                world_end_process(p, ends[i].code, ends[i].status);
}

/* A child of the agent, in its session or one of its own. */
static void fork_agent(void) {
        const Process *parent = world_find(input_flag(in) ? OWNER_AGENT : OWNER_MAIN);
        bool own = input_flag(in);
        Process *p = parent ? world_add(OWNER_AGENT, 0, parent->pid, parent->session) : NULL;

        if (p && own)
                p->session = p->pid;
        if (p && parent->errors_fd >= 0 && input_flag(in))
                p->errors_fd = fcntl(parent->errors_fd, F_DUPFD_CLOEXEC, 0);
}

/* A process of others; it may have the number that one of ours had. */
static void add_stranger(void) {
        static char as_ours[32]; /* a name like the rest of a line about a child of the keeper */
        const char *const names[] = { "bash", as_ours, "(((", ") ) R 77 1 1 (", "" };
        pid_t reused = world.n_mains > 0 && input_flag(in) ? world.mains[0].pid : 0;
        Process *p;

        (void)snprintf(as_ours, sizeof(as_ours), "x) S %d 1", (int)getpid());
        for (size_t i = 0; i < PROCESSES_MAX; i++)
                if (world.processes[i].pid == reused)
                        reused = 0;
        p = world_add(OWNER_OTHERS, reused, STRANGER, STRANGER);
        if (p)
                p->name = names[input_choose(in, ELEMENTSOF(names))];
}

/* The pane goes away, or a call fails. */
static void fail_some(void) {
        switch (input_choose(in, 8)) {
        case 0:
                world.failing_forks = 1 + input_choose(in, 3);
                break;
        case 1:
                world.failing_pipes = 1;
                break;
        case 2:
                world.no_children_file = true;
                break;
        case 3:
                world.no_proc = true;
                break;
        case 4:
                world.dies_slowly = true;
                break;
        case 5:
                world.recorder_hangs = true;
                break;
        case 6:
                assert(shutdown(terminal[1], SHUT_RDWR) == 0);
                allow_end(10000);
                break;
        default:
                world_tell_child(); /* of nothing */
                break;
        }
}

/* --- what happens ----------------------------------------------------------------------------- */

static void step(void) {
        Talker *t = talkers + input_choose(in, CLIENTS_MAX);

        switch (input_choose(in, 14)) {
        case 0:
        case 1:
                connect_as(t, choose_pid(), geteuid() + (input_choose(in, 8) == 7));
                break;
        case 2:
        case 3:
        case 4:
                say_something(t);
                break;
        case 5:
                hang_up(t);
                break;
        case 6:
                hear(t);
                break;
        case 7:
                execute();
                break;
        case 8:
                speak();
                break;
        case 9:
                end_one(input_choose(in, 3) == 2 ? OWNER_RECORDER
                                : input_flag(in) ? OWNER_AGENT
                                                 : OWNER_MAIN);
                break;
        case 10:
                fork_agent();
                break;
        case 11:
                add_stranger();
                break;
        case 12:
                world.now_ms += input_byte(in) * 50u;
                world_bury_doomed();
                break;
        default:
                fail_some();
                break;
        }
        /* Not after every one: what came at once is found at once. */
        if (!input_flag(in))
                serve();
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Calls do not fail any more, time passes, and who was killed dies. */
static void calm_down(void) {
        world.failing_forks = world.failing_pipes = 0;
        world.no_children_file = world.no_proc = world.dies_slowly = false;
        for (unsigned i = 0; i < 12; i++) {
                Process *p = world_find(OWNER_RECORDER);

                serve();
                world_bury_doomed();
                if (server.direct.state == DIRECT_STARTING && (p = world_find(OWNER_MAIN)))
                        world_end_process(p, CLD_EXITED, 1);
                else if (p && !world.recorder_hangs)
                        world_end_process(p, CLD_EXITED, 0);
                serve();
                for (Talker *t = talkers; t < talkers + CLIENTS_MAX; t++)
                        hear(t);
        }
        for (Talker *t = talkers; t < talkers + CLIENTS_MAX && !gone; t++)
                assert(t->fd < 0 || (t->n_requests == 0 && !t->odd));
}

/* Whatever was before, who asks for the end gets it. */
static void stop_all(void) {
        for (Talker *t = talkers; t < talkers + CLIENTS_MAX; t++)
                hang_up(t);
        serve();
        if (gone)
                return;
        connect_as(talkers, STRANGER, geteuid());
        say(talkers, "K1000", 5);
        calm_down();
        assert(talkers[0].fd >= 0 && server.direct.state == DIRECT_IDLE);
        hang_up(talkers);
        assert(shutdown(terminal[1], SHUT_RDWR) == 0);
        serve();
        assert(gone);
}

static unsigned count_fds(void) {
        unsigned n = 0;

        for (int fd = 0; fd < 128; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void close_keeper(void) {
        for (size_t i = 0; i < KEEPER_CLIENTS_MAX; i++)
                if (server.clients[i].fd >= 0)
                        (void)close(server.clients[i].fd);
        assert(server.direct.errors_fd < 0);
        if (server.direct.signal_fd >= 0)
                (void)close(server.direct.signal_fd);
        (void)close(server.listener);
        (void)close(terminal[0]);
        (void)close(terminal[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input input = INPUT(data, size);
        unsigned n_fds = count_fds();

        in = &input;
        gone = false;
        for (Talker *t = talkers; t < talkers + CLIENTS_MAX; t++)
                *t = (Talker){ .fd = -1 };
        assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, terminal) == 0);
        memset(&server, 0, sizeof(server));
        keeper_server_init(&server, "web", terminal[0], eventfd(0, EFD_CLOEXEC));
        world_begin();
        world.may_kill_ms = UINT64_MAX;
        for (unsigned i = 0; i < STEPS_MAX && input.at < input.n; i++)
                step();
        calm_down();
        stop_all();
        close_keeper();
        world_end();
        assert(count_fds() == n_fds);
        return 0;
}
