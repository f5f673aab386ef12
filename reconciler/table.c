/* SPDX-License-Identifier: MIT */
#include "reconciler/table.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/utf8.h"

#define GAP 2
#define NOTE_INDENT 4

void table_done(Table *t) {
        for (size_t i = 0; i < t->n_rows; i++) {
                for (size_t k = 0; k < t->n_columns; k++)
                        free(t->rows[i].cells[k]);
                free(t->rows[i].note);
                free(t->rows[i].help);
        }
        free(t->rows);
        t->rows = NULL;
        t->n_rows = 0;
}

void table_begin_row(Table *t) {
        TableRow *row;

        assert(t->n_columns <= TABLE_COLUMNS_MAX);
        row = t->failed ? NULL : array_grow(&t->rows, t->n_rows, sizeof(TableRow));
        if (!row) {
                t->failed = true;
                return;
        }
        *row = (TableRow){ 0 };
        t->n_rows++;
}

/* Takes @text, formatted text or NULL. */
static void replace(Table *t, char **where, char *text) {
        if (!text)
                t->failed = true;
        free(*where);
        *where = text;
}

void table_set(Table *t, size_t column, const char *text) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char *safe = NULL;

        assert(column < t->n_columns);
        if (t->failed)
                return;
        output_add_safe(&b, text);
        if (strbuf_finish(&b, &safe) < 0)
                safe = NULL;
        replace(t, &t->rows[t->n_rows - 1].cells[column], safe);
}

void table_setf(Table *t, size_t column, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                t->failed = true;
                return;
        }
        table_set(t, column, text);
}

void table_style(Table *t, size_t column, Style style) {
        assert(column < t->n_columns);
        if (!t->failed)
                t->rows[t->n_rows - 1].styles[column] = style;
}

_printf_(3, 0) static void replace_valist(Table *t, char **where, const char *format, va_list ap) {
        char *text;

        (void)!format_valist(&text, format, ap);
        replace(t, where, text);
}

void table_notef(Table *t, const char *format, ...) {
        va_list ap;

        if (t->failed)
                return;
        va_start(ap, format);
        replace_valist(t, &t->rows[t->n_rows - 1].note, format, ap);
        va_end(ap);
}

void table_helpf(Table *t, const char *format, ...) {
        va_list ap;

        if (t->failed)
                return;
        va_start(ap, format);
        replace_valist(t, &t->rows[t->n_rows - 1].help, format, ap);
        va_end(ap);
}

/* Cells on the terminal. */
static size_t width_of(const char *s) {
        size_t n = strlen(s), width = 0;

        while (n > 0) {
                uint32_t c;
                size_t length = utf8_decode(s, n, &c);

                width += length > 0 ? utf8_width(c) : 1;
                length += length == 0;
                s += length;
                n -= length;
        }
        return width;
}

/* Leaves out what is spare until the rest fits. */
static void make_fit(const Table *t, size_t room, size_t *widths) {
        size_t total = 0;

        for (size_t k = 0; k < t->n_columns; k++)
                total += widths[k] > 0 ? widths[k] + GAP : 0;
        for (size_t i = 0; i < t->n_spare && total > room + GAP; i++)
                if (widths[t->spare[i]] > 0) {
                        total -= widths[t->spare[i]] + GAP;
                        widths[t->spare[i]] = 0;
                }
}

/* 0: the column is left out. */
static void measure(const Table *t, size_t *widths) {
        for (size_t k = 0; k < t->n_columns; k++) {
                bool empty = t->n_rows > 0;

                widths[k] = width_of(t->titles[k]);
                for (size_t i = 0; i < t->n_rows; i++) {
                        const char *cell = t->rows[i].cells[k];
                        size_t width = cell ? width_of(cell) : 1;

                        empty = empty && !cell;
                        widths[k] = width > widths[k] ? width : widths[k];
                }
                if (empty)
                        widths[k] = 0;
        }
}

/* The blanks that are due before a cell are printed with it, so that no line ends with blanks. */
static void print_cell(const Context *c, const char *text, Style style, size_t width, size_t *due) {
        bool styled = style != STYLE_PLAIN;

        printf("%*s%s%s%s", (int)*due, "", styled ? output_begin(c, style) : "", text,
                        styled ? output_end(c) : "");
        *due = GAP + width - width_of(text);
}

static void print_note(const Context *c, const TableRow *row) {
        size_t room = c->width > 0 ? c->width : SIZE_MAX;
        size_t n = NOTE_INDENT + width_of(row->note);

        printf("%*s%s", NOTE_INDENT, "", output_begin(c, STYLE_DIM));
        output_wrapped(c, row->note, NOTE_INDENT);
        if (row->help && n + 2 + width_of(row->help) <= room)
                printf("; %s", row->help);
        else if (row->help)
                printf("\n%*s= %s", NOTE_INDENT, "", row->help);
        printf("%s\n", output_end(c));
}

int table_print(const Context *c, const Table *t) {
        size_t widths[TABLE_COLUMNS_MAX], due = 0;

        if (t->failed)
                return -ENOMEM;
        measure(t, widths);
        if (c->width > 0)
                make_fit(t, c->width, widths);
        for (size_t k = 0; k < t->n_columns; k++)
                if (widths[k] > 0)
                        print_cell(c, t->titles[k], STYLE_BOLD, widths[k], &due);
        putchar('\n');
        for (size_t i = 0; i < t->n_rows; i++) {
                const TableRow *row = t->rows + i;

                due = 0;
                for (size_t k = 0; k < t->n_columns; k++)
                        if (widths[k] > 0)
                                print_cell(c, row->cells[k] ? row->cells[k] : "-", row->styles[k],
                                                widths[k], &due);
                putchar('\n');
                if (row->note && *row->note)
                        print_note(c, row);
        }
        return 0;
}
