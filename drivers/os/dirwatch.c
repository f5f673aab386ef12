/* SPDX-License-Identifier: MIT */
#include "drivers/os/dirwatch.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "drivers/os/dirwatch-events.h"
#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/strv.h"

#define LINKS_MAX 40 /* as the kernel's own limit */
#define WALKS_MAX 8

/* What a directory on the way tells; of its entries only the next step counts. */
#define WAY_MASK                                                                                   \
        (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF |        \
                        IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)
#define CONTENT_MASK (IN_MODIFY | IN_CLOSE_WRITE)
/* A write through another name of the same file (a hard link) is seen at the file alone. */
#define FILE_MASK (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

/* Directories above the one that holds the file or a link which are watched too: they may be
 * replaced as a whole. Not where only the entry counts: /tmp tells too much. */
#define LEVELS_ABOVE 2

typedef struct Target {
        char *path;
        bool content;
} Target;

struct DirWatch {
        int fd;
        int old_fd; /* the one before, until nobody waits on it; -1: none */
        int error;
        Target *targets;
        size_t n_targets;
        Watched *watched;
        size_t n_watched;
};

static void forget_watched(DirWatch *w) {
        for (size_t i = 0; i < w->n_watched; i++)
                free(w->watched[i].name);
        free(w->watched);
        w->watched = NULL;
        w->n_watched = 0;
}

DirWatch *dirwatch_free(DirWatch *w) {
        if (!w)
                return NULL;
        forget_watched(w);
        for (size_t i = 0; i < w->n_targets; i++)
                free(w->targets[i].path);
        free(w->targets);
        if (w->fd >= 0)
                (void)close(w->fd);
        dirwatch_close_old(w);
        free(w);
        return NULL;
}

void dirwatch_close_old(DirWatch *w) {
        if (w->old_fd >= 0)
                (void)close(w->old_fd);
        w->old_fd = -1;
}

static void open_inotify(DirWatch *w) {
        w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        w->error = w->fd < 0 ? -errno : 0;
}

int dirwatch_new(DirWatch **ret) {
        DirWatch *w = calloc(1, sizeof(DirWatch));

        if (!w)
                return -ENOMEM;
        w->old_fd = -1;
        open_inotify(w);
        *ret = w;
        return 0;
}

int dirwatch_fd(const DirWatch *w) {
        return w->fd;
}

int dirwatch_degraded(const DirWatch *w) {
        return w->error;
}

size_t dirwatch_count(const DirWatch *w) {
        size_t n = 0;

        for (size_t i = 0; i < w->n_watched; i++) {
                bool again = false;

                for (size_t k = 0; k < i && !again; k++)
                        again = w->watched[k].id == w->watched[i].id;
                n += !again;
        }
        return n;
}

int dirwatch_add(DirWatch *w, const char *path, bool content) {
        Target *t = array_grow(&w->targets, w->n_targets, sizeof(Target));

        if (!t)
                return -ENOMEM;
        t->path = strdup(path);
        if (!t->path)
                return -ENOMEM;
        t->content = content;
        w->n_targets++;
        return 0;
}

/* --- setting watches -------------------------------------------------------------------------- */

/* A watch, refused or not; -ENOMEM is the only error. */
static int watch(DirWatch *w, size_t file, const char *path, uint32_t mask, const char *name) {
        bool holds_file = mask & IN_ONLYDIR && mask & CONTENT_MASK;
        Watched *x;
        int id;

        if (w->fd < 0)
                return 0;
        /* One directory may be on the way of two files: what was asked for before stays. */
        id = inotify_add_watch(w->fd, path, mask | IN_MASK_ADD);
        if (id < 0) {
                if (errno == ENOMEM)
                        return -ENOMEM;
                /* Gone between two looks: the directory above tells. One above that others keep to
                 * themselves is seldom replaced; the one that holds the file is needed. */
                if (errno != ENOENT && errno != ENOTDIR && (errno != EACCES || holds_file))
                        w->error = -errno;
                return 0;
        }
        x = array_grow(&w->watched, w->n_watched, sizeof(Watched));
        if (!x)
                return -ENOMEM;
        x->id = id;
        x->file = file;
        x->name = name ? strdup(name) : NULL;
        if (name && !x->name)
                return -ENOMEM;
        w->n_watched++;
        return 0;
}

