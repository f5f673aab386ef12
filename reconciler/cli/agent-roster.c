/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "drivers/store/store.h"
#include "model/base/strv.h"
#include "reconciler/complain.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/run.h"
#include "reconciler/table.h"
#include "reconciler/verb.h"

enum {
        COLUMN_AGENT,
        COLUMN_RUNTIME,
        COLUMN_WANTED,
        COLUMN_HOST,
        COLUMN_DIRECTORY,
};

static const char *const titles[] = {
        [COLUMN_AGENT] = "AGENT",
        [COLUMN_RUNTIME] = "RUNTIME",
        [COLUMN_WANTED] = "WANTED",
        [COLUMN_HOST] = "HOST",
        [COLUMN_DIRECTORY] = "DIRECTORY",
};

static bool is_wanted(const AgentSpec *spec, char *const *names) {
        return strv_length(names) == 0 || strv_find(names, spec->name);
}

/* What `host:` says, and whether this machine is meant. */
static void set_host(Table *t, const AgentSpec *spec) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        if (strv_length(spec->hosts) == 0)
                return;
        for (size_t i = 0; spec->hosts[i]; i++)
                strbuf_addf(&b, "%s%s", i > 0 ? "," : "", spec->hosts[i]);
        if (spec->elsewhere)
                strbuf_add(&b, " (elsewhere)");
        t->failed = t->failed || b.failed;
        table_set(t, COLUMN_HOST, strbuf_text(&b));
        table_style(t, COLUMN_HOST, spec->elsewhere ? STYLE_DIM : STYLE_PLAIN);
}

/* The directory as a person writes it. */
static void set_directory(const Context *c, Table *t, const AgentSpec *spec) {
        const char *home = c->paths->user_home, *dir = spec->workdir;
        size_t length = strlen(home);

        if (length > 1 && strncmp(dir, home, length) == 0 &&
                        (dir[length] == '/' || dir[length] == '\0'))
                table_setf(t, COLUMN_DIRECTORY, "~%s", dir + length);
        else
                table_set(t, COLUMN_DIRECTORY, dir);
}

static void set_hold(Table *t, const AgentSpec *spec, const ObservedHold *hold) {
        if (!hold)
                return;
        table_notef(t, "%s by %s%s%s", hold->agent ? "held" : "held with the whole fleet", hold->by,
                        hold->reason ? ": " : "", hold->reason ? hold->reason : "");
        table_helpf(t, "mosaic fleet start%s%s", hold->agent ? " " : "",
                        hold->agent ? spec->name : "");
}

static int print_text(
                const Context *c, const Desired *d, const Observed *held, char *const *names) {
        static const unsigned char spare[] = { COLUMN_RUNTIME, COLUMN_WANTED };
        _cleanup_table_ Table t = TABLE_INIT(titles);
        size_t n_agents = 0, n_held = 0, n_elsewhere = 0;
        int r;

        t.spare = spare;
        t.n_spare = ELEMENTSOF(spare);
        for (size_t i = 0; i < d->n_agents; i++) {
                const AgentSpec *spec = d->agents[i];
                const ObservedHold *hold = observed_hold(held, spec->name);

                if (!is_wanted(spec, names))
                        continue;
                n_agents++;
                n_held += hold != NULL;
                n_elsewhere += spec->elsewhere;
                table_begin_row(&t);
                table_set(&t, COLUMN_AGENT, spec->name);
                table_set(&t, COLUMN_RUNTIME, spec->runtime);
                table_set(&t, COLUMN_WANTED, desired_state_to_string(spec->state));
                set_host(&t, spec);
                set_directory(c, &t, spec);
                set_hold(&t, spec, hold);
        }
        r = table_print(c, &t);
        if (r < 0)
                return r;
        printf("\n%zu agent%s, %zu held, %zu elsewhere (exit %d)\n", n_agents,
                        n_agents == 1 ? "" : "s", n_held, n_elsewhere,
                        held->files.state == SOURCE_UNKNOWN ? EXIT_UNKNOWN : EXIT_OK);
        return 0;
}

static void put_agent(JsonBuilder *b, const AgentSpec *spec, const Observed *held) {
        const ObservedHold *hold = observed_hold(held, spec->name);

        json_open_object(b, NULL);
        json_put_string(b, "name", spec->name);
        json_put_string(b, "runtime", spec->runtime);
        json_put_string(b, "model", spec->model);
        json_put_strv(b, "hosts", spec->hosts);
        json_put_bool(b, "elsewhere", spec->elsewhere);
        json_put_string(b, "directory", spec->workdir);
        json_put_string(b, "desired", desired_state_to_string(spec->state));
        json_put_string(b, "description", spec->description);
        json_put_strv(b, "labels", spec->labels);
        json_put_uint_or_null(b, "line", spec->line);
        if (hold) {
                json_open_object(b, "hold");
                json_put_bool(b, "fleet", !hold->agent);
                json_put_string(b, "by", hold->by);
                json_put_string(b, "reason", hold->reason);
                json_put_uint(b, "at_usec", hold->at_usec);
                json_close(b);
        } else
                json_put_null(b, "hold");
        json_close(b);
}

static int print_json(const Context *c,
                const Desired *d,
                const Observed *held,
                char *const *names,
                ExitCode code) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        output_put_head(&b, c, "roster", d);
        json_open_array(&b, "agents");
        for (size_t i = 0; i < d->n_agents; i++)
                if (is_wanted(d->agents[i], names))
                        put_agent(&b, d->agents[i], held);
        json_close(&b);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", (uint64_t)code);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_(observed_freep) Observed *held = NULL;
        _cleanup_options_ Options o = { 0 };
        _cleanup_pass_ Pass p = PASS_NULL;
        ExitCode code;
        int r;

        r = options_parse(c, OPTION_NAMES, argc, argv, &o);
        if (r != 0)
                return r;
        context_page(c);
        p.offline = true;
        r = run_load(c, &p);
        if (r == 0)
                r = run_check_names(c, p.desired, /* may_have_left= */ false, o.names);
        if (r != 0)
                return r;
        r = observed_new(c->record->supervisor, &held);
        if (r < 0)
                return r;
        held->files.state = SOURCE_PRESENT;
        r = store_observe_holds(c->paths, held);
        if (r < 0)
                return r;
        observed_sort(held);
        code = held->files.state == SOURCE_UNKNOWN ? EXIT_UNKNOWN : EXIT_OK;
        if (code != EXIT_OK)
                complain("roster: the holds cannot be read: %s", held->files.why);
        r = c->json ? print_json(c, p.desired, held, o.names, code)
                    : print_text(c, p.desired, held, o.names);
        return r < 0 ? r : (int)code;
}

const Verb verb_agent_roster = {
        .group = "agent",
        .name = "roster",
        .task = TASK_AGENT,
        .synopsis = "[NAME...] [OPTION...]",
        .summary = "Show what the roster says of each agent; asks nobody",
        .words = "@agent",
        .help = "Runtime, machine, directory and the wanted state, and who holds an agent down.\n"
                "Neither tmux nor the supervisor is asked: what runs is in 'agent status'.\n"
                "\n"
                "Options:\n"
                "      --json        Print the list as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "      --no-pager    Do not page what does not fit the screen\n"
                "\n"
                "Exit status: 0; 6 if the holds cannot be read.\n"
                "\n"
                "Examples:\n"
                "  mosaic agent roster\n"
                "  mosaic agent roster --json\n",
        .run = run,
};
