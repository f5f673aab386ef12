/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Checks of environments and arguments: names that are the program's own, variables that run code
 * in every program, secrets written in plain sight. A finding never repeats a value.
 */

#include "model/roster-finding.h"

/* Hides every text of the file that looks like a secret from the excerpts of findings. -ENOMEM. */
_must_check_ int find_secrets(const YamlNode *node, Diags *diags);

/* `env`: names and values. */
void check_env_map(const Finder *f, const RosterValue *env);

/* `env_pass`: a list of names. */
void check_env_names(const Finder *f, const RosterValue *list);

/* `credentials`: the names. */
void check_credentials(const Finder *f, const RosterValue *credentials);

/* A list of arguments: nothing in it looks like a secret. */
void check_words(const Finder *f, const RosterValue *list);

/* One text; NULL is fine. */
void check_words_of_text(const Finder *f, const YamlNode *node);
