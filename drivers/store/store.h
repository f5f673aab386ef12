/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the fleet keeps in its state and runtime directories: accepted specs, run files, stop
 * records and holds (decision 0001). Formats are private to this folder and to drivers/agent.
 */

#include "drivers/os/paths.h"
#include "model/observed.h"
#include "model/spec.h"

/*
 * Adds accepted specs, run files (checked against /proc), stop records and holds to @o and sets
 * o->runs and o->files. An unreadable or garbled record makes its source unknown, never absent.
 */
_must_check_ int store_observe(const Paths *p, Observed *o);

/* Adds the holds alone; an unreadable one makes o->files unknown. */
_must_check_ int store_observe_holds(const Paths *p, Observed *o);

/* Adds how an agent that runs ended before, if that is known: for people, the plan does not ask it.
 * Fails only without memory. */
_must_check_ int store_observe_end(const Paths *p, const char *agent, Observed *o);

/* Under `direct` there is no manager to ask: what runs is what has a living run file. */
_must_check_ int store_observe_units(Observed *o);

/* Accepts these specs: all files are written, synced together, then renamed. */
_must_check_ int store_write_specs(const Paths *p, AgentSpec *const *specs, size_t n);

/* Says that the starts seen in @o of these agents are ended by us: before they are. */
_must_check_ int store_announce_stops(const Paths *p, const Observed *o, char *const *agents);

/* Is a spec of @agent accepted? So also of one that left the roster and is not removed yet.
 * Positive: it is. */
_must_check_ int store_knows(const Paths *p, const char *agent);

/* Deletes everything that is kept of an agent. Absent files are success. */
_must_check_ int store_remove_agent(const Paths *p, const char *agent);

/* @agent NULL: the whole fleet. @reason may be NULL. */
_must_check_ int store_hold(const Paths *p, const char *agent, const char *by, const char *reason);
_must_check_ int store_release(const Paths *p, const char *agent);

/* Forgets how an agent ended: a start that was asked for clears an implicit hold. */
_must_check_ int store_forget_stop(const Paths *p, const char *agent);

/* Drop-ins of loaded units are about to change: until store_reloaded(), o->reload_pending. */
_must_check_ int store_expect_reload(const Paths *p);
_must_check_ int store_reloaded(const Paths *p);

/* `fleet stop` ended the controller, so that `fleet start` brings it back. */
_must_check_ int store_set_controller_stopped(const Paths *p, bool stopped);
_must_check_ int store_controller_stopped(const Paths *p, bool *ret);

/* Which process is the tmux server (`direct`), so that it is found again behind a lost socket.
 * -ESRCH: it lives no more, or was never written down; others: that is not known. */
_must_check_ int store_write_server(const Paths *p, pid_t pid);
_must_check_ int store_read_server(const Paths *p, pid_t *ret);
