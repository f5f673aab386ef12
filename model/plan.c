/* SPDX-License-Identifier: MIT */
#include "model/plan.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/strv.h"

int plan_new(Plan **ret) {
        Plan *p = calloc(1, sizeof(Plan));

        if (!p)
                return -ENOMEM;
        *ret = p;
        return 0;
}

Plan *plan_free(Plan *p) {
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_actions; i++) {
                Action *a = p->actions + i;

                free(a->agent);
                free(a->text);
                free(a->session_id);
                strv_free(a->after);
        }
        for (size_t i = 0; i < p->n_remarks; i++) {
                Remark *m = p->remarks + i;

                free(m->subject);
                free(m->text);
                free(m->help);
        }
        free(p->actions);
        free(p->remarks);
        free(p);
        return NULL;
}

/* Copies an optional string; false without memory. */
static bool copy_optional(const char *s, char **ret) {
        if (!s)
                return true;
        *ret = strdup(s);
        return *ret;
}

Action *plan_add_action(Plan *p,
                ActionKind kind,
                const char *agent,
                Reason reason,
                unsigned line,
                unsigned steps,
                const char *format,
                ...) {
        Action *a = array_grow(&p->actions, p->n_actions, sizeof(Action));
        va_list ap;
        int r;

        if (!a)
                return NULL;
        p->n_actions++;
        p->sorted = false;
        a->kind = kind;
        a->reason = reason;
        a->line = line;
        a->steps = steps;
        va_start(ap, format);
        r = format_valist(&a->text, format, ap);
        va_end(ap);
        if (r < 0)
                return NULL;
        return copy_optional(agent, &a->agent) ? a : NULL;
}

int plan_add_remark(Plan *p,
                RemarkKind kind,
                const char *subject,
                bool is_agent,
                Reason reason,
                unsigned line,
                const char *help,
                const char *format,
                ...) {
        Remark *m = array_grow(&p->remarks, p->n_remarks, sizeof(Remark));
        va_list ap;
        int r;

        if (!m)
                return -ENOMEM;
        p->n_remarks++;
        m->kind = kind;
        m->is_agent = is_agent;
        m->reason = reason;
        m->line = line;
        va_start(ap, format);
        r = format_valist(&m->text, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return copy_optional(subject, &m->subject) && copy_optional(help, &m->help) ? 0 : -ENOMEM;
}

enum {
        WAVE_FLEET,
        WAVE_START,
        WAVE_UPDATE,
        WAVE_STOP,
        WAVE_RESTART,
        WAVE_REMOVE,
        _WAVE_MAX,
};

static int wave(ActionKind k) {
        switch (k) {
        case ACTION_HOLDER_START:
        case ACTION_HOLDER_REPAIR:
        case ACTION_RELOAD:
                return WAVE_FLEET;
        case ACTION_CREATE:
        case ACTION_START:
                return WAVE_START;
        case ACTION_UPDATE:
                return WAVE_UPDATE;
        case ACTION_STOP:
                return WAVE_STOP;
        case ACTION_RESTART:
                return WAVE_RESTART;
        case ACTION_REMOVE:
        case _ACTION_KIND_MAX:
                break;
        }
        return WAVE_REMOVE;
}

static int compare_place(int wave_a, const char *agent_a, int wave_b, const char *agent_b) {
        if (wave_a != wave_b)
                return wave_a - wave_b;
        return strcmp(agent_a ? agent_a : "", agent_b ? agent_b : "");
}

static int compare_actions(const void *a, const void *b) {
        const Action *x = a, *y = b;

        return compare_place(wave(x->kind), x->agent, wave(y->kind), y->agent);
}

static int compare_remarks(const void *a, const void *b) {
        const Remark *x = a, *y = b;
        int d = (int)y->kind - (int)x->kind;

        if (d == 0)
                d = strcmp(x->subject ? x->subject : "", y->subject ? y->subject : "");
        return d != 0 ? d : strcmp(x->text, y->text);
}

void plan_sort(Plan *p) {
        if (p->n_actions > 1)
                qsort(p->actions, p->n_actions, sizeof(Action), compare_actions);
        if (p->n_remarks > 1)
                qsort(p->remarks, p->n_remarks, sizeof(Remark), compare_remarks);
        p->sorted = true;
}

/* The action of that wave, among sorted ones. */
static const Action *find_in_wave(const Plan *p, int w, const char *agent) {
        size_t low = 0, high = p->n_actions;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const Action *a = p->actions + middle;
                int d = compare_place(wave(a->kind), a->agent, w, agent);

                if (d == 0)
                        return a;
                if (d < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

const Action *plan_action(const Plan *p, const char *agent) {
        const Action *found = NULL;

        for (int w = WAVE_START; p->sorted && w < _WAVE_MAX && !found; w++)
                found = find_in_wave(p, w, agent);
        for (size_t i = 0; !p->sorted && i < p->n_actions && !found; i++)
                if (p->actions[i].agent && strcmp(p->actions[i].agent, agent) == 0)
                        found = p->actions + i;
        return found;
}

size_t plan_count_actions(const Plan *p, ActionKind kind) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_actions; i++)
                n += p->actions[i].kind == kind;
        return n;
}

size_t plan_count_remarks(const Plan *p, RemarkKind kind) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_remarks; i++)
                n += p->remarks[i].kind == kind;
        return n;
}

