/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/manager.h"
#include "drivers/tmux/server.h"
#include "model/base/parse.h"
#include "model/base/yaml.h"
#include "model/json.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/verb.h"
#include "schema/pattern.h"

#define MANAGER_TIMEOUT_USEC (2 * USEC_PER_SEC)

/* What is found on this machine; NULL: not there, or it does not say. */
typedef struct Found {
        char *tmux;
        char *systemd;
} Found;

static void found_done(Found *f) {
        free(f->tmux);
        free(f->systemd);
}

/* Nothing here may end the verb: it is what people are asked for when nothing works. */
static int look(Context *c, Found *ret) {
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        r = tmux_version(&ret->tmux);
        if (r == -ENOMEM)
                return r;
        r = paths_new(&c->paths);
        if (r == 0)
                r = manager_open(c->paths, MANAGER_TIMEOUT_USEC, &m);
        if (r == 0)
                r = manager_version(m, &ret->systemd);
        return r == -ENOMEM ? r : 0;
}

static int print_json(const Found *f) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_string(&b, "format", "mosaic.version");
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "mosaic", MOSAIC_VERSION);
        json_open_object(&b, "libraries");
        json_put_string(&b, "libfyaml", yaml_library_version());
        json_put_string(&b, "json-c", json_library_version());
        json_put_string(&b, "pcre2", pattern_library_version());
        json_put_string(&b, "libsystemd", MOSAIC_LIBSYSTEMD_VERSION);
        json_close(&b);
        json_open_object(&b, "found");
        json_put_string(&b, "tmux", f->tmux);
        json_put_string(&b, "systemd", f->systemd);
        json_close(&b);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", 0);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

static int run(Context *c, int argc, char **argv) {
        _cleanup_(found_done) Found found = { 0 };
        _cleanup_options_ Options o = { 0 };
        int r;

        r = options_parse(c, 0, argc, argv, &o);
        if (r != 0)
                return r;
        r = look(c, &found);
        if (r < 0)
                return r;
        if (c->json)
                return print_json(&found);
        printf("mosaic %s\n"
               "libfyaml %s, json-c %s, PCRE2 %s, libsystemd %s\n"
               "tmux %s, systemd of this user %s\n",
                        MOSAIC_VERSION, yaml_library_version(), json_library_version(),
                        pattern_library_version(), MOSAIC_LIBSYSTEMD_VERSION,
                        found.tmux ? found.tmux : "not found",
                        found.systemd ? found.systemd : "not running");
        return 0;
}

const Verb verb_version = {
        .name = "version",
        .task = TASK_PROGRAM,
        .synopsis = "[OPTION...]",
        .summary = "Say which version this is, and of what it stands on",
        .help = "Also the versions of the libraries that are linked (libsystemd: built with), and\n"
                "of tmux and the user manager that are found.\n"
                "\n"
                "Options:\n"
                "      --json        Print it as JSON\n"
                "      --color WHEN  auto, always or never\n"
                "\n"
                "Examples:\n"
                "  mosaic version\n"
                "  mosaic version --json\n",
        .without_fleet = true,
        .run = run,
};
