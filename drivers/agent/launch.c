/* SPDX-License-Identifier: MIT */
#include "drivers/agent/launch.h"

Launch launch_begin(bool systemd) {
        return (Launch){ .step = LAUNCH_READ_SPEC, .may_make = systemd };
}

/* A pane that went away right after its keeper answered counts as one that was never there. */
static LaunchStep ask_again(Launch *l) {
        return l->n_retries++ < LAUNCH_RETRIES_MAX ? LAUNCH_ASK_KEEPER : LAUNCH_FAILED;
}

static LaunchStep await(Launch *l, bool made) {
        l->made = made;
        return LAUNCH_AWAIT_KEEPER;
}

/* Everything went well: the one after it. */
static LaunchStep following(Launch *l) {
        switch (l->step) {
        case LAUNCH_ASK_KEEPER:
        case LAUNCH_AWAIT_KEEPER:
                return LAUNCH_OWN_TERMINAL;
        case LAUNCH_MAKE_SESSION:
        case LAUNCH_ADD_KEEPER:
                return await(l, /* made= */ true);
        case LAUNCH_READ_SPEC:
        case LAUNCH_OWN_TERMINAL:
        case LAUNCH_RESET_TERMINAL:
        case LAUNCH_CHECK_RUN:
        case LAUNCH_PREPARE:
        case LAUNCH_WRITE_RUN:
        case LAUNCH_SAY_READY:
                return (LaunchStep)(l->step + 1);
        case LAUNCH_EXEC: /* is over, and it runs */
                return LAUNCH_EXEC;
        case LAUNCH_REMOVE_RUN:
        case LAUNCH_FAILED:
        case _LAUNCH_STEP_MAX:
                break;
        }
        return LAUNCH_FAILED;
}

void launch_next(Launch *l, LaunchOutcome outcome) {
        switch (outcome) {
        case LAUNCH_DONE:
                l->step = following(l);
                return;
        case LAUNCH_ABSENT:
                l->step = l->may_make ? LAUNCH_MAKE_SESSION : LAUNCH_FAILED;
                return;
        case LAUNCH_THERE:
                l->step = await(l, /* made= */ false);
                return;
        case LAUNCH_NOT_YET:
                return;
        case LAUNCH_LATE: /* who made one does not make another */
                l->step = l->made ? LAUNCH_FAILED : LAUNCH_ADD_KEEPER;
                return;
        case LAUNCH_GONE:
                l->step = ask_again(l);
                return;
        case LAUNCH_ERROR:
                l->step = l->step == LAUNCH_EXEC ? LAUNCH_REMOVE_RUN : LAUNCH_FAILED;
                return;
        }
}
