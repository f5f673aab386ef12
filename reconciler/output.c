/* SPDX-License-Identifier: MIT */
#include "reconciler/output.h"

#include <assert.h>
#include <string.h>

#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/utf8.h"
#include "model/diag-render.h"

const char *output_begin(const Context *c, Style s) {
        static const char *const sequences[] = {
                [STYLE_PLAIN] = "",
                [STYLE_BOLD] = "\033[1m",
                [STYLE_DIM] = "\033[2m",
                [STYLE_RED] = "\033[31m",
                [STYLE_GREEN] = "\033[32m",
                [STYLE_YELLOW] = "\033[33m",
                [STYLE_BLUE] = "\033[34m",
        };

        assert(s < ELEMENTSOF(sequences));
        return c->color ? sequences[s] : "";
}

const char *output_end(const Context *c) {
        return c->color ? "\033[0m" : "";
}

static bool is_short;

const char *output_text(const StrBuf *b) {
        is_short = is_short || b->failed;
        return strbuf_text(b);
}

bool output_is_short(void) {
        return is_short;
}

void output_findings(const Context *c, const Pass *p, bool warnings) {
        _cleanup_free_ char *text = NULL;

        if (p->diags.n_errors == 0 && (!warnings || p->diags.n_items == 0))
                return;
        if (diags_render_text(&p->diags, c->paths->roster, p->roster_bytes, p->roster_size,
                            c->color_errors, &text) == 0)
                fputs(text, context_errors(c));
        else
                is_short = true;
}

void output_add_safe(StrBuf *b, const char *s) {
        utf8_add_safe(b, s, strlen(s));
}

static void print_safe(const char *s, int width) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        output_add_safe(&b, s);
        printf("%-*s", width, output_text(&b));
}

void output_wrapped(const Context *c, const char *raw, size_t indent) {
        _cleanup_strbuf_ StrBuf safe = STRBUF_NULL;
        const char *text;
        size_t room = c->width > indent + 20 ? c->width - indent : SIZE_MAX;

        output_add_safe(&safe, raw);
        text = output_text(&safe);
        while (strlen(text) > room) {
                size_t n = room;

                while (n > 0 && text[n] != ' ')
                        n--;
                if (n == 0) /* one long word */
                        n = strcspn(text, " ");
                if (text[n] == '\0')
                        break;
                printf("%.*s\n%*s", (int)n, text, (int)indent, "");
                text += n + 1;
        }
        fputs(text, stdout);
}

/* The roster's path as a person writes it. */
static const char *short_path(const Context *c, char *buffer, size_t n) {
        const char *home = c->paths->user_home, *path = c->paths->roster;
        size_t length = strlen(home);

        if (strncmp(path, home, length) == 0 && path[length] == '/' && length > 1)
                (void)snprintf(buffer, n, "~%s", path + length);
        else
                (void)snprintf(buffer, n, "%s", path);
        return buffer;
}

static void add_source(StrBuf *b, const char *name, const Source *s, pid_t pid) {
        if (s->state == SOURCE_PRESENT && pid > 0)
                strbuf_addf(b, "%s ok (pid %d)", name, (int)pid);
        else if (s->state == SOURCE_PRESENT)
                strbuf_addf(b, "%s ok", name);
        else
                strbuf_addf(b, "%s %s", name, source_state_to_string(s->state));
}

static void print_header(const Context *c, const Pass *p) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char path[4096], took[32];

        printf("%sRoster%s    %s  %.8s  %zu agent%s\n", output_begin(c, STYLE_BOLD), output_end(c),
                        short_path(c, path, sizeof(path)), p->desired->roster_sha256,
                        p->plan->n_agents, p->plan->n_agents == 1 ? "" : "s");
        printf("%sObserved%s  ", output_begin(c, STYLE_BOLD), output_end(c));
        add_source(&b, "tmux", &p->observed->tmux, p->observed->server_pid);
        strbuf_add(&b, ", ");
        add_source(&b, supervisor_to_string(p->observed->supervisor), &p->observed->manager, 0);
        strbuf_addf(&b, ", %s", format_duration(took, sizeof(took), p->observe_usec));
        output_wrapped(c, output_text(&b), 10);
        putchar('\n');
}

