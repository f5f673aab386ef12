/* SPDX-License-Identifier: MIT */
#include "reconciler/output.h"

#include <inttypes.h>
#include <string.h>

#include "model/base/parse.h"
#include "model/base/strbuf.h"

static uint64_t number_of(const Json *j, const char *key) {
        uint64_t n = 0;

        return json_get_uint64(j, key, &n) == 0 ? n : 0;
}

static const char *text_of(const Json *j, const char *key) {
        const char *s = json_get_string(j, key);

        return s ? s : "";
}

static const char *age(char *buffer, size_t n, uint64_t from, uint64_t to) {
        if (to < from + USEC_PER_SEC)
                return "a moment";
        return format_duration(buffer, n, (to - from) / USEC_PER_SEC * USEC_PER_SEC);
}

/* A condition that is not as it should be; what the table shows anyway is left out. */
static void print_condition(const Context *c, const Json *condition, uint64_t now) {
        const char *type = text_of(condition, "type"), *message = text_of(condition, "message");
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        bool status = true;
        char since[32];

        if (json_get_bool(condition, "status", &status) < 0 || status ||
                        strcmp(type, "Converged") == 0)
                return;
        strbuf_addf(&b, "%s: %s for %s%s%s", type, text_of(condition, "reason"),
                        age(since, sizeof(since), number_of(condition, "since_usec"), now),
                        *message ? ": " : "", message);
        printf("            %s", output_begin(c, STYLE_YELLOW));
        output_wrapped(c, strbuf_text(&b), 12);
        printf("%s\n", output_end(c));
}

void output_controller(const Context *c, const Json *controller, uint64_t now_usec) {
        const Json *pass = json_get(controller, "last_pass");
        const Json *conditions = json_get(controller, "conditions");
        uint64_t at = number_of(pass, "at_usec"), next = number_of(controller, "next_pass_usec");
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
        printf("Controller  pid %" PRIu64 ", for %s, generation %" PRIu64 "\n",
                        number_of(controller, "pid"),
                        age(first, sizeof(first), number_of(controller, "started_usec"), now_usec),
                        number_of(controller, "generation"));
        if (at > 0)
                printf("            last pass %s ago (%s, %" PRIu64 " ms), the next in %s\n",
                                age(first, sizeof(first), at, now_usec), text_of(pass, "cause"),
                                number_of(pass, "took_ms"),
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
