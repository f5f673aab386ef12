/* SPDX-License-Identifier: MIT */

/*
 * A saved plan. First byte 0: raw bytes, which are none. 1: the rest is `{"binding": ..., "plan":
 * ...}`, to which the digest is added, so that what is behind it is reached; the actions that come
 * out are those that were in it. 2: a plan that holds, of which one byte is changed: it is refused,
 * or says the same.
 */

#include "drivers/os/proc.h"
#include "model/base/hash.h"
#include "model/json.h"
#include "reconciler/saved-plan.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/scratch.h"

#define ROSTER "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char holds[] =
                "{\"binding\":{\"fleet\":\"default\",\"uid\":@UID@,\"machine\":\"@MACHINE@\","
                "\"boot\":"
                "\"@BOOT@\",\"roster_sha256\":\"" ROSTER "\",\"expires_usec\":9000000000000000,"
                "\"server_pid\":0,\"server_start\":0},\"plan\":{\"actions\":[{\"verb\":\"start\","
                "\"agent\":\"web\"},{\"verb\":\"remove\",\"agent\":\"api\"},{\"verb\":\"reload\"}]}"
                "}";

/* The file's text: what @bytes says, with a digest that is right. NULL: it is no JSON. */
static char *complete(const char *bytes, size_t n) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_strbuf_ StrBuf both = STRBUF_NULL;
        _cleanup_json_ Json *j = NULL;
        char digest[SHA256_HEX_SIZE], *text;

        if (json_parse(bytes, n, &j) < 0)
                return NULL;
        json_write(json_get(j, "binding"), JSON_CANONICAL, &both);
        json_write(json_get(j, "plan"), JSON_CANONICAL, &both);
        sha256_hex(strbuf_text(&both), both.length, digest);
        json_open_object(&b, NULL);
        json_put_string(&b, "format", "mosaic.fleet.saved-plan");
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "digest", digest);
        json_put_json(&b, "binding", json_share(json_get(j, "binding")));
        json_put_json(&b, "plan", json_share(json_get(j, "plan")));
        json_close(&b);
        return json_finish_text(&b, JSON_PLAIN, &text) == 0 ? text : NULL;
}

static int read_plan(const char *bytes, size_t n, Plan **ret) {
        Paths paths = { .id_or_default = (char *)(uintptr_t) "default" };
        Context c = { .paths = &paths };
        Desired desired = { .roster_sha256 = ROSTER };
        Observed observed = { .server_pid = 0 };
        Pass p = { .desired = &desired, .observed = &observed };
        _cleanup_free_ char *path = NULL, *why = NULL;
        int r;

        scratch_write("plan.json", bytes, n);
        assert(asprintf(&path, "%s/plan.json", scratch_directory()) > 0);
        r = saved_plan_read(&c, &p, path, ret, &why);
        assert(r == 0 || r == SAVED_PLAN_STALE || r == -EBADMSG);
        assert((r == SAVED_PLAN_STALE) == (why != NULL) && (r == 0) == (*ret != NULL));
        return r;
}

static void compare(const char *text, const Plan *plan) {
        _cleanup_json_ Json *j = NULL;
        const Json *actions;

        assert(json_parse(text, strlen(text), &j) == 0);
        actions = json_get(json_get(j, "plan"), "actions");
        assert(json_length(actions) == plan->n_actions);
        for (size_t i = 0; i < plan->n_actions; i++) {
                const char *verb = json_get_string(json_at(actions, i), "verb");
                const char *agent = json_get_string(json_at(actions, i), "agent");

                assert(verb && strcmp(verb, action_kind_to_string(plan->actions[i].kind)) == 0);
                assert(strcmp(agent ? agent : "",
                                       plan->actions[i].agent ? plan->actions[i].agent : "") == 0);
        }
}

/* Everything in it was shown; with anything more it was not. */
static void check_subset(Plan *plan) {
        _cleanup_(plan_freep) Plan *more = NULL;

        assert(plan_is_subset(plan, plan));
        assert(plan_new(&more) == 0);
        for (size_t i = 0; i < plan->n_actions; i++)
                assert(plan_add_action(more, plan->actions[i].kind, plan->actions[i].agent,
                                REASON_REQUESTED, 0, 0, "again"));
        assert(plan_is_subset(more, plan));
        assert(plan_add_action(more, ACTION_REMOVE, "not-shown", REASON_REQUESTED, 0, 0, "more"));
        assert(!plan_is_subset(more, plan) && plan_is_subset(plan, more));
}

static void check_document(const char *bytes, size_t n) {
        _cleanup_free_ char *filled = scratch_fill_in(bytes, n, &n), *text = complete(filled, n);
        _cleanup_(plan_freep) Plan *plan = NULL;

        if (!text || read_plan(text, strlen(text), &plan) != 0)
                return;
        compare(text, plan);
        check_subset(plan);
}

static void check_changed(Input *in) {
        size_t at = input_byte(in) | (size_t)input_byte(in) << 8, n;
        _cleanup_free_ char *filled = scratch_fill_in(holds, sizeof(holds) - 1, &n),
                            *text = complete(filled, n), *before = strdup(text);
        _cleanup_(plan_freep) Plan *plan = NULL;

        assert(read_plan(text, strlen(text), &plan) == 0);
        compare(text, plan);
        plan = plan_free(plan);
        text[at % strlen(before)] = (char)input_byte(in);
        if (read_plan(text, strlen(before), &plan) == 0)
                compare(before, plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);
        _cleanup_(plan_freep) Plan *plan = NULL;
        unsigned kind = input_choose(&in, 3);

        if (size == 0)
                return 0;
        if (kind == 0)
                assert(read_plan((const char *)data + 1, size - 1, &plan) != 0 || size > 100);
        else if (kind == 1)
                check_document((const char *)data + 1, size - 1);
        else
                check_changed(&in);
        return 0;
}
