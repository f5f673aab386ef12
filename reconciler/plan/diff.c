/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <string.h>

#include "model/base/format.h"
#include "model/base/parse.h"
#include "reconciler/plan/context.h"

#define JUST_STARTED_USEC (3 * USEC_PER_SEC)

/* One agent of the roster and everything that was seen of it. */
typedef struct AgentView {
        const AgentSpec *spec;
        const ObservedUnit *unit;
        const ObservedRun *run;
        const ObservedStop *stop;
        const ObservedHold *hold;
        const ObservedFiles *files;
        const ObservedSession *session;
        UnitState state;
} AgentView;

/* @help ends with a blank where the agent's name is to follow. */
static int remark(PlanContext *c,
                const AgentView *v,
                RemarkKind kind,
                Reason reason,
                const char *help,
                const char *text) {
        size_t length = help ? strlen(help) : 0;
        char named[120];

        if (length > 0 && help[length - 1] == ' ') {
                (void)snprintf(named, sizeof(named), "%s%s", help, v->spec->name);
                help = named;
        }
        return plan_add_remark(c->plan, kind, v->spec->name, /* is_agent= */ true, reason,
                        v->spec->line, help, "%s", text);
}

static int remarkf(PlanContext *c,
                const AgentView *v,
                RemarkKind kind,
                Reason reason,
                const char *help,
                const char *format,
                ...) _printf_(6, 7);

static int remarkf(PlanContext *c,
                const AgentView *v,
                RemarkKind kind,
                Reason reason,
                const char *help,
                const char *format,
                ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return remark(c, v, kind, reason, help, text);
}

static int action(PlanContext *c,
                const AgentView *v,
                ActionKind kind,
                Reason reason,
                unsigned steps,
                const char *text) {
        Action *a = plan_add_action(
                        c->plan, kind, v->spec->name, reason, v->spec->line, steps, "%s", text);

        if (!a)
                return -ENOMEM;
        if (steps & (STEP_RENAME | STEP_KILL_SESSION)) {
                a->session_id = strdup(v->session->id);
                if (!a->session_id)
                        return -ENOMEM;
        }
        return 0;
}

static bool is_systemd(const PlanContext *c) {
        return c->observed->supervisor == SUPERVISOR_SYSTEMD;
}

static bool spec_is_accepted(const AgentView *v) {
        return v->files && v->files->spec &&
               strcmp(v->files->restart_fingerprint, v->spec->restart_fingerprint) == 0 &&
               strcmp(v->files->live_fingerprint, v->spec->live_fingerprint) == 0;
}

/* Product data moved under an unchanged roster: written along, never a reason to act. */
static bool spec_is_current(const AgentView *v) {
        return spec_is_accepted(v) && strcmp(v->files->resolved, v->spec->resolved) == 0;
}

static bool dropin_is_current(const PlanContext *c, const AgentView *v) {
        return !is_systemd(c) || (v->files && v->files->dropin && v->files->dropin_current);
}

/* The file steps that a start or an update of this agent needs. */
static unsigned file_steps(const PlanContext *c, const AgentView *v) {
        unsigned steps = 0;

        if (!spec_is_current(v))
                steps |= STEP_SPEC;
        if (!dropin_is_current(c, v)) {
                steps |= STEP_DROPIN;
                if (v->unit)
                        steps |= STEP_RELOAD;
        }
        return steps;
}

static bool is_running(UnitState s) {
        return s == UNIT_ACTIVE;
}

static bool is_in_transition(UnitState s) {
        switch (s) {
        case UNIT_ACTIVATING:
        case UNIT_DEACTIVATING:
        case UNIT_RESTARTING:
        case UNIT_OTHER:
                return true;
        case UNIT_NOT_LOADED:
        case UNIT_INACTIVE:
        case UNIT_ACTIVE:
        case UNIT_FAILED:
                break;
        }
        return false;
}

/*
 * An agent that ended well in this boot without a stop of ours: under systemd somebody stopped its
 * unit by hand (a clean end of the agent itself comes back under restart: always), otherwise the
 * policy says that it stays down. Not so if the holder went down with it or after it.
 */
