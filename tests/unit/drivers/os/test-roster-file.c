/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "drivers/os/roster-file.h"
#include "drivers/os/site-check.h"
#include "model/base/strv.h"

static char folder[] = "/tmp/mosaic-site-XXXXXX";

static char *in_folder(const char *name) {
        static char path[sizeof(folder) + 100];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
        return path;
}

static void write_file(const char *name, const char *text, mode_t mode) {
        _cleanup_close_ int fd =
                        open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        assert_int_equal(fchmod(fd, mode), 0);
}

static int set_up(void **state) {
        (void)state;
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

static int tear_down(void **state) {
        (void)state;
        return nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS);
}

/* --- roster_file_read ------------------------------------------------------------------------- */

static void expect_refused(const char *name, const char *code) {
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        _cleanup_free_ char *bytes = NULL;
        size_t size;

        assert_int_equal(roster_file_read(in_folder(name), &diags, &bytes, &size), ROSTER_INVALID);
        assert_null(bytes);
        assert_int_equal(diags.n_errors, 1);
        assert_string_equal(diags.items[0].code, code);
}

static void what_is_refused(void **state) {
        (void)state;
        expect_refused("nothing", "roster-missing");
        expect_refused("nothing/at/all", "roster-missing");
        assert_int_equal(mkdir(in_folder("directory"), 0700), 0);
        expect_refused("directory", "roster-not-a-file");
        assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
        expect_refused("fifo", "roster-not-a-file"); /* and does not wait for a writer */
        write_file("world", "a", 0602);
        expect_refused("world", "roster-writable");
        write_file("large", "a", 0600);
        assert_int_equal(truncate(in_folder("large"), (4 << 20) + 1), 0);
        expect_refused("large", "too-large");
        if (geteuid() == 0) {
                write_file("group", "a", 0620);
                assert_int_equal(chown(in_folder("group"), 0, 12345), 0);
                expect_refused("group", "roster-writable");
                write_file("foreign", "a", 0600);
                assert_int_equal(chown(in_folder("foreign"), 12345, 12345), 0);
                expect_refused("foreign", "roster-owner");
        } else {
                write_file("locked", "a", 0000);
                expect_refused("locked", "roster-unreadable");
        }
}

static void what_is_read(void **state) {
        static const size_t sizes[] = { 0, 1, 4 << 20 };

        (void)state;
        write_file("roster", "", 0644);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_diags_ Diags diags = DIAGS_NULL;
                _cleanup_free_ char *bytes = NULL;
                size_t size;

                assert_int_equal(truncate(in_folder("roster"), (off_t)sizes[i]), 0);
                assert_int_equal(roster_file_read(in_folder("roster"), &diags, &bytes, &size), 0);
                assert_int_equal(size, sizes[i]);
                assert_int_equal(bytes[size], '\0');
                assert_int_equal(diags.n_items, 0);
        }
}

static void links_are_followed(void **state) {
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        _cleanup_free_ char *bytes = NULL;
        size_t size;

        (void)state;
        write_file("target", "text", 0600);
        assert_int_equal(symlink("target", in_folder("link")), 0);
        assert_int_equal(roster_file_read(in_folder("link"), &diags, &bytes, &size), 0);
        assert_string_equal(bytes, "text");
}

/* --- roster_file_read_settled ----------------------------------------------------------------- */

static bool is_settled(const char *name, const char *text) {
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        _cleanup_free_ char *bytes = NULL;
        bool settled;
        size_t size;

        assert_int_equal(roster_file_read_settled(in_folder(name), &diags, &bytes, &size, &settled),
                        0);
        assert_string_equal(bytes, text);
        assert_int_equal(size, strlen(text));
        assert_int_equal(diags.n_items, 0);
        return settled;
}

/* A process that has the file open until it is told to close it. */
typedef struct Holder {
        pid_t pid;
        int to, from;
} Holder;

