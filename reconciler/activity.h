/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What running agents are doing, seen on their screens: all of them in one look, judged by the one
 * judgement of reconciler/agent/signs. What cannot be seen is said to be unknown, with the reason.
 */

#include "drivers/driver.h"
#include "reconciler/agent/signs.h"

typedef struct Activity {
        bool asked; /* the agent runs; else nothing below is set */
        DriverScreen screen;
        ScreenVerdict verdict; /* points into @screen */
        const char *why;       /* why the screen could not be seen; NULL: it was */
        uint64_t seen_usec;    /* when, CLOCK_REALTIME */
} Activity;

/* The verdict on one screen that is `known`. Returns 0 or -ENOMEM. */
_must_check_ int activity_judge(const AgentSpec *spec,
                const ObservedRun *run,
                const DriverScreen *screen,
                uint64_t now_usec,
                ScreenVerdict *ret);

/* One for each agent of @desired, in that order; asked of those that run. Returns 0 or -ENOMEM;
 * activities_free() frees the list. */
_must_check_ int activities_look(
                const Driver *driver, const Desired *desired, const Observed *o, Activity **ret);
void activities_free(Activity *list, size_t n);
