/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Strict UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF), the width of a character
 * on a terminal, and which characters must never reach one. Independent of the locale.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/cleanup.h"
#include "model/base/strbuf.h"

/* Decodes one character at @s (@n bytes left). Returns its length, 0 if it is invalid or @n is
 * 0. */
size_t utf8_decode(const char *s, size_t n, uint32_t *ret);

/* Appends nothing, writes 1 to 4 bytes to @s. Returns how many; 0 for what is no character. */
size_t utf8_encode(uint32_t c, char s[static 4]);

bool utf8_is_valid(const char *s, size_t n);

/* Number of characters in valid UTF-8; a byte that is not UTF-8 counts as one. */
size_t utf8_length(const char *s, size_t n);

/* Cells on a terminal: 0 (combining, format), 1, or 2 (East Asian wide, emoji). */
unsigned utf8_width(uint32_t c);

/* Controls, DEL, C1, line and paragraph separators, and the marks that reorder or hide text. Tab
 * and newline are controls too. */
bool utf8_is_unsafe(uint32_t c);

/* Appends text of others so that it does nothing to a terminal: a '?' for each unsafe character and
 * for each byte that is not UTF-8. */
void utf8_add_safe(StrBuf *b, const char *s, size_t n);
