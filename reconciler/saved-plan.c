/* SPDX-License-Identifier: MIT */
#include "reconciler/saved-plan.h"

#include <string.h>

#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/proc.h"
#include "model/base/hash.h"
#include "model/base/parse.h"
#include "model/json.h"
#include "reconciler/output.h"

#define PLAN_MAX (16 * 1024 * 1024)
#define VALID_USEC (3600 * USEC_PER_SEC)
#define FORMAT "mosaic.fleet.saved-plan"

/* What a saved plan is bound to, now. */
typedef struct Binding {
        const char *fleet; /* borrowed */
        char *machine;     /* "" where there is no machine id */
        char boot[BOOT_ID_SIZE];
        uint64_t uid;
        uint64_t server_pid;
        uint64_t server_start; /* clock ticks after boot */
} Binding;

static void binding_done(Binding *b) {
        free(b->machine);
}

static int read_binding(const Context *c, const Pass *p, Binding *ret) {
        _cleanup_(binding_done) Binding b = { .fleet = c->paths->id_or_default, .uid = getuid() };
        size_t size;
        int r;

        r = file_read_limited("/etc/machine-id", 64, &b.machine, &size);
        if (r < 0)
                b.machine = strdup("");
        if (!b.machine)
                return -ENOMEM;
        b.machine[strcspn(b.machine, "\n")] = '\0';
        r = proc_boot_id(b.boot);
        if (r < 0)
                return r;
        b.server_pid = (uint64_t)p->observed->server_pid;
        r = b.server_pid > 0 ? proc_start_time(p->observed->server_pid, &b.server_start) : 0;
        if (r < 0 && r != -ESRCH) /* one that has ended since the look has none */
                return r;
        *ret = b;
        b.machine = NULL;
        return 0;
}

static void put_binding(JsonBuilder *b, const Binding *binding, const Pass *p, uint64_t now) {
        json_open_object(b, "binding");
        json_put_string(b, "fleet", binding->fleet);
        json_put_string(b, "machine", binding->machine);
        json_put_string(b, "boot", binding->boot);
        json_put_uint(b, "uid", binding->uid);
        json_put_uint(b, "server_pid", binding->server_pid);
        json_put_uint(b, "server_start", binding->server_start);
        json_put_string(b, "roster_sha256", p->desired->roster_sha256);
        json_put_uint(b, "made_usec", now);
        json_put_uint(b, "expires_usec", now + VALID_USEC);
        json_close(b);
}

/* SHA-256 over the canonical text of everything but the digest itself. */
static int digest_of(const Json *binding, const Json *plan, char ret[static SHA256_HEX_SIZE]) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

        json_write(binding, JSON_CANONICAL, &b);
        json_write(plan, JSON_CANONICAL, &b);
        if (b.failed)
                return -ENOMEM;
        sha256_hex(b.data, b.length, ret);
        return 0;
}

int saved_plan_write(const Context *c, const Pass *p, const char *path) {
        _cleanup_json_builder_ JsonBuilder head = JSON_BUILDER_NULL, b = JSON_BUILDER_NULL;
        _cleanup_json_ Json *bound = NULL, *plan = NULL, *document = NULL;
        _cleanup_(binding_done) Binding binding = { 0 };
        _cleanup_free_ char *text = NULL;
        char digest[SHA256_HEX_SIZE];
        int r;

        r = read_binding(c, p, &binding);
        if (r < 0)
                return r;
        json_open_object(&head, NULL);
        put_binding(&head, &binding, p, clock_realtime_usec());
        json_close(&head);
        r = json_finish(&head, &bound);
        if (r < 0)
                return r;
        r = output_plan_document(c, p, plan_exit_code(p->plan), &plan);
        if (r < 0)
                return r;
        r = digest_of(json_get(bound, "binding"), plan, digest);
        if (r < 0)
                return r;
        json_open_object(&b, NULL);
        json_put_string(&b, "format", FORMAT);
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "digest", digest);
        json_put_json(&b, "binding", json_share(json_get(bound, "binding")));
        json_put_json(&b, "plan", json_share(plan));
        json_close(&b);
        r = json_finish(&b, &document);
        if (r == 0)
                r = json_to_text(document, JSON_PRETTY, &text);
        return r < 0 ? r : file_replace(path, text, strlen(text), 0600);
}

