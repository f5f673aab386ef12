/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A schema as the validator walks it: one node per schema object, one rule per keyword, references
 * and patterns resolved. Only for schema/validator.c and schema/compile.c.
 */

#include "schema/pattern.h"
#include "schema/validator.h"

typedef struct SchemaNode SchemaNode;

typedef struct SchemaRule {
        SchemaKeyword keyword;
        const Json *value; /* as the schema has it; borrowed */
        size_t count;      /* of minLength and its like */
        unsigned types;    /* of `type`: 1u << JsonType */
        SchemaNode **nodes;
        const char **names; /* `properties`: name of each node, sorted; borrowed */
        Pattern **patterns; /* `pattern`: one; `patternProperties`: one for each node */
        size_t n_nodes;
        size_t n_patterns;
} SchemaRule;

struct SchemaNode {
        const Json *json; /* NULL for `true` and `false` */
        char *path;
        bool is_false;
        bool has_members;  /* properties, patternProperties or additionalProperties */
        SchemaRule *rules; /* sorted by keyword */
        size_t n_rules;
        SchemaNode *additional; /* nodes of additionalProperties, then and else; NULL if absent */
        SchemaNode *then;
        SchemaNode *otherwise;
};

struct Schema {
        Json *document;
        SchemaDialect dialect;
        bool assert_format;
        SchemaNode **nodes; /* owns all of them */
        size_t n_nodes;
        SchemaNode *root;
};

bool schema_keyword_is_applicator(SchemaKeyword k);

/* The node of `properties` with that name, or NULL. */
const SchemaNode *schema_rule_find(const SchemaRule *rule, const char *name);

/* Whether the text is a pattern that compiles: 1, 0 or -ENOMEM. */
_must_check_ int schema_regex_is_valid(const char *text, size_t size);
