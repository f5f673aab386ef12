/* SPDX-License-Identifier: MIT */
#include "model/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include <json-c/json.h>

#include "model/base/format.h"
#include "model/base/strv.h"
#include "model/base/utf8.h"

/* json-c takes no const pointers; reading does not change a document. */
static json_object *plain(const Json *j) {
        return (json_object *)(uintptr_t)j;
}

Json *json_free(Json *j) {
        (void)json_object_put(j); /* says whether it was the last owner */
        return NULL;
}

Json *json_share(Json *j) {
        return json_object_get(j);
}

/* --- reading ---------------------------------------------------------------------------------- */

JsonType json_type_of(const Json *j) {
        switch (json_object_get_type(j)) {
        case json_type_null:
                return JSON_NULL;
        case json_type_boolean:
                return JSON_BOOL;
        case json_type_double:
                return JSON_DOUBLE;
        case json_type_int:
                return JSON_INTEGER;
        case json_type_object:
                return JSON_OBJECT;
        case json_type_array:
                return JSON_ARRAY;
        case json_type_string:
                return JSON_STRING;
        }
        return JSON_NULL;
}

const char *json_as_string(const Json *j) {
        const char *s;

        if (json_type_of(j) != JSON_STRING)
                return NULL;
        s = json_object_get_string(plain(j));
        if (strlen(s) != (size_t)json_object_get_string_len(j))
                return NULL;
        return s;
}

const char *json_as_bytes(const Json *j, size_t *ret_size) {
        if (json_type_of(j) != JSON_STRING)
                return NULL;
        *ret_size = (size_t)json_object_get_string_len(j);
        return json_object_get_string(plain(j));
}

bool json_as_bool(const Json *j) {
        return json_type_of(j) == JSON_BOOL && json_object_get_boolean(j);
}

double json_as_double(const Json *j) {
        uint64_t u;

        if (json_type_of(j) == JSON_DOUBLE)
                return json_object_get_double(j);
        if (json_type_of(j) != JSON_INTEGER)
                return 0;
        u = json_object_get_uint64(j);
        return u > INT64_MAX ? (double)u : (double)json_object_get_int64(j);
}

int json_as_int64(const Json *j, int64_t *ret) {
        double d;

        if (json_type_of(j) == JSON_DOUBLE) {
                d = json_object_get_double(j);
                if (trunc(d) != d)
                        return -EINVAL;
                if (d < -0x1p63 || d >= 0x1p63)
                        return -ERANGE;
                *ret = (int64_t)d;
                return 0;
        }
        if (json_type_of(j) != JSON_INTEGER)
                return -EINVAL;
        if (json_object_get_uint64(j) > INT64_MAX)
                return -ERANGE;
        *ret = json_object_get_int64(j);
        return 0;
}

int json_as_uint64(const Json *j, uint64_t *ret) {
        double d;

        if (json_type_of(j) == JSON_DOUBLE) {
                d = json_object_get_double(j);
                if (trunc(d) != d)
                        return -EINVAL;
                if (d < 0 || d >= 0x1p64)
                        return -ERANGE;
                *ret = (uint64_t)d;
                return 0;
        }
        if (json_type_of(j) != JSON_INTEGER)
                return -EINVAL;
        if (json_object_get_int64(j) < 0)
                return -ERANGE;
        *ret = json_object_get_uint64(j);
        return 0;
}

size_t json_length(const Json *j) {
        if (json_type_of(j) == JSON_ARRAY)
                return json_object_array_length(j);
        if (json_type_of(j) == JSON_OBJECT)
                return (size_t)json_object_object_length(j);
        return 0;
}

Json *json_at(const Json *array, size_t i) {
        if (json_type_of(array) != JSON_ARRAY)
                return NULL;
        return json_object_array_get_idx(array, i);
}

Json *json_get(const Json *object, const char *key) {
        Json *v = NULL;

        if (json_type_of(object) != JSON_OBJECT)
                return NULL;
        (void)json_object_object_get_ex(
                        object, key, &v); /* NULL is the answer when it is missing */
        return v;
}

bool json_has(const Json *object, const char *key) {
        return json_type_of(object) == JSON_OBJECT && json_object_object_get_ex(object, key, NULL);
}

int json_get_uint64(const Json *object, const char *key, uint64_t *ret) {
        const Json *v = json_get(object, key);

        return v ? json_as_uint64(v, ret) : -ENOENT;
}

int json_get_bool(const Json *object, const char *key, bool *ret) {
        const Json *v = json_get(object, key);

        if (!v)
                return -ENOENT;
        if (json_type_of(v) != JSON_BOOL)
                return -EINVAL;
        *ret = json_as_bool(v);
        return 0;
}

