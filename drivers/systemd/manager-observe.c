/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/manager.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>

#include "drivers/os/clock.h"
#include "drivers/systemd/dropin.h"
#include "drivers/systemd/install.h"
#include "drivers/systemd/manager-internal.h"
#include "drivers/systemd/unit-name.h"
#include "drivers/systemd/unit-state.h"
#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"

/* --- the details of one unit ------------------------------------------------------------------ */

/* One Get for each property: GetAll also computes UnitFileState, which costs the manager 1.7 ms a
 * unit. */

typedef int (*DetailReader)(sd_bus_message *m, ObservedUnit *u);

static int read_main_pid(sd_bus_message *m, ObservedUnit *u) {
        uint32_t pid;
        int r = sd_bus_message_read(m, "u", &pid);

        if (r < 0)
                return r;
        if (pid > INT_MAX) /* as a pid it would name a process group */
                return -EBADMSG;
        u->main_pid = (pid_t)pid;
        return 0;
}

static int read_restarts(sd_bus_message *m, ObservedUnit *u) {
        uint32_t n;
        int r = sd_bus_message_read(m, "u", &n);

        if (r >= 0)
                u->restarts = n;
        return r;
}

static int read_memory(sd_bus_message *m, ObservedUnit *u) {
        return sd_bus_message_read(m, "t", &u->memory); /* UINT64_MAX: no accounting, as in ours */
}

static int read_cpu(sd_bus_message *m, ObservedUnit *u) {
        uint64_t nsec;
        int r = sd_bus_message_read(m, "t", &nsec);

        /* UINT64_MAX: no accounting, as in ours. */
        if (r >= 0)
                u->cpu_usec = nsec == UINT64_MAX ? UINT64_MAX : nsec / 1000;
        return r;
}

static int read_result(sd_bus_message *m, ObservedUnit *u) {
        const char *s;
        int r = sd_bus_message_read(m, "s", &s);

        if (r < 0)
                return r;
        free(u->result);
        u->result = strdup(s);
        return u->result ? 0 : -ENOMEM;
}

static int read_changed(sd_bus_message *m, ObservedUnit *u) {
        return sd_bus_message_read(m, "t", &u->changed_usec);
}

static int read_load_error(sd_bus_message *m, ObservedUnit *u) {
        const char *name, *sentence;
        int r = sd_bus_message_read(m, "(ss)", &name, &sentence);

        if (r < 0 || !name[0])
                return r;
        free(u->load_error);
        u->load_error = strdup(sentence[0] ? sentence : name);
        return u->load_error ? 0 : -ENOMEM;
}

/* As systemd gives it to the unit's processes. */
static int read_invocation(sd_bus_message *m, ObservedUnit *u) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        const void *bytes;
        size_t n;
        int r = sd_bus_message_read_array(m, 'y', &bytes, &n);

        if (r < 0 || n == 0)
                return r;
        for (const uint8_t *p = bytes; p < (const uint8_t *)bytes + n; p++)
                strbuf_addf(&b, "%02x", *p);
        free(TAKE_PTR(u->invocation));
        return strbuf_finish(&b, &u->invocation);
}

static const struct {
        const char *interface;
        const char *property;
        const char *type;
        DetailReader read;
} details[] = {
        { SERVICE_INTERFACE, "MainPID", "u", read_main_pid },
        { SERVICE_INTERFACE, "NRestarts", "u", read_restarts },
        { SERVICE_INTERFACE, "MemoryCurrent", "t", read_memory },
        { SERVICE_INTERFACE, "CPUUsageNSec", "t", read_cpu },
        { SERVICE_INTERFACE, "Result", "s", read_result },
        { UNIT_INTERFACE, "StateChangeTimestamp", "t", read_changed },
        { UNIT_INTERFACE, "LoadError", "(ss)", read_load_error },
        { UNIT_INTERFACE, "InvocationID", "ay", read_invocation },
};

