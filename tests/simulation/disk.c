/* SPDX-License-Identifier: MIT */
#include "tests/simulation/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/base/cleanup.h"

#define NODES_MAX 256
#define ENTRIES_MAX 256
#define NOTES_MAX 256
#define FDS_MAX 256
#define NAME_LENGTH 96
#define CONTENT_MAX 65536

/* Of one place at most so many states; where there are more, so many are taken. */
#define ALL_MAX 4096
#define SOME 768

typedef enum NoteKind {
        NOTE_CREATE,
        NOTE_MKDIR,
        NOTE_RENAME,
        NOTE_REMOVE, /* a file or a directory */
        NOTE_WRITE,
        NOTE_SYNC,
        NOTE_SYNC_ALL,
} NoteKind;

/* A file or a directory, whatever its name is at the moment. */
typedef struct Node {
        bool is_directory;
        mode_t mode;
        char *bytes; /* of a file, at disk_begin() */
        size_t size;
        ino_t inode; /* where it is now */
        unsigned changed;
} Node;

typedef struct Entry {
        int directory, node;
        char name[NAME_LENGTH];
} Entry;

typedef struct Tree {
        Entry entries[ENTRIES_MAX];
        size_t n;
} Tree;

typedef struct Note {
        NoteKind kind;
        int node;
        int directory, to;
        char name[NAME_LENGTH], to_name[NAME_LENGTH];
        char *bytes;
        size_t size, offset;
        unsigned n_parts; /* how much of it may be there: 1: it is on disk, whatever happens */
        unsigned part;    /* a Part; of a name only PART_ALL and PART_NONE */
} Note;

typedef enum Part {
        PART_ALL,
        PART_NONE,
        PART_HALF,
        PART_ZEROS,
        _PART_MAX,
} Part;

static Node nodes[NODES_MAX];
static size_t n_nodes;
static Tree base, now;
static Note notes[NOTES_MAX];
static size_t n_notes;
static char root[256];
static bool noting;
static int node_of[FDS_MAX]; /* of a descriptor; 0: not one of ours */
static unsigned fail_at, n_calls;
static int fail_with;
static bool has_failed, was_short;

/* The linker gives these calls of the code under test to us: see meson.build. */
int __real_open64(const char *path, int flags, ...);
int __real_openat64(int at, const char *path, int flags, ...);
int __real_close(int fd);
ssize_t __real_write(int fd, const void *bytes, size_t n);
int __real_renameat(int from, const char *name, int to, const char *to_name);
int __real_unlinkat(int at, const char *name, int flags);
int __real_mkdir(const char *path, mode_t mode);
int __real_fstatat64(int at, const char *path, struct stat64 *st, int flags);

int __wrap_open64(const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...);
int __wrap_close(int fd);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
int __wrap_fsync(int fd);
int __wrap_syncfs(int fd);
int __wrap_renameat(int from, const char *name, int to, const char *to_name);
int __wrap_rename(const char *path, const char *to_path);
int __wrap_unlinkat(int at, const char *path, int flags);
int __wrap_unlink(const char *path);
int __wrap_rmdir(const char *path);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_fstatat64(int at, const char *path, struct stat64 *st, int flags);

static void must(bool ok, const char *what) {
        if (!ok) {
                (void)fprintf(stderr, "disk: %s\n", what);
                abort();
        }
}

/* --- names ------------------------------------------------------------------------------------ */

static int find(const Tree *t, int directory, const char *name) {
        for (size_t i = 0; i < t->n; i++)
                if (t->entries[i].directory == directory && strcmp(t->entries[i].name, name) == 0)
                        return (int)i;
        return -1;
}

static int node_at(const Tree *t, int directory, const char *name) {
        int i = find(t, directory, name);

        return i < 0 ? -1 : t->entries[i].node;
}

static void drop(Tree *t, int directory, const char *name) {
        int i = find(t, directory, name);

        if (i >= 0)
                t->entries[i] = t->entries[--t->n];
}

static void put(Tree *t, int directory, const char *name, int node) {
        Entry *e;

        drop(t, directory, name);
        must(t->n < ENTRIES_MAX && strlen(name) < NAME_LENGTH, "too many names, or too long ones");
        e = t->entries + t->n++;
        e->directory = directory;
        e->node = node;
        (void)snprintf(e->name, NAME_LENGTH, "%s", name);
}

static int add_node(bool is_directory, mode_t mode) {
        must(n_nodes < NODES_MAX, "too many files");
        nodes[n_nodes] = (Node){ .is_directory = is_directory, .mode = mode };
        return (int)n_nodes++;
}

