/* SPDX-License-Identifier: MIT */
#include "model/observed.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/format.h"
#include "model/talk.h"

const char *source_state_to_string(SourceState s) {
        static const char *const names[] = {
                [SOURCE_PRESENT] = "present",
                [SOURCE_ABSENT] = "absent",
                [SOURCE_UNKNOWN] = "unknown",
        };

        assert(s < ELEMENTSOF(names));
        return names[s];
}

const char *unit_state_to_string(UnitState s) {
        static const char *const names[] = {
                [UNIT_NOT_LOADED] = "inactive",
                [UNIT_INACTIVE] = "inactive",
                [UNIT_ACTIVATING] = "activating",
                [UNIT_ACTIVE] = "active",
                [UNIT_DEACTIVATING] = "deactivating",
                [UNIT_FAILED] = "failed",
                [UNIT_RESTARTING] = "restarting",
                [UNIT_OTHER] = "other",
        };

        assert(s < ELEMENTSOF(names));
        return names[s];
}

bool unit_state_is_active(UnitState s) {
        switch (s) {
        case UNIT_NOT_LOADED:
        case UNIT_INACTIVE:
        case UNIT_FAILED:
                return false;
        case UNIT_ACTIVATING:
        case UNIT_ACTIVE:
        case UNIT_DEACTIVATING:
        case UNIT_RESTARTING:
        case UNIT_OTHER:
                break;
        }
        return true;
}

bool unit_hit_start_limit(const ObservedUnit *u, unsigned attempts) {
        if (u->state != UNIT_FAILED)
                return false;
        return (u->result && strcmp(u->result, "start-limit-hit") == 0) ||
               (u->details && attempts > 0 && u->restarts >= attempts);
}

void source_set(Source *s, SourceState state, const char *format, ...) {
        va_list ap;

        free(s->why);
        s->state = state;
        va_start(ap, format);
        (void)!format_valist(&s->why, format, ap);
        va_end(ap);
}

int observed_new(Supervisor supervisor, Observed **ret) {
        Observed *o = calloc(1, sizeof(Observed));

        if (!o)
                return -ENOMEM;
        o->supervisor = supervisor;
        /* Until a source has answered, nothing is known of it. */
        o->tmux.state = o->manager.state = o->runs.state = o->files.state = SOURCE_UNKNOWN;
        *ret = o;
        return 0;
}

void observed_drop_sessions(Observed *o, size_t n) {
        while (o->n_sessions > n) {
                ObservedSession *s = o->sessions + --o->n_sessions;

                free(s->agent);
                free(s->id);
                free(s->name);
                free(s->pane_id);
        }
}

Observed *observed_free(Observed *o) {
        if (!o)
                return NULL;
        free(o->tmux.why);
        free(o->manager.why);
        free(o->runs.why);
        free(o->files.why);
        observed_drop_sessions(o, 0);
        for (size_t i = 0; i < o->n_units; i++) {
                free(o->units[i].agent);
                free(o->units[i].result);
                free(o->units[i].masked);
                free(o->units[i].load_error);
                free(o->units[i].invocation);
        }
        for (size_t i = 0; i < o->n_run; i++) {
                free(o->run[i].agent);
                free(o->run[i].invocation);
                free(o->run[i].pane_id);
                free(o->run[i].runtime);
                runtime_talk_done(&o->run[i].talk);
        }
        for (size_t i = 0; i < o->n_stops; i++) {
                ObservedStop *s = o->stops + i;

                free(s->agent);
                free(s->invocation);
                free(s->result);
                free(s->code);
                free(s->status);
        }
        for (size_t i = 0; i < o->n_holds; i++) {
                free(o->holds[i].agent);
                free(o->holds[i].by);
                free(o->holds[i].reason);
        }
        for (size_t i = 0; i < o->n_file; i++)
                free(o->file[i].agent);
        pacing_done(&o->pacing);
        free(o->sessions);
        free(o->units);
        free(o->run);
        free(o->stops);
        free(o->holds);
        free(o->file);
        free(o);
        return NULL;
}

/*
 * The six lists are alike: an array, its count, and elements that hold `agent`. One macro defines
 * add, compare and find for each, so that they cannot differ. Elements without an agent (foreign
 * sessions, the holder, a hold of the whole fleet) sort first and are never found by name.
 */
