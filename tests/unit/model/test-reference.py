#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/reference says what there is: each finding code and each key of the roster, and none that is gone.

    test-reference.py ROOT
"""

import glob
import json
import os
import re
import subprocess
import sys

SOURCES = ("model/base/yaml*.c", "model/roster*.c", "schema/roster-schema.c", "drivers/os/roster-file.c",
           "drivers/os/site-check.c", "reconciler/pass.c")
# Words of these files that look like codes and are none.
OTHER = {"on-failure", "x-hint", "x-subject"}


def source_codes(root):
    words = set()
    for pattern in SOURCES:
        for path in glob.glob(os.path.join(root, pattern)):
            with open(path, encoding="utf-8") as f:
                text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
            words |= set(re.findall(r'(?:, |\? |: )"([a-z]+(?:-[a-z]+)+)"(?=[,) \n])', text))
            words |= set(re.findall(r'(?:report|diags_add)\([^;"]*?"([a-z]+)",', text))
    return words - OTHER


def documented(root, name, pattern):
    with open(os.path.join(root, "docs/reference", name), encoding="utf-8") as f:
        return set(re.findall(pattern, f.read(), flags=re.M))


def schema_keys(schema, node, seen):
    """Names of all properties below a schema node."""
    while "$ref" in node:
        target = schema
        for part in node["$ref"][2:].split("/"):
            target = target[part]
        node = target
    if id(node) in seen:
        return set()
    seen.add(id(node))
    keys = set()
    for name, child in node.get("properties", {}).items():
        keys |= {name} | schema_keys(schema, child, seen)
    for child in node.get("allOf", []) + [node.get("additionalProperties")]:
        if isinstance(child, dict):
            keys |= schema_keys(schema, child, seen)
    return keys


def compare(what, real, written):
    for name in sorted(real - written):
        print(f"{what} {name} is not documented")
    for name in sorted(written - real):
        print(f"{what} {name} is documented and does not exist")
    return len(real ^ written)


def main():
    root = sys.argv[1]
    codes = source_codes(root)
    wrong = compare("code", codes, documented(root, "findings.md", r"^\| `([a-z-]+)`"))
    with open(os.path.join(root, "schema/roster.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    keys = schema_keys(schema, schema, set())
    wrong += compare("key", keys, documented(root, "roster.md", r"^\| `([a-z_]+)`"))
    made = subprocess.run([sys.executable, os.path.join(root, "docs/man/roster-page.py"), "--markdown",
                           os.path.join(root, "schema/roster.schema.json")], check=True, capture_output=True, text=True)
    with open(os.path.join(root, "docs/reference/roster-keys.md"), encoding="utf-8") as f:
        if f.read() != made.stdout:
            print("docs/reference/roster-keys.md is not of this schema; run: python3 docs/man/roster-page.py --markdown "
                  "schema/roster.schema.json > docs/reference/roster-keys.md")
            wrong += 1
    print(f"{len(codes)} codes, {len(keys)} keys, {wrong} differences")
    sys.exit(1 if wrong or len(codes) < 50 or len(keys) < 40 else 0)


main()
