/* SPDX-License-Identifier: MIT */

/*
 * What the user manager answers. The input describes its units, and how it answers each question:
 * truthfully, with an error, with other types, twice, not at all. Only a look that was answered in
 * full shows units, and shows them as they are; everything else is unknown, with a reason. First
 * byte odd: the questions about the manager itself.
 */

#include <sys/types.h>

#include "drivers/systemd/manager-internal.h"
#include "drivers/systemd/unit-state.h"
#include "model/base/strv.h"
#include "tests/fuzz/bus-peer.h"
#include "tests/fuzz/entry.h"

#define TIMEOUT_USEC (10 * UINT64_C(1000000))
/* What comes after the deadline is taken in for a while. */
#define SLACK_USEC (2 * UINT64_C(1000000))
#define UNITS_MAX 6
#define LISTED_MAX (UNITS_MAX + 2)

/* The first three are agents, then holder and controller; the last ones are nobody's. */
enum { HOLDER = 3, CONTROLLER, OTHERS };

static const char *const units[UNITS_MAX] = { "mosaic-agent@db.service", "mosaic-agent@web.service",
        "mosaic-agent@x-1.service", "mosaic-tmux-holder.service", "mosaic-fleet.service",
        "mosaic-agent@NOT-OURS.service" };
static const char *const agents[] = { "db", "web", "x-1" };

static const struct {
        const char *active, *sub;
} words[] = { { "inactive", "dead" }, { "active", "running" }, { "active", "exited" },
        { "failed", "failed" }, { "activating", "auto-restart" }, { "activating", "start" },
        { "deactivating", "stop-sigterm" }, { "reloading", "reload" }, { "maintenance", "later" },
        { "", "" } };

static const char *const loads[] = { "loaded", "masked", "not-found", "error" };

/* One line of a listing, and what a details question about it is told. */
typedef struct Unit {
        const char *name;
        char path[64];
        unsigned word, load;
        bool job;
        uint32_t pid, restarts;
        uint64_t memory, cpu, changed;
        char *result, *load_error;
        bool gone; /* a question about it was answered so */
} Unit;

static struct {
        Input *in;
        Unit listed[LISTED_MAX];
        size_t n_listed;
        Unit unlisted;
        bool twice;    /* a unit is listed more than once */
        bool complete; /* so far every answer was the truth, or that a unit is gone */
        bool unsure;   /* whether that is so */
} world;

static void set_paths(Paths *p) {
        static char socket[] = "/nonexistent/systemd/private", directory[] = "/nonexistent",
                    prefix[] = "mosaic-", empty[] = "";

        *p = (Paths){ .manager_socket = socket,
                .units = directory,
                .unit_prefix = prefix,
                .fleet_id = empty };
}

/* --- the world -------------------------------------------------------------------------------- */

static uint32_t small_number(Input *in) {
        return (uint32_t)input_number(in);
}

/* Text on a bus is UTF-8. */
static char *text_of(Input *in) {
        char *text = input_text(in, 30);

        for (char *p = text; *p; p++)
                *p = (char)(*p & 0x7f ? *p & 0x7f : 'x');
        return text;
}

static void make_world(Input *in) {
        bool seen[UNITS_MAX] = { false };
        size_t n = input_choose(in, LISTED_MAX + 1);

        memset(&world, 0, sizeof(world));
        world.in = in;
        world.complete = true;
        for (size_t i = 0; i < n; i++) {
                unsigned which = input_choose(in, UNITS_MAX);
                Unit *u = world.listed + world.n_listed++;

                world.twice = world.twice || (seen[which] && which < OTHERS);
                seen[which] = true;
                u->name = units[which];
                (void)snprintf(u->path, sizeof(u->path), "/org/freedesktop/systemd1/unit/u%zu", i);
                u->word = input_choose(in, ELEMENTSOF(words));
                u->load = input_choose(in, ELEMENTSOF(loads));
                u->job = input_flag(in);
                u->pid = small_number(in);
                u->restarts = small_number(in);
                u->memory = input_number(in);
                u->cpu = input_number(in);
                u->changed = input_number(in);
                u->result = text_of(in);
                u->load_error = text_of(in);
        }
}

static void forget_world(void) {
        for (size_t i = 0; i < world.n_listed; i++) {
                free(world.listed[i].result);
                free(world.listed[i].load_error);
        }
}

/* --- the truth -------------------------------------------------------------------------------- */

