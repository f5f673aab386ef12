/* SPDX-License-Identifier: MIT */
#include "reconciler/agent-status.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/parse.h"
#include "model/base/strv.h"
#include "model/pane-line.h"
#include "reconciler/condition.h"
#include "reconciler/table.h"

enum {
        COLUMN_AGENT,
        COLUMN_STATE,
        COLUMN_DOING,
        COLUMN_PID,
        COLUMN_SINCE,
        COLUMN_RESTARTS,
        COLUMN_MEMORY,
        COLUMN_CPU,
        COLUMN_OUTPUT,
};

static const char *const titles[] = {
        [COLUMN_AGENT] = "AGENT",
        [COLUMN_STATE] = "STATE",
        [COLUMN_DOING] = "DOING",
        [COLUMN_PID] = "PID",
        [COLUMN_SINCE] = "SINCE",
        [COLUMN_RESTARTS] = "RST",
        [COLUMN_MEMORY] = "MEM",
        [COLUMN_CPU] = "CPU",
        [COLUMN_OUTPUT] = "OUTPUT",
};

/* --- what both forms say ---------------------------------------------------------------------- */

static bool is_asked(const AgentStatus *s, size_t i) {
        return strv_length(s->names) == 0 || strv_find(s->names, s->pass->desired->agents[i]->name);
}

static bool is_complete(const Observed *o) {
        return o->tmux.state != SOURCE_UNKNOWN && o->manager.state == SOURCE_PRESENT &&
               o->runs.state != SOURCE_UNKNOWN && o->files.state != SOURCE_UNKNOWN;
}

ExitCode agent_status_exit(const AgentStatus *s) {
        const Desired *d = s->pass->desired;
        ExitCode code = EXIT_OK;

        if (s->refused)
                return EXIT_INVALID;
        if (!is_complete(s->pass->observed))
                return EXIT_UNKNOWN;
        for (size_t i = 0; i < d->n_agents && strv_length(s->names) > 0; i++) {
                ConditionKind kind =
                                condition_of(d->agents[i], s->pass->observed, s->pass->plan).kind;

                if (!is_asked(s, i))
                        continue;
                if (kind == CONDITION_UNKNOWN || kind == CONDITION_UNREACHABLE)
                        return EXIT_UNKNOWN;
                if (kind != CONDITION_RUNNING && kind != CONDITION_STARTING)
                        code = EXIT_NOT_CONVERGED;
        }
        return code;
}

static const char *doing(const Activity *a) {
        return screen_state_to_string(a->why ? SCREEN_UNKNOWN : a->verdict.state);
}

/* The text that tells, cleaned and shortened. */
static int sign_text(const Activity *a, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        PaneStyle style = PANE_STYLE_NULL;
        size_t n = a->verdict.length;

        if (a->why || !a->verdict.text) {
                *ret = NULL;
                return 0;
        }
        pane_line_clean(a->verdict.text, n, &style, &b, NULL);
        return strbuf_finish(&b, ret);
}

static const char *sign_phrase(const ScreenVerdict *v) {
        switch (v->sign) {
        case SIGN_WAITING:
        case SIGN_WAITING_TITLE:
                return "it asks for a person";
        case SIGN_BUSY:
        case SIGN_BUSY_TITLE:
                return "it says so";
        case SIGN_FOREGROUND:
                return "another program has its terminal";
        case SIGN_ACTIVITY:
                return "its screen changed a moment ago";
        case SIGN_COMPOSER:
                return v->state == SCREEN_DRAFT ? "somebody's text stands in its input box"
                                                : "an empty input box is at the cursor";
        case SIGN_UNFOCUSED:
                return "an empty input box is there, the cursor is elsewhere";
        case SIGN_READY:
                return "its ready sign is there";
        case SIGN_AGE:
                return "it was started a moment ago, and no sign is there yet";
        case SIGN_ERROR:
                return "a pattern could not be tried on its screen";
        case SIGN_NONE:
        case _SCREEN_SIGN_MAX:
                break;
        }
        return "no pattern of its runtime matches its screen";
}

void agent_status_evidence(const Activity *a, StrBuf *b) {
        const ScreenVerdict *v = &a->verdict;
        _cleanup_free_ char *text = NULL;

        if (a->why) {
                strbuf_add(b, a->why);
                return;
        }
        if (sign_text(a, &text) < 0)
                b->failed = true;
        strbuf_add(b, sign_phrase(v));
        if (!text || !text[strspn(text, " ")])
                return;
        if (v->line > 0)
                strbuf_addf(b, " (line %u): ", v->line);
        else
                strbuf_add(b, v->sign == SIGN_BUSY_TITLE || v->sign == SIGN_WAITING_TITLE
                                                ? " (title): "
                                                : ": ");
        strbuf_add(b, text + strspn(text, " "));
}

