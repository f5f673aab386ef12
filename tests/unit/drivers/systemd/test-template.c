/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "drivers/systemd/template.h"
#include "framework/assets.h"

static char plain[] = "/h", spaced[] = "/a $b";

static Paths paths_of(char *home) {
        static char id[] = "1a2b3c4d", prefix[] = "mosaic-1a2b3c4d-", state[] = "/state";
        static char runtime[] = "/run/user/1/mosaic/1a2b3c4d", libexec[] = "/usr/libexec/mosaic";
        static char program[] = "/usr/bin/mosaic";

        return (Paths){
                .home = home,
                .id_or_default = id,
                .unit_prefix = prefix,
                .state = state,
                .runtime = runtime,
                .libexec = libexec,
                .program = program,
        };
}

static void test_escaping(void **state) {
        static struct {
                char home[32];
                const char *text;
                const char *expected;
        } cases[] = {
                { "/h", "A=@home@ B=@prefix@x @fleet@\n", "A=/h B=mosaic-1a2b3c4d-x 1a2b3c4d\n" },
                { "/a b", "\"@home@\"", "\"/a b\"" },
                { "/100%h", "\"@home@\"", "\"/100%%h\"" },
                { "/a\"b'c\\d", "\"@home@\"", "\"/a\\\"b'c\\\\d\"" },
                { "/$HOME/${x}", "@home@ @home.argument@", "/$HOME/${x} /$$HOME/$${x}" },
                { "/\303\244", "@home@", "/\303\244" },
                { "/h", "@state@ @runtime@ @libexec@ @program@ @tmux_tmpdir@",
                                "/state /run/user/1/mosaic/1a2b3c4d /usr/libexec/mosaic "
                                "/usr/bin/mosaic /t" },
                /* what only looks like a placeholder, and a value that looks like one */
                { "/@fleet@", "agent@.service a@b @ @@ @home @Home@ %i @home@",
                                "agent@.service a@b @ @@ @home @Home@ %i /@fleet@" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Paths p = paths_of(cases[i].home);
                _cleanup_free_ char *text = NULL;
                const char *culprit = NULL;

                assert_int_equal(template_render(cases[i].text, &p, "/t", &culprit, &text), 0);
                assert_string_equal(text, cases[i].expected);
        }
}

static void test_refusals(void **state) {
        static char homes[][32] = { "/a\nExecStart=/evil", "/a\tb", "/\177", "/\303(", "/\377" };
        const char *culprit = NULL;
        char *text = NULL;
        Paths p;

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(homes); i++) {
                p = paths_of(homes[i]);
                culprit = NULL;
                /* even where the template does not use it */
                assert_int_equal(template_render("x", &p, "/t", &culprit, &text), -EILSEQ);
                assert_ptr_equal(culprit, homes[i]);
                assert_null(text);
        }

        p = paths_of(plain);
        assert_int_equal(template_render("@nonesuch@", &p, "/t", &culprit, &text), -EINVAL);
        assert_int_equal(template_render("@home@", &p, "/t\n", &culprit, &text), -EILSEQ);
        p.program = (char[]){ "/opt/it's/mosaic" };
        assert_int_equal(template_render("x", &p, "/t", &culprit, &text), -EILSEQ);
        assert_string_equal(culprit, "/opt/it's/mosaic");
        p = paths_of(plain);
        p.libexec = (char[]){ "/opt/a\\b" };
        assert_int_equal(template_render("x", &p, "/t", &culprit, &text), -EILSEQ);
        assert_null(text);
}

static void test_names(void **state) {
        Paths p = paths_of(plain);
        static const struct {
                const char *asset;
                const char *unit;
        } cases[] = {
                { "mosaic-agent@.service.in", "mosaic-1a2b3c4d-agent@.service" },
                { "mosaic-tmux-holder.service.in", "mosaic-1a2b3c4d-tmux-holder.service" },
                { "other.service.in", NULL },
                { "mosaic-x.service", NULL },
                { "mosaic-.in", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *name = NULL;

                assert_int_equal(template_unit_name(&p, cases[i].asset, &name), 0);
                if (cases[i].unit)
                        assert_string_equal(name, cases[i].unit);
                else
                        assert_null(name);
        }
}

/* The shipped ones render, and what has to be in them is. */
static void test_shipped(void **state) {
        static const struct {
                const char *asset;
                const char *lines[8];
        } cases[] = {
                { "systemd/user/mosaic-tmux-holder.service.in",
                                { "Type=forking\n",
                                                "ExecStart=\"/usr/libexec/mosaic/mosaic-launcher\" "
                                                "--holder\n",
                                                "LimitNOFILE=65536\n", "OOMPolicy=continue\n",
                                                "TasksMax=infinity\n", "StartLimitIntervalSec=0\n",
                                                "UnsetEnvironment=TMUX TMUX_PANE\n",
                                                "Environment=\"TMUX_TMPDIR=/t\"\n" } },
                { "systemd/user/mosaic-agent@.service.in",
                                { "Requires=mosaic-1a2b3c4d-tmux-holder.service\n",
                                                "After=mosaic-1a2b3c4d-tmux-holder.service\n",
                                                "ExecStart=/bin/sh \"/a "
                                                "$$b/tools/fleet/start-agent-session.sh\" %i\n",
                                                "ExecStopPost=-\"/usr/libexec/mosaic/"
                                                "mosaic-launcher\" --stopped %i\n",
                                                "RestartPreventExitStatus=178\n",
                                                "SendSIGHUP=yes\n",
                                                "Environment=\"MOSAIC_HOME=/a $b\"\n",
                                                "Environment=\"MOSAIC_FLEET=1a2b3c4d\"\n" } },
                { "systemd/user/mosaic-fleet-boot.service.in",
                                { "ExecStart=\"/usr/bin/mosaic\" fleet start --keep-holds\n",
                                                "WantedBy=default.target\n", "Type=oneshot\n" } },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Asset *a = asset_find(cases[i].asset);
                Paths p = paths_of(spaced);
                _cleanup_free_ char *text = NULL;
                const char *culprit;

                assert_non_null(a);
                assert_int_equal(template_render((const char *)a->bytes, &p, "/t", &culprit, &text),
                                0);
                for (size_t k = 0; k < 8 && cases[i].lines[k]; k++) {
                        print_message("# %s", cases[i].lines[k]);
                        assert_non_null(strstr(text, cases[i].lines[k]));
                }
                assert_null(strstr(text, "@home@"));
                assert_null(strstr(text, ".argument@"));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_escaping),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_shipped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
