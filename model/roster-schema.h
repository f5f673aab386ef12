/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the roster needs of schema/: the findings of the schema about a YAML tree, and patterns.
 * Declared here and defined in schema/roster-schema.c, because schema/ stands on model/ and not the
 * reverse.
 */

#include <stdbool.h>

#include "model/base/diag.h"
#include "model/base/yaml.h"

typedef struct RosterSchema RosterSchema;

RosterSchema *roster_schema_free(RosterSchema *s);
DEFINE_CLEANUP(RosterSchema *, roster_schema_free)
#define _cleanup_roster_schema_ _cleanup_(roster_schema_freep)

/* Compiles the schema that is built into the program. -EINVAL would be a defect of the program. */
_must_check_ int roster_schema_new(RosterSchema **ret);

/* The whole roster. At most 100 errors are reported, each at its place. */
_must_check_ int roster_schema_check(const RosterSchema *s, const YamlNode *root, Diags *diags);

/* The file of a built-in runtime. */
_must_check_ int roster_schema_check_runtime(
                const RosterSchema *s, const YamlNode *root, Diags *diags);

/* Whether a pattern finds something in an empty line, so that it would always match. False for one
 * that does not compile: the schema has said so. */
bool roster_pattern_matches_empty(const char *pattern);
