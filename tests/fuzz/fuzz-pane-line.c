/* SPDX-License-Identifier: MIT */

/*
 * What may reach a terminal: lines of panes made harmless, words of others, and UTF-8 itself,
 * against a table of the well-formed sequences. The input is the capture of a pane.
 */

#include "model/base/utf8.h"
#include "model/pane-line.h"
#include "model/scrollback.h"
#include "reconciler/output.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

/* The well-formed sequences of Unicode, table 3-7: 0 if there is none at @s. */
static size_t second_decode(const unsigned char *s, size_t n) {
        static const struct {
                unsigned char first, last, second_least, second_most, length;
        } table[] = {
                { 0x00, 0x7f, 0, 0, 1 },
                { 0xc2, 0xdf, 0x80, 0xbf, 2 },
                { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
                { 0xe1, 0xec, 0x80, 0xbf, 3 },
                { 0xed, 0xed, 0x80, 0x9f, 3 },
                { 0xee, 0xef, 0x80, 0xbf, 3 },
                { 0xf0, 0xf0, 0x90, 0xbf, 4 },
                { 0xf1, 0xf3, 0x80, 0xbf, 4 },
                { 0xf4, 0xf4, 0x80, 0x8f, 4 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                if (s[0] < table[i].first || s[0] > table[i].last)
                        continue;
                if (n < table[i].length)
                        return 0;
                if (table[i].length > 1 &&
                                (s[1] < table[i].second_least || s[1] > table[i].second_most))
                        return 0;
                for (size_t k = 2; k < table[i].length; k++)
                        if ((s[k] & 0xc0) != 0x80)
                                return 0;
                return table[i].length;
        }
        return 0;
}

static void check_decode(const char *s, size_t n) {
        for (size_t i = 0; i < n;) {
                char back[4];
                uint32_t c = 0;
                size_t length = utf8_decode(s + i, n - i, &c);

                assert(length == second_decode((const unsigned char *)s + i, n - i));
                if (length > 0)
                        assert(utf8_encode(c, back) == length && memcmp(back, s + i, length) == 0);
                i += length > 0 ? length : 1;
        }
}

/* Nothing in it moves, hides or reorders anything. @newlines: but it may have lines. */
static void check_harmless(const char *s, size_t n, bool newlines) {
        for (size_t i = 0; i < n;) {
                uint32_t c;
                size_t length = utf8_decode(s + i, n - i, &c);

                assert(length > 0 && (!utf8_is_unsafe(c) || (newlines && c == '\n')));
                assert(c != 0x1b && c != 0x9b && !(c >= 0x202a && c <= 0x202e));
                i += length;
        }
}

/* The colours taken out, and with them nothing else: what is left is the line. */
static void check_styled(const char *styled, const char *plain) {
        _cleanup_strbuf_ StrBuf text = STRBUF_NULL;
        bool coloured = false;
        size_t n;

        for (const char *p = styled; *p;)
                if (*p == '\033') {
                        size_t length = p[1] == '[' ? strspn(p + 2, "0123456789;:") : 0;

                        assert(length > 0 && p[2 + length] == 'm');
                        coloured = !(length == 1 && p[2] == '0');
                        p += length + 3;
                } else
                        strbuf_add_char(&text, *p++);
        assert(!coloured); /* complete by itself */
        n = text.length;
        while (n > 0 && text.data[n - 1] == ' ')
                n--;
        assert(n == strlen(plain) && strncmp(strbuf_text(&text), plain, n) == 0);
}

static void check_lines(const char *text) {
        PaneStyle style = PANE_STYLE_NULL, alone = PANE_STYLE_NULL;

        for (const char *p = text; *p;) {
                _cleanup_strbuf_ StrBuf plain = STRBUF_NULL, styled = STRBUF_NULL,
                                        again = STRBUF_NULL;
                size_t n = strcspn(p, "\n");

                pane_line_clean(p, n, &style, &plain, &styled);
                pane_line_clean(p, n, &alone, &again, NULL);
                assert(strcmp(strbuf_text(&plain), strbuf_text(&again)) == 0);
                check_harmless(strbuf_text(&plain), plain.length, false);
                assert(plain.length == 0 || plain.data[plain.length - 1] != ' ');
                check_styled(strbuf_text(&styled), strbuf_text(&plain));
                p += n + (p[n] == '\n');
        }
}

static void count_line(const ScrollbackLine *line, void *userdata) {
        check_harmless(line->plain, strlen(line->plain), false);
        ++*(size_t *)userdata;
}

/* The capture as two looks: what was above the middle scrolled away. */
static void check_scrollback(const char *text) {
        _cleanup_scrollback_ Scrollback seen = SCROLLBACK_NULL, now = SCROLLBACK_NULL;
        size_t n = 0;
        int r;

        r = scrollback_read(text, /* styled= */ true, &seen);
        if (r == 0)
                r = scrollback_read(text + strlen(text) / 2, /* styled= */ true, &now);
        assert(r == 0);
        r = scrollback_follow(&seen, &now, &(ScrollbackMove){ .sure = false }, count_line, &n);
        assert(r == 0 || r == SCROLLBACK_BROKEN);
        scrollback_settle(&seen, count_line, &n);
}

static void check_words(const char *text) {
        _cleanup_strbuf_ StrBuf once = STRBUF_NULL, twice = STRBUF_NULL;

        output_add_safe(&once, text);
        check_harmless(strbuf_text(&once), once.length, false);
        output_add_safe(&twice, strbuf_text(&once));
        assert(strcmp(strbuf_text(&once), strbuf_text(&twice)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);
        _cleanup_free_ char *text = input_rest(&in);

        check_decode((const char *)data, size);
        check_lines(text);
        check_scrollback(text);
        check_words(text);
        return 0;
}
