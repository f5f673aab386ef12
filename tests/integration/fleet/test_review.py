#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What must be refused while a fleet lives, agents that lost their keeper, and files that are not plain ones."""

import fcntl
import json
import os
import signal
import socket
import stat
import time

import harness
from harness import BLOCKED, LOCKED, UNKNOWN, Fleet, wait_for


class Direct(Fleet):
    supervisor = 'direct'

    def state(self, *path):
        return os.path.join(self.bed.home, '.local/state/mosaic/default', *path)

    def record(self):
        with open(self.state('fleet.json'), encoding='utf-8') as f:
            return json.load(f)

    def with_orphan(self):
        """An agent `s` that heeds no signal and has lost keeper and pane; beside it `a`."""
        before = self.bring_up({'s': self.agent('s', 'stubborn', stop_timeout='1s'), 'a': self.agent('a')})
        self.wait_up('s')
        os.kill(self.keeper('s'), signal.SIGKILL)
        wait_for(lambda: 's' not in self.sessions(), 10, 'the session of s is gone')
        self.assertTrue(before['s'].alive())
        return before

    # --- uninstall ---

    def test_uninstall_of_a_live_fleet_is_refused(self):
        before = self.bring_up(['a', 'b'])
        for args in (('--dry-run',), ('--purge',), ()):
            r = self.fleet('uninstall-systemd', *args, code=BLOCKED)
            self.assertRegex(r.err, r'direct: a, b, the tmux server on /\S+/mosaic-factory\b')
        self.assertEqual(self.pids(), {n: p.key for n, p in before.items()})
        self.in_sync()
        self.fleet('stop', code=0)
        self.fleet('uninstall-systemd', code=0)
        self.assertFalse(os.path.exists(self.state()))

    def test_uninstall_sees_an_agent_without_a_server(self):
        before = self.with_orphan()
        server = self.servers()[0]
        os.kill(before['a'].pid, signal.SIGKILL)
        os.kill(server.pid, signal.SIGKILL)
        wait_for(lambda: not server.alive() and not before['a'].alive(), 15, 'server and a are gone')
        r = self.fleet('uninstall-systemd', code=BLOCKED)
        self.assertRegex(r.err, r'direct: s\b')
        self.fleet('stop', code=(0, harness.NOT_CONVERGED))
        wait_for(lambda: not before['s'].alive(), 5, 'the end of s')
        self.fleet('uninstall-systemd', code=0)

    def test_uninstall_beside_what_cannot_be_read(self):
        self.bring_up(['a'])
        self.fleet('stop', code=0)
        self.bed.write(self.bed.run_dir + '/mosaic/default/run/a.json', '{', 0o600)
        r = self.fleet('uninstall-systemd', code=UNKNOWN)
        self.assertIn('a.json', r.err)
        self.assertTrue(os.path.exists(self.state('specs/a.json')))

    # --- agents without their keeper ---

    def test_stop_ends_an_agent_that_lost_its_keeper(self):
        before = self.with_orphan()
        began = time.monotonic()
        self.fleet('stop', 's', code=0)
        self.assertFalse(before['s'].alive())
        self.assertGreater(time.monotonic() - began, 0.9, 'it was not given its time')
        self.assertEqual(self.pids(), {'a': before['a'].key})
        self.in_sync()

    def test_removal_ends_an_agent_that_lost_its_keeper(self):
        before = self.with_orphan()
        self.roster(['a'])
        self.apply()
        self.assertFalse(before['s'].alive(), 'it lives on, and nobody knows of it')
        # The dead keeper's socket is swept with the runtime directory.
        self.assertEqual([f for f in self.state_files('s') if '/keep/' not in f], [])
        self.assert_healthy(['a'])
        self.in_sync()

    def test_restart_of_an_agent_that_lost_its_keeper(self):
        before = self.with_orphan()
        self.fleet('restart', 's', code=0)
        self.assertFalse(before['s'].alive())
        self.assert_healthy(['a', 's'])

    # --- init ---

    def test_supervisor_of_a_live_fleet_stays(self):
        before = self.bring_up(['a'])
        roster, record = self.bed.read('.config/mosaic/fleet/roster.yaml'), self.record()
        r = self.fleet('init', '--write', '--force', '--supervisor', 'systemd', code=BLOCKED)
        self.assertRegex(r.err, r'under direct: a, the tmux server')
        self.assertEqual(self.record(), record)
        self.assertEqual(self.bed.read('.config/mosaic/fleet/roster.yaml'), roster)
        self.assertEqual(self.pids(), {'a': before['a'].key})
        self.in_sync()
        self.fleet('stop', code=0)
        elsewhere = self.bed.mkdir('elsewhere', 0o700)
        self.fleet('init', '--write', '--force', '--supervisor', 'systemd', env={'TMUX_TMPDIR': elsewhere}, code=0)
        after = self.record()
        self.assertEqual(after, {**record, 'supervisor': 'systemd'})

    def test_init_waits_for_other_writers(self):
        with open(self.state('lock'), 'w', encoding='utf-8') as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            with open('/proc/self/stat', encoding='utf-8') as own:
                started = own.read().rsplit(')', 1)[1].split()[19]
            f.write(f'{os.getpid()} apply {started}\n')
            f.flush()
            r = self.fleet('init', '--write', '--force', '--profile', 'demo', '--lock-timeout', '100ms', code=LOCKED)
        self.assertIn(f"'apply', pid {os.getpid()}", r.err)
        self.assertNotIn('demo', self.bed.read('.config/mosaic/fleet/roster.yaml'))

    def test_a_linked_roster_stays_a_link(self):
        link = self.bed.path_of('.config/mosaic/fleet/roster.yaml')
        target = self.bed.write('sync/roster.yaml', 'version: 1\nagents: {}\n', 0o600)
        os.unlink(link)
        os.symlink(target, link)
        self.fleet('init', '--write', '--force', code=0)
        self.assertEqual(os.readlink(link), target)
        self.assertIn('canary-pi', self.bed.read('sync/roster.yaml'))
        self.assertEqual(self.bed.read('.config/mosaic/fleet/roster.yaml.1'), 'version: 1\nagents: {}\n')
        os.unlink(target)
        r = self.fleet('init', '--write', '--force', code=BLOCKED)
        self.assertIn('leads nowhere', r.err)
        self.assertTrue(os.path.islink(link))
        self.assertFalse(os.path.exists(target))
        os.unlink(link)
        os.mkdir(link)
        r = self.fleet('init', '--write', '--force', code=BLOCKED)
        self.assertIn('no regular file; move it away', r.err)
        self.assertIn('= help: put the roster there as a file', self.fleet('validate', code=harness.INVALID).err)

    # --- files ---

    def test_a_saved_plan_replaces_plain_files_only(self):
        self.roster(['a'])
        self.fleet('plan', '--out', 'plain', code=harness.PENDING)
        self.fleet('plan', '--out', 'plain', code=harness.PENDING)
        os.mkfifo(self.bed.path_of('pipe'))
        os.symlink('plain', self.bed.path_of('link'))
        before = self.bed.read('plain')
        for name in ('pipe', 'link', 'work', '/dev/full'):
            r = self.fleet('plan', '--out', name, code=1)
            self.assertIn(name, r.err)
        self.assertTrue(stat.S_ISFIFO(os.lstat(self.bed.path_of('pipe')).st_mode))
        self.assertEqual(os.readlink(self.bed.path_of('link')), 'plain')
        self.assertEqual(self.bed.read('plain'), before)

    def test_leftovers_of_killed_writers_are_swept(self):
        self.bring_up(['a'])
        gone = self.bed.popen(['true'])
        gone.wait()

        def leave(directory, name, pid, age):
            path = self.bed.write(os.path.join(directory, '.%s.tmp-%d' % (name, pid)), 'half', 0o600)
            os.utime(path, (time.time() - age,) * 2)
            return path
        old = [leave(self.state(d), n, gone.pid, 100) for d, n in
               (('', 'fleet.json'), ('specs', 'a.json'), ('holds', 'a.json'), ('stops', 'b.json'))]
        old.append(leave(self.bed.run_dir + '/mosaic/default/run', 'a.json', gone.pid, 100))
        kept = [leave(self.state('specs'), 'a.json', gone.pid + 1, 0), leave(self.state('specs'), 'b.json', 1, 100),
                self.bed.write(self.state('specs/.a.json.tmp-x'), 'half', 0o600)]
        os.utime(kept[2], (0, 0))
        self.fleet('stop', 'a', code=0)
        self.assertEqual([p for p in old if os.path.exists(p)], [])
        self.assertEqual([p for p in kept if not os.path.exists(p)], [])

    def test_a_history_that_was_cut_short(self):
        self.bring_up(['a'])
        path = self.state('history.jsonl')
        with open(path, 'a', encoding='utf-8') as f:
            f.write('{"at_usec":1,"took_usec":1,"agent":"a","verb":"apply"}\n{"at_usec":2,"agent":"a","ver')
        self.fleet('restart', 'a', code=0)
        r = self.fleet('explain', 'a', code=0)
        self.assertNotIn('null', r.out)
        self.assertRegex(r.out, r'restart')
        last = self.bed.read(path).splitlines()[-1]
        self.assertEqual(json.loads(last)['verb'], 'restart')


