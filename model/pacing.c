/* SPDX-License-Identifier: MIT */
#include "model/pacing.h"

#include <string.h>

#include "model/base/array.h"
#include "model/base/parse.h"
#include "model/observed.h"
#include "model/plan.h"

/* The first delay for one that failed once, and for one in a crash loop; each start that does not
 * last doubles it. */
#define DELAY_FAILED_USEC (5 * USEC_PER_SEC)
#define DELAY_LOOP_USEC (30 * USEC_PER_SEC)
#define DELAY_MAX_USEC (30 * 60 * USEC_PER_SEC)
/* One that ran this long is well again. */
#define LASTED_USEC (10 * 60 * USEC_PER_SEC)

/* So many are started in one instant, then again so many a second later. */
#define BUDGET_STARTS 16
#define BUDGET_STEP_USEC USEC_PER_SEC

/* Half of at least so many agents, lost within so short a time, have a cause in common. The fleet
 * then waits until one of them has run for a while. */
#define BRAKE_AGENTS_MIN 4
#define BRAKE_WINDOW_USEC (60 * USEC_PER_SEC)
#define PROBE_LASTED_USEC (20 * USEC_PER_SEC)
#define PROBE_LOOK_USEC (5 * USEC_PER_SEC)

void pacing_done(Pacing *p) {
        free(p->items);
        *p = (Pacing){ 0 };
}

static int compare_name(const void *name, const void *entry) {
        return strcmp(name, ((const PaceEntry *)entry)->agent);
}

static PaceEntry *find(const Pacing *p, const char *agent) {
        return p->n_items == 0 ? NULL
                               : bsearch(agent, p->items, p->n_items, sizeof(PaceEntry),
                                                 compare_name);
}

const PaceEntry *pacing_find(const Pacing *p, const char *agent) {
        return find(p, agent);
}

/* The entry of @agent, made in its place if there is none. */
static PaceEntry *need(Pacing *p, const char *agent) {
        PaceEntry *e = find(p, agent);
        size_t at = 0;

        if (e)
                return e;
        if (!array_grow(&p->items, p->n_items, sizeof(PaceEntry)))
                return NULL;
        while (at < p->n_items && strcmp(p->items[at].agent, agent) < 0)
                at++;
        memmove(p->items + at + 1, p->items + at, (p->n_items - at) * sizeof(PaceEntry));
        p->n_items++;
        e = p->items + at;
        *e = (PaceEntry){ 0 };
        (void)snprintf(e->agent, sizeof(e->agent), "%s", agent);
        return e;
}

static void drop(Pacing *p, PaceEntry *e) {
        size_t at = (size_t)(e - p->items);

        p->n_items--;
        memmove(e, e + 1, (p->n_items - at) * sizeof(PaceEntry));
}

void pacing_forget(Pacing *p, const char *agent) {
        PaceEntry *e = find(p, agent);

        if (e)
                drop(p, e);
        if (strcmp(p->probe, agent) == 0)
                p->brake_usec = 0;
}

/* FNV-1a: the same agent at the same attempt always waits equally long, two agents do not. */
static uint64_t spread(const PaceEntry *e, uint64_t delay) {
        uint64_t hash = 14695981039346656037u + e->n_starts;

        for (const char *c = e->agent; *c; c++)
                hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        return delay - delay / 5 + hash % (2 * delay / 5 + 1);
}

static uint64_t grown(const PaceEntry *e, uint64_t first) {
        uint64_t delay = e->n_starts < 20 ? first << e->n_starts : DELAY_MAX_USEC;

        return spread(e, delay < DELAY_MAX_USEC ? delay : DELAY_MAX_USEC);
}

typedef enum Standing {
        STANDING_OUT, /* nothing to pace: not wanted, held, blocked, stopped by somebody */
        STANDING_UP,
        STANDING_BETWEEN, /* on its way up or down */
        STANDING_DOWN,    /* ended, and would be started again */
} Standing;

/* Under `direct` an end is known by its record. */
static bool ended_badly(const AgentSpec *s, const ObservedStop *stop) {
        return observed_stop_unasked(stop) &&
               (s->restart_policy == RESTART_ALWAYS ||
                               (s->restart_policy == RESTART_ON_FAILURE && stop->failed));
}

static Standing standing(const AgentSpec *s, const Observed *o, const PaceEntry *e) {
        const ObservedUnit *u = observed_unit(o, s->name);

        if (s->elsewhere || s->state == DESIRED_STOPPED || s->blocked_text ||
                        observed_hold(o, s->name))
                return STANDING_OUT;
        switch (u ? u->state : UNIT_NOT_LOADED) {
        case UNIT_ACTIVE:
                return STANDING_UP;
        case UNIT_FAILED:
                return STANDING_DOWN;
        case UNIT_ACTIVATING:
        case UNIT_DEACTIVATING:
        case UNIT_RESTARTING:
        case UNIT_OTHER:
                return STANDING_BETWEEN;
        case UNIT_NOT_LOADED:
        case UNIT_INACTIVE:
                break;
        }
        if (o->supervisor == SUPERVISOR_DIRECT) {
                const ObservedStop *stop = observed_stop(o, s->name);

                /* Who went down with the server has a known cause, and is not the one to wait; who
                 * is not started again is not waited for either. */
                if (o->tmux.state == SOURCE_ABSENT)
                        return observed_stop_is_final(stop, s->restart_policy) ? STANDING_OUT
                                                                               : STANDING_BETWEEN;
                return ended_badly(s, stop) ? STANDING_DOWN : STANDING_OUT;
        }
        /* Not failed, and down: started at once, unless that was just tried. */
        return e && e->n_starts > 0 ? STANDING_DOWN : STANDING_OUT;
}

