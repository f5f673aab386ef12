/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/bus-peer.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "drivers/systemd/manager-internal.h"

#define BEGIN_USEC 1000000
#define STEP_USEC 20
/* As if each signal of a flood took long: so that deadlines come in some tens of them. */
#define FLOOD_USEC 400000
/* Later than that nothing may still be waiting. */
#define END_USEC (BEGIN_USEC + 3600 * (uint64_t)1000000)
#define CONNECTIONS_MAX 8

static struct {
        const PeerRules *rules; /* NULL: not begun */
        sd_bus *bus;
        uint64_t now_usec;
        unsigned n_connections; /* since peer_refuse() */
        unsigned serial;
        bool refuses, floods, is_mute;
} peer;

int __real_sd_bus_start(sd_bus *bus);
int __real_sd_bus_process(sd_bus *bus, sd_bus_message **ret);
int __real_sd_bus_wait(sd_bus *bus, uint64_t timeout_usec);
int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __real_nanosleep(const struct timespec *time, struct timespec *left);

int __wrap_sd_bus_start(sd_bus *bus);
int __wrap_sd_bus_process(sd_bus *bus, sd_bus_message **ret);
int __wrap_sd_bus_wait(sd_bus *bus, uint64_t timeout_usec);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

/* --- the connection --------------------------------------------------------------------------- */

static void hang_up(void) {
        peer.bus = sd_bus_close_unref(peer.bus);
        peer.floods = peer.is_mute = false;
}

void peer_begin(const PeerRules *rules) {
        assert(!peer.rules);
        peer.rules = rules;
        peer.now_usec = BEGIN_USEC;
        peer.n_connections = peer.serial = 0;
        peer.refuses = false;
}

void peer_end(void) {
        hang_up();
        peer.rules = NULL;
}

sd_bus *peer_bus(void) {
        return peer.is_mute ? NULL : peer.bus;
}

void peer_hang_up(void) {
        hang_up();
}

unsigned peer_serial(void) {
        return peer.serial;
}

void peer_refuse(bool yes) {
        peer.refuses = yes;
        peer.n_connections = 0;
}

bool peer_refuses(void) {
        return peer.refuses || peer.n_connections >= CONNECTIONS_MAX;
}

uint64_t peer_now(void) {
        return peer.now_usec;
}

void peer_sleep(uint64_t usec) {
        peer.now_usec += usec;
        assert(peer.now_usec < END_USEC);
}

int __wrap_sd_bus_start(sd_bus *bus) {
        int fds[2], r;

        if (!peer.rules)
                return __real_sd_bus_start(bus);
        if (peer.refuses || peer.n_connections++ == CONNECTIONS_MAX)
                return -ECONNREFUSED;
        hang_up();
        peer.serial++;
        assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        r = sd_bus_set_fd(bus, fds[0], fds[0]);
        assert(r >= 0);
        r = sd_bus_new(&peer.bus);
        assert(r >= 0);
        r = sd_bus_set_fd(peer.bus, fds[1], fds[1]);
        assert(r >= 0);
        r = sd_bus_set_server(peer.bus, true,
                        SD_ID128_MAKE(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
        assert(r >= 0);
        r = __real_sd_bus_start(peer.bus);
        assert(r >= 0);
        return __real_sd_bus_start(bus);
}

void peer_send(sd_bus_message *message) {
        if (peer.bus && !peer.is_mute)
                (void)sd_bus_send(peer.bus, message, NULL); /* it may have been hung up */
}

sd_bus_message *peer_signal(const char *path, const char *interface, const char *member) {
        sd_bus_message *m = NULL;

        if (peer.bus)
                assert(sd_bus_message_new_signal(peer.bus, &m, path, interface, member) >= 0);
        return m;
}

static void flood(void) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
                        peer_signal(MANAGER_PATH, MANAGER_INTERFACE, "UnitNew");

        peer_send(m);
        peer_sleep(FLOOD_USEC);
}

/* Returns whether something came. */
static bool take_in(void) {
        bool any = false;

        while (peer.bus) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                int r = __real_sd_bus_process(peer.bus, &m);

                if (r < 0)
                        hang_up();
                if (r <= 0)
                        break;
                any = true;
                if (m && !peer.is_mute && sd_bus_message_is_method_call(m, NULL, NULL) > 0)
                        peer.rules->request(m);
        }
        return any;
}

void peer_step(void) {
        (void)take_in();
}

/* --- waiting ---------------------------------------------------------------------------------- */

int __wrap_sd_bus_process(sd_bus *bus, sd_bus_message **ret) {
        if (peer.rules) {
                (void)take_in();
                if (peer.floods)
                        flood();
                peer_sleep(STEP_USEC);
        }
        return __real_sd_bus_process(bus, ret);
}

