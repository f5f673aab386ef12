/* SPDX-License-Identifier: MIT */
#include "reconciler/watch-log.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "drivers/os/clock.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"
#include "model/plan.h"
#include "reconciler/watch-output.h"

/* docs/reference/journal.md lists them; an id once given keeps its meaning. */
static const struct {
        const char *event;
        const char *id;
} words[_WATCH_WORD_MAX] = {
        [WATCH_STARTED] = { "started", "9c0a3997cbdef905603359836b3e0269" },
        [WATCH_STOPPED] = { "stopped", "984fd067b535221bfb17be5b709ec385" },
        [WATCH_ROSTER] = { "roster", "32ef8d4fef1792f94ff0bdfa9738ac01" },
        [WATCH_REFUSED] = { "refused", "cc9f0175cf93f92e009753e164669288" },
        [WATCH_ACTION] = { "action", "f06bbb1d87f15886432c37fb7b87b457" },
        [WATCH_CRASH] = { "crash", "5e36c93cade8fe6acde8e20c18a5ff4b" },
        [WATCH_REMARK] = { "remark", "961fc6478cc97569fa7be4036c9d249d" },
        [WATCH_SYNC] = { "sync", "c787f4f87db3aba33e9c6ed508db373c" },
        [WATCH_SOURCE] = { "source", "a2188ba32c60d438896691db0cc5ecdf" },
        [WATCH_STATE] = { "state", "60abcb2adcba46dab7fcb5710a656279" },
};

struct WatchLog {
        const Context *c;
        WatchOutput *output;
        bool to_journal;
        Json *remarks;                 /* of the last pass; NULL: none yet */
        char *roster;                  /* what was said of it last */
        int exit;                      /* of the last pass; -1: none yet */
        char **skipped, **skipped_now; /* what was said to be put off: by the last pass, by this
                                        * one */
};

WatchLog *watch_log_free(WatchLog *l) {
        if (!l)
                return NULL;
        watch_output_free(l->output);
        json_free(l->remarks);
        free(l->roster);
        strv_free(l->skipped);
        strv_free(l->skipped_now);
        free(l);
        return NULL;
}

