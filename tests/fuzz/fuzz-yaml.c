/* SPDX-License-Identifier: MIT */

/* Byte gate and loader: whatever is loaded can be walked, named and turned into JSON. */

#include <assert.h>

#include "model/yaml-json.h"
#include "tests/fuzz/entry.h"

static void walk(const YamlNode *root, const YamlNode *node, size_t size, unsigned *budget) {
        assert(node->span.start <= node->span.end);
        assert(node->span.end <= size + 1); /* a newline may have been added */
        if (*budget > 0) {
                _cleanup_strbuf_ StrBuf b = STRBUF_NULL;

                --*budget;
                yaml_write_pointer(root, node, &b);
                assert(b.failed || yaml_find(root, strbuf_text(&b)) == node);
        }
        for (const YamlNode *c = node->first; c; c = c->next)
                walk(root, c, size, budget);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_yaml_doc_ YamlDoc *doc = NULL;
        _cleanup_diags_ Diags diags = DIAGS_NULL;
        _cleanup_json_ Json *json = NULL;
        unsigned budget = 200;

        if (yaml_load((const char *)data, size, &diags, &doc) != 0) {
                assert(diags.n_errors > 0);
                return 0;
        }
        walk(doc->root, doc->root, size, &budget);
        assert(yaml_to_json(doc->root, &json) == 0);
        return 0;
}
