#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes files into a C source as byte arrays.

    embed.py table OUT DEPFILE ROOT [EXTRA=FILE...]   the table of framework/assets.h: all files below
                                                      ROOT/{fleet,systemd,tools}, and each FILE as EXTRA
    embed.py bytes OUT NAME FILE                      const unsigned char NAME[]; const size_t NAME_size

The output depends on the names, bytes and execute bits of the input only.
"""

import os
import sys

FOLDERS = ("fleet", "systemd", "tools")


def c_array(name, data, storage):
    rows = [f"{storage}const unsigned char {name}[] = {{"]
    data = data + b"\0"  # so that text can be used as a C string
    for i in range(0, len(data), 16):
        rows.append("        " + " ".join(f"{byte}," for byte in data[i : i + 16]))
    rows.append("};")
    return "\n".join(rows)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def is_asset(name):
    return not name.startswith(".") and not name.endswith("~") and name != "meson.build"


def collect(root):
    found = {}
    for folder in FOLDERS:
        for where, folders, names in os.walk(os.path.join(root, folder)):
            folders.sort()
            for name in filter(is_asset, names):
                path = os.path.join(where, name)
                found[os.path.relpath(path, root)] = path
    return found


def mode(path):
    return "0755" if os.stat(path).st_mode & 0o100 else "0644"


def table(out, depfile, root, extras):
    found = collect(root)
    for extra in extras:
        name, _, path = extra.partition("=")
        found[name] = path
    # qsort order of strcmp(3): bytes, not the collation of a locale
    names = sorted(found, key=lambda name: name.encode())
    parts = ['#include "framework/assets.h"\n']
    for i, name in enumerate(names):
        parts.append(f"/* {name} */")
        parts.append(c_array(f"bytes_{i}", read(found[name]), "static "))
    parts.append("\nconst Asset assets[] = {")
    for i, name in enumerate(names):
        parts.append(f'        {{ "{name}", {mode(found[name])}, bytes_{i}, sizeof(bytes_{i}) - 1 }},')
    parts.append("};")
    parts.append("const size_t n_assets = sizeof(assets) / sizeof(assets[0]);")
    write(out, "\n".join(parts) + "\n")
    # The folders are named too: a file that is added or removed changes their time stamp.
    needs = set(found.values())
    needs.update(os.path.dirname(path) for path in found.values())
    write(depfile, out + ": " + " ".join(sorted(p.replace(" ", "\\ ") for p in needs)) + "\n")


def one(out, name, path):
    text = "#include <stddef.h>\n\n"
    text += f"extern const unsigned char {name}[];\nextern const size_t {name}_size;\n"
    text += c_array(name, read(path), "") + "\n"
    text += f"const size_t {name}_size = sizeof({name}) - 1;\n"
    write(out, text)


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main(argv):
    if len(argv) >= 5 and argv[1] == "table":
        table(argv[2], argv[3], argv[4], argv[5:])
    elif len(argv) == 5 and argv[1] == "bytes":
        one(argv[2], argv[3], argv[4])
    else:
        sys.exit(__doc__)


main(sys.argv)
