/* SPDX-License-Identifier: MIT */
#include "model/scrollback.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/strbuf.h"
#include "model/pane-line.h"

/* Cells of the table of common lines: beyond that lines are only compared one by one. */
#define TABLE_MAX (4u << 20)
/* With fewer lines in their place than one in so many a look has nothing to do with the last
 * one. */
#define BROKEN_SHARE 10

void scrollback_done(Scrollback *s) {
        for (size_t i = 0; i < s->n_lines; i++) {
                free(s->lines[i].plain);
                free(s->lines[i].styled);
        }
        free(s->lines);
        *s = SCROLLBACK_NULL;
}

int scrollback_take_line(Scrollback *s, char *plain, char *styled) {
        ScrollbackLine *line = array_grow(&s->lines, s->n_lines, sizeof(ScrollbackLine));

        if (!line) {
                free(plain);
                free(styled);
                return -ENOMEM;
        }
        line->plain = plain;
        line->styled = styled;
        s->n_lines++;
        return 0;
}

static int read_line(Scrollback *s, const char *line, size_t n, PaneStyle *style, bool styled) {
        _cleanup_strbuf_ StrBuf plain = STRBUF_NULL, shown = STRBUF_NULL;
        char *a = NULL, *b = NULL;
        int r;

        pane_line_clean(line, n, style, &plain, styled ? &shown : NULL);
        r = strbuf_finish(&plain, &a);
        if (r == 0 && styled)
                r = strbuf_finish(&shown, &b);
        if (r < 0) {
                free(a);
                return r;
        }
        return scrollback_take_line(s, a, b);
}

int scrollback_read(const char *text, bool styled, Scrollback *ret) {
        _cleanup_scrollback_ Scrollback s = SCROLLBACK_NULL;
        PaneStyle style = PANE_STYLE_NULL;

        for (const char *p = text; *p;) {
                size_t n = strcspn(p, "\n");
                int r;

                r = read_line(&s, p, n, &style, styled);
                if (r < 0)
                        return r;
                p += n + (p[n] == '\n');
        }
        while (s.n_lines > 0 && !*s.lines[s.n_lines - 1].plain) {
                s.n_lines--;
                free(s.lines[s.n_lines].plain);
                free(s.lines[s.n_lines].styled);
        }
        *ret = s;
        s = SCROLLBACK_NULL;
        return 0;
}

/* --- comparing -------------------------------------------------------------------------------- */

/* Equal lines have equal numbers, so that comparing is cheap: FNV-1a, of whose 64 bits no two
 * different lines of one look will meet. */
static uint64_t number_of(const char *s) {
        uint64_t h = UINT64_C(14695981039346656037);

        for (; *s; s++)
                h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
        return h;
}

static int number_lines(const Scrollback *s, uint64_t **ret) {
        uint64_t *l = calloc(s->n_lines + 1, sizeof(uint64_t));

        if (!l)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_lines; i++)
                l[i] = number_of(s->lines[i].plain);
        *ret = l;
        return 0;
}

/* Two looks laid over each other: line I of the first is line I - @shift of the second. */
typedef struct Overlay {
        const uint64_t *a;
        size_t n_a;
        const uint64_t *b;
        size_t n_b;
} Overlay;

static size_t above(ssize_t shift) {
        return shift > 0 ? (size_t)shift : 0;
}

/* How many lines are the same, of *ret_n that are in both. */
static size_t count_equal(const Overlay *o, ssize_t shift, size_t *ret_n) {
        size_t i = above(shift), k = above(-shift), count = 0;

        *ret_n = 0;
        for (; i < o->n_a && k < o->n_b; i++, k++, (*ret_n)++)
                count += o->a[i] == o->b[k];
        return count;
}

/* @moved if nearly all lines are the same then; else where most are, of what is possible. Next to
 * none: all of the first is above the second. */
static ssize_t find_shift(const Overlay *o, const ScrollbackMove *move, bool *ret_broken) {
        ssize_t moved = move->moved, first = moved < 0 ? moved : 0, last = moved > 0 ? moved : 0,
                best = moved;
        size_t n, n_best, score;

        score = count_equal(o, moved, &n_best);
        *ret_broken = false;
        if (n_best > 0 && score >= n_best - n_best / 10)
                return moved;
        if (!move->sure) {
                first = -(ssize_t)(move->n_above < o->n_b ? move->n_above : o->n_b);
                last = (ssize_t)o->n_a - 1;
        }
        for (ssize_t shift = first; shift <= last; shift++) {
                size_t count = count_equal(o, shift, &n);

                /* What begins above the last look hides lines: most must speak for it. */
                if (count > score && (shift >= 0 || 2 * count > n)) {
                        best = shift;
                        score = count;
                        n_best = n;
                }
        }
        if (moved == 0 && move->sure)
                best = 0;
        else if (score == 0)
                best = (ssize_t)o->n_a;
        *ret_broken = score == 0 || score * BROKEN_SHARE < n_best;
        return best > (ssize_t)o->n_a ? (ssize_t)o->n_a : best;
}

