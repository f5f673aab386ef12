# SPDX-License-Identifier: MIT
"""Every header compiles by itself, twice in a row, so that include order never matters."""
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tree import Lint

PACKAGES = ["libfyaml", "json-c", "libsystemd", "libpcre2-8", "libmd", "cmocka"]


def main():
    lint = Lint()
    compiler = os.environ.get("CC", "cc")
    for tool in (compiler, "pkg-config"):
        if not shutil.which(tool):
            lint.skip(f"{tool} is missing")
    flags = []
    for package in PACKAGES:
        found = subprocess.run(["pkg-config", "--cflags", package], capture_output=True, text=True)
        if found.returncode == 0:
            flags += found.stdout.split()
    include = ["-I", lint.root] + (["-I", lint.build] if lint.build else [])
    # cmocka.h wants these four first, by its own documentation.
    cmocka = "".join(f"#include <{h}>\n" for h in ("stdarg.h", "stddef.h", "stdint.h", "setjmp.h"))

    def compile_header(path):
        text = f'#include "{path}"\n' * 2
        if "cmocka.h" in lint.text(path):
            text = cmocka + text
        return path, subprocess.run(
            [compiler, "-std=gnu17", "-D_GNU_SOURCE", '-DMOSAIC_VERSION="0"', "-Wall", "-Wextra", "-Werror",
             "-fsyntax-only", *include, *flags, "-x", "c", "-"],
            input=text, capture_output=True, text=True)

    headers = [p for p in lint.files if p.endswith(".h")]
    with ThreadPoolExecutor(2) as pool:
        for path, result in pool.map(compile_header, headers):
            lint.checked += 1
            if result.returncode != 0:
                first = next((x for x in result.stderr.splitlines() if "error" in x), result.stderr[:200])
                lint.find(path, 1, f"does not compile alone: {first}")
            if not lint.text(path).startswith("/* SPDX-License-Identifier: MIT */\n#pragma once\n"):
                lint.find(path, 1, "does not begin with the SPDX line and `#pragma once`")
    lint.finish("headers")


main()