/* --- the table -------------------------------------------------------------------------------- */

static Style doing_style(const Activity *a) {
        if (a->why)
                return STYLE_DIM;
        switch (a->verdict.state) {
        case SCREEN_WAITING:
                return STYLE_YELLOW;
        case SCREEN_BUSY:
                return STYLE_BLUE;
        case SCREEN_UNKNOWN:
                return STYLE_DIM;
        case SCREEN_STARTING:
        case SCREEN_IDLE:
        case SCREEN_DRAFT:
        case _SCREEN_STATE_MAX:
                break;
        }
        return STYLE_PLAIN;
}

static void set_age(Table *t, size_t column, uint64_t now, uint64_t at) {
        char text[32];

        if (at > 0)
                table_set(t, column, format_duration(text, sizeof(text), now > at ? now - at : 0));
}

static void set_usage(Table *t, const ObservedUnit *u, const ObservedRun *run) {
        uint64_t memory = u->memory, cpu = u->cpu_usec;
        char text[32];

        if (memory == UINT64_MAX && run && run->memory > 0)
                memory = run->memory;
        if (cpu == UINT64_MAX && run && run->memory > 0)
                cpu = run->cpu_usec;
        if (memory != UINT64_MAX)
                table_set(t, COLUMN_MEMORY, format_size(text, sizeof(text), memory));
        if (cpu != UINT64_MAX)
                table_set(t, COLUMN_CPU, format_duration(text, sizeof(text), cpu));
}

/* How and when it ended, for who does not run; not for those whom somebody stopped. How is left out
 * where the plan's sentence, which follows, says it in the same words. */
static void add_end(const Observed *o, const char *agent, const Condition *c, StrBuf *b) {
        const ObservedStop *stop = observed_stop(o, agent);
        char age[32], buffer[64];
        const char *how = stop ? observed_stop_phrase(stop, buffer, sizeof(buffer)) : NULL;

        if (!how || stop->at_usec == 0 || observed_hold(o, agent))
                return;
        (void)format_duration(age, sizeof(age),
                        o->now_usec > stop->at_usec ? o->now_usec - stop->at_usec : 0);
        if (!strstr(c->why, how))
                strbuf_addf(b, "%s, ", how);
        strbuf_addf(b, "%s ago", age);
}

/* Why it is as it is, and what that is seen by. Of an idle agent only if it was asked for. */
static void add_note(Table *t,
                const AgentStatus *s,
                const AgentSpec *spec,
                const Condition *c,
                const Activity *a) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        bool plain = !a->why && a->verdict.state == SCREEN_IDLE && strv_length(s->names) == 0;

        if (a->asked && !plain)
                agent_status_evidence(a, &b);
        else if (!a->asked)
                add_end(s->pass->observed, spec->name, c, &b);
        if (*c->why)
                strbuf_addf(&b, "%s%s", b.length > 0 ? "; " : "", c->why);
        t->failed = t->failed || b.failed;
        table_notef(t, "%s", strbuf_text(&b));
        if (*c->why && c->help)
                table_helpf(t, "%s", c->help);
}

static void add_row(Table *t, const AgentStatus *s, size_t i) {
        const AgentSpec *spec = s->pass->desired->agents[i];
        const Observed *o = s->pass->observed;
        const ObservedUnit *u = observed_unit(o, spec->name);
        const ObservedRun *run = observed_run(o, spec->name);
        const ObservedSession *session = observed_session(o, spec->name);
        const Activity *a = s->activities + i;
        Condition c = condition_of(spec, o, s->pass->plan);

        table_begin_row(t);
        table_set(t, COLUMN_AGENT, spec->name);
        table_set(t, COLUMN_STATE, condition_to_string(c.kind));
        table_style(t, COLUMN_STATE, condition_style(c.kind));
        if (a->asked) {
                table_set(t, COLUMN_DOING, doing(a));
                table_style(t, COLUMN_DOING, doing_style(a));
                table_setf(t, COLUMN_PID, "%d", (int)u->main_pid);
                set_age(t, COLUMN_SINCE, o->now_usec,
                                run && run->alive ? run->started_usec : u->changed_usec);
                set_usage(t, u, run);
                set_age(t, COLUMN_OUTPUT, o->now_usec, session ? session->activity_usec : 0);
        }
        if (u && u->restarts > 0)
                table_setf(t, COLUMN_RESTARTS, "%" PRIu64, u->restarts);
        add_note(t, s, spec, &c, a);
}

typedef struct Counts {
        size_t n_agents;
        size_t n_running;
        size_t n_doing[_SCREEN_STATE_MAX];
} Counts;

