/* SPDX-License-Identifier: MIT */
#include "reconciler/watch-stop.h"

#include <signal.h>

#include "drivers/os/clock.h"
#include "drivers/os/lock.h"
#include "drivers/store/store.h"
#include "model/base/parse.h"

/* It finishes what it began before it ends. */
#define END_USEC (60 * USEC_PER_SEC)

void watch_stop_done(WatchStop *s) {
        if (s->lock >= 0)
                (void)close(s->lock);
        free(s->message);
        *s = (WatchStop){ .lock = -1 };
}

/* By its unit, also one that systemd is just bringing back. A manager that does not answer has no
 * unit that could be stopped: whoever holds the lock is then ended as any other. */
static int stop_unit(Context *c, WatchStop *s) {
        static const Desired nothing = { .supervisor = _SUPERVISOR_INVALID };
        _cleanup_(observed_freep) Observed *o = NULL;
        int r;

        if (c->record->supervisor != SUPERVISOR_SYSTEMD)
                return 0;
        r = c->driver.world ? 0 : context_open_driver(c);
        if (r == 0)
                r = c->driver.observe(c->driver.world, &nothing, /* details= */ false, &o);
        if (r < 0 || o->manager.state != SOURCE_PRESENT || !unit_state_is_active(o->controller))
                return r;
        r = store_set_controller_stopped(c->paths, true);
        if (r < 0)
                return r;
        s->asked = true;
        r = c->driver.stop_controller(c->driver.world, &s->message);
        s->unit = r == 0;
        return r;
}

/* Whoever holds the lock now is in the foreground. */
static int end_holder(const Context *c, WatchStop *s) {
        uint64_t deadline = clock_monotonic_usec() + END_USEC;

        for (;;) {
                LockHolder holder;
                int r = lock_take_controller(c->paths, "stop", &s->lock, &holder);

                if (r != LOCK_BUSY)
                        return r;
                if (clock_monotonic_usec() >= deadline)
                        return -ETIMEDOUT;
                clock_pause(20 * USEC_PER_MSEC);
                /* Who has the lock wrote its pid into it; one who just took it is about to. */
                if (holder.pid > 0 && holder.pid != s->foreground &&
                                kill(holder.pid, SIGTERM) == 0) {
                        s->foreground = holder.pid;
                        s->asked = true;
                }
        }
}

int watch_stop(Context *c, WatchStop *ret) {
        int r;

        *ret = (WatchStop){ .lock = -1 };
        r = stop_unit(c, ret);
        return r < 0 ? r : end_holder(c, ret);
}

int watch_start_again(Context *c, bool *ret_started, char **ret_message) {
        bool stopped;
        int r;

        *ret_started = false;
        r = store_controller_stopped(c->paths, &stopped);
        if (r < 0 || !stopped)
                return r;
        if (c->record->supervisor == SUPERVISOR_SYSTEMD) {
                r = c->driver.start_controller(c->driver.world, ret_message);
                if (r < 0)
                        return r;
                *ret_started = true;
        }
        return store_set_controller_stopped(c->paths, false);
}
