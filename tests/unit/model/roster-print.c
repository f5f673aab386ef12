/* SPDX-License-Identifier: MIT */

/*
 * Loads a roster for a fixed machine and prints what comes out: findings as text, or as JSON
 * (--json), and the desired state as JSON (--desired). For golden tests. Exit: 0 valid, 1 invalid,
 * 2 something else.
 *
 *     roster-print [--json | --desired | --github] FILE
 */

#include <string.h>

#include "framework/assets.h"
#include "model/base/array.h"
#include "model/diag-render.h"
#include "model/roster.h"

static const Machine machine = {
        .hostname = "build-1.example",
        .user_home = "/home/ana",
        .mosaic_home = "/home/ana/.config/mosaic",
        .n_cpus = 4,
        .memory = UINT64_C(8) << 30,
        .path = "/usr/bin:/bin",
};

static int read_file(const char *path, char **ret, size_t *ret_size) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        _cleanup_free_ char *bytes = NULL;
        size_t n;

        if (!f)
                return -errno;
        bytes = malloc(8u << 20);
        if (!bytes)
                return -ENOMEM;
        n = fread(bytes, 1, 8u << 20, f);
        *ret = TAKE_PTR(bytes);
        *ret_size = n;
        return 0;
}

static size_t collect_runtimes(RosterSource *list, size_t n_list) {
        size_t n = 0;

        for (size_t i = 0; i < n_assets && n < n_list; i++)
                if (strncmp(assets[i].path, "fleet/runtimes/", 15) == 0)
                        list[n++] = (RosterSource){
                                .name = assets[i].path,
                                .bytes = (const char *)assets[i].bytes,
                                .size = assets[i].size,
                        };
        return n;
}

static void put_talk(JsonBuilder *b, const AgentSpec *s) {
        json_open_object(b, "talk");
        json_put_string(b, "ready", s->talk.ready_pattern);
        json_put_string(b, "composer", s->talk.composer_pattern);
        json_put_string(b, "composer_rest", s->talk.composer_rest);
        json_put_string(b, "composer_unfocused", s->talk.composer_unfocused);
        json_put_string(b, "composer_misreads", s->talk.composer_misreads);
        json_put_string(b, "composer_prefix", s->talk.composer_prefix);
        json_put_string(b, "busy", s->talk.busy_pattern);
        json_put_string(b, "busy_title", s->talk.busy_title);
        json_put_string(b, "waiting", s->talk.waiting_pattern);
        json_put_string(b, "waiting_title", s->talk.waiting_title);
        json_put_string(b, "reset", s->talk.reset_keys);
        json_put_string(b, "quit", s->talk.quit_keys);
        json_put_string(b, "submit", s->talk.submit_key);
        json_put_uint(b, "ready_timeout", s->talk.ready_timeout_usec);
        json_put_uint(b, "reset_settle", s->talk.reset_settle_usec);
        json_put_uint(b, "submit_delay", s->talk.submit_delay_usec);
        json_close(b);
}

static void put_agent(JsonBuilder *b, const AgentSpec *s) {
        json_open_object(b, NULL);
        json_put_string(b, "name", s->name);
        json_put_uint(b, "line", s->line);
        json_put_string(b, "runtime", s->runtime);
        json_put_string(b, "model", s->model);
        json_put_strv(b, "argv", s->argv);
        json_put_string(b, "workdir", s->workdir);
        json_put_strv(b, "env", s->env);
        json_put_strv(b, "env_files", s->env_files);
        json_open_object(b, "credentials");
        for (size_t i = 0; i < s->n_credentials; i++)
                json_put_string(b, s->credentials[i].variable, s->credentials[i].file);
        json_close(b);
        json_put_strv(b, "env_pass", s->env_pass);
        json_put_string(b, "restart", restart_policy_to_string(s->restart_policy));
        json_put_uint(b, "restart_delay", s->restart_delay_usec);
        json_put_uint(b, "restart_attempts", s->restart_attempts);
        json_put_uint(b, "restart_window", s->restart_window_usec);
        json_put_uint(b, "limit_memory", s->limit_memory);
        json_put_uint(b, "limit_cpu", s->limit_cpu);
        json_put_uint(b, "limit_tasks", s->limit_tasks);
        json_put_uint(b, "stop_timeout", s->stop_timeout_usec);
        json_put_strv(b, "success_exit_status", s->success_exit_status);
        json_put_string(b, "state", desired_state_to_string(s->state));
        json_put_string(b, "on_change", on_change_to_string(s->on_change));
        json_put_string(b, "description", s->description);
        json_put_strv(b, "labels", s->labels);
        json_put_strv(b, "after", s->after);
        put_talk(b, s);
        json_put_strv(b, "resume_args", s->resume_args);
        json_put_string(b, "install", s->install);
        json_put_bool(b, "elsewhere", s->elsewhere);
        json_put_string(b, "restart_fingerprint", s->restart_fingerprint);
        json_put_string(b, "live_fingerprint", s->live_fingerprint);
        json_put_string(b, "resolved", s->resolved);
        json_close(b);
}