/* Width of the address column over everything that is going to be printed. */
static int address_width(const Plan *plan) {
        size_t width = 12;

        for (size_t i = 0; i < plan->n_actions; i++)
                if (plan->actions[i].agent && strlen(plan->actions[i].agent) + 6 > width)
                        width = strlen(plan->actions[i].agent) + 6;
        for (size_t i = 0; i < plan->n_remarks; i++) {
                const Remark *m = plan->remarks + i;
                size_t n = strlen(m->subject) + (m->is_agent ? 6 : 0);

                if (n > width && n <= 46)
                        width = n;
        }
        return (int)width;
}

static Style action_style(ActionKind k) {
        switch (k) {
        case ACTION_HOLDER_START:
        case ACTION_HOLDER_REPAIR:
        case ACTION_RELOAD:
        case ACTION_CREATE:
        case ACTION_START:
                return STYLE_GREEN;
        case ACTION_UPDATE:
                return STYLE_BLUE;
        case ACTION_STOP:
        case ACTION_RESTART:
                return STYLE_YELLOW;
        case ACTION_REMOVE:
                return STYLE_RED;
        case _ACTION_KIND_MAX:
                break;
        }
        return STYLE_PLAIN;
}

static const char *address(const Action *a, char *buffer, size_t n) {
        if (a->agent)
                (void)snprintf(buffer, n, "agent/%s", a->agent);
        else
                (void)snprintf(buffer, n,
                                a->kind == ACTION_RELOAD ? "user manager" : "tmux server");
        return buffer;
}

/* The word for people. Where the address does not say it, what it is done to. */
static const char *phrase(ActionKind k, bool has_address) {
        if (k == ACTION_HOLDER_START)
                return has_address ? "start" : "server start";
        if (k == ACTION_HOLDER_REPAIR)
                return has_address ? "repair" : "server repair";
        return action_kind_to_string(k);
}

static void print_action(const Context *c, const Action *a, int width) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char name[64];

        printf("%s%3s %-*s%s  ", output_begin(c, action_style(a->kind)),
                        action_kind_to_sign(a->kind), width, address(a, name, sizeof(name)),
                        output_end(c));
        strbuf_addf(&b, "%s: %s", phrase(a->kind, /* has_address= */ true), a->text);
        if (a->line > 0)
                strbuf_addf(&b, " (line %u)", a->line);
        output_wrapped(c, output_text(&b), (size_t)width + 6);
        putchar('\n');
        if (a->after) {
                printf("    %-*s  after", width, "");
                for (char **d = a->after; *d; d++)
                        printf(" %s", *d);
                putchar('\n');
        }
}

static const struct {
        const char *sign;
        Style style;
} remark_looks[_REMARK_KIND_MAX] = {
        [REMARK_HELD] = { "H", STYLE_BLUE },
        [REMARK_PENDING] = { "*", STYLE_DIM },
        [REMARK_ELSEWHERE] = { "o", STYLE_DIM },
        [REMARK_FOREIGN] = { "!", STYLE_DIM },
        [REMARK_WAITING] = { "~", STYLE_YELLOW },
        [REMARK_DEFERRED] = { "-/+", STYLE_YELLOW },
        [REMARK_BLOCKED] = { "!", STYLE_RED },
        [REMARK_UNKNOWN] = { "?", STYLE_RED },
};

