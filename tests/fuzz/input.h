/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bytes of an input as choices. Zero is always the plain choice, and so is their end: a shorter
 * input is a simpler case.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "model/base/cleanup.h"

typedef struct Input {
        const uint8_t *bytes;
        size_t n;
        size_t at;
} Input;

#define INPUT(data, size) ((Input){ .bytes = (data), .n = (size) })

static inline unsigned input_byte(Input *in) {
        return in->at < in->n ? in->bytes[in->at++] : 0;
}

static inline unsigned input_choose(Input *in, unsigned n) {
        return input_byte(in) % n;
}

static inline bool input_flag(Input *in) {
        return input_byte(in) & 1;
}

/* Small ones and large ones, and those at the edges. */
static inline uint64_t input_number(Input *in) {
        unsigned first = input_byte(in);
        uint64_t v = 0;

        if (first < 0xc0)
                return first;
        if (first == 0xff)
                return UINT64_MAX;
        for (unsigned i = 0; i <= first % 8; i++)
                v = v << 8 | input_byte(in);
        return v;
}

/* What follows up to a NUL, at most @max bytes. Never NULL; caller frees. */
static inline char *input_text(Input *in, size_t max) {
        size_t n = 0, left = in->n - in->at;
        char *s;

        while (n < left && n < max && in->bytes[in->at + n] != 0)
                n++;
        s = strndup(in->at < in->n ? (const char *)in->bytes + in->at : "", n);
        assert(s);
        in->at += n;
        if (in->at < in->n && in->bytes[in->at] == 0)
                in->at++;
        return s;
}

/* Everything that is left, as a text that ends at its first NUL. Caller frees. */
static inline char *input_rest(Input *in) {
        return input_text(in, in->n);
}
