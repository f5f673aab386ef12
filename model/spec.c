/* SPDX-License-Identifier: MIT */
#include "model/spec.h"

#include <string.h>

#include "model/base/strv.h"
#include "model/talk.h"

static const char *const restart_policies[] = {
        [RESTART_ALWAYS] = "always",
        [RESTART_ON_FAILURE] = "on-failure",
        [RESTART_NEVER] = "never",
};
_Static_assert(ELEMENTSOF(restart_policies) == _RESTART_POLICY_MAX, "a name for each");

static const char *const desired_states[] = {
        [DESIRED_RUNNING] = "running",
        [DESIRED_PAUSED] = "paused",
        [DESIRED_STOPPED] = "stopped",
};
_Static_assert(ELEMENTSOF(desired_states) == _DESIRED_STATE_MAX, "a name for each");

static const char *const on_changes[] = {
        [ON_CHANGE_DEFER] = "defer",
        [ON_CHANGE_RESTART] = "restart",
        [ON_CHANGE_KEEP] = "keep",
};
_Static_assert(ELEMENTSOF(on_changes) == _ON_CHANGE_MAX, "a name for each");

static const char *const supervisors[] = {
        [SUPERVISOR_SYSTEMD] = "systemd",
        [SUPERVISOR_DIRECT] = "direct",
};
_Static_assert(ELEMENTSOF(supervisors) == _SUPERVISOR_MAX, "a name for each");

const char *restart_policy_to_string(RestartPolicy p) {
        return p < _RESTART_POLICY_MAX ? restart_policies[p] : NULL;
}

const char *desired_state_to_string(DesiredState s) {
        return s < _DESIRED_STATE_MAX ? desired_states[s] : NULL;
}

const char *on_change_to_string(OnChange c) {
        return c < _ON_CHANGE_MAX ? on_changes[c] : NULL;
}

const char *supervisor_to_string(Supervisor s) {
        return s >= 0 && s < _SUPERVISOR_MAX ? supervisors[s] : NULL;
}

Supervisor supervisor_from_string(const char *s) {
        for (size_t i = 0; i < ELEMENTSOF(supervisors); i++)
                if (strcmp(supervisors[i], s) == 0)
                        return (Supervisor)i;
        return _SUPERVISOR_INVALID;
}

AgentSpec *agent_spec_free(AgentSpec *s) {
        if (!s)
                return NULL;
        free(s->name);
        free(s->runtime);
        free(s->model);
        strv_free(s->argv);
        free(s->workdir);
        strv_free(s->env);
        strv_free(s->env_files);
        for (size_t i = 0; i < s->n_credentials; i++) {
                free(s->credentials[i].variable);
                free(s->credentials[i].file);
        }
        free(s->credentials);
        strv_free(s->env_pass);
        strv_free(s->success_exit_status);
        free(s->description);
        strv_free(s->hosts);
        strv_free(s->labels);
        strv_free(s->after);
        runtime_talk_done(&s->talk);
        strv_free(s->resume_args);
        free(s->install);
        free(s->blocked_text);
        free(s);
        return NULL;
}

bool agent_name_is_valid(const char *name) {
        size_t n;

        if (name[0] < 'a' || name[0] > 'z')
                return false;
        n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
        return n <= AGENT_NAME_MAX && name[n] == '\0';
}

bool variable_is_reserved(const char *name) {
        static const char *const names[] = {
                "CREDENTIALS_DIRECTORY",
                "INVOCATION_ID",
                "NOTIFY_SOCKET",
                "TMUX",
                "TMUX_PANE",
                "XDG_RUNTIME_DIR",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return strncmp(name, "MOSAIC_", 7) == 0;
}
