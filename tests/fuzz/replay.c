/* SPDX-License-Identifier: MIT */

/*
 * Runs a fuzz target over the files of the folders that are named. Says how many there were: none
 * is a failure.
 */

#include <string.h>

#include "model/base/cleanup.h"
#include "tests/fuzz/entry.h"

#define SIZE_LIMIT (8u << 20)

static int replay_file(const char *path) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        _cleanup_free_ uint8_t *bytes = NULL;
        size_t n;

        if (!f)
                return -errno;
        bytes = malloc(SIZE_LIMIT);
        if (!bytes)
                return -ENOMEM;
        n = fread(bytes, 1, SIZE_LIMIT, f);
        if (ferror(f))
                return -EIO;
        (void)LLVMFuzzerTestOneInput(bytes, n);
        return 0;
}

/* In the order of their names: what one leaves behind must not depend on the directory. */
static int replay_folder(const char *folder, size_t *count) {
        struct dirent **found;
        int n = scandir(folder, &found, NULL, alphasort), r = 0;

        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++) {
                _cleanup_free_ struct dirent *e = found[i];
                _cleanup_free_ char *path = NULL;

                if (r < 0 || e->d_name[0] == '.')
                        continue;
                if (asprintf(&path, "%s/%s", folder, e->d_name) < 0) {
                        r = -ENOMEM;
                        continue;
                }
                r = replay_file(path);
                *count += r == 0;
        }
        free(found);
        return r;
}

int main(int argc, char **argv) {
        size_t count = 0;

        for (int i = 1; i < argc; i++) {
                int r = replay_folder(argv[i], &count);

                if (r < 0) {
                        fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
                        return 1;
                }
        }
        printf("%zu inputs\n", count);
        return count == 0;
}
