/* SPDX-License-Identifier: MIT */
#include "reconciler/output.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "reconciler/condition.h"
#include "reconciler/table.h"

typedef enum Column {
        COLUMN_AGENT,
        COLUMN_CONDITION,
        COLUMN_WANTED,
        COLUMN_UNIT,
        COLUMN_PANE,
        COLUMN_PID,
        COLUMN_SINCE,
        COLUMN_RESTARTS,
        COLUMN_MEMORY,
        _COLUMN_MAX,
} Column;

static const char *const titles[_COLUMN_MAX] = {
        [COLUMN_AGENT] = "AGENT",
        [COLUMN_CONDITION] = "CONDITION",
        [COLUMN_WANTED] = "WANTED",
        [COLUMN_UNIT] = "UNIT",
        [COLUMN_PANE] = "PANE",
        [COLUMN_PID] = "PID",
        [COLUMN_SINCE] = "SINCE",
        [COLUMN_RESTARTS] = "RST",
        [COLUMN_MEMORY] = "MEM",
};

static void fill_row(const Observed *o,
                const char *agent,
                const char *wanted,
                const Condition *condition,
                Table *t) {
        const ObservedUnit *u = observed_unit(o, agent);
        const ObservedRun *run = observed_run(o, agent);
        const ObservedSession *session = observed_session(o, agent);
        uint64_t since = u ? u->changed_usec : 0;
        bool up = u && u->state == UNIT_ACTIVE;
        char text[32];

        if (up && run && run->alive)
                since = run->started_usec;
        table_begin_row(t);
        table_set(t, COLUMN_AGENT, agent);
        table_set(t, COLUMN_CONDITION, condition_to_string(condition->kind));
        table_style(t, COLUMN_CONDITION, condition_style(condition->kind));
        table_set(t, COLUMN_WANTED, wanted);
        table_set(t, COLUMN_UNIT,
                        o->manager.state == SOURCE_PRESENT
                                        ? unit_state_to_string(u ? u->state : UNIT_NOT_LOADED)
                                        : "unknown");
        if (session)
                table_setf(t, COLUMN_PANE, "%s%s", session->pane_id,
                                session->attached > 0 ? "*" : "");
        else if (o->tmux.state == SOURCE_UNKNOWN)
                table_set(t, COLUMN_PANE, "unknown");
        if (up)
                table_setf(t, COLUMN_PID, "%d",
                                (int)(u->main_pid > 0 ? u->main_pid
                                                : run ? run->pid
                                                      : 0));
        if (since > 0 && o->now_usec > since)
                table_set(t, COLUMN_SINCE,
                                format_duration(text, sizeof(text), o->now_usec - since));
        if (u && o->supervisor == SUPERVISOR_SYSTEMD)
                table_setf(t, COLUMN_RESTARTS, "%" PRIu64, u->restarts);
        if (up && u->memory != UINT64_MAX)
                table_set(t, COLUMN_MEMORY, format_size(text, sizeof(text), u->memory));
}

/* Why, and what to do about it, below the row. */
static void add_why(const Condition *condition, Table *t) {
        table_notef(t, "%s", condition->why);
        if (condition->help)
                table_helpf(t, "%s", condition->help);
}

/* Those that left the roster and are still here, below the others. */
static void add_leaving(const Pass *p, Table *t) {
        for (size_t i = 0; i < p->observed->n_file; i++) {
                const char *agent = p->observed->file[i].agent;
                Condition condition;

                if (!condition_is_leaving(agent, p->desired, p->observed))
                        continue;
                condition = condition_of_leaving(agent, p->plan);
                fill_row(p->observed, agent, "gone", &condition, t);
                add_why(&condition, t);
        }
}

int output_status(const Context *c, const Pass *p) {
        static const unsigned char spare[] = { COLUMN_MEMORY, COLUMN_RESTARTS, COLUMN_UNIT,
                COLUMN_PANE, COLUMN_WANTED, COLUMN_PID, COLUMN_SINCE };
        const char *names[_COLUMN_MAX];
        _cleanup_table_ Table t = TABLE_INIT(names);
        int r;

        memcpy(names, titles, sizeof(names));
        if (p->observed->supervisor == SUPERVISOR_DIRECT)
                names[COLUMN_UNIT] = "PROCESS"; /* there are no units */
        t.spare = spare;
        t.n_spare = ELEMENTSOF(spare);

        for (size_t i = 0; i < p->desired->n_agents; i++) {
                const AgentSpec *spec = p->desired->agents[i];
                Condition condition = condition_of(spec, p->observed, p->plan);

                fill_row(p->observed, spec->name, desired_state_to_string(spec->state), &condition,
                                &t);
                add_why(&condition, &t);
        }
        add_leaving(p, &t);
        r = table_print(c, &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->plan->n_remarks; i++) {
                const Remark *m = p->plan->remarks + i;
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                if (m->is_agent)
                        continue;
                strbuf_addf(&b, "%s %s: %s", remark_kind_to_string(m->kind), m->subject, m->text);
                output_wrapped(c, output_text(&b), 0);
                putchar('\n');
                if (m->help && m->kind >= REMARK_WAITING)
                        printf("    %s= %s%s\n", output_begin(c, STYLE_DIM), m->help,
                                        output_end(c));
        }
        putchar('\n');
        return 0;
}
