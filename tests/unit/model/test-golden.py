#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden diagnostics: what `roster-print` says of each roster in rosters/, byte for byte.

    test-golden.py PROGRAM [--update]

rosters/NAME.yaml -> rosters/NAME.txt (findings); rosters/NAME.desired.json (resolved state) and
rosters/NAME.json (findings as JSON) where such a file exists.
"""

import json
import os
import subprocess
import sys

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rosters")


def run(program, mode, path):
    argv = [program] + ([mode] if mode else []) + [path]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def check(program, mode, path, golden, update, want):
    code, out, err = run(program, mode, path)
    if code not in want or err:
        return f"exit code {code}, {err.decode(errors='replace').strip()}"
    if update:
        with open(golden, "wb") as f:
            f.write(out)
        return None
    try:
        with open(golden, "rb") as f:
            expected = f.read()
    except FileNotFoundError:
        return "no golden file; run with --update and look at it"
    if out != expected:
        return "differs:\n" + out.decode(errors="replace")
    return None


def leaks(text):
    """Values of the environment stay out of everything but the excerpt."""
    return [word for word in ("hunter2", "abcdef0123", "sk-0123") if word in text]


def main():
    program, update = sys.argv[1], "--update" in sys.argv
    failures, n = [], 0
    for name in sorted(os.listdir(FOLDER)):
        if not name.endswith(".yaml"):
            continue
        path, stem = os.path.join(FOLDER, name), os.path.join(FOLDER, name[:-5])
        problems = [check(program, None, path, stem + ".txt", update, (0, 1))]
        n += 1
        for mode, ending in (("--json", ".json"), ("--github", ".github.txt"), ("--desired", ".desired.json")):
            if os.path.exists(stem + ending):
                problems.append(check(program, mode, path, stem + ending, update, (0, 1)))
                n += 1
        code, out, _ = run(program, "--json", path)
        found = json.loads(out)
        if found["valid"] != (code == 0) or found["valid"] != (found["errors"] == 0):
            problems.append("exit code, valid and errors do not agree")
        if leaks(out.decode()):
            problems.append("the JSON repeats a value of the environment")
        failures += [f"{name}: {p}" for p in problems if p]
    for failure in failures:
        print(failure)
    print(f"{n} outputs compared, {len(failures)} differ")
    sys.exit(1 if failures or n == 0 else 0)


main()
