# SPDX-License-Identifier: MIT
"""What the sweeps share: one fault after another put into the real program, and what must hold after each.

A point is one fault: the n-th allocation, the n-th call of one kind. A test run takes a sample of them, the same one
each time, and prints its seed. MOSAIC_SWEEP_SEED takes another, MOSAIC_SWEEP_POINTS names points to take alone,
MOSAIC_SWEEP=all (the suite `soak`) takes every point, and MOSAIC_SWEEP=places the first allocation of each call stack,
and every call. MOSAIC_SWEEP_SHARD=K/N takes the K-th of N parts of these: most points wait more than they work, so
several parts run well beside each other.
"""

import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time
import zlib

import harness
from harness import IN_SYNC, PENDING, Fleet, wait_for

ALL = os.environ.get('MOSAIC_SWEEP') == 'all'
ONLY = os.environ.get('MOSAIC_SWEEP_POINTS', '').split()
PLACES = os.environ.get('MOSAIC_SWEEP') == 'places'
SHARD, SHARDS = (int(n) for n in os.environ.get('MOSAIC_SWEEP_SHARD', '1/1').split('/'))
FAIL_MALLOC = os.environ.get('MOSAIC_FAIL_MALLOC') or os.path.join(
    os.path.dirname(harness.PROGRAM), 'tests/sweep/libmosaic-fail-malloc.so')

# Which libraries are none of ours: a crash there is theirs. And the C library reads the user database without a look
# at what it was given (nss_database, in glibc 2.36).
THIRD_PARTY = ('libfyaml.so', 'libjson-c.so', 'libsystemd.so', 'libpcre2-8.so', 'libmd.so')
PASSWD = ('database_home ',)


def seed():
    return os.environ.get('MOSAIC_SWEEP_SEED') or '1'


def sample(points, n, name):
    """@n of the points in their order, or all of them in the soak suite."""
    if ONLY:
        unknown = set(ONLY) - {str(p) for p in points}
        if unknown:
            raise AssertionError('MOSAIC_SWEEP_POINTS: %s has no %s' % (name, ' '.join(sorted(unknown))))
        return [p for p in points if str(p) in ONLY]
    if ALL or PLACES:
        # By name: no two runs have quite the same points.
        return [p for p in points if zlib.crc32(str(p).encode()) % SHARDS == SHARD - 1]
    if len(points) <= n:
        return list(points)
    dice = random.Random('%s %s' % (seed(), name))
    return [points[i] for i in sorted(dice.sample(range(len(points)), n))]


class Allocations:
    """The file that tests/sweep/fail-malloc.c shares with us; the layout is told there."""

    HEAD, TEXT, SITES = 32, 4096, 1 << 18
    FIRST, FORKS = 1, 2

    def __init__(self, fleet):
        self.fleet = fleet
        self.library = shutil.copy(FAIL_MALLOC, fleet.opt + '/fail-malloc.so')
        os.chmod(self.library, 0o755)
        self.path = fleet.bed.write('allocations', b'', 0o666)
        os.truncate(self.path, self.HEAD + 2 * self.TEXT + 4 * self.SITES)
        self.env = {'LD_PRELOAD': self.library, 'MOSAIC_FAIL_PROGRAM': 'mosaic', 'MOSAIC_FAIL_FILE': self.path}

    def tell(self, at, mode='once', where=FIRST, sites=False):
        with open(self.path, 'r+b') as f:
            f.write(struct.pack('8I', at, mode == 'from', where, sites, 0, 0, 0, 0) + b'\0' * 2 * self.TEXT)

    def _head(self):
        with open(self.path, 'rb') as f:
            return struct.unpack('8I', f.read(self.HEAD)), f.read(self.TEXT), f.read(self.TEXT)

    def count(self):
        return self._head()[0][4]

    def failed(self):
        return self._head()[0][5]

    def firsts(self):
        """The allocations that are the first from their call stack, by number."""
        n = min(self.count(), self.SITES)
        with open(self.path, 'rb') as f:
            f.seek(self.HEAD + 2 * self.TEXT)
            sites = struct.unpack('%dI' % n, f.read(4 * n))
        seen = {}
        for i, s in enumerate(sites):
            seen.setdefault(s, i + 1)
        return sorted(seen.values())

    def death(self):
        """(signal, objects and offsets of the stack) or None."""
        head, _, died = self._head()
        return (head[6], self._stack(died)) if head[6] else None

    def where(self):
        return self._stack(self._head()[1])

    def _stack(self, text):
        """With the names of functions where the object has them."""
        found = []
        for line in text.rstrip(b'\0').decode().splitlines()[:12]:
            name, offset = line.rsplit(' ', 1)
            if name == 'mosaic' and shutil.which('addr2line'):
                r = subprocess.run(['addr2line', '-s', '-f', '-e', self.fleet.program, hex(int(offset, 16) - 1)],
                                   capture_output=True, text=True)
                found.append(' '.join(r.stdout.split()))
            else:
                found.append('%s+%s' % (name, offset))
        return found

    def describe(self):
        text = 'the allocation that failed:\n  ' + '\n  '.join(self.where())
        death = self.death()
        if death:
            text += '\ndied of signal %d:\n  ' % death[0] + '\n  '.join(death[1])
        return text


