/* SPDX-License-Identifier: MIT */
#include "reconciler/output.h"

#include <string.h>

#include "model/base/parse.h"
#include "model/diag-render.h"
#include "model/json.h"
#include "reconciler/condition.h"

static void put_source(JsonBuilder *b, const char *name, const Source *s) {
        json_open_object(b, NULL);
        json_put_string(b, "name", name);
        json_put_string(b, "state", source_state_to_string(s->state));
        json_put_string(b, "why", s->why);
        json_close(b);
}

void output_put_observed(JsonBuilder *b, const Pass *p) {
        const Observed *o = p->observed;

        json_open_object(b, "observed");
        json_put_bool(b, "complete",
                        o->tmux.state != SOURCE_UNKNOWN && o->manager.state != SOURCE_UNKNOWN &&
                                        o->runs.state != SOURCE_UNKNOWN &&
                                        o->files.state != SOURCE_UNKNOWN);
        json_put_uint(b, "observe_ms", p->observe_usec / USEC_PER_MSEC);
        json_put_uint(b, "server_pid", (uint64_t)o->server_pid);
        json_open_array(b, "sources");
        put_source(b, "tmux", &o->tmux);
        put_source(b, supervisor_to_string(o->supervisor), &o->manager);
        put_source(b, "runs", &o->runs);
        put_source(b, "files", &o->files);
        json_close(b);
        json_close(b);
}

void output_put_head(JsonBuilder *b, const Context *c, const char *verb, const Desired *d) {
        json_put_stringf(b, "format", "mosaic.%s.%s", c->group ? c->group : "fleet", verb);
        json_put_string(b, "version", "1.0");
        json_put_string(b, "mosaic", MOSAIC_VERSION);
        json_open_object(b, "target");
        json_put_string(b, "fleet_id", c->paths->fleet_id);
        json_put_string(b, "supervisor", supervisor_to_string(c->record->supervisor));
        json_put_string(b, "socket", c->record->tmux_socket);
        json_close(b);
        json_open_object(b, "roster");
        json_put_string(b, "path", c->paths->roster);
        json_put_string(b, "sha256", d ? d->roster_sha256 : NULL);
        json_close(b);
}

static void put_steps(JsonBuilder *b, unsigned steps) {
        static const char *const names[] = { "spec", "dropin", "rename", "stop", "reset_failed",
                "session", "start", "kill_session", "files", "reload", "repair" };

        json_open_array(b, "steps");
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (steps & (1u << i))
                        json_put_string(b, NULL, names[i]);
        json_close(b);
}

static void put_action(JsonBuilder *b, const Action *a, const ActionResult *result) {
        json_open_object(b, NULL);
        if (a->agent)
                json_put_stringf(b, "address", "agent/%s", a->agent);
        else
                json_put_string(b, "address", "tmux");
        json_put_string(b, "agent", a->agent);
        json_put_string(b, "verb", action_kind_to_string(a->kind));
        json_put_string(b, "reason", reason_to_string(a->reason));
        json_put_string(b, "message", a->text);
        json_put_uint_or_null(b, "line", a->line);
        json_put_string(b, "disruption", disruption_to_string(action_disruption(a->kind)));
        put_steps(b, a->steps);
        json_put_strv(b, "after", a->after);
        if (result) {
                json_open_object(b, "result");
                json_put_string(b, "outcome", outcome_to_string(result->outcome));
                json_put_string(b, "message", result->text);
                json_put_uint(b, "took_ms", result->took_usec / USEC_PER_MSEC);
                json_close(b);
        }
        json_close(b);
}

void output_put_remarks(JsonBuilder *b, const Plan *plan) {
        json_open_array(b, "remarks");
        for (size_t i = 0; i < plan->n_remarks; i++) {
                const Remark *m = plan->remarks + i;

                json_open_object(b, NULL);
                json_put_string(b, "kind", remark_kind_to_string(m->kind));
                json_put_stringf(b, "address", "%s%s", m->is_agent ? "agent/" : "", m->subject);
                json_put_string(b, "reason", reason_to_string(m->reason));
                json_put_string(b, "message", m->text);
                json_put_string(b, "help", m->help);
                json_put_uint_or_null(b, "line", m->line);
                json_close(b);
        }
        json_close(b);
}