/* One step on the way to a file: the directory, and the entry that leads on. */
typedef struct Step {
        char *dir;
        char *name;
        bool counts; /* it holds a link, or the file itself, or is shortly above */
} Step;

typedef struct Way {
        Step *steps;
        size_t n_steps;
        size_t above; /* levels above what holds a link or the file that count */
        char *end;    /* the file, when it is there */
} Way;

static void way_done(Way *way) {
        for (size_t i = 0; i < way->n_steps; i++) {
                free(way->steps[i].dir);
                free(way->steps[i].name);
        }
        free(way->steps);
        free(way->end);
}

static int add_step(Way *way, const char *dir, const char *name) {
        Step *s = array_grow(&way->steps, way->n_steps, sizeof(Step));

        if (!s)
                return -ENOMEM;
        way->n_steps++;
        s->dir = strdup(dir);
        s->name = strdup(name);
        return s->dir && s->name ? 0 : -ENOMEM;
}

static void mark(Way *way) {
        for (size_t i = 0; i <= way->above && i < way->n_steps; i++)
                way->steps[way->n_steps - 1 - i].counts = true;
}

/* "DIR/NAME" without a double slash at the root. Caller frees; NULL without memory. */
static char *below(const char *dir, const char *name) {
        char *path;

        if (format_text(&path, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name) < 0)
                return NULL;
        return path;
}

static char *above(const char *dir) {
        const char *slash = strrchr(dir, '/');

        return slash == dir || !slash ? strdup("/") : strndup(dir, (size_t)(slash - dir));
}

/* Puts the content of a link before what is left of the path. */
static int follow(const char *path, char **rest, char **dir) {
        char target[PATH_MAX];
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        char *joined;

        if (n < 0)
                return -errno;
        target[n] = '\0';
        if (format_text(&joined, "%s/%s", target, *rest) < 0)
                return -ENOMEM;
        free(*rest);
        *rest = joined;
        if (target[0] == '/') {
                char *root = strdup("/");

                if (!root)
                        return -ENOMEM;
                free(*dir);
                *dir = root;
        }
        return 0;
}

/* Takes the first component off @rest. Caller frees; NULL without memory. */
static char *next_component(char *rest) {
        size_t skip = strspn(rest, "/"), n = strcspn(rest + skip, "/");
        char *name = strndup(rest + skip, n);

        memmove(rest, rest + skip + n, strlen(rest + skip + n) + 1);
        return name;
}

/* Walks as the kernel would, as far as there is something. */
static int walk(const char *path, Way *way) {
        _cleanup_free_ char *rest = strdup(path), *dir = strdup("/");
        unsigned n_links = 0;

        if (!rest || !dir)
                return -ENOMEM;
        while (rest[strspn(rest, "/")] != '\0') {
                _cleanup_free_ char *name = next_component(rest), *entry = NULL;
                struct stat st;
                int r;

                if (!name)
                        return -ENOMEM;
                if (strcmp(name, ".") == 0)
                        continue;
                if (strcmp(name, "..") == 0) {
                        char *up = above(dir);

                        if (!up)
                                return -ENOMEM;
                        free(dir);
                        dir = up;
                        continue;
                }
                r = add_step(way, dir, name);
                if (r < 0)
                        return r;
                entry = below(dir, name);
                if (!entry)
                        return -ENOMEM;
                if (lstat(entry, &st) < 0) {
                        mark(way);
                        return 0;
                }
                if (S_ISLNK(st.st_mode)) {
                        mark(way);
                        if (++n_links > LINKS_MAX)
                                return 0;
                        r = follow(entry, &rest, &dir);
                        if (r == -ENOMEM)
                                return r;
                        if (r < 0)
                                return 0;
                        continue;
                }
                free(dir);
                dir = TAKE_PTR(entry);
        }
        mark(way);
        way->end = TAKE_PTR(dir);
        return 0;
}

