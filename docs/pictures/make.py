#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures of what mosaic prints, from real runs: plan.svg, apply.svg and status.svg.

    MOSAIC_PROGRAM=build/mosaic docs/pictures/make.py [--to DIR]

A fleet comes up in a test bed, each command runs on a terminal of 80 columns, and what the terminal got becomes
text in an SVG file. Without --to the pictures of this directory are made anew: after a change of the output.
"""

import argparse
import html
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'integration', 'fleet'))

import harness  # noqa: E402

COLUMNS = 80
CELL, LINE, SIZE, MARGIN = 8.4, 19, 14, 18
PAPER, INK = '#1c2128', '#d6dbe1'
COLOURS = {30: '#6b7480', 31: '#f47067', 32: '#6bc46d', 33: '#daaa3f', 34: '#6cb6ff', 35: '#dcbdfb', 36: '#56d4dd',
           37: INK, 90: '#8b949e', 91: '#ff938a', 92: '#8ddb8c', 93: '#eac55f', 94: '#96d0ff', 95: '#eedcfe',
           96: '#76e3ea', 97: '#ffffff'}
SGR = re.compile(r'\x1b\[([0-9;]*)m')
CONTROL = re.compile(r'\x1b\[[0-9;?]*[A-Za-ln-z]|[^\x1b\n\x20-\x7e\u00a0-\uffff]')

BEFORE = {'canary': {}, 'docs': {}, 'web': {}, 'tester': {}}
AFTER = {'canary': {}, 'docs': {'limits': {'tasks': 512}}, 'web': {'args': ['--norc']}, 'review': {'after': ['canary']},
         'tester': {}}


class Style:
    """How the terminal writes now."""

    def __init__(self):
        self.colour, self.bold, self.dim = None, False, False

    def take(self, codes):
        for code in [int(c or 0) for c in codes.split(';')]:
            if code == 0:
                self.__init__()
            elif code in (1, 2):
                self.bold, self.dim = self.bold or code == 1, self.dim or code == 2
            elif code == 22:
                self.bold = self.dim = False
            elif code == 39:
                self.colour = None
            elif code in COLOURS:
                self.colour = COLOURS[code]
            else:
                raise SystemExit('make.py: no rule for the attribute %d' % code)

    def attributes(self):
        return ((' fill="%s"' % self.colour if self.colour else '') + (' font-weight="bold"' if self.bold else '') +
                (' opacity="0.65"' if self.dim else ''))


def line_to_svg(line, style, y):
    """One line of a terminal: each run of an attribute begins in its own column."""
    out, column = [], 0
    for i, part in enumerate(SGR.split(line)):
        if i % 2:
            style.take(part)
        elif part:
            out.append('<tspan x="%.1f"%s>%s</tspan>' % (MARGIN + column * CELL, style.attributes(),
                                                         html.escape(part, quote=False)))
            column += len(part)
    if column > COLUMNS:
        raise SystemExit('make.py: wider than %d columns: %r' % (COLUMNS, line))
    return '<text y="%d" xml:space="preserve">%s</text>' % (y, ''.join(out)) if out else ''


def picture(command, printed):
    """The SVG text of a terminal in which @command was typed and which got @printed."""
    lines = ['\x1b[1m$ %s\x1b[0m' % command] + printed.replace('\r\n', '\n').strip('\n').split('\n')
    width, height = MARGIN * 2 + COLUMNS * CELL, MARGIN * 2 + len(lines) * LINE
    style = Style()
    texts = [line_to_svg(CONTROL.sub('', line), style, MARGIN + LINE * i + SIZE) for i, line in enumerate(lines)]
    return '\n'.join([
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">' % (
            (width, height) * 2),
        '<title>%s, as a terminal shows it</title>' % html.escape(command),
        '<rect width="100%%" height="100%%" rx="8" fill="%s"/>' % PAPER,
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="%d" fill="%s">' % (SIZE, INK),
    ] + [t for t in texts if t] + ['</g>', '</svg>', ''])


class Scene(harness.Fleet):
    """A fleet in a bed whose commands are looked at."""

    def runTest(self):
        """Not a test: only the bed of one is wanted."""

    def on_a_terminal(self, *words):
        process, ours = self.bed.pty([self.program] + list(words), cols=COLUMNS)
        printed = b''

        def ended():
            nonlocal printed
            try:
                while True:
                    piece = os.read(ours, 65536)
                    if not piece:
                        return True
                    printed += piece
            except BlockingIOError:
                return False
            except OSError:  # the other side is closed
                return True
        harness.wait_for(ended, 60, 'the end of %s' % ' '.join(words))
        os.close(ours)
        process.wait(10)
        return printed.decode().replace(self.bed.home, '~').replace(self.bed.name, 'me')

    def fleet_of(self, agents):
        self.roster({n: self.agent(n, 'shell', **more) for n, more in agents.items()},
                    runtimes={}, defaults={'stop_timeout': '2s', 'on_change': 'restart'})


def scenes(scene):
    """Name, command and output of each picture."""
    scene.fleet_of(BEFORE)
    scene.apply()
    scene.fleet_of(AFTER)
    yield 'plan', 'mosaic fleet plan', scene.on_a_terminal('fleet', 'plan')
    yield 'apply', 'mosaic fleet apply --yes', scene.on_a_terminal('fleet', 'apply', '--yes')
    scene.bed.systemctl('start', 'mosaic-fleet', check=True)
    scene.fleet('stop', 'tester', '--reason', 'its disk moves', code=0)
    harness.wait_for(lambda: scene.fleet('plan').code == 0, 30, 'the fleet in sync')
    # A controller that has just begun is still connecting to the user manager.
    harness.wait_for(lambda: 'Watching' not in scene.fleet('status').out, 30, 'a controller that watches')
    yield 'status', 'mosaic fleet status', scene.on_a_terminal('fleet', 'status')


def main():
    parser = argparse.ArgumentParser(description='pictures of what mosaic prints')
    parser.add_argument('--to', default=HERE, metavar='DIR')
    where = parser.parse_args().to
    harness.bedlib.become_root()
    scene = Scene()
    try:
        Scene.setUpClass()
        scene.setUp()
        for name, command, printed in scenes(scene):
            with open(os.path.join(where, name + '.svg'), 'w', encoding='utf-8') as f:
                f.write(picture(command, printed))
    finally:
        scene.doCleanups()
        Scene.doClassCleanups()


if __name__ == '__main__':
    main()
