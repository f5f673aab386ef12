/* SPDX-License-Identifier: MIT */
#include "model/yaml-json.h"

static void put_node(JsonBuilder *b, const char *key, const YamlNode *n) {
        switch (n->broken ? YAML_NULL : n->kind) {
        case YAML_NULL:
                json_put_null(b, key);
                break;
        case YAML_BOOL:
                json_put_bool(b, key, n->boolean);
                break;
        case YAML_INTEGER:
                if (n->negative)
                        json_put_int(b, key, (int64_t)n->integer);
                else
                        json_put_uint(b, key, n->integer);
                break;
        case YAML_DOUBLE:
                json_put_double(b, key, n->number, NULL);
                break;
        case YAML_STRING:
                json_put_string(b, key, n->text);
                break;
        case YAML_SEQUENCE:
                json_open_array(b, key);
                for (const YamlNode *e = n->first; e; e = e->next)
                        put_node(b, NULL, e);
                json_close(b);
                break;
        case YAML_MAPPING:
                json_open_object(b, key);
                for (const YamlNode *m = n->first; m; m = m->next)
                        put_node(b, m->key->text, m);
                json_close(b);
                break;
        }
}

int yaml_to_json(const YamlNode *node, Json **ret) {
        _cleanup_json_builder_ JsonBuilder b = JSON_BUILDER_NULL;

        b.keys_borrowed = true; /* the loader has taken out keys that occur twice */
        put_node(&b, NULL, node);
        return json_finish(&b, ret);
}
