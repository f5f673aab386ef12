/* SPDX-License-Identifier: MIT */
#include "tests/simulation/referee.h"

#include <string.h>

static void blame(Referee *r, const char *property, const WorldAgent *a, const char *text) {
        if (r->property)
                return;
        r->property = property;
        (void)snprintf(r->text, sizeof(r->text), "%s%s%s", a ? a->name : "", a ? ": " : "", text);
}

void referee_begin(Referee *r, World *w, const Desired *desired) {
        *r = (Referee){ .desired = desired, .converge = true, .paced = true, .strict = true };
        w->told = &r->told;
        w->n_looks = 0;
}

static bool is_wanted(const Desired *d, const WorldAgent *a) {
        const AgentSpec *s = desired_find(d, a->name);

        return s && !s->elsewhere;
}

/* Under `direct` an agent is known by its run file, or by its keeper, which is that of its
 * session. */
static bool has_answer(const World *told, const WorldAgent *a) {
        return told->manager == SOURCE_PRESENT ||
               (told->direct && (!a->session || world_is_alive(told, a)));
}

static bool knows_sessions(const World *told) {
        return told->tmux != SOURCE_UNKNOWN && !told->hidden;
}

static bool is_up(const WorldAgent *a) {
        return a->unit == UNIT_ACTIVE || a->unit == UNIT_RESTARTING || a->unit == UNIT_ACTIVATING;
}

/* The agent as a look showed it; an agent that came later was not there. */
static const WorldAgent *in(const World *w, size_t i) {
        static const WorldAgent none;

        return i < w->n_agents ? w->agents + i : &none;
}

/* --- the end of it ---------------------------------------------------------------------------- */

/* Ended by a person while the holder was up: stays down. */
static bool is_stopped_by_hand(const World *w, const WorldAgent *a) {
        return !w->direct && a->unit == UNIT_NOT_LOADED && a->stopped_well &&
               !world_is_alive(w, a) && w->server && w->holder_since_usec <= a->stopped_mono_usec &&
               !world_end_was_ours(w, a);
}

/* It has ended by itself, and by its policy that is all. Under systemd a clean end is the
 * manager's matter. */
static bool is_over(const World *w, const WorldAgent *a, const AgentSpec *s) {
        bool ended = (a->stopped_well || a->stopped_badly) && !world_is_alive(w, a) &&
                     !world_end_was_ours(w, a);

        return ended && (s->restart_policy == RESTART_NEVER ||
                                        (s->restart_policy == RESTART_ON_FAILURE && w->direct &&
                                                        a->stopped_well));
}

static bool is_occupied(const WorldAgent *a) {
        return a->unit == UNIT_ACTIVE && a->session && (a->attached > 0 || a->at_work);
}

static Verdict wrong(const char **text, const char *what) {
        *text = what;
        return VERDICT_WRONG;
}

/* Not in the roster. */
static Verdict judge_stray(
                const World *w, const Desired *desired, const WorldAgent *a, const char **text) {
        size_t n_up = 0, going = 0;

        if (a->unit == UNIT_NOT_LOADED && !a->session && !a->spec && a->dropin == 0)
                return VERDICT_AS_WANTED;
        *text = "it is not in the roster and still there";
        if (is_occupied(a))
                return VERDICT_EXCUSED;
        /* Whether it is at work is asked of whom a run file names. */
        if (a->unit == UNIT_ACTIVE && a->session && !world_is_alive(w, a))
                return VERDICT_EXCUSED;
        for (size_t i = 0; i < w->n_agents; i++) {
                const WorldAgent *b = w->agents + i;
                const char *why;

                n_up += is_up(b);
                going += is_up(b) && !is_wanted(desired, b);
                /* Removals come last, and only if the rest is as it should be. */
                if (is_wanted(desired, b) &&
                                referee_judge(w, desired, b, &why) == VERDICT_EXCUSED &&
                                !is_stopped_by_hand(w, b) && !is_occupied(b) &&
                                !(b->hold && b->unit != UNIT_ACTIVE))
                        return VERDICT_EXCUSED;
        }
        return going > (n_up / 4 > 1 ? n_up / 4 : 1) ? VERDICT_EXCUSED : VERDICT_WRONG;
}

/* It went down and is started again when the ledger says; nothing else waits for that. */
static bool is_paced(const WorldAgent *a) {
        return a->spec && (a->unit == UNIT_FAILED || (a->unit == UNIT_NOT_LOADED && a->has_entry));
}

