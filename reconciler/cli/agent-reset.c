/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "drivers/os/clock.h"
#include "model/base/parse.h"
#include "model/base/strv.h"
#include "reconciler/agent-deliver.h"
#include "reconciler/complain.h"
#include "reconciler/holds.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

#define LOOK_USEC (50 * USEC_PER_MSEC)

/* Whoever submitted a command may not trust the first empty box: the program takes a moment to
 * begin anew. */
static int wait_ready(AgentLook *a, bool *ret) {
        uint64_t deadline;

        clock_pause(a->talk->reset_settle_usec);
        deadline = clock_monotonic_usec() + a->talk->ready_timeout_usec;
        for (*ret = false; !*ret; clock_pause(LOOK_USEC)) {
                int r = agent_look_screen(a);

                if (r < 0)
                        return r;
                *ret = a->shown.known && !a->verdict.busy &&
                       (a->verdict.composer_empty || a->verdict.unfocused);
                if (*ret || !a->alive || clock_monotonic_usec() >= deadline)
                        break;
        }
        return 0;
}

static int
print_json(const AgentLook *a, const DeliverRequest *q, const Delivered *d, bool ready, int code) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        output_put_head(&b, a->c, "reset", a->roster_invalid ? NULL : a->pass.desired);
        json_put_string(&b, "command", a->talk->reset_keys);
        json_put_bool(&b, "ready", ready);
        json_put_string(&b, "state", screen_state_to_string(a->verdict.state));
        agent_deliver_put(&b, a, q, d);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", (uint64_t)code);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

static int conclude(AgentLook *a, const DeliverRequest *q, const Delivered *d) {
        bool ready = false;
        int code = d->code, r;

        if (d->code == 0) {
                r = wait_ready(a, &ready);
                if (r < 0)
                        return r;
                if (!ready)
                        code = a->alive ? EXIT_UNKNOWN : EXIT_NOT_CONVERGED;
        }
        if (d->code != 0)
                agent_deliver_print(a, q, d);
        else if (!ready)
                complain("reset: %s took %s, but %s (exit %d)", a->name, a->talk->reset_keys,
                                a->alive ? "shows no empty input box since" : "ended", code);
        else if (!a->c->json)
                printf("%s took %s and shows an empty input box again (exit 0)\n", a->name,
                                a->talk->reset_keys);
        r = a->c->json ? print_json(a, q, d, ready, code) : 0;
        return r < 0 ? r : code;
}

/* What does not run is not said to lack a command: its words may not be known at all. */
static int refuse_without_command(const AgentLook *a) {
        _cleanup_free_ char *why = NULL;
        int r;

        r = agent_look_check(a, &why);
        if (r < 0)
                return r;
        if (r > 0)
                return run_refuse(a->c, "reset", (ExitCode)r, "%s: %s", a->name, why);
        return run_refuse(a->c, "reset", EXIT_BLOCKED,
                        "the runtime of %s has no reset command (reset.keys); 'mosaic agent reset "
                        "%s --restart' makes a new process",
                        a->name, a->name);
}

static int reset_new(Context *c, const Options *o) {
        _cleanup_agent_look_ AgentLook agent = { 0 };
        _cleanup_delivered_ Delivered d = { 0 };
        DeliverRequest q = {
                .verb = "reset",
                .timeout_usec = o->timeout_usec,
                .wait_idle = true,
        };
        int r;

        r = agent_look_open(&agent, c, o->names[0]);
        if (r != 0)
                return r;
        q.body = agent.talk->reset_keys;
        if (!q.body)
                return refuse_without_command(&agent);
        q.size = strlen(q.body);
        r = agent_deliver(&agent, &q, &d);
        return r < 0 ? r : conclude(&agent, &q, &d);
}

static int prepare(Context *c, const Options *o, const Pass *p) {
        return holds_release(c, p->desired, o->names);
}

static int reset_restart(Context *c, const Options *o) {
        RunChange change = {
                .verb = "reset",
                .policy = PLAN_POLICY_DEFAULT,
                .prepare = prepare,
        };

        change.policy.mode = PLAN_RESTART;
        change.policy.names = o->names;
        return run_change(c, &change, o);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_RESET | OPTION_LOCK_TIMEOUT, argc, argv, &o);
        if (r != 0)
                return r;
        if (strv_length(o.names) != 1 || o.reset_new == o.reset_restart) {
                fprintf(stderr, "mosaic: reset: name one agent, and say --new or --restart\n");
                return EXIT_USAGE;
        }
        return o.reset_new ? reset_new(c, &o) : reset_restart(c, &o);
}

const Verb verb_agent_reset = {
        .group = "agent",
        .name = "reset",
        .task = TASK_AGENT,
        .synopsis = "NAME --new | --restart [OPTION...]",
        .summary = "Let an agent begin anew",
        .words = "@agent",
        .help = "--new waits until the agent is idle, types its runtime's reset command with the\n"
                "same care as 'send', and waits until it shows an empty input box again.\n"
                "\n"
                "Options:\n"
                "      --new             Send the reset command (pi: /new, claude: /clear)\n"
                "      --restart         Replace the process, as 'mosaic fleet restart'\n"
                "      --timeout T       --new: wait this long for the agent (30s)\n"
                "      --lock-timeout T  --restart: wait this long for another writer (30s)\n"
                "      --json            Print the result as JSON\n"
                "      --color WHEN      auto, always or never\n"
                "\n"
                "Exit status: 0 begun anew, 3 a person is needed, 4 it does not run, 6 not\n"
                "confirmed, 7 not ready or locked in time.\n"
                "\n"
                "Examples:\n"
                "  mosaic agent reset web --new\n",
        .run = run,
};
