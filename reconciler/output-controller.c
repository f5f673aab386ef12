/* SPDX-License-Identifier: MIT */
#include "reconciler/output.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/utf8.h"
#include "reconciler/watch-state.h"

static const char *age(char *buffer, size_t n, uint64_t from, uint64_t to) {
        if (to < from + USEC_PER_SEC)
                return "a moment";
        return format_duration(buffer, n, (to - from) / USEC_PER_SEC * USEC_PER_SEC);
}

/* A condition that is not as it should be; what the table shows anyway is left out, that
 * the passes fail is not. */
static void print_condition(const Context *c, const Json *condition, size_t indent, uint64_t now) {
        const char *type = json_text(condition, "type"), *message = json_text(condition, "message");
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        bool status = true;
        char since[32];

        if (json_get_bool(condition, "status", &status) < 0 || status ||
                        (strcmp(type, "Converged") == 0 &&
                                        strcmp(json_text(condition, "reason"), "error") != 0))
                return;
        strbuf_addf(&b, "%s: %s for %s%s%s", type, json_text(condition, "reason"),
                        age(since, sizeof(since), json_number(condition, "since_usec"), now),
                        *message ? ": " : "", message);
        printf("%*s%s", (int)indent, "", output_begin(c, STYLE_YELLOW));
        output_wrapped(c, output_text(&b), indent);
        printf("%s\n", output_end(c));
}

static void print_last_pass(const Json *pass, uint64_t next, uint64_t now) {
        const char *cause = json_text(pass, "cause");
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        char first[32], second[32];

        utf8_add_safe(&b, cause, strlen(cause));
        printf("            last pass %s ago (%s, %" PRIu64 " ms), the next in %s\n",
                        age(first, sizeof(first), json_number(pass, "at_usec"), now),
                        strbuf_text(&b), json_number(pass, "took_ms"),
                        age(second, sizeof(second), now, next));
}

/* After an upgrade it goes on as the program it was. */
static void print_version(const Context *c, const Json *controller) {
        const char *version = watch_state_other_version(controller);
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        if (!version)
                return;
        strbuf_add(&b, "it is mosaic ");
        utf8_add_safe(&b, version, strlen(version));
        strbuf_addf(&b, ", and this is %s; ", MOSAIC_VERSION);
        if (c->record->supervisor == SUPERVISOR_SYSTEMD)
                strbuf_addf(&b, "systemctl --user try-restart %sfleet", c->paths->unit_prefix);
        else
                strbuf_add(&b, "end it, and start it again");
        printf("%*s%s", 12, "", output_begin(c, STYLE_YELLOW));
        output_wrapped(c, output_text(&b), 12);
        printf("%s\n", output_end(c));
}

void output_controller(const Context *c, const Json *controller, uint64_t now_usec) {
        const Json *pass = json_get(controller, "last_pass");
        const Json *conditions = json_get(controller, "conditions");
        char since[32];

        if (!controller) {
                printf("Controller  ");
                output_wrapped(c, "none runs: what drifts stays so until 'apply'; start one with",
                                12);
                printf("\n            %s%s%s\n\n",
                                c->record->supervisor == SUPERVISOR_SYSTEMD
                                                ? "systemctl --user enable --now "
                                                : "mosaic fleet watch",
                                c->record->supervisor == SUPERVISOR_SYSTEMD ? c->paths->unit_prefix
                                                                            : "",
                                c->record->supervisor == SUPERVISOR_SYSTEMD ? "fleet" : "");
                return;
        }
        if (!json_get(controller, "started_usec")) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                strbuf_addf(&b,
                                "pid %" PRIu64 " runs, but what it sees is not known: there is no "
                                "%s/controller.json of it. It tries again with each pass, and "
                                "says in its log what is in the way",
                                json_number(controller, "pid"), c->paths->runtime);
                printf("Controller  ");
                output_wrapped(c, output_text(&b), 12);
                printf("\n\n");
                return;
        }
        printf("Controller  pid %" PRIu64 ", for %s, generation %" PRIu64 "\n",
                        json_number(controller, "pid"),
                        age(since, sizeof(since), json_number(controller, "started_usec"),
                                        now_usec),
                        json_number(controller, "generation"));
        print_version(c, controller);
        if (json_number(pass, "at_usec") > 0)
                print_last_pass(pass, json_number(controller, "next_pass_usec"), now_usec);
        for (size_t i = 0; i < json_length(conditions); i++)
                print_condition(c, json_at(conditions, i), 12, now_usec);
        putchar('\n');
}

