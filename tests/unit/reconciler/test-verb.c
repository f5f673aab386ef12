/* SPDX-License-Identifier: MIT */

/* The table of verbs: what help, completion and the manual are made from holds together. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/completion.h"
#include "reconciler/options.h"
#include "reconciler/verb.h"

static void test_order_and_groups(void **state _unused_) {
        for (size_t i = 0; verbs[i]; i++) {
                const Verb *v = verbs[i], *next = verbs[i + 1];
                int order;

                assert_ptr_equal(verb_find(v->group, v->name), v);
                assert_true(verb_task(v) > TASK_OF_GROUP && verb_task(v) < _VERB_TASK_MAX);
                if (v->group && !verb_group_find(v->group))
                        fail_msg("%s: the group '%s' is not among verb_groups", v->name, v->group);
                if (!next)
                        continue;
                order = strcmp(v->group ? v->group : "", next->group ? next->group : "");
                if (order == 0)
                        order = strcmp(v->name, next->name);
                if (order >= 0)
                        fail_msg("%s stands before %s", v->name, next->name);
        }
}

/* What a help text describes is what the parser knows: the name, and whether a value follows. */
static void test_options_of_help(void **state _unused_) {
        for (size_t i = 0; verbs[i]; i++) {
                const char *at = verbs[i]->help;
                VerbOption o;

                while (verb_next_option(&at, &o)) {
                        const char *values;
                        bool has_value;

                        if (!option_find(o.name, o.name_length, &has_value, &values))
                                fail_msg("%s: no option --%.*s", verbs[i]->name, (int)o.name_length,
                                                o.name);
                        if (has_value != o.has_value)
                                fail_msg("%s: --%.*s: help and parser differ about its value",
                                                verbs[i]->name, (int)o.name_length, o.name);
                        assert_true(o.text_length > 0);
                }
        }
}

static void test_words_follow_synopsis(void **state _unused_) {
        for (size_t i = 0; verbs[i]; i++) {
                const Verb *v = verbs[i];
                const char *first = v->synopsis + strspn(v->synopsis, "[");

                if (strncmp(first, "NAME", 4) == 0 &&
                                (!v->words || strcmp(v->words, "@agent") != 0))
                        fail_msg("%s takes names, but none would be offered", v->name);
                if (strncmp(first, "FILE", 4) == 0 && (!v->words || strcmp(v->words, "@file") != 0))
                        fail_msg("%s takes a file, but none would be offered", v->name);
        }
}

static void test_next_option(void **state _unused_) {
        const char *at = "Text with --not-one in it.\n"
                         "\n"
                         "Options:\n"
                         "  -y, --yes         Do not ask\n"
                         "      --out FILE    Also save it,\n"
                         "                    with --more about it\n"
                         "      --format FORMAT text or json\n"
                         "  -x                has no name\n"
                         "\n"
                         "Examples:\n"
                         "  mosaic fleet plan --out x\n";
        static const struct {
                char letter;
                const char *name, *text;
                bool has_value;
        } wanted[] = {
                { 'y', "yes", "Do not ask", false },
                { 0, "out", "Also save it,", true },
                { 0, "format", "text or json", true },
        };
        VerbOption o;

        for (size_t i = 0; i < ELEMENTSOF(wanted); i++) {
                assert_true(verb_next_option(&at, &o));
                assert_int_equal(o.letter, wanted[i].letter);
                assert_int_equal(o.name_length, strlen(wanted[i].name));
                assert_memory_equal(o.name, wanted[i].name, o.name_length);
                assert_int_equal(o.text_length, strlen(wanted[i].text));
                assert_memory_equal(o.text, wanted[i].text, o.text_length);
                assert_int_equal(o.has_value, wanted[i].has_value);
        }
        assert_false(verb_next_option(&at, &o));
}

static void test_suggest(void **state _unused_) {
        static const struct {
                const char *group, *word, *meant;
        } table[] = {
                { NULL, "plan", "fleet plan" },
                { NULL, "stauts", "fleet status" },
                { NULL, "flet", "fleet" },
                { NULL, "tail", "agent tail" },
                { "fleet", "tial", "agent tail" },
                { "agent", "paln", "fleet plan" },
                { NULL, "versoin", "version" },
                { NULL, "upgrade-everything", NULL },
                { "fleet", "paln", "fleet plan" },
                { "fleet", "update", "update" },
                { "fleet", "xyzzy", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *meant = NULL;

                assert_int_equal(verb_suggest(table[i].group, table[i].word, &meant), 0);
                if (!table[i].meant)
                        assert_null(meant);
                else
                        assert_string_equal(meant ? meant : "", table[i].meant);
        }
}

/* Every verb and every option is in the script of every shell. */
static void test_completion_is_whole(void **state _unused_) {
        for (int s = 0; s < _SHELL_MAX; s++) {
                _cleanup_free_ char *text = NULL;
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                completion_write((Shell)s, &b);
                assert_int_equal(strbuf_finish(&b, &text), 0);
                for (size_t i = 0; verbs[i]; i++) {
                        const char *at = verbs[i]->help;
                        VerbOption o;

                        assert_non_null(strstr(text, verbs[i]->name));
                        while (verb_next_option(&at, &o)) {
                                _cleanup_free_ char *name = strndup(o.name, o.name_length);

                                assert_non_null(name);
                                assert_non_null(strstr(text, name));
                        }
                }
                assert_null(strstr(text, "@profile"));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order_and_groups),
                cmocka_unit_test(test_options_of_help),
                cmocka_unit_test(test_words_follow_synopsis),
                cmocka_unit_test(test_next_option),
                cmocka_unit_test(test_suggest),
                cmocka_unit_test(test_completion_is_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