#define N_DETAILS ELEMENTSOF(details)

/* --- the listing ------------------------------------------------------------------------------ */

/* What the listing says of one unit beyond what ObservedUnit keeps. */
typedef struct Listed {
        char *path;
        bool running;
} Listed;

/* Everything of one look until it is known to be complete. */
typedef struct Look {
        const Paths *paths;
        Observed *units; /* its `units` only */
        Listed *listed;  /* one for each of them */
        size_t n_listed;
        char *holder_unit;
        char *holder_path; /* NULL unless active */
        char *controller_unit;
        bool holder_listed;
        bool controller_listed;
        UnitState holder;
        UnitState controller;
        uint64_t holder_since_usec;
} Look;

static void look_done(Look *l) {
        for (size_t i = 0; i < l->n_listed; i++)
                free(l->listed[i].path);
        free(l->listed);
        observed_free(l->units);
        free(l->holder_unit);
        free(l->holder_path);
        free(l->controller_unit);
}

static int look_init(Look *l, const Paths *p) {
        int r;

        l->paths = p;
        r = observed_new(SUPERVISOR_SYSTEMD, &l->units);
        if (r < 0)
                return r;
        r = paths_unit(p, "tmux-holder", &l->holder_unit);
        if (r < 0)
                return r;
        return paths_unit(p, "fleet", &l->controller_unit);
}

static int look_add_agent(Look *l, const char *agent, ObservedUnit **ret) {
        ObservedUnit *u;
        Listed *listed;

        listed = array_grow(&l->listed, l->n_listed, sizeof(Listed));
        if (!listed)
                return -ENOMEM;
        u = observed_add_unit(l->units);
        if (!u)
                return -ENOMEM;
        l->n_listed++;
        u->memory = u->cpu_usec = UINT64_MAX;
        u->agent = strdup(agent);
        if (!u->agent)
                return -ENOMEM;
        *ret = u;
        return 0;
}

static int look_add_listed(Look *l,
                const char *unit,
                const char *load,
                const char *active,
                const char *sub,
                const char *path,
                const char *job_path) {
        _cleanup_free_ char *agent = NULL;
        UnitState state = unit_state_from_words(active, sub);
        ObservedUnit *u;
        int r;

        if (strcmp(unit, l->holder_unit) == 0) {
                if (l->holder_listed)
                        return -EBADMSG;
                l->holder_listed = true;
                l->holder = state;
                if (state == UNIT_ACTIVE) {
                        l->holder_path = strdup(path);
                        if (!l->holder_path)
                                return -ENOMEM;
                }
                return 0;
        }
        if (strcmp(unit, l->controller_unit) == 0) {
                if (l->controller_listed)
                        return -EBADMSG;
                l->controller_listed = true;
                l->controller = state;
                return 0;
        }

        r = unit_name_agent(l->paths, unit, ".service", &agent);
        if (r < 0 || !agent)
                return r;
        r = look_add_agent(l, agent, &u);
        if (r < 0)
                return r;
        u->state = state;
        if (strcmp(load, "masked") == 0) {
                u->masked = strdup(unit);
                if (!u->masked)
                        return -ENOMEM;
        }
        u->job_pending = strcmp(job_path, "/") != 0;
        l->listed[l->n_listed - 1].running = state == UNIT_ACTIVE && strcmp(sub, "running") == 0;
        l->listed[l->n_listed - 1].path = strdup(path);
        return l->listed[l->n_listed - 1].path ? 0 : -ENOMEM;
}

static int send_listing(Manager *m, const Look *l, Call *c) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        _cleanup_free_ char *agents = NULL;
        int r;

        r = paths_agent_unit(l->paths, "*", &agents);
        if (r < 0)
                return r;
        r = manager_message(m, MANAGER_PATH, MANAGER_INTERFACE, "ListUnitsByPatterns", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(
                        message, "asas", 0, 3, agents, l->holder_unit, l->controller_unit);
        if (r < 0)
                return r;
        return call_send(m, message, c);
}

