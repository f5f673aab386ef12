# SPDX-License-Identifier: MIT
"""Each lint bites: a small good tree passes, and every way to spoil it is found, at its place."""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(sys.argv[1])
C = "/* SPDX-License-Identifier: MIT */\n"
H = C + "#pragma once\n\n"

GOOD = {
    "model/a.h": H + "#include <stddef.h>\n\nint a_size(size_t n);\n",
    "model/a.c": C + '#include <string.h>\n\n#include "model/a.h"\n\nint a_size(size_t n) {\n'
                     "        char *p = \"system(1)\"; /* system(2) */\n\n        return p[n] + (int)strlen(p);\n}\n",
    "drivers/os/b.c": C + '#include "model/a.h"\n\nint b_get(void);\n\nint b_get(void) {\n'
                          "        return a_size(1);\n}\n",
    "framework/tools/t.sh": "#!/bin/sh\n# SPDX-License-Identifier: MIT\nset -eu\necho \"$1\"\n",
    "docs/ARCHITECTURE.md": "# Map\n\n- `model/a.[ch]` - a\n- `drivers/os/b.c` - b\n"
                            "- `framework/tools/*.sh` - tools\n",
    "docs/man/mosaic.1.scd": "; SPDX-License-Identifier: MIT\nmosaic(1)\n\n*fleet*\n\tf\n\n# OPTIONS\n\n*--version*\n\tv\n\n*--help*\n\th\n",
    "docs/man/mosaic-fleet.1.scd": "; SPDX-License-Identifier: MIT\nmosaic-fleet(1)\n\n*--help*\n\th\n\n*plan*\n\tp\n",
    "docs/man/mosaic-fleet-plan.1.scd":
        "; SPDX-License-Identifier: MIT\nmosaic-fleet-plan(1)\n\n*--help*\n\th\n\n*--out* _F_\n\tfile\n",
}
# A stand-in for the program: prints help as the real one does.
PROGRAM = """#!/bin/sh
# SPDX-License-Identifier: MIT
case "$*" in
--help) printf 'Usage: mosaic VERB\\n\\n  fleet plan   Show\\n\\nOptions:\\n  --version  v\\n  --help  h\\n' ;;
'fleet --help') printf 'Usage: mosaic fleet VERB\\n\\n  fleet plan   Show\\n\\nOptions:\\n  --help  h\\n' ;;
'fleet plan --help') printf 'usage: mosaic fleet plan\\n\\nOptions:\\n  --out F  file\\n  --help  h\\n' ;;
*) echo "mosaic: unknown" >&2; exit 64 ;;
esac
"""