typedef struct Pairing {
        const uint64_t *a;
        const uint64_t *b;
        size_t n_a;
        size_t n_b;
        size_t *partner; /* of each line of b: its line in a, or SIZE_MAX */
} Pairing;

/* The longest common subsequence of what is left between equal ends. */
static int pair_middle(Pairing *p, size_t first, size_t end_a, size_t end_b) {
        size_t rows = end_a - first, columns = end_b - first;
        _cleanup_free_ uint16_t *table = NULL;
        size_t i = 0, k = 0;

        if (rows == 0 || columns == 0 || rows > UINT16_MAX ||
                        (rows + 1) * (columns + 1) > TABLE_MAX)
                return 0;
        table = calloc((rows + 1) * (columns + 1), sizeof(uint16_t));
        if (!table)
                return -ENOMEM;
#define CELL(row, column) table[(row) * (columns + 1) + (column)]
        for (size_t row = rows; row-- > 0;)
                for (size_t column = columns; column-- > 0;) {
                        if (p->a[first + row] == p->b[first + column])
                                CELL(row, column) = (uint16_t)(CELL(row + 1, column + 1) + 1);
                        else
                                CELL(row, column) = CELL(row + 1, column) > CELL(row, column + 1)
                                                                    ? CELL(row + 1, column)
                                                                    : CELL(row, column + 1);
                }
        while (i < rows && k < columns) {
                if (p->a[first + i] == p->b[first + k])
                        p->partner[first + k++] = first + i++;
                else if (CELL(i + 1, k) >= CELL(i, k + 1))
                        i++;
                else
                        k++;
        }
#undef CELL
        return 0;
}

static int pair(Pairing *p) {
        size_t first = 0, end_a = p->n_a, end_b = p->n_b;

        while (first < end_a && first < end_b && p->a[first] == p->b[first]) {
                p->partner[first] = first;
                first++;
        }
        while (end_a > first && end_b > first && p->a[end_a - 1] == p->b[end_b - 1]) {
                end_a--;
                end_b--;
                p->partner[end_b] = end_a;
        }
        return pair_middle(p, first, end_a, end_b);
}

/* --- following -------------------------------------------------------------------------------- */

static void report_line(ScrollbackLine *line, ScrollbackReport report, void *userdata) {
        if (line->reported)
                return;
        line->reported = true;
        report(line, userdata);
}

/* Lines of @now that were there before, and lines of @seen that are out of sight. */
static void report_settled(Scrollback *seen,
                Scrollback *now,
                ssize_t shift,
                const size_t *partner,
                ScrollbackReport report,
                void *userdata) {
        for (size_t i = 0; i < above(shift) && i < seen->n_lines; i++)
                report_line(seen->lines + i, report, userdata);
        for (size_t i = 0; i < now->n_lines; i++) {
                ScrollbackLine *before = NULL;

                /* This look begins above the last one. */
                if (i < above(-shift)) {
                        now->lines[i].reported = true;
                        continue;
                }
                if (partner[i - above(-shift)] < SIZE_MAX)
                        before = seen->lines + above(shift) + partner[i - above(-shift)];
                if (before && before->reported)
                        now->lines[i].reported = true;
                else if (before)
                        report_line(now->lines + i, report, userdata);
        }
}

int scrollback_follow(Scrollback *seen,
                Scrollback *now,
                const ScrollbackMove *move,
                ScrollbackReport report,
                void *userdata) {
        _cleanup_free_ uint64_t *a = NULL, *b = NULL;
        _cleanup_free_ size_t *partner = NULL;
        bool broken, was_empty = seen->n_lines == 0;
        ssize_t shift;
        Overlay o;
        Pairing p;
        int r;

        r = number_lines(seen, &a);
        if (r == 0)
                r = number_lines(now, &b);
        if (r < 0)
                return r;
        partner = malloc((now->n_lines + 1) * sizeof(size_t));
        if (!partner)
                return -ENOMEM;
        for (size_t i = 0; i < now->n_lines; i++)
                partner[i] = SIZE_MAX;
        o = (Overlay){ a, seen->n_lines, b, now->n_lines };
        shift = find_shift(&o, move, &broken);
        p = (Pairing){
                .a = a + above(shift),
                .b = b + above(-shift),
                .n_a = seen->n_lines - above(shift),
                .n_b = now->n_lines - above(-shift),
                .partner = partner,
        };
        r = pair(&p);
        if (r < 0)
                return r;
        report_settled(seen, now, shift, partner, report, userdata);
        scrollback_done(seen);
        *seen = *now;
        *now = SCROLLBACK_NULL;
        return broken && !was_empty ? SCROLLBACK_BROKEN : 0;
}

void scrollback_settle(Scrollback *seen, ScrollbackReport report, void *userdata) {
        for (size_t i = 0; i < seen->n_lines; i++)
                report_line(seen->lines + i, report, userdata);
}
