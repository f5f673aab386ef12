/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A YAML tree as a JSON document, for the schema validator. Values that are broken become null.
 */

#include "model/base/yaml.h"
#include "model/json.h"

/* The document borrows its keys from the tree, which must outlive it. */
_must_check_ int yaml_to_json(const YamlNode *node, Json **ret);
