/* SPDX-License-Identifier: MIT */

/*
 * Holds JSON documents against a schema, with the validator of the product.
 *
 *     check-json SCHEMA [DOCUMENT...]        without documents: standard input
 *
 * Every error is one line: document, place, what failed there. Exit status: 0 all valid, 1 an error
 * was found, 2 a file cannot be read or the schema cannot be used (a keyword that the validator
 * does not have).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/validator.h"

static int read_json(FILE *f, const char *name, Json **ret) {
        _cleanup_free_ char *bytes = malloc(JSON_SIZE_MAX);
        size_t n;
        int r;

        if (!bytes)
                return -ENOMEM;
        n = fread(bytes, 1, JSON_SIZE_MAX, f);
        r = ferror(f) ? -EIO : json_parse(bytes, n, ret);
        if (r < 0)
                fprintf(stderr, "check-json: %s is not JSON: %s\n", name, strerror(-r));
        return r;
}

static int read_file(const char *path, Json **ret) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");

        if (!f) {
                fprintf(stderr, "check-json: %s: %s\n", path, strerror(errno));
                return -errno;
        }
        return read_json(f, path, ret);
}

static int say(const SchemaError *e, void *user) {
        const char *name = user;
        char *text = NULL;

        if (json_to_text(e->value, JSON_PLAIN, &text) < 0)
                text = NULL;
        printf("%s: %s: %s%s%s, by %s; it is %.200s\n", name, *e->instance ? e->instance : "(all)",
                        schema_keyword_to_string(e->keyword), e->property ? " " : "",
                        e->property ? e->property : "", e->schema_path, text ? text : "?");
        free(text);
        return 0;
}

static int check(const Schema *s, const Json *document, char *name) {
        int r = schema_validate(s, document, say, name);

        if (r < 0) {
                fprintf(stderr, "check-json: %s: %s\n", name, strerror(-r));
                return 2;
        }
        return r == SCHEMA_INVALID ? 1 : 0;
}

int main(int argc, char **argv) {
        _cleanup_json_ Json *contract = NULL;
        _cleanup_schema_ Schema *s = NULL;
        _cleanup_free_ char *message = NULL;
        char standard_input[] = "standard input";
        int worst = 0, r;

        if (argc < 2) {
                fprintf(stderr, "usage: check-json SCHEMA [DOCUMENT...]\n");
                return 2;
        }
        if (read_file(argv[1], &contract) < 0)
                return 2;
        r = schema_new(contract, SCHEMA_DRAFT_07, /* assert_format= */ true, &message, &s);
        if (r < 0) {
                fprintf(stderr, "check-json: %s: %s\n", argv[1], message ? message : strerror(-r));
                return 2;
        }
        if (argc == 2) {
                _cleanup_json_ Json *document = NULL;

                return read_json(stdin, standard_input, &document) < 0
                                       ? 2
                                       : check(s, document, standard_input);
        }
        for (int i = 2; i < argc; i++) {
                _cleanup_json_ Json *document = NULL;

                r = read_file(argv[i], &document) < 0 ? 2 : check(s, document, argv[i]);
                if (r > worst)
                        worst = r;
        }
        return worst;
}
