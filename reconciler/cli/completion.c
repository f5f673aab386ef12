/* SPDX-License-Identifier: MIT */
#include "model/plan.h"
#include "reconciler/complain.h"
#include "reconciler/completion.h"
#include "reconciler/options.h"
#include "reconciler/pass.h"
#include "reconciler/verb.h"

/* For the scripts: the names in the roster, one a line; in the one accepted last while the file is
 * not valid, for that is in force. Nothing else is looked at. */
static int print_agents(Context *c) {
        _cleanup_pass_ Pass p = PASS_NULL;
        int r;

        r = context_open(c);
        if (r == 0)
                r = pass_load(c, &p);
        if (r == EXIT_INVALID) {
                r = pass_load_accepted(c, &p);
                if (r == -ENOENT)
                        r = EXIT_INVALID;
        }
        if (r == 0)
                for (size_t i = 0; i < p.desired->n_agents; i++)
                        puts(p.desired->agents[i]->name);
        return r;
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_free_ char *text = NULL;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        _cleanup_options_ Options o = { 0 };
        Shell shell;
        int r;

        r = options_parse(c, OPTION_WORD | OPTION_AGENTS, argc, argv, &o);
        if (r != 0)
                return r;
        if (o.agents)
                return print_agents(c);
        if (!o.file) {
                complain("completion: for which shell? say one of: %s", SHELL_WORDS);
                return EXIT_USAGE;
        }
        shell = shell_from_string(o.file);
        if (shell == _SHELL_INVALID) {
                complain("completion: no script for '%s'; there are: %s", o.file, SHELL_WORDS);
                return EXIT_USAGE;
        }
        completion_write(shell, &b);
        r = strbuf_finish(&b, &text);
        if (r < 0)
                return r;
        fputs(text, stdout);
        return EXIT_OK;
}

const Verb verb_completion = {
        .name = "completion",
        .task = TASK_PROGRAM,
        .synopsis = "SHELL",
        .summary = "Print the completion script of a shell",
        .words = SHELL_WORDS,
        .help = "SHELL is bash, zsh or fish. Packages install these scripts; for a program that\n"
                "you built yourself, put them where your shell looks.\n"
                "\n"
                "Options:\n"
                "      --color WHEN  auto, always or never\n"
                "\n"
                "Exit status: 0 printed, 64 usage.\n"
                "\n"
                "Examples:\n"
                "  source <(mosaic completion bash)\n"
                "  mosaic completion zsh > ~/.zfunc/_mosaic\n"
                "  mosaic completion fish > ~/.config/fish/completions/mosaic.fish\n",
        .without_fleet = true,
        .run = run,
};
