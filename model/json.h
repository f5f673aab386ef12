/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON in memory, in and out. The only file that calls json-c: everybody else reads and builds
 * documents with what is declared here. No I/O.
 *
 * A JSON null is the NULL pointer, as in json-c: json_get() answers NULL for a member that is null
 * and for one that is missing, json_has() tells them apart.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/cleanup.h"
#include "model/base/strbuf.h"

typedef struct json_object Json;

Json *json_free(Json *j);
DEFINE_CLEANUP(Json *, json_free)
#define _cleanup_json_ _cleanup_(json_freep)

/* One more owner of the same document. Returns @j. */
Json *json_share(Json *j);

typedef enum JsonType {
        JSON_NULL,
        JSON_BOOL,
        JSON_INTEGER, /* fits int64_t or uint64_t */
        JSON_DOUBLE,
        JSON_STRING,
        JSON_ARRAY,
        JSON_OBJECT,
} JsonType;

/* --- reading ---------------------------------------------------------------------------------- */

#define JSON_SIZE_MAX (16u << 20)
#define JSON_DEPTH_MAX 64

/* Parses exactly one RFC 8259 text. -EINVAL: it is none, or holds an integer that fits no 64 bits
 * or a key with a NUL. -EFBIG: more than JSON_SIZE_MAX bytes, or nested deeper than JSON_DEPTH_MAX.
 * A key that occurs twice: the last one counts. */
_must_check_ int json_parse(const char *bytes, size_t size, Json **ret);

JsonType json_type_of(const Json *j);

/* The value itself. The type must be right (json_type_of()), else the answer is NULL, false or 0. A
 * string with a NUL inside answers NULL. Borrowed from @j. */
const char *json_as_string(const Json *j);
/* A string with NULs and all; NULL for another type. */
const char *json_as_bytes(const Json *j, size_t *ret_size);
bool json_as_bool(const Json *j);
double json_as_double(const Json *j); /* integers too */

/* 0, -EINVAL (no integer, or a double that is not one), -ERANGE. */
_must_check_ int json_as_int64(const Json *j, int64_t *ret);
_must_check_ int json_as_uint64(const Json *j, uint64_t *ret);

/* Number of elements or members; of another type 0. */
size_t json_length(const Json *j);

/* Element @i of an array; borrowed. */
Json *json_at(const Json *array, size_t i);

/* Member @key of an object; NULL if it is missing or null, or if @object is no object. Borrowed. */
Json *json_get(const Json *object, const char *key);
bool json_has(const Json *object, const char *key);

/* Members by key: 0 and *ret, -ENOENT (missing or null), -EINVAL (of another type), -ERANGE. */
_must_check_ int json_get_uint64(const Json *object, const char *key, uint64_t *ret);
_must_check_ int json_get_bool(const Json *object, const char *key, bool *ret);

/* A string member, borrowed; NULL if it is missing or anything else. */
const char *json_get_string(const Json *object, const char *key);

/* A string member, copied; with @optional a missing or null one is *ret = NULL and 0. */
_must_check_ int json_get_strdup(const Json *object, const char *key, bool optional, char **ret);

/* A member of documents that are only shown: "" and 0 where it is missing or of another type. */
const char *json_text(const Json *object, const char *key);
uint64_t json_number(const Json *object, const char *key);

/* An array of strings, copied; -ENOENT, -EINVAL. */
_must_check_ int json_get_strv(const Json *object, const char *key, char ***ret);

/* Walks the members in order: for (JsonIter it = json_iter(object); json_next(&it);) ... it.key */
typedef struct JsonIter {
        const void *entry; /* the next one */
        const char *key;   /* of the current member, borrowed */
        Json *value;
} JsonIter;

JsonIter json_iter(const Json *object);
bool json_next(JsonIter *it);

/* Equality as JSON Schema has it: numbers by value (1 = 1.0), objects without order. */
bool json_equal(const Json *a, const Json *b);

/* --- building --------------------------------------------------------------------------------- */

/*
 * Errors stick, so that callers check once, in json_finish(). @key is the member's name inside an
 * object, NULL inside an array and for the outermost value. Open and close must pair up.
 *
 *     _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
 *     json_open_object(&b, NULL);
 *     json_put_uint(&b, "version", 1);
 *     json_open_array(&b, "agents");
 *     json_put_string(&b, NULL, "web");
 *     json_close(&b);
 *     json_close(&b);
 *     r = json_finish(&b, &document);
 */
typedef struct JsonBuilder {
        Json *root;
        Json *stack[JSON_DEPTH_MAX]; /* borrowed from root */
        unsigned depth;
        bool complete;
        bool keys_borrowed; /* set by the caller: each key is new in its object and outlives the
                             * document, so it is neither looked up nor copied */
        int error;
} JsonBuilder;

#define JSON_BUILDER_NULL ((JsonBuilder){ 0 })

void json_builder_done(JsonBuilder *b);
#define _cleanup_json_builder_ _cleanup_(json_builder_done)

void json_open_object(JsonBuilder *b, const char *key);
void json_open_array(JsonBuilder *b, const char *key);
void json_close(JsonBuilder *b);

void json_put_null(JsonBuilder *b, const char *key);
void json_put_bool(JsonBuilder *b, const char *key, bool v);
void json_put_int(JsonBuilder *b, const char *key, int64_t v);
void json_put_uint(JsonBuilder *b, const char *key, uint64_t v);
/* For what 0 says nothing of: it is put as null. */
void json_put_uint_or_null(JsonBuilder *b, const char *key, uint64_t v);
/* @text: how the number was written; it is what comes out again. NULL: the shortest form. */
void json_put_double(JsonBuilder *b, const char *key, double v, const char *text);
void json_put_string(JsonBuilder *b, const char *key, const char *s); /* NULL becomes null */
void json_put_bytes(
                JsonBuilder *b, const char *key, const char *bytes, size_t n); /* may hold NUL */
void json_put_stringf(JsonBuilder *b, const char *key, const char *format, ...) _printf_(3, 4);
void json_put_strv(JsonBuilder *b, const char *key, char *const *l); /* NULL becomes [] */
void json_put_json(JsonBuilder *b, const char *key, Json *take); /* owns @take, also on failure */

/* Hands the document over. -ENOMEM; -EINVAL (unbalanced, or a string that is not UTF-8). */
_must_check_ int json_finish(JsonBuilder *b, Json **ret);

/* --- writing ---------------------------------------------------------------------------------- */

typedef enum JsonFormat {
        JSON_PLAIN,     /* one line, members in order */
        JSON_CANONICAL, /* one line, members sorted by the bytes of their keys: for hashing */
        JSON_PRETTY,    /* two blanks per level: for people and golden files */
} JsonFormat;

/* Appends the text, with no newline at the end. Control characters (C0, DEL, C1) are written as
 * \u00XX, so that the text is safe on a terminal. The bytes depend on no library version. */
void json_write(const Json *j, JsonFormat format, StrBuf *b);

/* The same as a string; caller frees. */
_must_check_ int json_to_text(const Json *j, JsonFormat format, char **ret);

/* json_finish() and json_to_text() in one, for a document that is only written. Caller frees. */
_must_check_ int json_finish_text(JsonBuilder *b, JsonFormat format, char **ret);

/* Of json-c, as it is linked at run time. */
const char *json_library_version(void);
