/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of the manager driver share: the connection and pipelined calls. Only
 * drivers/systemd/manager*.c include it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "drivers/systemd/manager.h"

#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT_INTERFACE "org.freedesktop.systemd1.Unit"
#define SERVICE_INTERFACE "org.freedesktop.systemd1.Service"
#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

typedef struct JobTable JobTable;
typedef struct Call Call;

struct Manager {
        sd_bus *bus;
        char *address;
        uint64_t timeout_usec;
        uint64_t late_usec; /* since when messages come after the deadline; 0: they do not */
        int dead;           /* negative errno once the connection broke */
        char *error;        /* manager_error() */
        JobTable *jobs;     /* NULL until the first submit */
        Call *listing;      /* asked for by manager_observe_begin(); NULL: not */
};

/* One request whose answer is awaited together with others. */
struct Call {
        sd_bus_slot *slot;
        sd_bus_message *reply; /* method return or error; NULL until @done */
        bool done;
};

/* Forgets requests, answered or not. */
void calls_done(Call *calls, size_t n);

/* The D-Bus address of the private socket. -ENOENT: this user has none. Caller frees. */
_must_check_ int manager_address(const Paths *p, char **ret);

/* Connects to @address by @deadline_usec (CLOCK_MONOTONIC). */
_must_check_ int bus_connect(const char *address, uint64_t deadline_usec, sd_bus **ret);

/* Dispatches one message, or waits for one until the deadline. Returns 1: something was done; 0:
 * the deadline came, and there is nothing to dispatch, or no end of it; negative: the
 * connection broke (@m->dead is set). */
_must_check_ int manager_step(Manager *m, uint64_t deadline_usec);

/* Returns @r, of a call of the library; notes what it says of the connection. */
int manager_note(Manager *m, int r);

/* A new call of the manager object, or of another. */
_must_check_ int manager_message(Manager *m,
                const char *path,
                const char *interface,
                const char *member,
                sd_bus_message **ret);

/* Sends @message; @c must stay where it is until the answer is in or calls_done(). */
_must_check_ int call_send(Manager *m, sd_bus_message *message, Call *c);

/* Sends Properties.Get. */
_must_check_ int call_send_get(
                Manager *m, const char *path, const char *interface, const char *property, Call *c);

/* Waits until all are answered. -ETIMEDOUT, or the error of the connection; sets the error
 * sentence. */
_must_check_ int calls_wait(Manager *m, Call *calls, size_t n, uint64_t deadline_usec);

/* 0 if @c was answered by a return, else a negative errno with the error sentence set. */
_must_check_ int call_result(Manager *m, const Call *c);

/* True if the answer is none: the call timed out or the connection went before it came. */
bool error_is_silence(const sd_bus_error *e);

/* errno and sentence of a D-Bus error; @unit may be NULL. Caller frees @ret_sentence (NULL without
 * memory). */
int error_translate(const sd_bus_error *e, const char *unit, char **ret_sentence);

void manager_set_error(Manager *m, const char *format, ...) _printf_(2, 3);

/* Frees the job table and what it holds (manager-jobs.c). */
JobTable *job_table_free(JobTable *t);
