/* SPDX-License-Identifier: MIT */
#include "reconciler/preflight.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/machine/checks.h"
#include "drivers/machine/scratch.h"
#include "drivers/os/lock.h"
#include "drivers/tmux/server.h"
#include "drivers/os/process.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strv.h"
#include "model/json.h"
#include "reconciler/pass.h"

/* Two agents, of which one's name begins like the other's: an inexact target would meet both. */
#define AGENT_A "canary"
#define AGENT_B "canary-two"
#define AGENT_PREFIX "canary-tw"

/* Longer than the verb itself waits for the agent. */
#define MESSAGE_TIMEOUT_USEC (60 * USEC_PER_SEC)
#define MESSAGE_OUTPUT_MAX (1024 * 1024)

static const char scratch_roster[] =
                "version: 1\n"
                "runtimes:\n"
                "  preflight: { command: [/bin/cat] }\n"
                "agents:\n"
                "  " AGENT_A ": { runtime: preflight, workdir: \"@top@/work/" AGENT_A "\" }\n"
                "  " AGENT_B ": { runtime: preflight, workdir: \"@top@/work/" AGENT_B "\" }\n";

static const char *const agents[] = { AGENT_A, AGENT_B };

typedef struct Seen {
        uint64_t pid; /* 0: it does not run */
        char pane[16];
} Seen;

typedef struct Preflight {
        Context *c;
        const PreflightCallbacks *callbacks;
        Checks *checks;
        Scratch *scratch;
        char *unit_prefix;
        char *socket;
        char *why; /* what a step that went wrong said */
        Seen seen[ELEMENTSOF(agents)];
        struct stat default_before; /* the default server's socket; st_ino 0: none */
} Preflight;

static void preflight_done(Preflight *p) {
        scratch_free(p->scratch);
        free(p->unit_prefix);
        free(p->socket);
        free(p->why);
}

/* --- running the program in there ------------------------------------------------------------- */

/* Something was not as it should be: a named outcome, with p->why. */
#define WENT_WRONG 1

static int went_wrong(Preflight *p, const char *format, ...) _printf_(2, 3);

static int went_wrong(Preflight *p, const char *format, ...) {
        va_list ap;
        int r;

        free(p->why);
        va_start(ap, format);
        r = format_valist(&p->why, format, ap);
        va_end(ap);
        return r < 0 ? r : WENT_WRONG;
}

/* The first of what failed, in the document of a verb; "" if it does not say. */
static const char *first_failure(const Json *document) {
        const Json *actions = json_get(document, "actions"), *files = json_get(document, "files");

        for (size_t i = 0; i < json_length(actions); i++) {
                const Json *result = json_get(json_at(actions, i), "result");

                if (strcmp(json_text(result, "outcome"), "failed") == 0)
                        return json_text(result, "message");
        }
        for (size_t i = 0; i < json_length(files); i++)
                if (strcmp(json_text(json_at(files, i), "status"), "failed") == 0)
                        return json_text(json_at(files, i), "note");
        return "";
}

/* A verb that was carried out says in its document what failed, another one in a sentence. */
static int ended_badly(Preflight *p, const char *words, const ProcessResult *result) {
        _cleanup_json_ Json *j = NULL;
        const char *why = result->errors;

        if (json_parse(result->output, result->output_size, &j) == -ENOMEM)
                return -ENOMEM;
        if (!*why && j)
                why = first_failure(j);
        return went_wrong(p, "'mosaic %s' ended with %d: %.*s", words, result->status,
                        (int)strcspn(why, "\n"), why);
}

/* Runs `mosaic WORDS... --json`, which must end with 0. @ret may be NULL. */
static int ask(Preflight *p, const char *words, Json **ret) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        _cleanup_strv_ char **argv = NULL;
        int r = 0;

        for (const char *s = words; r == 0 && *s; s += strspn(s, " ")) {
                size_t n = strcspn(s, " ");

                r = strv_pushf(&argv, "%.*s", (int)n, s);
                s += n;
        }
        if (r == 0)
                r = strv_push(&argv, "--json");
        if (r == 0)
                r = scratch_run(p->scratch, argv, &result);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return went_wrong(p, "'mosaic %s': %s", words, strerror(-r));
        if (result.signal != 0)
                return went_wrong(p, "'mosaic %s' was ended by signal %d", words, result.signal);
        if (result.status != 0)
                return ended_badly(p, words, &result);
        if (!ret)
                return 0;
        r = json_parse(result.output, result.output_size, ret);
        if (r == -ENOMEM)
                return r;
        return r < 0 ? went_wrong(p, "'mosaic %s' printed no JSON", words) : 0;
}

