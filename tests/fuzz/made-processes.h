/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Processes that exist only here: those of an agent, below a keeper, and those of others. The
 * linker gives this file what the keeper does to processes (made_processes_wrapped in meson.build),
 * so nothing real is ever forked, waited for or signalled, and the clock. It judges as it goes:
 * only the agent's own processes are signalled, the way a keeper may, and no second agent is
 * started.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESSES_MAX 24
#define MAINS_MAX 64

typedef enum Owner {
        OWNER_OTHERS,
        OWNER_MAIN, /* the launcher, then the agent */
        OWNER_AGENT,
        OWNER_RECORDER,
} Owner;

typedef struct Process {
        pid_t pid; /* 0: a free place */
        pid_t parent, session;
        Owner owner;
        bool zombie;
        bool doomed;      /* it was killed, and has not died yet */
        int code, status; /* of its end, as in siginfo_t */
        int errors_fd;    /* its end of the pipe; -1: closed */
        const char *name; /* as /proc/PID/stat has it */
} Process;

/* What became of each process that was started as an agent. */
typedef struct Main {
        pid_t pid;
        bool is_closed;     /* its end of the pipe */
        unsigned n_said;    /* bytes that it wrote there */
        unsigned ready[16]; /* as many as were said to be ready with, by who has its pid */
        size_t n_ready;
        char end[32]; /* "exited 1"; "" while it lives */
} Main;

typedef struct World {
        Process processes[PROCESSES_MAX];
        Main mains[MAINS_MAX];
        size_t n_mains;
        uint64_t now_ms;
        bool may_start;       /* somebody asked for it */
        bool may_stop;        /* likewise, or the pane is gone */
        uint64_t may_kill_ms; /* from when on the agent has had its time */
        bool is_idle;         /* the last poll(2) found nothing */
        bool dies_slowly, recorder_hangs, no_children_file, no_proc;
        unsigned failing_forks, failing_pipes;
} World;

extern World world;

void world_begin(void);

/* Closes what is open, after world.processes are gone. */
void world_end(void);

/* A new process; NULL: there is no place. @pid 0: any that is free. */
Process *world_add(Owner owner, pid_t pid, pid_t parent, pid_t session);
Process *world_find(Owner owner);

/* How many there are of the agent, with those that were not waited for. */
size_t world_count_ours(void);

/* Ends a process; its children become the keeper's if they are the agent's. */
void world_end_process(Process *p, int code, int status);

/* Those that were killed and died slowly. */
void world_bury_doomed(void);

/* Makes the descriptor of the keeper's SIGCHLD readable. */
void world_tell_child(void);

/* The connections that accept4(2) will find, and who they are from. */
void world_connect(int fd, pid_t pid, uid_t uid);
