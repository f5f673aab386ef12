# SPDX-License-Identifier: MIT
"""What every lint needs: the files of the project, a list of findings, and an honest skip.

A lint is called as `LINT ROOT [BUILD]`. It prints `path:line: sentence` for each finding and ends with 1
if there was one, with 77 (a skip) if a tool it needs is missing. In a git checkout only tracked files
count, so that somebody's scratch file never turns a run red; in an unpacked release all files count.
"""
import os
import re
import subprocess
import sys

SKIP = 77


class Lint:
    def __init__(self, argv=None):
        argv = sys.argv if argv is None else argv
        self.name = os.path.basename(argv[0]).removesuffix(".py")
        self.root = os.path.abspath(argv[1])
        self.build = os.path.abspath(argv[2]) if len(argv) > 2 else None
        self.findings = []
        self.files = self._list()
        self.checked = 0

    def _list(self):
        if os.path.exists(os.path.join(self.root, ".git")):
            # A checkout may belong to another user than the one who runs the tests.
            listed = subprocess.run(
                ["git", "-c", "safe.directory=*", "-C", self.root, "ls-files", "-z"],
                check=True, capture_output=True, text=True).stdout.split("\0")
            return sorted(p for p in listed if p and os.path.isfile(self.path(p)))
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [f for f in folders
                          if f not in (".git", "__pycache__", "node_modules")
                          and not (folder == self.root and re.fullmatch(r"build(-.*)?", f))]
            found += [os.path.relpath(os.path.join(folder, n), self.root) for n in names]
        return sorted(found)

    def path(self, relative):
        return os.path.join(self.root, relative)

    def text(self, relative):
        with open(self.path(relative), encoding="utf-8", errors="replace") as f:
            return f.read()

    def is_binary(self, relative):
        with open(self.path(relative), "rb") as f:
            return b"\0" in f.read(4096)

    def find(self, path, line, sentence):
        self.findings.append((path, line, sentence))

    def skip(self, why, permitted=False):
        print(f"SKIP {self.name}: {why}")
        # Where everything was installed on purpose, a skip means that something went wrong.
        sys.exit(1 if os.environ.get("MOSAIC_REQUIRE_ALL") == "1" and not permitted else SKIP)

    def finish(self, what):
        """Prints the findings; @what says what was looked at. A lint that looked at nothing is broken."""
        for path, line, sentence in sorted(set(self.findings)):
            print(f"{path}:{line}: {sentence}")
        if self.findings:
            print(f"{self.name}: {len(set(self.findings))} findings")
            sys.exit(1)
        if self.checked == 0:
            print(f"{self.name}: found nothing to look at ({what}), so it proves nothing")
            sys.exit(1)
        print(f"{self.name}: {self.checked} {what}, nothing to object")
        sys.exit(0)


def is_c(path):
    return path.endswith((".c", ".h"))


def is_shell(lint, path):
    if path.endswith(".sh"):
        return True
    if "." in os.path.basename(path).lstrip(".") or lint.is_binary(path):
        return False
    return re.match(r"#!.*\b(sh|bash|dash)\b", lint.text(path).split("\n", 1)[0]) is not None


def blank_c(text, strings=True):
    """C text with comments (and, unless told otherwise, string and character literals) blanked out;
    lines stay where they are."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'" and not strings:
            return token
        return re.sub(r"[^\n]", " ", token)

    return re.sub(pattern, blank, text, flags=re.S)


def numbered(text):
    return enumerate(text.split("\n"), start=1)