/* Where a path leads: the directory (-1: not one of ours) and its last part. */
static int where(int at, const char *path, char name[NAME_LENGTH]) {
        size_t length = strlen(root);
        int directory = 0;

        if (!noting)
                return -1;
        if (*path != '/') {
                if (at < 0 || at >= FDS_MAX || node_of[at] == 0)
                        return -1;
                directory = node_of[at] - 1;
        } else {
                if (length == 0 || strncmp(path, root, length) != 0 || path[length] != '/')
                        return -1;
                path += length;
        }
        for (;;) {
                size_t n;

                path += strspn(path, "/");
                n = strcspn(path, "/");
                must(n < NAME_LENGTH, "a name is too long");
                (void)snprintf(name, NAME_LENGTH, "%.*s", (int)n, path);
                if (path[n] == '\0')
                        return directory;
                directory = node_at(&now, directory, name);
                if (directory < 0)
                        return -1;
                path += n;
        }
}

static Note *note(NoteKind kind, int node) {
        must(n_notes < NOTES_MAX, "too many calls");
        notes[n_notes] = (Note){ .kind = kind, .node = node };
        return notes + n_notes++;
}

static void note_name(NoteKind kind, int node, int directory, const char *name) {
        Note *n = note(kind, node);

        n->directory = directory;
        (void)snprintf(n->name, NAME_LENGTH, "%s", name);
        nodes[node].changed = (unsigned)n_notes;
}

/* --- calls ------------------------------------------------------------------------------------ */

/* Is this the call to fail? */
static bool fails(void) {
        if (!noting || ++n_calls != fail_at)
                return false;
        has_failed = true;
        errno = fail_with;
        return true;
}

static int ours(int fd) {
        return noting && fd >= 0 && fd < FDS_MAX ? node_of[fd] - 1 : -1;
}

/* A file that is made anew is none of those that were there, though it may have got their place. */
static void forget_inode(ino_t inode) {
        for (size_t i = 0; i < n_nodes; i++)
                if (nodes[i].inode == inode)
                        nodes[i].inode = 0;
}

static int note_open(int fd, int directory, int node, const char *name, int flags) {
        struct stat st;

        if (fd < 0)
                return fd;
        if (flags & O_CREAT && node < 0) {
                must(fstat(fd, &st) == 0, "fstat");
                forget_inode(st.st_ino);
        }
        if (fd < FDS_MAX)
                node_of[fd] = 0;
        if (node < 0 && directory >= 0 && flags & O_CREAT) {
                node = add_node(false, 0600);
                nodes[node].inode = st.st_ino;
                put(&now, directory, name, node);
                note_name(NOTE_CREATE, node, directory, name);
        }
        if (node >= 0) {
                must(fd < FDS_MAX, "too many descriptors");
                node_of[fd] = node + 1;
        }
        return fd;
}

static int do_open(int at, const char *path, int flags, mode_t mode) {
        char name[NAME_LENGTH] = "";
        int directory = where(at, path, name), node = -1;

        if (noting && strcmp(path, root) == 0)
                node = 0;
        else if (directory >= 0)
                node = node_at(&now, directory, name);
        if ((directory >= 0 || node >= 0) && fails())
                return -1;
        must(!(directory >= 0 && flags & O_TRUNC), "O_TRUNC is not part of this");
        return note_open(__real_openat64(at, path, flags, mode), directory, node, name, flags);
}

int __wrap_open64(const char *path, int flags, ...) {
        mode_t mode = 0;
        va_list list;

        va_start(list, flags);
        if (flags & O_CREAT)
                mode = va_arg(list, mode_t);
        va_end(list);
        return do_open(AT_FDCWD, path, flags, mode);
}

int __wrap_openat64(int at, const char *path, int flags, ...) {
        mode_t mode = 0;
        va_list list;

        va_start(list, flags);
        if (flags & O_CREAT)
                mode = va_arg(list, mode_t);
        va_end(list);
        return do_open(at, path, flags, mode);
}

int __wrap_close(int fd) {
        if (fd >= 0 && fd < FDS_MAX)
                node_of[fd] = 0;
        return __real_close(fd);
}

/* A disk that is full takes what there is room for, and then nothing. */
ssize_t __wrap_write(int fd, const void *bytes, size_t n) {
        int node = ours(fd);
        off_t offset;
        Note *note_of;

        if (node < 0)
                return __real_write(fd, bytes, n);
        if (was_short) {
                errno = fail_with;
                return -1;
        }
        if (fails()) {
                if (n < 2)
                        return -1;
                was_short = true;
                n /= 2;
        }
        offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
        must(offset >= 0 && __real_write(fd, bytes, n) == (ssize_t)n, "cannot write");
        note_of = note(NOTE_WRITE, node);
        note_of->offset = (size_t)offset;
        note_of->size = n;
        note_of->bytes = malloc(n + 1);
        must(note_of->bytes, "no memory");
        memcpy(note_of->bytes, bytes, n);
        nodes[node].changed = (unsigned)n_notes;
        return (ssize_t)n;
}