static void went_down(PaceEntry *e, const AgentSpec *s, const Observed *o, uint64_t now) {
        const ObservedUnit *u = observed_unit(o, s->name);

        e->down_usec = now;
        e->kept_down = false;
        if (o->supervisor == SUPERVISOR_SYSTEMD) {
                e->crash_loop = u && unit_hit_start_limit(u, s->restart_attempts);
                e->due_usec = now + grown(e, e->crash_loop ? DELAY_LOOP_USEC : DELAY_FAILED_USEC);
                return;
        }
        if (e->window_usec == 0 || now - e->window_usec > s->restart_window_usec) {
                e->window_usec = now;
                e->n_ends = 0;
        }
        e->n_ends++;
        e->crash_loop = s->restart_attempts > 0 && e->n_ends > s->restart_attempts;
        e->due_usec = now + (e->crash_loop ? grown(e, DELAY_LOOP_USEC) : s->restart_delay_usec);
}

static void is_not_down(PaceEntry *e) {
        e->down_usec = e->due_usec = 0;
        e->kept_down = false;
}

/* By the clock that nobody sets and that stands still while the machine sleeps. Where only the
 * clock of the day is known, a start that lies far ahead was before that clock was set back:
 * nothing tells for how long it runs, and waiting until the clock is there again would be for ever.
 */
static uint64_t runs_for(const Observed *o, const char *agent) {
        const ObservedRun *run = observed_run(o, agent);

        if (!run || !run->alive)
                return 0;
        if (run->monotonic_usec != 0 && run->monotonic_usec <= o->monotonic_usec)
                return o->monotonic_usec - run->monotonic_usec;
        if (run->started_usec > o->now_usec + PROBE_LASTED_USEC)
                return USEC_INFINITY;
        return o->now_usec > run->started_usec ? o->now_usec - run->started_usec : 0;
}

static int observe_agent(
                Pacing *p, const AgentSpec *s, const Observed *o, uint64_t now, size_t *n_wanted) {
        PaceEntry *e = find(p, s->name);

        switch (standing(s, o, e)) {
        case STANDING_OUT:
                if (e)
                        drop(p, e);
                return 0;
        case STANDING_UP:
                ++*n_wanted;
                if (e)
                        is_not_down(e);
                if (e && runs_for(o, s->name) >= LASTED_USEC)
                        drop(p, e);
                return 0;
        case STANDING_BETWEEN:
                ++*n_wanted;
                return 0;
        case STANDING_DOWN:
                break;
        }
        e = need(p, s->name);
        if (!e)
                return -ENOMEM;
        if (e->down_usec == 0)
                went_down(e, s, o, now);
        *n_wanted += !e->kept_down;
        return 0;
}

static void drop_strangers(Pacing *p, const Desired *desired) {
        for (size_t i = p->n_items; i-- > 0;)
                if (!desired_find(desired, p->items[i].agent))
                        drop(p, p->items + i);
}

/* Down, and nothing but the ledger in the way of its start. */
static bool waits(const PaceEntry *e) {
        return e->down_usec != 0 && !e->kept_down;
}

/* Under `direct` a quick restart is no start of ours: by name alone one would be tried for ever. */
static bool goes_before(const Pacing *p, const PaceEntry *a, const PaceEntry *b) {
        bool a_follows = strcmp(a->agent, p->probe) > 0, b_follows = strcmp(b->agent, p->probe) > 0;

        if (a->n_starts != b->n_starts)
                return a->n_starts < b->n_starts;
        return a_follows != b_follows ? a_follows : strcmp(a->agent, b->agent) < 0;
}

/* The one to try: tried least often, then in turn. */
static const PaceEntry *choose_probe(const Pacing *p) {
        const PaceEntry *best = NULL;

        for (size_t i = 0; i < p->n_items; i++)
                if (waits(p->items + i) && (!best || goes_before(p, p->items + i, best)))
                        best = p->items + i;
        return best;
}

/* Where its run file is lost nothing tells since when it runs; it was down when it was chosen. */
static bool probe_has_lasted(const Pacing *p, const Observed *o, uint64_t now) {
        const ObservedUnit *u = observed_unit(o, p->probe);
        const ObservedRun *run = observed_run(o, p->probe);

        if (u && u->state == UNIT_ACTIVE && !(run && run->alive))
                return now - p->brake_usec >= PROBE_LASTED_USEC;
        return runs_for(o, p->probe) >= PROBE_LASTED_USEC;
}

