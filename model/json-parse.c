/* SPDX-License-Identifier: MIT */

/*
 * json_parse(). json-c has a parser, which cannot be trusted where memory is short: up to 0.16 it
 * then puts a null in the place of a value or leaves a part of a string out, and says nothing. A
 * record of what runs would read as if nothing ran. So the grammar is walked here, and each value
 * is put by the builder, which notices.
 */

#include <inttypes.h>
#include <string.h>

#include "model/base/strbuf.h"
#include "model/base/utf8.h"
#include "model/json.h"

typedef struct Parser {
        const char *p; /* NUL at the end */
        const char *end;
        unsigned depth;
        StrBuf key, text; /* of the member at hand; the builder copies both */
        JsonBuilder builder;
} Parser;

static void skip_blanks(Parser *s) {
        s->p += strspn(s->p, " \t\r\n");
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *p) {
        while (is_digit(*p))
                p++;
        return p;
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* An integer that fits 64 bits. */
static int put_integer(Parser *s, const char *key, const char *p, const char *end) {
        bool negative = *p == '-';
        uint64_t v = 0;

        for (p += negative; p < end; p++)
                if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
                                __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
                        return -EINVAL;
        if (negative) {
                if (v > (uint64_t)INT64_MAX + 1)
                        return -EINVAL;
                json_put_int(&s->builder, key, (int64_t)(0 - v));
        } else if (v > INT64_MAX)
                json_put_uint(&s->builder, key, v);
        else
                json_put_int(&s->builder, key, (int64_t)v);
        return 0;
}

static int put_double(Parser *s, const char *key, const char *p, const char *end) {
        _cleanup_free_ char *text = strndup(p, (size_t)(end - p));

        if (!text)
                return -ENOMEM;
        json_put_double(&s->builder, key, strtod(text, NULL), text);
        return 0;
}

static int parse_number(Parser *s, const char *key) {
        const char *begin = s->p, *p = begin + (*begin == '-');
        bool integer = true;

        if (!is_digit(*p))
                return -EINVAL;
        p = *p == '0' ? p + 1 : skip_digits(p);
        if (*p == '.') {
                integer = false;
                if (!is_digit(*++p))
                        return -EINVAL;
                p = skip_digits(p);
        }
        if (*p == 'e' || *p == 'E') {
                integer = false;
                p++;
                p += *p == '+' || *p == '-';
                if (!is_digit(*p))
                        return -EINVAL;
                p = skip_digits(p);
        }
        s->p = p;
        return integer ? put_integer(s, key, begin, p) : put_double(s, key, begin, p);
}

/* --- strings ---------------------------------------------------------------------------------- */

/* Four hexadecimal digits. */
static bool read_hex(const char *p, uint32_t *ret) {
        uint32_t v = 0;

        for (size_t i = 0; i < 4; i++) {
                char c = p[i];

                if (is_digit(c))
                        v = v << 4 | (uint32_t)(c - '0');
                else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
                        v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
                else
                        return false;
        }
        *ret = v;
        return true;
}

/* Behind "\u". Half of a pair becomes the replacement character. */
static int parse_code(Parser *s, StrBuf *b) {
        char bytes[4];
        uint32_t c, low;

        if (!read_hex(s->p, &c))
                return -EINVAL;
        s->p += 4;
        if (c >= 0xd800 && c < 0xdc00 && s->p[0] == '\\' && s->p[1] == 'u' &&
                        read_hex(s->p + 2, &low) && low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                s->p += 6;
        } else if (c >= 0xd800 && c < 0xe000)
                c = 0xfffd;
        strbuf_add_bytes(b, bytes, utf8_encode(c, bytes));
        return 0;
}

static int parse_escape(Parser *s, StrBuf *b) {
        static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
        const char *name;

        if (*s->p == 'u') {
                s->p++;
                return parse_code(s, b);
        }
        name = *s->p ? strchr(names, *s->p) : NULL;
        if (!name)
                return -EINVAL;
        strbuf_add_char(b, values[name - names]);
        s->p++;
        return 0;
}

/* The text between quotes, which may hold NUL, in place of what was in @b. */
static int parse_string(Parser *s, StrBuf *b) {
        strbuf_reset(b);
        if (*s->p != '"')
                return -EINVAL;
        for (s->p++; *s->p != '"';) {
                const char *begin = s->p;
                int r;

                while (*s->p != '"' && *s->p != '\\' && (unsigned char)*s->p >= 0x20)
                        s->p++;
                strbuf_add_bytes(b, begin, (size_t)(s->p - begin));
                if (*s->p == '"')
                        break;
                if (*s->p != '\\')
                        return -EINVAL; /* a control character, or the end */
                s->p++;
                r = parse_escape(s, b);
                if (r < 0)
                        return r;
        }
        s->p++;
        return b->failed ? -ENOMEM : 0;
}

/* --- values ----------------------------------------------------------------------------------- */

static int parse_value(Parser *s, const char *key);

static int parse_member(Parser *s) {
        int r;

        skip_blanks(s);
        r = parse_string(s, &s->key);
        if (r < 0)
                return r;
        if (strlen(strbuf_text(&s->key)) != s->key.length)
                return -EINVAL;
        skip_blanks(s);
        if (*s->p++ != ':')
                return -EINVAL;
        return parse_value(s, strbuf_text(&s->key));
}

/* What is between brackets or braces. */
static int parse_members(Parser *s, bool object) {
        char close = object ? '}' : ']';

        s->p++;
        skip_blanks(s);
        for (bool first = true; *s->p != close || !first; first = false) {
                int r = object ? parse_member(s) : parse_value(s, NULL);

                if (r < 0)
                        return r;
                skip_blanks(s);
                if (*s->p == close)
                        break;
                if (*s->p++ != ',')
                        return -EINVAL;
        }
        s->p++;
        json_close(&s->builder);
        return 0;
}

static int parse_container(Parser *s, const char *key) {
        bool object = *s->p == '{';
        int r;

        if (++s->depth > JSON_DEPTH_MAX)
                return -EFBIG;
        if (object)
                json_open_object(&s->builder, key);
        else
                json_open_array(&s->builder, key);
        r = parse_members(s, object);
        s->depth--;
        return r;
}

static bool take_word(Parser *s, const char *word) {
        size_t n = strlen(word);

        if (strncmp(s->p, word, n) != 0)
                return false;
        s->p += n;
        return true;
}

static int parse_text(Parser *s, const char *key) {
        int r = parse_string(s, &s->text);

        if (r == 0)
                json_put_bytes(&s->builder, key, strbuf_text(&s->text), s->text.length);
        return r;
}

static int parse_value(Parser *s, const char *key) {
        skip_blanks(s);
        switch (*s->p) {
        case '{':
        case '[':
                return parse_container(s, key);
        case '"':
                return parse_text(s, key);
        case 't':
                json_put_bool(&s->builder, key, true);
                return take_word(s, "true") ? 0 : -EINVAL;
        case 'f':
                json_put_bool(&s->builder, key, false);
                return take_word(s, "false") ? 0 : -EINVAL;
        case 'n':
                json_put_null(&s->builder, key);
                return take_word(s, "null") ? 0 : -EINVAL;
        default:
                return parse_number(s, key);
        }
}

static int parse_document(Parser *s) {
        int r;

        r = parse_value(s, NULL);
        if (r < 0)
                return r;
        skip_blanks(s);
        return s->p == s->end ? 0 : -EINVAL;
}

int json_parse(const char *bytes, size_t size, Json **ret) {
        _cleanup_free_ char *copy = NULL;
        Parser s = { .key = STRBUF_NULL, .text = STRBUF_NULL, .builder = JSON_BUILDER_NULL };
        int r;

        if (size > JSON_SIZE_MAX)
                return -EFBIG;
        if (!utf8_is_valid(bytes, size))
                return -EINVAL;
        copy = malloc(size + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, bytes, size);
        copy[size] = '\0';
        s.p = copy;
        s.end = copy + size;
        r = parse_document(&s);
        if (r == 0)
                r = json_finish(&s.builder, ret);
        json_builder_done(&s.builder);
        strbuf_done(&s.key);
        strbuf_done(&s.text);
        return r;
}
