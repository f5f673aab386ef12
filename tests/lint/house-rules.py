# SPDX-License-Identifier: MIT
"""The rules that need no parser: size, file names, licence line, line endings, words and functions that do
not belong here."""
import os
import re

from tree import Lint, blank_c, is_c, is_shell, numbered

MAX_LINES = 1000
DUMPING_GROUNDS = {"util", "utils", "misc", "helper", "helpers", "common"}
CODE = (".c", ".h", ".py", ".sh", ".build")
LICENSED = CODE + (".scd", ".service", ".in", ".mjs", ".js")
# Spelled in pieces, so that this file may be checked too.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
FORBIDDEN = {
    "system": "posix_spawn() with an argv array",
    "popen": "posix_spawn() with an argv array",
    "sprintf": "strbuf or snprintf()", "vsprintf": "strbuf or vsnprintf()",
    "strcpy": "strbuf or memcpy()", "strcat": "strbuf", "strncat": "strbuf",
    "strncpy": "memcpy() with a checked length",
    "strtok": "strcspn() and pointers", "strtok_r": "strcspn() and pointers",
    "atoi": "parse_uint64()", "atol": "parse_uint64()", "atoll": "parse_uint64()", "atof": "parse_*()",
    "alloca": "malloc() and a cleanup attribute", "gets": "getline()", "mktemp": "mkostemp()",
    "tmpnam": "mkostemp()", "asprintf": "format_text()", "vasprintf": "format_valist()",
}
# The file that the others use instead; tests check by themselves.
EXCEPT = {"asprintf": ("model/base/format.h", "tests/"), "vasprintf": ("model/base/format.h", "tests/")}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(FORBIDDEN) + r")\s*\(")


def main():
    lint = Lint()
    for path in lint.files:
        if lint.is_binary(path):
            continue
        lint.checked += 1
        text = lint.text(path)
        stem = os.path.basename(path).split(".")[0]
        folders = path.split("/")[:-1]
        if stem in DUMPING_GROUNDS or DUMPING_GROUNDS & set(folders):
            lint.find(path, 1, "a name that says nothing; call it after its topic")
        code = path.endswith(CODE) or is_shell(lint, path)
        lines = text.split("\n")
        if code and len(lines) - 1 > MAX_LINES:
            lint.find(path, len(lines) - 1, f"longer than {MAX_LINES} lines")
        if (code or path.endswith(LICENSED)) and not path.startswith("tests/fuzz/corpus/"):
            if not any("SPDX-License-Identifier: MIT" in x for x in lines[:3]):
                lint.find(path, 1, "no SPDX line at the top")
            if text and not text.endswith("\n"):
                lint.find(path, len(lines), "no newline at the end")
            for line, content in numbered(text):
                if content.endswith((" ", "\r", "\t")):
                    lint.find(path, line, "trailing blanks")
        for line, content in numbered(text):
            word = UNFINISHED.search(content)
            if word:
                lint.find(path, line, f"'{word[0]}': do it, or write it down in an issue")
        if is_c(path):
            for line, content in numbered(blank_c(text)):
                for call in CALL.finditer(content):
                    if path.startswith(EXCEPT.get(call[1], ())):
                        continue
                    lint.find(path, line, f"{call[1]}() is not used here; use {FORBIDDEN[call[1]]}")
    lint.finish("files")


main()
