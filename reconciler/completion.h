/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Scripts that complete mosaic's command line in bash, zsh and fish, made from the table of verbs:
 * groups, verbs, their options and the values of those. Names of agents are asked of the program
 * when they are needed (`mosaic completion --agents`, which reads the roster and nothing else).
 */

#include "model/base/strbuf.h"

typedef enum Shell {
        SHELL_BASH,
        SHELL_ZSH,
        SHELL_FISH,
        _SHELL_MAX,
        _SHELL_INVALID = -1,
} Shell;

Shell shell_from_string(const char *s);

/* The words that shell_from_string() knows, with blanks between them. */
#define SHELL_WORDS "bash zsh fish"

/* Errors stick in @b. */
void completion_write(Shell shell, StrBuf *b);