#define DEFINE_LIST(Type, function, list, count)                                                   \
        Type *observed_add_##function(Observed *o) {                                               \
                Type *e = array_grow(&o->list, o->count, sizeof(Type));                            \
                                                                                                   \
                if (e)                                                                             \
                        o->count++;                                                                \
                return e;                                                                          \
        }                                                                                          \
                                                                                                   \
        static int compare_##function(const void *a, const void *b) {                              \
                const Type *x = a, *y = b;                                                         \
                                                                                                   \
                return strcmp(x->agent ? x->agent : "", y->agent ? y->agent : "");                 \
        }                                                                                          \
                                                                                                   \
        static Type *find_##function(const Observed *o, const char *agent) {                       \
                size_t low = 0, high = o->count;                                                   \
                                                                                                   \
                while (low < high) {                                                               \
                        size_t middle = low + (high - low) / 2;                                    \
                        const char *name = o->list[middle].agent;                                  \
                                                                                                   \
                        if (strcmp(name ? name : "", agent) < 0)                                   \
                                low = middle + 1;                                                  \
                        else                                                                       \
                                high = middle;                                                     \
                }                                                                                  \
                if (low == o->count || !o->list[low].agent ||                                      \
                                strcmp(o->list[low].agent, agent) != 0)                            \
                        return NULL;                                                               \
                return o->list + low;                                                              \
        }

DEFINE_LIST(ObservedSession, session, sessions, n_sessions)
DEFINE_LIST(ObservedUnit, unit, units, n_units)
DEFINE_LIST(ObservedRun, run, run, n_run)
DEFINE_LIST(ObservedStop, stop, stops, n_stops)
DEFINE_LIST(ObservedHold, hold, holds, n_holds)
DEFINE_LIST(ObservedFiles, files, file, n_file)

static void sort_list(
                void *list, size_t n, size_t size, int (*compare)(const void *, const void *)) {
        if (n > 1)
                qsort(list, n, size, compare);
}

void observed_sort(Observed *o) {
        sort_list(o->sessions, o->n_sessions, sizeof(ObservedSession), compare_session);
        sort_list(o->units, o->n_units, sizeof(ObservedUnit), compare_unit);
        sort_list(o->run, o->n_run, sizeof(ObservedRun), compare_run);
        sort_list(o->stops, o->n_stops, sizeof(ObservedStop), compare_stop);
        sort_list(o->holds, o->n_holds, sizeof(ObservedHold), compare_hold);
        sort_list(o->file, o->n_file, sizeof(ObservedFiles), compare_files);
}

ObservedSession *observed_session(const Observed *o, const char *agent) {
        return find_session(o, agent);
}

ObservedUnit *observed_unit(const Observed *o, const char *agent) {
        return find_unit(o, agent);
}

ObservedRun *observed_run(const Observed *o, const char *agent) {
        return find_run(o, agent);
}

const char *observed_invocation(const Observed *o, const char *agent) {
        const ObservedUnit *u = observed_unit(o, agent);
        const ObservedRun *run = observed_run(o, agent);

        return u && u->invocation ? u->invocation : run ? run->invocation : NULL;
}

ObservedStop *observed_stop(const Observed *o, const char *agent) {
        return find_stop(o, agent);
}

void observed_stop_classify(ObservedStop *s) {
        s->succeeded = s->result && strcmp(s->result, "success") == 0;
        s->failed = s->result && !s->succeeded;
        if (!s->code || !s->status)
                s->kind = END_UNKNOWN;
        else
                s->kind = strcmp(s->code, "exited") == 0 ? END_EXITED : END_SIGNAL;
        s->refused = s->kind == END_EXITED && strcmp(s->status, "178") == 0;
        s->postponed = s->kind == END_EXITED && strcmp(s->status, "75") == 0;
}

const char *observed_stop_phrase(const ObservedStop *s, char *buffer, size_t n) {
        if (s->kind == END_UNKNOWN)
                return NULL;
        (void)snprintf(buffer, n, "ended %s %s",
                        s->kind == END_EXITED ? "with status" : "by signal", s->status);
        return buffer;
}

bool observed_stop_unasked(const ObservedStop *s) {
        return s && s->this_boot && !s->ours;
}

bool observed_stop_is_final(const ObservedStop *s, RestartPolicy policy) {
        return observed_stop_unasked(s) &&
               (policy == RESTART_NEVER || (policy == RESTART_ON_FAILURE && s->succeeded &&
                                                           s->kind == END_EXITED));
}

const char *observed_stop_text(const ObservedStop *s, char *buffer, size_t n) {
        char phrase[64];
        const char *how = s ? observed_stop_phrase(s, phrase, sizeof(phrase)) : NULL;

        if (!how)
                return NULL;
        if (s->refused)
                (void)snprintf(buffer, n,
                                "its launcher ended with status %s: 'mosaic agent tail %s' says "
                                "why",
                                s->status, s->agent);
        else
                (void)snprintf(buffer, n, "it %s%s", s->kind == END_SIGNAL ? "was " : "", how);
        return buffer;
}

ObservedHold *observed_hold(const Observed *o, const char *agent) {
        ObservedHold *own = find_hold(o, agent);

        if (own)
                return own;
        return o->n_holds > 0 && !o->holds[0].agent ? o->holds : NULL;
}

ObservedFiles *observed_files(const Observed *o, const char *agent) {
        return find_files(o, agent);
}
