/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The options that verbs share, parsed once in one way. A verb says which ones it takes; an option
 * it does not take, a missing value and a surplus word are usage errors with one specific sentence.
 */

#include "reconciler/context.h"

typedef enum OptionSet {
        OPTION_YES = 1u << 0,
        OPTION_ALLOW_REMOVE = 1u << 1,
        OPTION_FORCE_BUSY = 1u << 2,
        OPTION_LOCK_TIMEOUT = 1u << 3,
        OPTION_NAMES = 1u << 4, /* words that are agents' names */
        OPTION_REASON = 1u << 5,
        OPTION_PROFILE = 1u << 6,
        OPTION_WRITE = 1u << 7,
        OPTION_FORCE = 1u << 8,
        OPTION_KEEP_HOLDS = 1u << 9,
        OPTION_PURGE = 1u << 10,
        OPTION_DRY_RUN = 1u << 11,
        OPTION_SUPERVISOR = 1u << 12,
        OPTION_FILE = 1u << 13, /* one word that is a file's name */
        OPTION_OUT = 1u << 14,
        OPTION_PLAN = 1u << 15,
        OPTION_ORIGIN = 1u << 16,
        OPTION_FORMAT = 1u << 17,
        OPTION_RESYNC = 1u << 18,
        OPTION_LINES = 1u << 19,
        OPTION_FOLLOW = 1u << 20,
        OPTION_ANSI = 1u << 21,
        OPTION_READ_ONLY = 1u << 22,
        OPTION_WATCH = 1u << 23,
        OPTION_NO_JSON = 1u << 24, /* the verb has no document */
        OPTION_WORD = 1u << 25,    /* one word, of which the verb knows the meaning */
        OPTION_AGENTS = 1u << 26,
        OPTION_MESSAGE = 1u << 27, /* a message, and how it is sent; "-" among the words */
        OPTION_RESET = 1u << 28,
        OPTION_LIVE = 1u << 29,
} OptionSet;

typedef struct Options {
        bool yes;
        long allow_remove;
        char **force_busy;
        uint64_t lock_timeout_usec;
        char **names;
        const char *reason;
        const char *profile;
        bool write;
        bool force;
        bool keep_holds;
        bool purge;
        bool dry_run;
        Supervisor supervisor; /* _SUPERVISOR_INVALID: not said */
        const char *file;      /* with OPTION_WORD: that word */
        const char *out;
        const char *plan;
        bool origin;
        bool github;          /* --format github */
        uint64_t resync_usec; /* --resync */
        uint64_t lines;       /* 0: not said */
        bool follow;
        bool ansi;
        bool read_only;
        bool watch;
        uint64_t interval_usec; /* of --watch */
        bool agents;
        const char *live;
        const char *message;
        const char *message_file;
        bool message_stdin;
        const char *source_label;
        const char *socket;
        uint64_t timeout_usec; /* of --timeout */
        bool wait_idle;
        bool no_submit;
        bool adapt;
        bool reset_new;
        bool reset_restart;
} Options;

void options_done(Options *o);
#define _cleanup_options_ _cleanup_(options_done)

/*
 * Parses what follows the verb; --json, --color and --no-pager go into @c. Returns 0, EXIT_USAGE
 * after the sentence was printed, -ENOMEM.
 */
_must_check_ int options_parse(Context *c, unsigned takes, int argc, char **argv, Options *ret);

/* For verbs about one agent: exactly one name was given. 0, or EXIT_USAGE after the sentence. */
_must_check_ int options_check_one_name(const Options *o, const char *verb);

/*
 * What may be offered as the value of an option: words with blanks between them, or "@agent",
 * "@profile", "@file". NULL: it is free text, or takes no value.
 */
const char *option_values(const char *name, size_t length);

/* The same, and whether there is such an option and it takes a value. False: there is none. */
bool option_find(const char *name, size_t length, bool *ret_has_value, const char **ret_values);

/* What --color says: 0, or EXIT_USAGE after the sentence was printed. @verb: NULL before it. */
_must_check_ int options_set_color(Context *c, const char *verb, const char *value);
