/* SPDX-License-Identifier: MIT */
#include "reconciler/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "model/base/suggest.h"
#include "model/base/parse.h"
#include "model/base/strv.h"
#include "model/plan.h"
#include "reconciler/complain.h"

#define LOCK_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define RESYNC_USEC (60 * USEC_PER_SEC)
#define RESYNC_MIN_USEC USEC_PER_SEC
#define RESYNC_MAX_USEC (24 * 3600 * USEC_PER_SEC)
#define SEND_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define ALLOW_REMOVE_MAX 100000
#define LINES_MAX 100000
#define INTERVAL_USEC (2 * USEC_PER_SEC)
#define INTERVAL_MIN_USEC (500 * USEC_PER_MSEC)

enum {
        LETTER_JSON = 0x100,
        LETTER_COLOR,
        LETTER_NO_PAGER,
        LETTER_ALLOW_REMOVE,
        LETTER_FORCE_BUSY,
        LETTER_LOCK_TIMEOUT,
        LETTER_REASON,
        LETTER_PROFILE,
        LETTER_WRITE,
        LETTER_FORCE,
        LETTER_KEEP_HOLDS,
        LETTER_PURGE,
        LETTER_DRY_RUN,
        LETTER_SUPERVISOR,
        LETTER_OUT,
        LETTER_PLAN,
        LETTER_ORIGIN,
        LETTER_FORMAT,
        LETTER_RESYNC,
        LETTER_ANSI,
        LETTER_WATCH,
        LETTER_INTERVAL,
        LETTER_AGENTS,
        LETTER_LIVE,
        LETTER_MESSAGE,
        LETTER_FILE,
        LETTER_SOURCE,
        LETTER_SOCKET,
        LETTER_TIMEOUT,
        LETTER_WAIT,
        LETTER_NO_SUBMIT,
        LETTER_ADAPT,
        LETTER_NEW,
        LETTER_RESTART,
};

static const struct {
        struct option option;
        unsigned set;       /* 0: every verb takes it */
        const char *values; /* what may be offered as its value: option_values() */
} known[] = {
        { { "json", no_argument, NULL, LETTER_JSON }, 0 },
        { { "color", required_argument, NULL, LETTER_COLOR }, 0, "auto always never" },
        { { "no-pager", no_argument, NULL, LETTER_NO_PAGER }, 0 },
        { { "yes", no_argument, NULL, 'y' }, OPTION_YES },
        { { "allow-remove", required_argument, NULL, LETTER_ALLOW_REMOVE }, OPTION_ALLOW_REMOVE },
        { { "force-busy", required_argument, NULL, LETTER_FORCE_BUSY }, OPTION_FORCE_BUSY,
                        "@agent" },
        { { "lock-timeout", required_argument, NULL, LETTER_LOCK_TIMEOUT }, OPTION_LOCK_TIMEOUT },
        { { "reason", required_argument, NULL, LETTER_REASON }, OPTION_REASON },
        { { "profile", required_argument, NULL, LETTER_PROFILE }, OPTION_PROFILE, "@profile" },
        { { "write", no_argument, NULL, LETTER_WRITE }, OPTION_WRITE },
        { { "force", no_argument, NULL, LETTER_FORCE }, OPTION_FORCE },
        { { "keep-holds", no_argument, NULL, LETTER_KEEP_HOLDS }, OPTION_KEEP_HOLDS },
        { { "purge", no_argument, NULL, LETTER_PURGE }, OPTION_PURGE },
        { { "agents", no_argument, NULL, LETTER_AGENTS }, OPTION_AGENTS },
        { { "live", required_argument, NULL, LETTER_LIVE }, OPTION_LIVE, "@agent" },
        { { "dry-run", no_argument, NULL, LETTER_DRY_RUN }, OPTION_DRY_RUN },
        { { "supervisor", required_argument, NULL, LETTER_SUPERVISOR }, OPTION_SUPERVISOR,
                        "systemd direct" },
        { { "out", required_argument, NULL, LETTER_OUT }, OPTION_OUT, "@file" },
        { { "plan", required_argument, NULL, LETTER_PLAN }, OPTION_PLAN, "@file" },
        { { "origin", no_argument, NULL, LETTER_ORIGIN }, OPTION_ORIGIN },
        { { "format", required_argument, NULL, LETTER_FORMAT }, OPTION_FORMAT, "text json github" },
        { { "resync", required_argument, NULL, LETTER_RESYNC }, OPTION_RESYNC },
        { { "lines", required_argument, NULL, 'n' }, OPTION_LINES },
        { { "follow", no_argument, NULL, 'f' }, OPTION_FOLLOW },
        { { "ansi", no_argument, NULL, LETTER_ANSI }, OPTION_ANSI },
        { { "read-only", no_argument, NULL, 'r' }, OPTION_READ_ONLY },
        { { "watch", no_argument, NULL, LETTER_WATCH }, OPTION_WATCH },
        { { "interval", required_argument, NULL, LETTER_INTERVAL }, OPTION_WATCH },
        { { "message", required_argument, NULL, LETTER_MESSAGE }, OPTION_MESSAGE },
        { { "file", required_argument, NULL, LETTER_FILE }, OPTION_MESSAGE, "@file" },
        { { "source-label", required_argument, NULL, LETTER_SOURCE }, OPTION_MESSAGE },
        { { "source", required_argument, NULL, LETTER_SOURCE }, OPTION_MESSAGE },
        { { "socket", required_argument, NULL, LETTER_SOCKET }, OPTION_MESSAGE },
        { { "timeout", required_argument, NULL, LETTER_TIMEOUT }, OPTION_MESSAGE | OPTION_RESET },
        { { "wait", required_argument, NULL, LETTER_WAIT }, OPTION_MESSAGE, "idle" },
        { { "no-submit", no_argument, NULL, LETTER_NO_SUBMIT }, OPTION_MESSAGE },
        { { "adapt", no_argument, NULL, LETTER_ADAPT }, OPTION_MESSAGE },
        { { "new", no_argument, NULL, LETTER_NEW }, OPTION_RESET },
        { { "restart", no_argument, NULL, LETTER_RESTART }, OPTION_RESET },
};

