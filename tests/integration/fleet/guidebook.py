# SPDX-License-Identifier: MIT
"""Reads a guide as its reader does: types its commands, saves its files, compares what it says is printed.

What a fenced block of docs/guides/*.md means:
    ```sh      each line is a command, run in the home directory; it ends with 0, or as its comment
               says: `# exit 2`, `# exit 0 or 2`
    ```text    right after such a block: what its last command prints. A line `...` stands for any
               lines; numbers, ages and sizes may be others; /home/me is the home, me the user, box the
               machine, /usr where mosaic is installed
    any block  whose first line (second, after `#!`) is the comment `# ~/PATH`: saved as that file
All other blocks are only shown. A command that looks (status, plan, verify ...) is tried again until it says what
the guide says, for some seconds: a reader looks twice, too.

With MOSAIC_GUIDE_FILL=1 an empty ```text block is filled in with what was printed.
"""

import collections
import os
import re
import socket
import subprocess
import time

Block = collections.namedtuple('Block', 'kind line text')

FENCE = re.compile(r'^```(\S*)\n(.*?)^```$', re.M | re.S)
FILE = re.compile(r'(#!.*\n)?# ~/(\S+)\n')
CODES = re.compile(r'\s#.*\bexit (\d+(?: or \d+)*)')
LOOKS = re.compile(r'mosaic$|mosaic (fleet (status|plan|verify|explain)|agent (status|tail|probe|logs))\b')
LIMITING = re.compile(r'^(ok|note) +(limits|controllers) .*\n( .*\n)*', re.M)
PATIENCE = 20
FILLS = os.environ.get('MOSAIC_GUIDE_FILL') == '1'
SETTLED = 7  # so long does what is filled in stay as it is


def blocks(text):
    return [Block(m[1], text.count('\n', 0, m.start()) + 1, m[2]) for m in FENCE.finditer(text)]


def plain(text):
    """What two runs have in common: no numbers, ages, widths, versions, nor what another machine leaves out."""
    text = re.sub(r'(?m)^(ok +(?:tmux +version|user-manager +answers, systemd)) \S+', r'\1 VERSION', text)
    text = re.sub(r'last pass .*', 'last pass', text)
    text = re.sub(r'\b[0-9a-f]{12}\b|\b[0-9a-f]{8}\b', 'HASH', text)
    text = re.sub(r'\b[0-9.]+ ?[KMG]\b', 'MEM', text)
    text = re.sub(r'\b[0-9.]+ ?(ms|s|min|h|d)\b( \d+ ?(s|min|h)\b)?|\ba moment\b', 'AGE', text)
    text = re.sub(r'\d+', '0', text)
    return [' '.join(w for w in line.split() if w not in ('-', 'MEM', 'CPU', 'AGE'))
            for line in text.strip('\n').split('\n')]


def matches(said, printed):
    """Whether the lines @said by the guide are those @printed, `...` standing for any."""
    pattern = '\n'.join('(?:.*\n)*?.*' if x == '...' else re.escape(x) for x in plain(said))
    return re.fullmatch(pattern, '\n'.join(plain(printed))) is not None


class Reader:
    """@fleet: the scenario in whose bed the guide is read."""

    def __init__(self, fleet, path):
        self.fleet, self.path = fleet, path
        with open(path, encoding='utf-8') as f:
            self.text = f.read()
        self.fills = []
        self.commands = 0

    def neutral(self, text):
        bed = self.fleet.bed
        for real, said in ((bed.home, '/home/me'), (self.fleet.opt, '/usr'), (bed.name, 'me'), (str(bed.uid), '1000')):
            text = text.replace(real, said)
        return re.sub(r'\b%s\b' % re.escape(socket.gethostname()), 'box', text)

    def as_said(self, said, printed):
        if self.fleet.bed.manager_controllers() != {'memory', 'pids', 'cpu'}:  # a machine that limits less says so
            said, printed = (LIMITING.sub('', text) for text in (said, printed))
        return matches(said, printed)

    def save(self, m, text):
        script = text.startswith('#!')
        self.fleet.bed.write(m[2], text, 0o755 if script else 0o600)

    def command(self, line, said, place):
        m = CODES.search(line)
        codes = [int(c) for c in m[1].split(' or ')] if m else [0]
        end = time.monotonic() + PATIENCE
        before = None
        while True:
            r = self.fleet.bed.run(['bash', '-c', line], env={'COLUMNS': '80'}, stderr=subprocess.STDOUT)
            printed = self.neutral(r.out)
            good = r.code in codes and (not (said or '').strip() or self.as_said(said, printed))
            again = LOOKS.match(line)
            if FILLS and good and again and said == '' and plain(printed) != before:
                before, good = plain(printed), False
                time.sleep(SETTLED)
            if good or not again or time.monotonic() > end:
                break
            time.sleep(0.2)
        self.fleet.results.append(r)
        self.commands += 1
        if not good:
            self.fleet.fail('%s: `%s` ended with %s, the guide says %s%s\n--- printed:\n%s--- the guide:\n%s' % (
                place, line, r.code, codes, ', and other words' if r.code in codes else '', printed, said))
        return printed

    def read(self):
        every = blocks(self.text)
        for i, block in enumerate(every):
            place = '%s:%d' % (os.path.basename(self.path), block.line)
            m = FILE.match(block.text)
            if m:
                self.save(m, block.text)
                continue
            if block.kind != 'sh':
                continue
            after = every[i + 1] if i + 1 < len(every) and every[i + 1].kind == 'text' else None
            lines = [x for x in block.text.split('\n') if x and not x.startswith('#')]
            for n, line in enumerate(lines):
                last = n == len(lines) - 1
                printed = self.command(line, after.text if after and last else None, place)
            if after and not after.text.strip():
                self.fills.append((after.line, printed))
        if FILLS:
            self.fill()

    def fill(self):
        lines = self.text.split('\n')
        for line, printed in reversed(self.fills):
            lines[line:line] = [x.rstrip() for x in printed.strip('\n').split('\n')]
        with open(self.path, 'w', encoding='utf-8') as f:
            f.write('\n'.join(lines))
