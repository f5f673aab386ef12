/* SPDX-License-Identifier: MIT */
#include "model/diag-render.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/utf8.h"

#define EXCERPT_CELLS 72 /* of a long line, around the caret */

/* --- places ----------------------------------------------------------------------------------- */

Position position_of(const char *bytes, size_t size, size_t offset) {
        Position p = { .line = 1 };
        size_t start = 0;

        if (offset > size)
                offset = size;
        for (;;) {
                const char *feed = memchr(bytes + start, '\n', offset - start);

                if (!feed)
                        break;
                start = (size_t)(feed - bytes) + 1;
                p.line++;
        }
        if (start == 0 && size >= 3 && offset >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
                start = 3;
        p.column = 1 + utf8_length(bytes + start, offset - start);
        return p;
}

/* The line that holds @offset, without its end. */
static Span line_around(const char *bytes, size_t size, size_t offset) {
        Span s = { offset < size ? offset : size, offset < size ? offset : size };

        while (s.start > 0 && bytes[s.start - 1] != '\n')
                s.start--;
        while (s.end < size && bytes[s.end] != '\n')
                s.end++;
        if (s.end > s.start && bytes[s.end - 1] == '\r')
                s.end--;
        return s;
}

static bool has_span(Span s) {
        return s.start != SIZE_MAX;
}

/* --- text ------------------------------------------------------------------------------------- */

/* One character as it is shown; returns its cells. A tab is one blank, what is unsafe is
 * escaped. */
static size_t add_visible(StrBuf *b, const char *s, size_t n, size_t *ret_length) {
        uint32_t c;
        size_t length = utf8_decode(s, n, &c), before = b->length;

        *ret_length = length > 0 ? length : 1;
        if (length == 0) {
                strbuf_addf(b, "\\x%02x", (unsigned char)s[0]);
                return b->length - before;
        }
        if (c == '\t') {
                strbuf_add_char(b, ' ');
                return 1;
        }
        if (utf8_is_unsafe(c)) {
                strbuf_addf(b, c < 0x100 ? "\\x%02" PRIx32 : "\\u%04" PRIx32, c);
                return b->length - before;
        }
        strbuf_add_bytes(b, s, length);
        return utf8_width(c);
}

/* A sentence, safe for a terminal; a newline becomes a blank. */
static void add_sentence(StrBuf *b, const char *s) {
        size_t n = strlen(s), length;

        for (size_t i = 0; i < n; i += length)
                if (s[i] == '\n') {
                        strbuf_add_char(b, ' ');
                        length = 1;
                } else
                        (void)add_visible(b, s + i, n - i, &length);
}

typedef struct Painter {
        const Diags *diags;
        StrBuf *out;
        const char *file;
        const char *bytes;
        size_t size;
        bool color;
} Painter;

static void paint(const Painter *p, const char *sequence) {
        if (p->color)
                strbuf_add(p->out, sequence);
}

#define PLAIN "\033[0m"
#define BOLD "\033[1m"
#define BLUE "\033[1;34m"

static const char *severity_color(Severity s) {
        switch (s) {
        case SEVERITY_ERROR:
                return "\033[1;31m";
        case SEVERITY_WARNING:
                return "\033[1;33m";
        case SEVERITY_NOTE:
                return "\033[1;36m";
        }
        return "";
}

/* "file:line:col: error: " */
static void add_head(const Painter *p, Severity severity, Span span) {
        paint(p, BOLD);
        add_sentence(p->out, p->file);
        if (has_span(span) && p->bytes) {
                Position at = position_of(p->bytes, p->size, span.start);

                strbuf_addf(p->out, ":%zu:%zu", at.line, at.column);
        }
        strbuf_add(p->out, ": ");
        paint(p, severity_color(severity));
        strbuf_addf(p->out, "%s: ", severity_to_string(severity));
        paint(p, PLAIN);
}

/* Where to begin a line that is too long for the window, so that the caret is in it. */
static size_t window_start(const Painter *p, Span line, size_t caret) {
        size_t back = 0, i = caret;

        if (line.end - line.start <= EXCERPT_CELLS || caret - line.start < EXCERPT_CELLS * 2 / 3)
                return line.start;
        while (i > line.start && back < EXCERPT_CELLS / 2) {
                i--;
                if (((unsigned char)p->bytes[i] & 0xc0) != 0x80)
                        back++;
        }
        return i;
}

static bool is_hidden(const Painter *p, size_t offset) {
        for (size_t i = 0; i < p->diags->n_secrets; i++)
                if (offset >= p->diags->secrets[i].start && offset < p->diags->secrets[i].end)
                        return true;
        return false;
}

/* The source line and, below it, carets under the span. */
static void add_excerpt(const Painter *p, Span span, const char *color) {
        _cleanup_strbuf_ StrBuf text = STRBUF_NULL;
        Span line = line_around(p->bytes, p->size, span.start);
        size_t start, cells = 0, before = 0, under = 0, length;
        size_t number = position_of(p->bytes, p->size, line.start).line;
        char label[24];
        int width;

        if (span.start > line.end)
                span.start = line.end;
        start = window_start(p, line, span.start);
        if (start > line.start) {
                strbuf_add(&text, "...");
                before = cells = 3;
        }
        for (size_t i = start; i < line.end; i += length) {
                size_t before_length = text.length;
                size_t shown = add_visible(&text, p->bytes + i, line.end - i, &length);

                if (is_hidden(p, i) && !text.failed) {
                        text.length = before_length;
                        strbuf_add_char(&text, '*');
                        shown = 1;
                }

                if (i < span.start)
                        before += shown;
                else if (i < span.end)
                        under += shown;
                cells += shown;
                if (cells >= EXCERPT_CELLS && i + length < line.end) {
                        strbuf_add(&text, "...");
                        break;
                }
        }
        if (text.failed)
                p->out->failed = true;

        width = snprintf(label, sizeof(label), "%zu", number);
        paint(p, BLUE);
        strbuf_fill(p->out, ' ', (size_t)width);
        strbuf_add(p->out, " |\n");
        strbuf_addf(p->out, "%s |", label);
        paint(p, PLAIN);
        if (text.length > 0)
                strbuf_addf(p->out, " %s", strbuf_text(&text));
        strbuf_add_char(p->out, '\n');
        paint(p, BLUE);
        strbuf_fill(p->out, ' ', (size_t)width);
        strbuf_add(p->out, " | ");
        paint(p, color);
        strbuf_fill(p->out, ' ', before);
        strbuf_fill(p->out, '^', under > 0 ? under : 1);
        paint(p, PLAIN);
        strbuf_add_char(p->out, '\n');
}

static void add_label(const Painter *p, const char *label, const char *text) {
        strbuf_add(p->out, "   ");
        paint(p, BLUE);
        strbuf_add(p->out, "= ");
        paint(p, PLAIN);
        paint(p, BOLD);
        strbuf_add(p->out, label);
        paint(p, PLAIN);
        strbuf_add(p->out, ": ");
        add_sentence(p->out, text);
        strbuf_add_char(p->out, '\n');
}

/* "/agents/web/env/PORT" -> "agents.web.env.PORT"; deep places are hard to see from one line. */
static void add_path(const Painter *p, const char *pointer) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        size_t parts = 0;

        for (const char *c = pointer; *c; c++)
                if (*c == '/') {
                        if (parts++ > 0)
                                strbuf_add_char(&b, '.');
                } else if (*c == '~' && (c[1] == '0' || c[1] == '1'))
                        strbuf_add_char(&b, *++c == '0' ? '~' : '/');
                else
                        strbuf_add_char(&b, *c);
        if (parts >= 3)
                add_label(p, "at", strbuf_text(&b));
}