/* Is standard output what $JOURNAL_STREAM names? */
static bool output_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
               fstat(STDOUT_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

int watch_log_new(const Context *c, sd_event *event, WatchLog **ret) {
        _cleanup_(watch_log_freep) WatchLog *l = calloc(1, sizeof(WatchLog));
        int r;

        if (!l)
                return -ENOMEM;
        l->c = c;
        l->to_journal = !c->json && output_is_journal();
        l->exit = -1;
        r = watch_output_new(event, c->json, &l->output);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

/* What a sentence is about, beside its words; each may be NULL. */
typedef struct About {
        const char *agent;
        const char *action;
        const char *reason;
        const char *outcome;
} About;

static int add_field(char ***fields, const char *key, const char *value) {
        return value ? strv_pushf(fields, "%s=%s", key, value) : 0;
}

static int send_entry(
                WatchLog *l, WatchWord word, int priority, const About *about, const char *text) {
        _cleanup_strv_ char **fields = NULL;
        _cleanup_free_ struct iovec *parts = NULL;
        char number[4];
        size_t n;
        int r;

        (void)snprintf(number, sizeof(number), "%d", priority);
        r = add_field(&fields, "MESSAGE", text);
        if (r == 0)
                r = add_field(&fields, "PRIORITY", number);
        if (r == 0)
                r = add_field(&fields, "MESSAGE_ID", words[word].id);
        if (r == 0)
                r = add_field(&fields, "SYSLOG_IDENTIFIER", "mosaic");
        if (r == 0)
                r = add_field(&fields, "MOSAIC_EVENT", words[word].event);
        if (r == 0)
                r = add_field(&fields, "MOSAIC_FLEET", l->c->paths->id_or_default);
        if (r == 0)
                r = add_field(&fields, "MOSAIC_AGENT", about->agent);
        if (r == 0)
                r = add_field(&fields, "MOSAIC_ACTION", about->action);
        if (r == 0)
                r = add_field(&fields, "MOSAIC_REASON", about->reason);
        if (r == 0)
                r = add_field(&fields, "MOSAIC_OUTCOME", about->outcome);
        if (r < 0)
                return r;
        n = strv_length(fields);
        parts = calloc(n, sizeof(struct iovec));
        if (!parts)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                parts[i] = (struct iovec){ .iov_base = fields[i], .iov_len = strlen(fields[i]) };
        return sd_journal_sendv(parts, (int)n);
}

static void print_line(const WatchLog *l, int priority, const char *text) {
        const char *color = !l->c->color              ? ""
                            : priority <= LOG_ERR     ? "\033[31m"
                            : priority <= LOG_WARNING ? "\033[33m"
                                                      : "";
        _cleanup_free_ char *line = NULL;
        time_t now = time(NULL);
        struct tm tm;
        char clock[16] = "";

        if (localtime_r(&now, &tm))
                (void)strftime(clock, sizeof(clock), "%H:%M:%S ", &tm);
        if (format_text(&line, "%s%s%s%s", clock, color, text, *color ? "\033[0m" : "") == 0)
                watch_output_line(l->output, line);
}

static void say(WatchLog *l, WatchWord word, int priority, const About *about, const char *text) {
        if (l->to_journal && send_entry(l, word, priority, about, text) == 0)
                return;
        if (!l->c->json)
                print_line(l, priority, text);
}

static void print_json(const WatchLog *l, const Json *j) {
        _cleanup_free_ char *text = NULL;

        if (json_to_text(j, JSON_PLAIN, &text) == 0)
                watch_output_line(l->output, text);
}

void watch_log(WatchLog *l, WatchWord word, int priority, const char *format, ...) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_json_ Json *j = NULL;
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = format_valist(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return;
        say(l, word, priority, &(About){ 0 }, text);
        if (!l->c->json)
                return;
        json_open_object(&b, NULL);
        json_put_string(&b, "format", "mosaic.fleet.watch");
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "event", words[word].event);
        json_put_uint(&b, "at_usec", clock_realtime_usec());
        json_put_string(&b, "message", text);
        json_close(&b);
        if (json_finish(&b, &j) == 0)
                print_json(l, j);
}

/* --- events of a pass ------------------------------------------------------------------------- */

#define NOTHING_NEW 1

/* An action that is put off by each pass for the same reason is news once. */
static int log_action(WatchLog *l, const Json *e) {
        const char *error = json_get_string(e, "error"), *agent = json_get_string(e, "agent");
        bool done = strcmp(json_text(e, "outcome"), "done") == 0;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        _cleanup_free_ char *text = NULL;
        char took[32];
        int r;

        strbuf_addf(&b, "%s %s %s", json_text(e, "verb"), agent ? agent : "the tmux server",
                        json_text(e, "outcome"));
        if (done)
                strbuf_addf(&b, " in %s",
                                format_duration(took, sizeof(took),
                                                json_number(e, "took_ms") * USEC_PER_MSEC));
        strbuf_addf(&b, ": %s", done || !error ? json_text(e, "message") : error);
        r = strbuf_finish(&b, &text);
        if (r == 0 && strcmp(json_text(e, "outcome"), "skipped") == 0) {
                r = strv_push(&l->skipped_now, text);
                if (r == 0 && strv_find(l->skipped, text))
                        return NOTHING_NEW;
        }
        if (r < 0)
                return r;
        say(l, WATCH_ACTION, done ? LOG_NOTICE : LOG_WARNING,
                        &(About){
                                        .agent = agent,
                                        .action = json_get_string(e, "verb"),
                                        .reason = json_get_string(e, "reason"),
                                        .outcome = json_get_string(e, "outcome"),
                        },
                        text);
        return 0;
}

static int log_crash(WatchLog *l, const Json *e) {
        const Json *lines = json_get(e, "lines");
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        _cleanup_free_ char *text = NULL;
        char wait[32];
        int r;

        (void)format_duration(wait, sizeof(wait), json_number(e, "next_ms") * USEC_PER_MSEC);
        strbuf_addf(&b, "%s is in a crash loop, last %s %s; tried again in %s",
                        json_text(e, "agent"), json_text(e, "code"), json_text(e, "status"), wait);
        for (size_t i = 0; i < json_length(lines); i++)
                strbuf_addf(&b, "\n    | %s", json_as_string(json_at(lines, i)));
        r = strbuf_finish(&b, &text);
        if (r < 0)
                return r;
        say(l, WATCH_CRASH, LOG_ERR,
                        &(About){ .agent = json_get_string(e, "agent"), .reason = "crash_loop" },
                        text);
        return 0;
}

/* The same remark as before? Its sentence may count seconds. */
static const Json *find_remark(const Json *list, const Json *remark) {
        for (size_t i = 0; i < json_length(list); i++) {
                const Json *x = json_at(list, i);

                if (strcmp(json_text(x, "address"), json_text(remark, "address")) == 0 &&
                                strcmp(json_text(x, "reason"), json_text(remark, "reason")) == 0 &&
                                strcmp(json_text(x, "kind"), json_text(remark, "kind")) == 0)
                        return x;
        }
        return NULL;
}

/* What passes by itself within moments is no news. */
static bool is_news(const Json *remark) {
        return strcmp(json_text(remark, "reason"), "in_transition") != 0;
}

static int log_remark(WatchLog *l, const Json *m, bool over) {
        const char *address = json_text(m, "address"), *kind = json_text(m, "kind");
        bool is_agent = strncmp(address, "agent/", 6) == 0;
        const char *name = is_agent ? address + 6 : address;
        _cleanup_free_ char *text = NULL;
        int r;

        if (over)
                r = format_text(&text, "%s is no longer %s", name, kind);
        else
                r = format_text(&text, "%s is %s: %s%s%s", name, kind, json_text(m, "message"),
                                json_get_string(m, "help") ? "; resolve it with: " : "",
                                json_text(m, "help"));
        if (r < 0)
                return r;
        say(l, WATCH_REMARK,
                        over || (strcmp(kind, "blocked") != 0 && strcmp(kind, "unknown") != 0)
                                        ? LOG_NOTICE
                                        : LOG_WARNING,
                        &(About){
                                        .agent = is_agent ? name : NULL,
                                        .reason = json_get_string(m, "reason"),
                        },
                        text);
        return 0;
}

/* Returns 1 if there was something new. */
static int log_remarks(WatchLog *l, const Json *now) {
        bool any = false;
        int r = 0;

        for (size_t i = 0; i < json_length(now) && r == 0; i++) {
                const Json *m = json_at(now, i);

                if (!is_news(m) || find_remark(l->remarks, m))
                        continue;
                any = true;
                r = log_remark(l, m, /* over= */ false);
        }
        for (size_t i = 0; i < json_length(l->remarks) && r == 0; i++) {
                const Json *m = json_at(l->remarks, i);

                if (!is_news(m) || find_remark(now, m))
                        continue;
                any = true;
                r = log_remark(l, m, /* over= */ true);
        }
        return r < 0 ? r : any;
}

/* Returns 1 if there was something new. */
static int log_roster(WatchLog *l, const Json *e) {
        const Json *roster = json_get(e, "roster");
        const char *state = json_text(roster, "state"),
                   *message = json_get_string(roster, "message");
        uint64_t generation = json_number(roster, "generation");
        bool is_new = false, accepted = strcmp(state, "accepted") == 0;
        _cleanup_free_ char *key = NULL, *text = NULL;
        int r;

        if (json_get_bool(roster, "is_new", &is_new) < 0)
                is_new = false;
        if (format_text(&key, "%s %s", state, message ? message : "") < 0)
                return -ENOMEM;
        /* A writer at work is no news. */
        if (strcmp(state, "unsettled") == 0 ||
                        (!is_new && l->roster && strcmp(key, l->roster) == 0))
                return 0;
        free(l->roster);
        l->roster = TAKE_PTR(key);
        if (accepted)
                r = format_text(&text, "roster accepted: generation %llu, %llu agent%s",
                                (unsigned long long)generation,
                                (unsigned long long)json_number(e, "agents"),
                                json_number(e, "agents") == 1 ? "" : "s");
        else if (strcmp(state, "home_gone") == 0)
                r = format_text(&text, "%s", message ? message : state); /* says what that means */
        else if (generation > 0)
                r = format_text(&text, "%s; generation %llu stays in force",
                                message ? message : state, (unsigned long long)generation);
        else
                r = format_text(&text, "%s; nothing is in force yet", message ? message : state);
        if (r < 0)
                return r;
        say(l, accepted ? WATCH_ROSTER : WATCH_REFUSED, accepted ? LOG_NOTICE : LOG_WARNING,
                        &(About){ .reason = state }, text);
        return 1;
}

static const char *exit_sentence(int code) {
        switch ((ExitCode)code) {
        case EXIT_OK:
                return "in sync";
        case EXIT_PENDING:
                return "changes are pending";
        case EXIT_BLOCKED:
                return "a person is needed";
        case EXIT_NOT_CONVERGED:
                return "not converged";
        case EXIT_UNKNOWN:
                return "cannot tell";
        case EXIT_LOCKED:
        case EXIT_INTERNAL:
        case EXIT_STALE:
        case EXIT_USAGE:
        case EXIT_INVALID:
                break;
        }
        return NULL;
}

/* Returns 1 if there was something new. */
static int log_sync(WatchLog *l, const Json *e) {
        int code = (int)json_number(json_get(e, "summary"), "exit");
        const char *sentence = exit_sentence(code);
        _cleanup_free_ char *text = NULL;
        bool was = l->exit == code;

        if (!sentence || was)
                return 0;
        l->exit = code;
        if (format_text(&text, "%s: %llu of %llu agents as the roster says", sentence,
                            (unsigned long long)json_number(e, "unchanged"),
                            (unsigned long long)json_number(e, "agents")) < 0)
                return -ENOMEM;
        say(l, WATCH_SYNC, LOG_NOTICE, &(About){ 0 }, text);
        return 1;
}

static int log_pass(WatchLog *l, const Json *e) {
        uint64_t code = json_number(json_get(e, "summary"), "exit");
        const Json *remarks = json_get(e, "remarks");
        bool news = json_number(e, "actions") > 0;
        int r;

        /* Another writer is at work: nothing was seen. */
        if (code == EXIT_LOCKED)
                return 0;
        strv_free(l->skipped);
        l->skipped = TAKE_PTR(l->skipped_now);
        r = log_roster(l, e);
        if (r < 0)
                return r;
        news = news || r > 0;
        if (code != EXIT_INVALID) {
                r = log_remarks(l, remarks);
                if (r < 0)
                        return r;
                news = news || r > 0;
                json_free(l->remarks);
                l->remarks = json_share(json_get(e, "remarks"));
        }
        r = log_sync(l, e);
        if (r < 0)
                return r;
        if ((news || r > 0) && l->c->json)
                print_json(l, e);
        return 0;
}

int watch_log_event(WatchLog *l, const Json *event) {
        const char *kind = json_text(event, "event");
        int r = 0;

        if (strcmp(kind, "pass") == 0)
                return log_pass(l, event);
        if (strcmp(kind, "action") == 0)
                r = log_action(l, event);
        else if (strcmp(kind, "crash") == 0)
                r = log_crash(l, event);
        else if (strcmp(kind, "source") == 0) {
                watch_log(l, WATCH_SOURCE, LOG_WARNING, "%s", json_text(event, "message"));
                return 0;
        } else
                return 0;
        if (r == 0 && l->c->json)
                print_json(l, event);
        return r < 0 ? r : 0;
}
