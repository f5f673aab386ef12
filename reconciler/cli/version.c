/* SPDX-License-Identifier: MIT */
#include "model/json.h"
#include "reconciler/options.h"
#include "reconciler/output.h"
#include "reconciler/verb.h"

static int run(Context *c, int argc, char **argv) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;
        _cleanup_options_ Options o = { 0 };
        int r;

        r = options_parse(c, 0, argc, argv, &o);
        if (r != 0)
                return r;
        if (!c->json) {
                printf("mosaic %s\n", MOSAIC_VERSION);
                return 0;
        }
        json_open_object(&b, NULL);
        json_put_string(&b, "format", "mosaic.version");
        json_put_string(&b, "version", "1.0");
        json_put_string(&b, "mosaic", MOSAIC_VERSION);
        json_open_object(&b, "summary");
        json_put_uint(&b, "exit", 0);
        json_close(&b);
        json_close(&b);
        return output_print_document(&b);
}

const Verb verb_version = {
        .name = "version",
        .synopsis = "[OPTION...]",
        .summary = "Say which version this is",
        .help = "Options:\n"
                "      --json        Print it as JSON\n"
                "      --color WHEN  auto, always or never\n",
        .run = run,
};
