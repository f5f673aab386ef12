/* SPDX-License-Identifier: MIT */
#include "model/base/yaml-bytes.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/utf8.h"

#define FINDINGS_MAX 20

typedef struct Gate {
        const char *bytes;
        size_t size;
        Diags *diags;
        size_t n_findings;
        size_t line_start;
        size_t blank_lines; /* in a row, before this line */
        bool blank;         /* nothing but blanks on this line so far */
        size_t n_brackets;  /* that open something, wherever they stand */
} Gate;

/* What to say of a character that is no letter, sign or blank. */
static const char *describe(uint32_t c) {
        if (c == 0)
                return "a NUL byte";
        if (c == '\r')
                return "a carriage return without a line feed";
        if (c == 0x1b)
                return "an escape character";
        if (c < 0x20 || c == 0x7f)
                return "a control character";
        if (c < 0xa0)
                return "a control character (C1)";
        if (c == 0xfeff)
                return "a byte order mark inside the text";
        if (c == 0x2028 || c == 0x2029)
                return "a line separator that most editors do not show";
        return "an invisible mark that changes the order in which text is shown";
}

static void refuse_bytes(Gate *g, size_t start, size_t end) {
        unsigned first = (unsigned char)g->bytes[start];

        g->n_findings++;
        (void)diags_add(g->diags, SEVERITY_ERROR, "bad-encoding", (Span){ start, end }, NULL,
                        "save the file as UTF-8", "the byte 0x%02x is not UTF-8 text", first);
}

static void refuse_character(Gate *g, size_t start, size_t end, uint32_t c) {
        g->n_findings++;
        (void)diags_add(g->diags, SEVERITY_ERROR, "bad-character", (Span){ start, end }, NULL,
                        c == '\r' ? "save the file with Unix line ends"
                                  : "delete it; in a double-quoted string it can be written as an "
                                    "escape such as \\x1b",
                        "%s (U+%04" PRIX32 ") is not allowed here", describe(c), c);
}

/* At a line's end (@end: offset of the line feed). */
static void check_line(Gate *g, size_t end) {
        if (end - g->line_start > YAML_LINE_MAX) {
                g->n_findings++;
                (void)diags_add(g->diags, SEVERITY_ERROR, "line-too-long",
                                (Span){ g->line_start, g->line_start + 1 }, NULL,
                                "break the line; lists may be written one item per line",
                                "this line is longer than %u bytes", YAML_LINE_MAX);
        }
        g->blank_lines = g->blank ? g->blank_lines + 1 : 0;
        if (g->blank_lines == YAML_BLANK_LINES_MAX + 1) {
                g->n_findings++;
                (void)diags_add(g->diags, SEVERITY_ERROR, "too-many-blank-lines",
                                (Span){ g->line_start, g->line_start }, NULL, "delete blank lines",
                                "more than %d blank lines in a row", YAML_BLANK_LINES_MAX);
        }
        g->line_start = end + 1;
        g->blank = true;
}

static bool is_utf16(const char *bytes, size_t size) {
        if (size >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0))
                return true;
        /* without a mark: the first character of a roster is ASCII, so one of two bytes is 0 */
        return size >= 4 && ((bytes[0] == 0 && bytes[1] != 0 && bytes[2] == 0) ||
                                            (bytes[0] != 0 && bytes[1] == 0 && bytes[3] == 0));
}

/* Nearly all of a roster: letters, signs and blanks that need no second look. Returns where they
 * end. */
static size_t skip_plain(Gate *g, size_t i) {
        size_t n_brackets = 0;
        bool blank = g->blank;

        if (i == g->line_start)
                return i; /* a % may be there */
        for (; i < g->size && g->bytes[i] >= ' ' && g->bytes[i] < 0x7f; i++) {
                blank = blank && g->bytes[i] == ' ';
                n_brackets += g->bytes[i] == '[' || g->bytes[i] == '{';
        }
        g->blank = blank;
        g->n_brackets += n_brackets;
        return i;
}

/* One character, or one byte that is none. Returns its length. */
static size_t check_character(Gate *g, size_t i) {
        uint32_t c;
        size_t length = utf8_decode(g->bytes + i, g->size - i, &c);

        if (length == 0) {
                size_t end = i + 1;

                while (end < g->size && ((unsigned char)g->bytes[end] & 0xc0) == 0x80)
                        end++;
                refuse_bytes(g, i, end);
                g->blank = false;
                return end - i;
        }
        if (c == '\n') {
                check_line(g, i);
                return 1;
        }
        if (c == '\t' || c == ' ' || (c == '\r' && i + 1 < g->size && g->bytes[i + 1] == '\n'))
                return 1;
        if (c == 0xfeff && i == 0) {
                g->line_start = length;
                return length;
        }
        g->blank = false;
        if (c == '[' || c == '{')
                g->n_brackets++;
        if (c == '%' && i == g->line_start) {
                g->n_findings++;
                (void)diags_add(g->diags, SEVERITY_ERROR, "directive", (Span){ i, i + 1 }, NULL,
                                "YAML directives are not used here: delete the line, or indent it "
                                "if it is text",
                                "a line must not begin with %%");
        } else if (utf8_is_unsafe(c))
                refuse_character(g, i, i + length, c);
        return length;
}

bool yaml_bytes_check(const char *bytes, size_t size, Diags *diags) {
        Gate g = { .bytes = bytes, .size = size, .diags = diags, .blank = true };

        if (size > YAML_SIZE_MAX) {
                (void)diags_add(diags, SEVERITY_ERROR, "too-large", SPAN_NONE, NULL,
                                "split the fleet over several homes",
                                "the file is larger than %u MiB", YAML_SIZE_MAX >> 20);
                return false;
        }
        if (is_utf16(bytes, size)) {
                (void)diags_add(diags, SEVERITY_ERROR, "bad-encoding", SPAN_NONE, NULL,
                                "save the file as UTF-8", "the file is UTF-16 text");
                return false;
        }
        for (size_t i = 0; i < size && g.n_findings < FINDINGS_MAX;) {
                i += check_character(&g, i);
                i = skip_plain(&g, i);
        }
        if (g.n_findings < FINDINGS_MAX && g.line_start < size)
                check_line(&g, size);
        if (g.n_brackets > YAML_BRACKETS_MAX) {
                g.n_findings++;
                (void)diags_add(diags, SEVERITY_ERROR, "too-large", SPAN_NONE, NULL,
                                "write lists and mappings as lines, or split the file",
                                "the file has more than %u opening brackets", YAML_BRACKETS_MAX);
        }
        return g.n_findings == 0;
}
