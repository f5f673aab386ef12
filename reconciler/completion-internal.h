/* SPDX-License-Identifier: MIT */
#pragma once

/* What the scripts of the three shells have in common. */

#include "reconciler/completion.h"
#include "reconciler/verb.h"

void completion_write_zsh(StrBuf *b);
void completion_write_fish(StrBuf *b);

/* "fleet plan", "version": the verb as it is typed. */
void completion_add_verb(StrBuf *b, const Verb *v);

/* Text that goes between single quotes: each quote in it becomes @quote, and each character of
 * @special gets a backslash. */
void completion_add_text(
                StrBuf *b, const char *text, size_t length, const char *quote, const char *special);

/* The profiles that `fleet init` offers, with blanks between them. */
void completion_add_profiles(StrBuf *b);
