/* SPDX-License-Identifier: MIT */
#include "drivers/systemd/dropin.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/os/file.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strbuf.h"
#include "model/base/strv.h"

#define DROPIN_SIZE_MAX (64 * 1024)

bool exit_status_word_is_valid(const char *word) {
        uint64_t status;

        if (word[0] >= '0' && word[0] <= '9')
                return parse_uint_range(word, 0, 255, &status) >= 0 &&
                       status != EXIT_STATUS_REFUSED && (word[0] != '0' || word[1] == '\0');
        if (strncmp(word, "SIG", 3) != 0)
                return false;
        for (int i = 1; i < SIGRTMIN; i++) {
                const char *name = sigabbrev_np(i);

                if (name && strcmp(word + 3, name) == 0)
                        return true;
        }
        return false;
}

/* In the largest unit that says it exactly. */
static void add_duration(StrBuf *b, const char *key, uint64_t usec) {
        strbuf_addf(b, "%s=", key);
        if (usec == USEC_INFINITY)
                strbuf_add(b, "infinity");
        else if (usec % USEC_PER_SEC == 0)
                strbuf_addf(b, "%" PRIu64 "s", usec / USEC_PER_SEC);
        else if (usec % USEC_PER_MSEC == 0)
                strbuf_addf(b, "%" PRIu64 "ms", usec / USEC_PER_MSEC);
        else
                strbuf_addf(b, "%" PRIu64 "us", usec);
        strbuf_add_char(b, '\n');
}

/*
 * The limit counts starts, the first one too, so N attempts are N + 1 starts. With the limit off a
 * burst would mean nothing. It counts starts by hand as well: `start` forgets the count first.
 */
static void add_start_limit(StrBuf *b, const AgentSpec *s) {
        if (s->restart_policy == RESTART_NEVER || s->restart_attempts == 0) {
                strbuf_add(b, "StartLimitIntervalSec=0\n");
                return;
        }
        add_duration(b, "StartLimitIntervalSec", s->restart_window_usec);
        strbuf_addf(b, "StartLimitBurst=%" PRIu64 "\n", (uint64_t)s->restart_attempts + 1);
}

static void add_restart(StrBuf *b, const AgentSpec *s) {
        switch (s->restart_policy) {
        case RESTART_ALWAYS:
                strbuf_add(b, "Restart=always\n");
                break;
        case RESTART_ON_FAILURE:
                /* A hangup is a clean exit to systemd, but to an agent it means that its terminal
                 * was taken away: the session was killed, or the tmux server died. */
                strbuf_add(b, "Restart=on-failure\nRestartForceExitStatus=SIGHUP\n");
                break;
        case RESTART_NEVER:
                strbuf_add(b, "Restart=no\n");
                return;
        case _RESTART_POLICY_MAX:
                assert(false);
        }
        add_duration(b, "RestartSec", s->restart_delay_usec);
}

static int add_success(StrBuf *b, const AgentSpec *s) {
        if (!s->success_exit_status || !s->success_exit_status[0])
                return 0;
        strbuf_add(b, "SuccessExitStatus=");
        for (char **word = s->success_exit_status; *word; word++) {
                if (!exit_status_word_is_valid(*word))
                        return -EINVAL;
                strbuf_addf(b, "%s%s", word == s->success_exit_status ? "" : " ", *word);
        }
        strbuf_add_char(b, '\n');
        return 0;
}

int dropin_render(const AgentSpec *s, char **ret) {
        _cleanup_strbuf_ StrBuf b = STRBUF_NULL;
        int r;

        strbuf_add(&b, "# Owned by mosaic, which replaces it. Change the roster instead; what the "
                       "roster\n"
                       "# cannot say goes into a file of another name beside this one.\n"
                       "[Unit]\n");
        add_start_limit(&b, s);
        strbuf_add(&b, "\n[Service]\n");
        add_restart(&b, s);
        r = add_success(&b, s);
        if (r < 0)
                return r;
        /* To systemd 0 is "wait for ever"; to a roster it is "kill at once". */
        add_duration(&b, "TimeoutStopSec", s->stop_timeout_usec ? s->stop_timeout_usec : 1);
        if (s->limit_memory > 0)
                strbuf_addf(&b, "MemoryMax=%" PRIu64 "\n", s->limit_memory);
        if (s->limit_cpu > 0)
                strbuf_addf(&b, "CPUQuota=%u%%\n", s->limit_cpu);
        if (s->limit_tasks > 0)
                strbuf_addf(&b, "TasksMax=%u\n", s->limit_tasks);
        return strbuf_finish(&b, ret);
}

