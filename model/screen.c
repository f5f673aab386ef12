/* SPDX-License-Identifier: MIT */
#include "model/screen.h"

#include <string.h>

#include "model/base/strbuf.h"
#include "model/base/utf8.h"

void screen_done(Screen *s) {
        free(s->text);
        free(s->title);
        *s = (Screen){ 0 };
}

const char *screen_line(const Screen *s, unsigned y, size_t *ret_length) {
        const char *line = s->text ? s->text : "";

        for (; y > 0 && *line; y--) {
                line += strcspn(line, "\n");
                line += *line == '\n';
        }
        *ret_length = strcspn(line, "\n");
        return line;
}

static size_t trimmed(const char *line, size_t length) {
        while (length > 0 && line[length - 1] == ' ')
                length--;
        return length;
}

const char *screen_line_trimmed(const Screen *s, unsigned y, size_t *ret_length) {
        const char *line = screen_line(s, y, ret_length);

        *ret_length = trimmed(line, *ret_length);
        return line;
}

size_t screen_bytes(const char *line, size_t length, unsigned cells, unsigned *ret_missing) {
        size_t n = 0;

        while (n < length) {
                uint32_t c;
                size_t size = utf8_decode(line + n, length - n, &c);
                unsigned width = size > 0 ? utf8_width(c) : 1;

                /* Characters without a width belong to the one before. */
                if (width > cells || (cells == 0 && n == 0))
                        break;
                cells -= width;
                n += size > 0 ? size : 1;
        }
        *ret_missing = n < length ? 0 : cells;
        return n;
}

int screen_before(const Screen *s, unsigned x, unsigned y, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        unsigned missing;
        const char *line;
        size_t length;

        if (y > 0) {
                line = screen_line_trimmed(s, y - 1, &length);
                strbuf_add_bytes(&b, line, length);
        }
        strbuf_add_char(&b, '\n');
        line = screen_line(s, y, &length);
        strbuf_add_bytes(&b, line, screen_bytes(line, length, x, &missing));
        strbuf_fill(&b, ' ', missing);
        return strbuf_finish(&b, ret);
}

int screen_after(const Screen *s, unsigned x, unsigned y, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        unsigned missing;
        const char *line;
        size_t length, begin;

        line = screen_line_trimmed(s, y, &length);
        begin = screen_bytes(line, length, x, &missing);
        strbuf_add_bytes(&b, line + begin, length - begin);
        strbuf_add_char(&b, '\n');
        line = screen_line_trimmed(s, y + 1, &length);
        strbuf_add_bytes(&b, line, length);
        return strbuf_finish(&b, ret);
}