static void print_remark(const Context *c, const Remark *m, int width) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char name[64];

        printf("%s%3s ", output_begin(c, remark_looks[m->kind].style), remark_looks[m->kind].sign);
        if (m->is_agent) {
                (void)snprintf(name, sizeof(name), "agent/%s", m->subject);
                printf("%-*s", width, name);
        } else
                print_safe(m->subject, width);
        printf("%s  ", output_end(c));
        strbuf_addf(&b, "%s: ", remark_kind_to_string(m->kind));
        strbuf_add(&b, m->text);
        if (m->line > 0)
                strbuf_addf(&b, " (line %u)", m->line);
        output_wrapped(c, output_text(&b), (size_t)width + 6);
        putchar('\n');
        if (m->help && m->kind >= REMARK_WAITING)
                printf("    %-*s  %s= %s%s\n", width, "", output_begin(c, STYLE_DIM), m->help,
                                output_end(c));
}

static bool is_quiet(const Plan *plan) {
        if (plan->n_actions > 0)
                return false;
        for (size_t i = 0; i < plan->n_remarks; i++)
                if (plan->remarks[i].kind != REMARK_FOREIGN &&
                                plan->remarks[i].kind != REMARK_ELSEWHERE)
                        return false;
        return true;
}

void output_plan(const Context *c, const Pass *p) {
        int width = address_width(p->plan);

        if (is_quiet(p->plan))
                return;
        print_header(c, p);
        putchar('\n');
        for (size_t i = 0; i < p->plan->n_actions; i++)
                print_action(c, p->plan->actions + i, width);
        for (size_t i = 0; i < p->plan->n_remarks; i++)
                print_remark(c, p->plan->remarks + i, width);
        putchar('\n');
}

/* --- counts ----------------------------------------------------------------------------------- */

/* "1 create, 2 restart; 1 held, 3 unchanged" */
static void add_counts(const Plan *plan, StrBuf *b) {
        const char *separator = "";

        for (int k = 0; k < _ACTION_KIND_MAX; k++) {
                size_t n = plan_count_actions(plan, (ActionKind)k);

                if (n == 0)
                        continue;
                strbuf_addf(b, "%s%zu %s", separator, n,
                                phrase((ActionKind)k, /* has_address= */ false));
                separator = ", ";
        }
        if (*separator)
                separator = "; ";
        for (int k = _REMARK_KIND_MAX - 1; k >= 0; k--) {
                size_t n = plan_count_remarks(plan, (RemarkKind)k);

                if (n == 0)
                        continue;
                strbuf_addf(b, "%s%zu %s", separator, n, remark_kind_to_string((RemarkKind)k));
                separator = ", ";
        }
        strbuf_addf(b, "%s%zu unchanged", separator, plan->n_unchanged);
}

static const char *code_text(ExitCode code) {
        switch (code) {
        case EXIT_OK:
                return "In sync";
        case EXIT_PENDING:
                return "Changes pending";
        case EXIT_BLOCKED:
                return "A person is needed";
        case EXIT_NOT_CONVERGED:
                return "Not converged";
        case EXIT_STALE:
                return "The plan is stale";
        case EXIT_UNKNOWN:
                return "Cannot tell";
        case EXIT_LOCKED:
                return "Locked";
        case EXIT_INVALID:
                return "The roster is invalid";
        case EXIT_INTERNAL:
        case EXIT_USAGE:
                break;
        }
        return "Error";
}

static Style code_style(ExitCode code) {
        if (code == EXIT_OK)
                return STYLE_GREEN;
        return code == EXIT_PENDING || code == EXIT_NOT_CONVERGED ? STYLE_YELLOW : STYLE_RED;
}

/* The last line: what the exit code says. */
static void print_code(const Context *c, ExitCode code, const char *text, const char *more) {
        printf("%s%s%s%s (exit %d)\n", output_begin(c, code_style(code)), text, output_end(c), more,
                        (int)code);
}

