/* SPDX-License-Identifier: MIT */
#include "model/base/parse.h"

#include <inttypes.h>
#include <string.h>

/* Reads leading digits; *end is the first byte after them. */
static int read_digits(const char *s, const char **end, uint64_t *ret) {
        uint64_t v = 0;
        const char *p = s;

        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
                                __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
                        return -ERANGE;
        if (p == s)
                return -EINVAL;
        *end = p;
        *ret = v;
        return 0;
}

int parse_uint64(const char *s, uint64_t *ret) {
        const char *end;
        uint64_t v;
        int r;

        r = read_digits(s, &end, &v);
        if (r < 0)
                return r;
        if (*end)
                return -EINVAL;
        *ret = v;
        return 0;
}

int parse_uint_range(const char *s, uint64_t min, uint64_t max, uint64_t *ret) {
        uint64_t v;
        int r;

        r = parse_uint64(s, &v);
        if (r < 0)
                return r;
        if (v < min || v > max)
                return -ERANGE;
        *ret = v;
        return 0;
}

typedef struct Suffix {
        const char *text;
        uint64_t factor;
} Suffix;

static int parse_suffixed(const char *s, const Suffix *suffixes, size_t n_suffixes, uint64_t *ret) {
        const char *end;
        uint64_t v;
        int r;

        r = read_digits(s, &end, &v);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_suffixes; i++)
                if (strcmp(end, suffixes[i].text) == 0) {
                        if (__builtin_mul_overflow(v, suffixes[i].factor, &v))
                                return -ERANGE;
                        *ret = v;
                        return 0;
                }
        return -EINVAL;
}

int parse_duration(const char *s, uint64_t *ret_usec) {
        static const Suffix suffixes[] = {
                { "ms", USEC_PER_MSEC },
                { "s", USEC_PER_SEC },
                { "m", 60 * USEC_PER_SEC },
                { "h", 3600 * USEC_PER_SEC },
                { "d", 86400 * USEC_PER_SEC },
        };

        if (strcmp(s, "0") == 0) {
                *ret_usec = 0;
                return 0;
        }
        return parse_suffixed(s, suffixes, ELEMENTSOF(suffixes), ret_usec);
}

int parse_size(const char *s, uint64_t *ret_bytes) {
        static const Suffix suffixes[] = {
                { "", 1 },
                { "K", UINT64_C(1) << 10 },
                { "M", UINT64_C(1) << 20 },
                { "G", UINT64_C(1) << 30 },
                { "T", UINT64_C(1) << 40 },
        };

        return parse_suffixed(s, suffixes, ELEMENTSOF(suffixes), ret_bytes);
}

int parse_percent(const char *s, uint64_t *ret_percent) {
        static const Suffix suffixes[] = { { "%", 1 } };

        return parse_suffixed(s, suffixes, ELEMENTSOF(suffixes), ret_percent);
}

const char *format_duration(char *buffer, size_t n, uint64_t usec) {
        uint64_t ms = usec / USEC_PER_MSEC, s = usec / USEC_PER_SEC;

        if (ms < 1000)
                (void)snprintf(buffer, n, "%" PRIu64 " ms", ms);
        else if (s < 60)
                (void)snprintf(buffer, n, "%" PRIu64 ".%" PRIu64 " s", s, (ms % 1000) / 100);
        else if (s < 3600)
                (void)snprintf(buffer, n, "%" PRIu64 " min", s / 60);
        else if (s < 86400)
                (void)snprintf(buffer, n, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s % 3600 / 60);
        else
                (void)snprintf(buffer, n, "%" PRIu64 " d %" PRIu64 " h", s / 86400,
                                s % 86400 / 3600);
        return buffer;
}

const char *format_size(char *buffer, size_t n, uint64_t bytes) {
        static const char units[] = { 'K', 'M', 'G', 'T', 'P', 'E' };
        uint64_t whole = bytes, rest = 0;
        size_t u = 0;

        if (bytes < 1024) {
                (void)snprintf(buffer, n, "%" PRIu64, bytes);
                return buffer;
        }
        for (whole = bytes / 1024, rest = bytes % 1024; whole >= 1024 && u + 1 < ELEMENTSOF(units);
                        u++) {
                rest = whole % 1024;
                whole /= 1024;
        }
        (void)snprintf(buffer, n, "%" PRIu64 ".%" PRIu64 "%c", whole, rest * 10 / 1024, units[u]);
        return buffer;
}

bool text_has_word(const char *text, const char *word) {
        size_t n = strlen(word);

        for (const char *s = text; *s; s += strspn(s, " ,\n")) {
                size_t length = strcspn(s, " ,\n");

                if (length == n && strncmp(s, word, n) == 0)
                        return true;
                s += length;
        }
        return false;
}
