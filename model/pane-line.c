/* SPDX-License-Identifier: MIT */
#include "model/pane-line.h"

#include <stdint.h>
#include <string.h>

#include "model/base/parse.h"
#include "model/base/utf8.h"

#define ESCAPE 0x1b
#define BELL 0x07
#define SHIFT_OUT 0x0e
#define SHIFT_IN 0x0f

#define COLOUR_SIZE sizeof(((PaneStyle *)NULL)->foreground)
#define ATTRIBUTE_MAX 31 /* bits; those that exist are 1 to 9 and 21 */
#define PARAMETERS_MAX 32

/* The VT100's line-drawing characters, from '`' on. */
static const uint16_t line_drawing[] = { 0x25c6, 0x2592, 0x2409, 0x240c, 0x240d, 0x240a, 0x00b0,
        0x00b1, 0x2424, 0x240b, 0x2518, 0x2510, 0x250c, 0x2514, 0x253c, 0x23ba, 0x23bb, 0x2500,
        0x23bc, 0x23bd, 0x251c, 0x2524, 0x2534, 0x252c, 0x2502, 0x2264, 0x2265, 0x03c0, 0x2260,
        0x00a3, 0x00b7 };

/* --- styles ----------------------------------------------------------------------------------- */

static bool style_is_default(const PaneStyle *s) {
        return s->attributes == 0 && !*s->foreground && !*s->background && !*s->underline;
}

static void style_reset(PaneStyle *s) {
        bool drawing = s->line_drawing;

        *s = (PaneStyle){ .line_drawing = drawing };
}

/* The sequence that makes a terminal with default colours look like @s. */
static void style_write(const PaneStyle *s, StrBuf *b) {
        const char *const colours[] = { s->foreground, s->background, s->underline };

        for (unsigned i = 1; i <= ATTRIBUTE_MAX; i++)
                if (s->attributes & (1u << i))
                        strbuf_addf(b, "\033[%um", i);
        for (size_t i = 0; i < ELEMENTSOF(colours); i++)
                if (*colours[i])
                        strbuf_addf(b, "\033[%sm", colours[i]);
}

/* "38" with what belongs to it: 5;N or 2;R;G;B. Returns how many parameters that were. */
static size_t take_colour(char *const *parameters, size_t n, char room[static COLOUR_SIZE]) {
        size_t wanted = 1;
        char *p = room;

        if (n > 1 && strcmp(parameters[1], "5") == 0)
                wanted = 3;
        else if (n > 1 && strcmp(parameters[1], "2") == 0)
                wanted = 5;
        wanted = wanted < n ? wanted : n;
        room[0] = '\0';
        for (size_t i = 0; i < wanted; i++) {
                size_t more = strlen(parameters[i]) + 1;

                if ((size_t)(p - room) + more >= COLOUR_SIZE) {
                        room[0] = '\0';
                        break;
                }
                if (i > 0)
                        *p++ = ';';
                p = stpcpy(p, parameters[i]);
        }
        return wanted;
}

static void copy_parameter(char room[static COLOUR_SIZE], const char *text) {
        if (strlen(text) < COLOUR_SIZE)
                (void)stpcpy(room, text);
}

static void clear_attributes(PaneStyle *s, unsigned a, unsigned b) {
        s->attributes &= ~(1u << a | 1u << b);
}

/* One parameter that stands for itself. */
static void apply_one(PaneStyle *s, const char *text, unsigned v) {
        if (v == 0)
                style_reset(s);
        else if (v <= 9 || v == 21)
                s->attributes |= 1u << v;
        else if (v == 22)
                clear_attributes(s, 1, 2);
        else if (v == 24)
                clear_attributes(s, 4, 21);
        else if (v >= 23 && v <= 29)
                clear_attributes(s, v - 20, v - 20);
        else if ((v >= 30 && v <= 37) || (v >= 90 && v <= 97))
                copy_parameter(s->foreground, text);
        else if ((v >= 40 && v <= 47) || (v >= 100 && v <= 107))
                copy_parameter(s->background, text);
        else if (v == 39)
                s->foreground[0] = '\0';
        else if (v == 49)
                s->background[0] = '\0';
        else if (v == 59)
                s->underline[0] = '\0';
}

/* The parameters of "CSI ... m". */
static void style_apply(PaneStyle *s, const char *text, size_t n) {
        char buffer[128], *parameters[PARAMETERS_MAX], *rest = buffer;
        size_t count = 0;

        if (n >= sizeof(buffer))
                return;
        memcpy(buffer, text, n);
        buffer[n] = '\0';
        while (rest && count < PARAMETERS_MAX)
                parameters[count++] = strsep(&rest, ";");
        for (size_t i = 0; i < count; i++) {
                unsigned v = 0;

                /* "4:3": of a parameter with parts the first says what it is. */
                for (const char *p = parameters[i]; *p >= '0' && *p <= '9' && v < 1000; p++)
                        v = v * 10 + (unsigned)(*p - '0');
                if (v == 38)
                        i += take_colour(parameters + i, count - i, s->foreground) - 1;
                else if (v == 48)
                        i += take_colour(parameters + i, count - i, s->background) - 1;
                else if (v == 58)
                        i += take_colour(parameters + i, count - i, s->underline) - 1;
                else
                        apply_one(s, parameters[i], v);
        }
}