class NothingChosen(Fleet):
    """A machine whose user manager accepts and never says a word."""
    supervisor = 'direct'
    profile_first = False

    def setUp(self):
        super().setUp()
        self.bed.mkdir(self.bed.run_dir + '/systemd', 0o700)
        path = self.bed.run_dir + '/systemd/private'
        self.hung = socket.socket(socket.AF_UNIX)
        self.hung.bind(path)
        os.chown(path, self.bed.uid, self.bed.gid)
        self.hung.listen(100)
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        self.addCleanup(self.hung.close)

    def test_a_manager_that_does_not_answer_is_a_manager(self):
        record = self.bed.home + '/.local/state/mosaic/default/fleet.json'
        r = self.fleet('init', '--write', code=UNKNOWN)
        self.assertIn('--supervisor', r.err)
        self.assertIsNone(self.bed.read('.config/mosaic/fleet/roster.yaml'))
        self.assertFalse(os.path.exists(record), 'a supervisor was chosen')
        self.roster(['a'])
        self.apply(code=UNKNOWN)
        self.assertEqual((self.servers(), self.running()), ([], {}))
        self.assertNotIn('"direct"', self.bed.read(record) or '')

    def test_who_says_direct_gets_it(self):
        self.roster(['a'])
        self.fleet('init', '--write', '--supervisor', 'direct', code=BLOCKED)  # there is a roster
        self.apply()
        self.wait_agents(['a'])


if __name__ == '__main__':
    harness.main()
