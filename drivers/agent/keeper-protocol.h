/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is spoken on a keeper's socket (SOCK_SEQPACKET): one packet a request, one packet a reply,
 * the first byte says which. Shared by the keeper, the launcher and the client; no code, so that
 * the keeper stays small. docs/decisions/0001-process-model.md has the table.
 */

#define KEEPER_DIRECTORY "keep" /* below $MOSAIC_RUNTIME_DIR; one socket an agent */

/* requests */
#define KEEPER_TAKE 'T' /* the terminal, please */
#define KEEPER_READY                                                                               \
        'R'              /* + bytes it has said on standard error: the launcher is about to exec   \
                          */
#define KEEPER_START 'S' /* run the launcher */
#define KEEPER_STOP 'K'  /* + milliseconds in decimal: end the agent and what it left behind */
#define KEEPER_QUERY 'Q' /* what runs? */

/* replies */
#define KEEPER_TERMINAL 'T' /* + "NAME=VALUE\0"..., with the terminal as SCM_RIGHTS */
#define KEEPER_RUNNING 'R'  /* + pid */
#define KEEPER_FAILED 'F'   /* + text for people */
#define KEEPER_DONE                                                                                \
        'D' /* + "CODE STATUS" as in $EXIT_CODE and $EXIT_STATUS; "none 0": nothing ran yet */
#define KEEPER_STATE 'Q' /* + "PID STATE" */

/* states */
#define KEEPER_STATE_NONE "none"
#define KEEPER_STATE_STARTING "starting"
#define KEEPER_STATE_RUNNING "running"
#define KEEPER_STATE_STOPPING "stopping"

#define KEEPER_PACKET_MAX 4096

/* Exit statuses of the launcher; the unit has RestartPreventExitStatus= for the first. */
#define LAUNCHER_REFUSED 178  /* a retry cannot help: a person is needed */
#define LAUNCHER_TRY_AGAIN 75 /* EX_TEMPFAIL */