/* --- escape sequences ------------------------------------------------------------------------- */

/* A string sequence ends with BEL or ESC \; one that does not end takes the rest of the line. */
static size_t skip_string(const char *p, size_t n) {
        for (size_t i = 0; i < n; i++) {
                if (p[i] == BELL)
                        return i + 1;
                if (p[i] == ESCAPE && i + 1 < n && p[i + 1] == '\\')
                        return i + 2;
        }
        return n;
}

/* The text is no string: nothing behind it may be looked at. */
static bool are_numbers(const char *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!((p[i] >= '0' && p[i] <= '9') || p[i] == ';' || p[i] == ':'))
                        return false;
        return true;
}

/* The length of the sequence at @p, which begins with ESC. Colours are applied to @style. */
static size_t take_escape(const char *p, size_t n, PaneStyle *style) {
        size_t i = 2, begin;

        if (n < 2)
                return n;
        if (strchr("]PX^_", p[1]) && p[1] != '\0')
                return 2 + skip_string(p + 2, n - 2);
        if (p[1] == '[') {
                begin = i;
                while (i < n && p[i] >= 0x20 && p[i] <= 0x3f)
                        i++;
                if (i < n && p[i] == 'm' && are_numbers(p + begin, i - begin))
                        style_apply(style, p + begin, i - begin);
                return i < n ? i + 1 : n;
        }
        /* Intermediates and a final byte: ESC ( B. */
        i = 1;
        while (i < n && p[i] >= 0x20 && p[i] <= 0x2f)
                i++;
        return i < n && p[i] >= 0x30 && p[i] <= 0x7e ? i + 1 : i;
}

/* --- the line --------------------------------------------------------------------------------- */

typedef struct Output {
        StrBuf *plain;
        StrBuf *styled;
        PaneStyle shown; /* what @styled has been told so far */
        size_t n_blanks; /* not written yet: they may be the last */
} Output;

static bool style_equal(const PaneStyle *a, const PaneStyle *b) {
        return a->attributes == b->attributes && strcmp(a->foreground, b->foreground) == 0 &&
               strcmp(a->background, b->background) == 0 && strcmp(a->underline, b->underline) == 0;
}

/* Is a blank in this style more than a blank? */
static bool shows_on_blanks(const PaneStyle *s) {
        return *s->background || s->attributes & (1u << 4 | 1u << 7 | 1u << 9 | 1u << 21);
}

static void set_style(Output *o, const PaneStyle *style) {
        if (style_equal(&o->shown, style))
                return;
        if (!style_is_default(&o->shown))
                strbuf_add(o->styled, "\033[0m");
        style_write(style, o->styled);
        o->shown = *style;
}

static void put(Output *o, const PaneStyle *style, const char *bytes, size_t n) {
        strbuf_fill(o->plain, ' ', o->n_blanks);
        strbuf_add_bytes(o->plain, bytes, n);
        if (o->styled) {
                if (o->n_blanks > 0)
                        set_style(o, &PANE_STYLE_NULL);
                strbuf_fill(o->styled, ' ', o->n_blanks);
                set_style(o, style);
                strbuf_add_bytes(o->styled, bytes, n);
        }
        o->n_blanks = 0;
}

static void put_character(Output *o, const PaneStyle *style, uint32_t c) {
        char bytes[4];

        if (style->line_drawing && c >= '`' && c < '`' + ELEMENTSOF(line_drawing))
                c = line_drawing[c - '`'];
        if (utf8_is_unsafe(c))
                return;
        if (c == ' ' && !(o->styled && shows_on_blanks(style)))
                o->n_blanks++;
        else
                put(o, style, bytes, utf8_encode(c, bytes));
}

void pane_line_clean(const char *line, size_t n, PaneStyle *style, StrBuf *plain, StrBuf *styled) {
        Output o = { .plain = plain, .styled = styled };
        size_t begin = plain->length;

        for (size_t i = 0; i < n;) {
                unsigned char byte = (unsigned char)line[i];
                uint32_t c;
                size_t length;

                if (byte == ESCAPE) {
                        i += take_escape(line + i, n - i, style);
                        continue;
                }
                if (byte == SHIFT_OUT || byte == SHIFT_IN)
                        style->line_drawing = byte == SHIFT_OUT;
                length = utf8_decode(line + i, n - i, &c);
                put_character(&o, style, length > 0 ? c : '?');
                i += length > 0 ? length : 1;
        }
        /* Blanks in colours were written. */
        while (plain->length > begin && plain->data[plain->length - 1] == ' ')
                plain->data[--plain->length] = '\0';
        if (styled && !style_is_default(&o.shown))
                strbuf_add(styled, "\033[0m");
}