/* One quiet line when all is well; else the counts, and what they come to. */
static void print_plan_summary(const Context *c, const Pass *p, ExitCode code, const char *more) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char took[32];

        format_duration(took, sizeof(took), p->observe_usec);
        if (code == EXIT_OK && p->plan->n_unchanged == p->plan->n_agents) {
                size_t foreign = plan_count_remarks(p->plan, REMARK_FOREIGN);

                strbuf_addf(&b, ": %zu agent%s, ", p->plan->n_agents,
                                p->plan->n_agents == 1 ? "" : "s");
                if (foreign > 0)
                        strbuf_addf(&b, "%zu foreign, ", foreign);
                strbuf_addf(&b, "checked in %s", took);
        } else {
                _cleanup_strbuf_ StrBuf counts = STRBUF_NULL;

                add_counts(p->plan, &counts);
                strbuf_addf(&counts, "; checked in %s%s", took, more);
                printf("%sSummary%s   ", output_begin(c, STYLE_BOLD), output_end(c));
                output_wrapped(c, output_text(&counts), 10);
                putchar('\n');
        }
        print_code(c, code, code_text(code), output_text(&b));
}

void output_refused_summary(void) {
        printf("The roster is invalid; the one accepted before stays in force (exit %d)\n",
                        EXIT_INVALID);
}

void output_plan_summary(const Context *c, const Pass *p) {
        print_plan_summary(c, p, plan_exit_code(p->plan), "");
}

static Style check_style(CheckState s) {
        switch (s) {
        case CHECK_OK:
                return STYLE_GREEN;
        case CHECK_NOTE:
                return STYLE_BLUE;
        case CHECK_FAILED:
        case CHECK_UNKNOWN:
                break;
        }
        return STYLE_RED;
}

#define CHECK_INDENT 26

void output_check(const Context *c, const Check *check) {
        /* Beside the name, or, where that leaves no room, below it. */
        bool narrow = c->width > 0 && c->width < CHECK_INDENT + 34;
        int indent = narrow ? 4 : CHECK_INDENT;

        printf("%s%-8s%s ", output_begin(c, check_style(check->state)),
                        check_state_to_string(check->state), output_end(c));
        if (narrow)
                printf("%s\n%*s", check_name(check->kind), indent, "");
        else
                printf("%-16s ", check_name(check->kind));
        output_wrapped(c, check->text, (size_t)indent);
        putchar('\n');
        if (check->help && check->state != CHECK_OK)
                printf("%*s%s= %s%s\n", indent, "", output_begin(c, STYLE_DIM), check->help,
                                output_end(c));
        (void)fflush(stdout);
}

void output_checks(const Context *c, const Checks *checks) {
        for (size_t i = 0; i < checks->n_items; i++)
                output_check(c, checks->items + i);
}

ExitCode output_checks_code(const Checks *checks) {
        if (checks_count(checks, CHECK_FAILED) > 0)
                return EXIT_BLOCKED;
        return checks_count(checks, CHECK_UNKNOWN) > 0 ? EXIT_UNKNOWN : EXIT_OK;
}

void output_checks_summary(const Checks *checks, ExitCode code) {
        size_t failed = checks_count(checks, CHECK_FAILED);
        size_t unknown = checks_count(checks, CHECK_UNKNOWN);

        printf("%zu checks", checks->n_items);
        if (failed > 0)
                printf(", %zu failed", failed);
        if (unknown > 0)
                printf(", %zu not known", unknown);
        if (failed + unknown == 0)
                printf(", none failed");
        printf(" (exit %d)\n", (int)code);
}

void output_verify_summary(const Context *c, const Pass *p, const Checks *checks, ExitCode code) {
        size_t failed = checks_count(checks, CHECK_FAILED);
        char more[40] = "";

        if (failed > 0)
                (void)snprintf(more, sizeof(more), "; %zu check%s failed", failed,
                                failed == 1 ? "" : "s");
        print_plan_summary(c, p, code, more);
}

/* --- apply ------------------------------------------------------------------------------------ */

