/* SPDX-License-Identifier: MIT */

/*
 * What many panes show, in one answer. The input draws them: whatever their agents print and call
 * themselves, each screen is read as it was drawn; an answer cut short gives none at all. First
 * byte odd: raw bytes.
 */

#include "drivers/machine/screens.h"
#include "model/base/strbuf.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

#define WORD "mosaic-0123456789abcdef"
#define PANES_MAX 4

typedef struct Pane {
        bool gone;
        unsigned x, y;
        char *title, *text;
} Pane;

/* What is on a screen: no line of it can begin with the word, which nobody can guess. */
static char *text_of(Input *in) {
        _cleanup_free_ char *raw = input_text(in, 300);
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char *rest = raw, *line, *text;
        int r;

        while ((line = strsep(&rest, "\n")))
                if (strncmp(line, WORD, strlen(WORD)) != 0)
                        strbuf_addf(&b, "%s\n", line);
        r = strbuf_finish(&b, &text);
        assert(r == 0);
        return text;
}

static size_t draw(Input *in, Pane panes[static PANES_MAX], StrBuf *b) {
        size_t n = 1 + input_choose(in, PANES_MAX);

        for (size_t i = 0; i < n; i++) {
                Pane *p = panes + i;

                *p = (Pane){ .gone = input_choose(in, 8) == 7 };
                p->x = input_byte(in);
                p->y = input_byte(in);
                p->title = input_text(in, 60);
                p->title[strcspn(p->title, "\n")] = '\0';
                p->text = text_of(in);
                strbuf_addf(b, WORD " %zu\n", i);
                if (!p->gone)
                        strbuf_addf(b,
                                        WORD
                                        " facts %u %u 80 24 1 0  0 77 1700000000 /dev/pts/7 %s\n%s",
                                        p->x, p->y, p->title, p->text);
        }
        strbuf_add(b, WORD " end\n");
        return n;
}

static void compare(const Pane *p, const DriverScreen *s) {
        if (p->gone) {
                assert(!s->screen.text && !s->screen.title);
                return;
        }
        assert(s->screen.text && strcmp(s->screen.text, p->text) == 0);
        assert(s->screen.title && strcmp(s->screen.title, p->title) == 0);
        assert(s->screen.cursor_x == p->x && s->screen.cursor_y == p->y);
        assert(s->screen.width == 80 && s->screen.height == 24 && s->screen.attached == 1);
        assert(!s->screen.dead && !s->screen.in_mode && s->screen.pane_pid == 77);
        assert(strcmp(s->terminal, "/dev/pts/7") == 0);
}

static void check_drawn(Input *in) {
        size_t cut = input_byte(in) | (size_t)input_byte(in) << 8, n;
        DriverScreen screens[PANES_MAX] = { 0 }, part[PANES_MAX] = { 0 };
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        _cleanup_free_ char *short_one = NULL;
        Pane panes[PANES_MAX];

        n = draw(in, panes, &b);
        assert(!b.failed);
        short_one = strndup(b.data, cut % b.length);
        assert(short_one && screens_read(short_one, WORD, part, n) == 0);
        assert(screens_read(b.data, WORD, screens, n) == 0);
        for (size_t i = 0; i < n; i++) {
                compare(panes + i, screens + i);
                assert(!part[i].screen.text && !part[i].screen.title && !*part[i].terminal);
                screen_done(&screens[i].screen);
                free(panes[i].title);
                free(panes[i].text);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        DriverScreen screens[PANES_MAX] = { 0 };
        Input in = INPUT(data, size);
        _cleanup_free_ char *raw = NULL;

        if (!input_flag(&in)) {
                check_drawn(&in);
                return 0;
        }
        raw = input_rest(&in);
        assert(screens_read(raw, WORD, screens, 2) == 0);
        for (size_t i = 0; i < 2; i++)
                screen_done(&screens[i].screen);
        return 0;
}