static Verdict judge_running(
                const World *w, const WorldAgent *a, const AgentSpec *s, const char **text) {
        if (a->running != world_number(s->restart_fingerprint))
                return is_occupied(a) || !world_is_alive(w, a)
                                       ? VERDICT_EXCUSED
                                       : wrong(text, "it runs another spec");
        if (!a->session)
                return wrong(text, "it has no terminal");
        if (a->misnamed && !a->namesake)
                return wrong(text, "its session has another name");
        if (w->direct)
                return VERDICT_AS_WANTED;
        if (a->dropin != world_number(s->live_fingerprint))
                return wrong(text, "its drop-in is not what the roster says");
        /* Without the note nothing tells that the manager has read an older one: known, and in
         * docs/reliability.md. */
        if (a->loaded != a->dropin && w->reload_pending)
                return wrong(text, "the manager has not read its drop-in");
        return VERDICT_AS_WANTED;
}

static bool waits_for_another(const World *w, const Desired *desired, const AgentSpec *s) {
        for (char **d = s->after; d && *d; d++)
                for (size_t i = 0; i < w->n_agents; i++)
                        if (strcmp(w->agents[i].name, *d) == 0 &&
                                        w->agents[i].unit != UNIT_ACTIVE &&
                                        is_wanted(desired, w->agents + i))
                                return true;
        return false;
}

/* A foreign session has its name, and it needs a new one of that name: its own is gone, or has lost
 * its keeper, and a launcher looks for it by its name. */
static bool is_in_the_way(const World *w, const WorldAgent *a) {
        return a->namesake && (!a->session || (a->no_keeper && !w->direct));
}

Verdict referee_judge(
                const World *w, const Desired *desired, const WorldAgent *a, const char **text) {
        const AgentSpec *s = desired_find(desired, a->name);

        *text = NULL;
        if (!is_wanted(desired, a))
                return judge_stray(w, desired, a, text);
        if (s->state == DESIRED_STOPPED)
                return is_up(a) ? wrong(text, "it runs and should not") : VERDICT_AS_WANTED;
        if (a->unit == UNIT_ACTIVE && !a->session && a->namesake)
                return VERDICT_EXCUSED; /* it must be restarted, and could not be */
        if (a->unit == UNIT_ACTIVE && a->spec &&
                        a->restart == world_number(s->restart_fingerprint) &&
                        a->live == world_number(s->live_fingerprint))
                return judge_running(w, a, s, text);
        if (a->unit == UNIT_ACTIVE)
                return wrong(text, "its accepted spec is not the roster's");
        if (a->hold || is_stopped_by_hand(w, a) || is_over(w, a, s) || a->refuses_start ||
                        is_in_the_way(w, a) || waits_for_another(w, desired, s))
                return VERDICT_EXCUSED;
        return wrong(text, "it does not run");
}

const char *referee_judge_all(const World *w, const Desired *desired) {
        const char *text;

        if (w->hidden)
                return "the server is behind a socket that is gone";
        if (w->reload_pending)
                return "a reload is pending";
        for (size_t i = 0; i < desired->n_agents; i++) {
                bool found = desired->agents[i]->elsewhere ||
                             desired->agents[i]->state == DESIRED_STOPPED;

                for (size_t k = 0; k < w->n_agents && !found; k++)
                        found = strcmp(w->agents[k].name, desired->agents[i]->name) == 0;
                if (!found)
                        return "an agent of the roster was never made";
        }
        for (size_t i = 0; i < w->n_agents; i++)
                if (referee_judge(w, desired, w->agents + i, &text) == VERDICT_WRONG)
                        return text;
        return NULL;
}

/* --- call by call ----------------------------------------------------------------------------- */

static void check_known(Referee *r, const World *w, const WorldAgent *a, bool removal, bool asked) {
        const WorldAgent *told = in(&r->told, (size_t)(a - w->agents));

        if (r->told.runs != SOURCE_PRESENT || r->told.files != SOURCE_PRESENT ||
                        !(has_answer(&r->told, told) || asked))
                blame(r, "unknown", a, "acts on an agent although the agents could not be seen");
        if (removal && !knows_sessions(&r->told))
                blame(r, "unknown", a, "removes although the sessions could not be seen");
}