static void put_summary(JsonBuilder *b, const Pass *p, ExitCode code) {
        const Plan *last = p->rest ? p->rest : p->plan;

        json_open_object(b, "summary");
        for (int k = 0; k < _ACTION_KIND_MAX; k++)
                json_put_uint(b, action_kind_to_string((ActionKind)k),
                                plan_count_actions(p->plan, (ActionKind)k));
        for (int k = 0; k < _REMARK_KIND_MAX; k++)
                json_put_uint(b, remark_kind_to_string((RemarkKind)k),
                                plan_count_remarks(last, (RemarkKind)k));
        if (p->report) {
                json_put_uint(b, "done", report_count(p->report, OUTCOME_DONE));
                json_put_uint(b, "failed", report_count(p->report, OUTCOME_FAILED));
                json_put_uint(b, "skipped", report_count(p->report, OUTCOME_SKIPPED));
                json_put_uint(b, "not_started", report_count(p->report, OUTCOME_NOT_STARTED));
        }
        json_put_uint(b, "agents", last->n_agents);
        json_put_uint(b, "unchanged", last->n_unchanged);
        json_put_uint(b, "exit", (uint64_t)code);
        json_close(b);
}

static bool has_printed;

static int print_document(JsonBuilder *b, JsonFormat format) {
        _cleanup_free_ char *text = NULL;
        int r = json_finish_text(b, format, &text);

        if (r == 0) {
                has_printed = true;
                puts(text);
        }
        return r;
}

bool output_has_document(void) {
        return has_printed;
}

int output_print_document(JsonBuilder *b) {
        return print_document(b, JSON_PRETTY);
}

int output_print_line(JsonBuilder *b) {
        int r = print_document(b, JSON_PLAIN);

        (void)fflush(stdout);
        return r;
}

void output_put_checks(JsonBuilder *b, const Checks *checks) {
        json_open_array(b, "checks");
        for (size_t i = 0; i < checks->n_items; i++) {
                json_open_object(b, NULL);
                json_put_string(b, "name", check_name(checks->items[i].kind));
                json_put_string(b, "state", check_state_to_string(checks->items[i].state));
                json_put_string(b, "message", checks->items[i].text);
                json_put_string(b, "help", checks->items[i].help);
                json_close(b);
        }
        json_close(b);
}

int output_checks_json(const char *format, const Checks *checks, ExitCode code) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_string(&b, "format", format);
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "mosaic", MOSAIC_VERSION);
        output_put_checks(&b, checks);
        json_open_object(&b, "summary");
        for (int s = CHECK_OK; s <= CHECK_UNKNOWN; s++)
                json_put_uint(&b, check_state_to_string((CheckState)s),
                                checks_count(checks, (CheckState)s));
        json_put_uint(&b, "exit", (uint64_t)code);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

static void put_pass(JsonBuilder *b,
                const Context *c,
                const char *verb,
                const Pass *p,
                const Checks *checks,
                ExitCode code) {
        json_open_object(b, NULL);
        output_put_head(b, c, verb, p->desired);
        output_put_observed(b, p);
        json_open_array(b, "actions");
        for (size_t i = 0; i < p->plan->n_actions; i++)
                put_action(b, p->plan->actions + i, p->report ? p->report->results + i : NULL);
        json_close(b);
        if (p->rest && p->rest->n_actions > 0) {
                json_open_array(b, "remaining");
                for (size_t i = 0; i < p->rest->n_actions; i++)
                        put_action(b, p->rest->actions + i, NULL);
                json_close(b);
        }
        output_put_remarks(b, p->rest ? p->rest : p->plan);
        if (checks)
                output_put_checks(b, checks);
        put_summary(b, p, code);
        json_close(b);
}

static int
print_pass(const Context *c, const char *verb, const Pass *p, const Checks *checks, ExitCode code) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        put_pass(&b, c, verb, p, checks, code);
        return output_print_document(&b);
}

int output_plan_document(const Context *c, const Pass *p, ExitCode code, Json **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        put_pass(&b, c, "plan", p, NULL, code);
        return json_finish(&b, ret);
}

int output_pass_json(const Context *c, const char *verb, const Pass *p, ExitCode code) {
        return print_pass(c, verb, p, NULL, code);
}

int output_verify_json(const Context *c, const Pass *p, const Checks *checks, ExitCode code) {
        return print_pass(c, "verify", p, checks, code);
}

/* What the process uses by itself: known without accounting, too. */
static void put_process(JsonBuilder *b, const ObservedRun *run) {
        if (!run || !run->alive || run->memory == 0) {
                json_put_null(b, "process");
                return;
        }
        json_open_object(b, "process");
        json_put_uint(b, "memory", run->memory);
        json_put_uint(b, "cpu_usec", run->cpu_usec);
        json_close(b);
}