static void answer_listing(sd_bus_message *request) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_return(request, &m);

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ssssssouso)");
        for (size_t i = 0; i < world.n_listed && r >= 0; i++) {
                const Unit *u = world.listed + i;

                r = sd_bus_message_append(m, "(ssssssouso)", u->name, "text", loads[u->load],
                                words[u->word].active, words[u->word].sub, "", u->path,
                                u->job ? 7 : 0, u->job ? "start" : "", u->job ? "/job/7" : "/");
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        assert(r >= 0);
        peer_send(m);
}

static const struct {
        const char *name, *types;
} properties[] = { { "MainPID", "u" }, { "NRestarts", "u" }, { "MemoryCurrent", "t" },
        { "CPUUsageNSec", "t" }, { "Result", "s" }, { "StateChangeTimestamp", "t" },
        { "LoadError", "(ss)" }, { "InvocationID", "ay" }, { "ActiveEnterTimestampMonotonic", "t" },
        { "UnitPath", "as" }, { "Environment", "as" }, { "Version", "s" },
        { "ControlGroup", "s" } };

static const char *types_of(const char *property) {
        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (strcmp(property, properties[i].name) == 0)
                        return properties[i].types;
        assert(false);
        return NULL;
}

static int append_property(sd_bus_message *m, const Unit *u, const char *property) {
        if (strcmp(property, "MainPID") == 0)
                return sd_bus_message_append(m, "u", u->pid);
        if (strcmp(property, "NRestarts") == 0)
                return sd_bus_message_append(m, "u", u->restarts);
        if (strcmp(property, "MemoryCurrent") == 0)
                return sd_bus_message_append(m, "t", u->memory);
        if (strcmp(property, "CPUUsageNSec") == 0)
                return sd_bus_message_append(m, "t", u->cpu);
        if (strcmp(property, "Result") == 0)
                return sd_bus_message_append(m, "s", u->result);
        if (strcmp(property, "InvocationID") == 0)
                return sd_bus_message_append_array(m, 'y', &u->changed, u->changed % 9);
        if (strcmp(property, "LoadError") == 0)
                return sd_bus_message_append(m, "(ss)", u->load_error, "");
        if (*types_of(property) == 't')
                return sd_bus_message_append(m, "t", u->changed);
        if (*types_of(property) == 's')
                return sd_bus_message_append(m, "s", property);
        return sd_bus_message_append(m, "as", 2, "/some/path", "PATH=/usr/bin");
}

static void answer_property(sd_bus_message *request, const Unit *u, const char *property) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_return(request, &m);

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', types_of(property));
        if (r >= 0)
                r = append_property(m, u, property);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        assert(r >= 0);
        peer_send(m);
}

/* --- answering -------------------------------------------------------------------------------- */

static Unit *unit_at(const char *path) {
        for (size_t i = 0; i < world.n_listed; i++)
                if (strcmp(world.listed[i].path, path) == 0)
                        return world.listed + i;
        return &world.unlisted;
}

static void on_get(sd_bus_message *request) {
        Unit *u = unit_at(sd_bus_message_get_path(request));
        const char *property;
        char types[8];
        PeerAnswer answer;
        int r = sd_bus_message_read(request, "ss", NULL, &property);

        assert(r > 0);
        (void)snprintf(types, sizeof(types), "v%s", types_of(property));
        answer = peer_answer(world.in, request, types);
        if (answer == PEER_TRUTH)
                answer_property(request, u, property);
        else if (answer == PEER_GONE)
                u->gone = true;
        else if (!u->gone)
                world.complete = false;
        else if (answer != PEER_ERROR && answer != PEER_NONSENSE)
                world.unsure = true; /* nothing else counts of what is gone, but what comes after */
}

static void on_request(sd_bus_message *request) {
        const char *member = sd_bus_message_get_member(request);
        PeerAnswer answer;

        if (strcmp(member, "Get") == 0) {
                on_get(request);
                return;
        }
        answer = peer_answer(world.in, request, "a(ssssssouso)");
        if (answer != PEER_TRUTH)
                world.complete = false;
        else if (strcmp(member, "ListUnitsByPatterns") == 0)
                answer_listing(request);
        else
                (void)sd_bus_reply_method_return(request, "");
}

static const PeerRules rules = { .request = on_request };

/* --- what is seen ----------------------------------------------------------------------------- */

static const Unit *listed(const char *name) {
        for (size_t i = 0; i < world.n_listed; i++)
                if (strcmp(world.listed[i].name, name) == 0)
                        return world.listed + i;
        return NULL;
}

static UnitState state_of(const Unit *u) {
        return u ? unit_state_from_words(words[u->word].active, words[u->word].sub)
                 : UNIT_NOT_LOADED;
}

