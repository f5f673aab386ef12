/* SPDX-License-Identifier: MIT */
#include "reconciler/context.h"
#include "reconciler/complain.h"

#include <string.h>
#include <sys/ioctl.h>

#include "drivers/machine/machine.h"
#include "drivers/systemd/manager.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

#define PROBE_TIMEOUT_USEC (5 * USEC_PER_SEC)

static unsigned terminal_width(void) {
        const char *said = getenv("COLUMNS");
        struct winsize size;
        uint64_t width;

        if (said && parse_uint_range(said, 1, UINT16_MAX, &width) == 0)
                return (unsigned)width;
        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void context_read_terminal(Context *c) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
        bool wanted = !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);

        c->color_errors = wanted && isatty(STDERR_FILENO);
        if (!isatty(STDOUT_FILENO))
                return;
        c->width = terminal_width();
        c->color = wanted;
}

void context_page(Context *c) {
        if (!c->json && !c->no_pager && c->width > 0)
                pager_begin(&c->pager);
}

FILE *context_errors(const Context *c) {
        return c->pager.open && c->pager.errors ? stdout : stderr;
}

int context_detect_supervisor(const Context *c, Supervisor *ret) {
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        r = manager_open(c->paths, PROBE_TIMEOUT_USEC, &m);
        if (r < 0 && r != -ENOENT && r != -ECONNREFUSED)
                return r;
        *ret = r == 0 ? SUPERVISOR_SYSTEMD : SUPERVISOR_DIRECT;
        return 0;
}

/* A fleet that has no record. A manager that does not answer is a manager: what needs it then says
 * that it is unknown, and nothing is started beside it. */
static int make_up_record(Context *c) {
        Supervisor supervisor = SUPERVISOR_SYSTEMD;

        c->supervisor_error = context_detect_supervisor(c, &supervisor);
        if (c->supervisor_error == -ENOMEM)
                return -ENOMEM;
        return fleet_record_new(c->paths, supervisor, &c->record);
}

int context_open(Context *c) {
        int r;

        r = paths_new(&c->paths);
        if (r < 0)
                return r;
        r = fleet_record_read(c->paths, &c->record);
        c->record_exists = r == 0;
        if (r == 0 && c->record->runtime && strcmp(c->record->runtime, c->paths->runtime) != 0 &&
                        access(c->record->runtime, F_OK) == 0) {
                char *recorded = strdup(c->record->runtime);

                if (!recorded)
                        return -ENOMEM;
                free(c->paths->runtime);
                c->paths->runtime = recorded;
        }
        if (r == -ENOENT)
                return make_up_record(c);
        if (r == -EPERM)
                complain("%s/fleet.json is another user's, or others may write it; whoever did "
                         "could say what this fleet runs: look at it, then remove it or give it "
                         "back its mode 0600",
                                c->paths->state);
        if (r == -EBADMSG) {
                complain("%s/fleet.json is not a record of this version of mosaic; if the fleet "
                         "is stopped, remove it",
                                c->paths->state);
                return r;
        }
        return r;
}

int context_open_driver(Context *c) {
        MachineDriver *m;
        int r;

        r = machine_driver_new(c->paths, c->record, &m);
        if (r < 0)
                return r;
        c->driver = machine_driver_interface(m);
        return 0;
}

/* --- does anything run? ----------------------------------------------------------------------- */

/* Agents, by the supervisor's word and by that of /proc. */
static int add_agents(const Observed *o, char ***names) {
        int r;

        for (size_t i = 0; i < o->n_units; i++)
                if (unit_state_is_active(o->units[i].state)) {
                        r = strv_push(names, o->units[i].agent);
                        if (r < 0)
                                return r;
                }
        for (size_t i = 0; i < o->n_run; i++)
                if (o->run[i].alive && !strv_find(*names, o->run[i].agent)) {
                        r = strv_push(names, o->run[i].agent);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int add_server(const Context *c, const Observed *o, char ***names) {
        bool answers = o->tmux.state == SOURCE_PRESENT && !o->server_foreign;
        int r = 0;

        if (o->hidden_server_pid > 0)
                r = strv_pushf(names, "the tmux server (pid %d)", (int)o->hidden_server_pid);
        else if (answers)
                r = strv_pushf(names, "the tmux server on %s", c->record->tmux_socket);
        else if (unit_state_is_active(o->holder))
                r = strv_pushf(names, "%stmux-holder.service", c->paths->unit_prefix);
        if (r == 0 && unit_state_is_active(o->controller))
                r = strv_pushf(names, "%sfleet.service", c->paths->unit_prefix);
        return r;
}

/* Is the manager, which this fleet needs, certainly not there? Then no unit is either. */
static bool has_no_manager(const Context *c) {
        Supervisor offered;

        return context_detect_supervisor(c, &offered) == 0 && offered == SUPERVISOR_DIRECT;
}

int context_find_active(Context *c, char ***ret_names, char **ret_why) {
        static const Desired nothing = { .supervisor = _SUPERVISOR_INVALID };
        _cleanup_(observed_freep) Observed *o = NULL;
        _cleanup_strv_ char **names = NULL;
        const Source *unknown = NULL;
        int r;

        if (!c->driver.world) {
                r = context_open_driver(c);
                if (r < 0)
                        return r;
        }
        r = c->driver.observe(c->driver.world, &nothing, /* details= */ false, &o);
        if (r < 0)
                return r;
        r = add_agents(o, &names);
        if (r == 0)
                r = add_server(c, o, &names);
        if (r < 0)
                return r;
        if (names) {
                *ret_names = TAKE_PTR(names);
                return CONTEXT_ACTIVE;
        }
        if (o->runs.state == SOURCE_UNKNOWN)
                unknown = &o->runs;
        else if (o->tmux.state == SOURCE_UNKNOWN)
                unknown = &o->tmux;
        else if (o->manager.state == SOURCE_UNKNOWN && !has_no_manager(c))
                unknown = &o->manager;
        if (!unknown)
                return 0;
        *ret_why = strdup(unknown->why ? unknown->why : "it could not be observed");
        return *ret_why ? CONTEXT_UNKNOWN : -ENOMEM;
}

void context_done(Context *c) {
        machine_driver_free(c->driver.world);
        fleet_record_free(c->record);
        paths_free(c->paths);
}
