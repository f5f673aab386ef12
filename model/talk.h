/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How a runtime is talked to (RuntimeTalk of model/spec.h) as members of a JSON object: specs and
 * run files carry it. What there is not is left out: hundreds of run files are read in each pass.
 */

#include "model/json.h"
#include "model/spec.h"

void runtime_talk_done(RuntimeTalk *t);

void runtime_talk_put(JsonBuilder *b, const RuntimeTalk *t);

/* @t was zeroed before. -EBADMSG: a member is of another type; what was read until then stays for
 * runtime_talk_done(). */
_must_check_ int runtime_talk_get(const Json *j, RuntimeTalk *t);
