# SPDX-License-Identifier: MIT
"""What the program says about itself and what the manual says agree.

Every verb that `--help` lists has a page (`version`: that of the program), every page has its verb, every option that a help text prints is on
that verb's page; help fits 80 columns and goes to stdout, and a wrong word ends with 64 and a message on stderr. Every variable of the
environment that the program reads by name is in docs/reference/environment.md.
"""
import os
import re
import subprocess

from tree import Lint, numbered

MAN = "docs/man/"
VARIABLES = "docs/reference/environment.md"


class Manual:
    def __init__(self, lint):
        self.lint = lint
        self.pages = {p for p in lint.files if re.fullmatch(MAN + r"mosaic[a-z-]*\.1\.scd", p)}
        self.seen = set()
        self.printed = {}

    def help(self, words):
        command = "mosaic " + " ".join([*words, "--help"])
        result = subprocess.run([os.path.join(self.lint.build, "mosaic"), *words, "--help"], capture_output=True,
                                text=True, timeout=20, stdin=subprocess.DEVNULL, env={"HOME": "/nonexistent"})
        if result.returncode != 0 or result.stderr or not result.stdout:
            self.lint.find("reconciler/cli", 1, f"`{command}` must print to stdout only and end with 0")
        for number, line in enumerate(result.stdout.splitlines(), start=1):
            if len(line) > 80:
                self.lint.find("reconciler/cli", 1, f"line {number} of `{command}` exceeds 80 columns")
        return result.stdout

    def listed(self, text):
        """The (group, verb) pairs that an overview lists; examples begin with the program's name."""
        return [(group or None, verb) for group, verb in
                re.findall(r"^  (?!mosaic )(?:(fleet|agent) )?([a-z][a-z-]*) +[A-Z]", text, flags=re.M)]

    def check(self, words, path, named=()):
        """One help text and the page that explains it."""
        text = self.help(words)
        # Options in examples are another verb's.
        own = re.sub(r"^ +(\$ )?mosaic .*$", "", text, flags=re.M)
        self.seen.add(path)
        self.lint.checked += 1
        if path not in self.pages:
            self.lint.find(path, 1, f"is missing (`mosaic {' '.join(words)}` has help)")
            return text
        page = self.lint.text(path).replace("\\", "")
        for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", own))):
            if not re.search(re.escape(option) + r"(?![\w-])", page):
                self.lint.find(path, 1, f"{option} is in `mosaic {' '.join([*words, '--help'])}`, not on this page")
        self.printed.setdefault(path, set()).update(re.findall(r"--[a-z][a-z-]*", own))
        for name in named:
            if not re.search(r"(?<![\w-])" + name + r"(?![\w-])", page):
                self.lint.find(path, 1, f"does not name '{name}'")
        return text

    def surplus(self):
        for path, printed in self.printed.items():
            printed.add("--help")  # every verb takes it: that is how these texts were got
            for option in sorted(set(re.findall(r"^(?:\*-\w\*, )?\*(--[a-z-]+)", self.lint.text(path), flags=re.M))):
                if option not in printed:
                    self.lint.find(path, 1, f"{option} is on this page and in no help text of it")


def variables(lint):
    page = lint.text(VARIABLES) if VARIABLES in lint.files else ""
    for path in lint.files:
        if not path.startswith(("drivers/", "reconciler/")) or not path.endswith(".c"):
            continue
        for line, text in numbered(lint.text(path)):
            for name in re.findall(r'(?:getenv|absolute_variable)\("([A-Z_]+)"\)', text):
                if f"`{name}`" not in page:
                    lint.find(path, line, f"{name} is read, and {VARIABLES} does not name it")


def main():
    lint = Lint()
    variables(lint)
    manual = Manual(lint)
    top = MAN + "mosaic.1.scd"
    pairs = manual.listed(manual.help([]))
    manual.check([], top, sorted({group or verb for group, verb in pairs}))
    for group in sorted({group for group, _ in pairs if group}):
        path = f"{MAN}mosaic-{group}.1.scd"
        text = manual.help([group])
        verbs = [verb for g, verb in manual.listed(text) if g == group]
        if sorted(verbs) != sorted(v for g, v in pairs if g == group):
            lint.find("reconciler/verb.c", 1, f"the verbs of '{group}' are not all in both overviews, once")
        manual.check([group], path, verbs)
    for group, verb in pairs:
        if group:
            manual.check([group, verb], f"{MAN}mosaic-{group}-{verb}.1.scd")
        else:
            page = f"{MAN}mosaic-{verb}.1.scd"
            manual.check([verb], page if page in manual.pages else top)
    manual.surplus()
    if not pairs:
        lint.find("reconciler/verb.c", 1, "`mosaic --help` lists no verb")
    for page in sorted(manual.pages - manual.seen):
        lint.find(page, 1, "is a page for something that no --help lists")
    for words in (["no-such-group"], ["fleet", "no-such-verb"], ["fleet", "plan", "--no-such-option"]):
        result = subprocess.run([os.path.join(lint.build, "mosaic"), *words], capture_output=True, text=True,
                                timeout=20, stdin=subprocess.DEVNULL, env={"HOME": "/nonexistent"})
        if result.returncode != 64 or result.stdout or not result.stderr:
            lint.find("reconciler/cli", 1, f"`mosaic {' '.join(words)}` must say so on stderr and end with 64")
    lint.finish("help texts")


main()
