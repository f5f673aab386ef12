# SPDX-License-Identifier: MIT
"""Do the tests bite? bite.py ROOT BUILD [--some N] [--only TEXT]

Puts one fault at a time (mutants.py) into a copy of one source file, compiles it without optimisation, links
the tests of the reconciler with it in a scratch directory, and runs them until one fails. A fault that none
finds fails this test, and so does one whose place in the source is gone. --some N takes N of them, other
ones for another MOSAIC_SIMULATION_SEED.
"""
import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mutants import MUTANTS  # noqa: E402

SEEDS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "simulation", "seeds")
# Cheapest first: what to run, and how long it may take with a fault that makes it run on.
TESTS = [
    ("tests/unit/reconciler/test-planner", [], 60),
    ("tests/unit/reconciler/test-planner-pacing", [], 60),
    ("tests/simulation/simulate", sorted(os.path.join(SEEDS, x) for x in os.listdir(SEEDS)), 60),
    ("tests/simulation/simulate", ["--brief", "--first", "1", "--seeds", "600"], 120),
    ("tests/simulation/explore", ["two-chained"], 240),
    ("tests/simulation/explore", ["one"], 240),
]
# What the drivers do is not part of the world in memory, but for what decides; who has a test of its own is
# judged by that first.
DRIVER_TESTS = [
    ("tests/simulation/crash-states", ["--brief"], 60),
]
OWN_TESTS = {
    "drivers/agent/launch.c": [("tests/simulation/explore-launch", [], 60), *TESTS[2:4]],
    "drivers/agent/run-record.c": [("tests/unit/drivers/agent/test-agent-run-record", [], 60)],
    "drivers/direct/known.c": [*TESTS[2:4], ("tests/unit/drivers/direct/test-direct-known", [], 60)],
    "drivers/direct/orphans.c": [("tests/unit/drivers/direct/test-direct-direct", [], 60)],
    "drivers/os/proc.c": [("tests/unit/drivers/os/test-os-proc", [], 60)],
    "drivers/machine/lost-server.c": [("tests/unit/drivers/machine/test-machine-lost-server", [], 60)],
    "drivers/store/store.c": [("tests/unit/drivers/store/test-store-store", [], 60), *DRIVER_TESTS, *TESTS[2:4]],
    "model/pacing.c": [*TESTS[:4], ("tests/unit/model/test-model-pacing", [], 60), *TESTS[4:]],
    "reconciler/pass.c": [("tests/unit/reconciler/test-pass", [], 60), *TESTS],
    "drivers/tmux/listing.c": [("tests/unit/drivers/tmux/test-tmux-listing", [], 60)],
}


HEADER = "/* SPDX-License-Identifier: MIT */"


def link_command(build, target):
    """The command that links a program of the build directory."""
    text = subprocess.run(["ninja", "-C", build, "-t", "commands", target], check=True, capture_output=True, text=True)
    return shlex.split(text.stdout.strip().splitlines()[-1])


def compile_command(build, path):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        for entry in json.load(f):
            if os.path.normpath(os.path.join(entry["directory"], entry["file"])) == path:
                return shlex.split(entry["command"])
    sys.exit(f"bite: {path} is not compiled in {build}")


def without_output(command):
    """A compiler's command without what it reads and writes."""
    out, skip = [], False
    for word in command:
        if skip or word in ("-MD", "-MQ", "-MF", "-c", "-o"):
            skip = word in ("-MQ", "-MF", "-c", "-o")
            continue
        out.append(word)
    return out


def tests_of(path):
    return OWN_TESTS.get(path, DRIVER_TESTS if path.startswith("drivers/") else TESTS)


def killed_by(root, build, scratch, mutant, tests=None):
    """The test that finds it; None: none does."""
    _, path, anchor, instead = mutant
    with open(os.path.join(root, path), encoding="utf-8") as f:
        text = f.read()
    if text.count(anchor) != 1:
        sys.exit(f"bite: '{mutant[0]}': its place is in {path} {text.count(anchor)} times; write it anew")
    source, obj = os.path.join(scratch, os.path.basename(path)), os.path.join(scratch, "mutant.o")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text.replace(anchor, instead))
    command = without_output(compile_command(build, os.path.join(root, path)))
    done = subprocess.run([*command, "-O0", "-w", "-Wno-error", "-c", source, "-o", obj], cwd=build,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bite: '{mutant[0]}' does not compile:\n{done.stderr}")
    for target, arguments, seconds in tests or tests_of(path):
        program = os.path.join(scratch, os.path.basename(target))
        link = link_command(build, target)
        link[link.index("-o") + 1] = program
        # Before the archives: the member that it replaces is then not asked for.
        link.insert(link.index("-o") + 2, obj)
        subprocess.run(link, cwd=build, check=True, stdin=subprocess.DEVNULL)
        try:
            done = subprocess.run([program, *arguments], cwd=scratch, timeout=seconds, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            found = done.returncode != 0
        except subprocess.TimeoutExpired:
            found = True
        if found:
            return " ".join([os.path.basename(target), *(os.path.basename(x) for x in arguments)])
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("build")
    parser.add_argument("--some", type=int, default=0)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    mutants = [m for m in MUTANTS if options.only in m[0]]
    if options.some:
        seed = int(os.environ.get("MOSAIC_SIMULATION_SEED", "0"))
        first = seed * options.some % len(mutants)
        mutants = (mutants + mutants)[first:first + options.some]
    # Without a fault nothing may be found: else each would be found for another reason.
    for path in sorted({m[1] for m in mutants}):
        with tempfile.TemporaryDirectory(prefix="mosaic-bite-") as scratch:
            test = killed_by(os.path.abspath(options.root), os.path.abspath(options.build), scratch,
                             ("no fault", path, HEADER, HEADER), tests_of(path)[:4])
        if test:
            sys.exit(f"bite: {path} as it is fails {test}")
    found = 0
    for mutant in mutants:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="mosaic-bite-") as scratch:
            test = killed_by(os.path.abspath(options.root), os.path.abspath(options.build), scratch, mutant)
        found += test is not None
        print(f"{'found ' if test else 'MISSED'} {mutant[0]} ({mutant[1]}): {test or 'no test fails'}, "
              f"{time.monotonic() - began:.1f} s", flush=True)
    print(f"{found} of {len(mutants)} faults found ({len(MUTANTS)} known)")
    return 0 if mutants and found == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
