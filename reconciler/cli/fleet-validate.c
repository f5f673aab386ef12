/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/diag-render.h"
#include "reconciler/output.h"
#include "reconciler/options.h"
#include "reconciler/verb.h"

/* One line for each finding, which the runners of GitHub turn into annotations of the file. */
static int print_annotations(const Context *c, const Pass *p) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = diags_render_github(
                        &p->diags, c->paths->roster, p->roster_bytes, p->roster_size, &text);
        if (r < 0)
                return r;
        (void)fputs(text, stdout);
        return 0;
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_pass_ Pass p = PASS_NULL;
        int r;

        r = options_parse(c, OPTION_FILE | OPTION_FORMAT, argc, argv, &o);
        if (r != 0)
                return r;
        context_page(c);
        if (o.file) {
                char *path = strdup(o.file);

                if (!path)
                        return -ENOMEM;
                free(c->paths->roster);
                c->paths->roster = path;
        }
        r = pass_load(c, &p);
        if (r < 0)
                return r;
        if (c->json) {
                int q = output_findings_json(c, &p, (ExitCode)r);

                return q < 0 ? q : r;
        }
        if (o.github) {
                int q = print_annotations(c, &p);

                return q < 0 ? q : r;
        }
        output_findings(c, &p, /* warnings= */ true);
        if (r == 0)
                printf("Valid: %zu agent%s, %zu warning%s (exit 0)\n", p.desired->n_agents,
                                p.desired->n_agents == 1 ? "" : "s", p.diags.n_warnings,
                                p.diags.n_warnings == 1 ? "" : "s");
        else
                printf("Invalid: %zu error%s, %zu warning%s (exit %d)\n", p.diags.n_errors,
                                p.diags.n_errors == 1 ? "" : "s", p.diags.n_warnings,
                                p.diags.n_warnings == 1 ? "" : "s", r);
        return r;
}

const Verb verb_fleet_validate = {
        .group = "fleet",
        .name = "validate",
        .task = TASK_ROSTER,
        .synopsis = "[FILE] [OPTION...]",
        .summary = "Check the roster alone, and say all its faults",
        .words = "@file",
        .help = "Without FILE it is the roster of this fleet. Findings go to standard error, each\n"
                "with file, line, column, the source line and help. Nothing is changed.\n"
                "\n"
                "Options:\n"
                "      --json          Print the findings as JSON\n"
                "      --format FORMAT text, json, or github: lines that GitHub's runners show\n"
                "                      beside the file\n"
                "      --color WHEN    auto, always or never\n"
                "      --no-pager      Do not page what does not fit the screen\n"
                "\n"
                "Exit status: 0 valid (warnings allowed), 65 invalid or unreadable.\n"
                "\n"
                "Examples:\n"
                "  mosaic fleet validate\n"
                "  mosaic fleet validate ./roster.yaml --json\n",
        .run = run,
};
