/* SPDX-License-Identifier: MIT */

/*
 * Signals of the user manager, of ours and of others, garbled ones, connections that break and
 * come back. Whoever waits for them is told of each that concerns this fleet and of no other, and
 * of each end of a connection.
 */

#include "drivers/systemd/manager-internal.h"
#include "drivers/systemd/unit-signals.h"
#include "tests/fuzz/bus-peer.h"
#include "tests/fuzz/entry.h"

#define UNITS MANAGER_PATH "/unit/"
#define STEPS_MAX 24
#define ROUNDS_MAX 20

static const struct {
        const char *path;
        bool ours;
} paths[] = { { UNITS "mosaic_2dagent_40web_2eservice", true },
        { UNITS "mosaic_2dtmux_2dholder_2eservice", true },
        { UNITS "mosaic_2dfleet_2eservice", false },
        { UNITS "mosaic_2dtmux_2dholder_2eservice2", false },
        { UNITS "mosaic_2d12345678_2dagent_40web_2eservice", false }, { UNITS "other", false },
        { MANAGER_PATH, false }, { "/", false } };

typedef enum Kind {
        KIND_PROPERTIES,
        KIND_FILES,
        KIND_RELOADED,
        KIND_RELOADING,
        KIND_RELOADING_ODD, /* of another type */
        KIND_JOB,
        KIND_OTHER_INTERFACE,
        _KIND_MAX,
} Kind;

static Input *input;
static unsigned n_told;
static PeerAnswer last; /* how the last connection was answered */

static void on_change(void *userdata) {
        assert(userdata == &n_told);
        n_told++;
}

static void on_request(sd_bus_message *request) {
        assert(strcmp(sd_bus_message_get_member(request), "Subscribe") == 0);
        last = peer_answer(input, request, "");
        if (last == PEER_TRUTH)
                (void)sd_bus_reply_method_return(request, "");
}

/* Until nobody has anything to say. (Delays are over at once: the loop has the real clock.) */
static void spin(sd_event *event) {
        for (unsigned i = 0; i < ROUNDS_MAX; i++) {
                int r;

                peer_step();
                r = sd_event_run(event, 0);
                assert(r >= 0);
                if (r == 0)
                        return;
        }
}

static void say(sd_event *event, const UnitSignals *s) {
        static const char *const interfaces[_KIND_MAX] = { PROPERTIES_INTERFACE, MANAGER_INTERFACE,
                MANAGER_INTERFACE, MANAGER_INTERFACE, MANAGER_INTERFACE, MANAGER_INTERFACE,
                UNIT_INTERFACE };
        static const char *const members[_KIND_MAX] = { "PropertiesChanged", "UnitFilesChanged",
                "Reloading", "Reloading", "Reloading", "JobRemoved", "PropertiesChanged" };
        Kind kind = (Kind)input_choose(input, _KIND_MAX);
        unsigned where = input_choose(input, ELEMENTSOF(paths)), before = n_told;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m =
                        peer_signal(paths[where].path, interfaces[kind], members[kind]);
        bool concerns = kind == KIND_FILES || kind == KIND_RELOADED ||
                        (kind == KIND_PROPERTIES && paths[where].ours);
        bool connected = unit_signals_connected(s);
        sd_bus *bus = peer_bus();
        int r = 0;

        if (!m)
                return;
        if (kind == KIND_RELOADED || kind == KIND_RELOADING)
                r = sd_bus_message_append(m, "b", kind == KIND_RELOADING);
        else if (kind == KIND_RELOADING_ODD)
                r = sd_bus_message_append(m, "s", "no");
        assert(r >= 0);
        peer_send(m);
        spin(event);
        if (connected && peer_bus() == bus)
                assert(n_told == before + concerns);
}

static void step(sd_event *event, UnitSignals *s) {
        bool connected = unit_signals_connected(s);
        unsigned before = n_told;

        switch (input_choose(input, 8)) {
        case 6:
                if (!peer_bus())
                        break;
                peer_hang_up();
                spin(event);
                assert(!connected || n_told > before);
                break;
        case 7:
                peer_refuse(input_flag(input));
                spin(event);
                break;
        default:
                say(event, s);
                break;
        }
}

/* A manager that answers is connected to again, whatever was before, and that is told. */
static void check_comes_back(sd_event *event, const UnitSignals *s) {
        unsigned before = n_told;

        peer_refuse(false);
        /* One that was refused, broke or was answered by an error is tried again by itself. */
        if (unit_signals_connected(s) || (last != PEER_GONE && last != PEER_ERROR))
                peer_hang_up();
        spin(event);
        assert(unit_signals_connected(s) && n_told > before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const PeerRules rules = { .request = on_request };
        static char socket[] = "/nonexistent/systemd/private", prefix[] = "mosaic-", empty[] = "";
        Paths p = { .manager_socket = socket, .unit_prefix = prefix, .fleet_id = empty };
        Input in = INPUT(data, size);
        sd_event *event = NULL;
        UnitSignals *s = NULL;
        int r = sd_event_new(&event);

        assert(r >= 0);
        input = &in;
        n_told = 0;
        last = PEER_TRUTH;
        peer_begin(&rules);
        peer_refuse(input_flag(&in));
        r = unit_signals_new(&p, event, on_change, &n_told, &s);
        assert(r == 0);
        spin(event);
        for (unsigned i = 0; i < STEPS_MAX && in.at < in.n; i++)
                step(event, s);
        in.at = in.n;
        check_comes_back(event, s);
        unit_signals_free(s);
        peer_end();
        sd_event_unref(event);
        return 0;
}
