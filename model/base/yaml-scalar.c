/* SPDX-License-Identifier: MIT */
#include "model/base/yaml-scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/cleanup.h"

const char *yaml_kind_to_string(YamlKind k) {
        switch (k) {
        case YAML_NULL:
                return "empty";
        case YAML_BOOL:
                return "true or false";
        case YAML_INTEGER:
                return "a whole number";
        case YAML_DOUBLE:
                return "a number";
        case YAML_STRING:
                return "a string";
        case YAML_SEQUENCE:
                return "a list";
        case YAML_MAPPING:
                return "a mapping";
        }
        return "something else";
}

static bool one_of(const char *text, const char *const *words, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(words[i], text) == 0)
                        return true;
        return false;
}

static const char *skip_digits(const char *p) {
        while (*p >= '0' && *p <= '9')
                p++;
        return p;
}

static const char *skip_sign(const char *p) {
        return *p == '+' || *p == '-' ? p + 1 : p;
}

/* -1: no digit of that base. */
static int digit_value(char c, unsigned base) {
        int v = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;

        return v < (int)base ? v : -1;
}

/* [-+]?[0-9]+, 0o[0-7]+ or 0x[0-9a-fA-F]+ and nothing else; *digits is where they begin. */
static bool is_integer(const char *text, unsigned *base, const char **digits) {
        const char *p;

        *base = 10;
        if (text[0] == '0' && (text[1] == 'o' || text[1] == 'x')) {
                *base = text[1] == 'o' ? 8 : 16;
                p = text + 2;
        } else
                p = skip_sign(text);
        *digits = p;
        while (digit_value(*p, *base) >= 0)
                p++;
        return p > *digits && *p == '\0';
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_double(const char *text) {
        const char *p = skip_sign(text), *end;

        if (*p == '.') {
                end = skip_digits(p + 1);
                if (end == p + 1)
                        return false;
        } else {
                end = skip_digits(p);
                if (end == p)
                        return false;
                if (*end == '.')
                        end = skip_digits(end + 1);
        }
        if (*end == 'e' || *end == 'E') {
                p = skip_sign(end + 1);
                end = skip_digits(p);
                if (end == p)
                        return false;
        }
        return *end == '\0';
}

static YamlScalar make_integer(const char *digits, unsigned base, bool negative) {
        YamlScalar s = { .kind = YAML_INTEGER, .negative = negative };
        uint64_t v = 0;

        for (const char *p = digits; *p; p++)
                if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
                                __builtin_add_overflow(v, (uint64_t)digit_value(*p, base), &v)) {
                        s.refused = "this number is too large";
                        return s;
                }
        if (negative && v > (uint64_t)INT64_MAX + 1) {
                s.refused = "this number is too small";
                return s;
        }
        if (v == 0)
                s.negative = false;
        s.integer = negative ? 0 - v : v;
        return s;
}

YamlScalar yaml_scalar(const char *text) {
        static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
        static const char *const trues[] = { "true", "True", "TRUE" };
        static const char *const falses[] = { "false", "False", "FALSE" };
        static const char *const infinities[] = { ".inf", ".Inf", ".INF" };
        static const char *const nans[] = { ".nan", ".NaN", ".NAN" };
        YamlScalar s = { .kind = YAML_STRING };
        const char *digits;
        unsigned base;

        /* most words begin like none of those below */
        if (text[0] && !strchr("~nNtTfF+-.0123456789", text[0]))
                return s;
        if (one_of(text, nulls, ELEMENTSOF(nulls)))
                return (YamlScalar){ .kind = YAML_NULL };
        if (one_of(text, trues, ELEMENTSOF(trues)))
                return (YamlScalar){ .kind = YAML_BOOL, .boolean = true };
        if (one_of(text, falses, ELEMENTSOF(falses)))
                return (YamlScalar){ .kind = YAML_BOOL };
        if (is_integer(text, &base, &digits))
                return make_integer(digits, base, /* negative= */ text[0] == '-');
        if (one_of(skip_sign(text), infinities, ELEMENTSOF(infinities)) ||
                        one_of(text, nans, ELEMENTSOF(nans))) {
                s.kind = YAML_DOUBLE;
                s.refused = "infinity and not-a-number are no values here";
                return s;
        }
        if (is_double(text)) {
                s.kind = YAML_DOUBLE;
                s.number = strtod(text, NULL);
                if (isinf(s.number))
                        s.refused = "this number is too large";
        }
        return s;
}
