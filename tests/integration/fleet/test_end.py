#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How agents end: the polite, the stubborn, those with an exit status of their own, and what they leave behind."""

import contextlib
import os
import signal
import time

import harness
from harness import Fleet, wait_for


class End:
    def sleepers(self):
        return [p for p in self.bed.processes() if p.argv[:1] == ['sleep'] and p.argv[1].startswith('2718')]

    def four_sleepers(self):
        return wait_for(lambda: len(self.sleepers()) == 4 and self.sleepers(), 10,
                        lambda: 'four sleepers: %s' % self.sleepers())

    def test_stubborn(self):
        before = self.bring_up({'s': self.agent('s', 'stubborn', stop_timeout='2s'), 'a': self.agent('a')})
        self.wait_up('s')
        began = time.monotonic()
        self.fleet('stop', 's', code=0)
        took = time.monotonic() - began
        self.assertFalse(before['s'].alive())
        self.assertGreater(took, 1.5, 'it was not given its time')
        self.assertLess(took, 8)
        self.assertEqual(self.pids(), {'a': before['a'].key})
        self.fleet('plan', code=0)
        self.fleet('start', 's', code=0)
        self.wait_agents(['a', 's'])
        self.wait_up('s')
        self.fleet('restart', 's', code=0)
        self.wait_agents(['a', 's'])
        self.in_sync()

    def test_a_slow_end_holds_up_nobody_else(self):
        before = self.bring_up({'s': self.agent('s', 'stubborn', stop_timeout='60s'), 'a': self.agent('a'),
                                'b': {**self.agent('b'), 'after': ['a']}})
        self.wait_up('s')
        restart = self.bed.popen([self.program, 'fleet', 'restart'])
        wait_for(lambda: not {before[n].key for n in 'ab'} & set(self.pids().values()) and
                 {'a', 'b'} <= set(self.running()), 30, self.running)
        self.assertTrue(before['s'].alive())
        for p in self.bed.processes():
            if p.session == before['s'].pid:
                with contextlib.suppress(ProcessLookupError):  # some sleep for a moment only
                    os.kill(p.pid, signal.SIGKILL)
        self.assertEqual(restart.wait(30), 0)
        self.assertFalse(before['s'].alive())
        self.wait_agents(['a', 'b', 's'])
        self.in_sync()

    def test_status_143_is_a_clean_end(self):
        runtimes = self.runtimes()
        runtimes['exit143']['success_exit_status'] = [143]
        before = self.bring_up({'n': self.agent('n', 'exit143')}, runtimes=runtimes)
        self.wait_up('n')
        self.fleet('stop', 'n', code=0)
        self.assertFalse(before['n'].alive())
        if self.supervisor == 'systemd':
            got = self.show(self.unit('n'), 'ActiveState', 'Result')
            self.assertEqual(got, {'ActiveState': 'inactive', 'Result': 'success'})
        self.in_sync()
        self.fleet('start', 'n', code=0)
        self.wait_agents(['n'])
        self.in_sync()

    def test_daemons_go_with_the_stop(self):
        self.bring_up({'d': self.agent('d', 'daemons', stop_timeout='2s'), 'a': self.agent('a')})
        self.four_sleepers()
        self.fleet('stop', 'd', code=0)
        self.assertEqual(self.sleepers(), [])
        self.wait_agents(['a'])

    def test_daemons_go_with_a_crash(self):
        before = self.bring_up({'d': self.agent('d', 'daemons', stop_timeout='2s')})
        old = self.four_sleepers()
        os.kill(before['d'].pid, signal.SIGKILL)
        wait_for(lambda: not any(p.alive() for p in old), 10, lambda: 'the daemons end: %s' % self.sleepers())
        if self.supervisor == 'direct':
            self.apply()
        self.wait_agents(['d'])
        self.four_sleepers()

    def test_daemons_go_with_the_session(self):
        self.bring_up({'d': self.agent('d', 'daemons', stop_timeout='2s')})
        old = self.four_sleepers()
        self.tmux('kill-session', '-t', '=d', check=True)
        wait_for(lambda: not any(p.alive() for p in old), 10, lambda: 'the daemons end: %s' % self.sleepers())

    def test_removal_waits_for_the_stubborn(self):
        self.bring_up({'s': self.agent('s', 'stubborn', stop_timeout='1s'), 'a': self.agent('a')})
        self.wait_up('s')
        self.roster(['a'])
        self.apply()
        self.assert_healthy(['a'])
        self.assertEqual(self.state_files('s'), [])
        self.in_sync()


class EndSystemd(End, Fleet):
    pass


class EndDirect(End, Fleet):
    supervisor = 'direct'


if __name__ == '__main__':
    harness.main()
