/* SPDX-License-Identifier: MIT */
#include "model/yaml-write.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/utf8.h"
#include "model/base/yaml-scalar.h"

#define WORD_FIRST "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.~"
#define WORD_REST WORD_FIRST "+=@%-"

/* A word that means itself in every place, also inside brackets; --option is one, -- is none. */
static bool is_plain(const char *text) {
        const char *first = text + strspn(text, "-");

        if (first - text > 2 || !*first || !strchr(WORD_FIRST, *first))
                return false;
        for (const char *p = first; *p; p++)
                if (!strchr(WORD_REST, *p) && !(*p == ' ' && p[1] && p[1] != ' '))
                        return false;
        return yaml_scalar(text).kind == YAML_STRING;
}

void yaml_write_string(const char *text, StrBuf *b) {
        size_t n = strlen(text);

        if (is_plain(text)) {
                strbuf_add(b, text);
                return;
        }
        strbuf_add_char(b, '"');
        while (n > 0) {
                uint32_t c;
                size_t length = utf8_decode(text, n, &c);

                if (length == 0) {
                        length = 1;
                        c = 0xfffd;
                }
                if (c == '"' || c == '\\')
                        strbuf_addf(b, "\\%c", (char)c);
                else if (c == '\n')
                        strbuf_add(b, "\\n");
                else if (c == '\t')
                        strbuf_add(b, "\\t");
                else if (utf8_is_unsafe(c))
                        strbuf_addf(b, "\\u%04" PRIx32, c);
                else
                        strbuf_add_bytes(b, text, length);
                text += length;
                n -= length;
        }
        strbuf_add_char(b, '"');
}

void yaml_write_flow(const Json *value, StrBuf *b) {
        if (json_type_of(value) == JSON_STRING)
                yaml_write_string(json_as_string(value) ?: "", b);
        else if (json_type_of(value) == JSON_ARRAY) {
                strbuf_add_char(b, '[');
                for (size_t i = 0; i < json_length(value); i++) {
                        if (i > 0)
                                strbuf_add(b, ", ");
                        yaml_write_flow(json_at(value, i), b);
                }
                strbuf_add_char(b, ']');
        } else
                json_write(value, JSON_PLAIN, b);
}