static bool is_implicit_hold(const PlanContext *c, const AgentView *v) {
        const Observed *o = c->observed;

        if (!observed_stop_unasked(v->stop) || !v->stop->succeeded || v->state == UNIT_FAILED)
                return false;
        if (!is_systemd(c))
                return observed_stop_is_final(v->stop, v->spec->restart_policy);
        return o->holder == UNIT_ACTIVE && o->holder_since_usec != 0 &&
               o->holder_since_usec <= v->stop->monotonic_usec;
}

static int plan_held(PlanContext *c, const AgentView *v) {
        char age[32];
        uint64_t at = v->hold->at_usec;

        format_duration(age, sizeof(age), c->now_usec > at ? c->now_usec - at : 0);
        return remarkf(c, v, REMARK_HELD, REASON_HOLD, "mosaic fleet start ", "by %s, %s ago%s%s",
                        v->hold->by, age, v->hold->reason ? ": " : "",
                        v->hold->reason ? v->hold->reason : "");
}

static const char *end_text(const AgentView *v, char *buffer, size_t n) {
        bool loop = v->unit && unit_hit_start_limit(v->unit, v->spec->restart_attempts);
        const ObservedStop *s = v->stop;

        if (loop && s && s->kind != END_UNKNOWN)
                (void)snprintf(buffer, n, "it ended too often in a short time, last with %s %s",
                                s->kind == END_EXITED ? "status" : "signal", s->status);
        else if (loop)
                (void)snprintf(buffer, n, "it ended too often in a short time");
        else if (!observed_stop_text(s, buffer, n))
                (void)snprintf(buffer, n, "it is not running");
        return buffer;
}

/* What is in the way is said once, for the whole fleet. */
static int impeded(PlanContext *c) {
        c->plan->n_impeded++;
        return 0;
}

static uint64_t due(const PlanContext *c, const AgentView *v) {
        const Observed *o = c->observed;
        const PaceEntry *e = pacing_find(&o->pacing, v->spec->name);

        return e ? pacing_due(&o->pacing, e, o->monotonic_usec) : 0;
}

/* A changed spec is a new chance. */
static bool is_paced(const PlanContext *c, const AgentView *v) {
        return c->policy->paced && due(c, v) > 0 &&
               strcmp(v->files->restart_fingerprint, v->spec->restart_fingerprint) == 0;
}

/* It is started again, though not now. */
static int plan_paced(PlanContext *c, const AgentView *v) {
        const Pacing *pacing = &c->observed->pacing;
        const PaceEntry *e = pacing_find(pacing, v->spec->name);
        uint64_t at = due(c, v);
        char text[160], wait[32];

        (void)end_text(v, text, sizeof(text));
        if (at == USEC_INFINITY)
                return remarkf(c, v, REMARK_DEFERRED, REASON_COMMON_CAUSE, "mosaic fleet start ",
                                "%s, and so did half of the fleet: %s is tried first", text,
                                pacing->probe);
        (void)format_duration(wait, sizeof(wait), at - c->observed->monotonic_usec);
        return remarkf(c, v, REMARK_DEFERRED, e->crash_loop ? REASON_CRASH_LOOP : REASON_BACKOFF,
                        "mosaic fleet start ", "%s%s, tried again in %s", text,
                        e->crash_loop && v->state != UNIT_FAILED ? ", too often" : "", wait);
}

