#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What dies comes back, with no controller where systemd supervises; what a person stopped stays down."""

import json
import os
import signal
import time

import harness
from harness import BLOCKED, HOLDER_UNIT, IN_SYNC, NOT_CONVERGED, PENDING, UNKNOWN, Fleet, Process, wait_for


class Heal:
    """@comes_back: by itself (systemd), else with the next apply (direct; its restarts are watch's)."""

    def comes_back(self, names, timeout=20):
        if self.supervisor == 'direct':
            # Nothing may wait for ever on an observation that is in flux.
            wait_for(lambda: self.fleet('plan').code == PENDING, 10, 'the loss is seen')
            self.apply()
        return self.wait_agents(names, timeout)

    def end_of(self, process):
        wait_for(lambda: not process.alive(), 10, 'end of %r' % process)

    def test_agent_killed(self):
        before = self.bring_up(['a', 'b'])
        session = self.sessions()['a']
        os.kill(before['a'].pid, signal.SIGKILL)
        self.end_of(before['a'])
        after = self.comes_back(['a', 'b'])
        self.assertEqual(after['b'].key, before['b'].key)
        self.assertEqual(self.sessions()['a'], session, 'the pane was not kept')
        self.assertEqual(after['a'].tty, before['a'].tty)
        self.assert_healthy(['a', 'b'])
        self.in_sync()

    def test_agent_ends_well(self):
        before = self.bring_up({'q': self.agent('q', 'quitter'), 'a': self.agent('a')})
        self.wait_up('q')
        self.type('q', '/quit')
        self.end_of(before['q'])
        self.comes_back(['a', 'q'])
        self.assert_healthy(['a', 'q'])
        self.in_sync()

    def test_session_killed(self):
        before = self.bring_up(['a', 'b'])
        self.tmux('kill-session', '-t', '=a', check=True)
        self.end_of(before['a'])
        after = self.comes_back(['a', 'b'])
        self.assertEqual(after['b'].key, before['b'].key)
        self.assert_healthy(['a', 'b'])
        self.in_sync()

    def test_keeper_killed(self):
        before = self.bring_up(['a', 'b'])
        os.kill(self.keeper('a'), signal.SIGKILL)
        self.end_of(before['a'])
        after = self.comes_back(['a', 'b'])
        self.assertEqual(after['b'].key, before['b'].key)
        self.assert_healthy(['a', 'b'])
        self.in_sync()

    def test_keeper_killed_beside_a_window(self):
        # Somebody's window keeps the session, so nothing is made that would bring a keeper along.
        before = self.bring_up(['a', 'b'])
        session = self.sessions()['a']
        self.tmux('new-window', '-d', '-t', '=a:', 'exec sleep 1000000', check=True)
        os.kill(self.keeper('a'), signal.SIGKILL)
        self.end_of(before['a'])
        after = self.comes_back(['a', 'b'])
        self.assertEqual(after['b'].key, before['b'].key)
        self.assertEqual(self.sessions()['a'], session, 'the session of the window was not kept')
        self.in_sync()

    def server_lost(self, how, n=20):
        names = ['a%d' % i for i in range(n)]
        before = self.bring_up(names)
        old = Process(self.server_pid())
        began = time.monotonic()
        how(old)
        for p in list(before.values()) + [old]:
            self.end_of(p)
        after = self.comes_back(names, 30)
        wait_for(lambda: set(self.sessions()) == set(names) | {'_holder'}, 10, 'all sessions')
        print('# %s: %d agents back after %.2f s' % (self.supervisor, n, time.monotonic() - began))
        self.assertFalse({p.key for p in before.values()} & {p.key for p in after.values()})
        self.assert_healthy(names)
        self.in_sync()
        self.assertEqual({n: self.starts(n) for n in names}, {n: 2 for n in names})

    def test_server_killed(self):
        self.server_lost(lambda p: os.kill(p.pid, signal.SIGKILL))

    def test_server_told_to_end(self):
        self.server_lost(lambda p: self.tmux('kill-server'), 5)

    def test_run_file_gone(self):
        """Whose run file somebody removed runs all the same: nothing is started, and it can be stopped."""
        before = self.bring_up(['a', 'b'])
        os.unlink(self.bed.run_dir + '/mosaic/default/run/a.json')
        r = self.apply()
        self.assertIn('its run file is gone', r.out)
        self.assertEqual({n: p.key for n, p in self.running().items()}, {n: p.key for n, p in before.items()})
        status = {a['name']: a for a in self.fleet_json('status', code=0)['agents']}
        self.assertEqual(status['a']['condition'], 'running')
        self.assertEqual(status['a']['pid'], before['a'].pid)
        self.fleet('restart', 'a', code=0)
        self.end_of(before['a'])
        self.assert_healthy(['a', 'b'])
        self.in_sync()
        os.unlink(self.bed.run_dir + '/mosaic/default/run/b.json')
        self.fleet('stop', 'b', code=0)
        self.end_of(before['b'])
        self.assertEqual(set(self.running()), {'a'})

    def test_stop_sticks(self):
        before = self.bring_up(['a', 'b'])
        session = self.sessions()['a']
        self.fleet('stop', 'a', code=0)
        self.assertEqual(set(self.running()), {'b'})
        self.assertTrue(self.is_held_down('a'))
        r = self.fleet('plan', code=0)
        self.assertRegex(r.out, r'(?i)\ba\b.*held|held.*\ba\b')
        self.assertRegex(self.fleet('status').out, r'(?i)held')
        self.apply()
        self.fleet('verify', code=0)
        self.fleet('stop', 'a', code=0)
        self.assertEqual(set(self.running()), {'b'})
        self.assertEqual(self.sessions()['a'], session, 'the pane was not kept')
        self.fleet('start', 'a', code=0)
        self.assertEqual(self.wait_agents(['a', 'b'])['b'].key, before['b'].key)
        self.assertEqual(self.sessions()['a'], session)
        self.assertIn('a is up', self.screen('a'))
        self.in_sync()
        self.fleet('start', 'a', code=0)
        self.assertEqual(self.starts('a'), 2)

    def test_stop_of_all_leaves_nothing(self):
        self.bring_up(['a', 'b'])
        self.fleet('stop', code=0)
        self.assertEqual(self.running(), {})
        self.assertEqual(self.servers(), [])
        left = [p for p in self.bed.processes() if 'mosaic' in ' '.join(p.argv) and 'tmux' not in p.comm]
        left = [p for p in left if '/opt/' in p.argv[0] or 'keeper' in ' '.join(p.argv)]
        self.assertEqual(left, [])
        self.fleet('plan', code=0)
        self.apply()
        self.assertEqual(self.running(), {}, 'a stopped fleet was started by apply')
        self.fleet('stop', code=0)
        self.fleet('start', code=0)
        self.assert_healthy(['a', 'b'])
        self.in_sync()

    def test_stop_of_all_spares_foreign_sessions(self):
        self.bring_up(['a', 'b'])
        self.foreign = self.bed.canary(harness.SOCKET, ('guest', 'a-guest'))
        r = self.fleet('stop', code=(0,))
        self.assertIn('guest', r.out + r.err)
        self.assertEqual(self.running(), {})
        self.assertEqual(set(self.sessions()) - {'_holder'}, {'guest', 'a-guest'})
        self.fleet('start', code=0)
        self.assert_healthy(['a', 'b'])

    def test_restart(self):
        before = self.bring_up(['a', 'b', 'c'])
        sessions = self.sessions()
        self.fleet('restart', 'a', code=0)
        after = self.wait_agents(['a', 'b', 'c'])
        self.assertEqual({n for n in after if after[n].key != before[n].key}, {'a'})
        self.fleet('restart', code=0)
        last = self.wait_agents(['a', 'b', 'c'])
        self.assertEqual({n for n in last if last[n].key != after[n].key}, {'a', 'b', 'c'})
        self.assertEqual(self.sessions(), sessions)
        self.assertEqual(self.starts('a'), 3)
        self.in_sync()

    def test_restart_policy_never(self):
        agents = {'q': self.agent('q', 'quitter', restart={'policy': 'never'}), 'a': self.agent('a')}
        before = self.bring_up(agents)
        self.wait_up('q')
        self.type('q', '/quit')
        self.end_of(before['q'])
        wait_for(lambda: self.fleet('plan').code == 0, 10, 'plan says in sync')
        self.apply()
        self.assertEqual(set(self.running()), {'a'})
        self.fleet('start', 'q', code=0)
        self.wait_agents(['a', 'q'])

    def test_a_clean_end_under_on_failure_stays(self):
        agents = {'q': self.agent('q', 'quitter', restart={'policy': 'on-failure'})}
        before = self.bring_up(agents)
        self.wait_up('q')
        self.type('q', '/quit')
        self.end_of(before['q'])
        wait_for(lambda: self.fleet('plan').code == 0, 10, 'plan says in sync')
        self.apply()
        self.assertEqual(self.running(), {})
        self.fleet('start', 'q', code=0)
        self.wait_agents(['q'])