static int read_listing(Look *l, sd_bus_message *reply) {
        const char *unit, *load, *active, *sub, *path, *job_path;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(reply, "(ssssssouso)", &unit, NULL, &load, &active, &sub,
                                NULL, &path, NULL, NULL, &job_path)) > 0) {
                r = look_add_listed(l, unit, load, active, sub, path, job_path);
                if (r < 0)
                        return r;
        }
        return r;
}

static int begin_listing(Manager *m, const Look *l) {
        int r;

        m->listing = calloc(1, sizeof(Call));
        if (!m->listing)
                return -ENOMEM;
        r = send_listing(m, l, m->listing);
        return r < 0 ? r : 0;
}

static void end_listing(Manager *m) {
        if (m->listing)
                calls_done(m->listing, 1);
        free(m->listing);
        m->listing = NULL;
}

int manager_observe_begin(Manager *m, const Paths *p) {
        _cleanup_(look_done) Look l = { 0 };
        int r;

        end_listing(m);
        r = look_init(&l, p);
        return r < 0 ? r : begin_listing(m, &l);
}

/* Also where it was asked for before. */
static int list_units(Manager *m, Look *l, uint64_t deadline) {
        int r = m->listing ? 0 : begin_listing(m, l);

        if (r >= 0)
                r = calls_wait(m, m->listing, 1, deadline);
        if (r >= 0)
                r = call_result(m, m->listing);
        if (r >= 0)
                r = read_listing(l, m->listing->reply);
        end_listing(m);
        return r;
}

/* --- masks on disk ---------------------------------------------------------------------------- */

/* `systemctl --user mask` leaves a link to /dev/null, and a unit that nobody asks for is not
 * listed: without this a masked agent looks like one that is merely down. */
