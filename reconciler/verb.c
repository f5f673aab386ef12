/* SPDX-License-Identifier: MIT */
#include "reconciler/verb.h"

#include <assert.h>
#include <string.h>

#include "model/base/format.h"
#include "model/base/suggest.h"

/* Keep ordered by group and name. */
const Verb *const verbs[] = {
        &verb_completion,
        &verb_doctor,
        &verb_update,
        &verb_version,
        &verb_agent_attach,
        &verb_agent_logs,
        &verb_agent_probe,
        &verb_agent_reset,
        &verb_agent_roster,
        &verb_agent_send,
        &verb_agent_status,
        &verb_agent_tail,
        &verb_fleet_apply,
        &verb_fleet_config,
        &verb_fleet_explain,
        &verb_fleet_init,
        &verb_fleet_install_systemd,
        &verb_fleet_plan,
        &verb_fleet_preflight,
        &verb_fleet_restart,
        &verb_fleet_start,
        &verb_fleet_status,
        &verb_fleet_stop,
        &verb_fleet_uninstall_systemd,
        &verb_fleet_validate,
        &verb_fleet_verify,
        &verb_fleet_watch,
        NULL,
};

const VerbGroup verb_groups[] = {
        { "agent", "One agent and its terminal" },
        { "fleet", "The fleet as a whole: roster, plan, apply, status" },
        { NULL, NULL },
};

const VerbGroup *verb_group_find(const char *name) {
        for (const VerbGroup *g = verb_groups; g->name; g++)
                if (strcmp(g->name, name) == 0)
                        return g;
        return NULL;
}

static bool same_group(const Verb *v, const char *group) {
        return group ? v->group && strcmp(v->group, group) == 0 : !v->group;
}

const Verb *verb_find(const char *group, const char *name) {
        for (size_t i = 0; verbs[i]; i++)
                if (same_group(verbs[i], group) && strcmp(verbs[i]->name, name) == 0)
                        return verbs[i];
        return NULL;
}

/* The verb of another group with exactly this name: "plan" is "fleet plan". Where both groups have
 * it, the fleet's is the one that needs no more words. */
static const Verb *find_elsewhere(const char *name) {
        const Verb *found = NULL;

        for (size_t i = 0; verbs[i]; i++)
                if (strcmp(verbs[i]->name, name) == 0 && (!found || same_group(verbs[i], "fleet")))
                        found = verbs[i];
        return found;
}

int verb_suggest(const char *group, const char *name, char **ret) {
        Suggestion s = suggestion_init(name), everywhere = suggestion_init(name);
        const Verb *v = find_elsewhere(name);

        *ret = NULL;
        for (size_t i = 0; verbs[i]; i++)
                suggestion_offer(same_group(verbs[i], group) ? &s : &everywhere, verbs[i]->name);
        for (const VerbGroup *g = verb_groups; !group && g->name; g++)
                suggestion_offer(&s, g->name);
        if (!v && s.best)
                return format_text(ret, "%s%s%s", group ? group : "", group ? " " : "", s.best);
        if (!v && everywhere.best)
                v = find_elsewhere(everywhere.best);
        if (!v)
                return 0;
        return format_text(ret, "%s%s%s", v->group ? v->group : "", v->group ? " " : "", v->name);
}

VerbTask verb_task(const Verb *v) {
        if (v->task != TASK_OF_GROUP)
                return v->task;
        if (v->group && strcmp(v->group, "agent") == 0)
                return TASK_AGENT;
        return v->group ? TASK_OPERATE : TASK_PROGRAM;
}

const char *verb_task_title(VerbTask t) {
        static const char *const titles[] = {
                [TASK_OF_GROUP] = "",
                [TASK_ROSTER] = "The roster",
                [TASK_CONVERGE] = "Make the machine as the roster says",
                [TASK_LOOK] = "Look",
                [TASK_OPERATE] = "Start and stop",
                [TASK_AGENT] = "One agent",
                [TASK_INSTALL] = "Install and update",
                [TASK_PROGRAM] = "This program and this machine",
        };

        assert(t < _VERB_TASK_MAX);
        return titles[t];
}

/* --- options, from the help text -------------------------------------------------------------- */

