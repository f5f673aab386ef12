#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Units, drop-ins, install and uninstall against a real user manager, with a stand-in for the launcher."""

import glob
import hashlib
import json
import os
import signal

import fixture
from fixture import wait_for


class Install(fixture.Systemd):
    def lines(self, text):
        """path below the user's home -> status"""
        found = {}
        for line in text.splitlines():
            if line.startswith('file: '):
                path, _, rest = line[6:].rpartition(': ') if line.count(': ') == 2 else (
                    line[6:].split(': ')[0], '', ': '.join(line[6:].split(': ')[1:]))
                found[os.path.relpath(path, self.bed.home)] = rest.split(': ')[0]
        return found

    def files(self):
        return {os.path.relpath(os.path.join(d, n), self.bed.home)
                for d, _, names in os.walk(self.bed.home) for n in names}

    def unit(self, name):
        return '.config/systemd/user/mosaic-' + name

    def test_install_is_idempotent(self):
        before = self.files()
        dry = self.lines(self.probe('install', 'dry'))
        self.assertEqual(set(dry.values()), {'new'})
        self.assertEqual(self.files(), before, 'a dry run wrote something')
        out = self.probe('install')
        self.assertEqual(self.lines(out), dry)
        self.assertIn('reloaded=1', out)
        self.assertLessEqual({self.unit('agent@.service'), self.unit('tmux-holder.service'),
                              self.unit('fleet-boot.service'), '.config/mosaic/fleet/roster.schema.json',
                              '.config/mosaic/tools/fleet/start-agent-session.sh'}, set(dry))
        self.assertTrue(os.access(self.home + '/tools/fleet/start-agent-session.sh', os.X_OK))
        manifest = self.bed.home + '/.local/state/mosaic/default/manifest.json'
        for entry in json.load(open(manifest))['files']:
            with open(entry['path'], 'rb') as f:
                self.assertEqual(hashlib.sha256(f.read()).hexdigest(), entry['sha256'])
            self.assertEqual(os.stat(entry['path']).st_mode & 0o777, entry['mode'])
            self.assertNotIn('previous', entry)
        stamp = os.stat(manifest).st_mtime_ns
        out = self.probe('install')
        self.assertEqual(set(self.lines(out).values()), {'unchanged'})
        self.assertIn('units_changed=0 reloaded=0', out)
        self.assertEqual(os.stat(manifest).st_mtime_ns, stamp, 'nothing changed, and yet it was written')

    def test_local_changes_are_kept(self):
        self.probe('install')
        holder, schema = self.units + '/mosaic-tmux-holder.service', self.home + '/fleet/roster.schema.json'
        ours = self.bed.read(holder)
        self.bed.write(holder, ours + '# mine\n')
        os.chmod(schema, 0o600)
        inside = self.files()
        self.assertEqual(self.lines(self.probe('install', 'dry'))[self.unit('tmux-holder.service')], 'modified')
        self.assertEqual(self.files(), inside, 'a dry run wrote something')
        found = self.lines(self.probe('install'))
        self.assertEqual(found.pop(self.unit('tmux-holder.service')), 'modified')
        self.assertEqual(found.pop('.config/mosaic/fleet/roster.schema.json'), 'updated')
        self.assertEqual(set(found.values()), {'unchanged'})
        self.assertEqual(os.stat(schema).st_mode & 0o777, 0o644)
        self.assertEqual(self.bed.read(holder), ours + '# mine\n')
        self.assertEqual(self.bed.read(holder + '.new'), ours)
        self.assertEqual(self.lines(self.probe('install'))[self.unit('tmux-holder.service')], 'modified')
        # Taking ours back ends it.
        os.rename(holder + '.new', holder)
        self.assertEqual(set(self.lines(self.probe('install')).values()), {'unchanged'})
        self.assertFalse(os.path.exists(holder + '.new'))
        # A link or a directory in the place of a file is the user's too.
        os.unlink(schema)
        os.symlink('/dev/null', schema)
        self.assertEqual(self.lines(self.probe('install'))['.config/mosaic/fleet/roster.schema.json'],
                         'modified')
        self.assertTrue(os.path.islink(schema))

    def test_an_older_version_is_updated(self):
        self.probe('install')
        holder = self.units + '/mosaic-tmux-holder.service'
        old = self.bed.write(self.home + '/tools/old.sh', 'old\n', 0o755)
        changed = self.bed.write(self.home + '/tools/changed.sh', 'mine\n', 0o755)
        self.bed.write(holder, 'what the version before wrote\n')
        manifest = self.bed.home + '/.local/state/mosaic/default/manifest.json'
        m = json.load(open(manifest))

        def sha(text):
            return hashlib.sha256(text.encode()).hexdigest()
        for entry in m['files']:
            if entry['path'] == holder:
                entry['sha256'] = sha('what the version before wrote\n')
        m['files'] += [{'path': old, 'sha256': sha('old\n'), 'mode': 0o755},
                       {'path': changed, 'sha256': sha('as it was\n'), 'mode': 0o755}]
        self.bed.write(manifest, json.dumps(m), 0o600)
        found = self.lines(self.probe('install'))
        self.assertEqual(found[self.unit('tmux-holder.service')], 'updated')
        self.assertEqual(found['.config/mosaic/tools/old.sh'], 'removed')
        self.assertEqual(found['.config/mosaic/tools/changed.sh'], 'kept')
        self.assertIn('--holder', self.bed.read(holder))
        # A crash between the announcement and the file: the old content is still ours.
        m = json.load(open(manifest))
        for entry in m['files']:
            if entry['path'] == holder:
                entry['previous'] = sha('what the version before wrote\n')
        self.bed.write(manifest, json.dumps(m), 0o600)
        self.bed.write(holder, 'what the version before wrote\n')
        self.assertEqual(self.lines(self.probe('install'))[self.unit('tmux-holder.service')], 'updated')
        # A manifest that cannot be read says nothing on what is ours, so nothing is done.
        self.bed.write(manifest, '{"version": 99}', 0o600)
        self.assertIn('EBADMSG', self.probe('install', code=1))
        self.assertIn('EBADMSG', self.probe('uninstall', code=1))

    def test_without_a_manager(self):
        self.bed.stop_manager()
        try:
            out = self.probe('install')
            self.assertIn('units_changed=1 reloaded=0 note=no systemd user manager', out)
            out = self.probe('uninstall', 'state')
            self.assertIn('outcome: 0', out)
        finally:
            self.bed.start_manager()

    def test_uninstall_leaves_nothing(self):
        self.bed.write(self.home + '/fleet/roster.yaml', 'version: 1\n')
        self.bed.write('.config/systemd/user/mine.service', '[Service]\nExecStart=true\n')
        self.bed.write('.config/systemd/user/mosaic-agent@a.service.d/mine.conf', '[Service]\nNice=1\n')
        self.bed.write('.config/systemd/user/default.target.wants/mine.service', '')
        before = self.files()
        self.probe('install')
        self.probe('dropins', 'always', '0', '50', 'a', 'b', 'c')
        self.bed.systemctl('enable', 'mosaic-fleet-boot', check=True)
        self.bed.write(self.bed.run_dir + '/mosaic/default/run/a.json', '{}')
        self.bed.systemctl('start', 'mosaic-tmux-holder', 'mosaic-agent@a', check=True)
        inside = self.files()
        out = self.probe('uninstall')
        self.assertIn('outcome: 1', out)
        self.assertEqual([l for l in out.splitlines() if l.startswith('active: ')],
                         ['active: mosaic-agent@a.service', 'active: mosaic-tmux-holder.service'])
        self.assertEqual(self.files(), inside, 'it was refused, and yet something went')
        self.bed.systemctl('stop', 'mosaic-tmux-holder', check=True)
        out = self.probe('uninstall', 'dry', 'state')
        self.assertEqual(self.files(), inside, 'a dry run removed something')
        self.assertEqual(set(self.lines(out).values()), {'removed'})
        self.assertEqual(self.lines(self.probe('uninstall', 'state')), self.lines(out))
        self.assertEqual(self.files() - {'.config/mosaic/calls', 'libexec/mosaic-launcher'},
                         before - {'libexec/mosaic-launcher'})
        self.assertFalse(os.path.exists(self.bed.run_dir + '/mosaic'))
        self.assertFalse(os.path.exists(self.bed.home + '/.local/state/mosaic'))
        self.assertFalse(os.path.exists(self.home + '/tools'))
        self.assertEqual(glob.glob(self.units + '/mosaic-*'), [self.units + '/mosaic-agent@a.service.d'])
        self.assertEqual(self.bed.systemctl('list-units', '--all', '--no-legend', 'mosaic*').out, '')
        # And once more: nothing to do.
        self.assertEqual(self.lines(self.probe('uninstall', 'state')), {})

    def test_uninstall_keeps_what_was_changed(self):
        self.probe('install')
        tool = self.home + '/tools/fleet/start-agent-session.sh'
        self.bed.write(tool, '# mine\n', 0o755)
        found = self.lines(self.probe('uninstall'))
        self.assertEqual(found['.config/mosaic/tools/fleet/start-agent-session.sh'], 'kept')
        self.assertEqual(self.bed.read(tool), '# mine\n')
        # What was kept is still known; so is one that was there before us.
        for again in (False, True):
            if again:
                self.bed.write(tool, '# mine\n', 0o755)
                self.assertEqual(self.lines(self.probe('install'))['.config/mosaic/tools/fleet/start-agent-session.sh'],
                                 'modified')
            found = self.lines(self.probe('uninstall', 'purge'))
            self.assertEqual(set(found.values()), {'removed'})
            self.assertFalse(os.path.exists(tool))
            # A directory that somebody else made stays.
            self.assertEqual(os.path.exists(self.home + '/tools'), again)

    def test_hung_manager_stops_uninstall(self):
        self.probe('install')
        inside = self.files()
        os.kill(self.bed.manager.pid, signal.SIGSTOP)
        try:
            self.assertIn('ETIMEDOUT', self.probe('uninstall', code=1))
        finally:
            os.kill(self.bed.manager.pid, signal.SIGCONT)
        self.assertEqual(self.files(), inside)


