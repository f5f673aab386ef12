/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * YAML text as a tree that knows where in the text everything stands. A strict dialect: one
 * document, YAML 1.2 core schema, no anchors, aliases, merge keys, tags, directives or duplicate
 * keys. The only file that talks to libfyaml, and only through its event interface
 * (docs/reference/findings.md has the codes; the library's traps are named where they are avoided).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/cleanup.h"
#include "model/base/diag.h"
#include "model/base/strbuf.h"
#include "model/base/yaml-scalar.h"

#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 1000000

typedef struct YamlNode YamlNode;

struct YamlNode {
        YamlKind kind;
        bool plain;  /* a scalar without quotes */
        bool broken; /* there is a finding about it already: expect nothing of the value */
        bool boolean;
        bool negative;
        Span span; /* quotes and brackets included */

        const char *text; /* of a scalar; never NULL then, and without NUL inside */
        union {
                uint64_t integer; /* two's complement if negative */
                double number;
        };

        YamlNode *parent; /* NULL: the root */
        YamlNode *key;    /* of a mapping's member; a string or other scalar */
        YamlNode *first;
        YamlNode *last;
        YamlNode *next;
        uint32_t n_children;
        uint32_t index; /* of a list's element */
};

typedef struct YamlDoc {
        YamlNode *root;
        void *blocks; /* memory of all nodes and texts */
} YamlDoc;

YamlDoc *yaml_doc_free(YamlDoc *d);
DEFINE_CLEANUP(YamlDoc *, yaml_doc_free)
#define _cleanup_yaml_doc_ _cleanup_(yaml_doc_freep)

enum {
        _YAML_OK,
        YAML_INVALID, /* no tree: the text is no YAML, or none of ours */
};

/* Returns 0 and a tree (there may be errors among the findings all the same), YAML_INVALID, or a
 * negative errno. An empty file is invalid. The tree does not need @bytes. */
_must_check_ int yaml_load(const char *bytes, size_t size, Diags *diags, YamlDoc **ret);

/* Member of a mapping, element of a sequence; NULL if there is none or @n is something else or
 * NULL. */
const YamlNode *yaml_get(const YamlNode *n, const char *key);
const YamlNode *yaml_at(const YamlNode *n, size_t i);

/* The node at a JSON pointer; NULL if there is none. */
const YamlNode *yaml_find(const YamlNode *root, const char *pointer);

/* The deepest node on the way to a JSON pointer, which may be @root itself; never NULL. */
const YamlNode *yaml_find_nearest(const YamlNode *root, const char *pointer);

/* Appends the JSON pointer of a node of this tree. */
void yaml_write_pointer(const YamlNode *root, const YamlNode *node, StrBuf *b);

/* Of libfyaml, as it is linked at run time. */
const char *yaml_library_version(void);
