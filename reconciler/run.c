/* SPDX-License-Identifier: MIT */
#include "reconciler/run.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "drivers/os/lock.h"
#include "drivers/os/state-link.h"
#include "drivers/store/history.h"
#include "drivers/store/pacing-record.h"
#include "drivers/store/store.h"
#include "model/base/format.h"
#include "model/base/suggest.h"
#include "model/json.h"
#include "model/base/strv.h"
#include "reconciler/complain.h"
#include "reconciler/heartbeat.h"
#include "reconciler/inside.h"
#include "reconciler/output.h"
#include "reconciler/saved-plan.h"

static volatile sig_atomic_t signal_came;

static void on_signal(int number) {
        signal_came = number;
}

/* The first INT or TERM ends the run at the next step with its table; the second at once. */
static void catch_signals(void) {
        struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        /* Who reads our output may leave; the work goes on, and main() says that the output was
         * lost. */
        (void)signal(SIGPIPE, SIG_IGN);
}

static bool was_interrupted(void *userdata _unused_) {
        return signal_came != 0;
}

int run_print_refusal(const Context *c, const char *verb, ExitCode code, const char *text) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        /* Of those that come one after another it is the last. */
        if (!c->json || (output_has_document() && !c->json_lines))
                return 0;
        json_open_object(&b, NULL);
        json_put_stringf(&b, "format", "mosaic.%s%s%s", c->group ? c->group : "",
                        c->group ? "." : "", verb);
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "message", text);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", (uint64_t)code);
        json_close(&b);
        json_close(&b);
        return c->json_lines ? output_print_line(&b) : output_print_document(&b);
}

