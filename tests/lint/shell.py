# SPDX-License-Identifier: MIT
"""shellcheck has nothing to object to in any shell script, shipped or not."""
import json
import shutil
import subprocess

from tree import Lint, is_shell


def main():
    lint = Lint()
    if not shutil.which("shellcheck"):
        lint.skip("shellcheck is missing")
    scripts = [p for p in lint.files if is_shell(lint, p)]
    lint.checked = len(scripts)
    if scripts:
        result = subprocess.run(["shellcheck", "--format=json", "--external-sources", *scripts],
                                cwd=lint.root, capture_output=True, text=True)
        for item in json.loads(result.stdout or "[]"):
            lint.find(item["file"], item["line"], f"SC{item['code']} {item['message']}")
        if result.returncode not in (0, 1):
            lint.find(scripts[0], 1, f"shellcheck failed: {result.stderr.strip()[:300]}")
    lint.finish("scripts")


main()
