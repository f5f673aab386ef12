/* SPDX-License-Identifier: MIT */
#include "reconciler/context.h"

#include <string.h>
#include <sys/ioctl.h>

#include "drivers/machine/machine.h"
#include "drivers/systemd/manager.h"
#include "model/base/parse.h"

#define PROBE_TIMEOUT_USEC (5 * USEC_PER_SEC)

static void read_terminal(Context *c) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
        bool wanted = !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
        struct winsize size;

        c->color_errors = wanted && isatty(STDERR_FILENO);
        if (!isatty(STDOUT_FILENO))
                return;
        c->width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                                   : 80;
        c->color = wanted;
}

Supervisor context_detect_supervisor(const Context *c) {
        _cleanup_(manager_freep) Manager *m = NULL;

        return manager_open(c->paths, PROBE_TIMEOUT_USEC, &m) == 0 ? SUPERVISOR_SYSTEMD
                                                                   : SUPERVISOR_DIRECT;
}

int context_open(Context *c) {
        int r;

        read_terminal(c);
        r = paths_new(&c->paths);
        if (r < 0)
                return r;
        r = fleet_record_read(c->paths, &c->record);
        c->record_exists = r == 0;
        if (r == -ENOENT)
                return fleet_record_new(c->paths, context_detect_supervisor(c), &c->record);
        if (r == -EBADMSG) {
                fprintf(stderr,
                                "mosaic: %s/fleet.json is not a record of this version of mosaic; "
                                "if the "
                                "fleet is stopped, remove it\n",
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

void context_done(Context *c) {
        machine_driver_free(c->driver.world);
        fleet_record_free(c->record);
        paths_free(c->paths);
}
