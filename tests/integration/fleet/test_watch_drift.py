#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""With a controller, what drifts heals by itself; what a person did stays; what is unknown is left alone."""

import json
import os
import signal
import time

import harness
from harness import BLOCKED, LOCKED, Fleet, Process, wait_for
from watching import Controller


class Drift:
    def watch(self, *args, **more):
        c = Controller(self, *args, **more)
        c.wait_converged()
        return c

    def timed(self, what, began):
        print('# %s: %s, healed after %.2f s' % (self.supervisor, what, time.monotonic() - began))

    def end_of(self, process):
        wait_for(lambda: not process.alive(), 10, 'end of %r' % process)

    def heal(self, what, names, act, lost, timeout=20):
        """@act makes the agents named in @lost end; all come back, the others keep their processes."""
        before = self.wait_agents(names)
        began = time.monotonic()
        act(before)
        for n in lost:
            self.end_of(before[n])
        after = self.wait_agents(names, timeout)
        self.timed(what, began)
        for n in set(names) - set(lost):
            self.assertEqual(after[n].key, before[n].key, n)
        self.assert_healthy(names)
        return after

    def test_roster_is_made_so(self):
        c = Controller(self)
        self.roster(['a', 'b'])
        self.wait_agents(['a', 'b'])
        c.wait_converged()
        self.in_sync()

    def test_agent_killed(self):
        self.roster(['a', 'b'])
        c = self.watch()
        self.heal('agent killed', ['a', 'b'], lambda p: os.kill(p['a'].pid, signal.SIGKILL), ['a'])
        c.wait_converged()
        self.in_sync()

    def test_session_and_keeper_killed(self):
        self.roster(['a', 'b'])
        c = self.watch()
        self.heal('session killed', ['a', 'b'],
                  lambda p: self.tmux('kill-session', '-t', '=a', check=True), ['a'])
        self.heal('keeper killed', ['a', 'b'],
                  lambda p: os.kill(self.keeper('a'), signal.SIGKILL), ['a'])
        c.wait_converged()
        self.in_sync()

    def test_session_renamed(self):
        self.roster(['a', 'b'])
        c = self.watch()
        before = self.pids()
        self.tmux('rename-session', '-t', '=a', 'z', check=True)
        c.ask()
        wait_for(lambda: set(self.sessions()) == {'a', 'b', '_holder'}, 10, 'the name is back')
        self.assertEqual(self.pids(), before)

    def test_server_killed(self):
        names = ['a%d' % i for i in range(12)]
        self.roster(names)
        c = self.watch()
        self.heal('server killed', names, lambda p: os.kill(self.server_pid(), signal.SIGKILL), names, 40)
        c.wait_converged()
        self.assertEqual(len(self.servers()), 1)

    def test_socket_unlinked(self):
        self.roster(['a', 'b'])
        c = self.watch()
        before, server = self.pids(), self.server_pid()
        path = '/tmp/tmux-%d/%s' % (self.bed.uid, harness.SOCKET)
        began = time.monotonic()
        self.bed.run(['rm', path], check=True)
        wait_for(lambda: self.server_pid() == server, 10, lambda: 'the socket is back\n' + c.describe())
        self.timed('socket unlinked', began)
        self.assertEqual(self.pids(), before)
        self.assertEqual(len(self.servers()), 1)

    def test_server_hung(self):
        """Unknown heals nothing and destroys nothing, and is said."""
        self.roster(['a', 'b'])
        c = self.watch('--resync', '1s')
        before, server = self.pids(), self.server_pid()
        os.kill(server, signal.SIGSTOP)
        try:
            c.wait_condition('Converged', 'unknown', 40)
            self.assertEqual(self.pids(), before)
        finally:
            os.kill(server, signal.SIGCONT)
        c.wait_converged(40)
        self.assertEqual(self.pids(), before)
        self.assertEqual(len(self.servers()), 1)

    def test_a_stop_sticks(self):
        self.roster(['a', 'b'])
        c = self.watch()
        self.fleet('stop', 'a', '--reason', 'his disk', code=0)
        self.wait_agents(['b'])
        for _ in range(3):
            c.ask()
        self.assertEqual(set(self.running()), {'b'})
        self.fleet('start', 'a', code=0)
        self.wait_agents(['a', 'b'])
        c.wait_converged()

    def test_kill_of_the_controller(self):
        """At random moments, while it works: no agent's process changes, nothing is doubled."""
        names = ['a', 'b', 'c']
        self.roster(names)
        c = self.watch()
        before = self.pids()
        for i in range(8):
            extra = ['d%d' % i] if i % 2 else []
            self.roster(names + extra)
            time.sleep(0.05 * (i % 4))
            c.kill()
            c = Controller(self)
            self.wait_agents(names + extra, 40)
            c.wait_converged(40)
            self.assertEqual({n: k for n, k in self.pids().items() if n in names}, before)
        self.assertEqual(len(self.servers()), 1)

    def test_asked_at_every_moment(self):
        """A request that comes while a pass is made, or just as it ends, is answered by another pass."""
        names = ['a%d' % i for i in range(10)]
        self.roster(names)
        c = self.watch()
        for _ in range(400):
            # As soon as one is answered the next: some fall into the moment in which a pass ends.
            before, deadline = c.file()['passes'], time.monotonic() + 10
            os.kill(c.pid, signal.SIGHUP)
            while c.file()['passes'] == before:
                self.assertLess(time.monotonic(), deadline, 'a request was lost')
        began = c.file()['passes']
        self.heal('agent killed after 400 requests', names,
                  lambda p: os.kill(p['a0'].pid, signal.SIGKILL), ['a0'])
        wait_for(lambda: c.file()['passes'] > began, 10, c.describe)
        c.wait_converged()

    def test_stop_with_a_broken_roster(self):
        """Whoever wants an agent down now does not have to mend the file first."""
        text = self.roster(['a', 'b'])
        c = self.watch()
        self.bed.write('.config/mosaic/fleet/roster.yaml', text + 'x: [\n', 0o600)
        c.wait_condition('RosterAccepted', 'invalid')
        self.fleet('stop', 'a', code=0)
        self.wait_agents(['b'])
        self.fleet('start', 'a', code=65)
        self.fleet('stop', code=0)
        self.assertEqual((self.running(), self.servers()), ({}, []))

    def test_two_controllers(self):
        self.roster(['a'])
        c = self.watch()
        r = self.fleet('watch', code=LOCKED)
        self.assertIn('pid %d' % c.pid, r.err)
        self.assertEqual(c.end(), 0)
        self.assertEqual(set(self.running()), {'a'})

    def test_a_state_elsewhere(self):
        """A hold there would hold nothing, a lock there would keep nobody out."""
        self.roster(['a'])
        self.watch()
        before = self.pids()
        other = {'XDG_STATE_HOME': self.bed.mkdir('elsewhere')}
        for args in (('stop', 'a'), ('stop',), ('apply', '--yes'), ('start',), ('watch',)):
            r = self.fleet(*args, env=other, code=BLOCKED)
            self.assertIn('XDG_STATE_HOME leads to', r.err)
        self.fleet('plan', env=other, code=2)  # who only looks may
        self.assertIn('keeps its state in', self.fleet('verify', env=other, code=2).out)
        self.assertEqual(self.pids(), before)
        self.fleet('stop', 'a', code=0)
        self.assertTrue(self.is_held_down('a'))

    def test_verbs_beside_it(self):
        self.roster(['a', 'b'])
        c = self.watch()
        before = self.pids()
        self.apply()
        self.fleet('restart', 'a', code=0)
        self.fleet('verify', code=(0, 3))
        c.wait_converged()
        after = self.pids()
        self.assertEqual(after['b'], before['b'])
        self.assertNotEqual(after['a'], before['a'])

    def test_another_version_is_told(self):
        """After an upgrade the controller is the old program still: update says so, and status."""
        self.roster(['a'])
        c = self.watch()
        self.mosaic('update', code=0)
        for text in (self.mosaic('update', code=0).out, self.fleet('status', code=0).out):
            self.assertNotIn('becomes this version', text)
            self.assertNotIn('it is mosaic', text)
        said = c.file()
        version, said['mosaic'] = said['mosaic'], '0.0.9'
        self.bed.write(os.path.join(self.bed.run_dir, 'mosaic/default/controller.json'), json.dumps(said), 0o600)
        text = self.mosaic('update', code=0).out
        self.assertIn('becomes this version', text)
        self.assertEqual('systemctl --user try-restart mosaic-fleet.service' in text, self.supervisor == 'systemd')
        self.assertIn('it is mosaic 0.0.9, and this is %s;' % version, self.fleet('status', code=0).out)

    def test_reader_that_stops_reading(self):
        """A full pipe as standard output: it works on, and ends when it is told to."""
        self.roster(['a'])
        read, write = os.pipe()
        os.set_blocking(write, False)
        try:
            while True:
                os.write(write, b'x' * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(write, True)
        p = self.bed.popen([self.program, 'fleet', 'watch', '--json'], stdout=write)
        os.close(write)
        self.addCleanup(os.close, read)
        self.addCleanup(p.kill)
        self.wait_agents(['a'])
        self.roster(['a', 'b'])
        self.wait_agents(['a', 'b'])
        p.terminate()
        self.assertEqual(p.wait(20), 0)

    def test_few_descriptors(self):
        names = ['a%d' % i for i in range(30)]
        self.roster(names)
        c = Controller(self, env={'MOSAIC_TEST': '1'}, prefix=['prlimit', '--nofile=24:4096'])
        self.wait_agents(names, 30)
        c.wait_converged()
        self.assertFalse([e for e in c.events('source') if 'failed' in e['message']], c.describe())

    def test_state_directory_is_gone(self):
        """Its lock guards nothing any more: it ends, and its agents stay."""
        self.roster(['a'])
        c = self.watch()
        before = self.pids()
        state = self.bed.path_of('.local/state/mosaic')
        self.bed.run(['mv', state, state + '.away'], check=True)
        os.kill(c.pid, signal.SIGHUP)
        self.assertEqual(c.process.wait(20), BLOCKED)
        self.bed.run(['rm', '-rf', state], check=True)
        self.bed.run(['mv', state + '.away', state], check=True)
        self.assertEqual(self.pids(), before)
        self.watch()
        self.assertEqual(self.pids(), before)

    def test_uninstall_beside_it(self):
        """One in the foreground is no unit; what it would start again must not lose its holds."""
        self.roster(['a'])
        c = self.watch()
        self.fleet('stop', 'a', code=0)
        wait_for(lambda: not self.running(), 10, 'a is down')
        self.tmux('kill-server')
        r = self.fleet('uninstall-systemd', code=BLOCKED)
        if self.supervisor == 'direct':
            self.assertIn('pid %d' % c.pid, r.err)
        r = self.fleet('stop', code=0)
        self.assertIn('pid %d, is ended' % c.pid, r.out)
        self.assertEqual(c.process.wait(20), 0)
        self.fleet('uninstall-systemd', code=0)
        self.assertEqual(self.running(), {})

    def test_crash_loop(self):
        """It ends in a named state with cause and last words; one command clears it."""
        self.roster({'x': self.agent('x', 'crasher', restart={'delay': '100ms', 'attempts': 2, 'window': '1m'}),
                     'a': self.agent('a')})
        c = Controller(self)
        wait_for(lambda: c.events('crash'), 30, c.describe)
        e = c.events('crash')[-1]
        self.assertEqual((e['agent'], e['code']), ('x', 'exited'))
        self.assertTrue(e['lines'], e)
        starts = self.starts('x')
        self.assertLessEqual(starts, 3)
        status = self.fleet('status', code=(0, 2, 3))
        self.assertIn('crash-loop', status.out)
        self.assertIn('mosaic fleet start x', status.out)
        # `explain` knows what the controller knows.
        text = ' '.join(self.fleet('explain', 'x', code=(0, 2, 3)).out.split())
        self.assertRegex(text, r'Watch the controller, pid %d; last pass .* ago \(\w+\), the next in' % c.pid)
        self.assertRegex(text, r'started again in \d+')
        self.assertIn('crash_loop', text)
        found = self.fleet_json('explain', 'x')
        self.assertEqual(found['controller']['pid'], c.pid)
        self.assertTrue(found['pacing']['crash_loop'])
        now = time.time() * 1e6
        self.assertTrue(now < found['pacing']['next_start_usec'] < now + 60e6, found['pacing'])
        self.assertTrue(now - 60e6 < found['pacing']['down_usec'] <= now, found['pacing'])
        self.assertIsNone(self.fleet_json('explain', 'a')['pacing'])
        for _ in range(3):
            c.ask()
        self.assertEqual(self.starts('x'), starts, 'a storm')
        self.fleet('start', 'x', code=(0, 4))
        wait_for(lambda: self.starts('x') > starts, 10, 'it was started')
        self.assertEqual(set(self.running()) - {'x'}, {'a'})


class DriftSystemd(Drift, Fleet):
    supervisor = 'systemd'

    def test_stop_by_hand_sticks(self):
        self.roster(['a', 'b'])
        c = self.watch()
        self.bed.systemctl('stop', self.unit('a'), check=True)
        for _ in range(3):
            c.ask()
        self.assertEqual(set(self.running()), {'b'})
        self.fleet('start', 'a', code=0)
        self.wait_agents(['a', 'b'])

    def test_masked(self):
        self.roster(['a', 'b'])
        c = self.watch()
        before = self.pids()
        self.bed.systemctl('mask', self.unit('a'), check=True)
        self.bed.systemctl('stop', self.unit('a'), check=True)
        c.wait_converged(reason='blocked')
        self.assertEqual(self.pids()['b'], before['b'])
        self.assertIn('= systemctl --user unmask %s' % self.unit('a'),
                      self.fleet('plan', code=BLOCKED).out)
        self.bed.systemctl('unmask', self.unit('a'), check=True)
        self.fleet('start', 'a', code=0)
        c.wait_converged()

    def test_drop_in_edited(self):
        self.roster({'a': self.agent('a', limits={'tasks': 50}), 'b': self.agent('b')})
        c = self.watch()
        before = self.pids()
        path = '.config/systemd/user/%s.d/50-mosaic.conf' % self.unit('a')
        text = self.bed.read(path)
        self.bed.write(path, text + 'Nice=5\n')
        c.ask()
        wait_for(lambda: self.bed.read(path) == text, 10, 'our drop-in is back')
        self.assertEqual(self.pids(), before)

    def test_reexec_and_reload(self):
        self.roster(['a', 'b'])
        c = self.watch()
        before = self.pids()
        self.bed.systemctl('daemon-reload', check=True)
        self.bed.systemctl('daemon-reexec', check=True)
        c.wait_condition('WatchingUnits', 'connected', 30)
        # It hears again: a loss is healed without a resync.
        os.kill(self.wait_agents(['a', 'b'])['a'].pid, signal.SIGKILL)
        wait_for(lambda: self.pids().get('a', before['a']) != before['a'], 20, 'a is back')
        self.assertEqual(self.pids()['b'], before['b'])
        c.wait_converged()

    def test_manager_gone_and_back(self):
        self.roster(['a', 'b'])
        c = self.watch()
        self.bed.kill_manager()
        c.wait_condition('WatchingUnits', 'disconnected', 20)
        c.wait_condition('Converged', 'unknown', 60)
        self.bed.restart_manager()
        c.wait_condition('WatchingUnits', 'connected', 60)
        self.wait_agents(['a', 'b'], 60)
        c.wait_converged(60)

    def test_service(self):
        """The unit as it is installed: twenty restarts, no agent's process changes."""
        self.roster(['a', 'b', 'c'])
        self.bed.systemctl('enable', '--now', 'mosaic-fleet', check=True)
        self.wait_agents(['a', 'b', 'c'])
        before, server = self.pids(), self.server_pid()
        for _ in range(20):
            self.bed.systemctl('restart', 'mosaic-fleet', check=True)
            self.assertEqual(self.pids(), before)
        got = self.show('mosaic-fleet.service', 'ActiveState', 'MainPID', 'ControlGroup', 'StatusText')
        self.assertEqual(got['ActiveState'], 'active')
        self.assertTrue(Process(int(got['MainPID'])).cgroup.endswith('/mosaic-fleet.service'))
        self.assertEqual(self.server_pid(), server)
        self.assertFalse(Process(server).cgroup.endswith('/mosaic-fleet.service'))
        wait_for(lambda: '3 of 3' in self.show('mosaic-fleet.service', 'StatusText')['StatusText'], 10,
                 lambda: self.show('mosaic-fleet.service', 'StatusText'))
        os.kill(int(got['MainPID']), signal.SIGKILL)
        wait_for(lambda: self.show('mosaic-fleet.service', 'ActiveState', 'MainPID') not in (
            {}, {'ActiveState': 'active', 'MainPID': got['MainPID']}), 10, 'it is gone')
        wait_for(lambda: self.show('mosaic-fleet.service', 'ActiveState')['ActiveState'] == 'active', 20,
                 'it is back')
        self.assertEqual(self.pids(), before)
        # It still does its work.
        self.roster(['a', 'b', 'c', 'd'])
        self.wait_agents(['a', 'b', 'c', 'd'])
        self.bed.systemctl('stop', 'mosaic-fleet', check=True)
        self.assertEqual(set(self.running()), {'a', 'b', 'c', 'd'})


    def rollback(self, stop_first):
        """The guide's literal lines, by hand: afterwards nothing of ours runs, and nothing comes back."""
        self.roster(['a', 'b'])
        self.bed.systemctl('enable', '--now', 'mosaic-fleet', check=True)
        self.wait_agents(['a', 'b'])
        if stop_first:
            self.bed.systemctl('disable', '--now', 'mosaic-fleet', 'mosaic-fleet-boot', check=True)
        lines = [['systemctl', '--user', 'disable', 'mosaic-agent@a', 'mosaic-agent@b'],
                 ['systemctl', '--user', 'stop', 'mosaic-agent@*', 'mosaic-tmux-holder'],
                 ['sh', '-c', 'rm -r ~/.config/systemd/user/mosaic-*'],
                 ['sh', '-c', 'rm -r ~/.config/mosaic/tools ~/.config/mosaic/fleet/examples'],
                 ['tmux', '-L', harness.SOCKET, 'kill-server']]
        for line in lines:
            self.bed.run(line)
        wait_for(lambda: not self.running() and not self.servers(), 20, lambda: (self.running(), self.servers()))
        # With the controller left running: it sees that its units are gone, and starts nothing.
        time.sleep(1)
        self.bed.systemctl('daemon-reload', check=True)
        time.sleep(1)
        self.assertEqual((self.running(), self.servers()), ({}, []))
        if not stop_first:
            pid = self.show('mosaic-fleet.service', 'MainPID')['MainPID']
            self.bed.run(['sh', '-c', 'kill "$1" 2>/dev/null || :', 'sh', pid])
            wait_for(lambda: self.show('mosaic-fleet.service', 'ActiveState')['ActiveState'] == 'inactive', 20,
                     'the controller ends')
        self.assertEqual((self.running(), self.servers()), ({}, []))

    def test_rollback_by_hand(self):
        self.rollback(stop_first=True)

    def test_rollback_by_hand_beside_a_controller(self):
        self.rollback(stop_first=False)

    def test_stop_while_it_comes_back(self):
        """`stop` also meets a controller that systemd is just restarting."""
        self.roster(['a'])
        self.bed.systemctl('enable', '--now', 'mosaic-fleet', check=True)
        self.wait_agents(['a'])
        os.kill(int(self.show('mosaic-fleet.service', 'MainPID')['MainPID']), signal.SIGKILL)
        wait_for(lambda: self.show('mosaic-fleet.service', 'SubState')['SubState'] == 'auto-restart', 10, 'auto-restart')
        self.fleet('stop', code=0)
        time.sleep(6)  # longer than its RestartSec
        self.assertEqual(self.show('mosaic-fleet.service', 'ActiveState')['ActiveState'], 'inactive')
        self.assertEqual((self.running(), self.servers()), ({}, []))

    def test_stop_of_everything(self):
        """The controller ends first; `start` brings it back, and the fleet."""
        self.roster(['a', 'b'])
        self.bed.systemctl('enable', '--now', 'mosaic-fleet', check=True)
        self.wait_agents(['a', 'b'])
        r = self.fleet('stop', code=0)
        self.assertIn('controller is stopped', r.out)
        self.assertEqual(self.show('mosaic-fleet.service', 'ActiveState')['ActiveState'], 'inactive')
        self.assertEqual((self.running(), self.servers()), ({}, []))
        r = self.fleet('start', code=0)
        self.assertIn('controller is started', r.out)
        self.wait_agents(['a', 'b'])
        self.assertEqual(self.show('mosaic-fleet.service', 'ActiveState')['ActiveState'], 'active')
        self.fleet('stop', code=0)
        self.fleet('uninstall-systemd', '--purge', code=0)
        self.assertEqual(self.bed.run(['find', '.config', '.local', '-name', '*mosaic-*']).out, '')


class DriftDirect(Drift, Fleet):
    supervisor = 'direct'

    def test_a_removal_that_waits_for_a_person(self):
        """Somebody's session has the name of another agent: no look every two seconds, and one once it is gone."""
        self.roster(['a', 'b'])
        c = self.watch()
        self.tmux('new-session', '-d', '-s', 'c', 'sleep', '1000', check=True)
        self.roster(['a', 'c'])
        c.wait_converged(reason='not_converged')
        wait_for(lambda: [e for e in c.events('action') if e['verb'] == 'remove'], 15, c.describe)
        f = c.file()
        self.assertGreater(f['next_pass_usec'] - f['last_pass']['at_usec'], 30e6, f)
        self.assertEqual(set(self.running()), {'a', 'b'})
        for _ in range(3):
            c.ask()
        told = [(e['agent'], e['outcome']) for e in c.events('action') if e['verb'] == 'remove']
        self.assertEqual(told, [('b', 'skipped')])
        self.assertNotIn('skipped', self.fleet('explain', 'a').out)
        self.tmux('kill-session', '-t', '=c', check=True)
        self.wait_agents(['a', 'c'], timeout=10)
        c.wait_converged()

    def test_a_ledger_that_cannot_be_used(self):
        """What stands in its place is set aside; where it cannot be written that is said by name, and nothing is lost."""
        self.roster({n: self.agent(n, restart={'delay': '100ms'}) for n in ('a', 'b')})
        c = self.watch()
        state = self.bed.path_of('.local/state/mosaic/default')
        self.bed.mkdir(state + '/pacing.json/in-the-way')

        def kill_a(pids):
            os.kill(pids['a'].pid, signal.SIGKILL)
            wait_for(lambda: self.pids().get('a', pids['a'].key) != pids['a'].key, 20, c.describe)

        kill_a(self.running())
        c.wait_converged()
        self.assertTrue(os.path.isdir(state + '/pacing.json.1/in-the-way'))
        self.assertEqual(len([e for e in c.events('source') if state + '/pacing.json.1' in e['message']]), 1, c.describe())
        before = self.running()
        os.chmod(state, 0o500)
        self.addCleanup(os.chmod, state, 0o700)
        os.kill(before['a'].pid, signal.SIGKILL)
        c.wait_condition('Converged', 'error')
        self.assertIn('cannot write %s/pacing.json: Permission denied' % state, c.condition('Converged')['message'])
        for words in (('explain', 'a'), ('status',)):
            self.assertIn('Converged: error for', self.fleet(*words).out)
        self.assertEqual({n: p.key for n, p in self.running().items()}, {'b': before['b'].key})
        os.chmod(state, 0o700)
        self.wait_agents(['a', 'b'])
        c.wait_converged()


if __name__ == '__main__':
    harness.main()
