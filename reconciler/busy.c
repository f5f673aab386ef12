/* SPDX-License-Identifier: MIT */
#include "reconciler/busy.h"

#include <string.h>

#include "model/base/strv.h"
#include "reconciler/activity.h"

/* Would the roster have this run ended? */
static bool is_candidate(const Desired *desired, const Observed *o, const ObservedRun *run) {
        const AgentSpec *spec = desired_find(desired, run->agent);

        if (!run->alive || !observed_session(o, run->agent))
                return false;
        return !spec || spec->elsewhere ||
               strcmp(spec->restart_fingerprint, run->restart_fingerprint) != 0;
}

static int judge(const Desired *desired,
                const Observed *o,
                const ObservedRun *run,
                const DriverScreen *screen,
                Busy *ret) {
        ScreenVerdict v;
        int r;

        if (!screen->known) {
                *ret = BUSY_UNKNOWN;
                return 0;
        }
        r = activity_judge(desired_find(desired, run->agent), run, screen, o->now_usec, &v);
        if (r < 0)
                return r;
        /* That something on the screen moved is no work that a restart would lose. */
        *ret = v.sign == SIGN_ERROR                  ? BUSY_UNKNOWN
               : v.busy || v.state == SCREEN_WAITING ? BUSY_YES
                                                     : BUSY_NO;
        return 0;
}

int busy_find(const Driver *driver, const Desired *desired, Observed *o) {
        _cleanup_strv_ char **agents = NULL;
        DriverScreen *screens;
        size_t n;
        int r;

        for (size_t i = 0; i < o->n_run; i++) {
                r = is_candidate(desired, o, o->run + i) ? strv_push(&agents, o->run[i].agent) : 0;
                if (r < 0)
                        return r;
        }
        n = strv_length(agents);
        if (n == 0 || o->tmux.state != SOURCE_PRESENT)
                return 0;
        screens = calloc(n, sizeof(DriverScreen));
        if (!screens)
                return -ENOMEM;
        r = driver->capture(driver->world, o, agents, screens);
        for (size_t i = 0; i < n; i++) {
                Busy *busy = &observed_session(o, agents[i])->busy;

                if (r < 0)
                        *busy = BUSY_UNKNOWN;
                else
                        r = judge(desired, o, observed_run(o, agents[i]), screens + i, busy);
                screen_done(&screens[i].screen);
        }
        free(screens);
        return r == -ENOMEM ? r : 0;
}