static Counts count(const AgentStatus *s) {
        Counts n = { 0 };

        for (size_t i = 0; i < s->pass->desired->n_agents; i++) {
                const Activity *a = s->activities + i;

                if (!is_asked(s, i))
                        continue;
                n.n_agents++;
                n.n_running += a->asked;
                if (a->asked)
                        n.n_doing[a->why ? SCREEN_UNKNOWN : a->verdict.state]++;
        }
        return n;
}

static void print_summary(const AgentStatus *s) {
        static const ScreenState order[] = { SCREEN_WAITING, SCREEN_BUSY, SCREEN_IDLE, SCREEN_DRAFT,
                SCREEN_STARTING, SCREEN_UNKNOWN };
        Counts n = count(s);
        bool first = true;

        printf("\n%zu agent%s, %zu running", n.n_agents, n.n_agents == 1 ? "" : "s", n.n_running);
        for (size_t i = 0; i < ELEMENTSOF(order); i++)
                if (n.n_doing[order[i]] > 0) {
                        printf("%s%zu %s", first ? ": " : ", ", n.n_doing[order[i]],
                                        screen_state_to_string(order[i]));
                        first = false;
                }
        printf(" (exit %d)\n", (int)agent_status_exit(s));
}

int agent_status_print(const Context *c, const AgentStatus *s) {
        static const unsigned char spare[] = { COLUMN_CPU, COLUMN_MEMORY, COLUMN_RESTARTS,
                COLUMN_OUTPUT, COLUMN_PID, COLUMN_SINCE };
        _cleanup_table_ Table t = TABLE_INIT(titles);
        const Observed *o = s->pass->observed;
        const Source *sources[] = { &o->tmux, &o->manager, &o->runs, &o->files };
        int r;

        t.spare = spare;
        t.n_spare = ELEMENTSOF(spare);
        for (size_t i = 0; i < s->pass->desired->n_agents; i++)
                if (is_asked(s, i))
                        add_row(&t, s, i);
        r = table_print(c, &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(sources); i++)
                if (sources[i]->state == SOURCE_UNKNOWN && sources[i]->why) {
                        printf("unknown: ");
                        output_wrapped(c, sources[i]->why, strlen("unknown: "));
                        putchar('\n');
                }
        if (s->refused) {
                (void)fflush(stdout);
                output_findings(c, s->refused, /* warnings= */ false);
                printf("The roster is invalid; the one accepted before stays in force\n");
        }
        print_summary(s);
        return 0;
}

/* --- the document ----------------------------------------------------------------------------- */

static int put_activity(JsonBuilder *b, const Activity *a, const ObservedSession *session) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (!a->asked) {
                json_put_null(b, "activity");
                return 0;
        }
        r = sign_text(a, &text);
        if (r < 0)
                return r;
        json_open_object(b, "activity");
        json_put_string(b, "state", doing(a));
        json_put_string(b, "sign", a->why ? "none" : screen_sign_to_string(a->verdict.sign));
        json_put_string(b, "text", text);
        json_put_uint_or_null(b, "line", a->why ? 0 : a->verdict.line);
        json_put_string(b, "why", a->why);
        json_put_bool(b, "composer_empty", !a->why && a->verdict.composer_empty);
        json_put_uint(b, "seen_usec", a->seen_usec);
        json_put_uint_or_null(b, "output_usec", session ? session->activity_usec : 0);
        json_close(b);
        return 0;
}

int agent_status_print_json(const Context *c, const AgentStatus *s) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        const Desired *d = s->pass->desired;
        Counts n = count(s);

        json_open_object(&b, NULL);
        output_put_head(&b, c, "status", d);
        output_put_refused(&b, s->refused);
        output_put_observed(&b, s->pass);
        json_open_array(&b, "agents");
        for (size_t i = 0; i < d->n_agents; i++) {
                int r;

                if (!is_asked(s, i))
                        continue;
                json_open_object(&b, NULL);
                output_put_agent(&b, "agent", d->agents[i], s->pass);
                r = put_activity(&b, s->activities + i,
                                observed_session(s->pass->observed, d->agents[i]->name));
                if (r < 0)
                        return r;
                json_close(&b);
        }
        json_close(&b);
        json_open_object(&b, "summary");
        json_put_uint(&b, "agents", n.n_agents);
        json_put_uint(&b, "running", n.n_running);
        for (int i = 0; i < _SCREEN_STATE_MAX; i++)
                json_put_uint(&b, screen_state_to_string((ScreenState)i), n.n_doing[i]);
        json_put_uint(&b, "exit", (uint64_t)agent_status_exit(s));
        json_close(&b);
        json_close(&b);
        return c->json_lines ? output_print_line(&b) : output_print_document(&b);
}