/* The same, and nothing may have been done. */
static int ask_in_vain(Preflight *p, const char *words) {
        _cleanup_json_ Json *j = NULL;
        int r = ask(p, words, &j);

        if (r == 0 && json_length(json_get(j, "actions")) > 0)
                return went_wrong(p, "a second 'mosaic %s' did %zu things", words,
                                json_length(json_get(j, "actions")));
        return r;
}

/* Looks at the agents; the tmux socket and the unit names are learned on the way. */
static int look(Preflight *p, Seen ret[static ELEMENTSOF(agents)]) {
        _cleanup_json_ Json *j = NULL;
        const Json *list, *target;
        int r;

        r = ask(p, "fleet status", &j);
        if (r != 0)
                return r;
        list = json_get(j, "agents");
        target = json_get(j, "target");
        for (size_t i = 0; i < ELEMENTSOF(agents); i++) {
                const Json *a = json_at(list, i);
                const char *pane = json_get_string(a, "pane");

                ret[i] = (Seen){ 0 };
                if (json_get(a, "pid") && json_get_uint64(a, "pid", &ret[i].pid) < 0)
                        return went_wrong(p, "the status of %s has no pid", agents[i]);
                (void)snprintf(ret[i].pane, sizeof(ret[i].pane), "%s", pane ? pane : "");
        }
        if (p->unit_prefix)
                return 0;
        if (format_text(&p->unit_prefix, "mosaic-%s-", json_get_string(target, "fleet_id")) < 0)
                return -ENOMEM;
        p->socket = strdup(json_get_string(target, "socket"));
        return p->socket ? 0 : -ENOMEM;
}

/* Both run, and the look is remembered. */
static int look_both_run(Preflight *p, Seen ret[static ELEMENTSOF(agents)]) {
        int r = look(p, ret);

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(agents); i++)
                if (ret[i].pid == 0)
                        return went_wrong(p, "%s does not run", agents[i]);
        return r;
}

/* --- the steps -------------------------------------------------------------------------------- */

static int good(Preflight *p, CheckKind kind, const char *format, ...) _printf_(3, 4);

static int good(Preflight *p, CheckKind kind, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return checks_add(p->checks, kind, CHECK_OK, "%s", text);
}

static int step_install(Preflight *p) {
        _cleanup_json_ Json *j = NULL;
        bool systemd = p->scratch->supervisor == SUPERVISOR_SYSTEMD;
        uint64_t n_new = 0;
        size_t n_files;
        int r;

        r = ask(p,
                        systemd ? "fleet init --write --supervisor systemd"
                                : "fleet init --write --supervisor direct",
                        NULL);
        if (r != 0)
                return r;
        r = scratch_write_roster(p->scratch, scratch_roster, agents, ELEMENTSOF(agents));
        if (r < 0)
                return r == -ENOMEM ? r
                                    : went_wrong(p, "%s cannot be written: %s", p->scratch->top,
                                                      strerror(-r));
        r = ask(p, systemd ? "fleet install-systemd" : "update", &j);
        if (r != 0)
                return r;
        n_files = json_length(json_get(j, "files"));
        if (json_get_uint64(json_get(j, "summary"), "new", &n_new) < 0 || n_new != n_files)
                return went_wrong(p, "%zu of %zu shipped files could be written", (size_t)n_new,
                                n_files);
        if (systemd) {
                bool reloaded = false;

                if (json_get_bool(j, "reloaded", &reloaded) < 0 || !reloaded || json_get(j, "note"))
                        return went_wrong(p, "the user manager did not read the units: %s",
                                        json_get(j, "note") ? json_get_string(j, "note")
                                                            : "no reload");
        }
        return good(p, CHECK_INSTALL, "%zu shipped files written into a home of its own%s", n_files,
                        systemd ? ", and the user manager has read the units" : "");
}