static int add_masks_of(Look *l, const char *directory, const char *option) {
        _cleanup_closedir_ DIR *d = opendir(directory);
        struct dirent *entry;

        if (!d)
                return errno == ENOMEM ? -ENOMEM : 0;
        while ((entry = readdir(d))) {
                _cleanup_free_ char *agent = NULL;
                ObservedUnit *u = NULL;
                char target[16];
                ssize_t n;
                int r;

                if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
                        continue;
                r = unit_name_agent(l->paths, entry->d_name, ".service", &agent);
                if (r < 0)
                        return r;
                if (!agent)
                        continue;
                n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target));
                if (n != (ssize_t)strlen("/dev/null") ||
                                memcmp(target, "/dev/null", (size_t)n) != 0)
                        continue;
                for (size_t i = 0; i < l->units->n_units && !u; i++)
                        if (strcmp(l->units->units[i].agent, agent) == 0)
                                u = &l->units->units[i];
                if (!u) {
                        r = look_add_agent(l, agent, &u);
                        if (r < 0)
                                return r;
                }
                free(TAKE_PTR(u->masked));
                r = format_text(&u->masked, "%s%s", option, entry->d_name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_masks(Look *l) {
        _cleanup_free_ char *volatile_units = NULL;
        const Paths *p = l->paths;
        const char *slash = strrchr(p->manager_socket, '/');
        int r;

        /* `mask --runtime`: $XDG_RUNTIME_DIR/systemd/user, beside the socket. */
        if (format_text(&volatile_units, "%.*s/user", (int)(slash - p->manager_socket),
                            p->manager_socket) < 0)
                return -ENOMEM;
        r = add_masks_of(l, volatile_units, "--runtime ");
        return r < 0 ? r : add_masks_of(l, p->units, "");
}

/* --- details ---------------------------------------------------------------------------------- */

/* -ENOENT: the unit went away between the listing and the question. */
static int read_detail(Manager *m, const Call *c, size_t detail, ObservedUnit *u) {
        int r;

        r = call_result(m, c);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(c->reply, 'v', details[detail].type);
        if (r < 0)
                return r;
        return details[detail].read(c->reply, u);
}

static int read_details(Manager *m, const Call *calls, ObservedUnit *u) {
        int r = 0;

        for (size_t k = 0; k < N_DETAILS && r >= 0; k++)
                r = read_detail(m, &calls[k], k, u);
        if (r < 0)
                return r == -ENOENT ? 0 : r; /* then it has no details; that is no failure */
        u->details = true;
        return 0;
}

static int read_holder_since(Manager *m, const Call *c, Look *l) {
        int r;

        r = call_result(m, c);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = sd_bus_message_enter_container(c->reply, 'v', "t");
        if (r < 0)
                return r;
        return sd_bus_message_read(c->reply, "t", &l->holder_since_usec);
}

static int ask_details(Manager *m, Look *l, bool all, uint64_t deadline) {
        size_t n_calls = 0, n_max = l->n_listed * N_DETAILS + 1, next = 0;
        _cleanup_free_ Call *calls = NULL;
        int r = 0;

        calls = calloc(n_max, sizeof(Call));
        if (!calls)
                return -ENOMEM;

        if (l->holder_path) {
                r = call_send_get(m, l->holder_path, UNIT_INTERFACE,
                                "ActiveEnterTimestampMonotonic", &calls[n_calls]);
                n_calls++;
        }
        for (size_t i = 0; i < l->n_listed && r >= 0; i++)
                for (size_t k = 0; k < N_DETAILS && r >= 0; k++) {
                        if (!l->listed[i].path || (l->listed[i].running && !all))
                                break;
                        r = call_send_get(m, l->listed[i].path, details[k].interface,
                                        details[k].property, &calls[n_calls]);
                        n_calls++;
                }
        if (r >= 0)
                r = calls_wait(m, calls, n_calls, deadline);

        if (r >= 0 && l->holder_path)
                r = read_holder_since(m, &calls[next++], l);
        for (size_t i = 0; i < l->n_listed && r >= 0; i++) {
                if (!l->listed[i].path || (l->listed[i].running && !all))
                        continue;
                r = read_details(m, &calls[next], &l->units->units[i]);
                next += N_DETAILS;
        }
        calls_done(calls, n_calls);
        return r;
}

/* A manager lists a unit once; of two lines about one agent neither can be believed. */
static bool lists_twice(Observed *units) {
        observed_sort(units);
        for (size_t i = 1; i < units->n_units; i++)
                if (strcmp(units->units[i - 1].agent, units->units[i].agent) == 0)
                        return true;
        return false;
}

int manager_observe(Manager *m, const Paths *p, bool details_for_all, Observed *o) {
        _cleanup_(look_done) Look l = { 0 };
        uint64_t start = clock_monotonic_usec(), deadline = start + m->timeout_usec;
        int r;

        assert(o->n_units == 0);

        manager_set_error(m, "%s", "");
        r = look_init(&l, p);
        if (r >= 0)
                r = list_units(m, &l, deadline);
        if (r >= 0)
                r = ask_details(m, &l, details_for_all, deadline);
        if (r >= 0)
                r = add_masks(&l);
        if (r >= 0 && lists_twice(l.units))
                r = -EBADMSG;
        o->manager.took_usec = clock_monotonic_usec() - start;
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                const char *why = manager_error(m);

                source_set(&o->manager, SOURCE_UNKNOWN, "%s",
                                why[0]        ? why
                                : m->dead < 0 ? "the user manager hung up"
                                              : "the user manager's answer was not understood");
                return 0;
        }

        free(o->manager.why);
        o->manager.why = NULL;
        o->manager.state = SOURCE_PRESENT;
        o->units = TAKE_PTR(l.units->units);
        o->n_units = l.units->n_units;
        l.units->n_units = 0;
        o->units_installed = units_are_installed(p);
        o->holder = l.holder;
        o->holder_since_usec = l.holder_since_usec;
        o->controller = l.controller;
        return 0;
}
