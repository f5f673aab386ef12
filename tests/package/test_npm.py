#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The npm package: its list of files, its messages, and a fleet that is upgraded to the packed program and back."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests/integration/fleet'))

import harness  # noqa: E402
from harness import Fleet  # noqa: E402

PACKAGE = os.path.join(ROOT, 'packages/mosaic')
BUILD = os.path.dirname(harness.PROGRAM)
PLATFORM = 'Linux-' + platform.machine()


def npm(*args, cwd=PACKAGE, check=True, env=None):
    if not shutil.which('npm'):
        harness.skip('npm', 'is not installed')
    with tempfile.TemporaryDirectory(prefix='mosaic-npm-') as home:
        r = subprocess.run(['npm', *args], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                           env={'PATH': os.environ['PATH'], 'HOME': home, 'MOSAIC_BUILD': BUILD,
                                'npm_config_cache': home + '/cache', 'npm_config_update_notifier': 'false',
                                'npm_config_offline': 'true', **(env or {})})
    if check and r.returncode != 0:
        raise AssertionError('npm %s: %s\n%s' % (' '.join(args), r.stdout, r.stderr))
    return r


def assets():
    """Every file of the product below framework/, as the package must have it."""
    found = {'framework/fleet/roster.schema.json': 0o644}
    for folder in ('fleet', 'systemd', 'tools'):
        for d, _, names in os.walk(os.path.join(ROOT, 'framework', folder)):
            for name in names:
                path = os.path.join(d, name)
                found[os.path.relpath(path, ROOT)] = 0o755 if os.access(path, os.X_OK) else 0o644
    return found


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.listed = {f['path']: f['mode'] for f in
                      json.loads(npm('pack', '--dry-run', '--json').stdout)[0]['files']}

    def test_every_asset_is_listed(self):
        ours = {path: mode for path, mode in self.listed.items() if path.startswith('framework/')}
        self.assertEqual(ours, assets())
        for folder in ('fleet', 'systemd/user', 'tools/fleet', 'tools/tmux'):
            self.assertTrue(any(p.startswith('framework/%s/' % folder) for p in ours), folder)

    def test_the_program_and_its_parts_are_listed(self):
        for path in ('bin/mosaic', 'libexec/mosaic/mosaic-keeper', 'libexec/mosaic/mosaic-launcher'):
            self.assertEqual(self.listed.get('dist/%s/%s' % (PLATFORM, path)), 0o755, path)
        pages = [p for p in self.listed if '/share/man/man1/' in p]
        self.assertEqual(len(pages), len([p for p in os.listdir(ROOT + '/docs/man') if p.endswith('.1.scd')]))

    def test_nothing_else_is_listed(self):
        other = {p for p in self.listed if not p.startswith(('framework/', 'dist/%s/' % PLATFORM))}
        self.assertEqual(other, {'LICENSE', 'README.md', 'bin/mosaic', 'package.json'})

    def test_nothing_is_left_behind(self):
        self.assertFalse({'dist', 'framework'} & set(os.listdir(PACKAGE)))

    def test_what_it_says_of_itself(self):
        with open(PACKAGE + '/package.json') as f:
            package = json.load(f)
        version = json.loads(subprocess.run([harness.PROGRAM, 'version', '--json'], capture_output=True, text=True,
                                            check=True).stdout)['mosaic']
        self.assertEqual(package['version'], version)
        self.assertTrue({'dist', 'framework'} <= set(package['files']))
        # Whoever installs it runs nothing but the program, and fetches nothing but the package.
        self.assertEqual(set(package['scripts']), {'prepack', 'postpack'})
        self.assertFalse(any('ependencies' in key for key in package))

    def test_without_a_build(self):
        # What the script says is shown by npm 10 in any case, by older ones only when asked for.
        env = {'MOSAIC_BUILD': '/nonexistent', 'npm_config_foreground_scripts': 'true'}
        self.assertIn('/nonexistent/mosaic', npm('pack', '--dry-run', env=env).stderr)
        r = npm('pack', '--dry-run', '--json', env={'MOSAIC_BUILD': '/nonexistent'})
        listed = {f['path'] for f in json.loads(r.stdout)[0]['files']}
        self.assertLessEqual(set(assets()), listed)
        with tempfile.TemporaryDirectory(prefix='mosaic-npm-') as there:
            r = npm('pack', '--pack-destination', there, check=False, env=env)
            self.assertNotEqual(r.returncode, 0)
            self.assertIn('bootstrap build', r.stderr)
            self.assertEqual(os.listdir(there), [])


