/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/tmux/listing.h"
#include "model/base/strbuf.h"

#define LINE(session, pane, name, marker)                                                          \
        "mosaic-1\t4100\t" session "\t1700000000\t0\t1700000001\t" pane "\t4200\t0\t" name         \
        "\t" marker "\t.\n"

#define BEGIN "mosaic-1 begin 4100\n"
#define SESSION "mosaic-1 session\n"
#define END "mosaic-1 end\n"

static int parse_raw(const char *text, Observed **ret) {
        assert_int_equal(observed_new(SUPERVISOR_SYSTEMD, ret), 0);
        return tmux_listing_parse(text, "default", *ret);
}

/* With the line that makes it complete. */
static int parse(const char *text, size_t n_sessions, Observed **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        strbuf_add(&b, BEGIN);
        while (n_sessions-- > 0)
                strbuf_add(&b, SESSION);
        strbuf_addf(&b, "%s" END, text);
        assert_false(b.failed);
        return parse_raw(strbuf_text(&b), ret);
}

static const struct {
        const char *name;
        const char *text;
        int result;
        size_t n_sessions;
        SessionOwner owner; /* of the first session */
} cases[] = {
        { "empty", "", 0, 0, SESSION_FOREIGN },
        { "ours", LINE("$1", "%1", "web", "default:web:$1"), 0, 1, SESSION_AGENT },
        { "renamed by hand", LINE("$1", "%1", "other", "default:web:$1"), 0, 1, SESSION_AGENT },
        { "holder", LINE("$0", "%0", "_holder", "default:_holder:$0"), 0, 1, SESSION_HOLDER },
        { "no marker", LINE("$1", "%1", "web", ""), 0, 1, SESSION_FOREIGN },
        { "copied marker", LINE("$2", "%2", "x", "default:web:$1"), 0, 1, SESSION_FOREIGN },
        { "another fleet", LINE("$1", "%1", "web", "0a1b2c3d:web:$1"), 0, 1, SESSION_FOREIGN },
        { "prefix of a fleet", LINE("$1", "%1", "web", "defaultx:web:$1"), 0, 1, SESSION_FOREIGN },
        { "marker with a bad name", LINE("$1", "%1", "x", "default:We b:$1"), 0, 1,
                        SESSION_FOREIGN },
        { "session called $0", LINE("$1", "%1", "$0", ""), 0, 1, SESSION_FOREIGN },
        /* tmux writes neither: such a listing is not to be believed. */
        { "tab in a marker", LINE("$1", "%1", "web", "default:web:$1\tx"), -EBADMSG, 0,
                        SESSION_FOREIGN },
        { "newline in a marker", LINE("$1", "%1", "web", "a\nb"), -EBADMSG, 0, SESSION_FOREIGN },
        { "two panes",
                        LINE("$1", "%1", "web", "default:web:$1")
                                        LINE("$1", "%2", "web", "default:web:$1"),
                        0, 1, SESSION_AGENT },
        { "cut off", "mosaic-1\t4100\t$1\t17000", -EBADMSG, 0, SESSION_FOREIGN },
        { "cut off at a field", "mosaic-1\t4100\t$1\n", -EBADMSG, 0, SESSION_FOREIGN },
        { "not a number", LINE("$x", "%1", "web", ""), -EBADMSG, 0, SESSION_FOREIGN },
        { "two servers",
                        LINE("$1", "%1", "a", "") "mosaic-1\t4101\t$2\t1\t0\t1\t%2\t1\t0\tb\t\t.\n",
                        -EBADMSG, 0, SESSION_FOREIGN },
};

static void test_cases(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(observed_freep) Observed *o = NULL;
                int r = parse(cases[i].text, cases[i].n_sessions, &o);

                if (r != cases[i].result || o->n_sessions != cases[i].n_sessions ||
                                (o->n_sessions > 0 && o->sessions[0].owner != cases[i].owner))
                        fail_msg("%s: returned %d, %zu sessions, owner %d", cases[i].name, r,
                                        o->n_sessions,
                                        o->n_sessions > 0 ? (int)o->sessions[0].owner : -1);
        }
}

/* A listing that ends anywhere is an error, whatever is there: never sessions that are gone. */
static void test_truncated(void **state _unused_) {
        static const char text[] = BEGIN SESSION SESSION LINE("$1", "%1", "web", "default:web:$1")
                        LINE("$2", "%2", "web-1", "default:web-1:$2") END;

        for (size_t n = 0; n < sizeof(text) - 1; n++) {
                _cleanup_(observed_freep) Observed *o = NULL;
                _cleanup_free_ char *cut = strndup(text, n);

                assert_non_null(cut);
                assert_int_equal(parse_raw(cut, &o), -EBADMSG);
        }
}

static void test_rubbish(void **state _unused_) {
        static const char *const texts[] = { "", "\n", "rubbish\n", "a\tb\tc\n", "x" END,
                END "x\n" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_(observed_freep) Observed *o = NULL;

                if (parse_raw(texts[i], &o) != -EBADMSG)
                        fail_msg("taken for a listing: %s", texts[i]);
        }
}

static void test_empty(void **state _unused_) {
        static const char *const others[] = { "", "mosaic-1 begin\n", "mosaic-1 begin 1",
                "mosaic-1 begin 1\nmosaic-1 session\n", "mosaic-1 begin 99999999999\n" };
        _cleanup_(observed_freep) Observed *o = NULL;

        assert_int_equal(observed_new(SUPERVISOR_SYSTEMD, &o), 0);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                assert_false(tmux_listing_is_empty(others[i], o));
        assert_true(tmux_listing_is_empty("mosaic-1 begin 4100\n", o));
        assert_int_equal(o->server_pid, 4100);
}

static void test_fields(void **state _unused_) {
        _cleanup_(observed_freep) Observed *o = NULL;

        assert_int_equal(parse("mosaic-1\t4100\t$3\t1700000000\t2\t1700000009\t%7\t4242\t1\tweb\t"
                               "default:web:$3\t.\n",
                                         1, &o),
                        0);
        assert_int_equal(o->server_pid, 4100);
        assert_string_equal(o->sessions[0].id, "$3");
        assert_string_equal(o->sessions[0].agent, "web");
        assert_string_equal(o->sessions[0].pane_id, "%7");
        assert_int_equal(o->sessions[0].pane_pid, 4242);
        assert_int_equal(o->sessions[0].attached, 2);
        assert_true(o->sessions[0].pane_dead);
        assert_int_equal(o->sessions[0].created_usec, UINT64_C(1700000000000000));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cases),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_rubbish),
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_fields),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
