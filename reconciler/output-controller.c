/* SPDX-License-Identifier: MIT */
#include "reconciler/output.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/parse.h"
#include "model/base/strbuf.h"

static const char *age(char *buffer, size_t n, uint64_t from, uint64_t to) {
        if (to < from + USEC_PER_SEC)
                return "a moment";
        return format_duration(buffer, n, (to - from) / USEC_PER_SEC * USEC_PER_SEC);
}

/* A condition that is not as it should be; what the table shows anyway is left out. */
static void print_condition(const Context *c, const Json *condition, uint64_t now) {
        const char *type = json_text(condition, "type"), *message = json_text(condition, "message");
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        bool status = true;
        char since[32];

        if (json_get_bool(condition, "status", &status) < 0 || status ||
                        strcmp(type, "Converged") == 0)
                return;
        strbuf_addf(&b, "%s: %s for %s%s%s", type, json_text(condition, "reason"),
                        age(since, sizeof(since), json_number(condition, "since_usec"), now),
                        *message ? ": " : "", message);
        printf("            %s", output_begin(c, STYLE_YELLOW));
        output_wrapped(c, strbuf_text(&b), 12);
        printf("%s\n", output_end(c));
}

void output_controller(const Context *c, const Json *controller, uint64_t now_usec) {
        const Json *pass = json_get(controller, "last_pass");
        const Json *conditions = json_get(controller, "conditions");
        uint64_t at = json_number(pass, "at_usec"),
                 next = json_number(controller, "next_pass_usec");
        char first[32], second[32];

        if (!controller) {
                printf("Controller  none runs: what drifts stays so until 'apply'; start one with\n"
                       "            %s%s%s\n\n",
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
                output_wrapped(c, strbuf_text(&b), 12);
                printf("\n\n");
                return;
        }
        printf("Controller  pid %" PRIu64 ", for %s, generation %" PRIu64 "\n",
                        json_number(controller, "pid"),
                        age(first, sizeof(first), json_number(controller, "started_usec"),
                                        now_usec),
                        json_number(controller, "generation"));
        if (at > 0)
                printf("            last pass %s ago (%s, %" PRIu64 " ms), the next in %s\n",
                                age(first, sizeof(first), at, now_usec), json_text(pass, "cause"),
                                json_number(pass, "took_ms"),
                                age(second, sizeof(second), now_usec, next));
        for (size_t i = 0; i < json_length(conditions); i++)
                print_condition(c, json_at(conditions, i), now_usec);
        putchar('\n');
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
