/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Long text on a terminal, as git and systemctl have it: what is printed is collected, and shown by
 * a pager if it does not fit the screen, as it is if it does. So a short text starts no program,
 * and a screen is never taken over for it.
 *
 * The pager is $MOSAIC_PAGER, else $PAGER, else `less`; empty or "cat": none. Its words are split
 * at blanks and executed; no shell reads them.
 */

#include <stdbool.h>
#include <stddef.h>

#include "model/base/cleanup.h"

typedef struct Pager {
        bool open;    /* standard output is collected */
        bool errors;  /* standard error is the same terminal */
        int terminal; /* where standard output goes otherwise */
} Pager;

/* From now on what is written to standard output, a terminal, is collected; where no pager is
 * wanted or this cannot be done it goes on as before. */
void pager_begin(Pager *p);

/* Shows what was collected, and waits for the reader. @width: cells of the terminal; @coloured: the
 * text has escape sequences. A reader who leaves early is no error; a negative errno says that the
 * text is lost. */
_must_check_ int pager_end(Pager *p, unsigned width, bool coloured);

/* The words of the pager, NULL if none is wanted. @own is $MOSAIC_PAGER, @common $PAGER; NULL: not
 * set. Caller frees. */
_must_check_ int pager_words(const char *own, const char *common, char ***ret);

/* How many lines of a terminal a text takes: long lines are wrapped, escape sequences take no
 * room. */
size_t pager_lines(const char *text, size_t n, unsigned width);
