/* SPDX-License-Identifier: MIT */
#include "drivers/tmux/listing.h"

#include <string.h>

#include "model/base/parse.h"
#include "model/base/strv.h"

/*
 * Fixed fields first, free text (marker and name) last. Fields are separated by a tab: tmux writes
 * control bytes of a name as escapes, and what is no printable ASCII in the marker, which anybody
 * can set, is replaced by tmux itself. (Raw, a marker could hold a line that passes for one about
 * the session listed next.) Window and pane index tell the first pane.
 */
#define TAG "mosaic-1"
#define END "."

#define MARKER "#{s/[^ -~]/?/:@mosaic}"
#define FORMAT                                                                                     \
        TAG "\t#{pid}\t#{session_id}\t#{session_created}\t#{session_attached}\t#{window_activity}" \
            "\t#{pane_id}\t#{pane_pid}\t#{pane_dead}\t#{session_name}\t" MARKER "\t" END

#define BEGIN_LINE TAG " begin "
#define SESSION_LINE TAG " session"
#define END_LINE TAG " end"

const char *const tmux_listing_words[] = { "display-message", "-p", BEGIN_LINE "#{pid}", ";",
        "list-sessions", "-F", SESSION_LINE, ";", "list-panes", "-a", "-F", FORMAT, ";",
        "display-message", "-p", END_LINE, NULL };

enum {
        FIELD_TAG,
        FIELD_SERVER,
        FIELD_SESSION,
        FIELD_CREATED,
        FIELD_ATTACHED,
        FIELD_ACTIVITY,
        FIELD_PANE,
        FIELD_PANE_PID,
        FIELD_DEAD,
        FIELD_NAME,
        FIELD_MARKER,
        FIELD_END,
        _FIELD_MAX,
};

/* Cuts a line at its tabs, at most _FIELD_MAX pieces. Returns how many there were. */
static size_t cut(char *line, char *fields[static _FIELD_MAX]) {
        size_t n = 0;

        for (char *p = line; p; n++) {
                char *tab = strchr(p, '\t');

                if (n < _FIELD_MAX)
                        fields[n] = p;
                if (tab)
                        *tab++ = '\0';
                p = tab;
        }
        return n;
}

/* "FLEET:NAME:SESSION_ID" of this fleet and this very session? Sets owner and agent. */
static int read_marker(const char *marker, const char *fleet, ObservedSession *s) {
        size_t length = strlen(fleet);
        _cleanup_free_ char *name = NULL;
        const char *id;

        if (strncmp(marker, fleet, length) != 0 || marker[length] != ':')
                return 0;
        marker += length + 1;
        id = strchr(marker, ':');
        if (!id || strcmp(id + 1, s->id) != 0)
                return 0;
        name = strndup(marker, (size_t)(id - marker));
        if (!name)
                return -ENOMEM;
        if (strcmp(name, "_holder") == 0)
                s->owner = SESSION_HOLDER;
        else if (agent_name_is_valid(name)) {
                s->owner = SESSION_AGENT;
                s->agent = TAKE_PTR(name);
        }
        return 0;
}

static int read_pid(const char *text, pid_t *ret) {
        uint64_t v;
        int r = parse_uint_range(text, 0, INT32_MAX, &v);

        if (r == 0)
                *ret = (pid_t)v;
        return r;
}

static bool is_id(const char *text, char sigil) {
        uint64_t v;

        return text[0] == sigil && parse_uint64(text + 1, &v) == 0;
}

static ObservedSession *find_id(Observed *o, const char *id) {
        /* Panes of a session come one after another. */
        if (o->n_sessions > 0 && strcmp(o->sessions[o->n_sessions - 1].id, id) == 0)
                return o->sessions + o->n_sessions - 1;
        return NULL;
}

