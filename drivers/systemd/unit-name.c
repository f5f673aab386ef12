/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/unit-name.h"

#include <string.h>

#include "model/spec.h"

static const char *after_prefix(const char *s, const char *prefix) {
        size_t n = strlen(prefix);

        return s && strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

int unit_name_agent(const Paths *p, const char *unit, const char *suffix, char **ret) {
        const char *name = after_prefix(after_prefix(unit, p->unit_prefix), "agent@");
        size_t n = name ? strlen(name) : 0, n_suffix = strlen(suffix);
        _cleanup_free_ char *agent = NULL;

        *ret = NULL;
        if (n <= n_suffix || strcmp(name + n - n_suffix, suffix) != 0)
                return 0;
        agent = strndup(name, n - n_suffix);
        if (!agent)
                return -ENOMEM;
        if (agent_name_is_valid(agent))
                *ret = TAKE_PTR(agent);
        return 0;
}