static bool is_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* "  -y, --yes  Text", "      --color WHEN  Text". */
static bool option_line(const char *line, size_t n, VerbOption *ret) {
        VerbOption o = { 0 };
        const char *s = line + strspn(line, " "), *end = line + n;

        if (s >= end || s == line || *s != '-')
                return false;
        if (s[1] != '-') {
                o.letter = s[1];
                s += 2;
                s += strspn(s, ", ");
        }
        if (s + 2 >= end || strncmp(s, "--", 2) != 0)
                return false;
        o.name = s += 2;
        while (s < end && is_name(*s))
                s++;
        o.name_length = (size_t)(s - o.name);
        o.has_value = s + 1 < end && s[0] == ' ' && s[1] != ' ';
        if (o.has_value)
                s += 1 + strcspn(s + 1, " \n");
        s += strspn(s, " ");
        o.text = s;
        o.text_length = s < end ? (size_t)(end - s) : 0;
        *ret = o;
        return o.name_length > 0;
}

bool verb_next_option(const char **at, VerbOption *ret) {
        while (**at) {
                const char *line = *at;
                size_t n = strcspn(line, "\n");

                *at += n + (line[n] == '\n');
                if (option_line(line, n, ret))
                        return true;
        }
        return false;
}

/* --- help ------------------------------------------------------------------------------------- */

void verb_print_help(const Verb *v) {
        printf("Usage: mosaic %s%s%s %s\n\n%s.\n\n%s", v->group ? v->group : "",
                        v->group ? " " : "", v->name, v->synopsis, v->summary, v->help);
}

static void print_task(VerbTask t, const char *group) {
        bool any = false;

        for (size_t i = 0; verbs[i]; i++) {
                const Verb *v = verbs[i];

                if (verb_task(v) != t || (group && !same_group(v, group)))
                        continue;
                if (!any)
                        printf("%s:\n", verb_task_title(t));
                any = true;
                printf("  %s%s%-*s %s\n", v->group ? v->group : "", v->group ? " " : "",
                                v->group ? 23 - (int)strlen(v->group) : 24, v->name, v->summary);
        }
        if (any)
                putchar('\n');
}

static const char examples_with_a_fleet[] =
                "  mosaic fleet init --profile minimal --write   # a first roster\n"
                "  mosaic fleet install-systemd                  # the units, for you alone\n"
                "  mosaic fleet plan                             # what would be done, and why\n"
                "  mosaic fleet apply                            # do it, and look again\n"
                "  mosaic                                        # what to do next\n";

static const char examples_with_agents[] =
                "  mosaic agent status           # what all of them are doing\n"
                "  mosaic agent tail NAME -f     # its terminal, as it goes on\n"
                "  mosaic agent attach NAME      # its terminal, yours\n";

void verb_print_overview(const char *group) {
        if (group) {
                printf("Usage: mosaic %s VERB [OPTION...]\n\n%s.\n\n", group,
                                verb_group_find(group)->summary);
        } else {
                printf("Usage: mosaic VERB [OPTION...]\n");
                for (const VerbGroup *g = verb_groups; g->name; g++)
                        printf("       mosaic %s VERB [OPTION...]\n", g->name);
                printf("\nRuns a fleet of long-lived agents in tmux as one roster says.\n\n");
        }
        for (int t = TASK_OF_GROUP + 1; t < _VERB_TASK_MAX; t++)
                print_task((VerbTask)t, group);
        printf("Options of all verbs:\n"
               "  -h, --help            Say how the verb is used\n"
               "      --json            Print the result as JSON, where there is one\n"
               "      --color WHEN      auto (the default), always or never\n"
               "      --no-pager        Do not page what does not fit the screen\n"
               "      --version         Say which version this is\n"
               "\n"
               "Exit status: 0 in sync or done, 1 error, 2 changes pending, 3 a person is\n"
               "needed, 4 not converged, 5 stale plan, 6 cannot tell, 7 locked, 64 usage,\n"
               "65 roster invalid.\n"
               "\n"
               "Examples:\n"
               "%s",
                        group && strcmp(group, "agent") == 0 ? examples_with_agents
                                                             : examples_with_a_fleet);
}
