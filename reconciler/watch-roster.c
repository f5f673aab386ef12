/* SPDX-License-Identifier: MIT */
#include "reconciler/watch-roster.h"

#include <assert.h>
#include <string.h>

#include "drivers/os/roster-file.h"
#include "drivers/store/roster-record.h"
#include "model/base/hash.h"
#include "model/base/strbuf.h"
#include "model/diag-render.h"

const char *roster_state_to_string(RosterState s) {
        static const char *const names[] = {
                [ROSTER_STATE_ACCEPTED] = "accepted",
                [ROSTER_STATE_INVALID] = "invalid",
                [ROSTER_STATE_MISSING] = "missing",
                [ROSTER_STATE_UNREADABLE] = "unreadable",
                [ROSTER_STATE_UNSETTLED] = "unsettled",
                [ROSTER_STATE_HOME_GONE] = "home_gone",
        };

        assert(s < ELEMENTSOF(names));
        return names[s];
}

void roster_view_done(RosterView *v) {
        free(v->message);
        *v = (RosterView){ 0 };
}

static const Diag *first_error(const Diags *d) {
        for (size_t i = 0; i < d->n_items; i++)
                if (d->items[i].severity == SEVERITY_ERROR)
                        return d->items + i;
        return NULL;
}

int watch_roster_describe(const Context *c, const Pass *p, char **ret) {
        const Diag *d = first_error(&p->diags);
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        const char *slash = strrchr(c->paths->roster, '/');

        strbuf_add(&b, slash ? slash + 1 : c->paths->roster);
        if (d && d->span.start != SIZE_MAX && p->roster_bytes) {
                Position at = position_of(p->roster_bytes, p->roster_size, d->span.start);

                strbuf_addf(&b, ":%zu:%zu", at.line, at.column);
        }
        strbuf_addf(&b, ": %s", d && d->text ? d->text : "it is not valid");
        if (p->diags.n_errors > 1)
                strbuf_addf(&b, " (and %zu more)", p->diags.n_errors - 1);
        return strbuf_finish(&b, ret);
}

/* The roster that was accepted last stays in force. */
static int fall_back(Context *c, RosterState state, Pass *p, RosterView *v) {
        _cleanup_(roster_record_done) RosterRecord record = { 0 };
        int r;

        v->state = state;
        r = roster_record_read(c->paths, &record);
        if (r == -ENOENT)
                return EXIT_INVALID;
        if (r < 0)
                return r;
        v->generation = record.generation;
        return pass_load_accepted(c, p);
}

static int say(RosterView *v, const char *text) {
        v->message = strdup(text);
        return v->message ? 0 : -ENOMEM;
}

/* It is valid and whole: in force from now on. */
static int accept(Context *c, const Pass *p, RosterView *v) {
        _cleanup_(roster_record_done) RosterRecord before = { 0 };
        int r;

        r = roster_record_read(c->paths, &before);
        if (r < 0 && r != -ENOENT)
                return r;
        v->state = ROSTER_STATE_ACCEPTED;
        r = pass_accept_roster(c, p, &v->generation);
        v->is_new = r == 0 && v->generation != before.generation;
        return r;
}

static bool is_missing(const Pass *p) {
        const Diag *d = first_error(&p->diags);

        return d && strcmp(d->code, "roster-missing") == 0;
}

/* Who has it open does not matter while it says what is in force already. */
static int is_in_force(const Context *c, const char *sha256, bool *ret) {
        _cleanup_(roster_record_done) RosterRecord record = { 0 };
        int r;

        *ret = false;
        r = roster_record_read(c->paths, &record);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        *ret = strcmp(record.sha256, sha256) == 0;
        return 0;
}

bool watch_home_is_gone(const Context *c) {
        return access(c->paths->home, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

int watch_roster_load(Context *c, const char *open_sha256, Pass *p, RosterView *ret) {
        bool settled = true;
        int r;

        *ret = (RosterView){ 0 };
        if (watch_home_is_gone(c)) {
                ret->state = ROSTER_STATE_HOME_GONE;
                r = say(ret, "the Mosaic home is gone; nothing is changed until it is back");
                return r < 0 ? r : EXIT_BLOCKED;
        }
        r = roster_file_read_settled(
                        c->paths->roster, &p->diags, &p->roster_bytes, &p->roster_size, &settled);
        if (r < 0)
                return r;
        if (r > 0) {
                r = watch_roster_describe(c, p, &ret->message);
                return r < 0 ? r
                             : fall_back(c,
                                               is_missing(p) ? ROSTER_STATE_MISSING
                                                             : ROSTER_STATE_UNREADABLE,
                                               p, ret);
        }
        sha256_hex(p->roster_bytes, p->roster_size, ret->file_sha256);
        if (!settled) {
                r = is_in_force(c, ret->file_sha256, &settled);
                if (r < 0)
                        return r;
        }
        if (!settled && open_sha256)
                settled = strcmp(ret->file_sha256, open_sha256) == 0;
        if (!settled) {
                r = say(ret, "a program is writing the roster");
                return r < 0 ? r : fall_back(c, ROSTER_STATE_UNSETTLED, p, ret);
        }
        r = pass_resolve(c, p);
        if (r == EXIT_INVALID) {
                r = watch_roster_describe(c, p, &ret->message);
                return r < 0 ? r : fall_back(c, ROSTER_STATE_INVALID, p, ret);
        }
        return r < 0 ? r : accept(c, p, ret);
}