static int step_start(Preflight *p) {
        int r = ask(p, "fleet start", NULL);

        if (r == 0)
                r = look_both_run(p, p->seen);
        if (r == 0)
                r = ask_in_vain(p, "fleet plan");
        if (r != 0)
                return r;
        return good(p, CHECK_START, "%zu agents run (pids %llu, %llu), and the plan is empty",
                        ELEMENTSOF(agents), (unsigned long long)p->seen[0].pid,
                        (unsigned long long)p->seen[1].pid);
}

static int step_start_again(Preflight *p) {
        Seen now[ELEMENTSOF(agents)];
        int r = ask_in_vain(p, "fleet start");

        if (r == 0)
                r = look_both_run(p, now);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(agents); i++)
                if (now[i].pid != p->seen[i].pid)
                        return went_wrong(p, "%s has another process", agents[i]);
        return r != 0 ? r : good(p, CHECK_START_AGAIN, "did nothing, the pids are the same");
}

/* Whether tmux finds a session of exactly this name. */
static int has_session(Preflight *p, const char *name, bool *ret) {
        _cleanup_(tmux_server_freep) TmuxServer *server = NULL;
        _cleanup_free_ char *command = NULL;
        int r;

        r = tmux_server_new(p->socket, "preflight", p->scratch->tmux_dir, &server);
        if (r < 0)
                return r;
        if (format_text(&command, "has-session -t '=%s'\n", name) < 0)
                return -ENOMEM;
        r = tmux_server_run(server, command, NULL, NULL);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return went_wrong(p, "tmux does not answer: %s", strerror(-r));
        *ret = r == 0;
        return 0;
}

static int step_exact_target(Preflight *p) {
        Seen now[ELEMENTSOF(agents)];
        bool whole = false, part = true;
        int r = ask(p, "fleet stop " AGENT_A, NULL);

        if (r == 0)
                r = look(p, now);
        if (r != 0)
                return r;
        if (now[0].pid != 0)
                return went_wrong(p, "%s was stopped and has pid %llu", AGENT_A,
                                (unsigned long long)now[0].pid);
        if (now[1].pid != p->seen[1].pid)
                return went_wrong(p, "%s was stopped, and %s is not the process it was", AGENT_A,
                                AGENT_B);
        r = has_session(p, AGENT_B, &whole);
        if (r == 0)
                r = has_session(p, AGENT_PREFIX, &part);
        if (r != 0)
                return r;
        if (!whole || part)
                return went_wrong(p, "tmux %s '=%s' and %s '=%s'",
                                whole ? "finds" : "does not find", AGENT_B,
                                part ? "finds" : "does not find", AGENT_PREFIX);
        r = ask(p, "fleet start " AGENT_A, NULL);
        if (r == 0)
                r = look_both_run(p, p->seen);
        return r != 0 ? r
                      : good(p, CHECK_EXACT_TARGET, "'stop %s' left %s alone; '=%s' is no session",
                                        AGENT_A, AGENT_B, AGENT_PREFIX);
}

static int step_restart(Preflight *p) {
        Seen now[ELEMENTSOF(agents)];
        int r = ask(p, "fleet restart", NULL);

        if (r == 0)
                r = look_both_run(p, now);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(agents); i++) {
                if (now[i].pid == p->seen[i].pid)
                        return went_wrong(p, "%s still has pid %llu", agents[i],
                                        (unsigned long long)now[i].pid);
                if (strcmp(now[i].pane, p->seen[i].pane) != 0)
                        return went_wrong(p, "the pane of %s is another one", agents[i]);
        }
        if (r != 0)
                return r;
        memcpy(p->seen, now, sizeof(now));
        return good(p, CHECK_RESTART, "new processes (pids %llu, %llu) in the same panes",
                        (unsigned long long)now[0].pid, (unsigned long long)now[1].pid);
}

