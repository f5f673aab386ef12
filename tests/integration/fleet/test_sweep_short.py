#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads and writes move a byte at a time, or any part of what was asked for, are interrupted, or would block: what comes
out is the same as ever."""

import os
import re
import shutil
import signal
import struct
import subprocess

import harness
from harness import IN_SYNC, wait_for
from sweep_sending import SweepSending
from sweeping import Sweep, plain, sample
from watching import Controller

SEEDS = range(1, 200)
SHORT_IO = os.environ.get('MOSAIC_SHORT_IO') or os.path.join(
    os.path.dirname(harness.PROGRAM), 'tests/sweep/libmosaic-short-io.so')


class ShortIo:
    """The file that tests/sweep/short-io.c shares with us; the layout is told there."""

    PROGRAMS = ('mosaic', 'mosaic-keeper', 'mosaic-launcher')

    def __init__(self, fleet):
        self.library = shutil.copy(SHORT_IO, fleet.opt + '/short-io.so')
        os.chmod(self.library, 0o755)
        self.path = fleet.bed.write('short-io', b'', 0o666)
        os.truncate(self.path, 8 + 16 * len(self.PROGRAMS))
        self.env = {'LD_PRELOAD': self.library, 'MOSAIC_SHORT_FILE': self.path}

    def tell(self, seed):
        with open(self.path, 'r+b') as f:
            f.write(struct.pack('I', seed))

    def counts(self):
        """Program to (calls, shortened, interrupted, would have blocked), in all."""
        with open(self.path, 'rb') as f:
            f.seek(8)
            n = struct.unpack('12I', f.read(48))
        return {p: n[4 * i:4 * i + 4] for i, p in enumerate(self.PROGRAMS)}


class Short(Sweep):
    def setUp(self):
        super().setUp()
        self.shim = ShortIo(self)

    def seeds(self, name, n):
        """A byte at a time, and then by dice."""
        chosen = [0] + sample(SEEDS, n, name)
        print('# %s: %d of %d ways' % (name, len(chosen), len(SEEDS) + 1), flush=True)
        return chosen

    def told_of(self, programs=('mosaic',)):
        counts = self.shim.counts()
        print('# calls, shortened, interrupted, would have blocked: %s' % counts)
        for p in programs:
            self.assertGreater(counts[p][1], 0, '%s did not do it in parts' % p)

    def one(self, seed, argv, **more):
        self.shim.tell(seed)
        r = self.bed.run([self.program] + argv, env=self.shim.env, **more)
        self.results.append(r)
        return r

    def readers(self, n, *verbs):
        self.bring_up(self.names)
        self.apply()
        for argv in verbs:
            good = self.mosaic(*argv, code=IN_SYNC)
            for seed in self.seeds(' '.join(argv), n):
                r = self.one(seed, list(argv))
                if (r.code, plain(r.out), plain(r.err)) != (good.code, plain(good.out), plain(good.err)):
                    self.violations.append('else it is %r' % good)
                self.judge('%s %d' % (' '.join(argv), seed), r)
        self.told_of()
        self.conclude()

    def applies(self, n, prepare):
        self.bring_up(self.names)
        for seed in self.seeds('apply', n):
            whom, before = prepare(), self.starts_of_all()
            r = self.one(seed, ['fleet', 'apply', '--yes'])
            if r.code != IN_SYNC:
                self.violations.append('exit code %d' % r.code)
            self.afterwards(before, whom)
            self.judge('apply %d' % seed, r)
        self.conclude()


class ShortDirect(Short):
    supervisor = 'direct'

    def test_readers(self):
        self.readers(1, ('fleet', 'validate'), ('fleet', 'plan'), ('fleet', 'status'), ('fleet', 'status', '--json'),
                     ('fleet', 'explain', 'a'), ('agent', 'tail', 'a', '-n', '5'))

    def test_apply_cold(self):
        """The server, the keepers and the launchers inherit it."""
        self.applies(2, self.cold)
        self.told_of(('mosaic', 'mosaic-launcher'))

    def test_apply_a_change(self):
        self.applies(2, self.change)
        self.told_of()

    def test_watch(self):
        self.bring_up(self.names)
        for seed in self.seeds('watch', 1):
            self.shim.tell(seed)
            whom, before = self.change(), self.starts_of_all()
            c = Controller(self, env=self.shim.env)
            c.wait_converged()
            self.afterwards(before, whom)
            # And one that comes as an event.
            passes, whom, before = c.file()['passes'], self.change(), self.starts_of_all()
            wait_for(lambda: c.file()['passes'] > passes and self.starts('b') > before['b'], 15, c.describe)
            self.afterwards(before, whom)
            if c.end() != 0 or c.said():
                self.violations.append('it ended with %d' % c.process.returncode)
            self.judge('watch %d' % seed, self.results[-1], c.describe)
        self.told_of()
        self.conclude()

    def test_tail_that_follows(self):
        self.bring_up(self.names)
        self.wait_up('a')
        for seed in self.seeds('tail -f', 1):
            self.shim.tell(seed)
            path = self.bed.path_of('tail.log')
            with open(path, 'wb') as out:
                p = self.bed.popen([self.program, 'agent', 'tail', 'a', '-f'], stdout=out, stderr=subprocess.STDOUT,
                                   env=self.shim.env)
            wait_for(lambda: self.bed.read(path), 10, lambda: 'its first lines')
            lines = ['line %d of %d' % (i, seed) for i in range(10)]
            for line in lines:
                self.type('a', line)
            wait_for(lambda: 'got ' + lines[-1] in self.bed.read(path), 10, lambda: self.bed.read(path))
            p.send_signal(signal.SIGINT)
            p.wait(10)
            # The echo of the next line may stand before what the agent says of the last one.
            told = re.findall('got line [0-9]+ of %d' % seed, self.bed.read(path))
            self.assertEqual(told, ['got ' + line for line in lines])
        self.told_of()


class ShortSystemd(Short):
    supervisor = 'systemd'

    def test_status(self):
        self.readers(1, ('fleet', 'status'))

    def test_apply_a_change(self):
        self.applies(2, self.change)
        self.told_of()


class ShortSend(Short, SweepSending):
    supervisor = 'direct'
    names = ('web',)

    def test_send(self):
        """A message that is long enough for many parts."""
        self.composers('web')
        for seed in self.seeds('send', 1):
            text = 'in parts %d' % seed + '\n' + '\n'.join('%d %s' % (i, 'ä' * 60) for i in range(60))
            r = self.one(seed, ['agent', 'send', 'web', '-'], input=text)
            if r.code != IN_SYNC:
                self.violations.append('exit code %d' % r.code)
            self.after_send(text, r, False)
            self.judge('send %d' % seed, r)
        self.told_of()
        SweepSending.conclude(self)


if __name__ == '__main__':
    harness.main()
