#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is not ours is shown and never touched: sessions, servers, the default tmux server, other fleets."""

import os
import signal

import harness
from harness import BLOCKED, PENDING, SOCKET, Fleet, wait_for


class Foreign:
    def test_foreign_sessions_beside_a_whole_life(self):
        self.bring_up(['a', 'b'])
        self.foreign = self.bed.canary(SOCKET, ('guest', 'a-x', '_other'))
        self.assertRegex(self.fleet('plan', code=0).out, r'3 foreign')
        r = self.fleet('status', code=0)
        for name in self.foreign.sessions:
            self.assertIn(name, r.out)
        self.roster(['a', 'c'])
        self.apply()
        self.fleet('restart', code=0)
        self.fleet('stop', 'a', code=0)
        self.fleet('start', code=0)
        self.assert_healthy(['a', 'c'])
        self.fleet('stop', code=0)
        self.assertEqual(self.foreign.changes(), [])
        self.fleet('start', code=0)
        self.assert_healthy(['a', 'c'])
        self.in_sync()

    def test_a_foreign_session_has_an_agents_name(self):
        before = self.bring_up(['a'])
        self.foreign = self.bed.canary(SOCKET, ('b',))
        self.roster(['a', 'b'])
        self.fleet('plan', code=BLOCKED)
        r = self.apply(code=BLOCKED)
        self.assertRegex(r.out + r.err, r'not ours')
        self.assertEqual(self.pids(), {'a': before['a'].key})
        self.fleet('restart', 'a', code=0)
        self.fleet('start', 'b', code=BLOCKED)
        self.fleet('stop', 'b', code=(0, BLOCKED))
        self.assertEqual(self.foreign.changes(), [])
        self.foreign = None
        self.tmux('kill-session', '-t', '=b', check=True)
        self.fleet('start', code=0)
        self.apply()
        self.assert_healthy(['a', 'b'])

    def test_a_copied_marker_stays_foreign(self):
        self.bring_up(['a', 'b', 'c'])
        marker = self.tmux('show-options', '-v', '-t', '=a:', '@mosaic').out.strip()
        self.assertTrue(marker)
        self.tmux('new-session', '-d', '-s', 'copy', 'sleep', '1000', check=True)
        self.tmux('set-option', '-t', '=copy:', '@mosaic', marker, check=True)
        self.foreign = self.bed.canary(SOCKET, ('guest',))
        before = self.pids()
        self.apply()
        self.roster(['b', 'c'])
        self.apply()
        self.assertIn('copy', self.sessions())
        self.assertEqual(self.pids(), {n: before[n] for n in 'bc'})

    def test_a_foreign_server_on_our_socket(self):
        self.bed.run(['tmux', '-L', SOCKET, '-f', '/dev/null', 'new-session', '-d', '-s', 'theirs', 'sleep', '1000'],
                     check=True)
        self.foreign = self.bed.canary(SOCKET, ('guest',))
        theirs = self.server_pid()
        self.roster(['a', 'b'])
        self.fleet('plan', code=BLOCKED)
        r = self.apply(code=BLOCKED)
        self.assertRegex(r.out + r.err, r'(?i)tmux')
        self.fleet('start', code=BLOCKED)
        self.fleet('stop', code=(0, BLOCKED))
        self.assertEqual(self.server_pid(), theirs)
        self.assertEqual(set(self.sessions()), {'theirs', 'guest'})
        self.assertEqual(self.running(), {})

    def test_called_from_within_another_tmux(self):
        poison = {'TMUX': self.bed.tmux_dir + '/default,4711,0', 'TMUX_PANE': '%0', 'TMUX_TMPDIR': None}
        self.roster(['canary', 'b'])
        for args in (('plan',), ('apply', '--yes'), ('status',), ('verify',), ('restart', 'b'), ('stop',), ('start',)):
            self.fleet(*args, env=poison, code=(0, PENDING))
        self.assert_healthy(['canary', 'b'])
        # The same from an agent's own pane.
        self.fleet('apply', '--yes', env={'TMUX': self.bed.tmux_dir + '/%s,1,1' % SOCKET, 'TMUX_PANE': '%1'}, code=0)
        self.in_sync()

    def test_socket_removed_while_the_server_lives(self):
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        server = self.servers()[0]
        os.unlink(self.bed.tmux_dir + '/' + SOCKET)
        self.fleet('plan')
        self.apply(code=range(0, 8))
        self.assertEqual([p.key for p in self.servers()], [server.key], 'a second server was started')
        self.assertEqual(self.pids(), before)
        os.kill(server.pid, signal.SIGUSR1)
        wait_for(lambda: self.sessions(), what='the socket again')
        self.apply()
        self.assertEqual(self.pids(), before)
        self.in_sync()


