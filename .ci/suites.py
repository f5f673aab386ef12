#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every test suite of a build directory, says what each part cost, and adds up.

Called by `./bootstrap test` after the build. Three more builds are made here: ASan with UBSan (the unit suite
runs on it), clang with its own warnings (compiled only), and valgrind runs on the plain unit tests. Every
part goes through meson; what it wrote is counted from its log: cases where a test names its cases (cmocka,
TAP), otherwise the test itself. A skip that .ci/permitted-skips does not name fails the run.
"""
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ORDER = ["lint", "unit", "scenario", "property", "simulation", "integration", "package", "fuzz"]
NOT_HERE = {"bench", "soak"}
# Scenarios wait most of their time - for a restart, a timeout, a second look - and need no processor for it.
AT_A_TIME = {"integration": 2}
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite",
            "--track-fds=no", "--child-silent-after-fork=yes"]


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skips = 0, 0, []
        self.failures = []


def count(test, tally):
    """Adds one test of meson's log to the tally."""
    name, result = test["name"].split(" / ")[-1], test["result"]
    text = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    cases = {word: sum(map(int, re.findall(rf"^\[  {word}\s*\] (\d+) test", text, flags=re.M)))
             for word in ("PASSED", "FAILED", "SKIPPED")}
    skips = re.findall(r"^\[  SKIPPED \] (?!\d+ test)(\S+)\s*$", text, flags=re.M)
    skips = list(dict.fromkeys(skips))
    tap = re.findall(r"^(not ok|ok)\b[^\n#]*(# SKIP\b[^\n]*)?", text, flags=re.M | re.I)
    named = re.findall(r"^SKIP (\S+?):? (.*)$", text, flags=re.M)
    if any(cases.values()):
        tally.passed += cases["PASSED"]
        bad = cases["FAILED"]
    elif tap and re.search(r"^1\.\.\d+", text, flags=re.M):
        tally.passed += sum(1 for word, skip in tap if word == "ok" and not skip)
        skips += [m for m in re.findall(r"^(?:not )?ok\b[\s\d-]*([^\n#]*?)\s*# SKIP", text, flags=re.M | re.I)]
        bad = sum(1 for word, skip in tap if word != "ok" and not skip)
    else:
        bad = 0
        if result == "OK":
            tally.passed += 1
    skips += [case for case, _ in named if case not in skips]
    if result == "SKIP" and not skips:
        skips = ["-"]
    tally.skips += [f"{name}/{case}" if case != "-" else name for case in skips]
    if result in ("OK", "SKIP", "EXPECTEDFAIL") and bad == 0:
        return
    tally.failed += max(bad, 1)
    tally.failures.append((name, result, text.strip()))


def excerpt(text):
    """What a person needs of a failed test's output: the failed cases with what follows them, or its end."""
    lines = text.splitlines()
    if not re.search(r"^1\.\.\d+", text, flags=re.M):
        return lines[-25:]
    out, left = [], 0
    for line in lines:
        if re.match(r"(not ok|ok)\b", line):
            left = 20 if line.startswith("not ok") and "# SKIP" not in line else 0
        if left > 0:
            out.append(line)
            left -= 1
    return (out or lines)[-120:]


