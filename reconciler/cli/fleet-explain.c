/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <string.h>

#include "drivers/store/history.h"
#include "drivers/store/store.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/json.h"
#include "reconciler/condition.h"
#include "reconciler/in-force.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/verb.h"

#define LAST_ACTIONS 10

/* One agent and what is known of it. */
typedef struct Explained {
        const Context *c;
        InForce in_force;
        const Pass *p; /* what is in force */
        const AgentSpec *spec;
        Condition condition;
        const Action *action;
        History history;
} Explained;

static void explained_done(Explained *e) {
        in_force_done(&e->in_force);
        history_done(&e->history);
}

static void title(const Context *c, const char *text) {
        printf("%s%-10s%s", output_begin(c, STYLE_BOLD), text, output_end(c));
}

/* A paragraph behind the title's column. */
static void print_text(const Explained *e, bool first, const char *text) {
        printf("%-*s", first ? 0 : 10, "");
        output_wrapped(e->c, text, 10);
        putchar('\n');
}

/* A line with a name of its own. */
static void print_field(const Explained *e, const char *name, const char *format, ...)
                _printf_(3, 4);

static void print_field(const Explained *e, const char *name, const char *format, ...) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        va_list ap;

        va_start(ap, format);
        strbuf_addv(&b, format, ap);
        va_end(ap);
        printf("%-10s%-8s ", "", name);
        output_wrapped(e->c, output_text(&b), 19);
        putchar('\n');
}

static const char *age(uint64_t now, uint64_t at, char *buffer, size_t n) {
        if (at == 0 || at > now)
                (void)snprintf(buffer, n, "?");
        else
                (void)format_duration(buffer, n, now - at);
        return buffer;
}

static void print_desired(const Explained *e) {
        const AgentSpec *s = e->spec;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        title(e->c, "Desired");
        strbuf_addf(&b, "%s, runtime %s, in %s (line %u)", desired_state_to_string(s->state),
                        s->runtime, s->workdir, s->line);
        print_text(e, true, output_text(&b));
        strbuf_done(&b);
        strbuf_addf(&b, "restart %s, on_change %s, spec %.12s",
                        restart_policy_to_string(s->restart_policy),
                        on_change_to_string(s->on_change), s->restart_fingerprint);
        print_text(e, false, output_text(&b));
        for (char **d = s->after; d && *d; d++)
                printf("%-10safter %s\n", "", *d);
}

static void print_source_state(const Explained *e, const char *name, const Source *s) {
        if (s->state == SOURCE_UNKNOWN)
                print_field(e, name, "unknown: %s", s->why ? s->why : "?");
}

static void print_process(const Explained *e) {
        const Observed *o = e->p->observed;
        const ObservedUnit *u = observed_unit(o, e->spec->name);
        const ObservedRun *run = observed_run(o, e->spec->name);
        const char *name = o->supervisor == SUPERVISOR_SYSTEMD ? "unit" : "process";
        char text[32];

        if (o->manager.state != SOURCE_PRESENT)
                print_field(e, name, "unknown");
        else if (u && u->state == UNIT_ACTIVE && run && run->alive)
                print_field(e, name, "%s, pid %d, for %s, spec %.12s",
                                unit_state_to_string(u->state), (int)run->pid,
                                age(o->now_usec, run->started_usec, text, sizeof(text)),
                                run->restart_fingerprint);
        else
                print_field(e, name, "%s", unit_state_to_string(u ? u->state : UNIT_NOT_LOADED));
}

static void print_observed(const Explained *e) {
        const Observed *o = e->p->observed;
        const ObservedSession *session = observed_session(o, e->spec->name);
        const ObservedStop *stop = observed_stop(o, e->spec->name);
        const ObservedFiles *files = observed_files(o, e->spec->name);
        char text[32];

        title(e->c, "Observed");
        printf("just now, %s\n", format_duration(text, sizeof(text), e->p->observe_usec));
        print_source_state(e, "tmux", &o->tmux);
        print_source_state(e, supervisor_to_string(o->supervisor), &o->manager);
        print_process(e);
        if (session)
                print_field(e, "session", "%s, pane %s, %u attached", session->id, session->pane_id,
                                session->attached);
        else
                print_field(e, "session", "%s",
                                o->tmux.state == SOURCE_UNKNOWN ? "unknown" : "none");
        print_field(e, "accepted", "%s",
                        !files || !files->spec ? "no spec yet"
                        : strcmp(files->restart_fingerprint, e->spec->restart_fingerprint) == 0
                                        ? "the spec of the roster"
                                        : "an older spec");
        if (stop)
                print_field(e, "last end", "%s ago: %s, %s %s%s",
                                age(o->now_usec, stop->at_usec, text, sizeof(text)),
                                stop->result ? stop->result : "?", stop->code ? stop->code : "?",
                                stop->status ? stop->status : "?",
                                stop->this_boot ? "" : ", before this boot");
}

static void print_decision(const Explained *e) {
        bool first = true;

        title(e->c, "Decision");
        if (e->action) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                strbuf_addf(&b, "%s %s: %s [%s]", action_kind_to_sign(e->action->kind),
                                action_kind_to_string(e->action->kind), e->action->text,
                                reason_to_string(e->action->reason));
                print_text(e, first, output_text(&b));
                first = false;
        }
        for (size_t i = 0; i < e->p->plan->n_remarks; i++) {
                const Remark *m = e->p->plan->remarks + i;
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                /* What concerns the whole fleet concerns this agent too. */
                if (m->is_agent ? strcmp(m->subject, e->spec->name) != 0 : m->kind < REMARK_WAITING)
                        continue;
                strbuf_addf(&b, "%s: %s [%s]", remark_kind_to_string(m->kind), m->text,
                                reason_to_string(m->reason));
                print_text(e, first, output_text(&b));
                if (m->help)
                        printf("%-10s= %s\n", "", m->help);
                first = false;
        }
        if (first)
                printf("nothing to do: it is as the roster says\n");
}