/* Something of an agent that the roster does not name is taken away. */
static void check_removal(Referee *r, const World *w, const WorldAgent *a) {
        size_t n_up = 0, going = 0;
        const char *text;

        if (!r->converge)
                return;
        check_known(r, w, a, /* removal= */ true, /* asked= */ false);
        if (r->removals_wait)
                blame(r, "removal", a, "removes while the roster settles");
        if (r->n_looks < 2)
                blame(r, "removal", a, "removes without having looked again");
        for (size_t i = 0; i < r->first.n_agents; i++) {
                const WorldAgent *b = r->first.agents + i;

                n_up += is_up(b);
                going += is_up(b) && !is_wanted(r->desired, b);
        }
        if (going > (n_up / 4 > 1 ? n_up / 4 : 1))
                blame(r, "removal", a, "removes more than the cap allows");
        if (is_occupied(in(&r->first, (size_t)(a - w->agents))))
                blame(r, "removal", a, "removes an agent that is attached or at work");
        for (size_t i = 0; i < r->told.n_agents; i++) {
                const WorldAgent *b = r->told.agents + i;

                if (is_wanted(r->desired, b) && !is_paced(b) &&
                                referee_judge(&r->told, r->desired, b, &text) == VERDICT_WRONG)
                        blame(r, "removal", b, text);
        }
}

static void check_stop(Referee *r, const World *w, const WorldAgent *a) {
        size_t i = (size_t)(a - w->agents);
        const WorldAgent *seen = in(&r->first, i);
        const AgentSpec *s = desired_find(r->desired, a->name);

        /* A keeper is asked to stop what a person wants stopped, also if it was silent. */
        check_known(r, w, a, /* removal= */ false, /* asked= */ r->told.direct && !r->converge);
        if (!r->announced[i])
                blame(r, "announced", a, "is stopped without word that it is us");
        if (!is_wanted(r->desired, a)) {
                check_removal(r, w, a);
                return;
        }
        if (!r->converge || s->state == DESIRED_STOPPED)
                return;
        if (seen->unit == UNIT_ACTIVE && seen->session &&
                        seen->running == world_number(s->restart_fingerprint))
                blame(r, "minimal", a, "is restarted although it runs what it should");
        if (is_occupied(seen))
                blame(r, "minimal", a, "is restarted although it is attached or at work");
}

/* Where ends are known by their records. */
static void check_direct_start(Referee *r,
                const World *w,
                const WorldAgent *a,
                const WorldAgent *seen,
                const AgentSpec *s) {
        bool ended = (seen->stopped_well || seen->stopped_badly) &&
                     !world_is_alive(&r->first, seen) && !world_end_was_ours(&r->first, seen);

        if (!r->paced || !seen->spec || seen->restart != world_number(s->restart_fingerprint) ||
                        seen->unit == UNIT_ACTIVE)
                return;
        if (ended && seen->has_entry && seen->entry.down_usec != 0 &&
                        seen->entry.due_usec > w->mono_usec)
                blame(r, "starts", a, "is started before the ledger says");
        if (ended && r->first.server && r->first.tmux != SOURCE_UNKNOWN && !r->first.hidden &&
                        (!seen->has_entry || seen->entry.down_usec == 0))
                blame(r, "starts", a, "is started at once after an end");
}

static void check_start(Referee *r, const World *w, const WorldAgent *a) {
        const WorldAgent *seen = in(&r->first, (size_t)(a - w->agents));
        const AgentSpec *s = desired_find(r->desired, a->name);

        check_known(r, w, a, /* removal= */ false, /* asked= */ false);
        if (!knows_sessions(&r->told))
                blame(r, "unknown", a, "is started although the sessions could not be seen");
        if (!s || s->elsewhere) {
                blame(r, "starts", a, "is started and not in the roster");
                return;
        }
        if (s->state == DESIRED_STOPPED)
                blame(r, "starts", a, "is started although its state is stopped");
        if (a->spec && a->restart != world_number(s->restart_fingerprint))
                blame(r, "spec", a, "is started from another spec than the roster's");
        if (!r->converge)
                return;
        if (seen->hold && seen->unit != UNIT_ACTIVE)
                blame(r, "starts", a, "is started although it is held");
        if (is_stopped_by_hand(&r->first, seen) && seen->spec)
                blame(r, "starts", a, "is started although somebody stopped it");
        if (is_over(&r->first, seen, s) && seen->spec && seen->unit != UNIT_ACTIVE)
                blame(r, "starts", a, "is started although it has ended and is to stay down");
        if (r->told.direct) {
                check_direct_start(r, w, a, seen, s);
                return;
        }
        /* A changed spec is a new chance. */
        if (!r->paced || !seen->spec || seen->restart != world_number(s->restart_fingerprint))
                return;
        /* A failure that somebody cleared is a person's word that it may be tried. */
        if (seen->has_entry && seen->entry.down_usec != 0 && seen->unit != UNIT_ACTIVE &&
                        (seen->unit == UNIT_FAILED || seen->entry.n_starts > 0) &&
                        seen->entry.due_usec > w->mono_usec)
                blame(r, "starts", a, "is started before the ledger says");
        if (seen->unit == UNIT_FAILED && (!seen->has_entry || seen->entry.down_usec == 0))
                blame(r, "starts", a, "is started at once after a failure");
        if (seen->unit == UNIT_FAILED && seen->has_entry &&
                        seen->live == world_number(s->live_fingerprint) &&
                        seen->resolved == world_number(s->resolved) &&
                        (!a->has_entry || a->entry.n_starts <= seen->entry.n_starts))
                blame(r, "starts", a, "is started, and the ledger does not know it");
}