class Units(fixture.Systemd):
    """What the installed units do."""

    def setUp(self):
        super().setUp()
        self.probe('install')
        out = self.probe('paths')
        self.prefix = [l.split(': ')[1] for l in out.splitlines() if l.startswith('prefix: ')][0]
        self.fleet = [l.split(': ')[1] for l in out.splitlines() if l.startswith('id: ')][0]
        self.state_dir = [l.split(': ', 1)[1] for l in out.splitlines() if l.startswith('state: ')][0]
        self.holder = self.prefix + 'tmux-holder.service'

    def agent(self, name):
        return '%sagent@%s.service' % (self.prefix, name)

    def calls(self, *argv):
        try:
            with open(self.home + '/calls') as f:
                found = [json.loads(l) for l in f]
        except FileNotFoundError:
            return []
        return [c for c in found if c['argv'] == list(argv)]

    def start(self, *names, check=True):
        return self.bed.systemctl('start', *[self.agent(n) for n in names], check=check)

    def pid(self, name):
        return int(self.show(self.agent(name), 'MainPID'))

    def settle(self, name, state, timeout=10):
        wait_for(lambda: self.show(self.agent(name), 'ActiveState') == state, timeout,
                 what=lambda: '%s: %s' % (name, self.bed.systemctl('status', self.agent(name)).out))

    def hard_limit(self):
        for line in open('/proc/%d/limits' % self.bed.manager.pid):
            if line.startswith('Max open files'):
                return int(line.split()[4])

    def check_environment(self, call):
        expected = {'MOSAIC_HOME': self.home, 'MOSAIC_STATE_DIR': self.state_dir, 'MOSAIC_LIBEXEC_DIR': self.libexec,
                    'MOSAIC_FLEET': self.fleet, 'TMUX_TMPDIR': '/tmp',
                    'MOSAIC_RUNTIME_DIR': self.bed.run_dir + '/mosaic/' + self.fleet}
        self.assertEqual({k: v for k, v in call['env'].items() if k in expected}, expected)
        self.assertNotIn('TMUX', call['env'])
        self.assertNotIn('TMUX_PANE', call['env'])

    def test_verify_start_and_stop(self):
        for unit in glob.glob(self.units + '/*.service'):
            r = self.bed.run(['systemd-analyze', '--user', '--man=no', 'verify', unit])
            said = r.err.replace('Failed to connect to system bus: No such file or directory\n', '')  # systemd 255
            self.assertEqual((r.code, said), (0, ''), unit)
        self.bed.systemctl('set-environment', 'TMUX=/tmp/tmux-0/default,1,0', 'TMUX_PANE=%0', check=True)
        self.start('a', 'b-2')
        self.check_environment(self.calls('--holder')[0])
        self.check_environment(self.calls('a')[0])
        self.assertEqual(self.calls('b-2')[0]['pid'], self.pid('b-2'))
        # Where the hard limit is below what the unit asks for, systemd takes that and starts all the same.
        hard = self.hard_limit()
        print('# hard limit of the manager: %d' % hard)
        self.assertEqual(self.calls('--holder')[0]['nofile'], [min(65536, hard)] * 2)
        # The holder's processes and the agents' are in different cgroups, and no slice of ours stays behind.
        self.assertEqual(len(self.bed.in_cgroup('/app.slice/' + self.holder)), 1)
        self.assertEqual(self.show(self.holder, 'Slice'), 'app.slice')
        self.assertEqual(self.show(self.agent('a'), 'Slice'), self.show(self.agent('b-2'), 'Slice'))
        self.assertEqual(self.show(self.agent('a'), 'Slice'), 'app.slice')
        self.bed.systemctl('stop', self.agent('a'), check=True)
        self.check_environment(self.calls('--stopped', 'a')[0])
        # A stop of the holder on purpose takes the agents along.
        self.bed.systemctl('stop', self.holder, check=True)
        self.assertEqual(self.show(self.agent('b-2'), 'ActiveState'), 'inactive')
        self.assertEqual([p for p in self.bed.processes() if 'mosaic-launcher' in ' '.join(p.argv)], [])

    def test_restart_policies(self):
        for policy, comes_back in (('always', {'exit 0', 'exit 1', 'exit 143', 'kill 1', 'kill 9'}),
                                   ('on-failure', {'exit 1', 'kill 1', 'kill 9'}), ('never', set())):
            self.bed.reset()
            fixture.Systemd.setUp(self)
            self.probe('install')
            acts = ['exit 0', 'exit 1', 'exit 143', 'kill 1', 'kill 9', 'refuse']
            names = [a.replace(' ', '') for a in acts]
            self.probe('dropins', policy, '1', '50', *names)
            for act, name in zip(acts, names):
                self.bed.write(self.home + '/act-' + name, act)
            self.start(*names, check=False)
            back = set()
            for act, name in zip(acts, names):
                # One attempt, so two starts, then the limit: all come to rest.
                wait_for(lambda: self.show(self.agent(name), 'ActiveState') in ('inactive', 'failed'), 15,
                         what=lambda: self.bed.systemctl('status', self.agent(name)).out)
                n = len(self.calls(name))
                if n > 1:
                    back.add(act)
                self.assertLessEqual(n, 2, act)
                state = (self.show(self.agent(name), 'ActiveState'), self.show(self.agent(name), 'Result'))
                print('# %s, %s: %d starts, then %s' % (policy, act, n, state))
            self.assertEqual(back, comes_back, policy)

    def test_back_after_a_crash_of_the_holder(self):
        """A crash, not a stop: everything comes back with no controller."""
        names = ['h%d' % i for i in range(8)]
        self.start(*names)
        for round in range(3):
            pids = {n: self.pid(n) for n in names}
            os.kill(int(self.show(self.holder, 'MainPID')), signal.SIGKILL)
            # The agents lose their terminals with the server.
            for pid in pids.values():
                os.kill(pid, signal.SIGHUP)
            wait_for(lambda: self.show(self.holder, 'ActiveState') == 'active', 10, 'holder')
            for n in names:
                wait_for(lambda: self.pid(n) not in (0, pids[n]) and
                         self.show(self.agent(n), 'ActiveState') == 'active', 10, n)

    def test_no_limit(self):
        self.probe('dropins', 'always', '0', '50', 'a')
        self.bed.write(self.home + '/act-a', 'exit 1')
        self.start('a', check=False)
        wait_for(lambda: len(self.calls('a')) >= 8, 20, 'eight starts')

    def test_many_dropins(self):
        names = ['n%d' % i for i in range(500)]

        def inodes():
            files = glob.glob(self.units + '/*@*.service.d/50-mosaic.conf')
            return {f.split('@')[-1].split('.')[0]: os.stat(f).st_ino for f in files}

        def write(tasks, *some):
            """Whose drop-in was written: it is another file then."""
            before = inodes()
            self.probe('dropins', 'always', '0', tasks, *some)
            after = inodes()
            return [n for n in names if before.get(n) != after.get(n)]

        self.assertEqual(write('50', *names), names)
        print('# 500 drop-ins: %.1f ms' % (self.took / 1000))
        self.assertEqual(write('50', *names), [])
        self.assertEqual(write('51', 'n7', 'n9'), ['n7', 'n9'])
        self.assertEqual(write('52', *names), names)
        self.start('n3')
        self.assertEqual(self.show(self.agent('n3'), 'TasksMax'), '52')
        self.assertEqual([n for n in os.listdir(self.units) if n.startswith('.')], [])

    def test_disable_by_hand_is_harmless(self):
        """What the guide's rollback says, on units that are never enabled."""
        r = self.bed.systemctl('disable', self.agent('a'))
        self.assertEqual(r.code, 0, repr(r))


class OddPlaces(Units):
    """The same in a home whose name has all that unit files treat specially."""

    home_name = 'a b/100%h "quoted" it\'s \\back\\slash $HOME ${x} @home@ \u00e4'
    libexec_name = 'lib exec%d $X'


if __name__ == '__main__':
    fixture.main()
