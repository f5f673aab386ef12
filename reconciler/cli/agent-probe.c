/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/base/utf8.h"
#include "reconciler/agent-look.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/verb.h"

static int copy_text(const char *text, size_t length, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        /* A screen's text does not act on ours. */
        utf8_add_safe(&b, text, length);
        return strbuf_finish(&b, ret);
}

static const char *outcome(const SignProbe *p) {
        if (!p->pattern)
                return "none";
        if (p->found < 0)
                return "error";
        return p->found > 0 ? "yes" : "no";
}

static int print_text(const AgentLook *a, const SignProbe *probes) {
        const Screen *s = &a->shown.screen;

        printf("%s: %s, by %s\n", a->name, screen_state_to_string(a->verdict.state),
                        screen_sign_to_string(a->verdict.sign));
        printf("cursor at column %u of line %u, screen %ux%u%s%s\n", s->cursor_x + 1,
                        s->cursor_y + 1, s->width, s->height, s->alternate ? ", alternate" : "",
                        s->in_mode ? ", in copy mode" : "");
        for (size_t i = 0; i < SIGN_PROBES; i++) {
                const SignProbe *p = probes + i;
                _cleanup_free_ char *text = NULL;
                int r;

                if (p->pattern)
                        printf("  %-18s %-5s %s\n", p->name, outcome(p), p->pattern);
                else
                        printf("  %-18s %s\n", p->name, outcome(p));
                if (!p->text)
                        continue;
                r = copy_text(p->text, p->length, &text);
                if (r < 0)
                        return r;
                if (p->line > 0)
                        printf("  %-24s line %u: %s\n", "", p->line, text);
                else
                        printf("  %-24s title: %s\n", "", text);
        }
        return 0;
}

static int print_json(const AgentLook *a, const SignProbe *probes) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        const Screen *s = &a->shown.screen;

        json_open_object(&b, NULL);
        output_put_head(&b, a->c, "probe", a->roster_invalid ? NULL : a->pass.desired);
        json_put_string(&b, "agent", a->name);
        json_put_string(&b, "runtime", a->run->runtime);
        json_put_string(&b, "state", screen_state_to_string(a->verdict.state));
        json_put_string(&b, "sign", screen_sign_to_string(a->verdict.sign));
        json_put_bool(&b, "composer_empty", a->verdict.composer_empty);
        json_open_object(&b, "screen");
        json_put_uint(&b, "cursor_x", s->cursor_x);
        json_put_uint(&b, "cursor_y", s->cursor_y);
        json_put_uint(&b, "width", s->width);
        json_put_uint(&b, "height", s->height);
        json_put_bool(&b, "alternate", s->alternate);
        json_put_bool(&b, "in_mode", s->in_mode);
        json_put_string(&b, "title", s->title);
        json_close(&b);
        json_open_array(&b, "patterns");
        for (size_t i = 0; i < SIGN_PROBES; i++) {
                const SignProbe *p = probes + i;
                _cleanup_free_ char *text = NULL;
                int r = p->text ? copy_text(p->text, p->length, &text) : 0;

                if (r < 0)
                        return r;
                json_open_object(&b, NULL);
                json_put_string(&b, "name", p->name);
                json_put_string(&b, "pattern", p->pattern);
                json_put_string(&b, "matches", outcome(p));
                json_put_uint_or_null(&b, "line", p->line);
                json_put_string(&b, "text", text);
                json_close(&b);
        }
        json_close(&b);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", EXIT_OK);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_agent_look_ AgentLook agent = { 0 };
        _cleanup_options_ Options o = { 0 };
        _cleanup_free_ char *why = NULL;
        SignProbe probes[SIGN_PROBES];
        int r;

        r = options_parse(c, OPTION_NAMES, argc, argv, &o);
        if (r != 0)
                return r;
        if (strv_length(o.names) != 1) {
                fprintf(stderr, "mosaic: probe: name one agent\n");
                return EXIT_USAGE;
        }
        context_page(c);
        r = agent_look_open(&agent, c, o.names[0]);
        if (r != 0)
                return r;
        r = agent_look_check(&agent, &why);
        if (r < 0)
                return r;
        /* For a sender who does not answer is not ready; here it cannot be told. */
        if (r == EXIT_LOCKED)
                r = EXIT_UNKNOWN;
        /* Whoever is paused may be looked at. */
        if (r > 0 && r != EXIT_BLOCKED)
                return run_refuse(c, "probe", (ExitCode)r, "%s: %s", o.names[0], why);
        r = agent_look_screen(&agent);
        if (r == 0 && !agent.shown.known)
                return run_refuse(c, "probe", EXIT_UNKNOWN, "%s: its terminal could not be read",
                                o.names[0]);
        if (r == 0)
                r = signs_probe(agent.signs, &agent.shown.screen, probes);
        if (r < 0)
                return r;
        r = c->json ? print_json(&agent, probes) : print_text(&agent, probes);
        return r < 0 ? r : EXIT_OK;
}

const Verb verb_agent_probe = {
        .group = "agent",
        .name = "probe",
        .task = TASK_AGENT,
        .synopsis = "NAME [OPTION...]",
        .summary = "Try the patterns of its runtime on an agent's screen",
        .words = "@agent",
        .help = "For those who adjust patterns: which one matches now, and on which line. Types\n"
                "nothing. A pattern that was changed in the roster is used at once.\n"
                "\n"
                "Options:\n"
                "      --json        Print the result as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "      --no-pager    Do not page what does not fit the screen\n"
                "\n"
                "Exit status: 0, 4 it does not run, 6 its terminal cannot be read, or tmux does\n"
                "not answer.\n"
                "\n"
                "Examples:\n"
                "  mosaic agent probe web\n",
        .run = run,
};
