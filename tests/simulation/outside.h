/* SPDX-License-Identifier: MIT */
#pragma once

/* What happens to a world without the controller: people, crashes, files that are lost. */

#include "tests/simulation/world.h"

typedef enum Outside {
        OUT_SESSION_KILLED,
        OUT_SESSION_RENAMED,
        OUT_NAMESAKE,
        OUT_ENDS_BADLY,
        OUT_RESTARTING,
        OUT_BY_HAND,
        OUT_SERVER_DIES,
        OUT_SOCKET_GONE,
        OUT_ATTACH,
        OUT_AT_WORK,
        OUT_HOLD,
        OUT_REFUSES,
        OUT_DIES_HARD,
        OUT_DROPIN_LOST,
        OUT_SPEC_LOST,
        OUT_CLOCK,
        OUT_LAUNCHER_KILLED, /* from here on in a world of steps only */
        OUT_KEEPER_KILLED,
        OUT_KEEPER_LOST,
        OUT_STARTED_BY_HAND,
        OUT_RUN_FILE_LOST,
        OUT_TERMINAL_TAKEN,
        OUT_EXEC_FAILS,
        OUT_STEP,
        OUT_KEEPER_FAILS,
        _OUT_MAX,
} Outside;

/* How many ways it may happen in. */
unsigned outside_choices(Outside what);

/* @luck: which of them. */
void outside_change(World *w, WorldAgent *a, Outside what, unsigned luck);