static void add_finding(const Painter *p, const Diag *d) {
        bool excerpt = p->bytes && has_span(d->span);

        add_head(p, d->severity, d->span);
        paint(p, BOLD);
        add_sentence(p->out, d->text);
        paint(p, PLAIN);
        strbuf_addf(p->out, " [%s]\n", d->code);
        if (excerpt)
                add_excerpt(p, d->span, severity_color(d->severity));
        if (d->help)
                add_label(p, "help", d->help);
        if (excerpt && d->path)
                add_path(p, d->path);
        if (p->bytes && has_span(d->related)) {
                add_head(p, SEVERITY_NOTE, d->related);
                strbuf_addf(p->out, "%s\n", d->related_text ? d->related_text : "see here");
                add_excerpt(p, d->related, severity_color(SEVERITY_NOTE));
        }
        strbuf_add_char(p->out, '\n');
}

int diags_render_text(const Diags *d,
                const char *file,
                const char *bytes,
                size_t size,
                bool color,
                char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        const Painter p = {
                .out = &b, .diags = d, .file = file, .bytes = bytes, .size = size, .color = color
        };
        size_t shown = d->n_items < RENDER_MAX ? d->n_items : RENDER_MAX;

        for (size_t i = 0; i < shown; i++)
                add_finding(&p, &d->items[i]);
        if (shown < d->n_items)
                strbuf_addf(&b, "... and %zu more\n", d->n_items - shown);
        add_sentence(&b, file);
        strbuf_addf(&b, ": %zu error%s, %zu warning%s\n", d->n_errors, d->n_errors == 1 ? "" : "s",
                        d->n_warnings, d->n_warnings == 1 ? "" : "s");
        return strbuf_finish(&b, ret);
}

