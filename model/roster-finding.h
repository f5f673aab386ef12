/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How the checks of a decoded roster report: a node is enough, place and JSON pointer follow from
 * it.
 */

#include "model/roster-decode.h"
#include "model/roster.h"

typedef struct Finder {
        const Roster *roster;
        const Machine *machine;
        Diags *diags;
} Finder;

/* @node: the value; for a mapping its key is shown; NULL: the whole file. @help may be NULL. The
 * finding is borrowed until the next one; NULL without memory. */
Diag *find_error(const Finder *f,
                const char *code,
                const YamlNode *node,
                const char *help,
                const char *format,
                ...) _printf_(5, 6);
Diag *find_warning(const Finder *f,
                const char *code,
                const YamlNode *node,
                const char *help,
                const char *format,
                ...) _printf_(5, 6);

/* The same about a mapping's key. */
Diag *find_key_error(const Finder *f,
                const char *code,
                const YamlNode *node,
                const char *help,
                const char *format,
                ...) _printf_(5, 6);
