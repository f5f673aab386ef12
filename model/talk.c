/* SPDX-License-Identifier: MIT */
#include "model/talk.h"

#define AT(field) offsetof(RuntimeTalk, field)

static const struct {
        const char *key;
        size_t offset;
} texts[] = {
        { "ready_pattern", AT(ready_pattern) },
        { "composer_pattern", AT(composer_pattern) },
        { "composer_rest", AT(composer_rest) },
        { "composer_unfocused", AT(composer_unfocused) },
        { "composer_misreads", AT(composer_misreads) },
        { "composer_prefix", AT(composer_prefix) },
        { "busy_pattern", AT(busy_pattern) },
        { "busy_title", AT(busy_title) },
        { "waiting_pattern", AT(waiting_pattern) },
        { "waiting_title", AT(waiting_title) },
        { "reset_keys", AT(reset_keys) },
        { "quit_keys", AT(quit_keys) },
        { "submit_key", AT(submit_key) },
};

static const struct {
        const char *key;
        size_t offset;
} times[] = {
        { "ready_timeout_usec", AT(ready_timeout_usec) },
        { "reset_settle_usec", AT(reset_settle_usec) },
        { "submit_delay_usec", AT(submit_delay_usec) },
};

static char **text_of(const RuntimeTalk *t, size_t offset) {
        return (char **)((uintptr_t)t + offset);
}

static uint64_t *time_of(const RuntimeTalk *t, size_t offset) {
        return (uint64_t *)((uintptr_t)t + offset);
}

void runtime_talk_done(RuntimeTalk *t) {
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                free(*text_of(t, texts[i].offset));
        *t = (RuntimeTalk){ 0 };
}

void runtime_talk_put(JsonBuilder *b, const RuntimeTalk *t) {
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (*text_of(t, texts[i].offset))
                        json_put_string(b, texts[i].key, *text_of(t, texts[i].offset));
        for (size_t i = 0; i < ELEMENTSOF(times); i++)
                if (*time_of(t, times[i].offset) > 0)
                        json_put_uint(b, times[i].key, *time_of(t, times[i].offset));
}

int runtime_talk_get(const Json *j, RuntimeTalk *t) {
        int r;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                r = json_get_strdup(
                                j, texts[i].key, /* optional= */ true, text_of(t, texts[i].offset));
                if (r < 0)
                        return r == -ENOMEM ? r : -EBADMSG;
        }
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                r = json_get_uint64(j, times[i].key, time_of(t, times[i].offset));
                if (r < 0 && r != -ENOENT)
                        return -EBADMSG;
        }
        return 0;
}
