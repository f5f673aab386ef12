/* SPDX-License-Identifier: MIT */
#include "drivers/agent/launcher.h"

#include <limits.h>
#include <string.h>

#include "drivers/os/file.h"
#include "model/base/format.h"
#include "model/base/strv.h"
#include "model/talk.h"

#define RECORD_MAX (4 * 1024 * 1024)
#define KEEPER_NAME "mosaic-keeper"

void fleet_file_done(FleetFile *f) {
        free(f->tmux_socket);
        f->tmux_socket = NULL;
}

/* Reads a record of version 1. */
static int read_record(const char *path, Json **ret) {
        _cleanup_json_ Json *j = NULL;
        _cleanup_free_ char *bytes = NULL;
        uint64_t version;
        size_t size;
        int r;

        r = file_read_own(path, RECORD_MAX, &bytes, &size);
        if (r == -ENOENT)
                return refuse("there is no %s; run `mosaic fleet apply`", path);
        if (r == -ENOMEM)
                return no_memory();
        if (r == -EPERM)
                return refuse("%s is not of this user, or others may write it", path);
        if (r < 0)
                return try_again("cannot read %s: %s", path, strerror(-r));
        r = json_parse(bytes, size, &j);
        if (r == -ENOMEM)
                return no_memory();
        if (r < 0)
                return refuse("%s is damaged; run `mosaic fleet apply`", path);
        if (json_get_uint64(j, "version", &version) < 0 || version != 1)
                return refuse("%s is not of version 1: this mosaic-launcher and what wrote it "
                              "differ",
                                path);
        *ret = TAKE_PTR(j);
        return 0;
}

static int get_credentials(const Json *j, AgentSpec *s) {
        Json *list = json_get(j, "credentials");
        size_t n = json_length(list);

        if (!list)
                return 0;
        if (json_type_of(list) != JSON_ARRAY)
                return -EINVAL;
        s->credentials = calloc(n ? n : 1, sizeof(Credential));
        if (!s->credentials)
                return -ENOMEM;
        for (; s->n_credentials < n; s->n_credentials++) {
                Credential *c = s->credentials + s->n_credentials;
                Json *item = json_at(list, s->n_credentials);
                int r;

                r = json_get_strdup(item, "variable", /* optional= */ false, &c->variable);
                if (r < 0)
                        return r;
                r = json_get_strdup(item, "file", /* optional= */ false, &c->file);
                if (r < 0) {
                        s->n_credentials++; /* the variable of this one must be freed too */
                        return r;
                }
        }
        return 0;
}

/* A list that may be missing: it is then empty. */
static int get_list(const Json *j, const char *key, char ***ret) {
        int r;

        r = json_get_strv(j, key, ret);
        return r == -ENOENT ? 0 : r;
}

static int get_fingerprint(const Json *j, const char *key, char ret[FINGERPRINT_SIZE]) {
        const char *s = json_get_string(j, key);

        /* The run file repeats it, and whoever reads that wants a whole one. */
        if (!s || strlen(s) != FINGERPRINT_SIZE - 1)
                return -EINVAL;
        (void)stpcpy(ret, s);
        return 0;
}

int spec_from_json(const Json *j, const char *name, AgentSpec *s) {
        int r;

        r = json_get_strdup(j, "name", /* optional= */ false, &s->name);
        if (r < 0)
                return r;
        r = json_get_strdup(j, "runtime", /* optional= */ true, &s->runtime);
        if (r < 0)
                return r;
        r = json_get_strv(j, "argv", &s->argv);
        if (r < 0)
                return r;
        r = json_get_strdup(j, "workdir", /* optional= */ false, &s->workdir);
        if (r < 0)
                return r;
        r = get_list(j, "env", &s->env);
        if (r < 0)
                return r;
        r = get_list(j, "env_pass", &s->env_pass);
        if (r < 0)
                return r;
        r = get_list(j, "env_files", &s->env_files);
        if (r < 0)
                return r;
        r = get_list(j, "success_exit_status", &s->success_exit_status);
        if (r < 0)
                return r;
        r = get_credentials(j, s);
        if (r < 0)
                return r;
        r = json_get_uint64(j, "stop_timeout_usec", &s->stop_timeout_usec);
        if (r < 0)
                return r;
        r = runtime_talk_get(j, &s->talk);
        if (r < 0)
                return r;
        r = get_fingerprint(j, "restart_fingerprint", s->restart_fingerprint);
        if (r < 0)
                return r;
        r = get_fingerprint(j, "live_fingerprint", s->live_fingerprint);
        if (r < 0)
                return r;
        r = get_fingerprint(j, "resolved", s->resolved);
        if (r < 0)
                return r;
        if (strcmp(s->name, name) != 0 || strv_length(s->argv) == 0 || s->argv[0][0] == '\0' ||
                        s->workdir[0] != '/')
                return -EINVAL;
        return 0;
}

