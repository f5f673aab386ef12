/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/manager.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/os/clock.h"
#include "drivers/systemd/manager-internal.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"

/* What has come is taken in for so long after a deadline. */
#define LATE_USEC USEC_PER_SEC
#define RELOAD_TIMEOUT_USEC (60 * USEC_PER_SEC)

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        m->jobs = job_table_free(m->jobs);
        if (m->listing)
                calls_done(m->listing, 1);
        free(m->listing);
        sd_bus_close_unref(m->bus);
        free(m->address);
        free(m->error);
        free(m);
        return NULL;
}

const char *manager_error(const Manager *m) {
        return m->error ? m->error : "";
}

bool manager_is_alive(const Manager *m) {
        return m->dead == 0;
}

void manager_set_timeout(Manager *m, uint64_t timeout_usec) {
        m->timeout_usec = timeout_usec;
}

void manager_set_error(Manager *m, const char *format, ...) {
        va_list ap;

        free(m->error);
        va_start(ap, format);
        (void)!format_valist(&m->error, format, ap);
        va_end(ap);
}

static void clear_error(Manager *m) {
        free(m->error);
        m->error = NULL;
}

/* --- the connection --------------------------------------------------------------------------- */

/* A D-Bus address: everything outside its small alphabet is written as %XX. */
int manager_address(const Paths *p, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        if (!p->manager_socket)
                return -ENOENT;
        strbuf_add(&b, "unix:path=");
        for (const char *c = p->manager_socket; *c; c++) {
                bool plain = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') ||
                             (*c >= 'a' && *c <= 'z') || strchr("-_/.", *c);

                if (plain)
                        strbuf_add_char(&b, *c);
                else
                        strbuf_addf(&b, "%%%02x", (unsigned char)*c);
        }
        return strbuf_finish(&b, ret);
}