static Holder hold_open(const char *name, int flags) {
        int to[2], from[2];
        Holder h;
        char byte;

        assert_int_equal(pipe2(to, O_CLOEXEC) | pipe2(from, O_CLOEXEC), 0);
        h.pid = fork();
        assert_true(h.pid >= 0);
        if (h.pid == 0) {
                int fd = open(in_folder(name), flags | O_CLOEXEC);

                (void)close(to[1]);
                if (fd < 0 || write(from[1], "x", 1) != 1 || read(to[0], &byte, 1) < 0)
                        _exit(1);
                _exit(0);
        }
        (void)close(to[0]);
        (void)close(from[1]);
        h.to = to[1];
        h.from = from[0];
        assert_int_equal(read(h.from, &byte, 1), 1);
        return h;
}

static void let_go(const Holder *h) {
        int status;

        (void)close(h->to);
        (void)close(h->from);
        assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
        assert_int_equal(status, 0);
}

static void open_for_writing_is_not_settled(void **state) {
        static const int writing[] = { O_WRONLY, O_RDWR, O_WRONLY | O_APPEND };
        _cleanup_free_ char *other = NULL;
        Holder h;

        (void)state;
        write_file("written", "half", 0600);
        assert_int_equal(symlink("written", in_folder("to-written")), 0);
        assert_true(is_settled("written", "half"));
        for (size_t i = 0; i < ELEMENTSOF(writing); i++) {
                h = hold_open("written", writing[i]);
                assert_false(is_settled("written", "half"));
                assert_false(is_settled("to-written", "half"));
                let_go(&h);
                assert_true(is_settled("written", "half"));
        }
        h = hold_open("written", O_RDONLY);
        assert_true(is_settled("written", "half"));
        let_go(&h);

        /* Written and renamed: who still has the file before open is of no interest. */
        h = hold_open("written", O_WRONLY);
        write_file("other", "whole", 0600);
        other = strdup(in_folder("other"));
        assert_non_null(other);
        assert_int_equal(rename(other, in_folder("written")), 0);
        assert_true(is_settled("written", "whole"));
        let_go(&h);
}

