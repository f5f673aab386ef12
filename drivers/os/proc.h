/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What /proc says about processes and about this boot. A pid alone names nothing for long: pid and
 * start time together do, within one boot.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/base/cleanup.h"

#define BOOT_ID_SIZE 37 /* a UUID and the NUL */

/* Field 22 of /proc/PID/stat: clock ticks after boot. -ESRCH: no such process, or one that has
 * ended and was not waited for yet. */
_must_check_ int proc_start_time(pid_t pid, uint64_t *ret);

/* Field 4. -ESRCH: no such process. 0 is the parent of the first process of a namespace. */
_must_check_ int proc_parent(pid_t pid, pid_t *ret);

/* Is there a process of this pid that began then? 1 or 0: one that only others may look at is not,
 * ours we may. Negative errno: that could not be looked at. */
_must_check_ int proc_is(pid_t pid, uint64_t start_time);

_must_check_ int proc_boot_id(char ret[BOOT_ID_SIZE]);

/* Is the foreground process group of the process' terminal another one than its own? -ENOTTY: it
 * has none. */
_must_check_ int proc_other_foreground(pid_t pid, bool *ret);

/* Processor time that the process and its ended, waited-for children have used, and the memory that
 * it has resident, in bytes. -ESRCH: no such process. */
_must_check_ int proc_usage(pid_t pid, uint64_t *ret_cpu_usec, uint64_t *ret_memory);

/* Does this terminal hand out whole lines (ICANON), as it does until a program asks for keys? One
 * that cannot be opened does not. */
bool proc_terminal_collects_lines(const char *path);

/* The cgroup of a process ("/user.slice/..."): of the unified hierarchy, else of systemd's own
 * named one. -ESRCH: no such process; -ENODATA: no cgroups. Caller frees. */
_must_check_ int proc_cgroup(pid_t pid, char **ret);
