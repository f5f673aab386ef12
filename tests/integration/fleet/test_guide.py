#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The guides word by word, the pictures, what `init` may write, and that `uninstall-systemd` takes all away again."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

import harness
from guidebook import Reader, plain
from harness import BLOCKED, Fleet

ROSTER = '.config/mosaic/fleet/roster.yaml'
FAKE_PI = '#!/bin/sh\necho "fake pi: $*"\nwhile read -r line; do echo "pi got $line"; done\nexec sleep 1000000\n'


class Guide(Fleet):
    profile_first = False

    def words_of_the_guide(self, start, verify):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        self.fleet('install-systemd', code=0)
        self.bed.systemctl('daemon-reload', check=True)
        return self.fleet('start', code=start), self.fleet('verify', code=verify)

    def test_with_a_pi_on_the_path(self):
        self.bed.write('bin/pi', FAKE_PI, 0o755)
        self.words_of_the_guide(start=0, verify=0)
        agents = self.wait_agents(['canary-pi'])
        self.assertEqual(agents['canary-pi'].argv[1], self.bed.home + '/bin/pi')
        self.assertEqual(set(self.sessions()), {'_holder', 'canary-pi'})
        self.fleet('start', code=0)
        self.fleet('apply', '--yes', code=0)
        self.assertEqual(self.running()['canary-pi'].key, agents['canary-pi'].key)

    def test_without_pi(self):
        start, verify = self.words_of_the_guide(start=BLOCKED, verify=BLOCKED)
        for r in (start, verify):
            text = r.out + r.err
            self.assertIn('canary-pi', text)
            self.assertRegex(text, r'\bpi\b')
            self.assertRegex(text, r'(?i)install|npm', 'how to get it is not said: %r' % r)
        self.assertEqual(self.running(), {})
        # Once it is there, the same command does it.
        self.bed.write('bin/pi', FAKE_PI, 0o755)
        self.fleet('start', code=0)
        self.wait_agents(['canary-pi'])
        self.fleet('verify', code=0)

    def test_a_missing_program_blocks_only_its_agents(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        self.fleet('install-systemd', code=0)
        self.roster({'canary-pi': self.agent('canary-pi', 'pi'), 'web': self.agent('web')})
        r = self.apply(code=BLOCKED)
        self.assertIn('canary-pi', r.out + r.err)
        self.wait_agents(['web'])
        self.fleet('plan', code=BLOCKED)

    def test_one_that_runs_is_left_alone_when_its_program_vanishes(self):
        self.bed.write('bin/pi', FAKE_PI, 0o755)
        self.words_of_the_guide(start=0, verify=0)
        before = self.wait_agents(['canary-pi'])
        os.unlink(self.bed.home + '/bin/pi')
        self.fleet('apply', '--yes', code=(0, BLOCKED))
        self.assertEqual(self.running()['canary-pi'].key, before['canary-pi'].key)


GUIDES = os.path.join(harness.ROOT, 'docs', 'guides')
# Agents' programs as far as the guides need them: a screen that is ready, and an input box.
STAND_IN = """#!/bin/sh
while :; do
    printf '\\033[H\\033[2J%s\\n\\n────────────────────────\\n' "$0"
    read -r line || exec sleep 1000000
done
"""


class Guides(Fleet):
    """The commands of the guides, by a reader who has the programs and has installed the units."""
    profile_first = False

    def read(self, name):
        for program in ('pi', 'claude', 'codex'):
            self.bed.write('bin/' + program, STAND_IN, 0o755)
        if name != 'local-canary.md':
            self.fleet('init', '--profile', 'minimal', '--write', code=0)
            self.fleet('install-systemd', code=0)
            self.bed.systemctl('daemon-reload', check=True)
        reader = Reader(self, os.path.join(GUIDES, name))
        reader.read()
        self.assertGreater(reader.commands, 3, 'a guide with nothing to type?')

    def test_every_guide_is_read(self):
        tests = {f[len('test_'):].replace('_', '-') + '.md' for f in dir(self) if f.startswith('test_')}
        self.assertEqual(set(os.listdir(GUIDES)), tests - {'every-guide-is-read.md'})

    def test_local_canary(self):
        self.read('local-canary.md')

    def test_writing_a_roster(self):
        self.read('writing-a-roster.md')

    def test_runtimes(self):
        self.read('runtimes.md')

    def test_operating(self):
        self.read('operating.md')

    def test_ci_and_release(self):
        self.read('ci-and-release.md')

    def test_troubleshooting(self):
        self.read('troubleshooting.md')

    def test_moving_from_tmuxp(self):
        self.read('moving-from-tmuxp.md')

    def test_moving_from_supervisor(self):
        self.read('moving-from-supervisor.md')


class Pictures(unittest.TestCase):
    """The pictures of the README show what the program prints today."""
    NAMES = ('apply', 'plan', 'status')
    FOLDER = os.path.join(harness.ROOT, 'docs', 'pictures')

    @staticmethod
    def words(path):
        """The lines of a picture; those of a run in parallel in no order."""
        texts = [''.join(e.itertext()) for e in ElementTree.parse(path).iter('{http://www.w3.org/2000/svg}text')]
        return sorted(plain('\n'.join(texts)))

    def test_they_hold_the_words_of_a_present_run(self):
        with tempfile.TemporaryDirectory() as there:
            r = subprocess.run([sys.executable, self.FOLDER + '/make.py', '--to', there], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, timeout=120)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            self.assertEqual(sorted(os.listdir(there)), [n + '.svg' for n in self.NAMES])
            for name in self.NAMES:
                kept = self.words('%s/%s.svg' % (self.FOLDER, name))
                self.assertEqual(kept, self.words('%s/%s.svg' % (there, name)),
                                 'the output has changed: docs/pictures/make.py')
                self.assertTrue(any(line.startswith('$ mosaic fleet ' + name) for line in kept), kept)

    def test_they_are_what_browsers_take(self):
        for name in self.NAMES:
            top = ElementTree.parse('%s/%s.svg' % (self.FOLDER, name)).getroot()
            kinds = {e.tag.split('}')[1] for e in top.iter()}
            self.assertEqual(kinds, {'svg', 'title', 'rect', 'g', 'text', 'tspan'})
            right = max(float(e.get('x')) for e in top.iter('{http://www.w3.org/2000/svg}tspan'))
            self.assertLess(right, float(top.get('width')))
            self.assertGreater(len({e.get('fill') for e in top.iter('{http://www.w3.org/2000/svg}tspan')}), 1, 'no colour')

    def test_the_readme_shows_them(self):
        with open(os.path.join(harness.ROOT, 'README.md'), encoding='utf-8') as f:
            shown = re.findall(r'!\[[^]]+\]\(docs/pictures/(\w+)\.svg\)', f.read())
        self.assertTrue(shown and set(shown) <= set(self.NAMES), shown)


class Links(unittest.TestCase):
    def test_every_link_leads_somewhere(self):
        pages = [harness.ROOT + '/README.md']
        for d, dirs, files in os.walk(harness.ROOT + '/docs'):
            pages += [os.path.join(d, f) for f in files if f.endswith('.md')]
        seen = 0
        for page in pages:
            with open(page, encoding='utf-8') as f:
                links = re.findall(r'\]\(([^)#\s]+)', f.read())
            for link in links:
                seen += 1
                there = '://' in link or os.path.exists(os.path.join(os.path.dirname(page), link))
                self.assertTrue(there, '%s: %s' % (page, link))
        self.assertGreater(seen, 30)


class Init(Fleet):
    profile_first = False

    def test_without_write_nothing_is_made(self):
        before = self.bed.snapshot()
        for profile in ('minimal', 'local-canary', 'demo'):
            r = self.fleet('init', '--profile', profile, code=0)
            self.assertIn('agents:', r.out)
        self.assertEqual(before.diff(self.bed.snapshot()), [])

    def test_unknown_profile_is_a_usage_error(self):
        before = self.bed.snapshot()
        self.fleet('init', '--profile', 'no-such', '--write', code=harness.USAGE)
        self.assertEqual(before.diff(self.bed.snapshot()), [])

    def test_every_profile_is_valid(self):
        for profile in ('minimal', 'local-canary', 'demo'):
            with self.subTest(profile=profile):
                self.bed.reset()
                self.guard = self.bed.canary()
                self.fleet('init', '--profile', profile, '--write', code=0)
                self.fleet('validate', code=0)
                self.assertIn('yaml-language-server', self.bed.read(ROSTER))

    def test_files_are_private(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        for d, dirs, files in os.walk(self.bed.home + '/.config/mosaic'):
            self.assertEqual(os.stat(d).st_mode & 0o077, 0, d)
        self.assertEqual(os.stat(self.bed.path_of(ROSTER)).st_mode & 0o777, 0o600)

    def test_an_existing_roster_is_kept(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        mine = self.bed.read(ROSTER).replace('version: 1', 'version: 1\nx-mine: kept-by-me')
        self.bed.write(ROSTER, mine, 0o600)
        before = self.bed.snapshot()
        r = self.fleet('init', '--profile', 'demo', '--write')
        self.assertNotEqual(r.code, 0, r)
        self.assertIn('kept-by-me', r.out + r.err, 'no difference is shown: %r' % r)
        self.assertIn('--force', r.out + r.err)
        self.assertEqual(before.diff(self.bed.snapshot(), ignore=[r'/default/lock ']), [])

    def test_force_keeps_numbered_backups(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        texts = []
        for n in range(3):
            mine = 'version: 1\nagents: {}\nx-n: %d\n' % n
            self.bed.write(ROSTER, mine, 0o600)
            texts.append(mine)
            self.fleet('init', '--profile', 'minimal', '--write', '--force', code=0)
        folder = os.path.dirname(self.bed.path_of(ROSTER))
        backups = [f for f in os.listdir(folder) if re.match(r'roster\.yaml\..*\d', f)]
        self.assertEqual(len(backups), 3, sorted(os.listdir(folder)))
        kept = {self.bed.read(folder + '/' + f) for f in backups}
        self.assertEqual(kept, set(texts))

    def test_the_same_again_changes_nothing(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        before = self.bed.snapshot()
        self.fleet('init', '--profile', 'minimal', '--write')
        # The lock names who held it last.
        self.assertEqual(before.diff(self.bed.snapshot(), ignore=[r'/default/lock ']), [])


class Install(Fleet):
    profile_first = False

    def test_twice_is_once(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        first = self.fleet('install-systemd', code=0)
        self.assertRegex(first.out + first.err, r'(?i)\bnew\b')
        self.assertRegex(first.out, 'loginctl enable-linger')
        self.assertRegex(first.out, 'systemctl --user enable .*mosaic-fleet')
        before = self.bed.snapshot()
        times = {f: os.stat(f).st_mtime_ns for f in before.files if os.path.isfile(f) and not f.endswith('/lock')}
        second = self.fleet('install-systemd', code=0)
        self.assertRegex(second.out + second.err, r'(?i)unchanged')
        self.assertEqual(before.diff(self.bed.snapshot(), ignore=[r'/default/lock ']), [])
        self.assertEqual({f: os.stat(f).st_mtime_ns for f in times}, times)

    def test_units_are_those_of_the_contract(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        self.fleet('install-systemd', code=0)
        text = self.bed.systemctl('list-unit-files', '--no-legend', 'mosaic*', check=True).out
        for unit in ('mosaic-tmux-holder.service', 'mosaic-agent@.service'):
            self.assertIn(unit, text)
        # One daemon-reload was the program's own: nothing waits for another.
        self.assertEqual(self.show('mosaic-tmux-holder.service', 'NeedDaemonReload', 'LoadState'),
                         {'NeedDaemonReload': 'no', 'LoadState': 'loaded'})
        r = self.bed.run(['systemd-analyze', '--user', 'verify', 'mosaic-tmux-holder.service',
                          'mosaic-agent@x.service'])
        rest = [l for l in r.err.splitlines() if "'man mosaic(" not in l]  # the page may not be installed
        self.assertNotRegex('\n'.join(rest), r'mosaic', r)

    def test_a_locally_modified_unit_is_reported(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        self.fleet('install-systemd', code=0)
        unit = self.bed.home + '/.config/systemd/user/mosaic-agent@.service'
        self.bed.write(unit, self.bed.read(unit) + '# mine\n')
        r = self.fleet('install-systemd')
        self.assertRegex(r.out + r.err, r'(?i)modified|modified')
        self.assertIn('# mine', self.bed.read(unit), 'the person\'s edit was thrown away without being asked')

    # What tmux, the XDG directories' first user and the bed's own tests leave, or a user may have filled.
    NOT_OURS = [r'/home/(starts|work|dump)', r'new file: \S+/home/\.config(/systemd(/user)?)? \(d',
                r'new file: \S+/home/\.local(/state)? \(d', r'new file: \S+/home/\.config/mosaic(/fleet)? \(d',
                r'new file: \S+/home/\.config/mosaic/fleet/roster\.yaml \(- 600',
                r'new file: \S+/home/mosaic(/canary-pi)? \(d', r'new file: /tmp/tmux-\d+/mosaic-factory \(s',
                r'(new|lost|changed) unit: (dev-|\S+\.(mount|device|swap|scope))']

    def test_uninstall_leaves_only_the_roster(self):
        before = self.bed.snapshot()
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        self.fleet('install-systemd', code=0)
        self.roster(['web', 'db'], home='.config/mosaic')
        self.apply()
        self.wait_agents(['web', 'db'])
        self.fleet('stop', code=0)
        self.assertEqual(self.running(), {})
        self.fleet('uninstall-systemd', '--purge', code=0)
        left = before.diff(self.bed.snapshot(), ignore=self.NOT_OURS)
        self.assertEqual(left, [])

    def test_uninstall_without_its_manifest(self):
        """Who removed the state directory is told what else there is; nothing is left behind in silence."""
        before = self.bed.snapshot()
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        self.fleet('install-systemd', code=0)
        shutil.rmtree(self.bed.home + '/.local/state/mosaic')
        r = self.fleet('uninstall-systemd', code=BLOCKED)
        self.assertRegex(r.err, r'11 files are as mosaic ships them.*install-systemd')
        self.fleet('install-systemd', code=0)
        self.fleet('uninstall-systemd', code=0)
        left = before.diff(self.bed.snapshot(), ignore=self.NOT_OURS)
        self.assertEqual([l for l in left if '.service' in l or '.sh' in l or '.json' in l], [])

    def test_uninstall_with_agents_running_is_safe(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        self.fleet('install-systemd', code=0)
        self.roster(['web'])
        self.apply()
        before = self.wait_agents(['web'])
        r = self.fleet('uninstall-systemd')
        if r.code == 0:
            self.assertEqual(self.running(), {}, 'units are gone, agents run on unsupervised')
        else:
            self.assertEqual(self.running()['web'].key, before['web'].key)
            self.assertIn('stop', r.out + r.err)

    def test_nothing_is_enabled_by_install(self):
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        self.fleet('install-systemd', code=0)
        wants = [f for f in self.bed.snapshot().files if '.wants/' in f and 'mosaic' in f]
        self.assertEqual(wants, [])


class InitDirect(Fleet):
    supervisor = 'direct'
    profile_first = False

    def test_flow_without_a_manager(self):
        self.bed.write('bin/pi', FAKE_PI, 0o755)
        self.fleet('init', '--profile', 'minimal', '--write', code=0)
        self.fleet('start', code=0)
        self.wait_agents(['canary-pi'])
        self.fleet('verify', code=0)
        self.fleet('stop', code=0)
        self.assertEqual(self.running(), {})
        self.assertEqual(self.servers(), [])


if __name__ == '__main__':
    harness.main()
