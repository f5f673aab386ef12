/* SPDX-License-Identifier: MIT */
#include "reconciler/output.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "reconciler/condition.h"

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

typedef struct Row {
        char cells[_COLUMN_MAX][48];
        Condition condition;
} Row;

static void fill_row(const Pass *p, const AgentSpec *spec, Row *row) {
        const Observed *o = p->observed;
        const ObservedUnit *u = observed_unit(o, spec->name);
        const ObservedRun *run = observed_run(o, spec->name);
        const ObservedSession *session = observed_session(o, spec->name);
        uint64_t since = u ? u->changed_usec : 0;
        bool up = u && u->state == UNIT_ACTIVE;

        row->condition = condition_of(spec, o, p->plan);
        if (up && run && run->alive)
                since = run->started_usec;
        for (size_t i = 0; i < _COLUMN_MAX; i++)
                (void)snprintf(row->cells[i], sizeof(row->cells[i]), "-");
        (void)snprintf(row->cells[COLUMN_AGENT], sizeof(row->cells[0]), "%s", spec->name);
        (void)snprintf(row->cells[COLUMN_CONDITION], sizeof(row->cells[0]), "%s",
                        row->condition.word);
        (void)snprintf(row->cells[COLUMN_WANTED], sizeof(row->cells[0]), "%s",
                        desired_state_to_string(spec->state));
        (void)snprintf(row->cells[COLUMN_UNIT], sizeof(row->cells[0]), "%s",
                        o->manager.state == SOURCE_PRESENT
                                        ? unit_state_to_string(u ? u->state : UNIT_NOT_LOADED)
                                        : "unknown");
        if (session)
                (void)snprintf(row->cells[COLUMN_PANE], sizeof(row->cells[0]), "%s%s",
                                session->pane_id, session->attached > 0 ? "*" : "");
        else if (o->tmux.state == SOURCE_UNKNOWN)
                (void)snprintf(row->cells[COLUMN_PANE], sizeof(row->cells[0]), "unknown");
        if (up)
                (void)snprintf(row->cells[COLUMN_PID], sizeof(row->cells[0]), "%d",
                                (int)(u->main_pid > 0 ? u->main_pid
                                                : run ? run->pid
                                                      : 0));
        if (since > 0 && o->now_usec > since)
                (void)format_duration(row->cells[COLUMN_SINCE], sizeof(row->cells[0]),
                                o->now_usec - since);
        if (u && o->supervisor == SUPERVISOR_SYSTEMD)
                (void)snprintf(row->cells[COLUMN_RESTARTS], sizeof(row->cells[0]), "%" PRIu64,
                                u->restarts);
        if (up && u->memory != UINT64_MAX)
                (void)format_size(row->cells[COLUMN_MEMORY], sizeof(row->cells[0]), u->memory);
}

static Style condition_style(const Condition *c) {
        if (c->good)
                return STYLE_GREEN;
        return strcmp(c->word, "held") == 0 || strcmp(c->word, "starting") == 0 ? STYLE_YELLOW
                                                                                : STYLE_RED;
}

static void print_row(const Context *c, const Row *row, const int *widths) {
        for (size_t i = 0; i < _COLUMN_MAX; i++) {
                bool colored = i == COLUMN_CONDITION;

                if (widths[i] == 0)
                        continue;
                printf("%s%s%-*s%s", i == 0 ? "" : "  ",
                                colored ? output_begin(c, condition_style(&row->condition)) : "",
                                widths[i], row->cells[i], colored ? output_end(c) : "");
        }
        putchar('\n');
}

/* A column that says nothing (every cell "-") is left out. */
static void measure(const Row *rows, size_t n, int *widths) {
        for (size_t i = 0; i < _COLUMN_MAX; i++) {
                bool empty = true;

                widths[i] = (int)strlen(titles[i]);
                for (size_t k = 0; k < n; k++) {
                        int length = (int)strlen(rows[k].cells[i]);

                        empty = empty && strcmp(rows[k].cells[i], "-") == 0;
                        if (length > widths[i])
                                widths[i] = length;
                }
                if (empty && n > 0)
                        widths[i] = 0;
        }
}

/* Why, and what to do about it, below the row. */
static void print_why(const Context *c, const Condition *condition) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        if (!*condition->why)
                return;
        strbuf_add(&b, condition->why);
        if (condition->help)
                strbuf_addf(&b, "; %s", condition->help);
        printf("    %s", output_begin(c, STYLE_DIM));
        output_wrapped(c, strbuf_text(&b), 4);
        printf("%s\n", output_end(c));
}

void output_status(const Context *c, const Pass *p) {
        _cleanup_free_ Row *rows = calloc(p->desired->n_agents + 1, sizeof(Row));
        int widths[_COLUMN_MAX];
        size_t n = p->desired->n_agents;

        if (!rows)
                return;
        for (size_t i = 0; i < n; i++)
                fill_row(p, p->desired->agents[i], rows + i);
        measure(rows, n, widths);
        printf("%s", output_begin(c, STYLE_BOLD));
        for (size_t i = 0; i < _COLUMN_MAX; i++)
                if (widths[i] > 0)
                        printf("%s%-*s", i == 0 ? "" : "  ", widths[i], titles[i]);
        printf("%s\n", output_end(c));
        for (size_t i = 0; i < n; i++) {
                print_row(c, rows + i, widths);
                print_why(c, &rows[i].condition);
        }
        for (size_t i = 0; i < p->plan->n_remarks; i++) {
                const Remark *m = p->plan->remarks + i;

                if (!m->is_agent) {
                        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                        strbuf_addf(&b, "%s %s: %s", remark_kind_to_string(m->kind), m->subject,
                                        m->text);
                        output_wrapped(c, strbuf_text(&b), 0);
                        putchar('\n');
                }
        }
        putchar('\n');
}
