/* SPDX-License-Identifier: MIT */

/*
 * The listing of tmux, and the look at one pane. First byte even: a server that the rest of the
 * input describes, written down as tmux does, must be read back as it is, whatever its sessions are
 * called and marked; cut short anywhere it must be refused. Odd: raw bytes, of which nothing may
 * become ours that does not carry our marker.
 */

#include "drivers/tmux/listing.h"
#include "drivers/tmux/pane.h"
#include "model/base/strbuf.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"

#define FLEET "1a2b3c4d"
#define SESSIONS_MAX 6

typedef struct Session {
        unsigned number, attached, n_panes;
        bool dead;
        char *name;
        char *marker;
} Session;

/* As tmux shows what is no plain character. */
static void add_escaped(StrBuf *b, const char *s) {
        for (; *s; s++)
                if ((unsigned char)*s < ' ' || *s == 0x7f)
                        strbuf_addf(b, "\\%03o", (unsigned char)*s);
                else
                        strbuf_add_char(b, *s);
}

/* As our format has tmux write a marker. */
static void add_marker(StrBuf *b, const char *s) {
        for (; *s; s++)
                strbuf_add_char(b, *s < ' ' || *s == 0x7f ? '?' : *s);
}

static void make_marker(Input *in, Session *s) {
        static const char *const agents[] = { "web", "w-1", "_holder", "web2" };
        const char *agent = agents[input_choose(in, ELEMENTSOF(agents))];
        char *text = NULL;
        int r = 0;

        switch (input_choose(in, 6)) {
        case 0:
                text = strdup("");
                break;
        case 1:
                r = asprintf(&text, FLEET ":%s:$%u", agent, s->number);
                break;
        case 2: /* copied from another session */
                r = asprintf(&text, FLEET ":%s:$%u", agent, s->number + 1);
                break;
        case 3: /* of another fleet */
                r = asprintf(&text, "default:%s:$%u", agent, s->number);
                break;
        case 4: /* nearly ours */
                r = asprintf(&text, FLEET ":%s:$%u%c", agent, s->number,
                                (int)(1 + input_choose(in, 255)));
                break;
        default:
                text = input_text(in, 80);
        }
        assert(r >= 0 && text);
        s->marker = text;
}

static size_t make_sessions(Input *in, Session sessions[static SESSIONS_MAX]) {
        size_t n = input_choose(in, SESSIONS_MAX + 1);
        unsigned number = 0;

        for (size_t i = 0; i < n; i++) {
                Session *s = sessions + i;

                *s = (Session){ .number = number };
                number += 1 + input_choose(in, 3);
                s->attached = input_choose(in, 3);
                s->n_panes = 1 + input_choose(in, 3);
                s->dead = input_flag(in);
                s->name = input_text(in, 60);
                make_marker(in, s);
        }
        return n;
}

static void write_listing(const Session *sessions, size_t n, StrBuf *b) {
        strbuf_add(b, "mosaic-1 begin 4711\n");
        for (size_t i = 0; i < n; i++)
                strbuf_add(b, "mosaic-1 session\n");
        for (size_t i = 0; i < n; i++)
                for (unsigned k = 0; k < sessions[i].n_panes; k++) {
                        const Session *s = sessions + i;

                        strbuf_addf(b, "mosaic-1\t4711\t$%u\t1700000000\t%u\t%s\t%%%zu\t%u\t%d\t",
                                        s->number, s->attached, k ? "" : "1700000001", i * 8 + k,
                                        100 + k, s->dead);
                        add_escaped(b, s->name);
                        strbuf_add_char(b, '\t');
                        add_marker(b, s->marker);
                        strbuf_add(b, "\t.\n");
                }
        strbuf_add(b, "mosaic-1 end\n");
}

/* Is this session ours, judged by its marker? What is then between the fleet and its id. */
static bool read_marker(const Session *s, char **ret) {
        _cleanup_free_ char *end = NULL;
        size_t n = strlen(s->marker), n_end;
        int r;

        r = asprintf(&end, ":$%u", s->number);
        assert(r > 0);
        n_end = strlen(end);
        if (n < 9 + n_end || strncmp(s->marker, FLEET ":", 9) != 0 ||
                        strcmp(s->marker + n - n_end, end) != 0)
                return false;
        *ret = strndup(s->marker + 9, n - n_end - 9);
        assert(*ret);
        return agent_name_is_valid(*ret) || strcmp(*ret, "_holder") == 0;
}

