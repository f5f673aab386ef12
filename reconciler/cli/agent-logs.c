/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "drivers/os/process.h"
#include "drivers/systemd/journal.h"
#include "model/base/strv.h"
#include "reconciler/options.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

#define LINES_DEFAULT 200

/* Becomes journalctl: its pager, its colours, its way to follow are what people know. */
static int become(const Context *c, const Options *o, const char *unit) {
        const char *pager = getenv("MOSAIC_PAGER");
        _cleanup_strv_ char **argv = NULL;
        int r;

        if (pager && setenv("SYSTEMD_PAGER", pager, /* overwrite= */ 1) < 0)
                return -errno;

        r = strv_push(&argv, "journalctl");
        if (r == 0)
                r = strv_pushf(&argv, "--user-unit=%s", unit);
        if (r == 0)
                r = strv_pushf(&argv, "--lines=%" PRIu64, o->lines > 0 ? o->lines : LINES_DEFAULT);
        if (r == 0 && o->follow)
                r = strv_push(&argv, "--follow");
        if (r == 0 && c->no_pager)
                r = strv_push(&argv, "--no-pager");
        return r < 0 ? r : process_become(argv, NULL);
}

/* The roster is asked whether there is such an agent at all; one that left it may still have a
 * journal. */
static int check_name(Context *c, const Options *o) {
        _cleanup_pass_ Pass p = PASS_NULL;
        int r;

        r = pass_load(c, &p);
        if (r < 0 || !p.desired)
                return r < 0 ? r : 0;
        return run_check_names(c, p.desired, /* may_have_left= */ true, o->names);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_free_ char *unit = NULL;
        const char *name;
        bool has_entries;
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_LINES | OPTION_FOLLOW | OPTION_NO_JSON, argc,
                        argv, &o);
        if (r == 0)
                r = options_check_one_name(&o, argv[0]);
        if (r != 0)
                return r;
        name = o.names[0];
        r = paths_agent_unit(c->paths, name, &unit);
        if (r < 0)
                return r;
        r = c->record->supervisor == SUPERVISOR_SYSTEMD ? journal_look(unit) : 0;
        if (r == -ENOMEM)
                return r;
        has_entries = r == JOURNAL_HAS_ENTRIES;
        if (!has_entries) {
                int q = check_name(c, &o);

                if (q != 0)
                        return q;
        }
        if (c->record->supervisor != SUPERVISOR_SYSTEMD)
                return run_refuse(c, argv[0], EXIT_NOT_CONVERGED,
                                "there is no journal of %s: this fleet is supervised without "
                                "systemd. Its terminal keeps what it said, over restarts: mosaic "
                                "agent tail %s; how it last ended: mosaic fleet explain %s",
                                name, name, name);
        if (r < 0)
                return run_refuse(c, argv[0], EXIT_UNKNOWN, "the journal cannot be read: %s",
                                strerror(-r));
        if (!has_entries && !o.follow)
                return run_refuse(c, argv[0], EXIT_NOT_CONVERGED,
                                "the journal has nothing about %s, or you may not read it. Its "
                                "terminal keeps what it said: mosaic agent tail %s",
                                unit, name);
        r = become(c, &o, unit);
        return run_refuse(c, argv[0], EXIT_INTERNAL, "cannot run journalctl: %s", strerror(-r));
}

const Verb verb_agent_logs = {
        .group = "agent",
        .name = "logs",
        .task = TASK_AGENT,
        .synopsis = "NAME [-n N] [-f]",
        .summary = "Show the journal of an agent's unit",
        .words = "@agent",
        .help = "What the supervisor and the launcher said about it, from journalctl: starts,\n"
                "stops, exit codes. What the agent itself prints goes to its terminal: 'agent\n"
                "tail'. Under the supervisor 'direct' there is no journal.\n"
                "\n"
                "Options:\n"
                "  -n, --lines N     How many lines, 1 to 100000; 200 unless you say\n"
                "  -f, --follow      Go on with what is new\n"
                "      --no-pager    Do not page what does not fit the screen\n"
                "\n"
                "Exit status: that of journalctl; 1 it cannot be run, 4 there is no journal of\n"
                "the agent, 6 it cannot be read, 64 no such agent.\n"
                "\n"
                "Examples:\n"
                "  mosaic agent logs web\n"
                "  mosaic agent logs -f web\n",
        .run = run,
};