class NoOne:
    """A tripwire stands where the default tmux server's socket would be: nobody ever connects."""
    default_server = 'tripwire'

    def test_no_verb_contacts_the_default_server(self):
        self.roster(['a', 'b', 'default'])
        self.fleet('validate', code=0)
        self.fleet('plan', code=PENDING)
        self.apply()
        self.wait_agents(['a', 'b', 'default'])
        self.fleet('verify', code=0)
        self.fleet('status', code=0)
        self.assertEqual(self.guard.changes(), [])
        self.fleet('restart', 'a', code=0)
        self.fleet('stop', 'a', code=0)
        self.fleet('start', 'a', code=0)
        self.roster(['a', 'b'])
        self.apply()
        os.kill(self.server_pid(), signal.SIGKILL)
        wait_for(lambda: not self.servers(), what='the server ended') if self.supervisor == 'direct' else None
        if self.supervisor == 'direct':
            self.apply()
        self.wait_agents(['a', 'b'])
        self.assertEqual(self.guard.changes(), [])
        self.fleet('stop', code=0)
        if self.supervisor == 'systemd':
            self.fleet('uninstall-systemd', code=0)


class Homes:
    """Two fleets of one user never meet."""
    profile_first = False

    def test_two_homes(self):
        homes = [self.bed.home + '/one', self.bed.home + '/two']
        for h in homes:
            self.init(home=h)
            self.roster(['a', 'b'], home=h)
            self.apply(env={'MOSAIC_HOME': h})
        first = self.wait_agents(['a', 'b'], home=homes[0])
        second = self.wait_agents(['a', 'b'], home=homes[1])
        self.assertEqual(len(self.servers()), 2)
        self.assertNotEqual(self.servers()[0].cgroup if self.supervisor == 'systemd' else 1,
                            self.servers()[1].cgroup if self.supervisor == 'systemd' else 2)
        keys = {n: p.key for n, p in second.items()}
        one, two = ({'MOSAIC_HOME': h} for h in homes)
        self.fleet('restart', env=one, code=0)
        self.roster(['a'], home=homes[0])
        self.apply(env=one)
        self.wait_agents(['a'], home=homes[0])
        self.assertEqual({n: p.key for n, p in self.running(home=homes[1]).items()}, keys)
        for env in (one, two):
            self.fleet('plan', env=env, code=0)
        self.fleet('stop', env=one, code=0)
        self.assertEqual(self.running(home=homes[0]), {})
        self.assertEqual({n: p.key for n, p in self.running(home=homes[1]).items()}, keys)
        if self.supervisor == 'systemd':
            self.fleet('uninstall-systemd', env=one, code=0)
        self.fleet('plan', env=two, code=0)
        self.assertEqual({n: p.key for n, p in self.running(home=homes[1]).items()}, keys)
        self.assertFalse(any(p.alive() for p in first.values()))

    def test_a_home_beside_the_default_one(self):
        self.init()
        self.roster(['a', 'b'])
        self.apply()
        mine = {n: p.key for n, p in self.wait_agents(['a', 'b']).items()}
        other = self.bed.home + '/other'
        self.init(home=other)
        self.roster(['a', 'x'], home=other)
        self.apply(env={'MOSAIC_HOME': other})
        self.wait_agents(['a', 'x'], home=other)
        self.fleet('stop', env={'MOSAIC_HOME': other}, code=0)
        self.assertEqual({n: p.key for n, p in self.running(home=self.bed.home + '/.config/mosaic').items()}, mine)
        self.in_sync()


class ForeignSystemd(Foreign, Fleet):
    pass


class ForeignDirect(Foreign, Fleet):
    supervisor = 'direct'


class NoOneSystemd(NoOne, Fleet):
    pass


class NoOneDirect(NoOne, Fleet):
    supervisor = 'direct'


class HomesSystemd(Homes, Fleet):
    pass


class HomesDirect(Homes, Fleet):
    supervisor = 'direct'


if __name__ == '__main__':
    harness.main()
