/* SPDX-License-Identifier: MIT */
#include "reconciler/heartbeat.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define EVERY_SECONDS 10
#define TEXT_MAX 256

/* Two texts: the handler writes one while the other is being changed. */
static char texts[2][TEXT_MAX];
static volatile sig_atomic_t current;

static void on_alarm(int number) {
        const char *text = texts[current];
        int saved = errno;

        (void)number;
        if (write(STDOUT_FILENO, text, strlen(text)) < 0)
                errno = saved; /* nobody reads: nothing to be done in a handler */
        errno = saved;
}

void heartbeat_set(const char *text) {
        int next = 1 - current;

        (void)snprintf(texts[next], TEXT_MAX, "... %.200s\n", text);
        current = next;
}

void heartbeat_start(void) {
        struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
        struct itimerval timer = {
                .it_interval.tv_sec = EVERY_SECONDS,
                .it_value.tv_sec = EVERY_SECONDS,
        };

        (void)sigaction(SIGALRM, &action, NULL);
        (void)setitimer(ITIMER_REAL, &timer, NULL);
}

void heartbeat_stop(void) {
        struct itimerval off = { 0 };

        (void)setitimer(ITIMER_REAL, &off, NULL);
}
