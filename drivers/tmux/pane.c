/* SPDX-License-Identifier: MIT */
#include "drivers/tmux/pane.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "drivers/tmux/command.h"
#include "drivers/tmux/guarded.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"

/* What is said of the pane, and (from SIGNATURE on) what changes with whatever is printed: tmux
 * counts activity in seconds only, so the cursor and the bytes of the scrollback are there too. */
#define FACTS                                                                                      \
        "#{history_limit} #{pane_dead} #{window_activity} #{history_size} #{pane_height} "         \
        "#{pane_width} #{history_bytes} #{cursor_x} #{cursor_y} #{alternate_on}"

enum {
        FACT_LIMIT,
        FACT_DEAD,
        FACT_ACTIVITY,
        FACT_HISTORY,
        FACT_HEIGHT,
        _FACT_READ,
};

#define N_FACTS 10

void pane_look_done(PaneLook *l) {
        free(l->signature);
        free(l->text);
        *l = PANE_LOOK_NULL;
}

int pane_look_commands(const char *fleet,
                const PaneTarget *target,
                uint64_t n_history,
                const char *signature,
                const char *word,
                char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        int r;

        if (!tmux_is_pane_id(target->pane_id))
                return -EINVAL;
        /* Compared inside a format, where only digits and blanks mean nothing. */
        if (signature && signature[strspn(signature, "0123456789 ")] != '\0')
                return -EINVAL;
        r = tmux_guarded_begin(&b, fleet, target->agent, target->session_id);
        if (r < 0)
                return r;
        strbuf_addf(&b, "{ display-message -p -t '%s' '%s facts " FACTS "' ; ", target->pane_id,
                        word);
        if (signature)
                strbuf_addf(&b, "if-shell -F -t '%s' '#{!=:" FACTS ",%s}' ", target->pane_id,
                                signature);
        strbuf_addf(&b,
                        "%s display-message -p '%s text' ; capture-pane -p -e -J -S -%" PRIu64
                        " -t '%s' %s ; ",
                        signature ? "{" : "", word, n_history, target->pane_id,
                        signature ? "}" : "");
        strbuf_addf(&b, "display-message -p '%s end' } { display-message -p '%s gone' }\n", word,
                        word);
        return strbuf_finish(&b, ret);
}

static int read_facts(const char *text, size_t n, PaneLook *l) {
        _cleanup_free_ char *copy = strndup(text, n);
        uint64_t v[N_FACTS];
        char *rest = copy;

        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; i < N_FACTS; i++) {
                char *field = strsep(&rest, " ");

                /* What does not apply tmux leaves empty. */
                v[i] = 0;
                if (!field || (*field && parse_uint64(field, v + i) < 0))
                        return -EBADMSG;
        }
        if (rest)
                return -EBADMSG;
        l->history_limit = v[FACT_LIMIT];
        l->dead = v[FACT_DEAD] != 0;
        l->activity_usec = v[FACT_ACTIVITY] * USEC_PER_SEC;
        l->history = v[FACT_HISTORY];
        l->height = v[FACT_HEIGHT];
        l->signature = strndup(text, n);
        return l->signature ? 0 : -ENOMEM;
}

/* Is the line at @p, of @n bytes, "WORD @what..."? What follows is *ret. */
static bool is_ours(const char *p, size_t n, const char *word, const char *what, const char **ret) {
        size_t a = strlen(word), b = strlen(what);

        if (n < a + 1 + b || memcmp(p, word, a) != 0 || p[a] != ' ' ||
                        memcmp(p + a + 1, what, b) != 0)
                return false;
        *ret = p + a + 1 + b;
        return true;
}

int pane_look_parse(const char *output, const char *word, PaneLook *ret) {
        _cleanup_pane_look_ PaneLook l = PANE_LOOK_NULL;
        const char *p = output, *begin = NULL, *rest;

        for (size_t number = 0; *p; number++) {
                const char *end = strchr(p, '\n');
                size_t n = end ? (size_t)(end - p) : 0;

                if (!end)
                        return -EBADMSG;
                if (number == 0 && is_ours(p, n, word, "gone", &rest))
                        return PANE_GONE;
                if (number == 0) {
                        int r = is_ours(p, n, word, "facts ", &rest)
                                                ? read_facts(rest, (size_t)(end - rest), &l)
                                                : -EBADMSG;

                        if (r < 0)
                                return r;
                } else if (number == 1 && is_ours(p, n, word, "text", &rest))
                        begin = end + 1;
                else if (is_ours(p, n, word, "end", &rest)) {
                        if (end[1] != '\0' || (!begin && number != 1))
                                return -EBADMSG;
                        l.text = begin ? strndup(begin, (size_t)(p - begin)) : NULL;
                        if (begin && !l.text)
                                return -ENOMEM;
                        *ret = l;
                        l = PANE_LOOK_NULL;
                        return 0;
                }
                p = end + 1;
        }
        return -EBADMSG;
}

/* Does the client complain of what is not there (any more)? */
static bool is_gone(const char *errors) {
        static const char *const words[] = { "can't find", "no server running", "lost server",
                "server exited" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strstr(errors, words[i]))
                        return true;
        return false;
}

int pane_look(const TmuxServer *s,
                const PaneTarget *target,
                uint64_t n_history,
                const char *signature,
                PaneLook *ret) {
        _cleanup_free_ char *commands = NULL, *output = NULL, *errors = NULL;
        uint64_t random;
        char word[32];
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        (void)snprintf(word, sizeof(word), "mosaic-%016" PRIx64, random);
        r = pane_look_commands(s->fleet, target, n_history, signature, word, &commands);
        if (r < 0)
                return r;
        r = tmux_server_probe(s);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return PANE_GONE;
        if (r < 0)
                return r;
        r = tmux_server_run(s, commands, &output, &errors);
        if (r < 0)
                return r;
        if (r > 0)
                return is_gone(errors) ? PANE_GONE : -EBADMSG;
        return pane_look_parse(output, word, ret);
}