/* What it comes after was started in this pass, and does not run yet. */
static void check_order(Referee *r, const World *w, const WorldAgent *a) {
        const AgentSpec *s = desired_find(r->desired, a->name);

        for (char **d = s ? s->after : NULL; d && *d; d++)
                for (size_t i = 0; i < w->n_agents; i++)
                        if (strcmp(w->agents[i].name, *d) == 0 && r->started[i] &&
                                        w->agents[i].launching)
                                blame(r, "order", a, "is started before what it comes after");
}

static void check_session(Referee *r, const WorldAgent *a, size_t i, const WorldItem *item) {
        const WorldAgent *seen = in(&r->told, i), *first = in(&r->first, i);

        if (!knows_sessions(&r->told))
                blame(r, "split-brain", a, "asks for sessions of a server it cannot see");
        if (item->job == DRIVER_SESSION)
                return;
        if (!(seen->session && seen->session_number == item->session) &&
                        !(first->session && first->session_number == item->session))
                blame(r, "foreign", a, "a session is touched that was not seen to be ours");
        if (item->job == DRIVER_KILL_SESSION && r->converge && is_wanted(r->desired, a))
                blame(r, "minimal", a, "its session is ended although the roster names it");
}

static void check_item(Referee *r, const World *w, const WorldCall *call, const WorldItem *item) {
        const WorldAgent *a = w->agents + item->agent;

        switch (call->kind) {
        case CALL_SUBMIT:
                r->in_flight = true;
                if (item->job == DRIVER_STOP)
                        check_stop(r, w, a);
                else {
                        check_start(r, w, a);
                        check_order(r, w, a);
                        r->started[item->agent] = true;
                }
                return;
        case CALL_ANNOUNCE:
                r->announced[item->agent] = true;
                return;
        case CALL_SESSIONS:
                check_session(r, a, item->agent, item);
                if (item->job == DRIVER_KILL_SESSION && !is_wanted(r->desired, a))
                        check_removal(r, w, a);
                return;
        case CALL_REMOVE_FILES:
                if (is_wanted(r->desired, a))
                        blame(r, "minimal", a,
                                        "its files are deleted although the roster names it");
                else
                        check_removal(r, w, a);
                if (is_up(in(&r->told, item->agent)) && !r->announced[item->agent])
                        blame(r, "removal", a, "its files are deleted while it runs");
                return;
        case CALL_ACCEPT:
        case CALL_DROPINS:
                if (!is_wanted(r->desired, a))
                        blame(r, "spec", a, "is written and not in the roster");
                return;
        case CALL_LOOK:
        case CALL_RELOAD:
        case CALL_RESET_FAILED:
        case CALL_START_HOLDER:
        case CALL_STOP_HOLDER:
        case CALL_REPAIR_HOLDER:
        case CALL_WAIT:
        case CALL_CAPTURE:
        case CALL_LAUNCH:
        case CALL_KEEP:
        case CALL_ROSTER:
        case _CALL_KIND_MAX:
                break;
        }
}

void referee_end(Referee *r, const World *w) {
        if (w->broken)
                blame(r, "launch", NULL, w->broken);
        if (!w->dead && w->n_pending > 0)
                blame(r, "flight", NULL, "the pass ends, and a job of its own may still run");
}

void referee_call(Referee *r, const World *w, const WorldCall *call) {
        if (w->dead || call->kind == CALL_CAPTURE) /* that is part of a look */
                return;
        /* The first call after a look finds what it showed. */
        if (r->n_looks == 0 && w->n_looks > 0)
                world_copy(&r->first, &r->told);
        r->n_looks = w->n_looks;
        for (size_t i = 0; i < call->n_items; i++)
                check_item(r, w, call, call->items + i);
        /* It tells of one at a time. */
        if (call->kind == CALL_WAIT)
                r->in_flight = w->stepwise && w->n_pending > 1;
        if (call->kind == CALL_RELOAD && r->in_flight)
                blame(r, "reload", NULL, "reloads while a job is running");
        if (call->kind == CALL_START_HOLDER && !knows_sessions(&r->told))
                blame(r, "split-brain", NULL, "starts a server although one may be alive");
        if (call->kind == CALL_STOP_HOLDER && r->converge)
                blame(r, "minimal", NULL, "stops the server by itself");
}