/* What the ledger holds against an agent. */
static void add_pace(StrBuf *b, const Observed *o, const PaceEntry *e) {
        uint64_t due = pacing_due(&o->pacing, e, o->monotonic_usec);
        const char *separator = "";
        char wait[32];

        if (e->n_starts > 0) {
                strbuf_addf(b, "%u start%s in a row that did not last", e->n_starts,
                                e->n_starts == 1 ? "" : "s");
                separator = "; ";
        } else if (e->n_ends > 0) {
                strbuf_addf(b, "%u end%s in a short time", e->n_ends, e->n_ends == 1 ? "" : "s");
                separator = "; ";
        }
        if (e->down_usec == 0)
                return;
        strbuf_add(b, separator);
        if (due == USEC_INFINITY)
                strbuf_addf(b, "not started before %s has run for a while", o->pacing.probe);
        else if (due == 0)
                strbuf_add(b, e->kept_down ? "started as soon as nothing else is in the way"
                                           : "started with the next pass");
        else
                strbuf_addf(b, "started again in %s",
                                age(wait, sizeof(wait), o->monotonic_usec, due));
}

void output_controller_of(const Context *c,
                const Json *controller,
                const Observed *o,
                const char *agent,
                size_t indent) {
        const PaceEntry *e = pacing_find(&o->pacing, agent);
        const Json *pass = json_get(controller, "last_pass");
        const Json *conditions = json_get(controller, "conditions");
        uint64_t at = json_number(pass, "at_usec");
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL, pace = STRBUF_NULL;
        char first[32], second[32];

        if (!controller)
                strbuf_add(&b, "no controller runs: what drifts stays so until 'apply'");
        else {
                strbuf_addf(&b, "the controller, pid %" PRIu64, json_number(controller, "pid"));
                if (at > 0)
                        strbuf_addf(&b, "; last pass %s ago (%s), the next in %s",
                                        age(first, sizeof(first), at, o->now_usec),
                                        json_text(pass, "cause"),
                                        age(second, sizeof(second), o->now_usec,
                                                        json_number(controller, "next_pass_usec")));
                else if (!json_get(controller, "started_usec"))
                        strbuf_add(&b, "; what it sees is not known: it cannot write it");
        }
        output_wrapped(c, output_text(&b), indent);
        putchar('\n');
        for (size_t i = 0; i < json_length(conditions); i++)
                print_condition(c, json_at(conditions, i), indent, o->now_usec);
        if (controller && e)
                add_pace(&pace, o, e);
        if (pace.length > 0) {
                printf("%*s", (int)indent, "");
                output_wrapped(c, output_text(&pace), indent);
                putchar('\n');
        }
}

void output_put_pacing(JsonBuilder *b, const char *key, const Observed *o, const char *agent) {
        const PaceEntry *e = pacing_find(&o->pacing, agent);
        uint64_t due = e ? pacing_due(&o->pacing, e, o->monotonic_usec) : 0;

        if (!e) {
                json_put_null(b, key);
                return;
        }
        json_open_object(b, key);
        json_put_uint(b, "starts", e->n_starts);
        json_put_uint(b, "ends", e->n_ends);
        json_put_bool(b, "crash_loop", e->crash_loop);
        if (e->down_usec != 0 && e->down_usec <= o->monotonic_usec)
                json_put_uint(b, "down_usec", o->now_usec - (o->monotonic_usec - e->down_usec));
        else
                json_put_null(b, "down_usec");
        if (due > o->monotonic_usec && due != USEC_INFINITY)
                json_put_uint(b, "next_start_usec", o->now_usec + (due - o->monotonic_usec));
        else
                json_put_null(b, "next_start_usec");
        json_put_string(b, "waits_for", due == USEC_INFINITY ? o->pacing.probe : NULL);
        json_close(b);
}

void output_put_controller(JsonBuilder *b, const char *key, const Json *controller) {
        static const char *const shown[] = { "pid", "mosaic", "started_usec", "generation",
                "roster_sha256", "passes", "last_pass", "next_pass_usec", "conditions" };

        if (!controller) {
                json_put_null(b, key);
                return;
        }
        json_open_object(b, key);
        for (size_t i = 0; i < ELEMENTSOF(shown); i++)
                json_put_json(b, shown[i], json_share(json_get(controller, shown[i])));
        json_close(b);
}
