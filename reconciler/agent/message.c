/* SPDX-License-Identifier: MIT */
#include "reconciler/agent/message.h"

#include <stdarg.h>
#include <string.h>

#include "model/base/format.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/base/utf8.h"
#include "schema/pattern.h"

void message_done(Message *m) {
        free(m->text);
        strv_free(m->changes);
        *m = (Message){ 0 };
}

static int refuse(char **ret_why, const char *format, ...) _printf_(2, 3);

static int refuse(char **ret_why, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(ret_why, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        return MESSAGE_REFUSED;
}

/* --- label ------------------------------------------------------------------------------------ */

int message_check_label(const char *label, char **ret_why) {
        size_t length = strlen(label);

        if (length == 0)
                return refuse(ret_why, "an empty source label says nothing");
        if (length > LABEL_MAX)
                return refuse(ret_why, "a source label has at most %d bytes, this one %zu",
                                LABEL_MAX, length);
        if (label[0] == ' ' || label[length - 1] == ' ')
                return refuse(ret_why, "a source label neither begins nor ends with a blank");
        for (size_t i = 0; i < length;) {
                uint32_t c = 0;
                size_t n = utf8_decode(label + i, length - i, &c);
                bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                             (c >= 'a' && c <= 'z') ||
                             (c < 0x80 && c && strchr(" ._:@/+,-", (int)c));

                if (n == 0)
                        return refuse(ret_why,
                                        "the source label is no UTF-8: byte 0x%02x at position %zu",
                                        (unsigned char)label[i], i);
                if (c < 0x80 ? !plain : utf8_is_unsafe(c))
                        return refuse(ret_why,
                                        "a source label must not hold the character U+%04X (at "
                                        "byte %zu); use letters, digits, blanks and . _ : @ / + , "
                                        "-",
                                        (unsigned)c, i);
                i += n;
        }
        return 0;
}

/* --- body ------------------------------------------------------------------------------------- */

static bool is_control(uint32_t c) {
        return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || (c >= 0x80 && c < 0xa0);
}

/* The bytes that get through, or a refusal. A carriage return before a line feed is the one thing
 * that --adapt takes away: an editor's line ends. */
static int check_bytes(const MessageRequest *q, StrBuf *to, size_t *ret_returns, char **ret_why) {
        for (size_t i = 0; i < q->size;) {
                uint32_t c;
                size_t n = utf8_decode(q->body + i, q->size - i, &c);

                if (n == 0)
                        return refuse(ret_why,
                                        "the message is no UTF-8: byte 0x%02x at position %zu",
                                        (unsigned char)q->body[i], i);
                if (c == '\r' && i + 1 < q->size && q->body[i + 1] == '\n') {
                        if (!q->adapt)
                                return refuse(ret_why,
                                                "the message has CR LF line ends (the first at "
                                                "position %zu), which would arrive as LF; --adapt "
                                                "makes them LF",
                                                i);
                        (*ret_returns)++;
                } else if (is_control(c))
                        return refuse(ret_why,
                                        "the message holds the control character U+%04X at "
                                        "position %zu; only line feeds and tabs can be sent",
                                        (unsigned)c, i);
                else
                        strbuf_add_bytes(to, q->body + i, n);
                i += n;
        }
        return 0;
}

/* 1 the runtime would take it for something else, 0 not, negative errno. */
static int is_misread(const Pattern *p, const StrBuf *text, size_t *ret_begin, size_t *ret_end) {
        int r = pattern_find(p, strbuf_text(text), text->length, ret_begin, ret_end);

        if (r != -EOVERFLOW)
                return r;
        /* Whether it would cannot be told. */
        *ret_begin = *ret_end = 0;
        return 1;
}

static int check_misreads(const MessageRequest *q,
                const RuntimeTalk *talk,
                StrBuf *text,
                size_t head,
                char ***changes,
                char **ret_why) {
        _cleanup_pattern_ Pattern *p = NULL;
        _cleanup_free_ char *shown = NULL;
        size_t begin, end, length;
        int r;

        if (!talk->composer_misreads)
                return 0;
        r = pattern_new(talk->composer_misreads, strlen(talk->composer_misreads), PATTERN_PERL,
                        NULL, NULL, &p);
        if (r == -EINVAL)
                return refuse(ret_why, "the runtime's composer.misreads is no regular expression");
        if (r < 0)
                return r;
        r = is_misread(p, text, &begin, &end);
        if (r <= 0)
                return r;
        length = end - begin < 40 ? end - begin : 40;
        while (length > 0 && (text->data[begin + length] & 0xc0) == 0x80)
                length--;
        shown = strndup(text->data + begin, length);
        if (!shown)
                return -ENOMEM;
        if (q->adapt) {
                size_t b, e;

                strbuf_add_char(text, ' ');
                if (text->failed)
                        return -ENOMEM;
                r = is_misread(p, text, &b, &e);
                if (r < 0)
                        return r;
                if (r == 0)
                        return strv_pushf(changes,
                                        "added a blank at the end: '%s' there means something to "
                                        "this runtime",
                                        shown);
                return refuse(ret_why,
                                "'%s' at position %zu means something to this runtime, and a blank "
                                "at the end does not change that",
                                shown, begin < head ? 0 : begin - head);
        }
        return refuse(ret_why,
                        "'%s' at position %zu means something to this runtime, so it would not "
                        "arrive as text; --adapt adds a blank at the end where that helps",
                        shown, begin < head ? 0 : begin - head);
}

int message_compose(
                const MessageRequest *q, const RuntimeTalk *talk, Message *ret, char **ret_why) {
        _cleanup_strbuf_ StrBuf text = STRBUF_NULL;
        _cleanup_strv_ char **changes = NULL;
        size_t returns = 0, head, size;
        int r;

        if (q->size == 0)
                return refuse(ret_why, "the message is empty");
        if (q->size > MESSAGE_MAX)
                return refuse(ret_why,
                                "the message has %zu bytes, at most %d can be sent; put it into a "
                                "file and send its path",
                                q->size, MESSAGE_MAX);
        if (q->label)
                strbuf_addf(&text, "%s[from %s to %s #%s]\n",
                                talk->composer_prefix ? talk->composer_prefix : "", q->label,
                                q->agent, q->id);
        head = text.length;
        r = check_bytes(q, &text, &returns, ret_why);
        if (r != 0)
                return r;
        if (returns > 0) {
                r = strv_pushf(&changes, "made %zu CR LF line ends LF", returns);
                if (r < 0)
                        return r;
        }
        if (text.failed)
                return -ENOMEM;
        r = q->label ? check_misreads(q, talk, &text, head, &changes, ret_why) : 0;
        if (r != 0)
                return r;
        size = text.length;
        r = strbuf_finish(&text, &ret->text);
        if (r < 0)
                return r;
        ret->size = size;
        ret->changes = TAKE_PTR(changes);
        return 0;
}
