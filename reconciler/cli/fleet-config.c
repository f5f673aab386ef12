/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/roster-config.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

static size_t count_agents(const RosterConfig *config) {
        return json_length(json_get(config->document, "agents"));
}

static int print_text(
                const Context *c, const RosterConfig *config, const ConfigInput *in, bool origin) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        size_t n = count_agents(config);

        strbuf_add(&b, "# What the agents really get: defaults applied, paths expanded. Made by\n"
                       "# mosaic fleet config from ");
        strbuf_add(&b, c->paths->roster);
        strbuf_add(&b, "\n\n");
        roster_config_write(config, in, origin, &b);
        strbuf_addf(&b, "\n# %zu agent%s (exit 0)\n", n, n == 1 ? "" : "s");
        if (b.failed)
                return -ENOMEM;
        (void)fwrite(strbuf_text(&b), 1, b.length, stdout);
        return 0;
}

static int print_json(
                const Context *c, const RosterConfig *config, const ConfigInput *in, bool origin) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_string(&b, "format", "mosaic.fleet.config");
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "mosaic", MOSAIC_VERSION);
        json_put_string(&b, "file", c->paths->roster);
        roster_config_put_json(config, in, origin, &b);
        json_open_object(&b, "summary");
        json_put_uint(&b, "agents", count_agents(config));
        json_put_uint(&b, "exit", 0);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

/* Loads, with findings printed where they belong. Returns 0, an exit code, negative errno. */
static int load(Context *c, const Options *o, Pass *p) {
        int r = pass_load(c, p);

        if (r < 0)
                return r;
        if (r > 0 && c->json) {
                int q = output_findings_json(c, p, (ExitCode)r);

                return q < 0 ? q : r;
        }
        output_findings(c, p, /* warnings= */ false);
        return r > 0 ? r : run_check_names(c, p->desired, /* may_have_left= */ false, o->names);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_roster_config_ RosterConfig *config = NULL;
        _cleanup_free_ RosterSource *runtimes = NULL;
        _cleanup_free_ char *socket = NULL;
        _cleanup_options_ Options o = { 0 };
        _cleanup_pass_ Pass p = PASS_NULL;
        RosterSource roster;
        ConfigInput in;
        int r;

        r = options_parse(c, OPTION_NAMES | OPTION_ORIGIN, argc, argv, &o);
        if (r != 0)
                return r;
        context_page(c);
        r = load(c, &o, &p);
        if (r != 0)
                return r;
        roster = (RosterSource){
                .name = c->paths->roster,
                .bytes = p.roster_bytes,
                .size = p.roster_size,
        };
        in = (ConfigInput){
                .roster = &roster,
                .desired = p.desired,
                .diags = &p.diags,
                .supervisor = c->record->supervisor,
                .names = o.names,
        };
        r = fleet_record_socket(c->record, c->paths, p.desired, &socket);
        if (r < 0)
                return r;
        in.socket = strrchr(socket, '/') ? strrchr(socket, '/') + 1 : socket;
        r = pass_builtin_runtimes(&runtimes, &in.n_runtimes);
        if (r < 0)
                return r;
        in.runtimes = runtimes;
        r = roster_config_new(&in, &config);
        if (r < 0)
                return r;
        return c->json ? print_json(c, config, &in, o.origin)
                       : print_text(c, config, &in, o.origin);
}

const Verb verb_fleet_config = {
        .group = "fleet",
        .name = "config",
        .task = TASK_ROSTER,
        .synopsis = "[NAME...] [OPTION...]",
        .summary = "Show the resolved roster: what each agent really gets",
        .words = "@agent",
        .help = "Defaults, runtimes and agents are merged, paths expanded; the result is a roster\n"
                "again. The complete command of each agent stands in a comment. Secrets are in it\n"
                "by the names of their files only. Nothing is changed.\n"
                "\n"
                "Options:\n"
                "      --origin      Say where each value comes from: the line of the roster, the\n"
                "                    file of a built-in runtime, or mosaic's own default\n"
                "      --json        Print it as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "      --no-pager    Do not page what does not fit the screen\n"
                "\n"
                "Exit status: 0, 64 unknown name, 65 roster invalid.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet config\n"
                "  mosaic fleet config web --origin\n"
                "  mosaic fleet config --json\n",
        .run = run,
};