static bool same_text(const Json *j, const char *key, const char *now) {
        const char *then = json_get_string(j, key);

        return then && strcmp(then, now) == 0;
}

static bool same_number(const Json *j, const char *key, uint64_t now) {
        uint64_t then;

        return json_get_uint64(j, key, &then) == 0 && then == now;
}

/* The first thing that moved, as a phrase; NULL if nothing did. */
static const char *what_moved(const Json *bound, const Binding *now, const Pass *p) {
        uint64_t expires;

        if (!same_text(bound, "fleet", now->fleet) || !same_number(bound, "uid", now->uid))
                return "it is the plan of another fleet";
        if (!same_text(bound, "machine", now->machine))
                return "it was made on another machine";
        if (!same_text(bound, "boot", now->boot))
                return "the machine was booted since";
        if (!same_text(bound, "roster_sha256", p->desired->roster_sha256))
                return "the roster was edited since";
        if (json_get_uint64(bound, "expires_usec", &expires) < 0 || clock_realtime_usec() > expires)
                return "it is older than an hour";
        /* A server that was not there then may be there now: the plan itself may have started
         * it. */
        if (!same_number(bound, "server_pid", 0) &&
                        (!same_number(bound, "server_pid", now->server_pid) ||
                                        !same_number(bound, "server_start", now->server_start)))
                return "the tmux server is another one now";
        return NULL;
}

static int read_actions(const Json *document, Plan **ret) {
        const Json *actions = json_get(document, "actions");
        _cleanup_(plan_freep) Plan *plan = NULL;
        int r;

        r = plan_new(&plan);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_length(actions); i++) {
                const Json *a = json_at(actions, i);
                const char *verb = json_get_string(a, "verb");
                int kind = 0;

                while (verb && kind < _ACTION_KIND_MAX &&
                                strcmp(action_kind_to_string((ActionKind)kind), verb) != 0)
                        kind++;
                if (!verb || kind == _ACTION_KIND_MAX)
                        return -EBADMSG;
                if (!plan_add_action(plan, (ActionKind)kind, json_get_string(a, "agent"),
                                    REASON_REQUESTED, 0, 0, "shown"))
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(plan);
        return 0;
}

int saved_plan_read(const Context *c,
                const Pass *p,
                const char *path,
                Plan **ret_shown,
                char **ret_why) {
        _cleanup_(binding_done) Binding now = { 0 };
        _cleanup_free_ char *bytes = NULL;
        _cleanup_json_ Json *j = NULL;
        const char *format, *digest, *moved;
        char computed[SHA256_HEX_SIZE];
        size_t size;
        int r;

        r = file_read_limited(path, PLAN_MAX, &bytes, &size);
        if (r < 0)
                return r;
        r = json_parse(bytes, size, &j);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        format = json_get_string(j, "format");
        digest = json_get_string(j, "digest");
        if (!format || strcmp(format, FORMAT) != 0 || !digest)
                return -EBADMSG;
        r = digest_of(json_get(j, "binding"), json_get(j, "plan"), computed);
        if (r < 0)
                return r;
        if (strcmp(digest, computed) != 0)
                return -EBADMSG;
        r = read_binding(c, p, &now);
        if (r < 0)
                return r;
        moved = what_moved(json_get(j, "binding"), &now, p);
        if (moved) {
                *ret_why = strdup(moved);
                return *ret_why ? SAVED_PLAN_STALE : -ENOMEM;
        }
        return read_actions(json_get(j, "plan"), ret_shown);
}

bool plan_is_subset(const Plan *now, const Plan *shown) {
        for (size_t i = 0; i < now->n_actions; i++) {
                const Action *a = now->actions + i;
                bool found = false;

                for (size_t k = 0; k < shown->n_actions && !found; k++) {
                        const Action *b = shown->actions + k;

                        found = a->kind == b->kind &&
                                strcmp(a->agent ? a->agent : "", b->agent ? b->agent : "") == 0;
                }
                if (!found)
                        return false;
        }
        return true;
}
