/* SPDX-License-Identifier: MIT */

/*
 * The whole way from bytes to the desired state or to findings, and the rendering of both kinds:
 * every agent that is accepted has a drop-in, and no finding acts on a terminal, whatever it
 * quotes.
 */

#include <assert.h>
#include <string.h>

#include "drivers/systemd/dropin.h"
#include "framework/assets.h"
#include "model/base/utf8.h"
#include "model/diag-render.h"
#include "model/roster.h"
#include "tests/fuzz/entry.h"

static const Machine machine = {
        .hostname = "build-1.example",
        .user_home = "/home/ana",
        .mosaic_home = "/home/ana/.config/mosaic",
        .n_cpus = 4,
        .memory = UINT64_C(8) << 30,
        .path = "/usr/bin:/bin",
};

static void check_desired(const Desired *d) {
        for (size_t i = 0; i < d->n_agents; i++) {
                const AgentSpec *s = d->agents[i];
                _cleanup_free_ char *dropin = NULL;

                assert(agent_name_is_valid(s->name));
                assert(s->argv && s->argv[0] && s->workdir[0] == '/');
                assert(s->env && s->env_files && s->env_pass && s->success_exit_status);
                assert(s->labels && s->after && s->resume_args);
                assert(strlen(s->restart_fingerprint) == 64 && strlen(s->live_fingerprint) == 64);
                assert(strlen(s->resolved) == 64 && s->line > 0);
                assert(i == 0 || strcmp(d->agents[i - 1]->name, s->name) < 0);
                assert(desired_find(d, s->name) == s);
                assert(dropin_render(s, &dropin) == 0);
        }
}

/* Colours and lines; nothing else that a terminal would heed. */
static void check_harmless(const char *text) {
        for (const char *p = text; *p;) {
                uint32_t c;
                size_t n;

                if (*p == '\033') {
                        n = p[1] == '[' ? strspn(p + 2, "0123456789;") : 0;
                        assert(n > 0 && p[2 + n] == 'm');
                        p += n + 3;
                        continue;
                }
                n = utf8_decode(p, strlen(p), &c);
                assert(n > 0 && (c == '\n' || !utf8_is_unsafe(c)));
                p += n;
        }
}

static void check_findings(const Diags *d, const char *bytes, size_t size) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_free_ char *text = NULL, *annotations = NULL;
        _cleanup_json_ Json *json = NULL;

        assert(diags_render_text(d, "roster.yaml", bytes, size, /* color= */ true, &text) == 0);
        assert(diags_render_github(d, "roster.yaml", bytes, size, &annotations) == 0);
        check_harmless(text);
        check_harmless(annotations);
        diags_put_json(&b, NULL, d, bytes, size);
        assert(json_finish(&b, &json) == 0);
        for (size_t i = 1; i < d->n_items; i++)
                assert(d->items[i - 1].span.start + 1 <= d->items[i].span.start + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(desired_freep) Desired *desired = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        RosterSource runtimes[16];
        const RosterSource roster = { "roster.yaml", (const char *)data, size };
        size_t n = 0;
        int r;

        for (size_t i = 0; i < n_assets && n < ELEMENTSOF(runtimes); i++)
                if (strncmp(assets[i].path, "fleet/runtimes/", 15) == 0)
                        runtimes[n++] = (RosterSource){ assets[i].path,
                                (const char *)assets[i].bytes, assets[i].size };
        r = roster_load(&roster, runtimes, n, &machine, &diags, &desired);
        assert(r >= 0);
        assert((r == 0) == (diags.n_errors == 0));
        if (r == 0)
                check_desired(desired);
        check_findings(&diags, (const char *)data, size);
        return 0;
}