/* Nobody is kept from writing once it has been read. */
static void reading_leaves_no_trace(void **state) {
        (void)state;
        write_file("free", "text", 0600);
        for (unsigned i = 0; i < 100; i++) {
                _cleanup_close_ int fd = -1;

                assert_true(is_settled("free", "text"));
                fd = open(in_folder("free"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
                assert_true(fd >= 0); /* EWOULDBLOCK while it was held */
                assert_false(is_settled("free", "text"));
        }
}

/* Who writes while we read does not end us, and what is read is then not called whole. */
static void writers_in_between(void **state) {
        enum { SIZE = 3000000 };
        static char text[SIZE + 1];
        pid_t pid;
        int status;

        (void)state;
        memset(text, 'a', SIZE);
        text[SIZE] = '\0';
        write_file("busy", text, 0600);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                for (unsigned i = 0; i < 400; i++) {
                        int fd = open(in_folder("busy"), O_WRONLY | O_CLOEXEC);

                        memset(text, 'a' + (int)(i % 20), SIZE);
                        if (fd < 0 || write(fd, text, SIZE) != SIZE)
                                _exit(1);
                        (void)close(fd);
                }
                _exit(0);
        }
        do {
                _cleanup_diags_ Diags diags = DIAGS_NULL;
                _cleanup_free_ char *bytes = NULL;
                bool settled;
                size_t size;

                assert_int_equal(roster_file_read_settled(in_folder("busy"), &diags, &bytes, &size,
                                                 &settled),
                                0);
                /* All of it by one writer. */
                if (settled)
                        assert_int_equal(strspn(bytes, (char[]){ bytes[0], '\0' }), SIZE);
        } while (waitpid(pid, &status, WNOHANG) == 0);
        assert_int_equal(status, 0);
}

/* Of root's file, read by somebody else, the kernel does not tell who has it open: it is taken. */
static void a_file_of_root(void **state) {
        pid_t pid;
        int status;

        (void)state;
        if (geteuid() != 0)
                skip();
        assert_int_equal(chmod(folder, 0755), 0);
        write_file("of-root", "text", 0644);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                int fd = open(in_folder("of-root"), O_WRONLY | O_CLOEXEC);
                Diags diags = DIAGS_NULL;
                char *bytes = NULL;
                bool settled = false;
                size_t size;

                if (fd < 0 || setresuid(12345, 12345, 12345) < 0)
                        _exit(1);
                if (roster_file_read_settled(
                                    in_folder("of-root"), &diags, &bytes, &size, &settled) != 0)
                        _exit(2);
                settled = settled && strcmp(bytes, "text") == 0;
                free(bytes);
                _exit(settled ? 0 : 3);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(chmod(folder, 0700), 0);
}

/* Nor who opens it; but that it changed while it was read. */
static void a_file_of_root_that_changes(void **state) {
        pid_t writer, reader;
        int status;

        (void)state;
        if (geteuid() != 0)
                skip();
        assert_int_equal(chmod(folder, 0755), 0);
        write_file("of-root", "text", 0644);
        writer = fork();
        assert_true(writer >= 0);
        if (writer == 0) {
                int fd = open(in_folder("of-root"), O_WRONLY | O_CLOEXEC);

                for (off_t i = 0;; i++)
                        if (ftruncate(fd, 1000000 + i % 1000) < 0)
                                _exit(1);
        }
        reader = fork();
        assert_true(reader >= 0);
        if (reader == 0) {
                bool settled = true;

                (void)alarm(20);
                if (setresuid(12345, 12345, 12345) < 0)
                        _exit(1);
                while (settled) {
                        _cleanup_diags_ Diags diags = DIAGS_NULL;
                        _cleanup_free_ char *bytes = NULL;
                        size_t size;

                        if (roster_file_read_settled(in_folder("of-root"), &diags, &bytes, &size,
                                            &settled) != 0)
                                _exit(2);
                }
                _exit(0);
        }
        assert_int_equal(waitpid(reader, &status, 0), reader);
        assert_int_equal(kill(writer, SIGKILL), 0);
        assert_int_equal(waitpid(writer, NULL, 0), writer);
        assert_int_equal(status, 0);
        assert_int_equal(chmod(folder, 0700), 0);
}

static void what_is_refused_has_no_writer(void **state) {
        static const char *const names[] = { "nothing", "directory", "fifo", "group", "large" };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_diags_ Diags diags = DIAGS_NULL;
                _cleanup_free_ char *bytes = NULL;
                bool settled = false;
                size_t size;

                assert_int_equal(roster_file_read_settled(in_folder(names[i]), &diags, &bytes,
                                                 &size, &settled),
                                ROSTER_INVALID);
                assert_null(bytes);
                assert_true(settled);
        }
}

/* --- site_check ------------------------------------------------------------------------------- */

/* One agent whose every need is met; @line goes into it. */
static Desired *load(const char *line) {
        static const char runtime[] = "command: [prog]\ninstall: get prog\n";
        const RosterSource builtin = { "x/mine.yaml", runtime, sizeof(runtime) - 1 };
        const Machine machine = {
                .hostname = "h", .user_home = "/home/ana", .mosaic_home = "/mosaic"
        };
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        _cleanup_free_ char *text = NULL;
        RosterSource roster = { .name = "roster.yaml" };
        Desired *d = NULL;
        int n;

        n = asprintf(&text, "version: 1\nagents:\n  a:\n    runtime: mine\n%s%s%s    %s\n",
                        strstr(line, "workdir:") ? "" : "    workdir: ",
                        strstr(line, "workdir:") ? "" : in_folder("work"),
                        strstr(line, "workdir:") ? "" : "\n", line);
        assert_true(n > 0);
        roster.bytes = text;
        roster.size = (size_t)n;
        if (roster_load(&roster, &builtin, 1, &machine, &diags, &d) != 0)
                fail_msg("%s", diags.items[0].text);
        return d;
}

/* @code NULL: nothing to object. Otherwise the agent is blocked by it, by a warning on line
 * @where. */
