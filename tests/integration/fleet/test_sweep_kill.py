#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""KILL at random instants of `apply`, of the controller and of `agent send`: afterwards the same command does the rest.
test_crash.py and test_send.py have more of it in every test run; this counts to a thousand in the suite `soak`."""

import os
import random
import signal
import subprocess
import time

import harness
from harness import wait_for
from sweeping import ALL, Sweep, seed
from talk import PERSON, SUBMITTED, Talk
from watching import Controller

# In all, and a third of it for each of the three.
KILLS = int(os.environ.get('MOSAIC_SWEEP_KILLS') or (1002 if ALL else 21))


class Kill(Sweep):
    supervisor = 'direct'

    def setUp(self):
        super().setUp()
        self.dice = random.Random('%s %s' % (seed(), self.id()))

    def took(self, work):
        began = time.monotonic()
        work()
        return time.monotonic() - began


class KillApply(Kill):
    def begin(self):
        return self.bed.popen([self.program, 'fleet', 'apply', '--yes'])

    def time_of(self, prepare):
        """How long this kind of apply takes."""
        prepare()
        self.starts_of_all()
        p = self.begin()
        took = self.took(p.wait)
        p.communicate()
        self.assertEqual(p.returncode, 0)
        return took

    def test_apply(self):
        """Of a cold start, and of a restart, in turns. Each has its own time, within which it is killed: one that ended
        before is measured anew and counts for nothing."""
        self.bring_up(self.names)
        kinds = {prepare: [self.time_of(prepare) for _ in range(3)] for prepare in (self.change, self.cold)}
        n_killed = n_late = 0
        while n_killed < KILLS // 3:
            prepare = self.cold if n_killed % 2 else self.change
            times = kinds[prepare]
            whom, before = prepare(), self.starts_of_all()
            delay = self.dice.uniform(0, sorted(times)[len(times) // 2])
            p = self.begin()
            began = time.monotonic()
            try:
                p.wait(delay)
                times[:] = times[1:] + [time.monotonic() - began]
                n_late += 1
                self.assertLess(n_late, KILLS, 'no kill comes in time')
            except subprocess.TimeoutExpired:
                p.kill()
            p.communicate()
            n_killed += p.returncode == -signal.SIGKILL
            self.afterwards(before, whom, True)
            self.judge('kill apply %d after %.4f s' % (n_killed, delay), self.results[-1])
        print('# %d kills of apply, %d more came too late; a restart takes %.3f s, a cold start %.3f s' % (
            n_killed, n_late, *(sorted(kinds[k])[1] for k in (self.change, self.cold))))
        self.conclude()

    def test_watch(self):
        """The controller, or the process in which it makes a pass, while it restarts an agent; the next one goes on."""
        self.bring_up(self.names)
        c = Controller(self)
        c.wait_converged()
        self.change()
        longest = self.took(lambda: wait_for(lambda: self.starts('b') > 1, 15, c.describe)) + 0.1
        for k in range(KILLS // 3):
            a = self.running()['a']
            whom, before = self.change(), self.starts_of_all()
            delay = self.dice.uniform(0, longest)
            time.sleep(delay)
            passes = [p.pid for p in self.bed.processes() if p.ppid == c.pid and p.comm == 'mosaic']
            victim = passes[0] if passes and k % 3 else c.pid
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
            if victim == c.pid:
                c.process.wait(10)
                os.unlink(c.path)
                os.unlink(c.errors)
                c = Controller(self)
            try:
                wait_for(lambda: self.starts('b') > before['b'], 20, c.describe)
            except harness.Failed as e:
                self.violations.append(str(e))
            self.afterwards(before, whom, True)
            self.alive({'a': a})
            self.judge('kill watch %d after %.4f s' % (k, delay), self.results[-1], c.describe)
        print('# %d kills of the controller and its passes within %.2f s' % (KILLS // 3, longest))
        self.assertEqual(c.end(), 0)
        self.conclude()


class KillSend(Kill, Talk):
    names = ('web',)

    def test_send(self):
        self.composers('web')
        longest = self.took(lambda: self.send('web', 'first'))
        outcomes = {'nothing': 0, 'arrived': 0, 'typed': 0}
        for k in range(KILLS // 3):
            text = 'killed %d' % k
            p = self.bed.popen([self.program, 'agent', 'send', 'web', '-'], stdin=subprocess.PIPE)
            p.stdin.write(text.encode())
            p.stdin.close()
            time.sleep(self.dice.uniform(0, longest))
            p.kill()
            p.wait()
            d = self.send('web', 'after %d' % k, '--timeout', '2s', code=(SUBMITTED, PERSON))
            n = self.bodies('web').count(text.encode())
            if d['result'] == 'refused':
                outcomes['typed'] += 1
                self.steer('web', 'clear')
                self.send('web', 'after %d' % k)
            else:
                outcomes['arrived' if n else 'nothing'] += 1
            if n > 1:
                self.violations.append('submitted %d times' % n)
            if self.bodies('web').count(b'after %d' % k) != 1:
                self.violations.append('the next message came %d times' % self.bodies('web').count(b'after %d' % k))
            if self.buffers():
                self.violations.append('buffers are left: %s' % self.buffers())
            self.judge('kill send %d' % k, self.results[-1])
        print('# %d kills of send within %.2f s: %s' % (KILLS // 3, longest, outcomes))
        self.assertEqual(self.n_bad, 0)


if __name__ == '__main__':
    harness.main()