const char *json_get_string(const Json *object, const char *key) {
        return json_as_string(json_get(object, key));
}

int json_get_strdup(const Json *object, const char *key, bool optional, char **ret) {
        const Json *v = json_get(object, key);
        const char *s;
        char *copy;

        if (!v) {
                if (!optional)
                        return -ENOENT;
                *ret = NULL;
                return 0;
        }
        s = json_as_string(v);
        if (!s)
                return -EINVAL;
        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

const char *json_text(const Json *object, const char *key) {
        const char *s = json_get_string(object, key);

        return s ? s : "";
}

uint64_t json_number(const Json *object, const char *key) {
        uint64_t n;

        return json_get_uint64(object, key, &n) == 0 ? n : 0;
}

int json_get_strv(const Json *object, const char *key, char ***ret) {
        _cleanup_strv_ char **l = NULL;
        const Json *v = json_get(object, key);
        int r;

        if (!v)
                return -ENOENT;
        if (json_type_of(v) != JSON_ARRAY)
                return -EINVAL;
        r = strv_copy(NULL, &l);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_length(v); i++) {
                const char *s = json_as_string(json_at(v, i));

                if (!s)
                        return -EINVAL;
                r = strv_push(&l, s);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(l);
        return 0;
}

JsonIter json_iter(const Json *object) {
        JsonIter it = { 0 };

        if (json_type_of(object) == JSON_OBJECT)
                it.entry = lh_table_head(json_object_get_object(object));
        return it;
}

bool json_next(JsonIter *it) {
        const struct lh_entry *entry = it->entry;

        if (!entry)
                return false;
        it->key = lh_entry_k(entry);
        it->value = lh_entry_v(entry);
        it->entry = lh_entry_next(entry);
        return true;
}

static bool number_equal(const Json *a, const Json *b) {
        int64_t ia, ib;
        uint64_t ua, ub;

        if (json_as_int64(a, &ia) == 0 && json_as_int64(b, &ib) == 0)
                return ia == ib;
        if (json_as_uint64(a, &ua) == 0 && json_as_uint64(b, &ub) == 0)
                return ua == ub;
        if (json_type_of(a) == JSON_INTEGER && json_type_of(b) == JSON_INTEGER)
                return false; /* one is negative, one too large for int64_t */
        return json_as_double(a) == json_as_double(b);
}

bool json_equal(const Json *a, const Json *b) {
        JsonType ta = json_type_of(a), tb = json_type_of(b);

        if ((ta == JSON_INTEGER || ta == JSON_DOUBLE) && (tb == JSON_INTEGER || tb == JSON_DOUBLE))
                return number_equal(a, b);
        if (ta != tb)
                return false;
        switch (ta) {
        case JSON_NULL:
                return true;
        case JSON_BOOL:
                return json_as_bool(a) == json_as_bool(b);
        case JSON_STRING:
                return json_object_get_string_len(a) == json_object_get_string_len(b) &&
                       memcmp(json_object_get_string(plain(a)), json_object_get_string(plain(b)),
                                       (size_t)json_object_get_string_len(a)) == 0;
        case JSON_ARRAY:
                if (json_length(a) != json_length(b))
                        return false;
                for (size_t i = 0; i < json_length(a); i++)
                        if (!json_equal(json_at(a, i), json_at(b, i)))
                                return false;
                return true;
        case JSON_OBJECT:
                if (json_length(a) != json_length(b))
                        return false;
                for (JsonIter it = json_iter(a); json_next(&it);)
                        if (!json_has(b, it.key) || !json_equal(it.value, json_get(b, it.key)))
                                return false;
                return true;
        case JSON_INTEGER:
        case JSON_DOUBLE:
                break;
        }
        return false;
}

/* --- building --------------------------------------------------------------------------------- */

void json_builder_done(JsonBuilder *b) {
        json_free(b->root);
        *b = JSON_BUILDER_NULL;
}

/* Puts @v, which may be a null, where the builder stands, and owns it from then on. */
static void attach(JsonBuilder *b, const char *key, Json *take) {
        _cleanup_json_ Json *v = take;
        Json *parent;

        if (b->error < 0)
                return;
        if (b->depth == 0) {
                if (b->complete || key) {
                        b->error = -EINVAL;
                        return;
                }
                b->root = TAKE_PTR(v);
                b->complete = true;
                return;
        }
        parent = b->stack[b->depth - 1];
        if (json_type_of(parent) == JSON_ARRAY) {
                if (key)
                        b->error = -EINVAL;
                else if (json_object_array_add(parent, v) < 0)
                        b->error = -ENOMEM;
                else
                        v = NULL;
                return;
        }
        if (!key || !utf8_is_valid(key, strlen(key)))
                b->error = -EINVAL;
        else if (json_object_object_add_ex(parent, key, v,
                                 b->keys_borrowed ? JSON_C_OBJECT_ADD_KEY_IS_NEW |
                                                                    JSON_C_OBJECT_ADD_CONSTANT_KEY
                                                  : 0) < 0)
                b->error = -ENOMEM;
        else
                v = NULL;
}

static void open_container(JsonBuilder *b, const char *key, Json *take) {
        if (!take)
                b->error = b->error < 0 ? b->error : -ENOMEM;
        else if (b->depth == ELEMENTSOF(b->stack))
                b->error = b->error < 0 ? b->error : -EINVAL;
        if (b->error < 0) {
                json_free(take);
                return;
        }
        attach(b, key, take);
        if (b->error == 0)
                b->stack[b->depth++] = take;
}

void json_open_object(JsonBuilder *b, const char *key) {
        open_container(b, key, json_object_new_object());
}

void json_open_array(JsonBuilder *b, const char *key) {
        open_container(b, key, json_object_new_array());
}

void json_close(JsonBuilder *b) {
        if (b->error < 0)
                return;
        if (b->depth == 0)
                b->error = -EINVAL;
        else
                b->depth--;
}

/* As attach(), for values that are never null. */
static void put(JsonBuilder *b, const char *key, Json *take) {
        if (take)
                attach(b, key, take);
        else if (b->error == 0)
                b->error = -ENOMEM;
}

void json_put_null(JsonBuilder *b, const char *key) {
        attach(b, key, NULL);
}

void json_put_bool(JsonBuilder *b, const char *key, bool v) {
        put(b, key, json_object_new_boolean(v));
}

void json_put_int(JsonBuilder *b, const char *key, int64_t v) {
        put(b, key, json_object_new_int64(v));
}

void json_put_uint(JsonBuilder *b, const char *key, uint64_t v) {
        put(b, key, json_object_new_uint64(v));
}

void json_put_uint_or_null(JsonBuilder *b, const char *key, uint64_t v) {
        if (v > 0)
                json_put_uint(b, key, v);
        else
                json_put_null(b, key);
}

void json_put_double(JsonBuilder *b, const char *key, double v, const char *text) {
        char shortest[32];

        if (!text) {
                /* 15 digits read back equal for most numbers, 17 for all. */
                (void)snprintf(shortest, sizeof(shortest), "%.15g", v);
                if (strtod(shortest, NULL) != v)
                        (void)snprintf(shortest, sizeof(shortest), "%.17g", v);
                text = shortest;
        }
        put(b, key, json_object_new_double_s(v, text));
}

void json_put_string(JsonBuilder *b, const char *key, const char *s) {
        if (!s)
                json_put_null(b, key);
        else if (utf8_is_valid(s, strlen(s)))
                put(b, key, json_object_new_string(s));
        else if (b->error == 0)
                b->error = -EINVAL;
}

void json_put_bytes(JsonBuilder *b, const char *key, const char *bytes, size_t n) {
        if (n <= JSON_SIZE_MAX && utf8_is_valid(bytes, n))
                put(b, key, json_object_new_string_len(bytes, (int)n));
        else if (b->error == 0)
                b->error = -EINVAL;
}

void json_put_stringf(JsonBuilder *b, const char *key, const char *format, ...) {
        _cleanup_free_ char *s = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(&s, format, ap);
        va_end(ap);
        if (r < 0) {
                if (b->error == 0)
                        b->error = r;
                return;
        }
        json_put_string(b, key, s);
}

void json_put_strv(JsonBuilder *b, const char *key, char *const *l) {
        json_open_array(b, key);
        for (; l && *l; l++)
                json_put_string(b, NULL, *l);
        json_close(b);
}

void json_put_json(JsonBuilder *b, const char *key, Json *take) {
        attach(b, key, take);
}

int json_finish(JsonBuilder *b, Json **ret) {
        int r = b->error;

        if (r == 0 && (b->depth > 0 || !b->complete))
                r = -EINVAL;
        if (r == 0)
                *ret = TAKE_PTR(b->root);
        json_builder_done(b);
        return r;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void write_string(const char *s, size_t n, StrBuf *b) {
        size_t done = 0;

        strbuf_add_char(b, '"');
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char)s[i];
                size_t length = 1;
                char escape[8];

                if (c == '"' || c == '\\')
                        (void)snprintf(escape, sizeof(escape), "\\%c", c);
                else if (c == '\n')
                        (void)snprintf(escape, sizeof(escape), "\\n");
                else if (c == '\t')
                        (void)snprintf(escape, sizeof(escape), "\\t");
                else if (c < 0x20 || c == 0x7f)
                        (void)snprintf(escape, sizeof(escape), "\\u%04x", c);
                else if (c == 0xc2 && i + 1 < n && (unsigned char)s[i + 1] < 0xa0) {
                        (void)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)s[i + 1]);
                        length = 2;
                } else
                        continue;
                strbuf_add_bytes(b, s + done, i - done);
                strbuf_add(b, escape);
                i += length - 1;
                done = i + 1;
        }
        strbuf_add_bytes(b, s + done, n - done);
        strbuf_add_char(b, '"');
}

