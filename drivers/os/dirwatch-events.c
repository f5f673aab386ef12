/* SPDX-License-Identifier: MIT */
#include "drivers/os/dirwatch-events.h"

#include <string.h>
#include <sys/inotify.h>

/* What happened to the watched file or directory itself, whatever it holds. */
#define SELF_MASK (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)

static void touch_all(bool *touched, size_t n) {
        for (size_t i = 0; i < n; i++)
                touched[i] = true;
}

/* @name NULL: it happened to what is watched, not to an entry of it. */
static void take_event(const struct inotify_event *e,
                const char *name,
                const Watched *watched,
                size_t n_watched,
                bool *touched,
                size_t n) {
        for (size_t i = 0; i < n_watched; i++) {
                const Watched *x = watched + i;

                if (x->id != e->wd || x->file >= n)
                        continue;
                /* Of the entries of a directory only the one that leads on counts; what happens
                 * to the attributes of the directory itself does too. */
                if (e->mask & SELF_MASK || !x->name || !name || strcmp(name, x->name) == 0)
                        touched[x->file] = true;
        }
}

/* Takes the first event off the bytes. False: they do not begin with a whole one. */
static bool
next_event(const char **bytes, size_t *size, struct inotify_event *ret, const char **ret_name) {
        const char *name;

        if (*size < sizeof(*ret))
                return false;
        /* Copied: only the length of the one before says whether it is aligned. */
        memcpy(ret, *bytes, sizeof(*ret));
        name = *bytes + sizeof(*ret);
        if (ret->len > *size - sizeof(*ret) || (ret->len > 0 && !memchr(name, '\0', ret->len)))
                return false;
        *ret_name = ret->len > 0 ? name : NULL;
        *bytes = name + ret->len;
        *size -= sizeof(*ret) + ret->len;
        return true;
}

bool dirwatch_events(const void *bytes,
                size_t size,
                const Watched *watched,
                size_t n_watched,
                bool *touched,
                size_t n) {
        const char *p = bytes, *name;
        struct inotify_event e;

        while (size > 0) {
                if (!next_event(&p, &size, &e, &name)) {
                        touch_all(touched, n);
                        return false;
                }
                if (e.mask & IN_Q_OVERFLOW)
                        touch_all(touched, n);
                else
                        take_event(&e, name, watched, n_watched, touched, n);
        }
        return true;
}