static void expect_site(const char *line, const char *code, bool blocks) {
        _cleanup_(desired_freep) Desired *d = load(line);
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        _cleanup_free_ char *path = strdup(in_folder("bin"));
        Machine machine = { .hostname = "h", .user_home = folder, .mosaic_home = "/mosaic" };

        machine.path = path;
        assert_int_equal(site_check(d, in_folder("roster.yaml"), &machine, &diags), 0);
        if (!code) {
                if (diags.n_items > 0)
                        fail_msg("%s: %s", line, diags.items[0].text);
                assert_null(d->agents[0]->blocked_text);
                return;
        }
        if (diags.n_items == 0)
                fail_msg("%s: nothing found", line);
        assert_string_equal(diags.items[0].code, code);
        assert_int_equal(diags.items[0].severity, SEVERITY_WARNING);
        assert_int_equal(diags.n_errors, 0);
        assert_true(diags.items[0].span.start != SIZE_MAX);
        if (blocks) {
                assert_non_null(d->agents[0]->blocked_text);
                assert_int_equal(d->agents[0]->program_missing,
                                strcmp(code, "program-missing") == 0);
        } else
                assert_null(d->agents[0]->blocked_text);
}

static char *line_with(const char *format, const char *name) _printf_(1, 0);

static char *line_with(const char *format, const char *name) {
        static char line[300];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(line, sizeof(line), format, in_folder(name));
#pragma GCC diagnostic pop
        return line;
}

/* The launcher takes PATH from `env`, else from `env_files`, else from who started it if `env_pass`
 * says so. */
static void where_path_comes_from(void) {
        _cleanup_free_ char *has = NULL, *files = NULL;

        assert_true(asprintf(&has, "PATH=%s\n", in_folder("bin")) > 0);
        write_file("has-path", has, 0600);
        write_file("lacks-path", "PATH=/nowhere\n", 0600);
        expect_site("env_pass: [LANG]", "program-missing", true);
        expect_site("env_pass: [PATH]", NULL, false);
        expect_site(line_with("env_pass: [LANG]\n    env: {PATH: \"%s\"}", "bin"), NULL, false);
        expect_site(line_with("env_pass: [LANG]\n    env_files: [%s]", "has-path"), NULL, false);
        expect_site(line_with("env_files: [%s]", "lacks-path"), "program-missing", true);
        expect_site(line_with("env: {PATH: /nowhere}\n    env_files: [%s]", "has-path"),
                        "program-missing", true);
        files = strdup(in_folder("lacks-path"));
        assert_non_null(files);
        free(has);
        assert_true(asprintf(&has, "env_files: [%s, %s]", files, in_folder("has-path")) > 0);
        expect_site(has, NULL, false);
        free(has);
        assert_true(asprintf(&has, "env_files: [%s, %s]", in_folder("has-path"), files) > 0);
        expect_site(has, "program-missing", true);
}

