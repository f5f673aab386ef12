/* SPDX-License-Identifier: MIT */

/*
 * The official JSON Schema test suite against the validator, required tests of one draft. Groups
 * whose schema has a keyword that we refuse are left out and counted; everything else must pass,
 * and no fewer tests than the given number may be run.
 *
 *     test-suite FOLDER/tests/draft7 LEAST        (exit 77: the folder is not there)
 */

#include <string.h>

#include "model/base/strv.h"
#include "schema/validator.h"

typedef struct Score {
        SchemaDialect dialect;
        unsigned run;
        unsigned failed;
        unsigned left_out;
} Score;

static int read_json(const char *path, Json **ret) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        _cleanup_free_ char *bytes = NULL;
        size_t n;

        if (!f)
                return -errno;
        bytes = malloc(4u << 20);
        if (!bytes)
                return -ENOMEM;
        n = fread(bytes, 1, 4u << 20, f);
        return json_parse(bytes, n, ret);
}

static int run_group(const char *file, const Json *group, Score *score) {
        _cleanup_schema_ Schema *schema = NULL;
        _cleanup_free_ char *message = NULL;
        const Json *tests = json_get(group, "tests");
        int r;

        r = schema_new(json_get(group, "schema"), score->dialect, /* assert_format= */ false,
                        &message, &schema);
        if (r == -EINVAL) {
                score->left_out += (unsigned)json_length(tests);
                return 0;
        }
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_length(tests); i++) {
                const Json *test = json_at(tests, i);
                bool valid = json_as_bool(json_get(test, "valid"));

                r = schema_validate(schema, json_get(test, "data"), NULL, NULL);
                score->run++;
                if ((r == 0) == valid && r >= 0)
                        continue;
                score->failed++;
                printf("FAILED %s: %s: %s (want %s, got %d)\n", file,
                                json_get_string(group, "description"),
                                json_get_string(test, "description"), valid ? "valid" : "invalid",
                                r);
        }
        return 0;
}

static int run_file(const char *folder, const char *name, Score *score) {
        _cleanup_free_ char *path = NULL;
        _cleanup_json_ Json *groups = NULL;
        int r;

        if (asprintf(&path, "%s/%s", folder, name) < 0)
                return -ENOMEM;
        r = read_json(path, &groups);
        if (r < 0) {
                printf("FAILED %s: cannot be read: %s\n", name, strerror(-r));
                return r;
        }
        for (size_t i = 0; i < json_length(groups); i++) {
                r = run_group(name, json_at(groups, i), score);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int list_files(const char *folder, char ***ret) {
        _cleanup_closedir_ DIR *d = opendir(folder);
        _cleanup_strv_ char **names = NULL;
        struct dirent *e;

        if (!d)
                return -errno;
        while ((e = readdir(d))) {
                size_t n = strlen(e->d_name);

                if (n > 5 && strcmp(e->d_name + n - 5, ".json") == 0 &&
                                strv_push(&names, e->d_name) < 0)
                        return -ENOMEM;
        }
        strv_sort(names);
        *ret = TAKE_PTR(names);
        return 0;
}

int main(int argc, char **argv) {
        _cleanup_strv_ char **names = NULL;
        Score score = { 0 };
        unsigned long least;
        int r;

        if (argc != 3)
                return 2;
        least = strtoul(argv[2], NULL, 10);
        score.dialect = strstr(argv[1], "draft7") ? SCHEMA_DRAFT_07 : SCHEMA_DRAFT_2020_12;
        r = list_files(argv[1], &names);
        if (r < 0) {
                printf("%s: %s\n", argv[1], strerror(-r));
                return 77;
        }
        for (char **name = names; name && *name; name++)
                if (run_file(argv[1], *name, &score) < 0)
                        return 1;
        printf("%u tests run, %u passed, %u left out (keywords that are not ours)\n", score.run,
                        score.run - score.failed, score.left_out);
        if (score.run < least) {
                printf("FAILED: fewer than %lu tests were run\n", least);
                return 1;
        }
        return score.failed > 0;
}