int __wrap_sd_bus_wait(sd_bus *bus, uint64_t timeout_usec) {
        struct pollfd fd = { .events = POLLIN };

        if (!peer.rules)
                return __real_sd_bus_wait(bus, timeout_usec);
        fd.fd = sd_bus_get_fd(bus);
        if (fd.fd < 0)
                return fd.fd;
        if (take_in() || poll(&fd, 1, 0) > 0)
                return 1;
        if (peer.rules->idle && peer.rules->idle())
                return 1;
        assert(timeout_usec < END_USEC); /* there is a deadline */
        peer_sleep(timeout_usec);
        return 0;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret) {
        if (!peer.rules)
                return __real_clock_gettime(id, ret);
        *ret = (struct timespec){ .tv_sec = (time_t)(peer.now_usec / 1000000),
                .tv_nsec = (long)(peer.now_usec % 1000000 * 1000) };
        return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left) {
        if (!peer.rules)
                return __real_nanosleep(time, left);
        peer_sleep((uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_nsec / 1000);
        return 0;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void answer_error(sd_bus_message *request, const char *name, const char *text) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus_error e = SD_BUS_ERROR_MAKE_CONST(name, text);

        if (sd_bus_message_new_method_error(request, &m, &e) >= 0)
                peer_send(m);
}

static void answer_gone(Input *in, sd_bus_message *request) {
        static const char *const names[] = { "org.freedesktop.DBus.Error.UnknownObject",
                "org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.DBus.Error.FileNotFound" };

        answer_error(request, names[input_choose(in, ELEMENTSOF(names))], "not there");
}

static void answer_some_error(Input *in, sd_bus_message *request) {
        static const char *const names[] = { "org.freedesktop.systemd1.UnitMasked",
                "org.freedesktop.systemd1.LoadFailed", "org.freedesktop.systemd1.BadUnitSetting",
                "org.freedesktop.systemd1.TransactionIsDestructive",
                "org.freedesktop.systemd1.ShuttingDown", "org.freedesktop.DBus.Error.AccessDenied",
                "org.freedesktop.DBus.Error.LimitsExceeded", "org.freedesktop.DBus.Error.NoMemory",
                "org.freedesktop.DBus.Error.InvalidArgs", "System.Error.ENOMEM",
                "System.Error.EAGAIN", "System.Error.EINTR", "System.Error.NoSuchWord", "a.b" };
        _cleanup_free_ char *text = NULL;

        const char *name = names[input_choose(in, ELEMENTSOF(names))];

        text = input_text(in, 40);
        for (char *p = text; *p; p++)
                *p = (char)(*p & 0x7f ? *p & 0x7f : 'x'); /* text on a bus is UTF-8 */
        answer_error(request, name, *text ? text : NULL);
}

/* A message has one argument, of these types; "v" and more: a variant of that. */
static void answer_nonsense(Input *in, sd_bus_message *request, const char *types) {
        static const char *const all[] = { "", "s", "u", "o", "as", "a(s)", "vs", "vu", "vt", "vb",
                "vi", "vas", "v(ss)", "vd" };
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        unsigned i = input_choose(in, ELEMENTSOF(all));
        const char *other = strcmp(all[i], types) != 0 ? all[i]
                                                       : all[i + 1 < ELEMENTSOF(all) ? i + 1 : 0];
        const char *inner = *other == 'v' ? other + 1 : other;
        int r = sd_bus_message_new_method_return(request, &m);

        if (r >= 0 && *other == 'v')
                r = sd_bus_message_open_container(m, 'v', inner);
        if (strcmp(inner, "s") == 0)
                r = sd_bus_message_append(m, "s", "inactive");
        else if (strcmp(inner, "o") == 0)
                r = sd_bus_message_append(m, "o", "/");
        else if (strcmp(inner, "(ss)") == 0)
                r = sd_bus_message_append(m, "(ss)", "", "");
        else if (*inner == 'a')
                r = sd_bus_message_append(m, inner, 0);
        else if (strchr("ubi", *inner) && *inner)
                r = sd_bus_message_append(m, inner, 1);
        else if (*inner == 't')
                r = sd_bus_message_append(m, inner, UINT64_C(1));
        else if (*inner == 'd')
                r = sd_bus_message_append(m, inner, 1.0);
        if (r >= 0 && *other == 'v')
                r = sd_bus_message_close_container(m);
        assert(r >= 0);
        peer_send(m);
}

/* What is no message; or the begin of one, and then nothing ever. (The library makes room for a
 * message as its head says: not too much of it.) */
static void say_bytes(Input *in) {
        bool begins = input_flag(in);
        _cleanup_free_ char *bytes = input_text(in, begins ? 15 : 200);

        if (!begins && *bytes)
                *bytes = '!';
        if (peer.bus)
                (void)send(sd_bus_get_fd(peer.bus), bytes, strlen(bytes), MSG_NOSIGNAL);
        peer.is_mute = true;
}

PeerAnswer peer_answer(Input *in, sd_bus_message *request, const char *types) {
        PeerAnswer answer = (PeerAnswer)input_choose(in, _PEER_ANSWER_MAX);

        switch (answer) {
        case PEER_GONE:
                answer_gone(in, request);
                break;
        case PEER_ERROR:
                answer_some_error(in, request);
                break;
        case PEER_NONSENSE:
                answer_nonsense(in, request, types);
                break;
        case PEER_HANGS_UP:
                hang_up();
                break;
        case PEER_GARBAGE:
                say_bytes(in);
                break;
        case PEER_FLOOD:
                peer.floods = true;
                break;
        case PEER_TRUTH:
        case PEER_SILENT:
        case _PEER_ANSWER_MAX:
                break;
        }
        return answer;
}