static int desired_to_json(const Desired *d, Json **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_string(&b, "fleet", d->fleet_name);
        json_put_string(&b, "socket", d->tmux_socket);
        json_put_uint(&b, "width", d->tmux_width);
        json_put_uint(&b, "height", d->tmux_height);
        json_put_uint(&b, "history", d->tmux_history);
        json_put_string(&b, "supervisor", supervisor_to_string(d->supervisor));
        json_open_array(&b, "agents");
        for (size_t i = 0; i < d->n_agents; i++)
                put_agent(&b, d->agents[i]);
        json_close(&b);
        json_close(&b);
        return json_finish(&b, ret);
}

static int print_json(Json *j) {
        _cleanup_free_ char *text = NULL;

        if (json_to_text(j, JSON_PRETTY, &text) < 0)
                return 2;
        puts(text);
        return 0;
}

static int findings_to_json(
                const Diags *d, const char *file, const char *bytes, size_t size, Json **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        json_open_object(&b, NULL);
        json_put_uint(&b, "version", 1);
        json_put_string(&b, "file", file);
        json_put_bool(&b, "valid", d->n_errors == 0);
        json_put_uint(&b, "errors", d->n_errors);
        json_put_uint(&b, "warnings", d->n_warnings);
        diags_put_json(&b, "diagnostics", d, bytes, size);
        json_close(&b);
        return json_finish(&b, ret);
}

int main(int argc, char **argv) {
        _cleanup_(desired_freep) Desired *desired = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        _cleanup_free_ char *bytes = NULL, *text = NULL;
        _cleanup_json_ Json *j = NULL;
        RosterSource runtimes[16], roster;
        const char *mode = argc > 2 ? argv[1] : "", *path = argv[argc - 1], *name;
        size_t size = 0, n;
        int r;

        if (argc < 2 || read_file(path, &bytes, &size) < 0) {
                fprintf(stderr, "roster-print: cannot read %s\n", path);
                return 2;
        }
        name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        n = collect_runtimes(runtimes, ELEMENTSOF(runtimes));
        roster = (RosterSource){ .name = name, .bytes = bytes, .size = size };
        r = roster_load(&roster, runtimes, n, &machine, &diags, &desired);
        if (r < 0) {
                fprintf(stderr, "roster-print: %s\n", strerror(-r));
                return 2;
        }
        if (strcmp(mode, "--desired") == 0 && r == 0)
                return desired_to_json(desired, &j) < 0 || print_json(j) != 0 ? 2 : 0;
        if (strcmp(mode, "--json") == 0) {
                if (findings_to_json(&diags, name, bytes, size, &j) < 0 || print_json(j) != 0)
                        return 2;
                return r;
        }
        if (strcmp(mode, "--github") == 0)
                r = diags_render_github(&diags, name, bytes, size, &text) < 0 ? 2 : r;
        else
                r = diags_render_text(&diags, name, bytes, size, /* color= */ false, &text) < 0 ? 2
                                                                                                : r;
        fputs(text, stdout);
        return r;
}
