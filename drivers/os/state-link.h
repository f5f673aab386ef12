/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * runtime/state: a symbolic link to the state directory of this fleet. The runtime directory is one
 * for all of a user's processes, the state directory is where XDG_STATE_HOME of each says; who
 * writes looks whether another one is in use, whose holds and lock it would not see.
 */

#include "drivers/os/paths.h"

enum {
        _STATE_IS_HERE,
        STATE_IS_ELSEWHERE, /* another directory, and it is there */
};

/* Returns 0, also if nothing can be read; STATE_IS_ELSEWHERE with the other one in @ret_other
 * (caller frees); -ENOMEM. */
_must_check_ int state_link_check(const Paths *p, char **ret_other);

/* The same for who has the lock: where there is no link, or one to what is gone, it is made. */
_must_check_ int state_link_claim(const Paths *p, char **ret_other);