void output_put_agent(JsonBuilder *b, const char *key, const AgentSpec *spec, const Pass *p) {
        const Observed *o = p->observed;
        const ObservedUnit *u = observed_unit(o, spec->name);
        const ObservedRun *run = observed_run(o, spec->name);
        const ObservedStop *stop = observed_stop(o, spec->name);
        const ObservedSession *session = observed_session(o, spec->name);
        Condition condition = condition_of(spec, o, p->plan);
        bool up = u && u->state == UNIT_ACTIVE;

        json_open_object(b, key);
        json_put_string(b, "name", spec->name);
        json_put_string(b, "runtime", spec->runtime);
        json_put_string(b, "desired", desired_state_to_string(spec->state));
        json_put_string(b, "condition", condition_to_string(condition.kind));
        json_put_string(b, "reason", condition.why);
        json_put_string(b, "help", condition.help);
        json_put_string(b, "unit", unit_state_to_string(u ? u->state : UNIT_NOT_LOADED));
        json_put_string(b, "session", session ? session->id : NULL);
        json_put_string(b, "pane", session ? session->pane_id : NULL);
        json_put_uint(b, "attached", session ? session->attached : 0);
        json_put_uint_or_null(b, "pid", up ? (uint64_t)u->main_pid : 0);
        if (up && run && run->alive)
                json_put_uint(b, "since_usec", run->started_usec);
        else if (u && u->changed_usec > 0)
                json_put_uint(b, "since_usec", u->changed_usec);
        else
                json_put_null(b, "since_usec");
        json_put_uint(b, "restarts", u ? u->restarts : 0);
        if (up && u->memory != UINT64_MAX)
                json_put_uint(b, "memory", u->memory);
        else
                json_put_null(b, "memory");
        if (up && u->cpu_usec != UINT64_MAX)
                json_put_uint(b, "cpu_usec", u->cpu_usec);
        else
                json_put_null(b, "cpu_usec");
        put_process(b, up ? run : NULL);
        json_open_object(b, "last_end");
        json_put_string(b, "result", stop ? stop->result : NULL);
        json_put_string(b, "code", stop ? stop->code : NULL);
        json_put_string(b, "status", stop ? stop->status : NULL);
        json_put_uint_or_null(b, "at_usec", stop ? stop->at_usec : 0);
        json_close(b);
        json_close(b);
}

/* The file is not in force; another roster is. */
void output_put_refused(JsonBuilder *b, const Pass *refused) {
        if (!refused) {
                json_put_null(b, "refused");
                return;
        }
        json_open_object(b, "refused");
        json_put_uint(b, "errors", refused->diags.n_errors);
        json_put_uint(b, "warnings", refused->diags.n_warnings);
        diags_put_json(b, "diagnostics", &refused->diags, refused->roster_bytes,
                        refused->roster_size);
        json_close(b);
}

/* Only where there are any: it is no state that lasts. */
static void put_leaving(JsonBuilder *b, const Pass *p) {
        const Observed *o = p->observed;
        bool any = false;

        for (size_t i = 0; i < o->n_file; i++) {
                const char *agent = o->file[i].agent;
                const ObservedUnit *u = observed_unit(o, agent);
                const ObservedSession *session = observed_session(o, agent);
                Condition condition;

                if (!condition_is_leaving(agent, p->desired, o))
                        continue;
                condition = condition_of_leaving(agent, p->plan);
                if (!any)
                        json_open_array(b, "leaving");
                any = true;
                json_open_object(b, NULL);
                json_put_string(b, "name", agent);
                json_put_string(b, "reason", condition.why);
                json_put_string(b, "help", condition.help);
                json_put_string(b, "unit", unit_state_to_string(u ? u->state : UNIT_NOT_LOADED));
                json_put_string(b, "session", session ? session->id : NULL);
                json_close(b);
        }
        if (any)
                json_close(b);
}

int output_status_json(const Context *c,
                const Pass *p,
                const Pass *refused,
                const Json *controller,
                const Checks *checks,
                ExitCode code) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        output_put_head(&b, c, "status", p->desired);
        output_put_controller(&b, "controller", controller);
        output_put_refused(&b, refused);
        output_put_observed(&b, p);
        json_open_array(&b, "agents");
        for (size_t i = 0; i < p->desired->n_agents; i++)
                output_put_agent(&b, NULL, p->desired->agents[i], p);
        json_close(&b);
        put_leaving(&b, p);
        output_put_remarks(&b, p->plan);
        output_put_checks(&b, checks);
        put_summary(&b, p, code);
        json_close(&b);
        return output_print_document(&b);
}

int output_findings_json(const Context *c, const Pass *p, ExitCode code) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_string(&b, "format", "mosaic.fleet.validate");
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "file", c->paths->roster);
        json_put_bool(&b, "valid", p->diags.n_errors == 0);
        json_put_uint(&b, "errors", p->diags.n_errors);
        json_put_uint(&b, "warnings", p->diags.n_warnings);
        diags_put_json(&b, "diagnostics", &p->diags, p->roster_bytes, p->roster_size);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", (uint64_t)code);
        json_close(&b);
        json_close(&b);
        return c->json_lines ? output_print_line(&b) : output_print_document(&b);
}