int __wrap_fsync(int fd) {
        if (ours(fd) < 0)
                return 0;
        if (fails())
                return -1;
        (void)note(NOTE_SYNC, ours(fd));
        return 0;
}

int __wrap_syncfs(int fd) {
        if (ours(fd) < 0)
                return 0;
        if (fails())
                return -1;
        (void)note(NOTE_SYNC_ALL, 0);
        return 0;
}

int __wrap_renameat(int from, const char *path, int to, const char *to_path) {
        char name[NAME_LENGTH], to_name[NAME_LENGTH];
        int directory = where(from, path, name), target = where(to, to_path, to_name), node;
        Note *n;

        if (directory >= 0 && fails())
                return -1;
        if (__real_renameat(from, path, to, to_path) < 0)
                return -1;
        if (directory < 0)
                return 0;
        node = node_at(&now, directory, name);
        must(target >= 0 && node >= 0, "a rename from elsewhere");
        drop(&now, directory, name);
        put(&now, target, to_name, node);
        note_name(NOTE_RENAME, node, directory, name);
        n = notes + n_notes - 1;
        n->to = target;
        (void)snprintf(n->to_name, NAME_LENGTH, "%s", to_name);
        return 0;
}

int __wrap_rename(const char *path, const char *to_path) {
        return __wrap_renameat(AT_FDCWD, path, AT_FDCWD, to_path);
}

int __wrap_unlinkat(int at, const char *path, int flags) {
        char name[NAME_LENGTH];
        int directory = where(at, path, name);

        if (directory >= 0 && fails())
                return -1;
        if (__real_unlinkat(at, path, flags) < 0)
                return -1;
        if (directory >= 0) {
                note_name(NOTE_REMOVE, node_at(&now, directory, name), directory, name);
                drop(&now, directory, name);
        }
        return 0;
}

int __wrap_unlink(const char *path) {
        return __wrap_unlinkat(AT_FDCWD, path, 0);
}