int read_spec(const Launcher *l, AgentSpec **ret) {
        _cleanup_(agent_spec_freep) AgentSpec *s = NULL;
        _cleanup_json_ Json *j = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        if (format_text(&path, "%s/specs/%s.json", l->state, l->name) < 0)
                return no_memory();
        r = read_record(path, &j);
        if (r != 0)
                return r;
        s = calloc(1, sizeof(AgentSpec));
        if (!s)
                return no_memory();
        r = spec_from_json(j, l->name, s);
        if (r == -ENOMEM)
                return no_memory();
        if (r < 0)
                return refuse("%s lacks something or holds it in a wrong form; run `mosaic fleet "
                              "apply`",
                                path);
        *ret = TAKE_PTR(s);
        return 0;
}

static int get_number(const Json *j, const char *key, unsigned *ret) {
        uint64_t v;

        if (json_get_uint64(j, key, &v) < 0 || v == 0 || v > INT_MAX)
                return -EINVAL;
        *ret = (unsigned)v;
        return 0;
}

int read_fleet_file(const Launcher *l, FleetFile *ret) {
        _cleanup_(fleet_file_done) FleetFile f = { .tmux_socket = NULL };
        _cleanup_json_ Json *j = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        if (format_text(&path, "%s/fleet.json", l->state) < 0)
                return no_memory();
        r = read_record(path, &j);
        if (r != 0)
                return r;
        r = json_get_strdup(j, "tmux_socket", /* optional= */ false, &f.tmux_socket);
        if (r == -ENOMEM)
                return no_memory();
        if (r < 0 || f.tmux_socket[0] != '/' || get_number(j, "width", &f.width) < 0 ||
                        get_number(j, "height", &f.height) < 0 ||
                        get_number(j, "history", &f.history) < 0)
                return refuse("%s lacks something or holds it in a wrong form; run `mosaic fleet "
                              "apply`",
                                path);
        *ret = f;
        f.tmux_socket = NULL;
        return 0;
}

int write_record(const char *directory,
                const char *subdirectory,
                const char *name,
                const Json *record) {
        _cleanup_free_ char *dir = NULL, *path = NULL, *text = NULL;
        int r;

        r = json_to_text(record, JSON_PLAIN, &text);
        if (r < 0)
                return r;
        if (format_text(&dir, "%s/%s", directory, subdirectory) < 0)
                return -ENOMEM;
        if (format_text(&path, "%s/%s.json", dir, name) < 0)
                return -ENOMEM;
        /* Both records count in this boot only: nothing is waited for. */
        r = file_replace_volatile(path, text, strlen(text), 0600);
        if (r != -ENOENT)
                return r;
        r = dir_make(dir); /* the first record of its kind */
        if (r < 0)
                return r;
        return file_replace_volatile(path, text, strlen(text), 0600);
}

int keeper_path(char **ret) {
        static const char deleted[] = " (deleted)";
        const char *dir = getenv("MOSAIC_LIBEXEC_DIR");
        _cleanup_free_ char *given = NULL, *path = NULL;
        char self[PATH_MAX], *slash;
        size_t n;
        ssize_t r;

        if (dir && dir[0] == '/') {
                if (format_text(&given, "%s/" KEEPER_NAME, dir) < 0)
                        return -ENOMEM;
                if (access(given, X_OK) == 0) {
                        *ret = TAKE_PTR(given);
                        return 0;
                }
        }
        r = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (r < 0)
                return -errno;
        n = (size_t)r;
        self[n] = '\0';
        /* An upgrade replaced this program while it ran: the new keeper is the right one. */
        if (n > strlen(deleted) && strcmp(self + n - strlen(deleted), deleted) == 0)
                self[n - strlen(deleted)] = '\0';
        slash = strrchr(self, '/');
        if (!slash)
                return -ENOENT;
        if (format_text(&path, "%.*s/" KEEPER_NAME, (int)(slash - self), self) < 0)
                return -ENOMEM;
        if (access(path, X_OK) < 0)
                return -ENOENT;
        *ret = TAKE_PTR(path);
        return 0;
}