/* The agent should run and does not. */
static int plan_down(PlanContext *c, const AgentView *v) {
        bool heeds_stops = c->policy->mode == PLAN_CONVERGE || c->policy->respect_stops;
        bool fresh = !v->files || !v->files->spec;
        const ObservedSession *namesake;
        unsigned steps = STEP_START | file_steps(c, v);
        char text[160];

        if (v->spec->blocked_text)
                return remark(c, v, REMARK_BLOCKED,
                                v->spec->program_missing ? REASON_PROGRAM_MISSING : REASON_SITE,
                                NULL, v->spec->blocked_text);
        if (heeds_stops && is_implicit_hold(c, v))
                return remarkf(c, v, REMARK_HELD,
                                v->spec->restart_policy == RESTART_ALWAYS ? REASON_MANUAL_STOP
                                                                          : REASON_ENDED,
                                "mosaic fleet start ",
                                v->spec->restart_policy == RESTART_ALWAYS
                                                ? "stopped by hand, stays down until 'start'"
                                                : "ended by itself, or stopped by hand: stays down "
                                                  "until 'start'");
        if (heeds_stops && v->spec->restart_policy == RESTART_NEVER &&
                        observed_stop_unasked(v->stop))
                return remarkf(c, v, REMARK_HELD, REASON_ENDED, "mosaic fleet start ",
                                "%s, and restart.policy is never", end_text(v, text, sizeof(text)));
        if (!c->can_start)
                return impeded(c);
        namesake = plan_foreign_namesake(c, v->spec->name);
        if (namesake && !v->session)
                return remarkf(c, v, REMARK_BLOCKED, REASON_FOREIGN_NAME,
                                "rename or end that session, or rename the agent",
                                "session %s has this name and is not ours", namesake->id);
        if (!v->session)
                steps |= STEP_SESSION;
        else if (strcmp(v->session->name, v->spec->name) != 0 && !namesake)
                steps |= STEP_RENAME;
        if (v->state == UNIT_FAILED)
                steps |= STEP_RESET_FAILED;

        if (c->policy->mode != PLAN_CONVERGE)
                return action(c, v, fresh ? ACTION_CREATE : ACTION_START, REASON_REQUESTED, steps,
                                "asked for");
        if (fresh)
                return action(c, v, ACTION_CREATE, REASON_NOT_PRESENT, steps, "new in the roster");
        if (is_paced(c, v))
                return plan_paced(c, v);
        if (v->state == UNIT_FAILED)
                return action(c, v, ACTION_START, REASON_UNIT_FAILED, steps,
                                end_text(v, text, sizeof(text)));
        if (v->stop && !v->stop->this_boot)
                return action(c, v, ACTION_START, REASON_BOOT, steps, "not started since the boot");
        if (c->observed->tmux.state == SOURCE_ABSENT)
                return action(c, v, ACTION_START, REASON_HOLDER_DOWN, steps,
                                "it went down with the tmux server");
        if (!v->session)
                return action(c, v, ACTION_START, REASON_SESSION_GONE, steps,
                                "its session is gone");
        return action(c, v, ACTION_START, REASON_NOT_RUNNING, steps,
                        end_text(v, text, sizeof(text)));
}

/* A restart, unless something speaks for waiting. @why is the phrase of the plan. */
static int plan_restart(PlanContext *c, const AgentView *v, Reason reason, const char *why) {
        unsigned steps = STEP_STOP | STEP_START | file_steps(c, v);
        unsigned files = file_steps(c, v);
        bool requested = c->policy->mode == PLAN_RESTART;
        const char *waits = NULL;
        char text[160], busy[80];

        if (v->spec->blocked_text)
                return remarkf(c, v, REMARK_BLOCKED, REASON_SITE, NULL,
                                "needs a restart (%s), but could not be started again: %s", why,
                                v->spec->blocked_text);
        if (!c->can_see_sessions)
                return impeded(c);
        if (!requested && reason == REASON_FIELD_RESTART) {
                if (c->policy->mode == PLAN_START || v->spec->on_change == ON_CHANGE_KEEP)
                        waits = c->policy->mode == PLAN_START
                                                ? "needs a restart, which 'start' does not do"
                                                : "needs a restart, and on_change is keep";
                else if (v->spec->on_change == ON_CHANGE_DEFER &&
                                plan_waits_for(c, v->session, /* must_ask= */ false, busy,
                                                sizeof(busy))) {
                        (void)snprintf(text, sizeof(text), "the restart waits, %s", busy);
                        waits = text;
                }
        }
        if (waits) {
                /* What a start uses is the last accepted spec: accept it now. */
                int r = files == 0 ? 0
                                   : action(c, v, ACTION_UPDATE, REASON_FIELD_RESTART, files,
                                                     "accepted, used at the next restart");

                if (r < 0)
                        return r;
                return waits == text ? remark(c, v, REMARK_DEFERRED, REASON_STILL_BUSY,
                                                       "mosaic fleet apply --force-busy ", waits)
                                     : remark(c, v, REMARK_PENDING, REASON_ON_CHANGE_KEEP,
                                                       "mosaic fleet restart ", waits);
        }
        if (!c->can_start)
                return impeded(c);
        if (!v->session) {
                const ObservedSession *namesake = plan_foreign_namesake(c, v->spec->name);

                if (namesake)
                        return remarkf(c, v, REMARK_BLOCKED, REASON_FOREIGN_NAME,
                                        "rename or end that session, or rename the agent",
                                        "session %s has this name and is not ours", namesake->id);
                steps |= STEP_SESSION;
        }
        return action(c, v, ACTION_RESTART, reason, steps, why);
}

