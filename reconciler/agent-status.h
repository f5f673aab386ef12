/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What `agent status` says: the condition that `fleet status` has, what the agent is doing, and
 * what both are seen by. As a table, and as a document.
 */

#include "reconciler/activity.h"
#include "reconciler/output.h"

typedef struct AgentStatus {
        const Pass *pass;
        const Pass *refused;        /* findings of a roster file that is not in force, or NULL */
        const Activity *activities; /* one for each agent of the roster */
        char *const *names;         /* asked for by name; NULL or empty: all */
} AgentStatus;

/*
 * EXIT_INVALID if the roster file is not in force; EXIT_UNKNOWN if a source did not answer, or a
 * named agent's condition cannot be told; EXIT_NOT_CONVERGED if a named agent does not run, nor is
 * it about to; else EXIT_OK.
 */
ExitCode agent_status_exit(const AgentStatus *s);

/* What tells: a phrase for people. Text of the screen in it is cleaned. */
void agent_status_evidence(const Activity *a, StrBuf *b);

/* 0 or a negative errno. */
_must_check_ int agent_status_print(const Context *c, const AgentStatus *s);
_must_check_ int agent_status_print_json(const Context *c, const AgentStatus *s);
