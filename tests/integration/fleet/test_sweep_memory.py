#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The n-th allocation fails, once or from there on, in every verb that people and units use: the program says so and
ends, nothing is half done, and the same command afterwards does all of it."""

import os
import signal

import harness
from harness import IN_SYNC, NOT_CONVERGED, UNKNOWN, wait_for
from sweep_sending import ERROR, SUBMITTED, SweepSending
from sweeping import ALL, ONLY, PASSWD, PLACES, THIRD_PARTY, Allocations, Sweep, plain, sample
from watching import Controller

MODES = ('once', 'from')


class Memory(Sweep):
    supervisor = 'direct'

    def setUp(self):
        super().setUp()
        self.shim = Allocations(self)
        self.n_points = 0
        self.theirs = {}

    def points(self, name, n, argv, where=Allocations.FIRST, codes=(IN_SYNC,)):
        """Counts once without a failure, and chooses: allocations that differ in where they come from, and all in soak."""
        self.shim.tell(0, where=where, sites=True)
        r = self.mosaic(*argv, env=self.shim.env, code=codes)
        return r, self.choose(name, n)

    def choose(self, name, n):
        total, firsts = self.shim.count(), self.shim.firsts()
        self.assertGreater(total, 100, 'the library was not loaded')
        every = range(1, total + 1) if ALL or ONLY else firsts
        chosen = [(m, p) for m in MODES for p in sample(every, n, '%s %s' % (name, m))]
        print('# %s: %d allocations from %d places, %d points' % (name, total, len(firsts), len(chosen)), flush=True)
        self.n_points += len(chosen)
        return chosen

    def died(self, r):
        """Whether it crashed; one that a library has to answer for is counted, and no violation."""
        death = self.shim.death()
        if not death and r.code >= 0:
            return False
        stack = death[1] if death else []
        own = next((f for f in stack if not f.startswith(('libc.so', 'fail-malloc.so'))), '?')
        if own.startswith(THIRD_PARTY + PASSWD):
            self.theirs[own] = self.theirs.get(own, 0) + 1
        else:
            self.violations.append('died of signal %s' % (death[0] if death else -r.code))
        return True

    def one(self, mode, at, argv, where=Allocations.FIRST, **more):
        self.shim.tell(at, mode, where)
        r = self.bed.run([self.program] + argv, env=self.shim.env, **more)
        self.results.append(r)
        return r

    def print_conclusion(self):
        print('# %d points, %d bad; crashes within libraries: %s' % (
            self.n_points, self.n_bad, self.theirs or 'none'))

    def conclude(self):
        self.print_conclusion()
        super().conclude()


class MemoryFleet(Memory):
    # --- verbs that change nothing ---

    def readers(self, name, n, argv):
        """The same words as ever, or an error; and the files are what they were."""
        agents = self.bring_up(self.names)
        self.apply()
        good, chosen = self.points(name, n, argv)
        before = self.tree()
        for mode, at in chosen:
            r = self.one(mode, at, argv)
            if not self.died(r):
                if r.code == IN_SYNC:
                    if plain(r.out) != plain(good.out):
                        self.violations.append('other words than else: %r' % r.out)
                elif r.code not in (ERROR, UNKNOWN):
                    self.violations.append('exit code %d' % r.code)
                elif not (r.err + r.out).strip():
                    self.violations.append('exit code %d without a word' % r.code)
            self.check_same(before, self.tree())
            self.alive(agents)
            self.judge('%s %s %d' % (name, mode, at), r, self.shim.describe)
        self.mosaic(*argv, code=IN_SYNC)
        self.assertEqual(self.tree(), before)
        self.in_sync()
        self.conclude()

    def test_validate(self):
        self.readers('validate', 40, ['fleet', 'validate'])

    def test_plan(self):
        self.readers('plan', 30, ['fleet', 'plan'])

    def test_status(self):
        self.readers('status', 30, ['fleet', 'status'])

    def test_status_json(self):
        self.readers('status --json', 10, ['fleet', 'status', '--json'])

    def test_explain(self):
        self.readers('explain', 20, ['fleet', 'explain', 'a'])

    def test_apply_in_sync(self):
        self.readers('apply, in sync', 30, ['fleet', 'apply', '--yes'])

    # --- apply with something to do ---

    def test_apply_a_change(self):
        argv = ['fleet', 'apply', '--yes']
        self.bring_up(self.names)
        self.change()
        _, chosen = self.points('apply', 15, argv)
        for mode, at in chosen:
            whom, before = self.change(), self.starts_of_all()
            r = self.one(mode, at, argv)
            if not self.died(r):
                if r.code not in (IN_SYNC, ERROR, NOT_CONVERGED, UNKNOWN):
                    self.violations.append('exit code %d' % r.code)
                elif r.code == IN_SYNC and self.fleet('plan').code != IN_SYNC:
                    self.violations.append('exit code 0, and then %r' % self.results[-1])
            self.afterwards(before, whom, r.code < 0)
            self.judge('apply %s %d' % (mode, at), r, self.shim.describe)
        self.conclude()

    # --- the controller ---

    def watch(self, name, where, n):
        """From its start to the end of its first pass, which has one agent to restart."""
        self.bring_up(self.names)
        self.change()
        self.shim.tell(0, where=where, sites=True)
        c = Controller(self, env=self.shim.env)
        c.wait_converged()
        c.end()
        for mode, at in self.choose(name, n):
            whom, before = self.change(), self.starts_of_all()
            self.shim.tell(at, mode, where)
            c = Controller(self, env=self.shim.env)
            try:
                wait_for(lambda: self.settled(c, mode), 40, c.describe)
            except harness.Failed as e:
                self.violations.append(str(e))
            code, said = c.end(), c.said()
            if self.shim.death():
                self.died(self.results[-1])
            elif code == -signal.SIGTERM and not c.events():
                pass  # it did not listen yet
            elif code not in (IN_SYNC, ERROR):
                self.violations.append('exit code %d' % code)
            if code == ERROR and 'annot allocate' not in said:
                self.violations.append('no word of memory: %r' % said)
            # A pass that it begins and then has no memory to listen to is killed.
            killed = self.shim.death() or any(f.startswith('on_pass_due ') for f in self.shim.where())
            self.afterwards(before, whom, bool(killed))
            self.judge('%s %s %d' % (name, mode, at), self.results[-1],
                       lambda: self.shim.describe() + '\n' + c.describe())
            os.unlink(c.path)
            os.unlink(c.errors)
        self.conclude()

    def settled(self, c, mode):
        """Ended, or converged in spite of it; in soak `status` must be told of it too, which may come 15 s later."""
        if c.process.poll() is not None or (mode == 'from' and self.shim.failed() > 1):
            return True
        if not ALL and any(e['summary']['exit'] == IN_SYNC for e in c.events('pass')):
            return True
        f = c.file()
        return f and f['pid'] == c.pid and any(
            x['type'] == 'Converged' and x['reason'] == 'in_sync' for x in f['conditions'])

    def test_watch(self):
        self.watch('watch', Allocations.FIRST, 8)

    def test_pass(self):
        self.watch('pass', Allocations.FORKS, 8)


class MemorySend(Memory, SweepSending):
    """A message is submitted once, or the exit code says that it was not."""

    def test_send(self):
        self.composers('web')
        argv = ['agent', 'send', 'web', '-']
        self.shim.tell(0, sites=True)
        r = self.bed.run([self.program] + argv, env=self.shim.env, input='first')
        self.assertEqual(r.code, SUBMITTED, r)
        self.unsent = set()
        for k, (mode, at) in enumerate(self.choose('send', 4)):
            text, before = 'message %d' % k, self.tree()
            r = self.one(mode, at, argv, input=text)
            crashed = self.died(r)
            # Half a second each, so in long sweeps not where nothing at all changed: then the next one does what it did.
            if k % 10 and (ALL or PLACES) and r.code == ERROR and self.tree() == before and self.is_empty():
                self.unsent.add(text.encode())
            else:
                self.after_send(text, r, crashed, crashed)
            self.judge('send %s %d' % (mode, at), r, self.shim.describe)
        self.conclude()

    def conclude(self):
        print('# where nothing had changed no other message was sent: %d' % len(self.unsent))
        self.assertEqual(self.unsent & set(self.bodies('web')), set())
        self.print_conclusion()
        SweepSending.conclude(self)


if __name__ == '__main__':
    harness.main()