static int step_stop(Preflight *p) {
        int r = ask(p, "fleet stop", NULL);

        if (r != 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(agents); i++)
                if (kill((pid_t)p->seen[i].pid, 0) == 0)
                        return went_wrong(p, "pid %llu of %s is still there",
                                        (unsigned long long)p->seen[i].pid, agents[i]);
        if (access(p->socket, F_OK) == 0)
                return went_wrong(p, "the socket is still there: %s", p->socket);
        return good(p, CHECK_STOP, "both processes, the tmux server and its socket are gone");
}

static int step_stop_again(Preflight *p) {
        int r = ask_in_vain(p, "fleet stop");

        return r != 0 ? r : good(p, CHECK_STOP_AGAIN, "did nothing");
}

static int step_start_after_stop(Preflight *p) {
        int r = ask(p, "fleet start", NULL);

        if (r == 0)
                r = look_both_run(p, p->seen);
        if (r == 0)
                r = ask_in_vain(p, "fleet plan");
        return r != 0 ? r
                      : good(p, CHECK_START_AFTER_STOP,
                                        "both run again (pids %llu, %llu), and the plan is empty",
                                        (unsigned long long)p->seen[0].pid,
                                        (unsigned long long)p->seen[1].pid);
}

/* --- beside the throw-away fleet -------------------------------------------------------------- */

/* What is at the default server's socket, by stat(2) alone. */
static int stat_default(struct stat *ret) {
        const char *tmpdir = getenv("TMUX_TMPDIR");
        _cleanup_free_ char *path = NULL;
        int r = tmux_socket_path(tmpdir && *tmpdir ? tmpdir : "/tmp", "default", &path);

        *ret = (struct stat){ 0 };
        if (r < 0)
                return r == -ENAMETOOLONG ? 0 : r;
        if (stat(path, ret) < 0)
                *ret = (struct stat){ 0 };
        return 0;
}

static int check_untouched(Preflight *p) {
        struct stat now;
        int r = stat_default(&now);

        if (r < 0)
                return r;
        if (now.st_ino != p->default_before.st_ino || now.st_dev != p->default_before.st_dev)
                return checks_add(p->checks, CHECK_UNTOUCHED, CHECK_FAILED,
                                "the socket of the default tmux server is not the one it was");
        return checks_add(p->checks, CHECK_UNTOUCHED, CHECK_OK,
                        now.st_ino ? "the default tmux server has the socket it had"
                                   : "there was no default tmux server, and there is none");
}

/* What this program would do to the fleet that is there. */
static int check_live_plan(Preflight *p, Pass *live) {
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        size_t n = 0;
        int r;

        if (access(p->c->paths->roster, F_OK) < 0)
                return checks_add_help(p->checks, CHECK_LIVE_PLAN, CHECK_NOTE, NULL,
                                "there is no roster: %s", p->c->paths->roster);
        r = pass_load(p->c, live);
        if (r < 0)
                return r;
        if (r > 0)
                return checks_add_help(p->checks, CHECK_LIVE_PLAN, CHECK_FAILED,
                                "mosaic fleet validate", "the roster has %zu errors",
                                live->diags.n_errors);
        r = context_open_driver(p->c);
        if (r == 0)
                r = pass_plan(p->c, &policy, /* details= */ false, live);
        if (r < 0)
                return r;
        for (size_t i = 0; i < live->plan->n_actions; i++)
                n += action_disruption(live->plan->actions[i].kind) != DISRUPTION_NONE;
        if (n > 0)
                return checks_add(p->checks, CHECK_LIVE_PLAN, CHECK_FAILED,
                                "mosaic %s would disrupt %zu of %zu agents", MOSAIC_VERSION, n,
                                live->plan->n_agents);
        if (plan_exit_code(live->plan) == EXIT_UNKNOWN)
                return checks_add(p->checks, CHECK_LIVE_PLAN, CHECK_UNKNOWN,
                                "the fleet could not be seen completely");
        return checks_add(p->checks, CHECK_LIVE_PLAN, CHECK_OK,
                        "%zu agent%s, %zu action%s planned, none disrupts anybody",
                        live->plan->n_agents, live->plan->n_agents == 1 ? "" : "s",
                        live->plan->n_actions, live->plan->n_actions == 1 ? "" : "s");
}

