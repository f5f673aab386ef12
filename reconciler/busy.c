/* SPDX-License-Identifier: MIT */
#include "reconciler/busy.h"

#include <string.h>

#include "model/base/strv.h"
#include "schema/pattern.h"

/* Would the roster have this run ended? */
static bool is_candidate(const Desired *desired, const Observed *o, const ObservedRun *run) {
        const AgentSpec *spec = desired_find(desired, run->agent);

        if (!run->alive || !observed_session(o, run->agent))
                return false;
        return !spec || spec->elsewhere ||
               strcmp(spec->restart_fingerprint, run->restart_fingerprint) != 0;
}

/* 1 some line matches, 0 none does, negative errno. */
static int matches(const char *pattern, const char *screen) {
        _cleanup_pattern_ Pattern *p = NULL;
        int r;

        r = pattern_new(pattern, strlen(pattern), PATTERN_PERL, NULL, NULL, &p);
        for (const char *line = screen; r == 0 && *line;) {
                size_t length = strcspn(line, "\n");

                r = pattern_search(p, line, length);
                line += length + (line[length] == '\n');
        }
        return r;
}

static Busy judge(const ObservedRun *run, const DriverScreen *screen) {
        const struct {
                const char *pattern;
                const char *text;
        } signs[] = {
                { run->signs.busy_pattern, screen->text },
                { run->signs.waiting_pattern, screen->text },
                { run->signs.busy_title, screen->title },
                { run->signs.waiting_title, screen->title },
        };
        bool any = false;

        if (!screen->known)
                return BUSY_UNKNOWN;
        for (size_t i = 0; i < ELEMENTSOF(signs); i++) {
                int r = signs[i].pattern ? matches(signs[i].pattern, signs[i].text) : 0;

                any = any || signs[i].pattern;
                if (r != 0)
                        return r > 0 ? BUSY_YES : BUSY_UNKNOWN;
        }
        return !any && screen->other_foreground ? BUSY_YES : BUSY_NO;
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
                if (r != -ENOMEM)
                        observed_session(o, agents[i])->busy =
                                        r < 0 ? BUSY_UNKNOWN
                                              : judge(observed_run(o, agents[i]), screens + i);
                free(screens[i].text);
                free(screens[i].title);
        }
        free(screens);
        return r == -ENOMEM ? r : 0;
}