static int parse_line(char *line, const char *fleet, Observed *o) {
        char *f[_FIELD_MAX];
        uint64_t created, attached, activity = 0, dead;
        ObservedSession *s;
        pid_t server = 0, pane = 0;
        size_t n;

        n = cut(line, f);
        if (n != _FIELD_MAX || strcmp(f[FIELD_TAG], TAG) != 0 || strcmp(f[FIELD_END], END) != 0)
                return -EBADMSG;
        if (read_pid(f[FIELD_SERVER], &server) < 0 || !is_id(f[FIELD_SESSION], '$') ||
                        parse_uint64(f[FIELD_CREATED], &created) < 0 ||
                        parse_uint_range(f[FIELD_ATTACHED], 0, UINT32_MAX, &attached) < 0 ||
                        !is_id(f[FIELD_PANE], '%') || read_pid(f[FIELD_PANE_PID], &pane) < 0 ||
                        parse_uint_range(f[FIELD_DEAD], 0, 1, &dead) < 0)
                return -EBADMSG;
        if (*f[FIELD_ACTIVITY] && parse_uint64(f[FIELD_ACTIVITY], &activity) < 0)
                return -EBADMSG;
        if (o->server_pid != 0 && o->server_pid != server)
                return -EBADMSG;
        o->server_pid = server;

        s = find_id(o, f[FIELD_SESSION]);
        if (s) {
                s->n_panes++;
                return 0;
        }
        s = observed_add_session(o);
        if (!s)
                return -ENOMEM;
        s->id = strdup(f[FIELD_SESSION]);
        s->name = strdup(f[FIELD_NAME]);
        s->pane_id = strdup(f[FIELD_PANE]);
        if (!s->id || !s->name || !s->pane_id)
                return -ENOMEM;
        s->created_usec = created * USEC_PER_SEC;
        s->activity_usec = activity * USEC_PER_SEC;
        s->attached = (unsigned)attached;
        s->pane_pid = pane;
        s->pane_dead = dead;
        s->n_panes = 1;
        return read_marker(f[FIELD_MARKER], fleet, s);
}

bool tmux_listing_is_empty(const char *text, Observed *o) {
        size_t length = strlen(BEGIN_LINE);
        char pid[16];
        size_t digits;

        if (strncmp(text, BEGIN_LINE, length) != 0)
                return false;
        text += length;
        digits = strspn(text, "0123456789");
        if (digits == 0 || digits >= sizeof(pid) || strcmp(text + digits, "\n") != 0)
                return false;
        memcpy(pid, text, digits);
        pid[digits] = '\0';
        return read_pid(pid, &o->server_pid) == 0;
}

/* Complete means: the lines that were asked for are the first and the last. */
static bool is_complete(const char *text, size_t length) {
        const char *last;

        if (length == 0 || text[length - 1] != '\n' ||
                        strncmp(text, BEGIN_LINE, strlen(BEGIN_LINE)) != 0)
                return false;
        last = memrchr(text, '\n', length - 1);
        return last && strcmp(last + 1, END_LINE "\n") == 0;
}

/* Skips the first line and those that only say that there is a session; counts the latter. */
static char *skip_sessions(char *text, size_t *ret_n) {
        static const char line[] = SESSION_LINE "\n";

        for (text = strchr(text, '\n') + 1; strncmp(text, line, sizeof(line) - 1) == 0; ++*ret_n)
                text += sizeof(line) - 1;
        return text;
}

static int parse_panes(char *text, const char *fleet, Observed *o) {
        size_t n_expected = 0, n_before = o->n_sessions;
        char *line = skip_sessions(text, &n_expected);

        while (strcmp(line, END_LINE "\n") != 0) {
                char *end = strchr(line, '\n');
                int r;

                *end = '\0';
                r = parse_line(line, fleet, o);
                if (r < 0)
                        return r;
                line = end + 1;
        }
        /* Each session has a pane: one whose line could not be read must not look like one that is
         * gone. */
        return o->n_sessions - n_before == n_expected ? 0 : -EBADMSG;
}

int tmux_listing_parse(const char *text, const char *fleet, Observed *o) {
        _cleanup_free_ char *copy = NULL;
        size_t n_before = o->n_sessions;
        pid_t server_before = o->server_pid;
        int r;

        if (!is_complete(text, strlen(text)))
                return -EBADMSG;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        r = parse_panes(copy, fleet, o);
        if (r < 0) {
                observed_drop_sessions(o, n_before);
                o->server_pid = server_before;
        }
        return r;
}
