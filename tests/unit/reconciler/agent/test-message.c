/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "model/base/strv.h"
#include "reconciler/agent/message.h"

static char misreads[] = "(?:\\\\|@[^\\s@]*+)\\z", everywhere[] = "@", faulty[] = "(",
            prefix[] = "# ";

#define BYTES(s) (s), sizeof(s) - 1

typedef struct Case {
        const char *body;
        size_t size;
        const char *arrives; /* behind the label line; NULL: refused */
        const char *says;    /* part of the refusal */
        bool adapt;
        size_t n_changes;
} Case;

static const Case cases[] = {
        { BYTES("plain"), "plain", NULL, false, 0 },
        { BYTES("tab\tand\nline\n"), "tab\tand\nline\n", NULL, false, 0 },
        { BYTES("  blanks  "), "  blanks  ", NULL, false, 0 },
        { BYTES("!ls"), "!ls", NULL, false, 0 },
        { BYTES("\xe2\x80\xae"), "\xe2\x80\xae", NULL, false, 0 },
        { BYTES(""), NULL, "empty", false, 0 },
        { BYTES("a\0b"), NULL, "position 1", false, 0 },
        { BYTES("ab\x1b"), NULL, "U+001B at position 2", false, 0 },
        { BYTES("\x7f"), NULL, "U+007F at position 0", false, 0 },
        { BYTES("e\xc2\x9b"), NULL, "U+009B at position 1", true, 0 },
        { BYTES("abc\xe2\x82"), NULL, "0xe2 at position 3", false, 0 },
        { BYTES("\xed\xa0\x80"), NULL, "position 0", false, 0 },
        { BYTES("a\r\nb"), NULL, "position 1", false, 0 },
        { BYTES("a\r\nb\r\n"), "a\nb\n", NULL, true, 1 },
        { BYTES("a\rb"), NULL, "U+000D at position 1", true, 0 },
        { BYTES("end \\"), NULL, "position 4", false, 0 },
        { BYTES("end \\"), "end \\ ", NULL, true, 1 },
        { BYTES("end \\\n"), "end \\\n", NULL, false, 0 },
        { BYTES("to ana@example"), NULL, "'@example' at position 6", false, 0 },
        { BYTES("to ana@example"), "to ana@example ", NULL, true, 1 },
        { BYTES("a\r\n\\"), "a\n\\ ", NULL, true, 2 },
};

static void bodies(void **state) {
        const RuntimeTalk talk = { .composer_misreads = misreads };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Case *c = cases + i;
                const MessageRequest q = {
                        .label = "ana",
                        .agent = "web",
                        .id = "0a1b2c3d",
                        .body = c->body,
                        .size = c->size,
                        .adapt = c->adapt,
                };
                static const char head[] = "[from ana to web #0a1b2c3d]\n";
                _cleanup_message_ Message m = { 0 };
                _cleanup_free_ char *why = NULL;
                int r = message_compose(&q, &talk, &m, &why);

                if (!c->arrives) {
                        assert_int_equal(r, MESSAGE_REFUSED);
                        if (!strstr(why, c->says))
                                fail_msg("case %zu: %s", i, why);
                        assert_null(m.text);
                        continue;
                }
                if (r != 0)
                        fail_msg("case %zu: %s", i, why);
                assert_int_equal(m.size, strlen(head) + strlen(c->arrives));
                assert_memory_equal(m.text, head, strlen(head));
                assert_string_equal(m.text + strlen(head), c->arrives);
                assert_int_equal(strv_length(m.changes), c->n_changes);
        }
}

static int compose(const RuntimeTalk *talk,
                const char *label,
                const char *body,
                size_t size,
                bool adapt,
                Message *m) {
        const MessageRequest q = { .label = label,
                .agent = "web",
                .id = "00000000",
                .body = body,
                .size = size,
                .adapt = adapt };
        _cleanup_free_ char *why = NULL;

        return message_compose(&q, talk, m, &why);
}

static void limits(void **state) {
        static char big[MESSAGE_MAX + 1];
        _cleanup_message_ Message m = { 0 };

        (void)state;
        memset(big, 'x', sizeof(big));
        assert_int_equal(compose(&(RuntimeTalk){ 0 }, "a", big, sizeof(big), false, &m),
                        MESSAGE_REFUSED);
        assert_int_equal(compose(&(RuntimeTalk){ 0 }, "a", big, MESSAGE_MAX, false, &m), 0);
}

/* What cannot be helped by a blank, or cannot be told, is refused also with adapt. */
static void runtimes(void **state) {
        _cleanup_message_ Message m = { 0 }, shell = { 0 }, command = { 0 };

        (void)state;
        assert_int_equal(compose(&(RuntimeTalk){ .composer_misreads = everywhere }, "a", "x @y", 4,
                                         true, &m),
                        MESSAGE_REFUSED);
        assert_int_equal(compose(&(RuntimeTalk){ .composer_misreads = faulty }, "a", "x", 1, true,
                                         &m),
                        MESSAGE_REFUSED);
        assert_int_equal(compose(&(RuntimeTalk){ .composer_prefix = prefix }, "a", "ls", 2, false,
                                         &shell),
                        0);
        assert_string_equal(shell.text, "# [from a to web #00000000]\nls");
        assert_int_equal(compose(&(RuntimeTalk){ .composer_misreads = everywhere,
                                                 .composer_prefix = prefix },
                                         NULL, "/new", 4, false, &command),
                        0);
        assert_string_equal(command.text, "/new");
}

static void labels(void **state) {
        static const char *const good[] = { "host:operator", "a", "Ana M\xc3\xbcller",
                "ci/nightly-2", "a.b_c@d+e,f" };
        static const char *const bad[] = { "", " a", "a ", "a]", "[a", "a\nb", "a\x1b", "a\x7f",
                "\xc2\x85", "\xe2\x80\xae", "\xff", "a$b", "`a`", "a;b", "a|b", "a\tb", "#a",
                "\\" };
        char long_one[LABEL_MAX + 2] = "";

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_free_ char *why = NULL;

                assert_int_equal(message_check_label(good[i], &why), 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *why = NULL;

                assert_int_equal(message_check_label(bad[i], &why), MESSAGE_REFUSED);
                assert_non_null(why);
        }
        memset(long_one, 'x', LABEL_MAX + 1);
        {
                _cleanup_free_ char *why = NULL;

                assert_int_equal(message_check_label(long_one, &why), MESSAGE_REFUSED);
                assert_int_equal(message_check_label(long_one + 1, NULL), 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bodies),
                cmocka_unit_test(limits),
                cmocka_unit_test(runtimes),
                cmocka_unit_test(labels),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
