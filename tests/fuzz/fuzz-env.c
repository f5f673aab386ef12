/* SPDX-License-Identifier: MIT */

/*
 * Environment files. First byte even: variables that the rest of the input names are written in all
 * the ways the format has and must be read back. Odd: raw bytes; what is accepted is what a reader
 * that was written apart from it accepts.
 */

#include "drivers/os/env-file.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/spec.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

static void must(int r) {
        assert(r == 0);
}

/* --- written, then read ----------------------------------------------------------------------- */

static bool is_edge(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '"' || c == '\'';
}

/* False: the format cannot say this value. */
static bool write_value(Input *in, const char *value, StrBuf *b) {
        size_t n = strlen(value);
        unsigned style = input_choose(in, 3);
        bool plain = n == 0 || (!is_edge(value[0]) && !is_edge(value[n - 1]));
        bool single = !strchr(value, '\''), twice = !strchr(value, '"');

        if (twice && (style == 1 || (!plain && !single)))
                strbuf_addf(b, "\"%s\"", value);
        else if (single && (style == 2 || !plain))
                strbuf_addf(b, "'%s'", value);
        else if (plain)
                strbuf_add(b, value);
        else
                return false;
        return true;
}

static void check_written(Input *in) {
        static const char *const names[] = { "A", "PATH", "_x9", "LD_PRELOAD", "A1" };
        static const char *const ends[] = { "\n", "\r\n", "  \n", "\n# A=2\n", "\n\n \t\n" };
        _cleanup_strv_ char **wanted = NULL, **got = NULL;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        const char *problem = NULL;
        unsigned line = 0, n = input_choose(in, 6);

        for (unsigned i = 0; i < n; i++) {
                const char *name = names[input_choose(in, ELEMENTSOF(names))];
                const char *end = ends[input_choose(in, ELEMENTSOF(ends))];
                _cleanup_free_ char *value = input_text(in, 100);
                _cleanup_strbuf_ StrBuf text = STRBUF_NULL;

                value[strcspn(value, "\n")] = '\0';
                if (!write_value(in, value, &text))
                        continue;
                strbuf_addf(&b, "%s%s=%s%s", input_flag(in) ? " \t" : "", name, strbuf_text(&text),
                                end);
                must(strv_env_set(&wanted, name, value));
        }
        must(env_file_parse(strbuf_text(&b), b.length, &got, &line, &problem));
        assert(strv_equal(wanted, got));
}

/* --- read by two ------------------------------------------------------------------------------ */

static bool is_blank(char c) {
        return c == ' ' || c == '\t';
}

static bool is_name(const char *s, size_t n) {
        for (size_t i = 0; i < n; i++) {
                bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                              s[i] == '_';

                if (!letter && (i == 0 || s[i] < '0' || s[i] > '9'))
                        return false;
        }
        return n > 0;
}

static bool is_reserved(const char *s, size_t n) {
        _cleanup_free_ char *name = strndup(s, n);

        assert(name);
        return variable_is_reserved(name);
}

/* Of one line: false if it is none of a file. *ret_n is 0: it says nothing. */
static bool second_reader(
                const char *s, size_t n, size_t *ret_n, const char **ret, size_t *ret_length) {
        const char *equals, *name;

        *ret_n = 0;
        if (memchr(s, '\0', n))
                return false;
        for (; n > 0 && is_blank(*s); n--)
                s++;
        while (n > 0 && (is_blank(s[n - 1]) || s[n - 1] == '\r'))
                n--;
        if (n == 0 || *s == '#')
                return true;
        equals = memchr(s, '=', n);
        if (!equals || !is_name(s, (size_t)(equals - s)))
                return false;
        name = s;
        *ret_n = (size_t)(equals - s);
        n -= *ret_n + 1;
        for (s = equals + 1; n > 0 && is_blank(*s); n--)
                s++;
        if (n > 0 && (*s == '"' || *s == '\'')) {
                if (n < 2 || memchr(s + 1, *s, n - 1) != s + n - 1)
                        return false;
                s++;
                n -= 2;
        }
        *ret = s;
        *ret_length = n;
        return !is_reserved(name, *ret_n) && *ret_n + n + sizeof("=") <= VARIABLE_MAX;
}

static void check_read(const char *bytes, size_t n) {
        _cleanup_strv_ char **wanted = NULL, **got = NULL;
        const char *problem = NULL;
        unsigned line = 0, number = 0, bad = 0;
        int r;

        for (size_t at = 0; at < n && bad == 0;) {
                const char *end = memchr(bytes + at, '\n', n - at), *value;
                size_t length = end ? (size_t)(end - bytes) - at : n - at, n_name, n_value;

                number++;
                if (!second_reader(bytes + at, length, &n_name, &value, &n_value))
                        bad = number;
                else if (n_name > 0) {
                        _cleanup_free_ char *name = strndup(bytes + at, length), *copy;
                        char *start = name + strspn(name, " \t");

                        copy = strndup(value, n_value);
                        assert(copy);
                        start[n_name] = '\0';
                        must(strv_env_set(&wanted, start, copy));
                }
                at += length + 1;
        }
        r = env_file_parse(bytes, n, &got, &line, &problem);
        assert(r == (bad ? -EINVAL : 0));
        if (bad)
                assert(line == bad && problem);
        else
                assert(strv_equal(wanted, got));
        for (char **e = got; e && *e; e++)
                assert(is_name(*e, strcspn(*e, "=")) && !strchr(*e, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);

        if (input_flag(&in))
                check_read((const char *)data + 1, size - 1);
        else
                check_written(&in);
        return 0;
}