void options_done(Options *o) {
        strv_free(o->force_busy);
        strv_free(o->names);
        *o = (Options){ 0 };
}

/* The one sentence of a usage error. */
static int usage(const char *verb, const char *format, ...) _printf_(2, 3);

static int usage(const char *verb, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        complain_of(verb, format, ap);
        va_end(ap);
        return EXIT_USAGE;
}

static int unknown_option(unsigned takes, const char *verb, const char *word) {
        Suggestion s = suggestion_init(strncmp(word, "--", 2) == 0 ? word + 2 : word);

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (known[i].set == 0 || known[i].set & takes)
                        suggestion_offer(&s, known[i].option.name);
        if (s.best)
                return usage(verb, "unknown option '%s'; did you mean '--%s'?", word, s.best);
        return usage(verb, "unknown option '%s'; 'mosaic ... %s --help' lists them", word, verb);
}

bool option_find(const char *name, size_t length, bool *ret_has_value, const char **ret_values) {
        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (strncmp(known[i].option.name, name, length) == 0 &&
                                known[i].option.name[length] == '\0') {
                        *ret_has_value = known[i].option.has_arg == required_argument;
                        *ret_values = known[i].values;
                        return true;
                }
        return false;
}

const char *option_values(const char *name, size_t length) {
        const char *values = NULL;
        bool has_value;

        (void)option_find(name, length, &has_value, &values);
        return values;
}

int options_set_color(Context *c, const char *verb, const char *value) {
        if (strcmp(value, "always") == 0)
                c->color = c->color_errors = true;
        else if (strcmp(value, "never") == 0)
                c->color = c->color_errors = false;
        else if (strcmp(value, "auto") != 0)
                return usage(verb, "invalid value '%s' for --color; use auto, always or never",
                                value);
        return 0;
}

static int parse_format(Context *c, const char *verb, const char *value, Options *o) {
        c->json = strcmp(value, "json") == 0;
        o->github = strcmp(value, "github") == 0;
        if (!c->json && !o->github && strcmp(value, "text") != 0)
                return usage(verb, "invalid value '%s' for --format; use text, json or github",
                                value);
        return 0;
}