int dropin_directory(const Paths *p, const char *agent, char **ret) {
        assert(agent_name_is_valid(agent));
        return format_text(ret, "%s/%sagent@%s.service.d", p->units, p->unit_prefix, agent);
}

int dropin_path(const Paths *p, const char *agent, char **ret) {
        _cleanup_free_ char *directory = NULL;
        int r;

        r = dropin_directory(p, agent, &directory);
        if (r < 0)
                return r;
        return path_join(directory, DROPIN_FILE, ret);
}

static int check_text(const char *path, const char *text, DropinState *ret) {
        _cleanup_free_ char *bytes = NULL;
        size_t size;
        int r;

        r = file_read_limited(path, DROPIN_SIZE_MAX, &bytes, &size);
        if (r == -ENOENT) {
                *ret = DROPIN_ABSENT;
                return 0;
        }
        if (r < 0 && r != -EFBIG)
                return r;
        *ret = r >= 0 && size == strlen(text) && memcmp(bytes, text, size) == 0 ? DROPIN_CURRENT
                                                                                : DROPIN_DIFFERS;
        return 0;
}

int dropin_check(const Paths *p, const AgentSpec *s, DropinState *ret) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        int r;

        r = dropin_path(p, s->name, &path);
        if (r < 0)
                return r;
        r = dropin_render(s, &text);
        if (r < 0)
                return r;
        return check_text(path, text, ret);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Up to this many are written one by one; see drivers/os/file.c for why not always together. */
#define ONE_BY_ONE_MAX 4

/* Those that have to be written. */
typedef struct Batch {
        char **agents;
        char **texts;
} Batch;

static void batch_done(Batch *b) {
        strv_free(b->agents);
        strv_free(b->texts);
}

static int batch_add(Batch *b, const Paths *p, const AgentSpec *s) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        DropinState state;
        int r;

        r = dropin_path(p, s->name, &path);
        if (r < 0)
                return r;
        r = dropin_render(s, &text);
        if (r < 0)
                return r;
        r = check_text(path, text, &state);
        if (r < 0 || state == DROPIN_CURRENT)
                return r;
        r = strv_push(&b->agents, s->name);
        if (r < 0)
                return r;
        return strv_take(&b->texts, TAKE_PTR(text));
}

/* @sync: on its own; where many are made one sync for all of them follows. */
static int make_directory(const char *path, bool sync) {
        if (!sync && mkdir(path, 0700) == 0)
                return 0;
        return dir_make(path);
}

static int write_one(const Paths *p, const char *agent, const char *text) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = dropin_path(p, agent, &path);
        if (r < 0)
                return r;
        return file_replace(path, text, strlen(text), 0600);
}

/* One sync for all texts, one for their names. */
static int write_together(const Paths *p, const Batch *b) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        for (char **agent = b->agents; *agent; agent++) {
                r = strv_pushf(&names, "%sagent@%s.service.d/" DROPIN_FILE, p->unit_prefix, *agent);
                if (r < 0)
                        return r;
        }
        r = file_replace_many(p->units, names, b->texts, 0600);
        if (r < 0)
                return r;
        fd = open(p->units, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || syncfs(fd) < 0 ? -errno : 0;
}

int dropins_write(const Paths *p, AgentSpec *const *specs, size_t n) {
        _cleanup_(batch_done) Batch b = { 0 };
        size_t n_batch;
        bool together;
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = batch_add(&b, p, specs[i]);
        n_batch = strv_length(b.agents);
        together = n_batch > ONE_BY_ONE_MAX;
        for (size_t i = 0; i < n_batch && r >= 0; i++) {
                _cleanup_free_ char *directory = NULL;

                r = dropin_directory(p, b.agents[i], &directory);
                if (r >= 0)
                        r = make_directory(directory, !together);
        }
        if (r < 0)
                return r;

        if (together)
                return write_together(p, &b);
        for (size_t i = 0; i < n_batch && r >= 0; i++)
                r = write_one(p, b.agents[i], b.texts[i]);
        return r;
}

int dropin_remove(const Paths *p, const char *agent) {
        _cleanup_free_ char *directory = NULL, *path = NULL;
        int r;

        r = dropin_directory(p, agent, &directory);
        if (r < 0)
                return r;
        r = path_join(directory, DROPIN_FILE, &path);
        if (r < 0)
                return r;
        r = file_remove(path);
        if (r == -ENOTDIR)
                return 0;
        if (r == 0)
                r = file_sweep(path); /* what is left of a writer that was killed */
        if (r < 0)
                return r;
        if (rmdir(directory) < 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
                return -errno;
        return 0;
}