/* A real message to an agent of the live fleet, as anybody would send it. */
static int check_live_message(Preflight *p, const char *name) {
        static const char message[] = "A test of the message path (mosaic fleet preflight); please "
                                      "answer with one word.";
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        _cleanup_strv_ char **argv = NULL;
        _cleanup_json_ Json *j = NULL;
        const char *why;
        int r;

        r = strv_push(&argv, p->c->paths->program);
        for (const char *const *word = (const char *const[]){ "agent", "send", name, "-", "--json",
                             NULL };
                        r == 0 && *word; word++)
                r = strv_push(&argv, *word);
        if (r < 0)
                return r;
        r = process_run(&(ProcessRequest){ .argv = argv,
                                        .input = message,
                                        .input_size = sizeof(message) - 1,
                                        .output_max = MESSAGE_OUTPUT_MAX,
                                        .timeout_usec = MESSAGE_TIMEOUT_USEC },
                        &result);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return checks_add(p->checks, CHECK_LIVE_MESSAGE, CHECK_UNKNOWN,
                                "'mosaic agent send %s': %s", name, strerror(-r));
        if (json_parse(result.output, result.output_size, &j) == -ENOMEM)
                return -ENOMEM;
        if (result.status == EXIT_OK && j)
                return checks_add(p->checks, CHECK_LIVE_MESSAGE, CHECK_OK,
                                "%s has a message of %zu bytes: %s", name, sizeof(message) - 1,
                                json_get_string(j, "result"));
        why = j ? json_get_string(j, "why") : NULL;
        return checks_add(p->checks, CHECK_LIVE_MESSAGE,
                        result.status == EXIT_UNKNOWN ? CHECK_UNKNOWN : CHECK_FAILED,
                        "'mosaic agent send %s' ended with %d: %.*s", name, result.status,
                        (int)strcspn(why ? why : result.errors, "\n"), why ? why : result.errors);
}

/* Takes the throw-away fleet down, whatever state it is in. A signal that a person sends to all of
 * the terminal may also end what does this: then again. WENT_WRONG with p->why: its directory
 * stays, for the next try. */
static int take_down(Preflight *p) {
        _cleanup_free_ char *left = NULL;
        int r = 0;

        p->scratch->keep = true;

        for (int i = 0; i < 3; i++) {
                /* Interrupted before there was a roster, it has nothing that could run. */
                r = access(p->scratch->roster, F_OK) == 0 ? ask(p, "fleet stop", NULL) : 0;
                if (r == 0)
                        r = ask(p, "fleet uninstall-systemd --purge", NULL);
                if (r <= 0)
                        break;
        }
        if (r == 0)
                r = scratch_leftovers(p->scratch, p->unit_prefix, &left);
        if (r != 0)
                return r;
        if (*left)
                return went_wrong(p, "left behind: %s", left);
        p->scratch->keep = false;
        return 0;
}

static int check_gone(Preflight *p) {
        int r = take_down(p);

        if (r < 0)
                return r;
        if (r == WENT_WRONG)
                return checks_add_help(p->checks, CHECK_GONE, CHECK_FAILED,
                                "mosaic fleet preflight",
                                "%s; what is left belongs to %s, and the next preflight takes it "
                                "down",
                                p->why, p->scratch->top);
        return checks_add(p->checks, CHECK_GONE, CHECK_OK,
                        "no process, unit, socket or file of the throw-away fleet is left");
}

/* One that was killed with -9 could not do that; its fleet is found by the lock that it left. */
static int take_down_dead(Preflight *p, const char *top) {
        int r = scratch_adopt(p->c->paths, top, &p->scratch);

        if (r == LOCK_BUSY)
                return 0;
        if (r == 0)
                r = take_down(p);
        else if (r != -ENOMEM)
                r = went_wrong(p, "%s", strerror(-r));
        p->scratch = scratch_free(p->scratch);
        if (r < 0)
                return r;
        if (r == WENT_WRONG)
                return checks_add_help(p->checks, CHECK_STALE, CHECK_FAILED, NULL,
                                "the throw-away fleet of a killed preflight could not be taken "
                                "down: %s: %s",
                                top, p->why);
        return checks_add(p->checks, CHECK_STALE, CHECK_OK,
                        "the throw-away fleet of a killed preflight was taken down: %s", top);
}