static int compare_keys(const void *a, const void *b) {
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_value(const Json *j, JsonFormat format, unsigned level, StrBuf *b);

static void write_separator(JsonFormat format, unsigned level, bool first, StrBuf *b) {
        if (!first)
                strbuf_add_char(b, ',');
        if (format == JSON_PRETTY) {
                strbuf_add_char(b, '\n');
                strbuf_fill(b, ' ', 2 * (size_t)level);
        }
}

static void write_member(
                const Json *object, const char *key, JsonFormat format, unsigned level, StrBuf *b) {
        write_string(key, strlen(key), b);
        strbuf_add(b, format == JSON_PRETTY ? ": " : ":");
        write_value(json_get(object, key), format, level, b);
}

static void write_object(const Json *j, JsonFormat format, unsigned level, StrBuf *b) {
        _cleanup_free_ const char **keys = NULL;
        size_t n = 0;

        if (json_length(j) == 0) {
                strbuf_add(b, "{}");
                return;
        }
        keys = calloc(json_length(j), sizeof(*keys));
        if (!keys) {
                b->failed = true;
                return;
        }
        for (JsonIter it = json_iter(j); json_next(&it);)
                keys[n++] = it.key;
        if (format == JSON_CANONICAL)
                qsort(keys, n, sizeof(*keys), compare_keys);
        strbuf_add_char(b, '{');
        for (size_t i = 0; i < n; i++) {
                write_separator(format, level + 1, /* first= */ i == 0, b);
                write_member(j, keys[i], format, level + 1, b);
        }
        if (format == JSON_PRETTY)
                write_separator(format, level, /* first= */ true, b);
        strbuf_add_char(b, '}');
}

static void write_array(const Json *j, JsonFormat format, unsigned level, StrBuf *b) {
        size_t n = json_length(j);

        strbuf_add_char(b, '[');
        for (size_t i = 0; i < n; i++) {
                write_separator(format, level + 1, /* first= */ i == 0, b);
                write_value(json_at(j, i), format, level + 1, b);
        }
        if (format == JSON_PRETTY && n > 0)
                write_separator(format, level, /* first= */ true, b);
        strbuf_add_char(b, ']');
}

/* json-c keeps the text it was parsed from or built with. */
static void write_double(const Json *j, StrBuf *b) {
        const char *text = json_object_to_json_string_ext(plain(j), JSON_C_TO_STRING_PLAIN);

        if (text)
                strbuf_add(b, text);
        else
                b->failed = true;
}

static void write_value(const Json *j, JsonFormat format, unsigned level, StrBuf *b) {
        switch (json_type_of(j)) {
        case JSON_NULL:
                strbuf_add(b, "null");
                break;
        case JSON_BOOL:
                strbuf_add(b, json_as_bool(j) ? "true" : "false");
                break;
        case JSON_INTEGER:
                if (json_object_get_uint64(j) > INT64_MAX)
                        strbuf_addf(b, "%" PRIu64, json_object_get_uint64(j));
                else
                        strbuf_addf(b, "%" PRId64, json_object_get_int64(j));
                break;
        case JSON_DOUBLE:
                write_double(j, b);
                break;
        case JSON_STRING:
                write_string(json_object_get_string(plain(j)),
                                (size_t)json_object_get_string_len(j), b);
                break;
        case JSON_ARRAY:
                write_array(j, format, level, b);
                break;
        case JSON_OBJECT:
                write_object(j, format, level, b);
                break;
        }
}

void json_write(const Json *j, JsonFormat format, StrBuf *b) {
        write_value(j, format, 0, b);
}

int json_to_text(const Json *j, JsonFormat format, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        json_write(j, format, &b);
        return strbuf_finish(&b, ret);
}

int json_finish_text(JsonBuilder *b, JsonFormat format, char **ret) {
        _cleanup_json_ Json *j = NULL;
        int r;

        r = json_finish(b, &j);
        return r < 0 ? r : json_to_text(j, format, ret);
}

const char *json_library_version(void) {
        return json_c_version();
}
