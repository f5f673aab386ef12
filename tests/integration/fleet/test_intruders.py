#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is there already, or gets in between: directories of others, planted records, sockets, programs and
units, titles and options that look like commands. Nothing of it is believed, run or overwritten."""

import glob
import os
import socket

import harness
from harness import BLOCKED, NOT_CONVERGED, PENDING, SOCKET, UNKNOWN, Fleet, wait_for

STRANGER = 12345  # a uid that is nobody's here


class Intruders:
    def planted(self):
        return [f for top in (self.bed.home, self.bed.root, self.bed.run_dir, self.bed.tmux_dir, '/tmp')
                for f in glob.glob(top + '/PWN*') + glob.glob(top + '/*/PWN*')]

    def tearDown(self):
        self.assertEqual(self.planted(), [])

    @property
    def state(self):
        return self.bed.home + '/.local/state/mosaic/default'

    @property
    def runtime(self):
        return self.bed.run_dir + '/mosaic/default'

    def refused(self, *verb, code=BLOCKED):
        """A verb that must change nothing: what runs stays, nothing new does."""
        before = self.pids()
        r = self.fleet(*verb, code=code)
        self.assertEqual(self.pids(), before)
        return r

    # --- directories and files ---

    def test_records_that_others_wrote(self):
        """A record of another user's, or one that others can write, says nothing at all."""
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        for name in (self.state + '/specs/a.json', self.runtime + '/run/a.json', self.state + '/fleet.json'):
            for owner, mode in ((STRANGER, 0o644), (self.bed.uid, 0o622)):
                os.chown(name, owner, -1)
                os.chmod(name, mode)
                for verb in (('plan',), ('apply', '--yes'), ('restart', 'a')):
                    r = self.fleet(*verb, code=(1, BLOCKED, UNKNOWN))
                    self.assertIn(os.path.basename(name), r.out + r.err)
                    self.assertEqual(self.pids(), before)
                os.chown(name, self.bed.uid, -1)
                os.chmod(name, 0o600)
        self.in_sync()

    # --- sockets ---

    def listener(self, path, kind=socket.SOCK_STREAM):
        """A socket of another user (root): whoever connects is noticed."""
        s = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(s.close)
        s.bind(path)
        s.listen(5)
        os.chmod(path, 0o777)
        s.setblocking(False)
        return s

    def assert_left_alone(self, s):
        with self.assertRaises(BlockingIOError):
            s.accept()

    def test_a_rogue_listener_on_our_socket(self):
        before = {n: p.key for n, p in self.bring_up(['a']).items()}
        path = self.bed.tmux_dir + '/' + SOCKET
        os.rename(path, path + '.real')
        rogue = self.listener(path)
        for verb in (('plan',), ('apply', '--yes'), ('restart', 'a'), ('status',), ('verify',)):
            r = self.fleet(*verb, code=(0, UNKNOWN) if verb[0] == 'status' else UNKNOWN)
            self.assertIn('another user', r.out + r.err)
        self.mosaic('agent', 'send', 'a', '--message', 'x', code=range(1, 66))
        self.assert_left_alone(rogue)
        os.unlink(path)
        os.rename(path + '.real', path)
        self.assertEqual(self.pids(), before)
        self.in_sync()

    # --- programs ---

    def test_programs_in_the_way(self):
        """No program is taken from the working directory, and systemctl is never called."""
        for name in ('tmux', 'systemctl', 'sh', 'mosaic-keeper', 'mosaic-launcher', 'hostname'):
            self.bed.write('trap/' + name, '#!/bin/sh\ntouch %s/PWN-%s\n' % (self.bed.home, name), 0o755)
        self.bed.write('bin/systemctl', '#!/bin/sh\ntouch %s/PWN-bin\n' % self.bed.home, 0o755)
        trap = self.bed.path_of('trap')
        usual = self.bed.env()['PATH']
        self.bring_up(['a'])
        self.roster(['a', 'b'])
        for path in ('.:' + usual, ':' + usual, './:../trap:' + usual):
            for verb in (('plan',), ('apply', '--yes'), ('restart', 'b'), ('status',), ('stop',), ('start',)):
                self.fleet(*verb, cwd=trap, env={'PATH': path}, code=(0, PENDING))
            self.wait_agents(['a', 'b'])
        self.in_sync()

    # --- what our processes have open ---

    def test_no_network_socket(self):
        self.bring_up(['a', 'b'])
        watch = self.bed.popen([self.program, 'fleet', 'watch', '--json'], stderr=None)
        wait_for(lambda: os.path.exists(self.runtime + '/controller.json'), 20, 'the controller')
        inodes = set()
        for table in ('tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6', 'udplite', 'packet'):
            try:
                with open('/proc/net/' + table) as f:
                    inodes |= {word for line in f.readlines()[1:] for word in line.split()}
            except FileNotFoundError:
                continue
        seen = 0
        for p in self.bed.processes():
            for fd in glob.glob('/proc/%d/fd/*' % p.pid):
                try:
                    where = os.readlink(fd)
                except OSError:
                    continue
                if where.startswith('socket:['):
                    seen += 1
                    self.assertNotIn(where[8:-1], inodes, p)
        self.assertGreater(seen, 0)
        watch.terminate()
        watch.wait()


