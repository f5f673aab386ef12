# SPDX-License-Identifier: MIT
"""The runner behind `./bootstrap test` counts what was obtained: nothing that failed, was skipped or crashed
passes for a success."""
import importlib.util
import os
import sys

SPEC = importlib.util.spec_from_file_location("suites", os.path.join(sys.argv[1], ".ci/suites.py"))
suites = importlib.util.module_from_spec(SPEC)
sys.dont_write_bytecode = True
SPEC.loader.exec_module(suites)

CMOCKA = "[==========] Running 3 test(s).\n[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n"
CMOCKA_SKIP = CMOCKA + "[  SKIPPED ] b\n[  PASSED  ] 2 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] b\n"
CMOCKA_FAIL = CMOCKA + "[  PASSED  ] 1 test(s).\n[  FAILED  ] 2 test(s), listed below:\n[  FAILED  ] b\n"
TAP = "1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no tool\n"

# result of meson, output; passed, failed, skips
CASES = [
    ("OK", "", 1, 0, []),
    ("OK", CMOCKA + "[  PASSED  ] 3 test(s).\n", 3, 0, []),
    ("OK", CMOCKA_SKIP, 2, 0, ["t/b"]),
    ("FAIL", CMOCKA_FAIL, 1, 2, []),
    # A crash after two groups that passed, a leak found at the end, a time limit: one failure each at least.
    ("FAIL", CMOCKA + "[  PASSED  ] 3 test(s).\n==1==ERROR: LeakSanitizer\n", 3, 1, []),
    ("FAIL", CMOCKA, 0, 1, []),
    ("TIMEOUT", "", 0, 1, []),
    ("ERROR", "", 0, 1, []),
    ("UNEXPECTEDPASS", "", 0, 1, []),
    ("SKIP", "", 0, 0, ["t"]),
    ("SKIP", "SKIP limits: the manager has no memory controller\n", 0, 0, ["t/limits"]),
    ("OK", "SKIP limits: the manager has no memory controller\n", 1, 0, ["t/limits"]),
    ("FAIL", TAP, 1, 1, ["t/c"]),
]

bad = 0
for result, text, passed, failed, skips in CASES:
    tally = suites.Tally()
    suites.count({"name": "mosaic:unit / t", "result": result, "stdout": text}, tally)
    got = (tally.passed, tally.failed, tally.skips)
    if got != (passed, failed, skips):
        print(f"not ok {result} {text!r}: {got}, expected {(passed, failed, skips)}")
        bad += 1
print(f"{len(CASES)} cases, {bad} wrong")
sys.exit(1 if bad else 0)
