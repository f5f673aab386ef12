/* SPDX-License-Identifier: MIT */
#include "reconciler/verb.h"

#include <string.h>

#include "model/base/suggest.h"

/* Keep ordered by group and name. */
const Verb *const verbs[] = {
        &verb_version,
        &verb_agent_attach,
        &verb_agent_logs,
        &verb_agent_roster,
        &verb_agent_status,
        &verb_agent_tail,
        &verb_fleet_apply,
        &verb_fleet_config,
        &verb_fleet_explain,
        &verb_fleet_init,
        &verb_fleet_install_systemd,
        &verb_fleet_plan,
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

static bool same_group(const Verb *v, const char *group) {
        return group ? v->group && strcmp(v->group, group) == 0 : !v->group;
}

const Verb *verb_find(const char *group, const char *name) {
        for (size_t i = 0; verbs[i]; i++)
                if (same_group(verbs[i], group) && strcmp(verbs[i]->name, name) == 0)
                        return verbs[i];
        return NULL;
}

const char *verb_suggest(const char *group, const char *name) {
        Suggestion s = suggestion_init(name);

        for (size_t i = 0; verbs[i]; i++)
                if (same_group(verbs[i], group))
                        suggestion_offer(&s, verbs[i]->name);
        return s.best;
}

void verb_print_help(const Verb *v) {
        printf("Usage: mosaic %s%s%s %s\n\n%s.\n\n%s", v->group ? v->group : "",
                        v->group ? " " : "", v->name, v->synopsis, v->summary, v->help);
}

static const char start_with_a_fleet[] = "Start here:\n"
                                         "  mosaic fleet init --profile minimal --write\n"
                                         "  mosaic fleet plan\n"
                                         "  mosaic fleet apply\n";

static const char start_with_agents[] = "Start here:\n"
                                        "  mosaic agent roster\n";

void verb_print_overview(const char *group) {
        if (group)
                printf("Usage: mosaic %s VERB [OPTION...]\n\n", group);
        else
                printf("Usage: mosaic fleet VERB [OPTION...]\n"
                       "       mosaic agent VERB [NAME] [OPTION...]\n"
                       "       mosaic version\n\n"
                       "Runs a fleet of long-lived agents in tmux as one roster says.\n\n");
        for (size_t i = 0; verbs[i]; i++)
                if (!group || same_group(verbs[i], group))
                        printf("  %s%s%-*s %s\n", verbs[i]->group ? verbs[i]->group : "",
                                        verbs[i]->group ? " " : "", verbs[i]->group ? 18 : 24,
                                        verbs[i]->name, verbs[i]->summary);
        printf("\nOptions of all verbs:\n"
               "  -h, --help            Say how the verb is used\n"
               "      --json            Print the result as JSON\n"
               "      --color WHEN      auto (the default), always or never\n"
               "      --version         Say which version this is\n"
               "\n"
               "Exit status: 0 in sync or done, 1 error, 2 changes pending, 3 a person is\n"
               "needed, 4 not converged, 5 stale plan, 6 cannot tell, 7 locked, 64 usage,\n"
               "65 roster invalid.\n"
               "\n"
               "%s",
                        group && strcmp(group, "agent") == 0 ? start_with_agents
                                                             : start_with_a_fleet);
}