static void print_history(const Explained *e) {
        char text[32];

        title(e->c, "Actions");
        if (e->history.n_items == 0)
                printf("none is known\n");
        for (size_t i = e->history.n_items; i-- > 0;) {
                const HistoryEntry *h = e->history.items + i;
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                strbuf_addf(&b, "%s ago by '%s': %s [%s] %s%s%s",
                                age(e->p->observed->now_usec, h->at_usec, text, sizeof(text)),
                                h->verb, h->action, h->reason, h->outcome, h->text ? ": " : "",
                                h->text ? h->text : "");
                print_text(e, i + 1 == e->history.n_items, output_text(&b));
        }
}

static void print_watch(const Explained *e) {
        title(e->c, "Watch");
        output_controller_of(e->c, e->in_force.controller, e->p->observed, e->spec->name, 10);
}

static void put_history(JsonBuilder *b, const History *history) {
        json_open_array(b, "actions");
        for (size_t i = 0; i < history->n_items; i++) {
                const HistoryEntry *h = history->items + i;

                json_open_object(b, NULL);
                json_put_uint(b, "at_usec", h->at_usec);
                json_put_string(b, "verb", h->verb);
                json_put_string(b, "action", h->action);
                json_put_string(b, "reason", h->reason);
                json_put_string(b, "outcome", h->outcome);
                json_put_string(b, "message", h->text);
                json_put_uint(b, "took_ms", h->took_usec / USEC_PER_MSEC);
                json_close(b);
        }
        json_close(b);
}

static int print_json(const Explained *e, ExitCode code) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_string(&b, "format", "mosaic.fleet.explain");
        json_put_string(&b, "version", "1.0");
        output_put_agent(&b, "agent", e->spec, e->p);
        json_put_uint(&b, "line", e->spec->line);
        json_put_string(&b, "workdir", e->spec->workdir);
        json_put_string(&b, "restart_fingerprint", e->spec->restart_fingerprint);
        json_put_string(&b, "action", e->action ? action_kind_to_string(e->action->kind) : NULL);
        json_put_string(&b, "action_reason",
                        e->action ? reason_to_string(e->action->reason) : NULL);
        output_put_remarks(&b, e->p->plan);
        output_put_controller(&b, "controller", e->in_force.controller);
        output_put_refused(&b, in_force_refused(&e->in_force));
        output_put_pacing(&b, "pacing", e->p->observed, e->spec->name);
        put_history(&b, &e->history);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", (uint64_t)code);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

static void print(const Explained *e) {
        const Pass *refused = in_force_refused(&e->in_force);
        const Context *c = e->c;

        if (refused)
                output_findings(c, refused, /* warnings= */ false);
        title(c, "Agent");
        printf("%s: %s%s%s\n", e->spec->name, output_begin(c, condition_style(e->condition.kind)),
                        condition_to_string(e->condition.kind), output_end(c));
        if (e->spec->description)
                print_text(e, false, e->spec->description);
        print_desired(e);
        print_observed(e);
        print_decision(e);
        print_watch(e);
        print_history(e);
        if (refused)
                output_refused_summary();
        else
                output_plan_summary(c, e->p);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_(explained_done) Explained e = { .c = c };
        ExitCode code;
        int r;

        r = options_parse(c, OPTION_NAMES, argc, argv, &o);
        if (r != 0)
                return r;
        r = options_check_one_name(&o, argv[0]);
        if (r != 0)
                return r;
        context_page(c);
        r = in_force_look(c, argv[0], o.names, &e.in_force);
        if (r != 0)
                return r;
        e.p = &e.in_force.pass;
        e.spec = desired_find(e.p->desired, o.names[0]);
        e.condition = condition_of(e.spec, e.p->observed, e.p->plan);
        e.action = plan_action(e.p->plan, e.spec->name);
        r = history_read(c->paths, e.spec->name, LAST_ACTIONS, &e.history);
        if (r == 0)
                r = store_observe_end(c->paths, e.spec->name, e.p->observed);
        if (r < 0)
                return r;
        code = in_force_refused(&e.in_force) ? EXIT_INVALID : plan_exit_code(e.p->plan);
        if (c->json)
                r = print_json(&e, code);
        else
                print(&e);
        return r < 0 ? r : (int)code;
}

const Verb verb_fleet_explain = {
        .group = "fleet",
        .name = "explain",
        .task = TASK_LOOK,
        .synopsis = "NAME [OPTION...]",
        .summary = "Say why one agent is in the state it is in",
        .words = "@agent",
        .help = "What the roster asks for, what was seen, which rule decides and what it waits\n"
                "for, what the controller says (its last pass, what is wrong with it, when it\n"
                "starts the agent again), and the last actions with their outcomes.\n"
                "\n"
                "Options:\n"
                "      --json        Print it as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "      --no-pager    Do not page what does not fit the screen\n"
                "\n"
                "Exit status: as 'plan' for this agent. Where the roster is invalid (65), what is\n"
                "in force is explained.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet explain web\n",
        .run = run,
};