static void step_brake(Pacing *p, const Observed *o, size_t n_wanted, uint64_t now) {
        size_t n_down = 0, n_lately = 0;
        const PaceEntry *probe;

        for (size_t i = 0; i < p->n_items; i++) {
                const PaceEntry *e = p->items + i;

                n_down += waits(e);
                n_lately += waits(e) && e->down_usec > p->released_usec &&
                            now - e->down_usec < BRAKE_WINDOW_USEC;
        }
        if (p->brake_usec != 0) {
                const PaceEntry *e = find(p, p->probe);

                if (2 * n_down < n_wanted || probe_has_lasted(p, o, now)) {
                        p->brake_usec = 0;
                        p->released_usec = now;
                        return;
                }
                /* It is to be tried, or is being tried, or it failed and its own delay is not
                 * over. */
                if (e && !e->kept_down && (e->down_usec <= p->brake_usec || e->due_usec > now))
                        return;
        } else if (n_wanted < BRAKE_AGENTS_MIN || 2 * n_lately < n_wanted)
                return;
        probe = choose_probe(p);
        p->brake_usec = probe ? now : 0;
        (void)snprintf(p->probe, sizeof(p->probe), "%s", probe ? probe->agent : "");
}

/* Has the second that began with the first start of the last ones passed? */
static bool slot_is_over(const Pacing *p, uint64_t now) {
        return p->n_slot == 0 || now - p->slot_usec >= BUDGET_STEP_USEC;
}

/* What is due beyond the budget is due a little later. */
static void step_budget(Pacing *p, uint64_t now) {
        uint64_t from = slot_is_over(p, now) ? now : p->slot_usec;
        size_t n_due = slot_is_over(p, now) ? 0 : p->n_slot;

        for (size_t i = 0; i < p->n_items; i++) {
                PaceEntry *e = p->items + i;

                if (!waits(e) || pacing_due(p, e, now) > now)
                        continue;
                e->due_usec = n_due < BUDGET_STARTS
                                              ? now
                                              : from + n_due / BUDGET_STARTS * BUDGET_STEP_USEC;
                n_due++;
        }
}

int pacing_observe(Pacing *p, const Desired *desired, const Observed *o, uint64_t now_usec) {
        size_t n_wanted = 0;

        if (o->manager.state != SOURCE_PRESENT || o->runs.state != SOURCE_PRESENT ||
                        o->files.state != SOURCE_PRESENT)
                return 0;
        drop_strangers(p, desired);
        for (size_t i = 0; i < desired->n_agents; i++) {
                int r = observe_agent(p, desired->agents[i], o, now_usec, &n_wanted);

                if (r < 0)
                        return r;
        }
        step_brake(p, o, n_wanted, now_usec);
        step_budget(p, now_usec);
        return 0;
}

void pacing_started(Pacing *p, const char *agent, uint64_t now_usec) {
        PaceEntry *e = find(p, agent);

        if (!e)
                return;
        if (slot_is_over(p, now_usec)) {
                p->slot_usec = now_usec;
                p->n_slot = 0;
        }
        p->n_slot++;
        /* Under `direct` the quick restarts before the loop are the window's, not ours. */
        if (e->crash_loop || e->n_ends == 0)
                e->n_starts++;
        if (e->crash_loop)
                e->window_usec = e->n_ends = 0;
        is_not_down(e);
}

void pacing_planned(Pacing *p, const Plan *plan, uint64_t look_usec) {
        for (size_t i = 0; i < plan->n_actions; i++) {
                const Action *a = plan->actions + i;

                if (!a->agent || !(a->steps & STEP_START))
                        continue;
                if (a->kind == ACTION_START && !(a->steps & STEP_SPEC))
                        pacing_started(p, a->agent, look_usec);
                else
                        pacing_forget(p, a->agent);
        }
        /* What keeps the whole fleet down says nothing of one agent. */
        if (plan->n_impeded > 0)
                return;
        for (size_t i = 0; i < p->n_items; i++)
                if (p->items[i].down_usec != 0 && pacing_due(p, p->items + i, look_usec) == 0)
                        p->items[i].kept_down = true;
}

uint64_t pacing_due(const Pacing *p, const PaceEntry *e, uint64_t now_usec) {
        if (e->down_usec == 0)
                return 0;
        if (p->brake_usec != 0 && strcmp(p->probe, e->agent) != 0)
                return USEC_INFINITY;
        return e->due_usec > now_usec ? e->due_usec : 0;
}

uint64_t pacing_next(const Pacing *p, uint64_t look_usec) {
        uint64_t next = p->brake_usec != 0 ? look_usec + PROBE_LOOK_USEC : USEC_INFINITY;

        for (size_t i = 0; i < p->n_items; i++) {
                uint64_t due = pacing_due(p, p->items + i, look_usec);

                if (due > look_usec && due < next)
                        next = due;
        }
        return next;
}