class HealSystemd(Heal, Fleet):
    def set_clock_back(self, name, when):
        """As if the clock had been set back by an hour before, or after, this agent ended."""
        path = '.local/state/mosaic/default/stops/%s.json' % name
        record = json.loads(self.bed.read(path))
        record['at_usec'] += {'before': -1, 'after': 1}[when] * 3600 * 10 ** 6
        self.bed.write(path, json.dumps(record), 0o600)

    def test_stop_by_hand_is_a_hold(self):
        self.bring_up(['a', 'b'])
        self.bed.systemctl('stop', self.unit('a'), check=True)
        self.wait_agents(['b'])
        r = self.fleet('plan', code=0)
        self.assertRegex(r.out, r'(?i)by hand')
        self.set_clock_back('a', 'before')
        self.apply()
        self.fleet('verify', code=0)
        self.assertEqual(set(self.running()), {'b'})
        self.fleet('start', 'a', code=0)
        self.wait_agents(['a', 'b'])
        self.in_sync()

    def test_stopped_by_the_roster_while_it_starts(self):
        """What was ended then has no run file yet; it was us nevertheless."""
        self.bring_up(['a', 'b'])
        slow = '.config/systemd/user/%s.d/90-slow.conf' % self.unit('a')
        self.bed.write(slow, '[Service]\nExecStart=\nExecStart=/bin/sleep 600\n', 0o644)
        self.bed.systemctl('daemon-reload', check=True)
        self.bed.systemctl('restart', '--no-block', self.unit('a'), check=True)
        wait_for(lambda: self.show(self.unit('a'), 'ActiveState')['ActiveState'] == 'activating', 10, 'it starts')
        self.roster({'a': self.agent('a', state='stopped'), 'b': self.agent('b')})
        self.apply()
        os.unlink(os.path.join(self.bed.home, slow))
        self.bed.systemctl('daemon-reload', check=True)
        self.roster(['a', 'b'])
        self.apply()
        self.assert_healthy(['a', 'b'])

    def test_start_by_hand(self):
        self.bring_up(['a', 'b'])
        self.bed.systemctl('stop', self.unit('a'), check=True)
        self.tmux('kill-session', '-t', '=a', check=True)
        self.bed.systemctl('start', self.unit('a'), check=True)
        self.assert_healthy(['a', 'b'])
        self.in_sync()

    def test_holder_restarted_by_hand(self):
        names = ['a%d' % i for i in range(10)]
        before = self.bring_up(names)
        began = time.monotonic()
        self.bed.systemctl('restart', HOLDER_UNIT, check=True)
        for p in before.values():
            self.end_of(p)
        self.wait_agents(names, 30)
        print('# holder restarted, 10 agents back after %.2f s' % (time.monotonic() - began))
        wait_for(lambda: set(self.sessions()) == set(names) | {'_holder'}, 10, 'all sessions')
        self.assert_healthy(names)
        self.in_sync()

    def test_holder_stopped_by_hand_is_drift(self):
        self.bring_up(['a', 'b'])
        self.bed.systemctl('stop', HOLDER_UNIT, check=True)
        wait_for(lambda: not self.running(), 10, 'all agents down')
        self.fleet('plan', code=PENDING)
        self.set_clock_back('a', 'after')
        self.bed.systemctl('start', HOLDER_UNIT, check=True)
        self.apply()
        self.assert_healthy(['a', 'b'])
        self.in_sync()

    def test_daemon_reload_and_reexec_disturb_nothing(self):
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        self.bed.systemctl('daemon-reload', check=True)
        self.bed.systemctl('daemon-reexec')
        self.in_sync()
        self.assertEqual(self.pids(), before)

    def test_reexec_in_the_middle(self):
        """What the manager did not read before it went is asked for again."""
        names = ['a%d' % i for i in range(12)]
        self.bring_up(names)
        run = self.bed.popen([self.program, 'fleet', 'restart', '--json'])
        for _ in range(8):
            self.bed.systemctl('daemon-reexec')
        self.assertIn(run.wait(30), (IN_SYNC, UNKNOWN))
        self.wait_agents(names)
        self.in_sync()

    def test_logout_and_login(self):
        self.bring_up(['a', 'b'])
        self.guard = None
        self.bed.restart_manager()
        self.guard = self.bed.canary(sessions=('after-login',))
        wait_for(lambda: not self.running(), 10, 'all agents down')
        self.fleet('plan', code=PENDING)
        self.apply()
        self.assert_healthy(['a', 'b'])

    def test_crash_loop_ends_in_a_named_state(self):
        agents = {'c': self.agent('c', 'crasher', restart={'delay': '100ms', 'attempts': 3, 'window': '1m'}),
                  'a': self.agent('a')}
        self.roster(agents)
        self.apply(code=(0, NOT_CONVERGED, BLOCKED))  # it may be looked at while it still runs
        wait_for(lambda: self.show(self.unit('c'), 'ActiveState')['ActiveState'] == 'failed', 20,
                 lambda: 'start limit; %s' % self.show(self.unit('c'), 'ActiveState', 'SubState', 'NRestarts'))
        n = self.starts('c')
        self.assertLessEqual(n, 4)
        time.sleep(1.5)
        self.assertEqual(self.starts('c'), n, 'it goes on')
        self.assertRegex(self.fleet('status').out, r'(?i)\bc\b.*(crash|failed|too often)')
        self.assertEqual(set(self.running()), {'a'})
        # One command clears it, once the cause is gone.
        agents['c']['runtime'] = 'steady'
        self.roster(agents)
        self.fleet('start', 'c', code=0)
        self.wait_agents(['a', 'c'])
        self.in_sync()

    def test_masked_unit_is_a_finding(self):
        self.roster(['a', 'b'])
        self.bed.systemctl('mask', '--runtime', self.unit('a'), check=True)
        r = self.apply(code=BLOCKED)
        self.assertIn('= systemctl --user unmask --runtime %s' % self.unit('a'), r.out)
        self.wait_agents(['b'])


class HealDirect(Heal, Fleet):
    supervisor = 'direct'


if __name__ == '__main__':
    harness.main()
