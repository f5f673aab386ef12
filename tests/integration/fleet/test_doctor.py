#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`mosaic doctor`: each check sees what is amiss, and the command that it names mends it. `mosaic` alone: the step
that it proposes is the one that leads on."""

import json
import os
import re
import shlex

import harness
from harness import BLOCKED, Fleet

ROSTER = '.config/mosaic/fleet/roster.yaml'


class Doctor(Fleet):
    def checks(self, code=0, **more):
        document = json.loads(self.mosaic('doctor', '--json', code=code, **more).out)
        self.assertEqual(document['summary']['exit'], code)
        return {c['name']: c for c in document['checks']}

    def mend(self, check, **more):
        """Runs the command that the check names."""
        self.bed.run(shlex.split(check['help'].replace('mosaic ', self.program + ' ', 1)), check=True, **more)

    def healthy(self):
        self.bring_up(['web'])
        # What the bed's manager has by itself is not what the shell has.
        self.bed.systemctl('import-environment', 'PATH', check=True)

    def test_all_is_well(self):
        self.healthy()
        pids, before = self.pids(), self.bed.snapshot()
        checks = self.checks()
        bad = {n: c for n, c in checks.items() if c['state'] != 'ok' and n != 'controllers'}
        self.assertEqual(bad, {})
        self.assertEqual(list(checks), ['parts', 'tmux', 'socket', 'user-manager', 'path', 'controllers', 'linger',
                                        'permissions', 'runtimes', 'units', 'holder', 'default-server'])
        self.assertRegex(checks['socket']['message'], r'pid %d ' % self.server_pid())
        self.assertRegex(checks['user-manager']['message'], r'systemd \d{3}')
        self.assertEqual(self.pids(), pids)
        self.assertEqual(before.diff(self.bed.snapshot()), [])

    def test_controllers_are_those_of_the_manager(self):
        self.good()
        have = self.bed.manager_controllers()
        check = self.checks()['controllers']
        lacking = {'cpu', 'memory', 'pids'} - have
        self.assertEqual(check['state'], 'note' if lacking else 'ok')
        for name in lacking:
            self.assertRegex(check['message'], r'\b%s\b' % name)

    def test_the_last_line_and_the_commands(self):
        os.chmod(self.bed.path_of(ROSTER), 0o602)
        r = self.mosaic('doctor', code=BLOCKED)
        self.assertRegex(r.out, r'(?m)^failed +permissions +.*roster\.yaml')
        self.assertRegex(r.out, r'(?m)^ += chmod go-w \S+roster\.yaml$')
        self.assertRegex(r.out.splitlines()[-1], r'^\d+ checks, [12] failed \(exit 3\)$')

    def test_permissions(self):
        self.healthy()
        for path, mode in ((self.bed.home + '/.local/state/mosaic/default', 0o755), (self.bed.path_of(ROSTER), 0o602),
                           (self.bed.home + '/.config/mosaic', 0o772)):
            os.chmod(path, mode)
            check = self.checks(code=BLOCKED)['permissions']
            self.assertEqual(check['state'], 'failed')
            self.assertIn(path, check['message'])
            self.mend(check)
            self.assertEqual(self.checks()['permissions']['state'], 'ok')
        # As a umask of 002 makes them; the user's group has no other member.
        os.chmod(self.bed.path_of(ROSTER), 0o664)
        os.chmod(self.bed.home + '/.config/mosaic', 0o775)
        self.assertEqual(self.checks()['permissions']['state'], 'ok')
        self.assertNotIn('writable', self.fleet('validate', code=0).err)

    def test_path(self):
        self.healthy()
        env = {'PATH': '/opt/somewhere/bin:' + self.bed.env()['PATH']}
        check = self.checks(env=env)['path']
        self.assertEqual(check['state'], 'note')
        self.assertTrue(check['message'].endswith(': /opt/somewhere/bin'), check)
        self.mend(check, env=env)
        self.assertEqual(self.checks(env=env)['path']['state'], 'ok')

    def test_linger(self):
        self.bed.linger(False)
        self.good()
        check = self.checks()['linger']
        self.assertEqual((check['state'], check['help']), ('note', 'loginctl enable-linger'))

    def good(self):
        self.bed.write('bin/pi', '#!/bin/sh\nexec sleep 1000000\n', 0o755)
        self.bed.systemctl('import-environment', 'PATH', check=True)

    def test_runtimes(self):
        self.bed.write('bin/pi', '', 0o600)
        check = self.checks(code=BLOCKED)['runtimes']
        self.assertEqual(check['state'], 'failed')
        self.assertRegex(check['help'], r'^npm install .*pi-coding-agent')
        self.good()
        self.assertEqual(self.checks()['runtimes']['state'], 'ok')

    def test_units(self):
        self.healthy()
        os.unlink(self.bed.home + '/.config/systemd/user/mosaic-fleet-boot.service')
        check = self.checks(code=BLOCKED)['units']
        self.assertEqual(check['help'], 'mosaic update')
        self.mend(check)
        self.assertEqual(self.checks()['units']['state'], 'ok')
        # Garbled, it is no use to 'update'.
        self.bed.write(self.bed.home + '/.local/state/mosaic/default/manifest.json', 'x', 0o600)
        check = self.checks(code=harness.UNKNOWN)['units']
        self.assertIn('manifest.json', check['message'])
        self.mend(check)
        self.assertEqual(self.checks()['units']['state'], 'ok')

    def test_without_tmux(self):
        self.healthy()
        os.makedirs(self.bed.root + '/empty', exist_ok=True)
        check = self.checks(env={'PATH': self.bed.root + '/empty'}, code=BLOCKED)['tmux']
        self.assertEqual((check['state'], check['help']), ('failed', 'sudo apt install tmux'))

    def test_an_old_tmux(self):
        self.healthy()
        for version, state in (('2.9a', 'failed'), ('3.2', 'failed'), ('3.3a', 'ok'), ('next-3.6', 'ok'), ('master', 'ok'),
                               ('4.0', 'ok')):
            self.bed.write('old/tmux', '#!/bin/sh\n[ "$1" = -V ] && { echo tmux %s; exit; }\nexec /usr/bin/tmux "$@"\n'
                           % version, 0o755)
            env = {'PATH': self.bed.home + '/old:' + self.bed.env()['PATH']}
            check = self.checks(env=env, code=BLOCKED if state == 'failed' else 0)['tmux']
            self.assertEqual((check['state'], version in check['message']), (state, True), check)

    def test_without_a_manager(self):
        self.healthy()
        self.bed.stop_manager()
        self.addCleanup(self.bed.start_manager)
        check = self.checks(code=BLOCKED)['user-manager']
        self.assertEqual((check['state'], check['help']), ('failed', 'loginctl enable-linger'))
        self.assertIn('/systemd/private', check['message'])

    def test_status_names_a_failed_check(self):
        """A server that somebody started by hand is not in the holder's cgroup."""
        self.healthy()
        self.assertNotRegex(self.fleet('status', code=0).out, r'(?m)^(ok|failed) ')
        self.fleet('stop', code=0)
        self.bed.run(['tmux', '-L', harness.SOCKET, 'new-session', '-d', '-s', 'mine', 'exec sleep 1000000'], check=True)
        self.assertRegex(self.fleet('status').out, r'(?m)^failed +holder +the tmux server \(pid %d\) is in ' % self.server_pid())
        checks = {c['name']: c for c in self.fleet_json('status')['checks']}
        self.assertEqual({n: c['state'] for n, c in checks.items()}, {'holder': 'failed', 'default-server': 'ok'})
        self.assertEqual(self.checks(code=BLOCKED)['holder']['state'], 'failed')

    def test_a_machine_without_a_roster(self):
        checks = self.checks(env={'MOSAIC_HOME': self.bed.home + '/other'})
        self.assertEqual((checks['runtimes']['state'], checks['units']['state']), ('note', 'note'))
        self.assertEqual(checks['units']['help'], 'mosaic fleet install-systemd')