class Run:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.logs = os.path.join(self.build, "bootstrap-logs")
        self.total = Tally()
        self.began = time.monotonic()
        self.permitted = []
        with open(os.path.join(ROOT, ".ci/permitted-skips"), encoding="utf-8") as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    self.permitted.append(line.split()[0])
        # Tests get a home of their own, and nothing of the caller's session.
        self.home = tempfile.mkdtemp(prefix="mosaic-test-home-")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("XDG_", "MOSAIC_", "DBUS_", "TMUX", "SSH_", "GIT_"))
                    or k == "MOSAIC_REQUIRE_ALL"}
        self.env["HOME"] = self.home
        # Each commit makes random runs that none before it made, and makes them again when asked.
        head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True)
        if head.returncode == 0:
            self.env["MOSAIC_SIMULATION_SEED"] = str(int(head.stdout[:12], 16))

    def line(self, name, began, good, rest):
        word = "ok    " if good else "FAILED"
        print(f"  {name:<12} {word} {time.monotonic() - began:6.0f} s   {rest}", flush=True)

    def command(self, name, *commands):
        """A part that is only a build."""
        began = time.monotonic()
        path = os.path.join(self.logs, name.replace(" ", "-") + ".log")
        with open(path, "w", encoding="utf-8") as log:
            for command in commands:
                result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                        cwd=ROOT, env=os.environ | {"CC": "clang"} if "clang" in name else None)
                if result.returncode != 0:
                    break
        good = result.returncode == 0
        self.line(name, began, good, "" if good else f"log: {os.path.relpath(path, ROOT)}")
        if not good:
            self.total.failed += 1
            with open(path, encoding="utf-8", errors="replace") as log:
                lines = log.read().splitlines()
            errors = [x for x in lines if re.search(r"\b(error|undefined reference)\b", x) and "-Werror=" not in x]
            errors = list(dict.fromkeys(errors))
            print("\n".join("    | " + x[:160] for x in (errors or lines)[-25:]))
        else:
            self.total.passed += 1
        return good

    def introspect(self, build):
        text = subprocess.run(["meson", "introspect", "--tests", build], check=True, capture_output=True, text=True)
        return json.loads(text.stdout)

    def suite(self, part, build, suite, names, *options, env=None):
        """Runs a suite of a build directory, or the named tests of it, as one part."""
        began = time.monotonic()
        base = "part-" + part.replace(" ", "-")
        # meson adds the wrapper's name to the name of the log.
        wrapper = "-" + VALGRIND[0] if "--wrapper" in options else ""
        log = os.path.join(build, "meson-logs", base + wrapper + ".json")
        if os.path.exists(log):
            os.unlink(log)
        command = ["meson", "test", "-C", build, "--no-rebuild", "--logbase", base,
                   "--num-processes", str((os.cpu_count() or 1) * AT_A_TIME.get(suite, 1)), "--suite", suite,
                   *options, *names]
        with open(os.path.join(self.logs, base + ".log"), "w", encoding="utf-8") as out:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT,
                                  env=self.env | (env or {})).returncode
        tally = Tally()
        tests = []
        if os.path.exists(log):
            with open(log, encoding="utf-8") as f:
                tests = [json.loads(x) for x in f if x.strip()]
        for test in tests:
            count(test, tally)
        # Not one of the tests may be missing from the log, and meson's own verdict counts too.
        if not names:
            tally.failures.append((part, "EMPTY", "there is no test in this part"))
            tally.failed += 1
        elif len(tests) != len(names):
            tally.failures.append((part, "INCOMPLETE", f"{len(tests)} of {len(names)} tests were run"))
            tally.failed += 1
        elif code != 0 and not tally.failures:
            tally.failures.append((part, "ERROR", f"meson test ended with {code}"))
            tally.failed += 1
        verdicts = []
        for skip in list(tally.skips):
            if any(fnmatch.fnmatchcase(skip, x) for x in self.permitted):
                verdicts.append(f"    skipped: {skip} (permitted)")
            else:
                verdicts.append(f"    FAILED: {skip} was skipped, and .ci/permitted-skips does not permit that")
                tally.skips.remove(skip)
                tally.failed += 1
        rest = f"{len(tests)} tests, {tally.passed} passed"
        rest += f", {tally.failed} failed" if tally.failed else ""
        rest += f", {len(tally.skips)} skipped" if tally.skips else ""
        self.line(part, began, not tally.failed, rest)
        for verdict in verdicts:
            print(verdict)
        for name, result, text in tally.failures:
            print(f"    {result}: {name}")
            print("\n".join("    | " + x[:160] for x in excerpt(text)))
        if tally.failures:
            print(f"    log: {os.path.relpath(log, ROOT)}")
        self.total.passed += tally.passed
        self.total.failed += tally.failed
        self.total.skips += tally.skips

    def suites(self):
        found = {}
        # meson runs named tests in the order in which they are named.
        for test in sorted(self.introspect(self.build), key=lambda x: (-x["priority"], x["name"])):
            for suite in test["suite"]:
                found.setdefault(suite.split(":")[-1], []).append(test["name"])
        for suite in sorted(found, key=lambda x: (ORDER.index(x) if x in ORDER else 99, x)):
            if suite not in NOT_HERE:
                self.suite(suite, self.build, suite, found[suite])

    def binaries(self, build):
        """Unit tests that are programs of ours (a script under valgrind would test the interpreter)."""
        return [t["name"] for t in self.introspect(build)
                if any(s.endswith(":unit") or s == "unit" for s in t["suite"])
                and os.path.abspath(t["cmd"][0]).startswith(build)]

    def setup(self, directory, *options):
        fresh = not os.path.exists(os.path.join(directory, "meson-private/coredata.dat"))
        return ["meson", "setup", *([] if fresh else ["--reconfigure"]), *options, directory, ROOT]

    def compile(self, directory):
        # To the end, so that one run names all that is wrong.
        return ["ninja", "-C", directory, "-j", str(os.cpu_count() or 1), "-k", "0"]

    def all(self):
        self.suites()
        asan = os.path.join(ROOT, "build-asan")
        if self.command("asan build", self.setup(asan, "-Db_sanitize=address,undefined", "-Db_lundef=false",
                                                 "-Dtests=enabled", "-Dman=disabled"), self.compile(asan)):
            self.suite("asan unit", asan, "unit", self.binaries(asan), "--timeout-multiplier", "4", env={
                "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
                "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
                "MOSAIC_TEST_PATIENCE": "4"})
        clang = os.path.join(ROOT, "build-clang")
        self.command("clang build", self.setup(clang, "-Dwerror=true", "-Dtests=enabled", "-Dman=disabled"),
                     self.compile(clang))
        self.suite("valgrind", self.build, "unit", self.binaries(self.build), "--timeout-multiplier", "20",
                   "--wrapper", " ".join(VALGRIND), env={"MOSAIC_TEST_PATIENCE": "20"})
        left = [os.path.join(d, f) for d, _, names in os.walk(self.home) for f in names]
        if left:
            print(f"  FAILED: tests left files in the home directory: {', '.join(left[:5])}")
            self.total.failed += 1
        shutil.rmtree(self.home, ignore_errors=True)
        seconds = time.monotonic() - self.began
        print(f"  all suites took {seconds // 60:.0f} min {seconds % 60:.0f} s")
        print(f"{self.total.passed} passed, {self.total.failed} failed, {len(self.total.skips)} skipped")
        return 1 if self.total.failed else 0


if __name__ == "__main__":
    sys.exit(Run(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build")).all())