static void compare(const Session *s, const ObservedSession *o) {
        _cleanup_free_ char *agent = NULL;
        _cleanup_strbuf_ StrBuf name = STRBUF_NULL;
        char id[16];

        (void)snprintf(id, sizeof(id), "$%u", s->number);
        add_escaped(&name, s->name);
        assert(strcmp(o->id, id) == 0 && strcmp(o->name, strbuf_text(&name)) == 0);
        assert(o->attached == s->attached && o->n_panes == s->n_panes);
        assert(o->pane_dead == s->dead && o->pane_pid == 100);
        if (!read_marker(s, &agent))
                assert(o->owner == SESSION_FOREIGN);
        else if (strcmp(agent, "_holder") == 0)
                assert(o->owner == SESSION_HOLDER && !o->agent);
        else
                assert(o->owner == SESSION_AGENT && strcmp(o->agent, agent) == 0);
}

static void check_structured(Input *in) {
        _cleanup_(observed_freep) Observed *o = NULL, *part = NULL;
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        Session sessions[SESSIONS_MAX];
        size_t cut = input_byte(in) | (size_t)input_byte(in) << 8, n = make_sessions(in, sessions);

        write_listing(sessions, n, &b);
        assert(!b.failed && observed_new(SUPERVISOR_SYSTEMD, &o) == 0 &&
                        observed_new(SUPERVISOR_SYSTEMD, &part) == 0);
        assert(tmux_listing_parse(strbuf_text(&b), FLEET, o) == 0);
        assert(o->n_sessions == n && (n == 0 || o->server_pid == 4711));
        for (size_t i = 0; i < n; i++)
                compare(sessions + i, o->sessions + i);
        b.data[cut % b.length] = '\0';
        assert(tmux_listing_parse(strbuf_text(&b), FLEET, part) == -EBADMSG);
        assert(part->n_sessions == 0 && part->server_pid == 0);
        for (size_t i = 0; i < n; i++) {
                free(sessions[i].name);
                free(sessions[i].marker);
        }
}

static void check_raw(const char *text) {
        _cleanup_(observed_freep) Observed *o = NULL;
        _cleanup_pane_look_ PaneLook look = PANE_LOOK_NULL;
        int r;

        assert(observed_new(SUPERVISOR_SYSTEMD, &o) == 0);
        r = tmux_listing_parse(text, FLEET, o);
        assert(r == 0 || (r == -EBADMSG && o->n_sessions == 0 && o->server_pid == 0));
        for (size_t i = 0; r == 0 && i < o->n_sessions; i++) {
                const ObservedSession *s = o->sessions + i;
                _cleanup_free_ char *marker = NULL;

                assert(s->id[0] == '$' && s->name && s->pane_id[0] == '%' && s->n_panes > 0);
                assert((s->owner == SESSION_AGENT) == (s->agent != NULL));
                if (s->owner == SESSION_FOREIGN)
                        continue;
                assert(!s->agent || agent_name_is_valid(s->agent));
                assert(asprintf(&marker, "\t" FLEET ":%s:%s\t.\n", s->agent ? s->agent : "_holder",
                                       s->id) > 0);
                assert(strstr(text, marker));
        }
        if (tmux_listing_is_empty(text, o))
                assert(strncmp(text, "mosaic-1 begin ", 15) == 0 && !strchr(text, '$'));

        r = pane_look_parse(text, "mosaic-1", &look);
        assert(r == 0 || r == PANE_GONE || r == -EBADMSG);
        if (r == 0)
                assert(look.signature && (!look.text || strstr(text, look.text)));
        else
                assert(!look.signature && !look.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);
        _cleanup_free_ char *text = NULL;

        if (input_flag(&in)) {
                text = input_rest(&in);
                check_raw(text);
        } else
                check_structured(&in);
        return 0;
}
