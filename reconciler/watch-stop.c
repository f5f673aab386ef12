/* SPDX-License-Identifier: MIT */
#include "reconciler/watch-stop.h"

#include <signal.h>
#include <time.h>

#include "drivers/os/clock.h"
#include "drivers/os/lock.h"
#include "drivers/store/store.h"
#include "model/base/parse.h"

/* It finishes what it began before it ends. */
#define END_USEC (60 * USEC_PER_SEC)

int watch_stop(Context *c, int *ret_lock, bool *ret_stopped) {
        const struct timespec step = { .tv_nsec = 20 * 1000000L };
        uint64_t deadline = clock_monotonic_usec() + END_USEC;
        pid_t asked = 0;

        *ret_stopped = false;
        for (;;) {
                LockHolder holder;
                int r = lock_take_controller(c->paths, ret_lock, &holder);

                if (r != LOCK_BUSY)
                        return r < 0 || !*ret_stopped
                                               ? r
                                               : store_set_controller_stopped(c->paths, true);
                if (clock_monotonic_usec() >= deadline)
                        return -ETIMEDOUT;
                (void)nanosleep(&step, NULL);
                /* Who has the lock wrote its pid into it; one who just took it is about to. */
                if (holder.pid <= 0 || holder.pid == asked)
                        continue;
                asked = holder.pid;
                if (kill(asked, SIGTERM) == 0)
                        *ret_stopped = true;
        }
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