class Installed(unittest.TestCase):
    def test_from_the_archive(self):
        """Unpacked, linked as npm links it, on this platform and on another."""
        with tempfile.TemporaryDirectory(prefix='mosaic-npm-') as there:
            package = unpack(there)
            os.makedirs(there + '/link')
            os.symlink(package + '/bin/mosaic', there + '/link/mosaic')
            env = {'PATH': '/usr/bin:/bin', 'HOME': there}
            r = subprocess.run([there + '/link/mosaic', 'doctor', '--json'], env=env, capture_output=True, text=True)
            checks = {c['name']: c for c in json.loads(r.stdout)['checks']}
            self.assertEqual(checks['parts']['state'], 'ok', checks['parts'])
            self.assertIn('%s/dist/%s/' % (package, PLATFORM), checks['parts']['message'])
            os.makedirs(there + '/other')
            with open(there + '/other/uname', 'w') as f:
                f.write('#!/bin/sh\n[ "$1" = -s ] && echo Plan9 || echo mips\n')
            os.chmod(there + '/other/uname', 0o755)
            r = subprocess.run([there + '/link/mosaic', 'version'], capture_output=True, text=True,
                               env={**env, 'PATH': there + '/other:/usr/bin:/bin'})
            self.assertEqual(r.returncode, 1)
            self.assertRegex(r.stderr, 'no program for Plan9-mips; it has one for: ' + PLATFORM)


def unpack(there):
    name = npm('pack', '--silent', '--pack-destination', there).stdout.split()[-1]
    with tarfile.open(os.path.join(there, name)) as archive:
        archive.extractall(there)
    os.chmod(there, 0o755)
    return there + '/package'


