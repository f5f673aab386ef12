# SPDX-License-Identifier: MIT
"""docs/ARCHITECTURE.md is the map of the code: one line per file, each file once, no file that is gone.

A line of the map begins with "- `path`". `foo.[ch]` stands for a pair, `foo/*.yaml` for all such files.
Unit tests, scenarios and fuzz data follow the paths of what they test and need no lines of their own.
"""
import fnmatch
import re

from tree import Lint, numbered

MAP = "docs/ARCHITECTURE.md"
MAPPED = ("model/", "schema/", "reconciler/", "drivers/", "framework/", "tests/lib/", "tests/lint/",
          "tests/integration/", "tests/bench/", "tests/simulation/", "tests/property/", ".ci/")
UNMAPPED = re.compile(r"(^|/)(meson\.build|README\.md)$")


def main():
    lint = Lint()
    files = [p for p in lint.files if p.startswith(MAPPED) and not UNMAPPED.search(p)]
    count = dict.fromkeys(files, 0)
    if MAP not in lint.files:
        lint.find(MAP, 1, "is missing")
        lint.finish("files")
    for line, text in numbered(lint.text(MAP)):
        entry = re.match(r"- `([^`]+)`", text)
        if not entry:
            continue
        pattern = entry[1]
        names = [pattern.replace("[ch]", x) for x in "ch"] if pattern.endswith(".[ch]") else [pattern]
        for name in names:
            if pattern.endswith("/"):
                hits = [p for p in lint.files if p.startswith(pattern)]
            else:
                hits = [p for p in lint.files if fnmatch.fnmatchcase(p, name)]
            if not hits:
                lint.find(MAP, line, f"{name} does not exist")
            for hit in hits:
                if hit in count:
                    count[hit] += 1
                    if count[hit] > 1:
                        lint.find(MAP, line, f"{hit} is on the map already")
    for path, n in count.items():
        lint.checked += 1
        if n == 0:
            lint.find(MAP, 1, f"{path} is not on the map")
    lint.finish("files")


main()