/* tmux is listed a moment before the runs are read: one that came back in between is not without a
 * terminal. Times are of the wall clock: a start that lies ahead, because the clock was set back,
 * is none of a moment ago. */
static bool just_started(const PlanContext *c, const AgentView *v) {
        uint64_t now = c->observed->now_usec;

        return v->run && v->run->started_usec + JUST_STARTED_USEC > now &&
               v->run->started_usec < now + JUST_STARTED_USEC;
}

/* The agent runs, and should. */
static int plan_up(PlanContext *c, const AgentView *v) {
        unsigned files = file_steps(c, v);
        bool misnamed = v->session && strcmp(v->session->name, v->spec->name) != 0;
        bool proven = v->run && v->run->alive;
        int r;

        if (c->policy->mode == PLAN_RESTART)
                return plan_restart(c, v, REASON_REQUESTED, "asked for");
        if (proven && strcmp(v->run->restart_fingerprint, v->spec->restart_fingerprint) != 0)
                return plan_restart(
                                c, v, REASON_FIELD_RESTART, "a changed key needs a new process");
        if (c->can_see_sessions && !v->session && c->policy->mode == PLAN_CONVERGE)
                return just_started(c, v) ? remark(c, v, REMARK_WAITING, REASON_IN_TRANSITION, NULL,
                                                            "it has just started, its session is "
                                                            "not in the listing yet")
                                          : plan_restart(c, v, REASON_SESSION_GONE,
                                                            "it runs without a terminal");

        /* Only the product's data moved: write it, say nothing but "pending". */
        if (files != 0 || misnamed) {
                unsigned steps = files;
                Reason reason = REASON_FIELD_LIVE;
                const char *text = "changes without a restart";

                if (misnamed && c->policy->mode == PLAN_CONVERGE &&
                                !plan_foreign_namesake(c, v->spec->name))
                        steps |= STEP_RENAME;
                if (!v->files || !v->files->spec) {
                        reason = REASON_SPEC_MISSING;
                        text = "its accepted spec is missing";
                } else if (steps & STEP_RENAME) {
                        reason = REASON_SESSION_RENAMED;
                        text = "its session was renamed";
                } else if (spec_is_accepted(v) && steps & STEP_DROPIN) {
                        reason = REASON_DROPIN_CHANGED;
                        text = "its drop-in is not what mosaic wrote";
                }
                if (!(spec_is_accepted(v) && steps == STEP_SPEC) && steps != 0) {
                        r = action(c, v, ACTION_UPDATE, reason, steps, text);
                        if (r < 0)
                                return r;
                }
        }
        if (!proven)
                return remark(c, v, REMARK_PENDING, REASON_RUN_UNPROVEN, "mosaic fleet restart ",
                                "its run file is gone: which spec it runs is proven at the next "
                                "restart");
        if (strcmp(v->run->resolved, v->spec->resolved) != 0)
                return remark(c, v, REMARK_PENDING, REASON_TOOL_UPGRADE, "mosaic fleet restart ",
                                "this version of mosaic starts it differently: used at the next "
                                "restart");
        return 0;
}

/* It runs, or will without being asked. */
static bool can_be_stopped(UnitState s) {
        return is_running(s) || s == UNIT_ACTIVATING || s == UNIT_RESTARTING;
}

static int plan_stop_verb(PlanContext *c, const AgentView *v) {
        unsigned steps = 0;

        if (is_running(v->state) || is_in_transition(v->state))
                steps |= STEP_STOP;
        if (v->state == UNIT_FAILED)
                steps |= STEP_RESET_FAILED;
        if (!plan_is_by_name(c) && v->session)
                steps |= STEP_KILL_SESSION;
        return steps == 0 ? 0 : action(c, v, ACTION_STOP, REASON_REQUESTED, steps, "asked for");
}