class Upgrade(Fleet):
    """From what is installed to the packed program in another place, and back."""

    def digest(self, *paths):
        out = {}
        for path in paths:
            with open(path, 'rb') as f:
                out[path] = hashlib.sha256(f.read()).hexdigest()
        return out

    def site(self):
        """What is the site's: roster, its own drop-in, accepted specs, secrets."""
        home, config = self.bed.home + '/.config/mosaic', self.bed.home + '/.config/systemd/user'
        paths = [home + '/fleet/roster.yaml', home + '/fleet/secret.env',
                 config + '/mosaic-agent@web.service.d/90-mine.conf']
        for d, _, names in os.walk(self.bed.home + '/.local/state/mosaic/default'):
            paths += [os.path.join(d, n) for n in names if n not in ('lock', 'manifest.json', 'history.jsonl')]
        return self.digest(*paths)

    def move_to(self, program):
        self.program = program
        before, site = self.pids(), self.site()
        plan = self.mosaic('update', '--dry-run', '--json', code=0)
        self.assertEqual((self.pids(), self.site()), (before, site))
        dry = json.loads(plan.out)
        self.assertGreater(dry['summary']['updated'], 0, 'nothing differs, so nothing is shown')
        done = json.loads(self.mosaic('update', '--json', code=0).out)
        self.assertEqual([(f['path'], f['status']) for f in done['files']],
                         [(f['path'], f['status']) for f in dry['files']])
        self.assertTrue(done['reloaded'])
        self.assertEqual(self.site(), site, 'a file of the site was changed')
        self.assertEqual(self.pids(), before, 'an agent has another process')
        # In sync, and nothing that disrupts anybody is planned.
        plan = self.fleet_json('plan', code=0)
        self.assertEqual([a for a in plan['actions'] if a['disruption'] != 'none'], [])
        self.fleet('verify', code=0)
        again = json.loads(self.mosaic('update', '--json', code=0).out)
        self.assertEqual(set(f['status'] for f in again['files']) - {'modified'}, {'unchanged'})
        self.assertFalse(again['reloaded'])
        return done

    def test_there_and_back(self):
        with tempfile.TemporaryDirectory(prefix='mosaic-npm-') as there:
            package = unpack(there)
            target = shutil.copytree(package, self.opt + '/npm')
        self.bed.write('.config/mosaic/fleet/secret.env', 'TOKEN=x\n', 0o600)
        self.bed.write('.config/systemd/user/mosaic-agent@web.service.d/90-mine.conf', '[Service]\nNice=1\n')
        self.bed.systemctl('daemon-reload', check=True)
        before = self.bring_up(['web', 'db'])
        script = self.bed.home + '/.config/mosaic/tools/fleet/start-agent-session.sh'
        unit = self.bed.home + '/.config/systemd/user/mosaic-agent@.service'
        original = self.bed.read(unit)

        old = self.program
        self.move_to(target + '/bin/mosaic')
        self.assertIn(target, self.bed.read(unit))
        self.move_to(old)
        self.assertEqual(self.bed.read(unit), original)

        # What a person changed is kept, the new one is beside it, and the run says so.
        self.bed.write(unit, original + '# mine\n')
        done = self.move_to(target + '/bin/mosaic')
        kept = [f for f in done['files'] if f['status'] == 'modified']
        self.assertEqual([f['path'] for f in kept], [unit])
        self.assertIn(unit + '.new', kept[0]['note'])
        self.assertIn('# mine', self.bed.read(unit))
        self.assertIn(target, self.bed.read(unit + '.new'))
        text = self.mosaic('update', code=0).out
        self.assertIn(unit + '.new', text)

        # Who is started next has the new program's parts, and a restart works.
        self.bed.write(unit, self.bed.read(unit + '.new'))
        self.mosaic('update', code=0)
        self.assertFalse(os.path.exists(unit + '.new'))
        self.bed.systemctl('daemon-reload', check=True)
        self.fleet('restart', 'web', code=0)
        after = self.wait_agents(['web', 'db'])
        self.assertNotEqual(after['web'].key, before['web'].key)
        self.assertEqual(after['db'].key, before['db'].key)
        self.assertTrue(os.access(script, os.X_OK))

    def test_sync_is_what_was_there_before(self):
        """A dry run in a home that is current says so and changes not even a time stamp."""
        before = self.bed.snapshot()
        r = json.loads(self.mosaic('update', '--dry-run', '--json', code=0).out)
        self.assertEqual({f['status'] for f in r['files']}, {'unchanged'})
        self.assertEqual(before.diff(self.bed.snapshot()), [])

    def test_refused_where_nothing_is_installed(self):
        r = self.mosaic('update', env={'MOSAIC_HOME': self.bed.home + '/elsewhere'}, code=harness.BLOCKED)
        self.assertIn('install-systemd', r.err)
        self.assertFalse(os.path.exists(self.bed.home + '/elsewhere'))


class UpgradeDirect(Fleet):
    """Where systemd does not run the fleet there are tools and schema to update, and no units."""
    supervisor = 'direct'

    def test_no_units(self):
        before = self.bring_up(['web'])
        self.mosaic('update', code=0)
        self.assertTrue(os.access(self.bed.home + '/.config/mosaic/tools/fleet/start-agent-session.sh', os.X_OK))
        self.assertFalse(os.path.exists(self.bed.home + '/.config/systemd'))
        self.assertEqual(self.running()['web'].key, before['web'].key)
        self.in_sync()
        r = json.loads(self.mosaic('update', '--json', code=0).out)
        self.assertEqual({f['status'] for f in r['files']}, {'unchanged'})


if __name__ == '__main__':
    harness.main()
