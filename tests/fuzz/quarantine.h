/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The whole program in a cage. The linker gives this file all by which it could reach beyond
 * itself (quarantined in meson.build): no process is made or signalled, nobody is connected to,
 * nothing is written but below one directory in memory, and waiting costs no time.
 */

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Quarantine {
        const char *directory; /* where may be written */
        const char *input;     /* standard input */
        size_t n_input;
        bool is_terminal;   /* the standard streams */
        unsigned n_writes;  /* tries to write, make, rename or remove files; also those in vain */
        unsigned n_outside; /* of them, beyond the directory */
        unsigned n_locks;   /* of them, locks and the directories that hold them */
        unsigned n_spawns;  /* tries to make a process */
        jmp_buf too_long;   /* where to go when a day of waiting is over */
} Quarantine;

extern Quarantine quarantine;

void quarantine_begin(void);

/* Also closes what was left open. */
void quarantine_end(void);