int __wrap_rmdir(const char *path) {
        return __wrap_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int __wrap_mkdir(const char *path, mode_t mode) {
        char name[NAME_LENGTH];
        int directory = where(AT_FDCWD, path, name), node;

        if (directory >= 0 && fails())
                return -1;
        if (__real_mkdir(path, mode) < 0)
                return -1;
        if (directory >= 0) {
                node = add_node(true, mode);
                put(&now, directory, name, node);
                note_name(NOTE_MKDIR, node, directory, name);
        }
        return 0;
}

/* A state is made of new files; what a record says of the inode and the time of change of the old
 * ones must hold for them all the same. */
int __wrap_fstatat64(int at, const char *path, struct stat64 *st, int flags) {
        if (__real_fstatat64(at, path, st, flags) < 0)
                return -1;
        for (size_t i = 0; i < n_nodes; i++)
                if (nodes[i].inode == st->st_ino && S_ISREG(st->st_mode)) {
                        st->st_ino = 1000 + i;
                        st->st_ctim = (struct timespec){ .tv_sec = 1 + nodes[i].changed };
                        break;
                }
        return 0;
}

/* --- beginning and end ------------------------------------------------------------------------ */

/* What is in a directory, as nodes. */
static void take(const char *path, int directory) {
        _cleanup_closedir_ DIR *d = opendir(path);
        struct dirent *e;

        must(d, "cannot read a directory");
        while ((e = readdir(d))) {
                char below[512];
                struct stat st;
                int node;

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                (void)snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
                must(lstat(below, &st) == 0, "lstat");
                node = add_node(S_ISDIR(st.st_mode), st.st_mode & 07777);
                put(&base, directory, e->d_name, node);
                if (S_ISDIR(st.st_mode)) {
                        take(below, node);
                        continue;
                }
                nodes[node].inode = st.st_ino;
                nodes[node].size = (size_t)st.st_size;
                nodes[node].bytes = malloc(nodes[node].size + 1);
                must(nodes[node].bytes, "no memory");
                {
                        int fd = __real_open64(below, O_RDONLY | O_CLOEXEC);

                        must(fd >= 0 && read(fd, nodes[node].bytes, nodes[node].size) ==
                                                                        (ssize_t)nodes[node].size,
                                        "cannot read a file");
                        (void)__real_close(fd);
                }
        }
}

void disk_begin(const char *top) {
        for (size_t i = 0; i < n_nodes; i++)
                free(nodes[i].bytes);
        for (size_t i = 0; i < n_notes; i++)
                free(notes[i].bytes);
        n_nodes = n_notes = 0;
        memset(node_of, 0, sizeof(node_of));
        base.n = 0;
        must(strlen(top) < sizeof(root), "a path is too long");
        (void)snprintf(root, sizeof(root), "%s", top);
        (void)add_node(true, 0700);
        take(top, 0);
        now = base;
        noting = true;
}

size_t disk_end(void) {
        noting = false;
        fail_at = 0;
        return n_notes;
}

void disk_fail(unsigned number, int error) {
        fail_at = number;
        fail_with = error;
        n_calls = 0;
        has_failed = was_short = false;
}

bool disk_failed(void) {
        return has_failed;
}

/* --- a state as files ------------------------------------------------------------------------- */

static int
remove_one(const char *path, const struct stat *st _unused_, int type, struct FTW *where_it_is) {
        if (where_it_is->level > 0)
                (void)__real_unlinkat(AT_FDCWD, path, type == FTW_DP ? AT_REMOVEDIR : 0);
        return 0;
}

static void make_file(const char *path, Node *n, const char *bytes, size_t size) {
        int fd = __real_open64(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, n->mode);
        struct stat st;

        must(fd >= 0 && __real_write(fd, bytes, size) == (ssize_t)size && fstat(fd, &st) == 0,
                        "cannot make a file");
        n->inode = st.st_ino;
        (void)__real_close(fd);
}

/* What the first @made notes leave of a file. */
static size_t content(int node, size_t made, char *bytes) {
        size_t size = nodes[node].size;

        if (size > 0)
                memcpy(bytes, nodes[node].bytes, size);
        for (size_t i = 0; i < made; i++) {
                const Note *n = notes + i;
                size_t length = n->part == PART_HALF ? n->size / 2 : n->size;

                if (n->kind != NOTE_WRITE || n->node != node || n->part == PART_NONE)
                        continue;
                must(n->offset + length <= CONTENT_MAX, "a file is too large");
                if (n->offset > size)
                        memset(bytes + size, 0, n->offset - size);
                if (n->part == PART_ZEROS)
                        memset(bytes + n->offset, 0, length);
                else
                        memcpy(bytes + n->offset, n->bytes, length);
                if (n->offset + length > size)
                        size = n->offset + length;
        }
        return size;
}

static void make_below(const Tree *t, const char *path, int directory, size_t made) {
        static char bytes[CONTENT_MAX];

        for (size_t i = 0; i < t->n; i++) {
                const Entry *e = t->entries + i;
                char below[512];

                if (e->directory != directory)
                        continue;
                must((size_t)snprintf(below, sizeof(below), "%s/%s", path, e->name) < sizeof(below),
                                "a path is too long");
                if (nodes[e->node].is_directory) {
                        must(__real_mkdir(below, nodes[e->node].mode) == 0, "mkdir");
                        make_below(t, below, e->node, made);
                } else
                        make_file(below, nodes + e->node, bytes, content(e->node, made, bytes));
        }
}

static void make(const char *top, const Tree *t, size_t made) {
        for (size_t i = 0; i < n_nodes; i++)
                nodes[i].inode = nodes[i].changed = 0;
        for (size_t i = 0; i < made; i++)
                if (notes[i].kind != NOTE_SYNC && notes[i].kind != NOTE_SYNC_ALL)
                        nodes[notes[i].node].changed = (unsigned)i + 1;
        (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        make_below(t, top, 0, made);
}

void disk_restore(const char *top) {
        make(top, &base, 0);
}

/* --- all states ------------------------------------------------------------------------------- */

/* Is it on disk for certain once @made calls were made? */
static bool is_sure(size_t i, size_t made) {
        const Note *n = notes + i;
        int synced = n->kind == NOTE_WRITE    ? n->node
                     : n->kind == NOTE_RENAME ? n->to
                                              : n->directory;

        for (size_t k = i + 1; k < made; k++)
                if (notes[k].kind == NOTE_SYNC_ALL ||
                                (notes[k].kind == NOTE_SYNC && notes[k].node == synced))
                        return true;
        return false;
}

static void apply_name(Tree *t, const Note *n) {
        switch (n->kind) {
        case NOTE_CREATE:
        case NOTE_MKDIR:
                put(t, n->directory, n->name, n->node);
                return;
        case NOTE_RENAME:
                if (node_at(t, n->directory, n->name) == n->node)
                        drop(t, n->directory, n->name);
                put(t, n->to, n->to_name, n->node);
                return;
        case NOTE_REMOVE:
                if (node_at(t, n->directory, n->name) == n->node)
                        drop(t, n->directory, n->name);
                return;
        case NOTE_WRITE:
        case NOTE_SYNC:
        case NOTE_SYNC_ALL:
                return;
        }
}

static uint64_t mix(uint64_t h, const void *bytes, size_t n) {
        const unsigned char *p = bytes;

        for (size_t i = 0; i < n; i++)
                h = (h ^ p[i]) * UINT64_C(0x100000001b3);
        return h;
}

/* A number for what can be seen of a state, whatever the order of its entries. */
static uint64_t number_below(const Tree *t, int directory, size_t made) {
        static char bytes[CONTENT_MAX];
        uint64_t sum = 1;

        for (size_t i = 0; i < t->n; i++) {
                const Entry *e = t->entries + i;
                uint64_t h = mix(UINT64_C(0xcbf29ce484222325), e->name, strlen(e->name) + 1);

                if (e->directory != directory)
                        continue;
                if (nodes[e->node].is_directory)
                        h += number_below(t, e->node, made);
                else
                        h = mix(h, bytes, content(e->node, made, bytes));
                sum += mix(h, &h, sizeof(h));
        }
        return mix(sum, &sum, sizeof(sum));
}

typedef struct Seen {
        uint64_t *numbers;
        size_t n, room;
} Seen;

static bool is_new(Seen *s, uint64_t number) {
        for (size_t i = 0; i < s->n; i++)
                if (s->numbers[i] == number)
                        return false;
        if (s->n == s->room) {
                s->room = s->room == 0 ? 256 : 2 * s->room;
                s->numbers = realloc(s->numbers, s->room * sizeof(uint64_t));
                must(s->numbers, "no memory");
        }
        s->numbers[s->n++] = number;
        return true;
}

static void print_state(size_t made) {
        static const char *const kinds[] = { "create", "mkdir", "rename", "remove", "write", "sync",
                "sync all" };
        static const char *const parts[] = { "", " LOST", " HALF", " ZEROS" };

        for (size_t i = 0; i < made; i++)
                (void)fprintf(stderr, "    %zu %s %d %s %s%s\n", i + 1, kinds[notes[i].kind],
                                notes[i].node, notes[i].name, notes[i].to_name,
                                parts[notes[i].part]);
}

static void check_state(const char *top,
                size_t made,
                DiskCheck check,
                void *userdata,
                Seen *seen,
                DiskCount *count) {
        bool all = made == n_notes;
        Tree t = base;

        for (size_t i = 0; i < made; i++)
                if (notes[i].part == PART_ALL)
                        apply_name(&t, notes + i);
        count->n_seen++;
        if (!is_new(seen, number_below(&t, 0, made) + all))
                return;
        count->n_states++;
        make(top, &t, made);
        if (check(all, userdata))
                return;
        if (count->n_wrong++ < 3)
                print_state(made);
}

static uint64_t random_next(uint64_t *state) {
        uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        return z ^ z >> 31;
}

/* Every choice in turn, or some of them. */
static void check_place(const char *top,
                size_t made,
                DiskCheck check,
                void *userdata,
                Seen *seen,
                DiskCount *count) {
        uint64_t n = 1, state = made;

        for (size_t i = 0; i < made; i++) {
                NoteKind k = notes[i].kind;

                notes[i].n_parts = k == NOTE_SYNC || k == NOTE_SYNC_ALL || is_sure(i, made) ? 1
                                   : k == NOTE_WRITE ? _PART_MAX
                                                     : 2;
                if (n <= ALL_MAX)
                        n *= notes[i].n_parts;
        }
        count->n_chosen += n > ALL_MAX;
        for (uint64_t k = 0; k < (n > ALL_MAX ? SOME : n); k++) {
                uint64_t left = k;

                for (size_t i = 0; i < made; i++) {
                        if (n > ALL_MAX)
                                left = random_next(&state);
                        notes[i].part = (unsigned)(left % notes[i].n_parts);
                        left /= notes[i].n_parts;
                }
                check_state(top, made, check, userdata, seen, count);
        }
}

DiskCount disk_states(const char *top, DiskCheck check, void *userdata) {
        DiskCount count = { 0 };
        Seen seen = { 0 };

        for (size_t made = 0; made <= n_notes; made++)
                check_place(top, made, check, userdata, &seen, &count);
        free(seen.numbers);
        return count;
}
