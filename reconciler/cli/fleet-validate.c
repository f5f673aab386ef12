/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "drivers/os/file.h"
#include "model/base/yaml-bytes.h"
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

static int name_roster(Context *c, const char *name) {
        char *path = strdup(name);

        if (!path)
                return -ENOMEM;
        free(c->paths->roster);
        c->paths->roster = path;
        return 0;
}

/* The bytes of a file are read as those of the fleet's roster are; a stream has no owner and no
 * mode that could be wrong. */
static int load(Context *c, const char *file, Pass *p) {
        bool stream = file && strcmp(file, "-") == 0;
        int r;

        if (file) {
                r = name_roster(c, stream ? "/dev/stdin" : file);
                if (r < 0)
                        return r;
        }
        if (file && !stream && access(file, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR)) {
                /* 'fleet init' would make another one. */
                (void)diags_add(&p->diags, SEVERITY_ERROR, "roster-missing", SPAN_NONE, NULL, NULL,
                                "there is no such file");
                return EXIT_INVALID;
        }
        if (!stream)
                return pass_load(c, p);
        r = file_read_fd(STDIN_FILENO, YAML_SIZE_MAX, &p->roster_bytes, &p->roster_size);
        if (r == -ENOMEM || r == 0)
                return r < 0 ? r : pass_resolve(c, p);
        (void)diags_add(&p->diags, SEVERITY_ERROR, "roster-unreadable", SPAN_NONE, NULL, NULL,
                        "cannot read the roster: %s",
                        r == -EFBIG ? "it is larger than 4 MiB" : strerror(-r));
        return EXIT_INVALID;
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_options_ Options o = { 0 };
        _cleanup_pass_ Pass p = PASS_NULL;
        int r;

        r = options_parse(c, OPTION_FILE | OPTION_FORMAT, argc, argv, &o);
        if (r != 0)
                return r;
        context_page(c);
        r = load(c, o.file, &p);
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
        .synopsis = "[FILE | -] [OPTION...]",
        .summary = "Check the roster alone, and say all its faults",
        .words = "@file",
        .help = "Without FILE it is the roster of this fleet, with - what standard input holds.\n"
                "Findings go to standard error, each with file, line, column, the source line\n"
                "and help. Nothing is changed.\n"
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
                "  mosaic fleet validate ./roster.yaml --json\n"
                "  git show HEAD:roster.yaml | mosaic fleet validate -\n",
        .run = run,
};
