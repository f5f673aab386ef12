#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Keepers, sessions and servers that go away, and what must not be displaced by their successors."""

import os
import re
import signal
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import terminal
from terminal import Fleet, REFUSED, TRY_AGAIN, alive, wait_for


class Failures(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(self.fleet.close)
        self.fleet.start_server()

    def socket_path(self, name='web'):
        return os.path.join(self.fleet.runtime, 'keep', name)

    def pane(self):
        """The pane whose keeper answers, '' if none does."""
        try:
            with self.fleet.keeper('web') as k:
                return re.search('TMUX_PANE=(%[0-9]+)', k.call('T')).group(1)
        except OSError:
            return ''

    # --- keeper, session, server

    def test_keeper_killed(self):
        f = self.fleet
        agent = f.launch('web', ['sleep', '1000']).wait_ready()
        os.kill(f.keeper_pid('web'), signal.SIGKILL)
        self.assertEqual(agent.wait_end(), -signal.SIGHUP)
        self.assertTrue(os.path.exists(self.socket_path()))  # stale now
        again = f.launch('web').wait_ready()
        self.assertEqual(f.marker('web'), 'default:web:' + f.show('web', '#{session_id}'))
        self.assertEqual(f.run_record('web')['pid'], again.pid)
        self.assertEqual(os.listdir(os.path.join(f.runtime, 'keep')), ['web'])

    def test_session_killed(self):
        f = self.fleet
        agent = f.launch('web', ['sleep', '1000']).wait_ready()
        f.tmux('kill-session', '-t', '=web')
        self.assertEqual(agent.wait_end(), -signal.SIGHUP)
        wait_for(lambda: not os.path.exists(self.socket_path()), 'the keeper removes its socket')
        f.launch('web').wait_ready()
        self.assertEqual(f.sessions(), ['_holder', 'web'])

    def test_sessions_killed_and_started_over_and_over(self):
        """The launcher meets keepers at every moment of their end."""
        f = self.fleet
        for _ in range(25):
            agent = f.launch('web', ['sleep', '1000']).wait_ready()
            f.tmux('kill-session', '-t', '=web')
            again = f.launch('web')  # at once, while the old keeper may still be there
            again.wait_ready()
            self.assertEqual(agent.wait_end(), -signal.SIGHUP)
            again.kill()
            again.wait_end()

    def test_server_killed_and_restarted_by_the_holder(self):
        f = self.fleet
        names = ['web', 'api', 'db']
        agents = [f.launch(n, ['sleep', '1000']).wait_ready() for n in names]
        f.kill_server()
        for a in agents:
            self.assertEqual(a.wait_end(), -signal.SIGHUP)
        again = [f.launch(n) for n in names]  # they wait for the server
        wait_for(lambda: all(a.process.poll() is None for a in again), 'the launchers wait')
        first = f.server_pid
        self.assertNotEqual(f.start_server(), first)
        for a in again:
            a.wait_ready()
        self.assertEqual(sorted(f.sessions()), ['_holder'] + sorted(names))

    def test_no_launcher_starts_a_server(self):
        f = self.fleet
        f.kill_server()
        agent = f.launch('web', ['sleep', '1000'])
        self.assertEqual(agent.wait_end(40), TRY_AGAIN)
        self.assertIn('is the holder running?', agent.messages())
        self.assertEqual([p for p in f.processes() if terminal.cmdline(p)[0] == b'tmux'], [])

    def test_agent_ends_and_the_pane_stays(self):
        f = self.fleet
        agent = f.launch('web', ['sh', '-c', 'echo said-before; exit 3']).wait_ready()
        self.assertEqual(agent.wait_end(), 3)
        keeper, pane = f.keeper_pid('web'), f.show('web', '#{pane_id}')
        f.wait_screen('web', 'said-before')
        again = f.launch('web', ['sh', '-c', 'echo said-after; exec sleep 1000']).wait_ready()
        f.wait_screen('web', 'said-before\nsaid-after')
        self.assertEqual((keeper, pane), (f.keeper_pid('web'), f.show('web', '#{pane_id}')))
        self.assertIsNone(again.process.poll())

    def test_session_that_lost_its_keeper(self):
        """Ours, kept alive by a window that somebody made in it: it gets a keeper in a new window."""
        f = self.fleet
        agent = f.launch('web', ['sleep', '1000']).wait_ready()
        f.tmux('new-window', '-d', '-t', '=web:', 'sleep', '1001')
        session = f.show('web', '#{session_id}')
        os.kill(f.keeper_pid('web'), signal.SIGKILL)
        agent.wait_end()
        f.launch('web').wait_ready()
        self.assertEqual(f.show('web', '#{session_id}'), session)
        self.assertEqual(f.run_record('web')['pane_id'], f.show('web', '#{pane_id}'))
        self.assertIn('sleep', f.tmux('list-panes', '-s', '-t', '=web:', '-F',
                                      '#{pane_current_command}').split('\n'))

    # --- sockets

    def test_living_keeper_is_not_displaced(self):
        f = self.fleet
        f.make_session('web')
        before = os.stat(self.socket_path())
        pane = f.show('web', '#{pane_id}')
        keeper = os.path.join(terminal.libexec(), 'mosaic-keeper')
        f.tmux('new-session', '-d', '-s', 'copy', keeper, 'web')
        copy = f.keeper_pid('copy')
        # it has looked as soon as it waits on its connection to the first
        wait_for(lambda: len(os.listdir('/proc/%d/fd' % copy)) >= 5 and
                 terminal.stat_fields(copy)[0] == 'S', 'the second keeper waits')
        self.assertEqual(os.stat(self.socket_path()).st_ino, before.st_ino)
        self.assertEqual(self.pane(), pane)
        # gone, the first is succeeded at once
        f.tmux('kill-session', '-t', '=web')
        wait_for(lambda: self.pane() == f.show('copy', '#{pane_id}'), 'the second takes over', 5)

    def test_keeper_removes_only_its_own_socket(self):
        f = self.fleet
        f.make_session('web')
        pid = f.keeper_pid('web')
        os.unlink(self.socket_path())
        other = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        other.bind(self.socket_path())
        f.tmux('kill-session', '-t', '=web')
        wait_for(lambda: not alive(pid), 'the keeper ends')
        self.assertTrue(os.path.exists(self.socket_path()))
        other.close()

    def test_many_keepers_at_once_on_one_name(self):
        f = self.fleet
        keeper = os.path.join(terminal.libexec(), 'mosaic-keeper')
        commands = ''.join("new-session -d -s 's%d' '%s' 'web'\n" % (i, keeper) for i in range(12))
        f.tmux('source-file', f.write('commands', commands))
        f.wait_keeper('web')
        for _ in range(11):
            pane = self.pane()
            f.tmux('kill-pane', '-t', pane)
            wait_for(lambda: self.pane() not in ('', pane), 'one of the others takes over')
        self.assertEqual(len(f.sessions()), 2)

    def test_long_runtime_directory(self):
        f = self.fleet
        f.kill_server()
        f.runtime = f.env['MOSAIC_RUNTIME_DIR'] = os.path.join(f.root, 'r' * 200, 's' * 50)
        f.start_server()
        f.launch('a' * 40, ['sleep', '1000']).wait_ready()

    def test_other_users_are_refused(self):
        if os.geteuid() != 0:
            self.skipTest('needs root to be another user')
        f = self.fleet
        f.make_session('web')
        for d in (f.root, f.runtime, os.path.join(f.runtime, 'keep')):
            os.chmod(d, 0o711)
        os.chmod(self.socket_path(), 0o666)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                c.settimeout(10)
                c.connect(self.socket_path())
                os.write(write, b'connected ')
                try:
                    c.send(b'T')
                    os.write(write, b'got %r' % c.recv(100))
                except (BrokenPipeError, ConnectionResetError):
                    os.write(write, b"got b''")
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(pid, 0)
        self.assertEqual(os.read(read, 1000), b"connected got b''")
        os.close(read)

    def test_clients_that_misbehave(self):
        f = self.fleet
        f.make_session('web')
        idle = [f.keeper('web') for _ in range(40)]  # more than there is room for: the oldest go
        with f.keeper('web') as k:
            self.assertEqual(k.call('Q'), 'Q0 none')
        for request in ('', 'X', 'K', 'Kx', 'K-1', 'T' * 5000, 'K' + '1' * 20):
            with f.keeper('web') as k:
                try:
                    k.send(request)
                    answer = k.receive()
                except ConnectionResetError:
                    answer = ''
                self.assertIn(answer, ('',), request)
        with f.keeper('web') as k:
            k.send('R')  # nobody's child
            self.assertEqual(k.call('Q'), 'Q0 none')
        for k in idle:
            k.close()

    def test_keeper_that_does_not_answer(self):
        """One that takes the connection and says nothing is waited for, but not for ever."""
        f = self.fleet
        os.mkdir(os.path.join(f.runtime, 'keep'), 0o700)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as mute:
            mute.bind(self.socket_path())
            mute.listen(1)
            agent = f.launch('web', ['sleep', '1000'])
            self.assertEqual(agent.wait_end(30), TRY_AGAIN)
            self.assertIn('does not answer', agent.messages())
        f.launch('web').wait_ready()

    def test_earlier_agent_that_lost_its_pane(self):
        """It ignores the hangup and lives on: under systemd no second one is started beside it."""
        f = self.fleet
        agent = f.launch('web', ['sh', '-c', "trap '' HUP; exec sleep 1000"]).wait_ready()
        wait_for(lambda: int(terminal.status_field(agent.pid, 'SigIgn'), 16) & 1, 'HUP is ignored')
        f.tmux('kill-session', '-t', '=web')
        second = f.launch('web', ['sleep', '1000'])
        self.assertEqual(second.wait_end(30), TRY_AGAIN)
        self.assertIn('still runs as process %d' % agent.pid, second.messages())
        agent.kill()
        agent.wait_end()
        f.launch('web').wait_ready()

    # --- holder

    def test_holder_refuses_a_living_server(self):
        f = self.fleet
        before = f.tmux('list-sessions', '-F', '#{session_name} #{pid} #{@mosaic}')
        p = f.helper('--holder')
        self.assertEqual(p.returncode, REFUSED)
        self.assertIn(f.socket, p.stderr)
        self.assertEqual(f.tmux('list-sessions', '-F', '#{session_name} #{pid} #{@mosaic}'), before)

    def test_holder_refuses_an_open_directory(self):
        f = self.fleet
        f.kill_server()
        os.chmod(os.path.dirname(f.socket), 0o707)
        p = f.helper('--holder')
        self.assertEqual(p.returncode, REFUSED)
        self.assertIn('closed to others', p.stderr)

    def test_configuration(self):
        f = self.fleet
        wanted = {
            ('-s',): {'exit-empty': 'off', 'exit-unattached': 'off', 'set-clipboard': 'off',
                      'escape-time': '10', 'focus-events': 'off', 'extended-keys': 'off',
                      'default-terminal': 'tmux-256color'},
            ('-g',): {'destroy-unattached': 'off', 'set-titles': 'off', 'update-environment': '',
                      'default-size': '80x24', 'history-limit': '2000'},
            ('-g', '-w'): {'remain-on-exit': 'off', 'automatic-rename': 'off', 'allow-rename': 'off',
                           'allow-passthrough': 'off'},
        }
        for scope, options in wanted.items():
            for name, value in options.items():
                self.assertEqual(f.tmux('show-options', *scope, '-v', name), value, name)
        self.assertIn('xterm-256color:RGB', f.tmux('show-options', '-s', 'terminal-features'))
        self.assertEqual(f.tmux('source-file', os.path.join(f.runtime, 'tmux.conf')), '')
        environment = f.tmux('show-environment', '-g')
        for name in ('NOTIFY_SOCKET', 'INVOCATION_ID', 'TMUX_PANE', 'EXIT_CODE'):
            self.assertNotIn(name + '=', environment)

    def test_holder_pane_is_only_a_sleeper(self):
        f = self.fleet
        pid = f.keeper_pid('_holder')
        self.assertEqual(terminal.cmdline(pid)[1:], [b'--hold'])
        self.assertEqual(os.path.exists(os.path.join(f.runtime, 'keep')), False)


if __name__ == '__main__':
    terminal.become_subreaper()
    unittest.main()
