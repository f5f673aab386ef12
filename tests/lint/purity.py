# SPDX-License-Identifier: MIT
"""The code that decides calls nothing that could see or change the world.

Looks at the undefined symbols of every object compiled from model/, schema/, reconciler/plan/ and reconciler/agent/ (nm), and
accepts only what those objects define themselves, the memory side of three libraries, and a list of libc
functions that compute. A name that is missing here is added on purpose, in a commit of its own, or not.
"""
import json
import os
import re
import shutil
import subprocess

from tree import Lint

PURE = ("model/", "schema/", "reconciler/plan/", "reconciler/agent/")
LIBC = set("""
abort asprintf bsearch calloc free malloc memchr memcmp memcpy memmem memmove mempcpy memrchr memset
qsort qsort_r rawmemchr realloc reallocarray reallocf snprintf stpcpy strcasecmp strchr
strchrnul strcmp strcspn strdup strlen strncasecmp strncmp strndup strnlen strpbrk strrchr strsep strspn
strstr strtod strtol strtoll strtoul strtoull vasprintf vsnprintf explicit_bzero fnmatch
gmtime_r timegm
floor ceil fabs trunc isnan isinf fmod strverscmp basename __xpg_basename
""".split())
COMPILER = re.compile(
    r"__errno_location|__assert_fail|__stack_chk_fail|__ctype_(b|tolower|toupper)_loc|_GLOBAL_OFFSET_TABLE_"
    r"|__memcpy_chk|_Unwind_Resume|__tls_get_addr|__popcountdi2|__muloti4")
LIBRARIES = [
    (re.compile(r"fy_\w+"), re.compile(r"fy_\w*(_file|_fp|_fd|_callback)\w*")),
    (re.compile(r"json_\w+|array_list_\w+|lh_\w+|printbuf_\w+"),
     re.compile(r"json_object_(from|to)_f\w+|json_c_set_\w+")),
    (re.compile(r"pcre2_\w+"), re.compile(r"pcre2_serialize_\w+")),
    (re.compile(r"SHA256\w+"), re.compile(r"SHA256F(ile|d)\w*")),
]


def allowed(symbol):
    plain = re.sub(r"^__(\w+)_chk$", r"\1", symbol)
    plain = re.sub(r"^__isoc\d\d_", "", plain)
    if plain in LIBC or COMPILER.fullmatch(symbol):
        return True
    return any(yes.fullmatch(symbol) and not no.fullmatch(symbol) for yes, no in LIBRARIES)


def nm(path):
    """Names that the object defines for others, names it wants."""
    text = subprocess.run(["nm", "-P", path], check=True, capture_output=True, text=True).stdout
    defined, wanted = set(), set()
    for line in text.splitlines():
        name, kind = line.split()[:2]
        (wanted if kind in "Uw" else defined).add(name.split("@")[0])
    return defined, wanted


def main():
    lint = Lint()
    if not shutil.which("nm"):
        lint.skip("nm is missing (binutils)")
    with open(os.path.join(lint.build, "compile_commands.json"), encoding="utf-8") as f:
        commands = json.load(f)
    objects = {}
    for command in commands:
        source = os.path.relpath(os.path.join(command["directory"], command["file"]), lint.root)
        target = os.path.join(command["directory"], command["output"])
        if source.startswith(PURE) and source in lint.files and os.path.exists(target):
            objects[target] = source
    # A file that nothing compiles would never be looked at.
    for path in lint.files:
        if path.startswith(PURE) and path.endswith(".c") and path not in objects.values():
            lint.find(path, 1, "no object was built from this file")
    tables = {target: nm(target) for target in objects}
    # What the objects of these folders define for each other, generated ones (embedded schema) included.
    ours = set().union(*(defined for defined, _ in tables.values())) if tables else set()
    for command in commands:
        target = os.path.join(command["directory"], command["output"])
        if target not in tables and target.endswith(".o") and os.path.exists(target) \
                and os.path.relpath(target, lint.build).startswith(PURE):
            ours |= nm(target)[0]
    for target, (_, wanted) in tables.items():
        for symbol in wanted - ours:
            if not allowed(symbol):
                lint.find(objects[target], 1, f"calls {symbol}(), which code that only decides must not")
        lint.checked += 1
    lint.finish("objects")


main()
