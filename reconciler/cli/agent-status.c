/* SPDX-License-Identifier: MIT */

#include "drivers/os/clock.h"
#include "model/base/parse.h"
#include "reconciler/agent-status.h"
#include "reconciler/in-force.h"
#include "reconciler/options.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

/* One look and what it says. Returns an exit code or a negative errno. */
static int look(Context *c, char *const *names, bool clear) {
        _cleanup_in_force_ InForce f = { 0 };
        Activity *activities = NULL;
        AgentStatus s;
        int r;

        r = in_force_look(c, "status", names, &f);
        if (r == 0)
                r = activities_look(&c->driver, f.pass.desired, f.pass.observed, &activities);
        if (r != 0)
                return r;
        s = (AgentStatus){
                .pass = &f.pass,
                .refused = in_force_refused(&f),
                .activities = activities,
                .names = names,
        };
        if (clear)
                printf("\033[H\033[2J");
        r = c->json ? agent_status_print_json(c, &s) : agent_status_print(c, &s);
        if (r == 0)
                r = (int)agent_status_exit(&s);
        activities_free(activities, f.pass.desired->n_agents);
        return r;
}

/* Each look stands by itself: a fleet that was stopped, moved to another socket or started again
 * meanwhile is seen as it is then, and so is a terminal that changed its size. */
static int look_afresh(const Context *c, char *const *names) {
        _cleanup_context_ Context now = { 0 };
        int r;

        r = context_open(&now);
        if (r < 0)
                return r;
        now.group = c->group;
        now.json = c->json;
        now.json_lines = c->json_lines;
        now.color = c->color;
        now.color_errors = c->color_errors;
        return look(&now, names, /* clear= */ !c->json);
}

static int watch(const Context *c, const Options *o) {
        for (;;) {
                int r = look_afresh(c, o->names);

                /* A roster in the middle of an edit is said to be so, and looked at again. */
                if (r < 0 || r == EXIT_USAGE)
                        return r;
                if (fflush(stdout) != 0)
                        return EXIT_INTERNAL;
                clock_pause(o->interval_usec);
        }
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_WATCH, argc, argv, &o);
        if (r != 0)
                return r;
        if (!o.watch) {
                context_page(c);
                return look(c, o.names, /* clear= */ false);
        }
        if (!c->json && c->width == 0) {
                fprintf(stderr, "mosaic: status: --watch draws on a terminal; elsewhere use it "
                                "with "
                                "--json\n");
                return EXIT_USAGE;
        }
        c->json_lines = true;
        return watch(c, &o);
}

const Verb verb_agent_status = {
        .group = "agent",
        .name = "status",
        .task = TASK_AGENT,
        .synopsis = "[NAME...] [--watch] [OPTION...]",
        .summary = "Show what agents are doing, and what tells",
        .words = "@agent",
        .help = "STATE is the condition that 'fleet status' shows. DOING is seen on the screen:\n"
                "idle (an empty input box at the cursor), busy, waiting (for a person: an\n"
                "approval, a login), draft (somebody's text stands in the input box), starting,\n"
                "or unknown; what tells is below the line. OUTPUT is how long ago the terminal\n"
                "last changed, CPU the processor time since the start.\n"
                "\n"
                "Options:\n"
                "      --watch           Draw again and again; with --json a document per line\n"
                "      --interval TIME   How often, 2s unless you say; at least 500ms\n"
                "      --json            Print the table as JSON, evidence included\n"
                "      --color WHEN      auto, always or never\n"
                "      --no-pager        Do not page what does not fit the screen\n"
                "\n"
                "Exit status: 0 all could be seen; 4 an agent that you named does not run;\n"
                "6 cannot tell, 64 no such agent, 65 roster invalid.\n"
                "\n"
                "Examples:\n"
                "  mosaic agent status\n"
                "  mosaic agent status web && mosaic agent tail web\n"
                "  mosaic agent status --watch --interval 5s\n",
        .run = run,
};
