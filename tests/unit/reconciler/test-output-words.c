/* SPDX-License-Identifier: MIT */

/* The word lists of the shipped schemas are those of the program: each enum of the model, whole. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/check.h"
#include "model/json.h"
#include "model/observed.h"
#include "model/plan.h"
#include "model/report.h"

static const char *folder;

static Json *read_schema(const char *name) {
        _cleanup_fclose_ FILE *f = NULL;
        _cleanup_free_ char *path = NULL, *bytes = NULL;
        Json *j = NULL;
        size_t n;

        assert_true(asprintf(&path, "%s/%s.schema.json", folder, name) > 0);
        f = fopen(path, "re");
        assert_non_null(f);
        bytes = malloc(1u << 20);
        assert_non_null(bytes);
        n = fread(bytes, 1, 1u << 20, f);
        assert_int_equal(json_parse(bytes, n, &j), 0);
        return j;
}

/* Walks members by name; "a/b/c". */
static const Json *at(const Json *j, const char *path) {
        const char *word = path;

        while (*word) {
                size_t n = strcspn(word, "/");
                _cleanup_free_ char *key = strndup(word, n);

                assert_non_null(key);
                j = json_get(j, key);
                if (!j)
                        fail_msg("%s: no %s in the schema", path, key);
                word += n + (word[n] == '/');
        }
        return j;
}

static bool list_has(const Json *list, const char *word) {
        for (size_t i = 0; i < json_length(list); i++) {
                const char *item = json_as_string(json_at(list, i));

                if (item && strcmp(item, word) == 0)
                        return true;
        }
        return false;
}

/* @path: an `enum` of the schema; @extra: how many of its entries are not from this list. */
static void check_list(
                const char *schema, const char *path, const char *const *words, size_t extra) {
        _cleanup_json_ Json *j = read_schema(schema);
        const Json *list = at(j, path);
        size_t n = 0;

        for (; words[n]; n++)
                if (!list_has(list, words[n]))
                        fail_msg("%s %s: %s is not there", schema, path, words[n]);
        /* Two values may share a word: count each once. */
        for (size_t i = 0; words[i]; i++)
                for (size_t k = 0; k < i; k++)
                        if (strcmp(words[i], words[k]) == 0) {
                                n--;
                                break;
                        }
        if (json_length(list) != n + extra)
                fail_msg("%s %s: %zu words, the program has %zu", schema, path, json_length(list),
                                n + extra);
}

#define WORDS(name, first, end, to_string)                                                         \
        const char *name[(end) - (first) + 1] = { 0 };                                             \
        for (int i_ = (first); i_ < (int)(end); i_++)                                              \
        name[i_ - (first)] = to_string(i_)

static void test_reasons(void **state) {
        WORDS(words, 0, _REASON_MAX, reason_to_string);

        (void)state;
        check_list("plan", "$defs/reason/enum", words, 0);
        check_list("status", "$defs/reason/enum", words, 0);
        check_list("explain", "$defs/reason/enum", words, 0);
        check_list("explain", "properties/action_reason/enum", words, 1);
}

static void test_actions(void **state) {
        WORDS(words, 0, _ACTION_KIND_MAX, action_kind_to_string);

        (void)state;
        check_list("plan", "$defs/action/properties/verb/enum", words, 0);
        check_list("explain", "properties/action/enum", words, 1);
        check_list("explain", "$defs/history_entry/properties/action/enum", words, 0);
}

static void test_remarks(void **state) {
        WORDS(words, 0, _REMARK_KIND_MAX, remark_kind_to_string);

        (void)state;
        check_list("plan", "$defs/remark/properties/kind/enum", words, 0);
        check_list("status", "$defs/remark/properties/kind/enum", words, 0);
}

static void test_outcomes(void **state) {
        WORDS(words, OUTCOME_NOT_STARTED, OUTCOME_SKIPPED + 1, outcome_to_string);
        WORDS(disruptions, DISRUPTION_NONE, DISRUPTION_DESTROY + 1, disruption_to_string);

        (void)state;
        check_list("plan", "$defs/result/properties/outcome/enum", words, 0);
        check_list("explain", "$defs/history_entry/properties/outcome/enum", words, 0);
        check_list("plan", "$defs/action/properties/disruption/enum", disruptions, 0);
}

static void test_sources_and_units(void **state) {
        WORDS(sources, SOURCE_PRESENT, SOURCE_UNKNOWN + 1, source_state_to_string);
        WORDS(units, UNIT_NOT_LOADED, UNIT_OTHER + 1, unit_state_to_string);
        WORDS(checks, CHECK_OK, CHECK_UNKNOWN + 1, check_state_to_string);
        WORDS(wanted, DESIRED_RUNNING, DESIRED_STOPPED + 1, desired_state_to_string);

        (void)state;
        check_list("status", "$defs/observed/properties/sources/items/properties/state/enum",
                        sources, 0);
        check_list("status", "$defs/agent/properties/unit/enum", units, 0);
        check_list("status", "$defs/agent/properties/desired/enum", wanted, 0);
        check_list("plan", "$defs/check/properties/state/enum", checks, 0);
}

/* Counts in the summary: one for each verb and each kind. */
static void test_summary(void **state) {
        _cleanup_json_ Json *j = read_schema("plan");
        const Json *summary = at(j, "$defs/summary/properties");

        (void)state;
        for (int k = 0; k < _ACTION_KIND_MAX; k++)
                assert_true(json_has(summary, action_kind_to_string((ActionKind)k)));
        for (int k = 0; k < _REMARK_KIND_MAX; k++)
                assert_true(json_has(summary, remark_kind_to_string((RemarkKind)k)));
        /* These, done failed skipped not_started, agents, unchanged, exit. */
        assert_int_equal(json_length(summary), _ACTION_KIND_MAX + _REMARK_KIND_MAX + 7);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reasons),
                cmocka_unit_test(test_actions),
                cmocka_unit_test(test_remarks),
                cmocka_unit_test(test_outcomes),
                cmocka_unit_test(test_sources_and_units),
                cmocka_unit_test(test_summary),
        };

        if (argc < 2) {
                fprintf(stderr, "usage: test-output-words FOLDER\n");
                return 2;
        }
        folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