/* --- annotations ------------------------------------------------------------------------------ */

/* %, CR and LF are the command's own; in a property , and : too. The rest as on a terminal, where
 * it is printed. */
static void add_escaped(StrBuf *b, const char *s, bool property) {
        size_t n = strlen(s), length;

        for (size_t i = 0; i < n; i += length) {
                length = 1;
                if (strchr("%\r\n", s[i]) || (property && strchr(",:", s[i])))
                        strbuf_addf(b, "%%%02X", (unsigned char)s[i]);
                else
                        (void)add_visible(b, s + i, n - i, &length);
        }
}

int diags_render_github(
                const Diags *d, const char *file, const char *bytes, size_t size, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        for (size_t i = 0; i < d->n_items; i++) {
                const Diag *x = &d->items[i];

                strbuf_addf(&b, "::%s file=",
                                x->severity == SEVERITY_NOTE ? "notice"
                                                             : severity_to_string(x->severity));
                add_escaped(&b, file, /* property= */ true);
                if (bytes && has_span(x->span)) {
                        Position at = position_of(bytes, size, x->span.start);

                        strbuf_addf(&b, ",line=%zu,col=%zu", at.line, at.column);
                }
                strbuf_addf(&b, ",title=%s::", x->code);
                add_escaped(&b, x->text, /* property= */ false);
                strbuf_add_char(&b, '\n');
        }
        return strbuf_finish(&b, ret);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void put_position(
                JsonBuilder *b, const char *key, const char *bytes, size_t size, size_t offset) {
        Position at = position_of(bytes, size, offset);

        json_open_object(b, key);
        json_put_uint(b, "line", at.line);
        json_put_uint(b, "column", at.column);
        json_put_uint(b, "offset", offset < size ? offset : size);
        json_close(b);
}

static void put_range(JsonBuilder *b, Span span, const char *bytes, size_t size) {
        if (!bytes || !has_span(span)) {
                json_put_null(b, "range");
                return;
        }
        json_open_object(b, "range");
        put_position(b, "start", bytes, size, span.start);
        put_position(b, "end", bytes, size, span.end);
        json_close(b);
}

static void put_finding(JsonBuilder *b, const Diag *d, const char *bytes, size_t size) {
        json_open_object(b, NULL);
        json_put_string(b, "severity", severity_to_string(d->severity));
        json_put_string(b, "code", d->code);
        json_put_string(b, "message", d->text);
        put_range(b, d->span, bytes, size);
        json_put_string(b, "path", d->path);
        json_put_string(b, "help", d->help);
        json_open_array(b, "fixes");
        if (d->fix) {
                json_open_object(b, NULL);
                put_range(b, d->span, bytes, size);
                json_put_string(b, "text", d->fix);
                json_put_bool(b, "safe", true);
                json_close(b);
        }
        json_close(b);
        json_open_array(b, "related");
        if (has_span(d->related)) {
                json_open_object(b, NULL);
                put_range(b, d->related, bytes, size);
                json_put_string(b, "message", d->related_text);
                json_close(b);
        }
        json_close(b);
        json_close(b);
}

void diags_put_json(
                JsonBuilder *b, const char *key, const Diags *d, const char *bytes, size_t size) {
        json_open_array(b, key);
        for (size_t i = 0; i < d->n_items; i++)
                put_finding(b, &d->items[i], bytes, size);
        json_close(b);
}