static void sites(void **state) {
        (void)state;
        assert_int_equal(mkdir(in_folder("work"), 0700), 0);
        assert_int_equal(mkdir(in_folder("bin"), 0700), 0);
        expect_site("description: x", "program-missing", true);
        expect_site("state: stopped", NULL, false);
        expect_site("host: other", NULL, false);
        write_file("bin/prog", "#!/bin/sh\n", 0600);
        expect_site("description: x", "program-missing", true); /* not executable */
        write_file("bin/prog", "#!/bin/sh\n", 0700);
        expect_site("description: x", NULL, false);
        expect_site(line_with("env: {PATH: \"/nowhere:%s\"}", "bin"), NULL, false);
        expect_site("env: {PATH: /nowhere}", "program-missing", true);
        /* What the launcher would not find does not count: an empty element is no directory. */
        expect_site(line_with("workdir: %s\n    env: {PATH: \"/nowhere::\"}", "bin"),
                        "program-missing", true);
        /* That it could not be looked at does not make it missing. */
        assert_int_equal(symlink("loop", in_folder("loop")), 0);
        expect_site(line_with("env: {PATH: \"%s\"}", "loop"), "program-unusable", true);
        expect_site(line_with("env: {PATH: \"%s:/nowhere\"}", "loop"), "program-unusable", true);
        where_path_comes_from();

        expect_site("workdir: /nowhere/at/all", "workdir-missing", true);
        write_file("file", "A=b\n", 0600);
        expect_site(line_with("workdir: %s", "file"), "workdir-not-a-directory", true);

        expect_site(line_with("env_files: [%s]", "file"), NULL, false);
        expect_site("env_files: [/nowhere]", "env-file-unreadable", true);
        expect_site(line_with("env_files: [%s]", "work"), "env-file-unreadable", true);
        write_file("broken", "A=b\nB-C=hush\n", 0600);
        expect_site(line_with("env_files: [%s]", "broken"), "env-file-invalid", true);
        write_file("open", "A=b\n", 0666);
        expect_site(line_with("env_files: [%s]", "open"), "env-file-writable", false);

        expect_site(line_with("credentials: {X: {file: %s}}", "file"), NULL, false);
        expect_site("credentials: {X: {file: /nowhere}}", "credential-unreadable", true);
        write_file("readable", "secret", 0640);
        expect_site(line_with("credentials: {X: {file: %s}}", "readable"), "credential-mode", true);
        write_file("binary", "secret", 0600);
        assert_int_equal(truncate(in_folder("binary"), 8), 0);
        expect_site(line_with("credentials: {X: {file: %s}}", "binary"), "credential-invalid",
                        true);
        assert_int_equal(truncate(in_folder("file"), 200 * 1024), 0);
        expect_site(line_with("credentials: {X: {file: %s}}", "file"), "credential-too-large",
                        true);
        if (geteuid() == 0) {
                write_file("foreign-secret", "secret", 0600);
                assert_int_equal(chown(in_folder("foreign-secret"), 12345, 12345), 0);
                expect_site(line_with("credentials: {X: {file: %s}}", "foreign-secret"),
                                "credential-owner", true);
                expect_site(line_with("env_files: [%s]", "foreign-secret"), "env-file-owner", true);
        }
}

static void a_missing_program_says_how_to_get_it(void **state) {
        _cleanup_(desired_freep) Desired *d = load("env: {PATH: /nowhere}");
        const Machine machine = { .hostname = "h", .user_home = folder, .mosaic_home = "/mosaic" };
        _cleanup_diags_ Diags diags = DIAGS_NULL;

        (void)state;
        assert_int_equal(site_check(d, in_folder("roster.yaml"), &machine, &diags), 0);
        assert_string_equal(d->agents[0]->blocked_text,
                        "the program \"prog\" is not in the agents' PATH; get prog");
        assert_string_equal(diags.items[0].path, "/agents/a/runtime");

        /* what was wrong before and is no more does not stay */
        assert_int_equal(strv_env_set(&d->agents[0]->env, "PATH", in_folder("bin")), 0);
        assert_int_equal(site_check(d, in_folder("roster.yaml"), &machine, &diags), 0);
        assert_null(d->agents[0]->blocked_text);
}

static void writable_directories_are_named(void **state) {
        _cleanup_(desired_freep) Desired *d = load("state: stopped");
        const Machine machine = { .hostname = "h", .user_home = folder, .mosaic_home = "/mosaic" };
        _cleanup_diags_ Diags diags = DIAGS_NULL;

        (void)state;
        assert_int_equal(mkdir(in_folder("shared"), 0700), 0);
        assert_int_equal(site_check(d, in_folder("shared/roster.yaml"), &machine, &diags), 0);
        assert_int_equal(diags.n_items, 0);
        assert_int_equal(chmod(in_folder("shared"), 0777), 0);
        assert_int_equal(site_check(d, in_folder("shared/roster.yaml"), &machine, &diags), 0);
        assert_string_equal(diags.items[0].code, "roster-directory-writable");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_refused),
                cmocka_unit_test(what_is_read),
                cmocka_unit_test(links_are_followed),
                cmocka_unit_test(open_for_writing_is_not_settled),
                cmocka_unit_test(reading_leaves_no_trace),
                cmocka_unit_test(writers_in_between),
                cmocka_unit_test(a_file_of_root),
                cmocka_unit_test(a_file_of_root_that_changes),
                cmocka_unit_test(what_is_refused_has_no_writer),
                cmocka_unit_test(sites),
                cmocka_unit_test(a_missing_program_says_how_to_get_it),
                cmocka_unit_test(writable_directories_are_named),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
