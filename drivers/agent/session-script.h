/* SPDX-License-Identifier: MIT */
#pragma once

/* start-agent-session.sh, which the unit of an agent names: what it says is done without a shell as
 * long as it says what was shipped. */

/* Returns 0 if the script at @path is the shipped one, which would run this program for @name: the
 * caller goes on as if it had. Another one is run in our place; returns, with an exit status, only
 * if that fails. */
int session_script_run(const char *path, const char *name);