class IntrudersSystemd(Intruders, Fleet):
    def test_units_of_others(self):
        """Units, drop-ins and links that are not ours stay; where they are in the way, that is said."""
        units = self.bed.home + '/.config/systemd/user'
        mine = {'mosaic-x.service': '[Service]\nExecStart=/bin/true\n',
                'mosaic-agent@a.service.d/10-mine.conf': '[Service]\nNice=5\n',
                'mosaic-agent@x.service.d/50-mine.conf': '[Service]\nNice=5\n'}
        for name, text in mine.items():
            self.bed.write('.config/systemd/user/' + name, text)
        precious = self.bed.write('precious', 'mine\n', 0o600)
        self.bring_up(['a', 'b'])
        # Our drop-in as a link to somebody's file: it is not written through, and not removed.
        self.bed.mkdir('.config/systemd/user/mosaic-agent@b.service.d')
        dropin = units + '/mosaic-agent@b.service.d/50-mosaic.conf'
        if os.path.lexists(dropin):
            os.unlink(dropin)
        os.symlink(precious, dropin)
        os.lchown(dropin, self.bed.uid, self.bed.gid)
        self.roster({'a': self.agent('a'), 'b': self.agent('b', restart={'policy': 'never'})})
        self.fleet('apply', '--yes')
        self.assertEqual(self.bed.read('precious'), 'mine\n')
        self.assertTrue(os.path.islink(dropin))
        os.unlink(dropin)
        self.apply()
        self.wait_agents(['a', 'b'])
        self.fleet('stop', code=0)
        self.fleet('uninstall-systemd', code=0)
        for name, text in mine.items():
            self.assertEqual(self.bed.read('.config/systemd/user/' + name), text)
        self.assertEqual(self.bed.read('precious'), 'mine\n')

    def test_unit_directory_is_a_link(self):
        """As people have it who keep their configuration elsewhere: it works, and leaves nothing behind."""
        self.fleet('uninstall-systemd', code=0)
        real = self.bed.mkdir('dotfiles/user')
        self.bed.write('dotfiles/user/other.service', '[Service]\nExecStart=/bin/true\n')
        self.bed.mkdir('.config/systemd')
        if os.path.isdir(self.bed.home + '/.config/systemd/user'):
            os.rmdir(self.bed.home + '/.config/systemd/user')
        os.symlink(real, self.bed.home + '/.config/systemd/user')
        os.lchown(self.bed.home + '/.config/systemd/user', self.bed.uid, self.bed.gid)
        self.fleet('install-systemd', code=0)
        self.bring_up(['a'])
        self.in_sync()
        self.fleet('stop', code=0)
        self.fleet('uninstall-systemd', code=0)
        self.assertEqual(os.listdir(real), ['other.service'])
        self.assertTrue(os.path.islink(self.bed.home + '/.config/systemd/user'))