/* How a message is sent, and how an agent is reset. */
static int parse_talk(int letter, const char *verb, Options *o) {
        switch (letter) {
        case LETTER_MESSAGE:
                o->message = optarg;
                return 0;
        case LETTER_FILE:
                o->message_file = optarg;
                return 0;
        case LETTER_SOURCE:
                o->source_label = optarg;
                return 0;
        case LETTER_SOCKET:
                o->socket = optarg;
                return 0;
        case LETTER_TIMEOUT:
                if (parse_duration(optarg, &o->timeout_usec) < 0)
                        return usage(verb, "invalid time '%s' for --timeout; write 30s or 2m",
                                        optarg);
                return 0;
        case LETTER_WAIT:
                if (strcmp(optarg, "idle") != 0)
                        return usage(verb, "invalid value '%s' for --wait; use idle", optarg);
                o->wait_idle = true;
                return 0;
        case LETTER_NO_SUBMIT:
                o->no_submit = true;
                return 0;
        case LETTER_ADAPT:
                o->adapt = true;
                return 0;
        case LETTER_NEW:
                o->reset_new = true;
                return 0;
        case LETTER_RESTART:
                o->reset_restart = true;
                return 0;
        default:
                return -EINVAL;
        }
}

static int parse_one(Context *c, int letter, const char *verb, Options *o) {
        uint64_t v;

        switch (letter) {
        case LETTER_JSON:
                c->json = true;
                return 0;
        case LETTER_COLOR:
                return options_set_color(c, verb, optarg);
        case LETTER_NO_PAGER:
                c->no_pager = true;
                return 0;
        case 'y':
                o->yes = true;
                return 0;
        case LETTER_ALLOW_REMOVE:
                if (parse_uint_range(optarg, 0, ALLOW_REMOVE_MAX, &v) < 0)
                        return usage(verb, "invalid number '%s' for --allow-remove", optarg);
                o->allow_remove = (long)v;
                return 0;
        case LETTER_FORCE_BUSY:
                return strv_push(&o->force_busy, optarg);
        case LETTER_LOCK_TIMEOUT:
                if (parse_duration(optarg, &o->lock_timeout_usec) < 0)
                        return usage(verb, "invalid time '%s' for --lock-timeout; write 30s or 2m",
                                        optarg);
                return 0;
        case 'n':
                if (parse_uint_range(optarg, 1, LINES_MAX, &o->lines) < 0)
                        return usage(verb, "invalid number '%s' for --lines; use 1 to %d", optarg,
                                        LINES_MAX);
                return 0;
        case LETTER_INTERVAL:
                if (parse_duration(optarg, &o->interval_usec) < 0 ||
                                o->interval_usec < INTERVAL_MIN_USEC)
                        return usage(verb,
                                        "invalid time '%s' for --interval; write 2s, 1m or more "
                                        "than 500ms",
                                        optarg);
                return 0;
        case 'f':
                o->follow = true;
                return 0;
        case LETTER_ANSI:
                o->ansi = true;
                return 0;
        case 'r':
                o->read_only = true;
                return 0;
        case LETTER_WATCH:
                o->watch = true;
                return 0;
        case LETTER_REASON:
                for (const char *p = optarg; *p; p++)
                        if ((unsigned char)*p < 0x20 || *p == 0x7f)
                                return usage(verb, "--reason must not hold control characters");
                o->reason = optarg;
                return 0;
        case LETTER_PROFILE:
                o->profile = optarg;
                return 0;
        case LETTER_WRITE:
                o->write = true;
                return 0;
        case LETTER_FORCE:
                o->force = true;
                return 0;
        case LETTER_KEEP_HOLDS:
                o->keep_holds = true;
                return 0;
        case LETTER_PURGE:
                o->purge = true;
                return 0;
        case LETTER_DRY_RUN:
                o->dry_run = true;
                return 0;
        case LETTER_OUT:
                o->out = optarg;
                return 0;
        case LETTER_ORIGIN:
                o->origin = true;
                return 0;
        case LETTER_FORMAT:
                return parse_format(c, verb, optarg, o);
        case LETTER_RESYNC:
                if (parse_duration(optarg, &o->resync_usec) < 0 ||
                                o->resync_usec < RESYNC_MIN_USEC ||
                                o->resync_usec > RESYNC_MAX_USEC)
                        return usage(verb,
                                        "invalid time '%s' for --resync; write 1s to 1d, as in 60s",
                                        optarg);
                return 0;
        case LETTER_LIVE:
                if (!agent_name_is_valid(optarg))
                        return usage(verb, "'%s' cannot be the name of an agent", optarg);
                o->live = optarg;
                return 0;
        case LETTER_AGENTS:
                o->agents = true;
                return 0;
        case LETTER_PLAN:
                o->plan = optarg;
                return 0;
        case LETTER_SUPERVISOR:
                o->supervisor = supervisor_from_string(optarg);
                if (o->supervisor == _SUPERVISOR_INVALID)
                        return usage(verb,
                                        "invalid value '%s' for --supervisor; use systemd or "
                                        "direct",
                                        optarg);
                return 0;
        default:
                return parse_talk(letter, verb, o);
        }
}

