/* SPDX-License-Identifier: MIT */
#include "reconciler/agent-look.h"

#include <stdarg.h>
#include <string.h>

#include "drivers/os/clock.h"
#include "drivers/os/proc.h"
#include "model/base/format.h"
#include "model/base/strv.h"
#include "reconciler/complain.h"
#include "reconciler/run.h"

void agent_look_done(AgentLook *a) {
        signs_free(a->signs);
        screen_done(&a->shown.screen);
        pass_done(&a->pass);
        *a = (AgentLook){ 0 };
}

/* The roster, or an empty one in its place. */
static int load(AgentLook *a) {
        int r;

        r = pass_load(a->c, &a->pass);
        if (r < 0)
                return r;
        a->roster_invalid = r != 0;
        if (!a->roster_invalid)
                return 0;
        complain("the roster is invalid, so it is not asked about %s; 'mosaic fleet "
                 "validate' says why",
                        a->name);
        desired_free(a->pass.desired);
        a->pass.desired = calloc(1, sizeof(Desired));
        if (!a->pass.desired)
                return -ENOMEM;
        a->pass.desired->supervisor = _SUPERVISOR_INVALID;
        return 0;
}

int agent_look_refresh(AgentLook *a) {
        Driver *d = &a->c->driver;
        Observed *o;
        int r;

        r = d->observe(d->world, a->pass.desired, /* details= */ false, &o);
        if (r < 0)
                return r;
        observed_free(a->pass.observed);
        a->pass.observed = o;
        a->run = observed_run(o, a->name);
        a->talk = signs_talk(a->spec, a->run);
        a->signs = signs_free(a->signs);
        a->alive = a->run && a->run->alive;
        if (a->alive) {
                r = proc_start_time(a->run->pid, &a->start_time);
                if (r < 0 && r != -ESRCH)
                        return r;
                a->alive = r == 0;
        }
        return signs_new(a->talk, &a->signs);
}

int agent_look_open(AgentLook *a, Context *c, const char *name) {
        _cleanup_strv_ char **names = NULL;
        int r;

        *a = (AgentLook){ .c = c, .name = name, .pass = PASS_NULL };
        r = load(a);
        if (r < 0)
                return r;
        a->spec = desired_find(a->pass.desired, name);
        r = context_open_driver(c);
        if (r == 0)
                r = agent_look_refresh(a);
        if (r < 0)
                return r;
        if (a->spec || a->run || a->roster_invalid || observed_session(a->pass.observed, name))
                return 0;
        r = strv_push(&names, name);
        if (r < 0)
                return r;
        return run_check_names(c, a->pass.desired, /* may_have_left= */ false, names);
}

static int say(char **ret_why, int code, const char *format, ...) _printf_(3, 4);

static int say(char **ret_why, int code, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(ret_why, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return code;
}

int agent_look_check(const AgentLook *a, char **ret_why) {
        const Observed *o = a->pass.observed;
        const ObservedSession *session = observed_session(o, a->name);
        int r;

        if (a->spec && a->spec->elsewhere)
                return say(ret_why, EXIT_NOT_CONVERGED, "it does not live on this machine");
        if (o->runs.state == SOURCE_UNKNOWN)
                return say(ret_why, EXIT_LOCKED, "%s", o->runs.why);
        if (!a->alive) {
                const ObservedHold *hold = observed_hold(o, a->name);

                return hold ? say(ret_why, EXIT_NOT_CONVERGED,
                                              "it is stopped: %s holds it; 'mosaic fleet start %s'",
                                              hold->by, a->name)
                            : say(ret_why, EXIT_NOT_CONVERGED,
                                              "it does not run; 'mosaic fleet "
                                              "explain %s' says why",
                                              a->name);
        }
        if (o->tmux.state != SOURCE_PRESENT)
                return say(ret_why,
                                o->tmux.state == SOURCE_UNKNOWN ? EXIT_LOCKED : EXIT_NOT_CONVERGED,
                                "%s", o->tmux.why ? o->tmux.why : "there is no tmux server");
        if (!session || session->pane_dead)
                return say(ret_why, EXIT_NOT_CONVERGED, "it runs, but without a terminal of ours");
        /* Last: who may look at it nevertheless knows by this that there is something to see. */
        if (a->spec && a->spec->state == DESIRED_PAUSED)
                return say(ret_why, EXIT_BLOCKED,
                                "the roster has it paused, so it gets no messages (line %u)",
                                a->spec->line);
        r = a->c->driver.vouch(a->c->driver.world, o, a->name, ret_why);
        return r > 0 ? EXIT_NOT_CONVERGED : r;
}

int agent_look_screen(AgentLook *a) {
        char name[AGENT_NAME_MAX + 1], *names[] = { name, NULL };
        ScreenFacts facts;
        int r;

        (void)snprintf(name, sizeof(name), "%s", a->name);
        screen_done(&a->shown.screen);
        a->shown = (DriverScreen){ 0 };
        r = a->c->driver.capture(a->c->driver.world, a->pass.observed, names, &a->shown);
        if (r < 0)
                return r;
        /* A pid alone names nothing for long. Whether it lives that cannot be told is no end. */
        if (a->alive) {
                r = proc_is(a->run->pid, a->start_time);
                if (r < 0)
                        return r;
                a->alive = r > 0;
        }
        if (a->shown.screen.text && a->shown.screen.dead)
                a->alive = false;
        facts = (ScreenFacts){
                .screen = &a->shown.screen,
                .now_usec = clock_realtime_usec(),
                .started_usec = a->run ? a->run->started_usec : 0,
                .other_foreground = a->shown.other_foreground,
        };
        a->young = signs_young(a->signs, &facts);
        return a->shown.screen.text ? signs_judge(a->signs, &facts, &a->verdict) : 0;
}