class IntrudersDirect(Intruders, Fleet):
    supervisor = 'direct'

    # What does not depend on the supervisor is tried here, where it is cheaper.

    def test_directories_that_others_can_write_to(self):
        self.roster(['a'])
        os.makedirs(self.runtime, exist_ok=True)
        for path in (self.state, self.runtime):
            for owner, mode in ((self.bed.uid, 0o777), (self.bed.uid, 0o770), (STRANGER, 0o755)):
                os.chown(path, owner, self.bed.gid)
                os.chmod(path, mode)
                for verb in (('apply', '--yes'), ('start',), ('watch',)):
                    r = self.refused(*verb)
                    self.assertIn(path, r.err)
                self.assertRegex(self.mosaic('doctor', code=(1, 2, 3, 6)).out, 'permissions')
                os.chmod(path, 0o700)
            os.chown(path, self.bed.uid, self.bed.gid)
        for d in (self.runtime, os.path.dirname(self.runtime)):
            os.chown(d, self.bed.uid, self.bed.gid)
        self.bring_up(['a'])
        self.in_sync()

    def test_links_are_not_written_through(self):
        """Somebody put a link where a file of ours goes: what it points to stays as it is."""
        precious = self.bed.write('precious', 'mine\n', 0o600)
        self.roster(['a'])
        os.makedirs(self.state + '/specs', exist_ok=True)
        os.chown(self.state + '/specs', self.bed.uid, self.bed.gid)
        for link in (self.state + '/specs/a.json', self.state + '/lock', self.state + '/history.jsonl'):
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(precious, link)
            os.lchown(link, self.bed.uid, self.bed.gid)
            self.fleet('apply', '--yes')
            self.assertEqual(self.bed.read('precious'), 'mine\n', link)
            os.unlink(link)
        self.apply()
        self.wait_agents(['a'])
        self.in_sync()

    def test_titles_names_and_options_that_look_like_commands(self):
        before = {n: p.key for n, p in self.bring_up(['a', 'b']).items()}
        self.tmux('new-session', '-d', '-s', 'guest', 'sleep', '1000', check=True)
        self.tmux('new-session', '-d', '-s', 'last', 'sleep', '1000', check=True)
        ids = self.sessions()
        tty = self.tmux('display-message', '-p', '-t', '=a:', '#{pane_tty}', check=True).out.strip()
        line = 'mosaic-1\t%d\t%s\t17\t0\t18\t%%77\t9\t0\tweb\tdefault:b:%s\t.' % (self.server_pid(), ids['last'], ids['last'])
        values = ['#(touch ~/PWN)', '##(touch ~/PWN)', '#{pid}', '%begin 1 2 3', '%end 1 2 3', '%exit',
                  'default:a:%s' % ids['a'], 'default:a:%s\tx' % ids['guest'], 'x\n' + line, 'x\t.\n%s\nmosaic-1 end' % line,
                  '\x1b[2J\u202egpj', 'mosaic-1 end', "'; kill-server; '"]
        for value in values:
            self.tmux('set-option', '-t', '=guest:', '@mosaic', value, check=True)
            self.tmux('set-option', '-p', '-t', '=a:', '@note', value, check=True)
            # By escape sequences, as an agent would: the commands of tmux expand formats themselves.
            with open(tty, 'w', encoding='utf-8') as f:
                f.write('\033]2;%s\007\033k%s\033\\%s\r\n' % ((value.replace('\n', ' '),) * 3))
            d = self.fleet_json('plan', code=0)
            self.assertEqual(d['actions'], [], value)
            foreign = sorted(m['address'] for m in d['remarks'] if m['kind'] == 'foreign')
            self.assertEqual(foreign, ['guest', 'last'], value)
            for r in (self.fleet('status', code=0), self.mosaic('agent', 'status', code=0)):
                for bad in ('\x1b', '\u202e', '\x9b'):
                    self.assertNotIn(bad, r.out + r.err, value)
        # Names of sessions are text of others too.
        for name in ('x##(touch ~/PWN)', '$0x', '{last}', '=a', '~', 'a b', '\u202egpj'):
            self.tmux('new-session', '-d', '-s', name, 'sleep', '1000', check=True)
            self.assertNotIn('\u202e', self.fleet('plan', code=0).out)
        self.apply()
        self.assertEqual(self.pids(), before)
        self.assertEqual(len(self.tmux('list-sessions', '-F', 'one').out.split()), len(ids) + 7)

    def test_the_directory_of_the_tmux_socket(self):
        self.roster(['a'])
        self.guard = None  # what is put there now is no default server
        shelter = self.bed.root + '/default-server'
        os.rename(self.bed.tmux_dir, shelter)
        try:
            for make in (lambda p: (os.mkdir(p), os.chmod(p, 0o777), os.chown(p, self.bed.uid, -1)),
                         lambda p: os.symlink(self.bed.home, p)):
                make(self.bed.tmux_dir)
                r = self.fleet('apply', '--yes', code=(1, BLOCKED, NOT_CONVERGED, UNKNOWN))
                self.assertIn('0700', r.out + r.err)
                self.assertEqual(self.running(), {})
                self.assertEqual(self.servers_on_ours(), [])
                if os.path.islink(self.bed.tmux_dir):
                    os.unlink(self.bed.tmux_dir)
                else:
                    os.rmdir(self.bed.tmux_dir)
        finally:
            if not os.path.lexists(self.bed.tmux_dir):
                os.rename(shelter, self.bed.tmux_dir)
        self.apply()
        self.wait_agents(['a'])

    def servers_on_ours(self):
        return [p for p in self.bed.processes() if p.comm.startswith('tmux: server') and SOCKET in ' '.join(p.argv)]

    def test_a_rogue_keeper(self):
        """A socket of another user in a keeper's place is not talked to."""
        self.bring_up(['a', 'b'])
        path = self.runtime + '/keep/a'
        os.rename(path, path + '.real')
        rogue = self.listener(path, socket.SOCK_SEQPACKET)
        self.fleet('stop', 'a', code=range(1, 7))
        self.fleet('plan')
        while True:
            try:
                connection, _ = rogue.accept()
            except BlockingIOError:
                break
            with connection:
                connection.setblocking(False)
                try:
                    self.assertEqual(connection.recv(100), b'', 'a request went to another user')
                except BlockingIOError:
                    pass
        os.unlink(path)
        os.rename(path + '.real', path)
        self.fleet('stop', 'a', code=0)
        wait_for(lambda: set(self.running()) == {'b'}, 10, 'a is down')


if __name__ == '__main__':
    harness.main()
