# SPDX-License-Identifier: MIT
"""clang-format 14 decides how C looks; other versions break lines differently, so only 14 counts."""
import os
import re
import shutil
import subprocess

from tree import Lint, is_c


def clang_format():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if re.search(r"version 14\.", version):
                return path
    return None


def main():
    lint = Lint()
    program = clang_format()
    if not program:
        lint.skip("clang-format 14 is missing", permitted=True)
    files = [p for p in lint.files if is_c(p)]
    lint.checked = len(files)
    if files:
        result = subprocess.run(
            [program, "--style=file", "--dry-run", *files], cwd=lint.root, capture_output=True, text=True)
        places = {}
        for line in result.stderr.splitlines():
            match = re.match(r"(.+?):(\d+):\d+: (?:warning|error): ", line)
            if match:
                places.setdefault(os.path.normpath(match[1]), []).append(int(match[2]))
        for path, lines in places.items():
            lint.find(path, lines[0], f"{len(lines)} places are not formatted: clang-format-14 -i {path}")
        if result.returncode != 0 and not lint.findings:
            lint.find(".clang-format", 1, result.stderr.strip()[:300])
    lint.finish("C files")


main()
