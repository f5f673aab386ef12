/* SPDX-License-Identifier: MIT */
#include "tests/simulation/outside.h"

#include "model/base/parse.h"

static void end_agent(World *w, WorldAgent *a, UnitState state, bool well) {
        if (a->unit == UNIT_ACTIVE)
                world_end_agent(w, a, state, well);
}

/* What befalls launchers and keepers. */
static void change_launch(World *w, WorldAgent *a, Outside what, unsigned luck) {
        switch ((int)what) {
        case OUT_LAUNCHER_KILLED:
                if (a->launching)
                        launching_killed(w, a);
                return;
        case OUT_KEEPER_KILLED:
        case OUT_KEEPER_LOST:
                if (a->session)
                        launching_kill_keeper(w, a, what == OUT_KEEPER_LOST, luck);
                return;
        case OUT_STARTED_BY_HAND:
                if (!w->direct && w->server && a->unit == UNIT_NOT_LOADED)
                        launching_begin(w, a);
                return;
        case OUT_RUN_FILE_LOST:
                launching_lose_run_file(w, a);
                return;
        case OUT_TERMINAL_TAKEN:
                a->terminal_taken = !a->terminal_taken;
                return;
        case OUT_EXEC_FAILS:
                a->exec_fails = !a->exec_fails;
                return;
        case OUT_KEEPER_FAILS:
                a->keeper_fails = !a->keeper_fails;
                return;
        case OUT_STEP:
                if (a->launching)
                        launching_step(w, a, luck);
                return;
        default:
                return;
        }
}

static const int64_t jumps[] = { 1, -1, 3600, -3600, 315360000, -315360000 };

static void jump_clock(World *w, unsigned luck) {
        int64_t by = jumps[luck] * (int64_t)USEC_PER_SEC;

        if (by > 0 || w->now_usec > (uint64_t)-by)
                w->now_usec += (uint64_t)by;
}

unsigned outside_choices(Outside what) {
        switch ((int)what) {
        case OUT_CLOCK:
                return ELEMENTSOF(jumps);
        case OUT_SERVER_DIES:
        case OUT_KEEPER_KILLED:
        case OUT_KEEPER_LOST:
        case OUT_STEP:
                return 2;
        default:
                return 1;
        }
}

void outside_change(World *w, WorldAgent *a, Outside what, unsigned luck) {
        bool socket = w->server && !w->hidden;

        switch (what) {
        case OUT_SESSION_KILLED:
                if (a->session && socket)
                        world_end_session(w, a);
                return;
        case OUT_SESSION_RENAMED:
                a->misnamed = a->session;
                return;
        case OUT_NAMESAKE:
                if (socket && (!a->session || a->misnamed))
                        a->namesake = !a->namesake;
                return;
        case OUT_ENDS_BADLY:
                end_agent(w, a, UNIT_FAILED, false);
                return;
        case OUT_RESTARTING:
                end_agent(w, a, UNIT_RESTARTING, false);
                return;
        case OUT_BY_HAND:
                end_agent(w, a, UNIT_NOT_LOADED, true);
                return;
        case OUT_ATTACH:
                a->attached = a->session && a->unit == UNIT_ACTIVE && socket ? !a->attached : 0;
                return;
        case OUT_AT_WORK:
                a->at_work = !a->at_work;
                return;
        case OUT_HOLD:
                a->hold = !a->hold;
                return;
        case OUT_REFUSES:
                a->refuses_start = !a->refuses_start;
                return;
        case OUT_DIES_HARD:
                a->dies_hard = !a->dies_hard;
                return;
        case OUT_DROPIN_LOST:
                a->dropin = 0;
                return;
        case OUT_SPEC_LOST:
                a->spec = false;
                a->restart = a->live = a->resolved = 0;
                return;
        case OUT_SERVER_DIES:
                world_lose_server(w, luck ? UNIT_FAILED : UNIT_RESTARTING);
                return;
        case OUT_SOCKET_GONE:
                w->hidden = w->server;
                return;
        case OUT_CLOCK:
                jump_clock(w, luck);
                return;
        case OUT_LAUNCHER_KILLED:
        case OUT_KEEPER_KILLED:
        case OUT_KEEPER_LOST:
        case OUT_STARTED_BY_HAND:
        case OUT_RUN_FILE_LOST:
        case OUT_TERMINAL_TAKEN:
        case OUT_EXEC_FAILS:
        case OUT_STEP:
        case OUT_KEEPER_FAILS:
                change_launch(w, a, what, luck);
                return;
        case _OUT_MAX:
                break;
        }
}
