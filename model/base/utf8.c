/* SPDX-License-Identifier: MIT */
#include "model/base/utf8.h"

#include <string.h>

size_t utf8_decode(const char *s, size_t n, uint32_t *ret) {
        const unsigned char *p = (const unsigned char *)s;
        uint32_t c, least;
        size_t length;

        if (n == 0)
                return 0;
        if (p[0] < 0x80) {
                *ret = p[0];
                return 1;
        }
        if (p[0] >= 0xc2 && p[0] < 0xe0) {
                length = 2;
                c = p[0] & 0x1fu;
                least = 0x80;
        } else if (p[0] >= 0xe0 && p[0] < 0xf0) {
                length = 3;
                c = p[0] & 0x0fu;
                least = 0x800;
        } else if (p[0] >= 0xf0 && p[0] < 0xf5) {
                length = 4;
                c = p[0] & 0x07u;
                least = 0x10000;
        } else
                return 0;
        if (n < length)
                return 0;
        for (size_t i = 1; i < length; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3fu);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
                return 0;
        *ret = c;
        return length;
}

size_t utf8_encode(uint32_t c, char s[static 4]) {
        if (c < 0x80) {
                s[0] = (char)c;
                return 1;
        }
        if (c < 0x800) {
                s[0] = (char)(0xc0 | c >> 6);
                s[1] = (char)(0x80 | (c & 0x3f));
                return 2;
        }
        if (c >= 0xd800 && c < 0xe000)
                return 0;
        if (c < 0x10000) {
                s[0] = (char)(0xe0 | c >> 12);
                s[1] = (char)(0x80 | (c >> 6 & 0x3f));
                s[2] = (char)(0x80 | (c & 0x3f));
                return 3;
        }
        if (c > 0x10ffff)
                return 0;
        s[0] = (char)(0xf0 | c >> 18);
        s[1] = (char)(0x80 | (c >> 12 & 0x3f));
        s[2] = (char)(0x80 | (c >> 6 & 0x3f));
        s[3] = (char)(0x80 | (c & 0x3f));
        return 4;
}

bool utf8_is_valid(const char *s, size_t n) {
        while (n > 0) {
                uint32_t c;
                uint64_t eight;
                size_t length;

                /* Most text is plain: eight bytes at a time. */
                if (n >= sizeof(eight)) {
                        memcpy(&eight, s, sizeof(eight));
                        if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                                s += sizeof(eight);
                                n -= sizeof(eight);
                                continue;
                        }
                }
                length = utf8_decode(s, n, &c);
                if (length == 0)
                        return false;
                s += length;
                n -= length;
        }
        return true;
}

size_t utf8_length(const char *s, size_t n) {
        size_t count = 0;

        while (n > 0) {
                uint32_t c;
                size_t length = utf8_decode(s, n, &c);

                if (length == 0)
                        length = 1;
                s += length;
                n -= length;
                count++;
        }
        return count;
}

typedef struct Range {
        uint32_t first;
        uint32_t last;
} Range;

static bool in_ranges(const Range *ranges, size_t n, uint32_t c) {
        for (size_t i = 0; i < n; i++)
                if (c >= ranges[i].first && c <= ranges[i].last)
                        return true;
        return false;
}