int run_refuse(const Context *c, const char *verb, ExitCode code, const char *format, ...) {
        _cleanup_free_ char *raw = NULL, *text = NULL;
        _cleanup_strbuf_ StrBuf safe = STRBUF_NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(&raw, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        output_add_safe(&safe, raw);
        r = strbuf_finish(&safe, &text);
        if (r < 0)
                return r;
        fprintf(stderr, "mosaic: %s: %s (exit %d)\n", verb, text, (int)code);
        r = run_print_refusal(c, verb, code, text);
        return r < 0 ? r : (int)code;
}

int run_check_names(const Context *c, const Desired *d, bool may_have_left, char *const *names) {
        for (; names && *names; names++) {
                Suggestion s = suggestion_init(*names);
                int r;

                if (desired_find(d, *names))
                        continue;
                r = store_knows(c->paths, *names);
                if (r < 0)
                        return r;
                if (r > 0 && may_have_left)
                        continue;
                for (size_t i = 0; i < d->n_agents; i++)
                        suggestion_offer(&s, d->agents[i]->name);
                complain("no agent '%s' in the roster%s%s%s", *names,
                                r > 0 ? "; it left it and was not removed yet: 'mosaic fleet plan' "
                                        "says why"
                                : s.best ? "; did you mean '"
                                         : "",
                                r == 0 && s.best ? s.best : "", r == 0 && s.best ? "'?" : "");
                return EXIT_USAGE;
        }
        return 0;
}

/* Who is to be forced must be somebody: of the roster, or about to leave it. */
static int run_check_force(const Pass *p, char *const *names) {
        for (; names && *names; names++)
                if (!desired_find(p->desired, *names) && !observed_files(p->observed, *names)) {
                        complain("--force-busy %s: there is no such agent", *names);
                        return EXIT_USAGE;
                }
        return 0;
}

int run_load(Context *c, Pass *p) {
        int r;

        r = pass_load(c, p);
        if (r < 0)
                return r;
        if (r == EXIT_INVALID && c->json) {
                r = output_findings_json(c, p, EXIT_INVALID);
                return r < 0 ? r : EXIT_INVALID;
        }
        output_findings(c, p, /* warnings= */ false);
        if (r == EXIT_INVALID)
                printf("The roster is invalid, nothing was changed (exit %d)\n", EXIT_INVALID);
        return r;
}

int run_look(Context *c, const PlanPolicy *policy, bool details, Pass *p) {
        int r;

        r = context_open_driver(c);
        if (r == 0)
                r = pass_begin(c, p);
        if (r == 0)
                r = run_load(c, p);
        if (r != 0)
                return r;
        r = run_check_names(c, p->desired, /* may_have_left= */ false, policy->names);
        if (r != 0)
                return r;
        return pass_plan(c, policy, details, p);
}

int run_refuse_shared(const Context *c, const char *verb) {
        return run_refuse(c, verb, EXIT_BLOCKED,
                        "somebody else may write to %s or %s; 'mosaic doctor' says what to do",
                        c->paths->state, c->paths->runtime);
}

int run_claim_state(const Context *c, const char *verb) {
        _cleanup_free_ char *other = NULL;
        int r = state_link_claim(c->paths, &other);

        if (r != STATE_IS_ELSEWHERE)
                return r;
        return run_refuse(c, verb, EXIT_BLOCKED,
                        "this fleet keeps its state in %s, and here XDG_STATE_HOME leads to %s; "
                        "nothing was changed. If the other one is not in use any more: rm "
                        "%s/state",
                        other, c->paths->state, c->paths->runtime);
}

int run_lock(Context *c, const char *verb, const Options *o, int *ret_fd) {
        LockHolder holder;
        int r;

        r = lock_take(c->paths, verb, 0, ret_fd, &holder);
        if (r == LOCK_BUSY && o->lock_timeout_usec > 0) {
                complain("waiting for '%s', pid %d, to finish",
                                *holder.verb ? holder.verb : "unknown", (int)holder.pid);
                r = lock_take(c->paths, verb, o->lock_timeout_usec, ret_fd, &holder);
        }
        if (r == -EINTR)
                return run_refuse(c, verb, EXIT_INTERNAL, "interrupted; nothing was changed");
        if (r == -EPERM)
                return run_refuse_shared(c, verb);
        if (r == 0)
                return run_claim_state(c, verb);
        if (r != LOCK_BUSY)
                return r;
        return run_refuse(c, verb, EXIT_LOCKED, "another writer works on this fleet: '%s', pid %d",
                        *holder.verb ? holder.verb : "unknown", (int)holder.pid);
}

static bool confirmed(void) {
        char answer[16];

        printf("Do this? [y/N] ");
        (void)fflush(stdout);
        if (!fgets(answer, sizeof(answer), stdin))
                return false;
        return answer[0] == 'y' || answer[0] == 'Y';
}

typedef struct Progress {
        Context *c;
        size_t n_ended;
} Progress;

/* What is not done yet, for whoever wonders why it takes so long. */
static void say_open(const Plan *plan, const Report *report) {
        size_t n_open = 0, n_named = 0;
        char text[200];
        int n;

        for (size_t i = 0; i < plan->n_actions; i++)
                n_open += !report || report->results[i].outcome == OUTCOME_NOT_STARTED;
        n = snprintf(text, sizeof(text), "%zu of %zu done, waiting for", plan->n_actions - n_open,
                        plan->n_actions);
        for (size_t i = 0; i < plan->n_actions && n_named < 3; i++) {
                const Action *a = plan->actions + i;

                if (report && report->results[i].outcome != OUTCOME_NOT_STARTED)
                        continue;
                n += snprintf(text + n, sizeof(text) - (size_t)n, "%s %s %s",
                                n_named > 0 ? "," : "", action_kind_to_string(a->kind),
                                a->agent ? a->agent : "the tmux server");
                n_named++;
        }
        if (n_open > n_named)
                (void)snprintf(text + n, sizeof(text) - (size_t)n, " and %zu more",
                                n_open - n_named);
        heartbeat_set(text);
}

static void on_action(const Plan *plan, const Report *report, size_t i, void *userdata) {
        Progress *progress = userdata;

        progress->n_ended++;
        if (progress->c->json)
                return;
        output_progress(progress->c, plan, report, i, progress->n_ended);
        say_open(plan, report);
}

static int finish_run(Context *c, const RunChange *change, const Options *o, Pass *p) {
        ExitCode code = pass_exit_code(p);
        int r;

        if (change->conclude) {
                r = change->conclude(c, o, p, &code);
                if (r < 0)
                        return r;
        }
        if (c->json) {
                r = output_pass_json(c, change->verb, p, code);
                if (r < 0)
                        return r;
        } else {
                output_report(c, p);
                output_report_summary(c, p, code);
        }
        return (int)code;
}

/* What a person has seen, and said yes to. */
typedef struct Shown {
        Plan *plan;
        char roster_sha256[FINGERPRINT_SIZE];
} Shown;

static void shown_done(Shown *s) {
        plan_free(s->plan);
}

/* Shows the plan and asks, without the lock. Returns 0 to go on, an exit code, negative errno. */
static int show_and_ask(Context *c, const PlanPolicy *policy, Shown *ret) {
        _cleanup_pass_ Pass p = PASS_NULL;
        int r;

        r = run_look(c, policy, /* details= */ false, &p);
        if (r == 0)
                r = pass_settle(c, policy, NULL, &p);
        if (r != 0)
                return r;
        output_plan(c, &p);
        if (p.plan->n_actions > 0 && !confirmed()) {
                printf("Nothing was changed (exit %d)\n", EXIT_PENDING);
                return EXIT_PENDING;
        }
        (void)stpcpy(ret->roster_sha256, p.desired->roster_sha256);
        ret->plan = TAKE_PTR(p.plan);
        return 0;
}

/* What was shown when the plan was saved. Returns 0, an exit code after its sentence, negative
 * errno. */
static int read_saved(const Context *c, const char *path, const Pass *p, Plan **ret_shown) {
        _cleanup_free_ char *why = NULL;
        int r;

        r = saved_plan_read(c, p, path, ret_shown, &why);
        if (r == SAVED_PLAN_STALE)
                return run_refuse(c, "apply", EXIT_STALE,
                                "the saved plan is stale: %s; nothing was changed", why);
        if (r == -EBADMSG)
                return run_refuse(c, "apply", EXIT_STALE,
                                "%s is not a whole saved plan; nothing was changed", path);
        if (r < 0 && r != -ENOMEM)
                return run_refuse(c, "apply", EXIT_INTERNAL, "cannot read %s: %s", path,
                                strerror(-r));
        return r;
}

/* May p->plan be executed, given what was shown? 0, an exit code, negative errno. */
static int compare_with_shown(const Context *c,
                const RunChange *change,
                const Options *o,
                const Pass *p,
                Shown *shown) {
        int r;

        if (o->plan) {
                r = read_saved(c, o->plan, p, &shown->plan);
                if (r != 0)
                        return r;
        } else if (shown->plan && strcmp(shown->roster_sha256, p->desired->roster_sha256) != 0)
                return run_refuse(c, change->verb, EXIT_STALE,
                                "the roster was edited since you were asked; nothing was changed. "
                                "Look again");
        if (!shown->plan || plan_is_subset(p->plan, shown->plan))
                return 0;
        if (!c->json)
                output_plan(c, p);
        return run_refuse(c, change->verb, EXIT_STALE,
                        "this is more than what was shown; nothing was changed. Look again: mosaic "
                        "fleet plan");
}

/* To stop agents no roster is needed but the one that they were started by. Returns EXIT_INVALID if
 * there is none. */
static int load_for_stop(Context *c, Pass *p) {
        int r;

        r = pass_load(c, p);
        if (r != EXIT_INVALID)
                return r;
        r = pass_load_accepted(c, p);
        if (r == 0)
                fprintf(stderr, "mosaic: the roster is not valid; stopping by the one that was "
                                "accepted before\n");
        return r == -ENOENT ? EXIT_INVALID : r;
}

static int begin_look(Context *c, Pass *p) {
        int r = c->driver.world ? 0 : context_open_driver(c);

        return r < 0 ? r : pass_begin(c, p);
}

/* Under the lock: the roster is read now, not before the wait for it. */
static int prepare_change(Context *c,
                const RunChange *change,
                const Options *o,
                const ApplyCallbacks *callbacks,
                Pass *p,
                Shown *shown) {
        int r;

        r = change->policy.mode == PLAN_STOP ? load_for_stop(c, p) : EXIT_INVALID;
        if (r == EXIT_INVALID) {
                pass_done(p);
                /* What prepares may change what is looked at. */
                r = change->prepare ? 0 : begin_look(c, p);
                if (r == 0)
                        r = run_load(c, p);
        }
        if (r != 0)
                return r;
        r = run_check_names(c, p->desired, change->policy.mode == PLAN_STOP, change->policy.names);
        if (r != 0)
                return r;
        r = inside_check_verb(c, change->verb, &change->policy);
        if (r != 0)
                return r;
        if (change->prepare) {
                r = change->prepare(c, o, p);
                if (r != 0)
                        return r;
        }
        if (!c->driver.world) {
                r = context_open_driver(c);
                if (r < 0)
                        return r;
        }
        r = pass_plan(c, &change->policy, /* details= */ false, p);
        if (r == 0)
                r = pass_settle(c, &change->policy, callbacks, p);
        if (r == 0)
                r = run_check_force(p, change->policy.force_busy);
        if (r == 0 && change->policy.mode == PLAN_CONVERGE)
                r = inside_check_plan(c, change->verb, p->observed, p->plan);
        return r != 0 ? r : compare_with_shown(c, change, o, p, shown);
}

/* From here on it is in force, also for a controller that finds the file unreadable later. */
static int accept_roster(Context *c, const PlanPolicy *policy, const Pass *p) {
        uint64_t generation;

        return policy->mode == PLAN_STOP ? 0 : pass_accept_roster(c, p, &generation);
}

/* A person started them: what the controller held against them is forgotten. */
static int forget_pacing(const Context *c, Pass *p) {
        _cleanup_free_ char *aside = NULL;
        Pacing *pacing = &p->observed->pacing;
        size_t before = pacing->n_items;

        for (size_t i = 0; i < p->plan->n_actions; i++)
                if (p->plan->actions[i].agent && p->plan->actions[i].steps & STEP_START)
                        pacing_forget(pacing, p->plan->actions[i].agent);
        return pacing->n_items == before ? 0 : pacing_record_write(c->paths, pacing, &aside);
}

int run_change(Context *c, const RunChange *change, const Options *o) {
        Progress progress = { .c = c };
        ApplyCallbacks callbacks = {
                .done = on_action,
                .interrupted = was_interrupted,
                .userdata = &progress,
        };
        _cleanup_(shown_done) Shown shown = { 0 };
        _cleanup_pass_ Pass p = PASS_NULL;
        _cleanup_close_ int lock = -1;
        int r;

        if (c->supervisor_error != 0)
                return run_refuse(c, change->verb, EXIT_UNKNOWN,
                                "the user manager does not answer (%s), so who is to supervise "
                                "this fleet cannot be "
                                "chosen; say it: mosaic fleet init --supervisor",
                                strerror(-c->supervisor_error));
        if (change->ask) {
                r = show_and_ask(c, &change->policy, &shown);
                if (r != 0)
                        return r;
        }
        catch_signals();
        r = run_lock(c, change->verb, o, &lock);
        if (r != 0)
                return r;
        if (signal_came)
                return run_refuse(
                                c, change->verb, EXIT_INTERNAL, "interrupted; nothing was changed");
        r = prepare_change(c, change, o, &callbacks, &p, &shown);
        if (r != 0)
                return r;
        if ((!shown.plan || o->plan) && !c->json)
                output_plan(c, &p);
        (void)fflush(stdout);
        if (!c->json) {
                say_open(p.plan, NULL);
                heartbeat_start();
        }
        r = accept_roster(c, &change->policy, &p);
        if (r == 0)
                r = pass_apply(c, &change->policy, &callbacks, &p);
        heartbeat_stop();
        if (r == 0)
                r = forget_pacing(c, &p);
        if (r < 0)
                return r;
        if (history_append(c->paths, change->verb, p.plan, p.report) < 0)
                fprintf(stderr, "mosaic: what was done could not be added to the history\n");
        return finish_run(c, change, o, &p);
}