# lint, file to change (None: add), text to find, what to put there, expected finding
SPOILED = [
    ("layering", "model/a.c", '#include "model/a.h"', '#include "drivers/os/b.h"', "model/a.c:4: must not include"),
    ("layering", "model/a.c", "<string.h>", "<systemd/sd-bus.h>", "model/a.c:2: must not include"),
    ("layering", "model/a.c", "<string.h>", "<json-c/json.h>", "model/a.c:2: must not include"),
    ("layering", "drivers/os/b.c", '"model/a.h"', '"a.h"', "drivers/os/b.c:2: include"),
    ("layering", "drivers/os/b.c", '"model/a.h"', '"model/gone.h"', "drivers/os/b.c:2: included file"),
    ("layering", "drivers/os/b.c", '"model/a.h"', '"framework/embed.h"', "drivers/os/b.c:2: must not include"),
    ("layering", "drivers/os/b.c", '"model/a.h"', '"reconciler/x.h"', "drivers/os/b.c:2: must not include"),
    ("layering", "drivers/os/b.c", '#include "model/a.h"', "#include <json-c/json.h>", "drivers/os/b.c:2: must not"),
    ("layering", "model/a.c", '#include "model/a.h"', '#include "tests/lib/t.h"', "model/a.c:4: must not include"),
    ("purity", "model/a.c", "return p[n]", 'return puts("x") + p[n]', "model/a.c:1: calls puts()"),
    ("purity", "model/a.c", "(int)strlen(p)", "(int)time(NULL)", "model/a.c:1: calls time()"),
    ("purity", "model/a.c", "(int)strlen(p)", "(int)(long)getenv(p)", "model/a.c:1: calls getenv()"),
    ("purity", "model/a.c", "(int)strlen(p)", "open(p, 0)", "model/a.c:1: calls open()"),
    ("purity", "model/new.c", None, C + "int x;\n", "model/new.c:1: no object"),
    ("headers-alone", "model/a.h", "#include <stddef.h>\n", "", "model/a.h:1: does not compile alone"),
    ("headers-alone", "model/a.h", "#pragma once\n", "", "model/a.h:1: does not begin"),
    ("format", "model/a.c", "        return", "    return", "model/a.c:"),
    ("shell", "framework/tools/t.sh", 'echo "$1"', "echo $1", "framework/tools/t.sh:4: SC2086"),
    ("shell", "bootstrap", None, "#!/bin/sh\n# SPDX-License-Identifier: MIT\ncd $1\n", "bootstrap:3: SC"),
    ("house-rules", "model/a.c", "return p[n]", 'asprintf(&p, "x");\n        return p[n]', "model/a.c:9: asprintf()"),
    ("house-rules", "model/a.c", "return p[n]", 'system("x");\n        return p[n]', "model/a.c:9: system()"),
    ("house-rules", "model/a.c", "strlen(p)", "atoi(p)", "model/a.c:9: atoi()"),
    ("house-rules", "model/a.c", "/* system(2) */", "/* TO" "DO */", "model/a.c:7: 'TO" "DO'"),
    ("house-rules", "framework/tools/t.sh", "# SPDX-License-Identifier: MIT\n", "", "t.sh:1: no SPDX"),
    ("house-rules", "model/a.c", "/* SPDX-License-Identifier: MIT */\n", "", "model/a.c:1: no SPDX"),
    ("house-rules", "model/a.c", "strlen(p);", "strlen(p);\n" * 1001, "longer than 1000 lines"),
    ("format", "model/a.c", "/* system(2) */", "/* " + "long " * 20 + "*/", "model/a.c:7: "),
    ("house-rules", "model/a.c", "strlen(p);", "strlen(p); ", "model/a.c:9: trailing blanks"),
    ("house-rules", "drivers/util.c", None, C, "drivers/util.c:1: a name that says nothing"),
    ("house-rules", "drivers/common/x.c", None, C, "drivers/common/x.c:1: a name that says nothing"),
    ("architecture", "model/new.c", None, C, "model/new.c is not on the map"),
    ("architecture", "docs/ARCHITECTURE.md", "b.c` - b", "b.c` - b\n- `model/c.c` - c", "model/c.c does not exist"),
    ("architecture", "docs/ARCHITECTURE.md", "b.c` - b", "b.c` - b\n- `model/a.c` - a", "is on the map already"),
    ("manual", "docs/man/mosaic-fleet-plan.1.scd", "*--out*", "*--in*", "--out"),
    ("manual", "docs/man/mosaic-fleet-plan.1.scd", None, None, "mosaic-fleet-plan.1.scd"),
    ("manual", "docs/man/mosaic-fleet.1.scd", "*plan*", "*plot*", "plan"),
    ("manual", "docs/man/mosaic-fleet-gone.1.scd", None, "; SPDX\n", "mosaic-fleet-gone"),
    ("manual", "docs/man/mosaic-fleet-plan.1.scd", "*--out*", "*--more*\n\n*--out*", "--more is on this page"),
    ("manual", "build/mosaic", "fleet plan   Show", "fleet plot   Show", "mosaic-fleet-plot.1.scd:1: is missing"),
    ("manual", "build/mosaic", "exit 64", "exit 1", "end with 64"),
    ("manual", "drivers/os/c.c", None, C + 'char *c = getenv("HOME");\n', "drivers/os/c.c:2: HOME is read"),
    ("manual", "build/mosaic", "--out F  file", "--out F  " + "wide " * 20, "80 columns"),
    ("manual", "build/mosaic", "fleet plan --help') printf", "fleet plan --help') >&2 printf", "stdout"),
]


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as f:
        f.write(text)


def build(root):
    """The objects and compile_commands.json of the tree, as meson would leave them."""
    folder = os.path.join(root, "build")
    rows = []
    for source in ("model/a.c", "drivers/os/b.c"):
        output = source.replace("/", "_") + ".o"
        subprocess.run(["cc", "-w", "-O1", "-D_GNU_SOURCE", "-fPIC", "-I", root, "-c", os.path.join(root, source),
                        "-include", "stdio.h", "-include", "stdlib.h", "-include", "time.h", "-include", "fcntl.h",
                        "-o", os.path.join(folder, output)], check=True)
        rows.append('{"directory": "%s", "file": "../%s", "output": "%s"}' % (folder, source, output))
    write(root, "build/compile_commands.json", "[" + ",\n".join(rows) + "]")


def run(name, files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            write(root, path, text)
        shutil.copy(os.path.join(ROOT, ".clang-format"), root)
        os.chmod(os.path.join(root, "build/mosaic"), 0o755)
        if name == "purity":
            build(root)
        return subprocess.run([sys.executable, os.path.join(HERE, name + ".py"), root, os.path.join(root, "build")],
                              capture_output=True, text=True)


def main():
    good = GOOD | {"build/mosaic": PROGRAM}
    bad, left_out = 0, set()
    for name in sorted({row[0] for row in SPOILED}):
        result = run(name, good)
        if result.returncode == 77:  # the lint itself is the skip that counts
            left_out.add(name)
        elif result.returncode != 0:
            print(f"not ok {name}: objects to the good tree:\n{result.stdout}{result.stderr}")
            bad += 1
    spoiled = [row for row in SPOILED if row[0] not in left_out]
    for name, path, old, new, expected in spoiled:
        files = dict(good)
        if old is None and new is None:
            del files[path]
        elif old is None:
            files[path] = new
        else:
            assert old in files[path], (name, path, old)
            files[path] = files[path].replace(old, new)
        result = run(name, files)
        if result.returncode != 1 or expected not in result.stdout:
            print(f"not ok {name}: {path} spoiled, expected '{expected}', got {result.returncode}:\n"
                  f"{result.stdout}{result.stderr}")
            bad += 1
    without = f", without {', '.join(sorted(left_out))}" if left_out else ""
    print(f"{len(spoiled)} ways to spoil a tree, {bad} not found{without}")
    sys.exit(1 if bad else 0)


main()
