/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Formatted strings whose failure leaves NULL behind and is an errno: asprintf(3) leaves the
 * pointer undefined, so that each call of it needs the same three lines.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "model/base/cleanup.h"

/* The string is the caller's. Returns 0, or -ENOMEM with *ret = NULL. */
_must_check_ static inline int format_valist(char **ret, const char *format, va_list ap)
                __attribute__((__format__(__printf__, 2, 0)));

static inline int format_valist(char **ret, const char *format, va_list ap) {
        if (vasprintf(ret, format, ap) >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}

_must_check_ static inline int format_text(char **ret, const char *format, ...) _printf_(2, 3);

static inline int format_text(char **ret, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(ret, format, ap);
        va_end(ap);
        return r;
}
