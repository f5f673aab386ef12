/* SPDX-License-Identifier: MIT */
#include "model/base/strbuf.h"

#include <stdarg.h>
#include <string.h>

void strbuf_done(StrBuf *b) {
        free(b->data);
        *b = STRBUF_NULL;
}

void strbuf_reset(StrBuf *b) {
        b->length = 0;
        if (b->data)
                b->data[0] = '\0';
}

/* Makes room for @more bytes and the terminating NUL. */
static bool reserve(StrBuf *b, size_t more) {
        size_t room;
        char *bigger;

        if (b->failed)
                return false;
        if (b->data && b->length + more < b->room)
                return true;
        room = b->room ? b->room : 64;
        while (room <= b->length + more)
                room *= 2;
        bigger = realloc(b->data, room);
        if (!bigger) {
                b->failed = true;
                return false;
        }
        b->data = bigger;
        b->room = room;
        b->data[b->length] = '\0';
        return true;
}

void strbuf_add_bytes(StrBuf *b, const void *p, size_t n) {
        if (!reserve(b, n) || n == 0)
                return;
        memcpy(b->data + b->length, p, n);
        b->length += n;
        b->data[b->length] = '\0';
}

void strbuf_add(StrBuf *b, const char *s) {
        strbuf_add_bytes(b, s, strlen(s));
}

void strbuf_add_char(StrBuf *b, char c) {
        strbuf_add_bytes(b, &c, 1);
}

void strbuf_addv(StrBuf *b, const char *format, va_list ap) {
        va_list again;
        int n;

        va_copy(again, ap);
        n = vsnprintf(NULL, 0, format, again);
        va_end(again);
        if (n < 0) {
                b->failed = true;
                return;
        }
        if (!reserve(b, (size_t)n))
                return;
        (void)vsnprintf(b->data + b->length, (size_t)n + 1, format, ap);
        b->length += (size_t)n;
}

void strbuf_addf(StrBuf *b, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        strbuf_addv(b, format, ap);
        va_end(ap);
}

void strbuf_fill(StrBuf *b, char c, size_t n) {
        if (!reserve(b, n) || n == 0)
                return;
        memset(b->data + b->length, c, n);
        b->length += n;
        b->data[b->length] = '\0';
}

const char *strbuf_text(const StrBuf *b) {
        return b->data ? b->data : "";
}

int strbuf_finish(StrBuf *b, char **ret) {
        if (!reserve(b, 0)) {
                strbuf_done(b);
                return -ENOMEM;
        }
        *ret = TAKE_PTR(b->data);
        *b = STRBUF_NULL;
        return 0;
}
