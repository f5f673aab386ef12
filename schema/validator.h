/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON Schema: the part that drafts 07 and 2020-12 share and that our schemas need. The list of
 * keywords is in schema/README.md; any other keyword is an error when a schema is loaded, so that
 * nothing in a schema can be without effect. No I/O: references stay inside the document.
 */

#include "model/base/cleanup.h"
#include "model/json.h"

typedef enum SchemaDialect {
        SCHEMA_DRAFT_07,      /* keywords beside $ref are ignored */
        SCHEMA_DRAFT_2020_12, /* they count */
} SchemaDialect;

/* What failed. */
typedef enum SchemaKeyword {
        KEYWORD_FALSE, /* the schema `false` */
        KEYWORD_REF,
        KEYWORD_TYPE,
        KEYWORD_CONST,
        KEYWORD_ENUM,
        KEYWORD_MINIMUM,
        KEYWORD_MAXIMUM,
        KEYWORD_EXCLUSIVE_MINIMUM,
        KEYWORD_EXCLUSIVE_MAXIMUM,
        KEYWORD_MIN_LENGTH,
        KEYWORD_MAX_LENGTH,
        KEYWORD_PATTERN,
        KEYWORD_FORMAT,
        KEYWORD_MIN_ITEMS,
        KEYWORD_MAX_ITEMS,
        KEYWORD_UNIQUE_ITEMS,
        KEYWORD_ITEMS,
        KEYWORD_MIN_PROPERTIES,
        KEYWORD_MAX_PROPERTIES,
        KEYWORD_REQUIRED,
        KEYWORD_PROPERTY_NAMES,
        KEYWORD_PROPERTIES,
        KEYWORD_PATTERN_PROPERTIES,
        KEYWORD_ADDITIONAL_PROPERTIES,
        KEYWORD_ALL_OF,
        KEYWORD_ANY_OF,
        KEYWORD_ONE_OF,
        KEYWORD_NOT,
        KEYWORD_IF,
        KEYWORD_THEN,
        KEYWORD_ELSE,
        _SCHEMA_KEYWORD_MAX,
} SchemaKeyword;

const char *schema_keyword_to_string(SchemaKeyword k);

/* One thing that is wrong with an instance. Everything is borrowed for the time of the call. */
typedef struct SchemaError {
        SchemaKeyword keyword;
        const char *instance;    /* JSON pointer of the value */
        const char *property;    /* the unknown, missing or badly named member; NULL otherwise */
        const Json *value;       /* the value */
        const Json *schema;      /* the schema object that holds the keyword; NULL for `false` */
        const char *schema_path; /* its JSON pointer */
} SchemaError;

/* Called for each error; not 0 ends the validation. */
typedef int (*SchemaErrorHandler)(const SchemaError *error, void *user);

typedef struct Schema Schema;

Schema *schema_free(Schema *s);
DEFINE_CLEANUP(Schema *, schema_free)
#define _cleanup_schema_ _cleanup_(schema_freep)

/* Compiles a schema; it shares @document. @dialect counts where the document has no $schema.
 * @assert_format: `format: regex` is checked instead of noted; any other format is an error then.
 * Returns 0; -EINVAL with *ret_message (caller frees); -ENOMEM. */
_must_check_ int schema_new(Json *document,
                SchemaDialect dialect,
                bool assert_format,
                char **ret_message,
                Schema **ret);

enum {
        _SCHEMA_OK,
        SCHEMA_INVALID,
};

/* Returns 0, SCHEMA_INVALID (each error went to @handler, if there is one), -ELOOP (the schema
 * refers to itself without end), or another negative errno. No errors are reported below a value of
 * the wrong type. */
_must_check_ int schema_validate(
                const Schema *s, const Json *instance, SchemaErrorHandler handler, void *user);

/* The same against the part of the schema at a JSON pointer. -ENOENT: there is no such part. */
_must_check_ int schema_validate_part(const Schema *s,
                const char *pointer,
                const Json *instance,
                SchemaErrorHandler handler,
                void *user);

/* The subschema at a JSON pointer, with any $ref followed, borrowed; -ENOENT if there is none. */
_must_check_ int schema_lookup(const Schema *s, const char *pointer, const Json **ret);

/* Follows $ref from a schema object of this document. Borrowed. */
const Json *schema_resolve(const Schema *s, const Json *object);
