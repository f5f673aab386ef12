/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a keeper does for those who connect to its socket: lends the terminal, starts, stops and
 * tells. Everybody of the same user may connect, and nothing that is said is trusted to be whole,
 * patient or true; only who is the launcher is known, by its pid. It knows neither names nor paths:
 * keeper.c brings the socket and the terminal, keeper-direct.c has the processes.
 */

#include "drivers/agent/keeper-direct.h"

#define KEEPER_CLIENTS_MAX 16

typedef struct KeeperClient {
        int fd; /* -1: a free place */
        pid_t pid;
        char waits_for; /* KEEPER_START or KEEPER_STOP; 0: nothing, its next request is read */
        unsigned serial;
} KeeperClient;

typedef struct KeeperServer {
        int listener;
        int terminal; /* the slave side */
        bool hung_up; /* the pane is gone */
        unsigned last_serial;
        KeeperClient clients[KEEPER_CLIENTS_MAX];
        Direct direct;
} KeeperServer;

/* @name is borrowed, and so are the descriptors. */
void keeper_server_init(KeeperServer *s, const char *name, int terminal, int listener);

/* Sleeps until something happens, and deals with it. Returns 1: to be called again; 0: the pane is
 * gone, and nobody is left who needs us; negative errno of poll(2). */
int keeper_serve(KeeperServer *s);