/* The blocks that matter for placing a caret; not the whole of Unicode's width table. */
unsigned utf8_width(uint32_t c) {
        static const Range none[] = {
                { 0x0300, 0x036f },
                { 0x0483, 0x0489 },
                { 0x0591, 0x05bd },
                { 0x0610, 0x061a },
                { 0x064b, 0x065f },
                { 0x0900, 0x0902 },
                { 0x093c, 0x093c },
                { 0x0941, 0x0948 },
                { 0x0e31, 0x0e31 },
                { 0x0e34, 0x0e3a },
                { 0x0e47, 0x0e4e },
                { 0x1ab0, 0x1aff },
                { 0x1dc0, 0x1dff },
                { 0x200b, 0x200f },
                { 0x202a, 0x202e },
                { 0x2060, 0x2064 },
                { 0x2066, 0x206f },
                { 0x20d0, 0x20ff },
                { 0x3099, 0x309a },
                { 0xfe00, 0xfe0f },
                { 0xfe20, 0xfe2f },
                { 0xfeff, 0xfeff },
                { 0xe0100, 0xe01ef },
        };
        static const Range wide[] = {
                { 0x1100, 0x115f },
                { 0x231a, 0x231b },
                { 0x2329, 0x232a },
                { 0x23e9, 0x23ec },
                { 0x25fd, 0x25fe },
                { 0x2614, 0x2615 },
                { 0x2648, 0x2653 },
                { 0x26a1, 0x26a1 },
                { 0x26bd, 0x26be },
                { 0x26ce, 0x26ce },
                { 0x2705, 0x2705 },
                { 0x270a, 0x270b },
                { 0x2728, 0x2728 },
                { 0x274c, 0x274c },
                { 0x2753, 0x2755 },
                { 0x2757, 0x2757 },
                { 0x2795, 0x2797 },
                { 0x2b1b, 0x2b1c },
                { 0x2b50, 0x2b50 },
                { 0x2e80, 0x303e },
                { 0x3041, 0x33ff },
                { 0x3400, 0x4dbf },
                { 0x4e00, 0x9fff },
                { 0xa000, 0xa4cf },
                { 0xa960, 0xa97f },
                { 0xac00, 0xd7a3 },
                { 0xf900, 0xfaff },
                { 0xfe30, 0xfe6f },
                { 0xff00, 0xff60 },
                { 0xffe0, 0xffe6 },
                { 0x1f004, 0x1f004 },
                { 0x1f0cf, 0x1f0cf },
                { 0x1f18e, 0x1f18e },
                { 0x1f191, 0x1f19a },
                { 0x1f200, 0x1f320 },
                { 0x1f32d, 0x1f335 },
                { 0x1f337, 0x1f37c },
                { 0x1f37e, 0x1f393 },
                { 0x1f3a0, 0x1f3ca },
                { 0x1f3cf, 0x1f3d3 },
                { 0x1f3e0, 0x1f3f0 },
                { 0x1f3f8, 0x1f43e },
                { 0x1f440, 0x1f440 },
                { 0x1f442, 0x1f4fc },
                { 0x1f4ff, 0x1f53d },
                { 0x1f54b, 0x1f567 },
                { 0x1f5fb, 0x1f64f },
                { 0x1f680, 0x1f6c5 },
                { 0x1f6d0, 0x1f6ff },
                { 0x1f7e0, 0x1f7eb },
                { 0x1f90c, 0x1f9ff },
                { 0x1fa70, 0x1faff },
                { 0x20000, 0x3fffd },
        };

        if (c < 0x300)
                return 1;
        if (in_ranges(none, ELEMENTSOF(none), c))
                return 0;
        return in_ranges(wide, ELEMENTSOF(wide), c) ? 2 : 1;
}

bool utf8_is_unsafe(uint32_t c) {
        static const Range unsafe[] = {
                { 0x00, 0x1f },
                { 0x7f, 0x9f },
                { 0x200e, 0x200f },
                { 0x2028, 0x202e },
                { 0x2066, 0x2069 },
                { 0xfeff, 0xfeff },
        };

        return in_ranges(unsafe, ELEMENTSOF(unsafe), c);
}

void utf8_add_safe(StrBuf *b, const char *s, size_t n) {
        while (n > 0) {
                uint32_t c;
                size_t length = utf8_decode(s, n, &c);

                if (length == 0 || utf8_is_unsafe(c))
                        strbuf_add_char(b, '?');
                else
                        strbuf_add_bytes(b, s, length);
                length = length == 0 ? 1 : length;
                s += length;
                n -= length;
        }
}
