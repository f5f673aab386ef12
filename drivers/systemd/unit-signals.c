/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/unit-signals.h"

#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "drivers/os/clock.h"
#include "drivers/os/event-source.h"
#include "drivers/systemd/manager-internal.h"
#include "model/base/parse.h"

#define UNITS_PATH MANAGER_PATH "/unit"
/* A manager that re-executes is back at once. */
#define RETRY_FIRST_USEC (100 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)
#define SUBSCRIBE_TIMEOUT_USEC (10 * USEC_PER_SEC)

struct UnitSignals {
        sd_event *event; /* borrowed */
        sd_bus *bus;
        sd_event_source *retry;
        uint64_t delay_usec;
        bool connected;
        char *address;
        char *agents_path; /* how the object paths of all our agents begin */
        char *holder_path;
        void (*changed)(void *userdata);
        void *userdata;
};

UnitSignals *unit_signals_free(UnitSignals *s) {
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->retry);
        if (s->bus)
                (void)sd_bus_detach_event(s->bus);
        sd_bus_close_unref(s->bus);
        free(s->address);
        free(s->agents_path);
        free(s->holder_path);
        free(s);
        return NULL;
}

bool unit_signals_connected(const UnitSignals *s) {
        return s->connected;
}

/* The bus cannot be freed inside its own callbacks: the timer does it. */
static void retry_later(UnitSignals *s) {
        s->connected = false;
        (void)sd_event_source_set_time(s->retry, clock_monotonic_usec() + s->delay_usec);
        (void)sd_event_source_set_enabled(s->retry, SD_EVENT_ONESHOT);
        s->delay_usec = s->delay_usec * 2 < RETRY_MAX_USEC ? s->delay_usec * 2 : RETRY_MAX_USEC;
}

/* Our own unit is none of them: what we say of ourselves is not news. */
static bool concerns_us(const UnitSignals *s, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m);
        int reloading;

        if (!path)
                return false;
        if (sd_bus_message_is_signal(m, PROPERTIES_INTERFACE, "PropertiesChanged") > 0)
                return strncmp(path, s->agents_path, strlen(s->agents_path)) == 0 ||
                       strcmp(path, s->holder_path) == 0;
        if (sd_bus_message_is_signal(m, MANAGER_INTERFACE, "UnitFilesChanged") > 0)
                return true;
        return sd_bus_message_is_signal(m, MANAGER_INTERFACE, "Reloading") > 0 &&
               sd_bus_message_read(m, "b", &reloading) > 0 && !reloading;
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        UnitSignals *s = userdata;

        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected") > 0) {
                retry_later(s);
                s->changed(s->userdata);
        } else if (concerns_us(s, m))
                s->changed(s->userdata);
        return 0;
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        UnitSignals *s = userdata;

        if (sd_bus_message_is_method_error(m, NULL)) {
                retry_later(s);
                s->changed(s->userdata);
                return 0;
        }
        s->connected = true;
        s->delay_usec = RETRY_FIRST_USEC;
        /* Whatever happened before we could hear it. */
        s->changed(s->userdata);
        return 0;
}

static int subscribe(UnitSignals *s) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        /* The private socket has a manager at its other end and no bus: no destination. */
        r = sd_bus_message_new_method_call(
                        s->bus, &m, NULL, MANAGER_PATH, MANAGER_INTERFACE, "Subscribe");
        if (r < 0)
                return r;
        return sd_bus_call_async(s->bus, NULL, m, on_subscribed, s, SUBSCRIBE_TIMEOUT_USEC);
}

static int connect_bus(UnitSignals *s) {
        int r;

        if (s->bus)
                (void)sd_bus_detach_event(s->bus);
        s->bus = sd_bus_close_unref(s->bus);
        r = sd_bus_new(&s->bus);
        if (r >= 0)
                r = sd_bus_set_address(s->bus, s->address);
        if (r >= 0)
                r = sd_bus_start(s->bus);
        if (r >= 0)
                r = sd_bus_attach_event(s->bus, s->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_add_filter(s->bus, NULL, on_message, s);
        return r >= 0 ? subscribe(s) : r;
}

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        UnitSignals *s = userdata;

        if (connect_bus(s) < 0)
                retry_later(s);
        return 0;
}

static int set_paths(UnitSignals *s, const Paths *p) {
        _cleanup_free_ char *agent = NULL, *holder = NULL;
        int r;

        r = paths_agent_unit(p, "", &agent);
        if (r < 0)
                return r;
        *strchr(agent, '@') = '\0'; /* '@' is one of the characters that are escaped */
        r = sd_bus_path_encode(UNITS_PATH, agent, &s->agents_path);
        if (r < 0)
                return r;
        r = paths_unit(p, "tmux-holder", &holder);
        if (r < 0)
                return r;
        return sd_bus_path_encode(UNITS_PATH, holder, &s->holder_path);
}

int unit_signals_new(const Paths *p,
                sd_event *event,
                void (*changed)(void *userdata),
                void *userdata,
                UnitSignals **ret) {
        _cleanup_(unit_signals_freep) UnitSignals *s = calloc(1, sizeof(UnitSignals));
        int r;

        if (!s)
                return -ENOMEM;
        s->event = event;
        s->changed = changed;
        s->userdata = userdata;
        s->delay_usec = RETRY_FIRST_USEC;
        r = set_paths(s, p);
        if (r < 0)
                return r;
        r = manager_address(p, &s->address);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &s->retry, CLOCK_MONOTONIC, 0, 1, on_retry, s);
        if (r >= 0)
                r = event_source_strict(s->retry);
        if (r < 0)
                return r;
        if (connect_bus(s) < 0)
                retry_later(s);
        else
                (void)sd_event_source_set_enabled(s->retry, SD_EVENT_OFF);
        *ret = TAKE_PTR(s);
        return 0;
}
