/* SPDX-License-Identifier: MIT */
#pragma once

/* Rows of the table in checks.c: what a fleet needs of the machine before it has agents. */

#include "drivers/machine/checks.h"

_must_check_ int check_parts(const CheckSubject *s, Checks *c);
_must_check_ int check_tmux(const CheckSubject *s, Checks *c);
_must_check_ int check_socket(const CheckSubject *s, Checks *c);
_must_check_ int check_manager(const CheckSubject *s, Checks *c);
_must_check_ int check_path(const CheckSubject *s, Checks *c);
_must_check_ int check_controllers(const CheckSubject *s, Checks *c);
_must_check_ int check_permissions(const CheckSubject *s, Checks *c);
_must_check_ int check_state(const CheckSubject *s, Checks *c);
_must_check_ int check_stale(const CheckSubject *s, Checks *c);
_must_check_ int check_runtimes(const CheckSubject *s, Checks *c);
