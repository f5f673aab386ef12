#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Killed at any moment, or run eight times at once, `apply` ends at the same state with nothing doubled."""

import os
import random
import signal
import time

import harness
from harness import LOCKED, Fleet, wait_for


class Crash:
    def kill_at(self, delay, group):
        p = self.bed.popen([self.program, 'fleet', 'apply', '--yes'])
        time.sleep(delay)
        done = p.poll() is not None
        if not done:
            (os.killpg if group else os.kill)(p.pid, signal.SIGKILL)
        p.communicate()
        return done

    def test_killed_at_random_moments(self):
        names = ['a%d' % i for i in range(6)]
        other = names[:4] + ['b0', 'b1']
        began = time.monotonic()
        self.roster(names)
        self.apply()
        whole = max(time.monotonic() - began, 0.05)
        self.fleet('stop', code=0)
        self.fleet('start', code=0)
        self.wait_agents(names)
        seed = random.randrange(1 << 32)
        print('# seed %d, a whole apply takes %.2f s' % (seed, whole))
        dice = random.Random(seed)
        kills = 0
        for n in range(14):
            wanted = other if n % 2 == 0 else names
            agents = self.agents_of(wanted, env={'ROUND': str(n)} if n % 3 == 0 else {'ROUND': str(n - n % 3)})
            self.roster(agents)
            for _ in range(1 + n % 3):
                kills += not self.kill_at(dice.uniform(0, whole), n % 2 == 0)
            before = {k: self.starts(k) for k in wanted}
            r = self.apply('--allow-remove', '2', code=range(0, 8))
            if r.code:
                # The exact number may be smaller by now.
                self.apply('--allow-remove', '1', code=range(0, 8))
                self.apply()
            self.assert_healthy(wanted)
            self.in_sync()
            self.assertLessEqual(max(self.starts(k) - before[k] for k in wanted), 1)
        print('# %d kills' % kills)
        self.assertGreater(kills, 3)

    def test_killed_while_starting_from_nothing(self):
        names = ['a%d' % i for i in range(6)]
        for delay in (0.01, 0.03, 0.06, 0.1, 0.15, 0.25):
            with self.subTest(delay=delay):
                self.roster(names)
                self.kill_at(delay, False)
                self.apply()
                self.assert_healthy(names)
                self.in_sync()
                self.assertEqual({self.starts(n) for n in names}, {1})
                self.bed.reset()
                self.bed.linger(True)
                for d in ('starts', 'work'):
                    self.bed.mkdir(d)
                self.guard = self.bed.canary()
                self.init()

    def test_eight_at_once(self):
        names = ['a%d' % i for i in range(10)]
        self.roster(names)
        all8 = [self.bed.popen([self.program, 'fleet', 'apply', '--yes']) for _ in range(8)]
        codes = []
        for p in all8:
            out, err = p.communicate(timeout=90)
            codes.append(p.returncode)
            self.assertIn(p.returncode, (0, LOCKED), (out + err).decode())
        self.assertIn(0, codes)
        self.assert_healthy(names)
        self.assertEqual({n: self.starts(n) for n in names}, {n: 1 for n in names})
        self.in_sync()

    def test_different_verbs_at_once(self):
        names = ['a%d' % i for i in range(6)]
        self.bring_up(names)
        for n in range(3):
            verbs = (['apply', '--yes'], ['restart'], ['stop', 'a1'], ['start'], ['plan'], ['status'], ['verify'])
            procs = [self.bed.popen([self.program, 'fleet'] + v) for v in verbs]
            for p, v in zip(procs, verbs):
                out, err = p.communicate(timeout=90)
                self.assertIn(p.returncode, range(0, 8), v)
                self.assertNotEqual(p.returncode, 1, (v, (out + err).decode()))
            self.fleet('start', code=0)
            self.assert_healthy(names)
            self.in_sync()

    def test_a_held_lock_is_named(self):
        # A pass that cannot end: the server hangs while an apply waits for it.
        self.bring_up(['a'])
        agents = self.agents_of(['a'])
        agents['s'] = self.agent('s', 'stubborn', stop_timeout='20s')
        self.roster(agents)
        self.apply()
        self.wait_up('s')
        slow = self.bed.popen([self.program, 'fleet', 'restart', 's'])
        time.sleep(0.7)
        r = self.fleet('apply', '--yes', '--lock-timeout', '1s', code=LOCKED)
        self.assertIn(str(slow.pid), r.out + r.err)
        self.assertIn('restart', r.out + r.err)
        # Readers never wait.
        began = time.monotonic()
        self.fleet('plan')
        self.fleet('status')
        self.assertLess(time.monotonic() - began, 5)
        # The lock dies with its process.
        slow.kill()
        slow.communicate()
        self.fleet('start', '--lock-timeout', '1s', code=(0, 4))
        wait_for(lambda: self.fleet('apply', '--yes').code == 0, 40, 'converged')
        self.assert_healthy(['a', 's'])

    def test_broken_state_files(self):
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        files = []
        for top in (self.bed.home + '/.local/state/mosaic', self.bed.run_dir + '/mosaic'):
            for d, _, names in os.walk(top):
                files += [os.path.join(d, n) for n in names if n.endswith('.json')]
        self.assertTrue(files)
        for path in files:
            text = self.bed.read(path)
            for broken in ('', '{', text[:len(text) // 2], '[]', '{"version": 99}', 'null', text + 'x', '\0' * 100):
                with self.subTest(file=os.path.relpath(path, self.bed.home), broken=broken[:20]):
                    self.bed.write(path, broken, 0o600)
                    self.fleet('plan', code=range(0, 8), timeout=30)
                    self.fleet('status', code=range(0, 8), timeout=30)
                    self.assertEqual(self.pids(), before)
            self.bed.write(path, text, 0o600)
        self.in_sync()


class CrashSystemd(Crash, Fleet):
    pass


class CrashDirect(Crash, Fleet):
    supervisor = 'direct'


if __name__ == '__main__':
    harness.main()
