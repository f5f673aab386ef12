/* SPDX-License-Identifier: MIT */

/*
 * A spec on its way from the roster to the launcher: written by the store, read by the launcher,
 * the same; and what the store sees of it is what was accepted. First byte odd: raw bytes instead,
 * of which the launcher takes only what it can run.
 */

#include <limits.h>

#include "drivers/agent/launcher.h"
#include "drivers/store/accepted.h"
#include "drivers/store/store.h"
#include "model/base/strv.h"
#include "model/base/utf8.h"
#include "tests/fuzz/entry.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/scratch.h"

/* Text as a roster may hold it. */
static char *text(Input *in, size_t max) {
        char *s = input_text(in, max);

        if (!utf8_is_valid(s, strlen(s)))
                *s = '\0';
        return s;
}

static char **list(Input *in, const char *prefix) {
        char **l = NULL;

        for (unsigned n = input_choose(in, 4); n > 0; n--) {
                _cleanup_free_ char *s = text(in, 60);

                assert(strv_pushf(&l, "%s%s", prefix, s) == 0);
        }
        return l;
}

static AgentSpec *make_spec(Input *in) {
        AgentSpec *s = calloc(1, sizeof(AgentSpec));
        _cleanup_free_ char *path = NULL;

        assert(s);
        s->name = strdup("web");
        s->runtime = text(in, 20);
        s->argv = list(in, "x");
        assert(strv_push(&s->argv, "last") == 0);
        path = text(in, 60);
        assert(asprintf(&s->workdir, "/%s", path) > 0);
        s->env = list(in, "A=");
        s->env_files = list(in, "/");
        s->env_pass = list(in, "V");
        s->success_exit_status = list(in, "");
        s->n_credentials = input_choose(in, 3);
        s->credentials = calloc(s->n_credentials + 1, sizeof(Credential));
        for (size_t i = 0; i < s->n_credentials; i++)
                s->credentials[i] = (Credential){ text(in, 20), text(in, 60) };
        s->stop_timeout_usec = input_number(in);
        s->talk.composer_pattern = text(in, 40);
        s->talk.reset_keys = text(in, 20);
        s->talk.submit_delay_usec = input_number(in);
        memset(s->restart_fingerprint, 'a' + input_choose(in, 6), FINGERPRINT_SIZE - 1);
        memset(s->live_fingerprint, 'a' + input_choose(in, 6), FINGERPRINT_SIZE - 1);
        memset(s->resolved, 'a' + input_choose(in, 6), FINGERPRINT_SIZE - 1);
        return s;
}

static bool same(const char *a, const char *b) {
        return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_list(char *const *a, char *const *b) {
        return strv_length(a) == strv_length(b) && (strv_length(a) == 0 || strv_equal(a, b));
}

static void compare(const AgentSpec *a, const AgentSpec *b) {
        assert(same(a->name, b->name) && same(a->runtime, b->runtime) &&
                        same(a->workdir, b->workdir));
        assert(same_list(a->argv, b->argv) && same_list(a->env, b->env) &&
                        same_list(a->env_files, b->env_files) &&
                        same_list(a->env_pass, b->env_pass) &&
                        same_list(a->success_exit_status, b->success_exit_status));
        assert(a->n_credentials == b->n_credentials);
        for (size_t i = 0; i < a->n_credentials; i++)
                assert(same(a->credentials[i].variable, b->credentials[i].variable) &&
                                same(a->credentials[i].file, b->credentials[i].file));
        assert(a->stop_timeout_usec == b->stop_timeout_usec);
        assert(same(a->talk.composer_pattern, b->talk.composer_pattern) &&
                        same(a->talk.reset_keys, b->talk.reset_keys) &&
                        a->talk.submit_delay_usec == b->talk.submit_delay_usec);
        assert(same(a->restart_fingerprint, b->restart_fingerprint) &&
                        same(a->live_fingerprint, b->live_fingerprint) &&
                        same(a->resolved, b->resolved));
}

static void check_observed(const Paths *p, const AgentSpec *s) {
        _cleanup_(observed_freep) Observed *o = NULL;
        const ObservedFiles *f;

        assert(observed_new(SUPERVISOR_SYSTEMD, &o) == 0 && store_observe(p, o) == 0);
        observed_sort(o);
        f = observed_files(o, s->name);
        assert(o->files.state == SOURCE_PRESENT && f && f->spec);
        assert(same(f->restart_fingerprint, s->restart_fingerprint) &&
                        same(f->live_fingerprint, s->live_fingerprint) &&
                        same(f->resolved, s->resolved) &&
                        f->stop_timeout_usec == s->stop_timeout_usec);
}

static void check_written(Input *in) {
        Paths p = { .state = (char *)(uintptr_t)scratch_directory(),
                .runtime = (char *)(uintptr_t)scratch_directory() };
        _cleanup_(agent_spec_freep) AgentSpec *s = make_spec(in);
        _cleanup_(agent_spec_freep) AgentSpec *back = calloc(1, sizeof(AgentSpec));
        _cleanup_json_ Json *j = NULL;
        _cleanup_free_ char *bytes = NULL;
        size_t n;

        assert(store_write_specs(&p, &s, 1) == 0);
        bytes = scratch_read("specs/web.json", &n);
        assert(bytes && json_parse(bytes, n, &j) == 0);
        assert(spec_from_json(j, "web", back) == 0);
        compare(s, back);
        check_observed(&p, s);
        scratch_clear();
}

static void check_raw(const char *bytes, size_t n) {
        _cleanup_(agent_spec_freep) AgentSpec *s = calloc(1, sizeof(AgentSpec));
        _cleanup_json_ Json *j = NULL;

        if (json_parse(bytes, n, &j) < 0)
                return;
        if (spec_from_json(j, "web", s) == 0) {
                assert(strcmp(s->name, "web") == 0 && s->argv && s->argv[0] && *s->argv[0]);
                assert(s->workdir[0] == '/');
                assert(strlen(s->restart_fingerprint) == 64 && strlen(s->resolved) == 64);
                for (size_t i = 0; i < s->n_credentials; i++)
                        assert(s->credentials[i].variable && s->credentials[i].file);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = INPUT(data, size);

        if (input_flag(&in))
                check_raw((const char *)data + 1, size - 1);
        else
                check_written(&in);
        return 0;
}
