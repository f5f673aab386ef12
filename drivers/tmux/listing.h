/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one listing of tmux: the format that is asked for and its strict parser (pure). What a
 * session is called or carries is text of whoever made it: a line that does not parse never becomes
 * ours.
 */

#include "model/observed.h"

/*
 * The words of the client that lists: what is complete begins and ends with lines that were asked
 * for, so that a listing cut short can never look like sessions that are gone. NULL-terminated.
 */
extern const char *const tmux_listing_words[];

/* Is this what the client says of a server without any session? (list-panes is an error there.)
 * Sets o->server_pid if so. */
bool tmux_listing_is_empty(const char *text, Observed *o);

/*
 * Adds one ObservedSession per session (its first pane) to @o and sets o->server_pid. @fleet is
 * the fleet id or "default": a session is ours if its marker names this fleet and its own session
 * id. Returns 0, -EBADMSG if the listing is incomplete or garbled (then nothing of it is in @o),
 * -ENOMEM.
 */
_must_check_ int tmux_listing_parse(const char *text, const char *fleet, Observed *o);
