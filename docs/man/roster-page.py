#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The keys of the roster, from its schema, so that a page lists every key with the words that editors show, and no
key that is gone.

Usage: roster-page.py TEMPLATE SCHEMA > PAGE       mosaic-fleet-roster(5): fills @KEYS@ of the template
       roster-page.py --markdown SCHEMA > PAGE     docs/reference/roster-keys.md
"""
import json
import re
import sys

EFFECTS = {"restart": "restart", "live": "live", "none": "no process"}


def literal(text):
    """Text that scdoc prints as it is."""
    return re.sub(r"([\\_*\[\]#`.])", r"\\\1", text)


def flow(value):
    """A value as YAML would write it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z/~][\w./~ -]*|[0-9]+[A-Za-z%x][\w%]*", value)
        return value if plain and value not in ("true", "false", "null", "yes", "no") else json.dumps(value)
    return json.dumps(value)


class Page:
    def __init__(self, schema):
        self.schema = schema
        self.out = []

    def resolve(self, node):
        """A node with what it refers to; its own words win."""
        for reference in [node.get("$ref"), *(x.get("$ref") for x in node.get("allOf", []))]:
            if reference:
                node = {**self.resolve(self.schema["$defs"][reference.rsplit("/", 1)[1]]), **node}
        return node

    def key(self, path, node):
        text = literal(node["description"])
        if node.get("enum"):
            text += " One of " + ", ".join(f"_{literal(str(x))}_" for x in node["enum"]) + "."
        # A list of words shows more with the whole list than with one of them.
        if node.get("examples") and not node.get("enum"):
            text += f" Example: _{literal(flow(node['examples'][0]))}_"
        self.out += [f"*{literal(path)}* ({EFFECTS[node['x-effect']]})", "\t" + text, ""]

    def keys(self, node, prefix="", leave_out=()):
        for name, child in node.get("properties", {}).items():
            child = self.resolve(child)
            if name in leave_out:
                continue
            self.key(prefix + name, child)
            if prefix == "" or child.get("x-effect"):
                self.keys(child if prefix + name not in SECTIONS else {}, prefix + name + ".")

    def section(self, title, node, leave_out=()):
        self.out += [f"## {title}", ""]
        self.keys(node, leave_out=leave_out)


SECTIONS = {"defaults", "runtimes", "agents", "credentials"}


class Markdown(Page):
    """The same as tables."""

    def key(self, path, node):
        text = node["description"]
        if node.get("enum"):
            text += " One of " + ", ".join(f"`{x}`" for x in node["enum"]) + "."
        example = flow(node["examples"][0]) if node.get("examples") and not node.get("enum") else ""
        cells = [f"`{path}`", EFFECTS[node["x-effect"]], text.replace("|", "\\|"), f"`{example}`" if example else ""]
        self.out.append("| " + " | ".join(cells) + " |")

    def section(self, title, node, leave_out=()):
        self.out += [f"## {title}", "", "| key | a change needs | meaning | example |", "|---|---|---|---|"]
        self.keys(node, leave_out=leave_out)
        self.out.append("")


MARKDOWN_HEAD = """# The keys of the roster

Made from `schema/roster.schema.json` by `docs/man/roster-page.py --markdown`: the words are those that editors show. What the keys do
together, and the defaults, is in [roster.md](roster.md).

"""


def fill(page, schema):
    definitions = schema["$defs"]
    shared = set(definitions["defaults"]["properties"])
    page.section("The roster", schema)
    page.section("defaults, and each agent", definitions["defaults"])
    page.section("Each agent", definitions["agent"], leave_out=shared)
    page.section("Each runtime", definitions["runtime_data"])


def main():
    with open(sys.argv[2], encoding="utf-8") as f:
        schema = json.load(f)
    if sys.argv[1] == "--markdown":
        page = Markdown(schema)
        fill(page, schema)
        sys.stdout.write(MARKDOWN_HEAD + "\n".join(page.out))
        return
    with open(sys.argv[1], encoding="utf-8") as f:
        template = f.read()
    page = Page(schema)
    fill(page, schema)
    before, after = template.split("@KEYS@\n")
    sys.stdout.write(before + "\n".join(page.out) + after)


main()
