/* SPDX-License-Identifier: MIT */
#include "reconciler/activity.h"

#include <string.h>

#include "drivers/os/clock.h"
#include "model/base/strv.h"

int activity_judge(const AgentSpec *spec,
                const ObservedRun *run,
                const DriverScreen *screen,
                uint64_t now_usec,
                ScreenVerdict *ret) {
        const ScreenFacts facts = {
                .screen = &screen->screen,
                .now_usec = now_usec,
                .started_usec = run->started_usec,
                .other_foreground = screen->other_foreground,
        };
        _cleanup_(signs_freep) Signs *signs = NULL;
        int r;

        r = signs_new(signs_talk(spec, run), &signs);
        return r < 0 ? r : signs_judge(signs, &facts, ret);
}

static bool runs(const Observed *o, const char *agent) {
        const ObservedUnit *u = observed_unit(o, agent);

        return u && u->state == UNIT_ACTIVE && o->manager.state == SOURCE_PRESENT;
}

/* Why nothing is seen of an agent that runs; NULL: its screen may be judged. */
static const char *why_unseen(
                const Observed *o, const ObservedRun *run, const DriverScreen *screen, int error) {
        if (o->tmux.state != SOURCE_PRESENT)
                return o->tmux.why ? o->tmux.why : "the tmux server could not be asked";
        if (error < 0)
                return "the screens could not be read";
        if (!run || !run->alive)
                return "no run file proves which process is the agent";
        if (!screen->screen.text)
                return "it has no terminal";
        return screen->known ? NULL : "it ended, or lost its terminal, while it was looked at";
}

/* @agents: those that were looked at, in the order of the roster. */
static int judge_all(const Desired *desired,
                const Observed *o,
                char *const *agents,
                DriverScreen *screens,
                int error,
                Activity *list) {
        uint64_t now = clock_realtime_usec();

        for (size_t i = 0, k = 0; i < desired->n_agents; i++) {
                const ObservedRun *run = observed_run(o, desired->agents[i]->name);
                Activity *a = list + i;
                int r;

                if (!agents[k] || strcmp(agents[k], desired->agents[i]->name) != 0)
                        continue;
                a->asked = true;
                a->seen_usec = now;
                a->screen = screens[k];
                screens[k++] = (DriverScreen){ 0 };
                a->why = why_unseen(o, run, &a->screen, error);
                if (a->why)
                        continue;
                r = activity_judge(desired->agents[i], run, &a->screen, now, &a->verdict);
                if (r < 0)
                        return r;
        }
        return 0;
}

int activities_look(
                const Driver *driver, const Desired *desired, const Observed *o, Activity **ret) {
        _cleanup_strv_ char **agents = NULL;
        _cleanup_free_ DriverScreen *screens = NULL;
        Activity *list;
        size_t n;
        int r = 0, error = 0;

        for (size_t i = 0; i < desired->n_agents && r == 0; i++)
                if (runs(o, desired->agents[i]->name))
                        r = strv_push(&agents, desired->agents[i]->name);
        if (r < 0)
                return r;
        n = strv_length(agents);
        list = calloc(desired->n_agents + 1, sizeof(Activity));
        screens = calloc(n + 1, sizeof(DriverScreen));
        if (!list || !screens) {
                free(list);
                return -ENOMEM;
        }
        if (n > 0 && o->tmux.state == SOURCE_PRESENT)
                error = driver->capture(driver->world, o, agents, screens);
        r = error == -ENOMEM ? error : 0;
        if (r == 0 && n > 0)
                r = judge_all(desired, o, agents, screens, error, list);
        for (size_t i = 0; i < n; i++)
                screen_done(&screens[i].screen);
        if (r < 0) {
                activities_free(list, desired->n_agents);
                return r;
        }
        *ret = list;
        return 0;
}

void activities_free(Activity *list, size_t n) {
        for (size_t i = 0; list && i < n; i++)
                screen_done(&list[i].screen.screen);
        free(list);
}
