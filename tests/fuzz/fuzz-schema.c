/* SPDX-License-Identifier: MIT */

/* Input: a schema, a zero byte, an instance; both JSON. Also the JSON reader and writer: what is
 * written reads back equal. */

#include <assert.h>
#include <string.h>

#include "schema/validator.h"
#include "tests/fuzz/entry.h"

static int count_errors(const SchemaError *error, void *user) {
        assert(error->instance);
        return ++*(unsigned *)user > 100;
}

static void check_round_trip(const Json *j) {
        static const JsonFormat formats[] = { JSON_PLAIN, JSON_CANONICAL, JSON_PRETTY };

        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                _cleanup_free_ char *text = NULL;
                _cleanup_json_ Json *again = NULL;

                if (json_to_text(j, formats[i], &text) < 0)
                        return;
                assert(json_parse(text, strlen(text), &again) == 0);
                assert(json_equal(j, again));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_json_ Json *document = NULL, *instance = NULL;
        _cleanup_schema_ Schema *schema = NULL;
        _cleanup_free_ char *message = NULL;
        const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
        unsigned errors = 0;
        int r;

        if (!zero || json_parse((const char *)data, (size_t)(zero - data), &document) < 0)
                return 0;
        check_round_trip(document);
        if (json_parse((const char *)zero + 1, size - (size_t)(zero + 1 - data), &instance) < 0)
                return 0;
        check_round_trip(instance);
        r = schema_new(document, SCHEMA_DRAFT_2020_12, /* assert_format= */ false, &message,
                        &schema);
        if (r < 0) {
                assert(r == -ENOMEM || message);
                return 0;
        }
        r = schema_validate(schema, instance, count_errors, &errors);
        assert(r == 0 || r == SCHEMA_INVALID || r < 0);
        assert(r != SCHEMA_INVALID || errors > 0);
        return 0;
}
