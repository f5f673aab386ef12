/* SPDX-License-Identifier: MIT */
#include "schema/pattern.h"

#include <stdint.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define MATCH_LIMIT 100000
#define HEAP_LIMIT_KIB 1024
#define LENGTH_MAX 4096

struct Pattern {
        pcre2_code *code;
        pcre2_match_context *limits;
        pcre2_match_data *match; /* reused: one search at a time */
};

Pattern *pattern_free(Pattern *p) {
        if (!p)
                return NULL;
        pcre2_match_data_free(p->match);
        pcre2_match_context_free(p->limits);
        pcre2_code_free(p->code);
        free(p);
        return NULL;
}

static uint32_t options(PatternDialect dialect) {
        uint32_t o = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C;

        switch (dialect) {
        case PATTERN_PERL:
                break;
        case PATTERN_ECMA:
                o |= PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALT_BSUX |
                     PCRE2_ALLOW_EMPTY_CLASS;
                break;
        }
        return o;
}

static int refuse(
                int error, size_t offset, char message[PATTERN_MESSAGE_SIZE], size_t *ret_offset) {
        if (message)
                (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)message, PATTERN_MESSAGE_SIZE);
        if (ret_offset)
                *ret_offset = offset;
        return error == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -EINVAL;
}

int pattern_new(const char *text,
                size_t size,
                PatternDialect dialect,
                char message[PATTERN_MESSAGE_SIZE],
                size_t *ret_offset,
                Pattern **ret) {
        _cleanup_pattern_ Pattern *p = NULL;
        pcre2_compile_context *context;
        PCRE2_SIZE offset = 0;
        int error = 0;

        p = calloc(1, sizeof(*p));
        context = pcre2_compile_context_create(NULL);
        if (!p || !context) {
                pcre2_compile_context_free(context);
                return -ENOMEM;
        }
        (void)pcre2_set_max_pattern_length(context, LENGTH_MAX); /* cannot fail */
        (void)pcre2_set_parens_nest_limit(context, 50);          /* likewise */
        if (dialect == PATTERN_ECMA)
                (void)pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
        p->code = pcre2_compile((PCRE2_SPTR)text, size, options(dialect), &error, &offset, context);
        pcre2_compile_context_free(context);
        if (!p->code)
                return refuse(error, offset, message, ret_offset);
        p->limits = pcre2_match_context_create(NULL);
        p->match = pcre2_match_data_create(1, NULL);
        if (!p->limits || !p->match)
                return -ENOMEM;
        (void)pcre2_set_match_limit(p->limits, MATCH_LIMIT);
        (void)pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KIB);
        *ret = TAKE_PTR(p);
        return 0;
}

int pattern_search(const Pattern *p, const char *text, size_t size) {
        int r;

        r = pcre2_match(p->code, (PCRE2_SPTR)text, size, 0, 0, p->match, p->limits);
        if (r >= 0)
                return 1;
        switch (r) {
        case PCRE2_ERROR_NOMATCH:
                return 0;
        case PCRE2_ERROR_NOMEMORY:
                return -ENOMEM;
        case PCRE2_ERROR_MATCHLIMIT:
        case PCRE2_ERROR_DEPTHLIMIT:
        case PCRE2_ERROR_HEAPLIMIT:
                return -EOVERFLOW;
        default:
                return -EINVAL;
        }
}

const char *pattern_library_version(void) {
        static char version[64];

        /* "10.42 2022-12-11" */
        if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) > (int)sizeof(version) ||
                        pcre2_config(PCRE2_CONFIG_VERSION, version) < 0)
                return "unknown";
        version[strcspn(version, " ")] = '\0';
        return version;
}

int pattern_find(const Pattern *p,
                const char *text,
                size_t size,
                size_t *ret_begin,
                size_t *ret_end) {
        int r = pattern_search(p, text, size);

        if (r > 0) {
                const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->match);

                *ret_begin = at[0];
                /* \K inside a lookahead may put the begin behind the end. */
                *ret_end = at[1] < at[0] ? at[0] : at[1];
        }
        return r;
}
