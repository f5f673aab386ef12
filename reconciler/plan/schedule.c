/* SPDX-License-Identifier: MIT */
#include "reconciler/plan/schedule.h"

#include <assert.h>
#include <stddef.h>

/* Passes because of drift take at most a quarter of the time, so that agents which crash in turn do
 * not keep a processor busy; but nothing waits longer than this. */
#define REST_FACTOR 3
#define REST_MAX_USEC UINT64_C(1000000)

/* A pass that failed is made again after so long, which is doubled so often. */
#define RETRY_USEC UINT64_C(1000000)
#define RETRY_DOUBLED 6

const char *cause_to_string(Cause c) {
        static const char *const names[_CAUSE_MAX] = {
                [CAUSE_NONE] = "none",
                [CAUSE_RESYNC] = "resync",
                [CAUSE_DUE] = "due",
                [CAUSE_DRIFT] = "drift",
                [CAUSE_ROSTER] = "roster",
                [CAUSE_START] = "start",
                [CAUSE_ASKED] = "asked",
        };

        assert(c < _CAUSE_MAX);
        return names[c];
}

static uint64_t least(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

void schedule_init(Schedule *s, uint64_t resync_usec, uint64_t now_usec) {
        *s = (Schedule){
                .resync_usec = resync_usec,
                .next_resync_usec = now_usec + resync_usec,
        };
        schedule_mark(s, CAUSE_START, now_usec);
        s->roster_usec = now_usec;
}

void schedule_mark(Schedule *s, Cause cause, uint64_t now_usec) {
        if (s->first_usec == 0)
                s->first_usec = now_usec;
        s->last_usec = now_usec;
        if (cause > s->cause)
                s->cause = cause;
        if (cause == CAUSE_ROSTER)
                s->roster_usec = now_usec;
}

void schedule_touched(Schedule *s, uint64_t at_usec) {
        if (at_usec > s->roster_usec)
                s->roster_usec = at_usec;
}

/* When the events that came are looked at. */
static uint64_t events_due(const Schedule *s) {
        uint64_t due;

        if (s->first_usec == 0)
                return UINT64_MAX;
        if (s->cause >= CAUSE_START)
                return s->first_usec;
        due = least(s->last_usec + SCHEDULE_QUIET_USEC, s->first_usec + SCHEDULE_CAP_USEC);
        return s->cause == CAUSE_DRIFT && due < s->rest_usec ? s->rest_usec : due;
}

static uint64_t later_due(const Schedule *s) {
        return s->later_usec == 0 ? UINT64_MAX : s->later_usec;
}

uint64_t schedule_due(const Schedule *s) {
        if (s->running)
                return UINT64_MAX;
        return least(events_due(s), least(later_due(s), s->next_resync_usec));
}

Cause schedule_cause(const Schedule *s, uint64_t now_usec) {
        if (events_due(s) <= now_usec)
                return s->cause;
        if (later_due(s) <= now_usec)
                return CAUSE_DUE;
        return s->next_resync_usec <= now_usec ? CAUSE_RESYNC : CAUSE_NONE;
}

void schedule_begin(Schedule *s, uint64_t now_usec) {
        s->running = true;
        s->begun_usec = now_usec;
        s->first_usec = s->later_usec = 0;
        s->cause = CAUSE_NONE;
}

static void end(Schedule *s, uint64_t now_usec, uint64_t next_in_usec) {
        s->running = false;
        s->rest_usec = now_usec + least(REST_FACTOR * (now_usec - s->begun_usec), REST_MAX_USEC);
        s->next_resync_usec = now_usec + s->resync_usec;
        /* What is due at once still gives the processor away in between. */
        s->later_usec = next_in_usec < s->resync_usec
                                        ? now_usec + (next_in_usec > SCHEDULE_QUIET_USEC
                                                                                     ? next_in_usec
                                                                                     : SCHEDULE_QUIET_USEC)
                                        : 0;
}

void schedule_end(Schedule *s, uint64_t now_usec, uint64_t next_in_usec) {
        s->n_failed = 0;
        end(s, now_usec, next_in_usec);
}

void schedule_failed(Schedule *s, uint64_t now_usec) {
        unsigned n = s->n_failed < RETRY_DOUBLED ? s->n_failed++ : s->n_failed;

        end(s, now_usec, least(RETRY_USEC << n, s->resync_usec));
}

uint64_t schedule_roster_settles(const Schedule *s, uint64_t now_usec) {
        uint64_t stable = s->roster_usec + SCHEDULE_STABLE_USEC;

        return now_usec < stable ? stable - now_usec : 0;
}