static const char *outcome_word(Outcome o) {
        switch (o) {
        case OUTCOME_DONE:
                return "ok";
        case OUTCOME_FAILED:
                return "FAILED";
        case OUTCOME_SKIPPED:
                return "skipped";
        case OUTCOME_NOT_STARTED:
                break;
        }
        return "-";
}

static Style outcome_style(Outcome o) {
        switch (o) {
        case OUTCOME_DONE:
                return STYLE_GREEN;
        case OUTCOME_FAILED:
                return STYLE_RED;
        case OUTCOME_SKIPPED:
        case OUTCOME_NOT_STARTED:
                break;
        }
        return STYLE_YELLOW;
}

void output_progress(const Context *c,
                const Plan *plan,
                const Report *report,
                size_t i,
                size_t n_ended) {
        const ActionResult *r = report->results + i;
        const Action *a = plan->actions + i;
        char name[64], took[32];

        printf("[%zu/%zu] %s%-7s%s %7s  %3s %s", n_ended, plan->n_actions,
                        output_begin(c, outcome_style(r->outcome)), outcome_word(r->outcome),
                        output_end(c), format_duration(took, sizeof(took), r->took_usec),
                        action_kind_to_sign(a->kind), address(a, name, sizeof(name)));
        if (r->text) {
                printf("\n        ");
                output_wrapped(c, r->text, 8);
        }
        putchar('\n');
        (void)fflush(stdout);
}

/* What the second look asks for and this run did not try, as a plan shows it. */
static void print_rest(const Context *c, const Pass *p) {
        int width = address_width(p->rest);

        for (size_t i = 0; i < p->rest->n_actions; i++) {
                const Action *a = p->rest->actions + i;

                if (a->agent && !plan_action(p->plan, a->agent))
                        print_action(c, a, width);
        }
        for (size_t i = 0; i < p->rest->n_remarks; i++)
                if (p->rest->remarks[i].kind != REMARK_FOREIGN)
                        print_remark(c, p->rest->remarks + i, width);
}

void output_report(const Context *c, const Pass *p) {
        static const Outcome order[] = { OUTCOME_FAILED, OUTCOME_SKIPPED, OUTCOME_NOT_STARTED };
        int width = address_width(p->plan);
        char name[64];

        if (p->plan->n_actions > 0)
                putchar('\n');
        for (size_t k = 0; k < ELEMENTSOF(order); k++)
                for (size_t i = 0; i < p->plan->n_actions; i++) {
                        const ActionResult *r = p->report->results + i;

                        if (r->outcome != order[k])
                                continue;
                        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                        printf("%s%-11s%s %-*s  ", output_begin(c, outcome_style(r->outcome)),
                                        outcome_to_string(r->outcome), output_end(c), width,
                                        address(p->plan->actions + i, name, sizeof(name)));
                        strbuf_addf(&b, "%s: %s",
                                        phrase(p->plan->actions[i].kind, /* has_address= */ true),
                                        r->text ? r->text : "interrupted");
                        output_wrapped(c, output_text(&b), (size_t)width + 14);
                        putchar('\n');
                }
        if (p->rest)
                print_rest(c, p);
}

void output_report_summary(const Context *c, const Pass *p, ExitCode code) {
        char took[32];

        if (p->plan->n_actions == 0 && !p->rest && code == plan_exit_code(p->plan)) {
                output_plan_summary(c, p);
                return;
        }
        printf("%sSummary%s   %zu done, %zu failed, %zu skipped, %zu not started; %s\n",
                        output_begin(c, STYLE_BOLD), output_end(c),
                        report_count(p->report, OUTCOME_DONE),
                        report_count(p->report, OUTCOME_FAILED),
                        report_count(p->report, OUTCOME_SKIPPED),
                        report_count(p->report, OUTCOME_NOT_STARTED),
                        format_duration(took, sizeof(took), p->apply_usec));
        print_code(c, code, code == EXIT_OK ? "Done" : code_text(code), "");
}