static void check_unit(const ObservedUnit *seen, const Unit *u, bool all) {
        bool running = strcmp(words[u->word].sub, "running") == 0 && state_of(u) == UNIT_ACTIVE;

        assert(seen->state == state_of(u) && seen->job_pending == u->job);
        assert((seen->masked != NULL) == (strcmp(loads[u->load], "masked") == 0));
        assert(seen->details == ((all || !running) && !u->gone));
        assert(seen->main_pid >= 0);
        if (!seen->details)
                return;
        assert((uint32_t)seen->main_pid == u->pid && seen->restarts == u->restarts);
        assert(seen->memory == u->memory && seen->changed_usec == u->changed);
        assert(seen->cpu_usec == (u->cpu == UINT64_MAX ? UINT64_MAX : u->cpu / 1000));
        assert(strcmp(seen->result, u->result) == 0);
        assert((seen->load_error != NULL) == (*u->load_error != '\0'));
        assert((seen->invocation ? strlen(seen->invocation) : 0) == 2 * (u->changed % 9));
}

static void check_seen(Observed *o, bool all) {
        size_t n = 0;

        assert(!o->manager.why && !world.twice);
        observed_sort(o);
        for (size_t i = 0; i < ELEMENTSOF(agents); i++) {
                const ObservedUnit *seen = observed_unit(o, agents[i]);
                const Unit *u = listed(units[i]);

                assert((seen != NULL) == (u != NULL));
                if (u) {
                        check_unit(seen, u, all);
                        n++;
                }
        }
        assert(o->n_units == n);
        assert(o->holder == state_of(listed(units[HOLDER])));
        assert(o->controller == state_of(listed(units[CONTROLLER])));
}

static void check_unseen(const Observed *o) {
        assert(o->manager.state == SOURCE_UNKNOWN && o->manager.why && *o->manager.why);
        assert(o->n_units == 0 && o->holder == UNIT_NOT_LOADED && !o->holder_since_usec);
        assert(o->controller == UNIT_NOT_LOADED);
}

static bool pids_fit(void) {
        for (size_t i = 0; i < world.n_listed; i++)
                if (world.listed[i].pid > INT32_MAX)
                        return false;
        return true;
}

static void look(Input *in, const Paths *p, Manager *m) {
        bool early = input_flag(in), all = input_flag(in);
        _cleanup_(observed_freep) Observed *o = NULL;
        uint64_t begin;
        int r = 0;

        assert(observed_new(SUPERVISOR_SYSTEMD, &o) == 0);
        if (early)
                r = manager_observe_begin(m, p);
        assert(r == 0);
        begin = peer_now();
        r = manager_observe(m, p, all, o);
        assert(r == 0);
        assert(peer_now() - begin < TIMEOUT_USEC + SLACK_USEC);
        if (o->manager.state == SOURCE_PRESENT) {
                assert(world.complete);
                check_seen(o, all);
        } else {
                check_unseen(o);
                assert(!world.complete || world.unsure || world.twice || !pids_fit());
        }
}

/* --- the questions ---------------------------------------------------------------------------- */

/* Nothing is given back that was not said. */
static void check_text(int r, const char *text, const char *want) {
        assert(r <= 0 && (r == 0) == (text != NULL));
        if (text)
                assert(world.complete && strcmp(text, want) == 0);
}

static void ask(Input *in, Manager *m) {
        static char name[] = "mosaic-agent@web.service", other[] = "mosaic-agent@db.service";
        char *const both[] = { name, other, NULL };
        _cleanup_free_ char *text = NULL;
        bool found = true;
        pid_t pid = -1;
        int r;

        switch (input_choose(in, 7)) {
        case 0:
                r = manager_version(m, &text);
                check_text(r, text, "Version");
                break;
        case 1:
                r = manager_control_group(m, &text);
                check_text(r, text, "ControlGroup");
                break;
        case 2:
                r = manager_search_path(m, &text);
                check_text(r, text, "/usr/bin");
                break;
        case 3:
                r = manager_unit_path_contains(m, "/some/path", &found);
                assert(r < 0 || (world.complete && found));
                break;
        case 4:
                r = manager_reload(m);
                break;
        case 5:
                r = manager_reset_failed(m, both);
                break;
        default:
                r = manager_main_pid(m, name, &pid);
                assert(r < 0 || (world.complete && pid >= 0));
                assert(r == 0 || pid == -1);
                break;
        }
        assert(r != -ENOMEM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);
        bool asks = input_flag(&in);
        Manager *m = NULL;
        Paths p;

        set_paths(&p);
        make_world(&in);
        peer_begin(&rules);
        assert(manager_open(&p, TIMEOUT_USEC, &m) == 0);
        if (asks)
                ask(&in, m);
        else
                look(&in, &p, m);
        manager_free(m);
        peer_end();
        forget_world();
        return 0;
}