static int watch_way(DirWatch *w, size_t file, const Way *way) {
        const Target *t = w->targets + file;
        int r = 0;

        for (size_t i = 0; i < way->n_steps && r == 0; i++) {
                const Step *s = way->steps + i;
                bool last = i + 1 == way->n_steps;

                if (s->counts)
                        r = watch(w, file, s->dir,
                                        WAY_MASK | (last && t->content ? CONTENT_MASK : 0),
                                        s->name);
        }
        if (r == 0 && way->end && t->content)
                r = watch(w, file, way->end, FILE_MASK, NULL);
        return r;
}

static bool same_way(const Way *a, const Way *b) {
        if (a->n_steps != b->n_steps || !a->end != !b->end)
                return false;
        for (size_t i = 0; i < a->n_steps; i++)
                if (strcmp(a->steps[i].dir, b->steps[i].dir) != 0 ||
                                strcmp(a->steps[i].name, b->steps[i].name) != 0)
                        return false;
        return true;
}

/* What changes on the way after it was walked and before it is watched would never be told: walked
 * again, until it is the way that is watched. */
static int watch_target(DirWatch *w, size_t file) {
        for (unsigned i = 0; i < WALKS_MAX; i++) {
                size_t above = w->targets[file].content ? LEVELS_ABOVE : 0;
                _cleanup_(way_done) Way way = { .above = above }, again = { .above = above };
                int r;

                r = walk(w->targets[file].path, &way);
                if (r == 0)
                        r = watch_way(w, file, &way);
                if (r == 0)
                        r = walk(w->targets[file].path, &again);
                if (r < 0 || same_way(&way, &again))
                        return r;
        }
        return 0;
}

/* Watches that lead nowhere any more. */
static void drop_stale(DirWatch *w, const Watched *old, size_t n_old) {
        for (size_t i = 0; i < n_old; i++) {
                bool kept = false;

                for (size_t k = 0; k < w->n_watched && !kept; k++)
                        kept = w->watched[k].id == old[i].id;
                if (!kept && w->fd >= 0)
                        (void)inotify_rm_watch(w->fd, old[i].id);
                free(old[i].name);
        }
}

int dirwatch_renew(DirWatch *w) {
        Watched *old = w->watched;
        size_t n_old = w->n_watched;
        int r = 0;

        w->watched = NULL;
        w->n_watched = 0;
        if (w->fd < 0)
                open_inotify(w);
        else
                w->error = 0;
        for (size_t i = 0; i < w->n_targets && r == 0; i++)
                r = watch_target(w, i);
        drop_stale(w, old, n_old);
        free(old);
        return r;
}

/* --- taking in -------------------------------------------------------------------------------- */

/* It cannot be trusted any more: a new one, and a look at everything. The old one stays open, for
 * epoll forgets only what is: a process that was forked meanwhile may have it too. */
static void start_over(DirWatch *w, bool *touched, size_t n) {
        dirwatch_close_old(w);
        w->old_fd = w->fd;
        open_inotify(w);
        for (size_t i = 0; i < n; i++)
                touched[i] = true;
}

int dirwatch_take(DirWatch *w, bool *touched, size_t n) {
        char buffer[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
        bool any = false;

        for (;;) {
                ssize_t got = w->fd >= 0 ? read(w->fd, buffer, sizeof(buffer)) : 0;

                if (got < 0 && errno == EINTR)
                        continue;
                if (got == 0 || (got < 0 && errno == EAGAIN))
                        break;
                if (got < 0 || !dirwatch_events(buffer, (size_t)got, w->watched, w->n_watched,
                                               touched, n)) {
                        start_over(w, touched, n);
                        break;
                }
        }
        for (size_t i = 0; i < n; i++)
                any = any || touched[i];
        return any ? dirwatch_renew(w) : 0;
}
