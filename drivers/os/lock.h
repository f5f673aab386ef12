/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The writer's lock of a fleet: flock(2) on state/lock, which only uninstalling unlinks. It dies
 * with its process, so there is nothing to clear by hand. Readers never take it. Who types into an
 * agent's terminal takes that agent's own lock.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "drivers/os/paths.h"

typedef struct LockHolder {
        pid_t pid; /* 0: it is not known */
        char verb[32];
} LockHolder;

enum {
        _LOCK_OK,
        LOCK_BUSY, /* held by somebody else past the deadline */
};

/*
 * The other lock: of the controller, for its life, beside which verbs take the writer's lock for a
 * pass each. A verb that needs the controller away takes it too. Does not wait. Returns as
 * lock_take().
 */
_must_check_ int lock_take_controller(
                const Paths *p, const char *verb, int *ret_fd, LockHolder *ret_holder);

/* The controller that runs, by its lock, which is not touched: /proc/locks says who has it. 0: none
 * can be seen. */
pid_t lock_controller(const Paths *p);

#define LOCK_WATCH "watch" /* the verb of a controller */

/* Is the controller's lock that this process holds still the one that others would take? Not if the
 * state directory was removed or replaced meanwhile. */
bool lock_is_current(const Paths *p, int fd);

/*
 * Takes the lock, writes pid and @verb into it, and sweeps what killed writers left in the fleet's
 * directories. Returns 0 with the descriptor to keep; LOCK_BUSY with @ret_holder filled as far as
 * it could be read; -EINTR: a signal was caught while it waited; another negative errno.
 */
_must_check_ int lock_take(const Paths *p,
                const char *verb,
                uint64_t timeout_usec,
                int *ret_fd,
                LockHolder *ret_holder);

/*
 * The lock of who types into an agent's terminal: runtime/send/NAME. The same answers; on success
 * @ret_holder has what the one before left written, so that an end in the middle shows. Children
 * inherit it: it is free when they have ended too.
 */
_must_check_ int lock_take_agent(const Paths *p,
                const char *agent,
                const char *note,
                uint64_t timeout_usec,
                int *ret_fd,
                LockHolder *ret_holder);

/* A lock of somebody's own at @path, for life: as long as it is held, whatever lies beside it is in
 * use. The same answers. */
_must_check_ int lock_take_file(
                const char *path, const char *note, int *ret_fd, LockHolder *ret_holder);

/* Takes such a lock if its holder is dead, and leaves what that one wrote in it. LOCK_BUSY: it
 * lives, or did not come as far as writing; -ENOENT: there is no such lock. */
_must_check_ int lock_take_dead(const char *path, int *ret_fd, LockHolder *ret_holder);

/* Writes another word into a lock that is held. */
_must_check_ int lock_note(int fd, const char *note);
