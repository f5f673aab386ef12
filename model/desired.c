/* SPDX-License-Identifier: MIT */

/* The fleet's half of model/spec.h: apart from the agent's, which the launcher links without
 * YAML. */

#include "model/spec.h"

#include <string.h>

#include "model/base/yaml.h"

Desired *desired_free(Desired *d) {
        if (!d)
                return NULL;
        free(d->fleet_name);
        free(d->tmux_socket);
        for (size_t i = 0; i < d->n_agents; i++)
                agent_spec_free(d->agents[i]);
        free(d->agents);
        yaml_doc_free(d->roster);
        free(d);
        return NULL;
}

static int compare_name(const void *key, const void *element) {
        return strcmp(key, (*(AgentSpec *const *)element)->name);
}

size_t desired_index(const Desired *d, const char *name) {
        AgentSpec **found;

        if (d->n_agents == 0)
                return SIZE_MAX;
        found = bsearch(name, d->agents, d->n_agents, sizeof(AgentSpec *), compare_name);
        return found ? (size_t)(found - d->agents) : SIZE_MAX;
}

AgentSpec *desired_find(const Desired *d, const char *name) {
        size_t i = desired_index(d, name);

        return i == SIZE_MAX ? NULL : d->agents[i];
}

Span desired_place(const Desired *d, const char *pointer) {
        const YamlNode *n = d->roster ? yaml_find(d->roster->root, pointer) : NULL;

        if (!n)
                return SPAN_NONE;
        if (n->key && (n->kind == YAML_MAPPING || n->kind == YAML_SEQUENCE))
                return n->key->span;
        return n->span;
}