static int take_down_all_dead(Preflight *p) {
        _cleanup_strv_ char **tops = NULL;
        int r;

        r = scratch_find_dead(&tops);
        for (char **top = tops; r == 0 && top && *top && !p->callbacks->interrupted(); top++)
                r = take_down_dead(p, *top);
        return r;
}

/* --- all of it -------------------------------------------------------------------------------- */

static void show_since(const Preflight *p, size_t *n_shown) {
        for (; *n_shown < p->checks->n_items; (*n_shown)++)
                if (p->callbacks->done)
                        p->callbacks->done(p->c, p->checks->items + *n_shown);
}

static int try_out(Preflight *p, size_t *n_shown) {
        static const struct {
                CheckKind kind;
                int (*run)(Preflight *p);
        } steps[] = {
                { CHECK_INSTALL, step_install },
                { CHECK_START, step_start },
                { CHECK_START_AGAIN, step_start_again },
                { CHECK_EXACT_TARGET, step_exact_target },
                { CHECK_RESTART, step_restart },
                { CHECK_STOP, step_stop },
                { CHECK_STOP_AGAIN, step_stop_again },
                { CHECK_START_AFTER_STOP, step_start_after_stop },
        };
        bool go_on = true;

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                int r;

                if (go_on && p->callbacks->interrupted()) {
                        go_on = false;
                        r = checks_add(p->checks, steps[i].kind, CHECK_UNKNOWN, "interrupted");
                } else if (!go_on) {
                        r = checks_add(p->checks, steps[i].kind, CHECK_UNKNOWN,
                                        "not tried, because of what is above");
                } else {
                        r = steps[i].run(p);
                        if (r == WENT_WRONG) {
                                bool stopped = p->callbacks->interrupted();

                                go_on = false;
                                r = checks_add(p->checks, steps[i].kind,
                                                stopped ? CHECK_UNKNOWN : CHECK_FAILED, "%s",
                                                stopped ? "interrupted" : p->why);
                        }
                }
                if (r < 0)
                        return r;
                show_since(p, n_shown);
        }
        return 0;
}

static int check_machine(Preflight *p, size_t *n_shown) {
        _cleanup_pass_ Pass live = PASS_NULL;
        CheckSubject subject;
        int r;

        r = check_live_plan(p, &live);
        if (r < 0)
                return r;
        subject = (CheckSubject){ p->c->paths, p->c->record, live.desired, live.observed };
        r = machine_checks(CHECK_BY_PREFLIGHT, &subject, p->checks);
        show_since(p, n_shown);
        return r;
}

int preflight_run(Context *c, const PreflightCallbacks *callbacks, const char *live, Checks *ret) {
        _cleanup_(preflight_done) Preflight p = { .c = c, .callbacks = callbacks, .checks = ret };
        size_t n_shown = 0;
        int r, q;

        r = stat_default(&p.default_before);
        if (r == 0)
                r = check_machine(&p, &n_shown);
        if (r == 0 && live && !callbacks->interrupted()) {
                r = check_live_message(&p, live);
                show_since(&p, &n_shown);
        }
        if (r == 0) {
                r = take_down_all_dead(&p);
                show_since(&p, &n_shown);
        }
        if (r < 0)
                return r;
        r = scratch_new(c->paths, c->record->supervisor, &p.scratch);
        if (r == SCRATCH_NO_MANAGER)
                r = checks_add(ret, CHECK_INSTALL, CHECK_UNKNOWN,
                                "without a user manager no throw-away fleet can be tried out");
        else if (r < 0 && r != -ENOMEM)
                r = checks_add(ret, CHECK_INSTALL, CHECK_UNKNOWN,
                                "no directory for a throw-away fleet could be made in $TMPDIR or "
                                "/tmp: %s",
                                strerror(-r));
        show_since(&p, &n_shown);
        if (!p.scratch)
                return r;
        r = try_out(&p, &n_shown);
        q = check_gone(&p);
        if (r == 0)
                r = q;
        if (r == 0)
                r = check_untouched(&p);
        show_since(&p, &n_shown);
        return r;
}
