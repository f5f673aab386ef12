/* SPDX-License-Identifier: MIT */
#include "reconciler/complain.h"

#include <stdio.h>
#include <string.h>

#include "model/base/format.h"
#include "model/base/utf8.h"

void complain_of(const char *verb, const char *format, va_list ap) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        _cleanup_free_ char *text = NULL;

        if (format_valist(&text, format, ap) == 0)
                utf8_add_safe(&b, text, strlen(text));
        fprintf(stderr, "mosaic: %s%s%s\n", verb ? verb : "", verb ? ": " : "",
                        !b.failed && b.data ? b.data : strerror(ENOMEM));
}

void complain(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        complain_of(NULL, format, ap);
        va_end(ap);
}
