/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A table for people: columns as wide as what is in them, a note below a row. A column that says
 * nothing in any row is left out. Errors stick: table_print() reports them.
 */

#include "reconciler/output.h"

#define TABLE_COLUMNS_MAX 16

typedef struct TableRow {
        char *cells[TABLE_COLUMNS_MAX]; /* NULL: nothing to say, shown as "-" */
        Style styles[TABLE_COLUMNS_MAX];
        char *note;
        char *help; /* a command that is not broken; NULL: none */
} TableRow;

typedef struct Table {
        const char *const *titles; /* borrowed */
        size_t n_columns;
        TableRow *rows;
        size_t n_rows;
        const unsigned char
                        *spare; /* columns that a narrow terminal does without, the first first */
        size_t n_spare;
        bool failed;
} Table;

/* @names: an array with a title for each column. */
#define TABLE_INIT(names) ((Table){ .titles = (names), .n_columns = ELEMENTSOF(names) })

void table_done(Table *t);
#define _cleanup_table_ _cleanup_(table_done)

void table_begin_row(Table *t);

/* The last row's: the text is copied; control characters do not reach the terminal. */
void table_set(Table *t, size_t column, const char *text);
void table_setf(Table *t, size_t column, const char *format, ...) _printf_(3, 4);
void table_style(Table *t, size_t column, Style style);

/* What is said below the last row; "" is nothing. */
void table_notef(Table *t, const char *format, ...) _printf_(2, 3);

/* The command that a note ends with: behind it where there is room for both, else on a line of its
 * own, so that it can be copied. */
void table_helpf(Table *t, const char *format, ...) _printf_(2, 3);

/* 0 or -ENOMEM. */
_must_check_ int table_print(const Context *c, const Table *t);
