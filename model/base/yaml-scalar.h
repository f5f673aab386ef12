/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a plain scalar means in the core schema of YAML 1.2: `yes`, `no`, dates and 12:30:45 are
 * text.
 */

#include <stdbool.h>
#include <stdint.h>

typedef enum YamlKind {
        YAML_NULL,
        YAML_BOOL,
        YAML_INTEGER,
        YAML_DOUBLE,
        YAML_STRING,
        YAML_SEQUENCE,
        YAML_MAPPING,
} YamlKind;

/* "a string", "a mapping" ...: for messages. */
const char *yaml_kind_to_string(YamlKind k);

typedef struct YamlScalar {
        YamlKind kind;
        bool boolean;
        bool negative; /* the integer is @integer, two's complement, as an int64_t */
        uint64_t integer;
        double number;
        const char *refused; /* static sentence: why it can be no number; NULL if it is fine */
} YamlScalar;

YamlScalar yaml_scalar(const char *text);