/* By name: who asks for one agent is told why it is not started; who asks for all of them means
 * those that the roster wants. */
static bool is_asked_to_run(const PlanContext *c) {
        return plan_is_by_name(c) &&
               (c->policy->mode == PLAN_START || c->policy->mode == PLAN_RESTART);
}

static int plan_refused(PlanContext *c, const AgentView *v) {
        if (v->spec->elsewhere)
                return remark(c, v, REMARK_BLOCKED, REASON_ELSEWHERE,
                                "start it there, or change its host:",
                                "its host: names another machine");
        return remark(c, v, REMARK_BLOCKED, REASON_STATE_STOPPED, "change its state: in the roster",
                        "the roster says state: stopped");
}

static int plan_in_transition(PlanContext *c, const AgentView *v) {
        char text[160];
        bool ended = v->state == UNIT_RESTARTING && observed_stop_unasked(v->stop) &&
                     observed_stop_text(v->stop, text, sizeof(text));

        if (v->unit && v->unit->job_pending)
                return remark(c, v, REMARK_WAITING, REASON_IN_TRANSITION, NULL,
                                "its unit is waiting for a job");
        return remarkf(c, v, REMARK_WAITING, REASON_IN_TRANSITION, NULL, "%s%sits unit is %s",
                        ended ? text : "", ended ? ", " : "", unit_state_to_string(v->state));
}

static int plan_masked(PlanContext *c, const AgentView *v) {
        _cleanup_free_ char *help = NULL;

        if (format_text(&help, "systemctl --user unmask %s", v->unit->masked) < 0)
                return -ENOMEM;
        return remark(c, v, REMARK_BLOCKED, REASON_UNIT_MASKED, help, "its unit is masked");
}

int plan_agent(PlanContext *c, const AgentSpec *spec) {
        const Observed *o = c->observed;
        AgentView v = {
                .spec = spec,
                .unit = observed_unit(o, spec->name),
                .run = observed_run(o, spec->name),
                .stop = observed_stop(o, spec->name),
                .hold = observed_hold(o, spec->name),
                .files = observed_files(o, spec->name),
                .session = c->can_see_sessions ? observed_session(o, spec->name) : NULL,
        };

        v.state = v.unit ? v.unit->state : UNIT_NOT_LOADED;
        /* prune.c's, but for the one who is told by name to start or to stop. */
        if (spec->elsewhere && (c->policy->mode == PLAN_CONVERGE || !plan_is_by_name(c)))
                return 0;
        if (!c->can_see_agents)
                return impeded(c);
        if (c->policy->mode == PLAN_STOP)
                return plan_stop_verb(c, &v);
        if (v.unit && v.unit->masked)
                return plan_masked(c, &v);
        if (v.unit && v.unit->load_error && !is_running(v.state))
                return remarkf(c, &v, REMARK_BLOCKED, REASON_UNIT_BROKEN,
                                "mosaic fleet install-systemd", "its unit does not load: %s",
                                v.unit->load_error);
        if (is_asked_to_run(c) && (spec->elsewhere || spec->state == DESIRED_STOPPED))
                return plan_refused(c, &v);
        if (spec->state == DESIRED_STOPPED) {
                if (can_be_stopped(v.state))
                        return c->policy->mode == PLAN_START
                                               ? 0
                                               : action(c, &v, ACTION_STOP, REASON_STATE_STOPPED,
                                                                 STEP_STOP, "state is stopped");
                if (!is_in_transition(v.state))
                        return 0;
        }
        /* A start would wait until the pause between two tries is over; a stop ends the pause. */
        if (c->policy->mode == PLAN_RESTART && v.state == UNIT_RESTARTING && !v.unit->job_pending &&
                        !v.hold)
                return plan_restart(c, &v, REASON_REQUESTED, "asked for");
        if (is_in_transition(v.state) || (v.unit && v.unit->job_pending))
                return plan_in_transition(c, &v);
        if (v.hold && !is_running(v.state))
                return plan_held(c, &v);
        return is_running(v.state) ? plan_up(c, &v) : plan_down(c, &v);
}