class NextStep(Fleet):
    profile_first = False

    def proposed(self):
        """The command that `mosaic` alone proposes."""
        r = self.mosaic(code=0)
        self.assertLessEqual(max(len(l) for l in r.out.splitlines() if self.bed.root not in l), 80)
        return re.search(r'^Next:\n  mosaic (.+)$', r.out, flags=re.M)[1]

    def test_from_nothing_to_a_fleet(self):
        """Each proposal is followed, until all is in sync."""
        self.bed.write('bin/pi', '#!/bin/sh\nexec sleep 1000000\n', 0o755)
        wanted = ['fleet init --profile minimal --write', 'fleet install-systemd', 'fleet plan']
        for command in wanted:
            self.assertEqual(self.proposed(), command)
            self.mosaic(*command.split(), code=(0, 2))
        self.apply()
        self.assertEqual(self.proposed(), 'fleet status')
        # Gone, it is not a first one that is missing: that would plan to remove what runs.
        os.unlink(self.bed.path_of(ROSTER))
        self.assertEqual(self.proposed(), 'fleet status')

    def test_an_invalid_roster(self):
        self.fleet('init', '--write', code=0)
        self.bed.write(ROSTER, self.bed.read(ROSTER) + 'nonsense: 1\n', 0o600)
        self.assertEqual(self.proposed(), 'fleet validate')

    def test_it_changes_nothing(self):
        self.init()
        before = self.bed.snapshot()
        self.assertEqual(self.proposed(), 'fleet plan')
        self.assertEqual(before.diff(self.bed.snapshot()), [])


if __name__ == '__main__':
    harness.main()