int bus_connect(const char *address, uint64_t deadline_usec, sd_bus **ret) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, address);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r == -EAGAIN ? -ETIMEDOUT
                                    : r; /* EAGAIN: nobody accepts, the backlog is full */

        /* The first call would wait for the handshake by itself, but for 90 s whatever its
         * timeout. */
        while ((r = sd_bus_is_ready(bus)) == 0) {
                uint64_t now;

                r = sd_bus_process(bus, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                now = clock_monotonic_usec();
                if (now >= deadline_usec)
                        return -ETIMEDOUT;
                r = sd_bus_wait(bus, deadline_usec - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

int manager_open(const Paths *p, uint64_t timeout_usec, Manager **ret) {
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->timeout_usec = timeout_usec;
        r = manager_address(p, &m->address);
        if (r < 0)
                return r;
        r = bus_connect(m->address, clock_monotonic_usec() + timeout_usec, &m->bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

void manager_open_error(int error, Source *ret) {
        switch (error) {
        case -ENOENT:
        case -ECONNREFUSED:
                source_set(ret, SOURCE_ABSENT, "no systemd user manager runs for this user");
                break;
        case -ETIMEDOUT:
                source_set(ret, SOURCE_UNKNOWN, "the systemd user manager does not answer");
                break;
        default:
                source_set(ret, SOURCE_UNKNOWN, "cannot talk to the systemd user manager: %s",
                                strerror(-error));
        }
}

/* What came before the deadline is taken in after it, too, if we were asleep; but a manager that
 * talks without end is not listened to for ever. */
static bool is_too_late(Manager *m, uint64_t now, uint64_t deadline_usec) {
        if (now < deadline_usec)
                m->late_usec = 0;
        else if (m->late_usec == 0)
                m->late_usec = now;
        return m->late_usec != 0 && now - m->late_usec >= LATE_USEC;
}

int manager_step(Manager *m, uint64_t deadline_usec) {
        uint64_t now;
        int r;

        if (m->dead < 0)
                return m->dead;
        r = sd_bus_process(m->bus, NULL);
        if (r < 0) {
                m->dead = r;
                return r;
        }
        now = clock_monotonic_usec();
        if (r > 0)
                return !is_too_late(m, now, deadline_usec);
        m->late_usec = 0;
        if (now >= deadline_usec)
                return 0;
        r = sd_bus_wait(m->bus, deadline_usec - now);
        if (r < 0 && r != -EINTR) {
                m->dead = r;
                return r;
        }
        return 1;
}

/* --- calls ------------------------------------------------------------------------------------ */

/* The manager's errors that a user can do something about; the rest is passed on as it came. */
static const struct {
        const char *name;
        int error;
        const char *sentence; /* NULL: the manager's own words */
} known_errors[] = {
        { "org.freedesktop.systemd1.NoSuchUnit", -ENOENT,
                        "not installed: run 'mosaic fleet install-systemd'" },
        { "org.freedesktop.systemd1.UnitMasked", -ERFKILL,
                        "masked: 'systemctl --user unmask' it to let it start" },
        { "org.freedesktop.systemd1.LoadFailed", -EBADMSG, NULL },
        { "org.freedesktop.systemd1.BadUnitSetting", -ENOEXEC,
                        "its unit file is not valid: run 'mosaic fleet install-systemd'" },
        { "org.freedesktop.systemd1.TransactionIsDestructive", -EDEADLK,
                        "another job of the same unit forbids it (is the machine shutting down?)" },
        { "org.freedesktop.systemd1.TransactionJobsConflicting", -EDEADLK, NULL },
        { "org.freedesktop.systemd1.TransactionOrderIsCyclic", -EDEADLK, NULL },
        { "org.freedesktop.systemd1.ShuttingDown", -ESHUTDOWN,
                        "the user manager is shutting down" },
        { "org.freedesktop.DBus.Error.AccessDenied", -EACCES, NULL },
        { "org.freedesktop.DBus.Error.LimitsExceeded", -EBUSY,
                        "the user manager refuses more requests for now" },
        { "org.freedesktop.DBus.Error.UnknownObject", -ENOENT, NULL },
        { SD_BUS_ERROR_NO_REPLY, -ETIMEDOUT, "the user manager did not answer" },
        { SD_BUS_ERROR_TIMEOUT, -ETIMEDOUT, "the user manager did not answer in time" },
        { SD_BUS_ERROR_DISCONNECTED, -ENOTCONN, "the user manager hung up" },
};

int error_translate(const sd_bus_error *e, const char *unit, char **ret_sentence) {
        const char *sentence = NULL;
        int error = 0;

        for (size_t i = 0; i < ELEMENTSOF(known_errors); i++)
                if (sd_bus_error_has_name(e, known_errors[i].name)) {
                        error = known_errors[i].error;
                        sentence = known_errors[i].sentence;
                }
        if (error == 0) {
                error = -sd_bus_error_get_errno(e);
                if (error == 0)
                        error = -EIO;
                if (error == -ENOMEM) /* it is the manager's that is short, not ours */
                        error = -EBUSY;
        }
        if (!sentence)
                sentence = e->message ? e->message : e->name;
        (void)!format_text(ret_sentence, "%s%s%s", unit ? unit : "", unit ? ": " : "", sentence);
        return error;
}

bool error_is_silence(const sd_bus_error *e) {
        return sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_TIMEOUT) ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_DISCONNECTED);
}

void calls_done(Call *calls, size_t n) {
        for (size_t i = 0; i < n; i++) {
                calls[i].slot = sd_bus_slot_unref(calls[i].slot);
                calls[i].reply = sd_bus_message_unref(calls[i].reply);
        }
}

static int on_reply(sd_bus_message *reply, void *userdata, _unused_ sd_bus_error *e) {
        Call *c = userdata;

        c->reply = sd_bus_message_ref(reply);
        c->done = true;
        return 1;
}

int manager_note(Manager *m, int r) {
        if (r == -ENOTCONN || r == -ECONNRESET)
                m->dead = r;
        return r;
}

int manager_message(Manager *m,
                const char *path,
                const char *interface,
                const char *member,
                sd_bus_message **ret) {
        if (m->dead < 0)
                return m->dead;
        return manager_note(m,
                        sd_bus_message_new_method_call(m->bus, ret, NULL, path, interface, member));
}

int call_send(Manager *m, sd_bus_message *message, Call *c) {
        /* No timeout of the library's: the deadline is calls_wait()'s. */
        return manager_note(
                        m, sd_bus_call_async(m->bus, &c->slot, message, on_reply, c, UINT64_MAX));
}

int call_send_get(Manager *m,
                const char *path,
                const char *interface,
                const char *property,
                Call *c) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = manager_message(m, path, PROPERTIES_INTERFACE, "Get", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "ss", interface, property);
        if (r < 0)
                return r;
        return call_send(m, message, c);
}

int calls_wait(Manager *m, Call *calls, size_t n, uint64_t deadline_usec) {
        size_t i = 0;

        /* Answers come in the order of the questions, so this is one walk. */
        while (i < n) {
                int r;

                if (calls[i].done) {
                        i++;
                        continue;
                }
                r = manager_step(m, deadline_usec);
                if (r == 0)
                        r = -ETIMEDOUT;
                if (r < 0) {
                        manager_set_error(m, "%s",
                                        r == -ETIMEDOUT ? "the user manager did not answer in time"
                                                        : "the user manager hung up");
                        return r;
                }
        }
        return 0;
}

int call_result(Manager *m, const Call *c) {
        const sd_bus_error *e;
        int r;

        assert(c->done);

        e = sd_bus_message_get_error(c->reply);
        if (!e)
                return 0;
        free(m->error);
        r = error_translate(e, NULL, &m->error);
        if (error_is_silence(e)) /* there is no timeout: the library has answered for it */
                m->dead = -ENOTCONN;
        return r;
}

/* Sends one message and waits for its answer. */
static int call_one(Manager *m, sd_bus_message *message, uint64_t timeout_usec, Call *c) {
        int r;

        clear_error(m);
        r = call_send(m, message, c);
        if (r < 0)
                return r;
        r = calls_wait(m, c, 1, clock_monotonic_usec() + timeout_usec);
        if (r < 0)
                return r;
        return call_result(m, c);
}

int manager_reload(Manager *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        Call c = { 0 };
        int r;

        r = manager_message(m, MANAGER_PATH, MANAGER_INTERFACE, "Reload", &message);
        if (r < 0)
                return r;
        r = call_one(m, message, RELOAD_TIMEOUT_USEC, &c);
        calls_done(&c, 1);
        return r;
}

/* Reads one property of one object, up to the opened variant. */
static int read_property(Manager *m,
                const char *path,
                const char *interface,
                const char *property,
                const char *type,
                Call *c) {
        int r;

        clear_error(m);
        r = call_send_get(m, path, interface, property, c);
        if (r < 0)
                return r;
        r = calls_wait(m, c, 1, clock_monotonic_usec() + m->timeout_usec);
        if (r < 0)
                return r;
        r = call_result(m, c);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(c->reply, 'v', type);
        return r < 0 ? r : 0;
}

/* The same of the manager itself. */
static int manager_property(Manager *m, const char *property, const char *type, Call *c) {
        return read_property(m, MANAGER_PATH, MANAGER_INTERFACE, property, type, c);
}

int manager_main_pid(Manager *m, const char *unit, pid_t *ret) {
        _cleanup_free_ char *path = NULL;
        Call c = { 0 };
        uint32_t pid = 0;
        int r;

        r = sd_bus_path_encode(MANAGER_PATH "/unit", unit, &path);
        if (r < 0)
                return r;
        r = read_property(m, path, SERVICE_INTERFACE, "MainPID", "u", &c);
        if (r >= 0)
                r = sd_bus_message_read(c.reply, "u", &pid);
        calls_done(&c, 1);
        if (r < 0)
                return r;
        if (pid > INT_MAX)
                return -EBADMSG;
        *ret = (pid_t)pid;
        return 0;
}

int manager_unit_path_contains(Manager *m, const char *directory, bool *ret) {
        _cleanup_strv_ char **list = NULL;
        Call c = { 0 };
        int r;

        r = manager_property(m, "UnitPath", "as", &c);
        if (r >= 0)
                r = sd_bus_message_read_strv(c.reply, &list);
        calls_done(&c, 1);
        if (r < 0)
                return r;
        *ret = strv_find(list, directory) != NULL;
        return 0;
}

/* A property of the manager that is text. */
static int manager_text(Manager *m, const char *property, char **ret) {
        const char *text = NULL;
        char *copy = NULL;
        Call c = { 0 };
        int r;

        r = manager_property(m, property, "s", &c);
        if (r >= 0)
                r = sd_bus_message_read(c.reply, "s", &text);
        if (r >= 0) {
                copy = strdup(text);
                r = copy ? 0 : -ENOMEM;
        }
        calls_done(&c, 1);
        if (r < 0)
                return r;
        *ret = copy;
        return 0;
}

int manager_search_path(Manager *m, char **ret) {
        _cleanup_strv_ char **env = NULL;
        const char *path = NULL;
        char *copy = NULL;
        Call c = { 0 };
        int r;

        r = manager_property(m, "Environment", "as", &c);
        if (r >= 0)
                r = sd_bus_message_read_strv(c.reply, &env);
        calls_done(&c, 1);
        if (r < 0)
                return r;
        path = strv_env_get(env, "PATH");
        copy = path ? strdup(path) : NULL;
        if (path && !copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int manager_version(Manager *m, char **ret) {
        return manager_text(m, "Version", ret);
}

int manager_control_group(Manager *m, char **ret) {
        return manager_text(m, "ControlGroup", ret);
}

int manager_reset_failed(Manager *m, char *const *units) {
        size_t n = strv_length(units), n_sent = 0;
        _cleanup_free_ Call *calls = NULL;
        int r = 0, failed = 0;

        clear_error(m);
        if (n == 0)
                return 0;
        calls = calloc(n, sizeof(Call));
        if (!calls)
                return -ENOMEM;
        for (; n_sent < n && r >= 0; n_sent++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;

                r = manager_message(
                                m, MANAGER_PATH, MANAGER_INTERFACE, "ResetFailedUnit", &message);
                if (r >= 0)
                        r = sd_bus_message_append(message, "s", units[n_sent]);
                if (r >= 0)
                        r = call_send(m, message, &calls[n_sent]);
        }
        if (r >= 0)
                r = calls_wait(m, calls, n, clock_monotonic_usec() + m->timeout_usec);
        for (size_t i = 0; i < n && r >= 0; i++) {
                int q = call_result(m, &calls[i]);

                if (q < 0 && q != -ENOENT) /* not loaded: nothing to forget */
                        failed = q;
        }
        calls_done(calls, n);
        if (r < 0)
                return r;
        if (failed == 0)
                clear_error(m);
        return failed;
}

/* --- limits after a reload -------------------------------------------------------------------- */

/* From this version on a reload leaves every unit marked as one whose limits are to be applied, and
 * queues none of them. All of a slice are queued when a unit of it is started: so one is, a slice,
 * in which nothing runs. */
#define VERSION_THAT_WAITS 256
#define OTHER_SLICE "app-mosaic.slice"
#define SLICE_TRIES 100
#define SLICE_WAIT_USEC (10 * USEC_PER_MSEC)

static int ask_slice(Manager *m, const char *method) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        Call c = { 0 };
        int r;

        r = manager_message(m, MANAGER_PATH, MANAGER_INTERFACE, method, &message);
        if (r >= 0)
                r = sd_bus_message_append(message, "ss", OTHER_SLICE, "replace");
        if (r >= 0)
                r = call_one(m, message, m->timeout_usec, &c);
        calls_done(&c, 1);
        return r < 0 ? r : 0;
}

/* Positive: it is. */
static int slice_is_active(Manager *m) {
        _cleanup_free_ char *path = NULL;
        const char *state = "";
        Call c = { 0 };
        bool active;
        int r;

        r = sd_bus_path_encode(MANAGER_PATH "/unit", OTHER_SLICE, &path);
        if (r >= 0)
                r = read_property(m, path, UNIT_INTERFACE, "ActiveState", "s", &c);
        if (r >= 0)
                r = sd_bus_message_read(c.reply, "s", &state);
        active = r >= 0 && strcmp(state, "active") == 0;
        calls_done(&c, 1);
        return r < 0 ? r : active;
}

int manager_apply_limits(Manager *m) {
        _cleanup_free_ char *version = NULL;
        int r;

        r = manager_version(m, &version);
        if (r < 0 || strtoul(version, NULL, 10) < VERSION_THAT_WAITS)
                return r;
        r = ask_slice(m, "StartUnit");
        /* A stop that came too early would take the start back. */
        for (unsigned i = 0; i < SLICE_TRIES && r == 0; i++) {
                r = slice_is_active(m);
                if (r == 0)
                        clock_pause(SLICE_WAIT_USEC);
        }
        return r < 0 ? r : ask_slice(m, "StopUnit");
}
