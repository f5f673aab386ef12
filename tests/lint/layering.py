# SPDX-License-Identifier: MIT
"""Who may include whom: the table of docs/ARCHITECTURE.md, kept by include paths."""
import os
import re

from tree import Lint, is_c, numbered, blank_c

# First match wins. Own headers by folder, foreign ones by prefix; libc and kernel headers are free here
# (for the folders that decide, the purity lint says which functions may be called).
LAYERS = [
    # Each library has one file that talks to it; everybody else goes through that file.
    ("model/json.c", ["model/"], ["json-c/"]),
    ("model/base/yaml.c", ["model/"], ["libfyaml.h"]),
    ("model/base/hash.c", ["model/"], ["sha2.h"]),
    ("schema/pattern.c", ["schema/", "model/"], ["pcre2.h"]),
    ("model/", ["model/"], []),
    ("schema/", ["schema/", "model/"], []),
    ("reconciler/plan/", ["reconciler/plan/", "model/"], []),
    ("reconciler/agent/", ["reconciler/agent/", "schema/", "model/"], []),
    # The table of shipped files is the one thing of framework/ that code may know.
    ("drivers/", ["drivers/", "model/", "framework/assets.h"], ["systemd/"]),
    ("reconciler/", ["reconciler/", "drivers/", "schema/", "model/", "framework/assets.h"], ["systemd/"]),
    ("framework/", ["framework/"], []),
]
LIBRARIES = ["libfyaml.h", "json-c/", "json.h", "sha2.h", "md5.h", "pcre2.h", "systemd/", "cmocka.h", "curl/"]
FOLDERS = ("model/", "schema/", "reconciler/", "drivers/", "framework/", "tests/")
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')


def check(lint, path, own, foreign):
    for line, text in numbered(blank_c(lint.text(path), strings=False)):
        match = INCLUDE.match(text)
        if not match:
            continue
        kind, target = match.groups()
        if kind == '"':
            if not target.startswith(FOLDERS):
                lint.find(path, line, f'include "{target}" does not read "folder/file.h" from the root')
            elif own is not None and not target.startswith(tuple(own)):
                lint.find(path, line, f"must not include {target} (allowed: {', '.join(own)})")
            elif not any(os.path.exists(os.path.join(base, target))
                         for base in (lint.root, lint.build) if base):
                lint.find(path, line, f"included file {target} does not exist")
        elif own is not None and target.startswith(tuple(LIBRARIES)) \
                and not target.startswith(tuple(foreign) or ("//",)):
            lint.find(path, line, f"must not include <{target}> (allowed libraries: "
                      f"{', '.join(foreign) or 'none'})")


def main():
    lint = Lint()
    for path in filter(is_c, lint.files):
        for prefix, own, foreign in LAYERS:
            if path.startswith(prefix):
                check(lint, path, own, foreign)
                break
        else:
            check(lint, path, None, None)
        lint.checked += 1
    lint.finish("C files")


main()