/* The letters of the options that a verb takes, as getopt wants them. */
static void write_letters(unsigned takes, char letters[static ELEMENTSOF(known) * 2 + 2]) {
        *letters++ = ':';
        for (size_t i = 0; i < ELEMENTSOF(known); i++) {
                const struct option *o = &known[i].option;

                if (o->val > 0xff || !(known[i].set & takes))
                        continue;
                *letters++ = (char)o->val;
                if (o->has_arg == required_argument)
                        *letters++ = ':';
        }
        *letters = '\0';
}

static int take_words(unsigned takes, const char *verb, char **words, Options *o) {
        for (; *words; words++) {
                int r;

                if (takes & (OPTION_FILE | OPTION_WORD) && !o->file) {
                        o->file = *words;
                        continue;
                }
                if (takes & OPTION_MESSAGE && strcmp(*words, "-") == 0) {
                        o->message_stdin = true;
                        continue;
                }
                if (takes & OPTION_MESSAGE && o->names)
                        return usage(verb, "name one agent; what it is told is said with --message "
                                           "TEXT, --file FILE, or - for standard input");
                if (!(takes & OPTION_NAMES))
                        return usage(verb, "unexpected word '%s'", *words);
                if (!agent_name_is_valid(*words))
                        return usage(verb, "'%s' cannot be the name of an agent", *words);
                if (strv_find(o->names, *words))
                        continue;
                r = strv_push(&o->names, *words);
                if (r < 0)
                        return r;
        }
        return 0;
}

int options_parse(Context *c, unsigned takes, int argc, char **argv, Options *ret) {
        struct option options[ELEMENTSOF(known) + 1] = { 0 };
        char letters[ELEMENTSOF(known) * 2 + 2];
        _cleanup_options_ Options o = {
                .allow_remove = -1,
                .lock_timeout_usec = LOCK_TIMEOUT_USEC,
                .resync_usec = RESYNC_USEC,
                .supervisor = _SUPERVISOR_INVALID,
                .interval_usec = INTERVAL_USEC,
                .timeout_usec = SEND_TIMEOUT_USEC,
        };
        size_t n = 0;
        int letter, r;

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (known[i].set == 0 || known[i].set & takes)
                        options[n++] = known[i].option;
        write_letters(takes, letters);
        opterr = 0;
        optind = 1;
        for (;;) {
                int at = optind;

                letter = getopt_long(argc, argv, letters, options, NULL);
                if (letter < 0)
                        break;
                if (letter == ':')
                        return usage(argv[0], "option '%s' needs a value", argv[optind - 1]);
                if (letter == '?')
                        return unknown_option(takes, argv[0], argv[optind > at ? optind - 1 : at]);
                r = parse_one(c, letter, argv[0], &o);
                if (r != 0)
                        return r;
        }
        if (c->json && takes & OPTION_NO_JSON)
                return usage(argv[0], "takes no --json");
        r = take_words(takes, argv[0], argv + optind, &o);
        if (r != 0)
                return r;
        *ret = o;
        o = (Options){ 0 };
        return 0;
}

int options_check_one_name(const Options *o, const char *verb) {
        if (strv_length(o->names) == 1)
                return 0;
        return usage(verb, "say the name of one agent");
}