class Sweep(Fleet):
    """A fleet that converges again after each fault. A test says what is to be done, has the program do it with a fault,
    and looks with afterwards() whether the same command does the rest. What is wrong is collected in self.violations and
    told by judge(): a sweep that ended at its first find would find little."""
    controllers = False
    names = ('a', 'b')

    def setUp(self):
        super().setUp()
        self.violations = []
        self.n_bad = self.n_judged = 0
        self.round = 0
        self.left = set()
        print('# seed %s' % seed())

    # --- the state ---

    def tree(self):
        """Files of ours: path to content."""
        found = {}
        for top in (self.bed.home + '/.config/mosaic', self.bed.home + '/.config/systemd', self.bed.home + '/.local',
                    self.bed.run_dir + '/mosaic'):
            for d, _, names in os.walk(top):
                for n in names:
                    path = os.path.join(d, n)
                    if n == 'lock':
                        continue  # its text is who held it last
                    try:
                        with open(path, 'rb') as f:
                            found[os.path.relpath(path, self.bed.root)] = f.read()
                    except OSError:
                        continue  # a socket, or gone meanwhile
        return found

    def check_tree(self, known=frozenset()):
        """No half of a file. Returns the temporary files that lie there, but for the @known ones."""
        left = set()
        for path, content in self.tree().items():
            name = os.path.basename(path)
            if '.tmp' in name:
                left.add(path)
            elif name.endswith('.json'):
                try:
                    json.loads(content)
                except ValueError:
                    self.violations.append('%s is torn: %r' % (path, content[:200]))
        return left - set(known)

    def check_same(self, before, after):
        for path in sorted(set(before) | set(after)):
            if before.get(path) != after.get(path):
                self.violations.append('%s changed from %r to %r' % (
                    path, (before.get(path) or b'')[:300], (after.get(path) or b'')[:300]))

    def alive(self, agents):
        """Violation unless these processes are what they were."""
        for name, p in agents.items():
            if not p.alive():
                self.violations.append('agent %s was ended' % name)

    def judge(self, point, r, more=str):
        """Says what is wrong at this point; @more says more then."""
        self.n_judged += 1
        if self.n_judged % 100 == 0:
            print('# %d points' % self.n_judged, flush=True)
        if not self.violations:
            return True
        print('# BAD %s\n%s\n%s\n%s' % (point, '\n'.join('#   ' + v for v in self.violations),
                                        '\n'.join('#   ' + line for line in repr(r).splitlines()),
                                        '\n'.join('#   ' + line for line in more().splitlines())), flush=True)
        self.n_bad += 1
        self.violations = []
        return False

    # --- what is to be done ---

    def starts_of_all(self):
        """How often each was started, once those that run have noted it themselves."""
        wait_for(lambda: all((self.bed.read('starts/' + n) or '').split()[-1:] == [str(p.pid)]
                             for n, p in self.running().items()), 10, 'each has noted its start')
        return {n: self.starts(n) for n in self.names}

    def cold(self):
        """The server is gone, and all agents with it. Returns who must be started."""
        self.starts_of_all()
        if self.supervisor == 'systemd':
            # A server that is killed comes back by itself; one that is stopped takes the agents with it, and an agent
            # that is down because its holder is counts as drift.
            self.bed.systemctl('stop', harness.HOLDER_UNIT, check=True)
        else:
            for p in self.servers():
                os.kill(p.pid, signal.SIGKILL)
        wait_for(lambda: not self.running() and not self.servers(), 10, 'the end of all agents')
        return self.names

    def change(self):
        """One agent is to be restarted, the other not."""
        self.round += 1
        self.roster(dict(self.agents_of(['a']), b=self.agent('b', env={'ROUND': str(self.round)})))
        return ('b',)

    # --- what must be so ---

    def afterwards(self, before, whom, may_leave=False):
        """The same command does all of it, once. @may_leave: who was killed leaves temporary files, for a minute, and
        requests to the manager, which may be heeded only after ours: that is drift, and mended."""
        r = self.fleet('apply', '--yes')
        if r.code != IN_SYNC:
            self.violations.append('afterwards: %r' % r)
            self.fleet('apply', '--yes')

        def have_started():
            if may_leave and self.fleet('plan').code == PENDING:
                self.fleet('apply', '--yes')
            return all(self.starts(n) > before[n] for n in whom)
        try:
            wait_for(have_started, 10, 'starts of %s' % (whom,))
        except harness.Failed as e:
            self.violations.append(str(e))
        for n in self.names:
            wanted = before[n] + (n in whom)
            if self.starts(n) != wanted:
                self.violations.append('%s was started %d times' % (n, self.starts(n) - before[n]))
        if self.fleet('plan').code != IN_SYNC:
            self.violations.append('the plan is not empty: %r' % self.results[-1])
        if set(self.running()) != set(self.names):
            self.violations.append('running: %s' % sorted(self.running()))
        if len(self.servers()) != 1:
            self.violations.append('servers: %s' % self.servers())
        # A controller beside us may be at it.
        left = self.check_tree(self.left)
        for _ in range(100):
            if may_leave or not left:
                break
            time.sleep(0.02)
            left &= self.check_tree(self.left)
        if may_leave:
            self.left |= left
        else:
            self.violations += ['%s is left' % path for path in left]

    def conclude(self):
        self.assert_healthy(self.names)
        # A minute later the next writer takes away what the killed ones left.
        for path in self.left:
            path = os.path.join(self.bed.root, path)
            if os.path.exists(path):
                os.utime(path, (time.time() - 120,) * 2, follow_symlinks=False)
        self.change()
        self.apply()
        self.assertEqual(self.check_tree(set()), set())
        self.assertEqual(self.n_bad, 0)


def plain(text):
    """Output without what differs from one run to the next: times, sizes, percentages."""
    return re.sub(r'\b\d+(\.\d+)?( ?(us|ms|s|min|h|d|[KMG]i?B?|%))?(?![\w-])', 'N', re.sub(r' +', ' ', text))