ExitCode plan_exit_code(const Plan *p) {
        if (plan_count_remarks(p, REMARK_UNKNOWN) > 0)
                return EXIT_UNKNOWN;
        if (plan_count_remarks(p, REMARK_BLOCKED) > 0)
                return EXIT_BLOCKED;
        if (p->n_actions > 0 || plan_count_remarks(p, REMARK_WAITING) > 0 ||
                        plan_count_remarks(p, REMARK_DEFERRED) > 0)
                return EXIT_PENDING;
        return EXIT_OK;
}

static const struct {
        const char *name;
        const char *sign;
        Disruption disruption;
} action_kinds[_ACTION_KIND_MAX] = {
        [ACTION_HOLDER_START] = { "holder_start", "+", DISRUPTION_NONE },
        [ACTION_HOLDER_REPAIR] = { "holder_repair", "~", DISRUPTION_NONE },
        [ACTION_RELOAD] = { "reload", "~", DISRUPTION_NONE },
        [ACTION_CREATE] = { "create", "+", DISRUPTION_NONE },
        [ACTION_START] = { "start", "^", DISRUPTION_NONE },
        [ACTION_UPDATE] = { "update", "~", DISRUPTION_NONE },
        [ACTION_STOP] = { "stop", "-", DISRUPTION_RESTART },
        [ACTION_RESTART] = { "restart", "-/+", DISRUPTION_RESTART },
        [ACTION_REMOVE] = { "remove", "-", DISRUPTION_DESTROY },
};

const char *action_kind_to_string(ActionKind k) {
        assert(k < _ACTION_KIND_MAX);
        return action_kinds[k].name;
}

const char *action_kind_to_sign(ActionKind k) {
        assert(k < _ACTION_KIND_MAX);
        return action_kinds[k].sign;
}

Disruption action_disruption(ActionKind k) {
        assert(k < _ACTION_KIND_MAX);
        return action_kinds[k].disruption;
}

const char *disruption_to_string(Disruption d) {
        static const char *const names[] = {
                [DISRUPTION_NONE] = "none",
                [DISRUPTION_RESTART] = "restart",
                [DISRUPTION_DESTROY] = "destroy",
        };

        assert(d < ELEMENTSOF(names));
        return names[d];
}

static const char *const reason_names[_REASON_MAX] = {
        [REASON_NOT_PRESENT] = "not_present",
        [REASON_SESSION_GONE] = "session_gone",
        [REASON_SESSION_RENAMED] = "session_renamed",
        [REASON_UNIT_FAILED] = "unit_failed",
        [REASON_NOT_RUNNING] = "not_running",
        [REASON_HOLDER_DOWN] = "holder_down",
        [REASON_SOCKET_GONE] = "socket_gone",
        [REASON_BOOT] = "boot",
        [REASON_FIELD_RESTART] = "field_forces_restart",
        [REASON_FIELD_LIVE] = "field_live",
        [REASON_DROPIN_CHANGED] = "dropin_changed",
        [REASON_SPEC_MISSING] = "spec_missing",
        [REASON_TOOL_UPGRADE] = "tool_upgrade",
        [REASON_REQUESTED] = "requested",
        [REASON_STATE_STOPPED] = "state_stopped",
        [REASON_NOT_IN_ROSTER] = "not_in_roster",
        [REASON_ELSEWHERE] = "elsewhere",
        [REASON_HOLD] = "hold",
        [REASON_MANUAL_STOP] = "manual_stop",
        [REASON_ENDED] = "ended",
        [REASON_PROGRAM_MISSING] = "program_missing",
        [REASON_SITE] = "site",
        [REASON_UNITS_MISSING] = "units_missing",
        [REASON_UNIT_MASKED] = "unit_masked",
        [REASON_UNIT_BROKEN] = "unit_broken",
        [REASON_FOREIGN_NAME] = "foreign_name",
        [REASON_FOREIGN_SESSION] = "foreign_session",
        [REASON_FOREIGN_SERVER] = "foreign_server",
        [REASON_REMOVAL_CAP] = "removal_cap",
        [REASON_STILL_BUSY] = "still_busy",
        [REASON_ON_CHANGE_KEEP] = "on_change_keep",
        [REASON_IN_TRANSITION] = "in_transition",
        [REASON_OBSERVATION_UNKNOWN] = "observation_unknown",
        [REASON_RUN_UNPROVEN] = "run_unproven",
        [REASON_DEPENDENCY] = "dependency",
        [REASON_SUPERVISOR] = "supervisor",
        [REASON_BACKOFF] = "backoff",
        [REASON_CRASH_LOOP] = "crash_loop",
        [REASON_COMMON_CAUSE] = "common_cause",
        [REASON_ROSTER_SETTLES] = "roster_settles",
};

const char *reason_to_string(Reason r) {
        assert(r < _REASON_MAX && reason_names[r]);
        return reason_names[r];
}

const char *remark_kind_to_string(RemarkKind k) {
        static const char *const names[_REMARK_KIND_MAX] = {
                [REMARK_HELD] = "held",
                [REMARK_PENDING] = "pending",
                [REMARK_ELSEWHERE] = "elsewhere",
                [REMARK_FOREIGN] = "foreign",
                [REMARK_WAITING] = "waiting",
                [REMARK_DEFERRED] = "deferred",
                [REMARK_BLOCKED] = "blocked",
                [REMARK_UNKNOWN] = "unknown",
        };

        assert(k < _REMARK_KIND_MAX);
        return names[k];
}
