#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`meson install` puts everything where people and their tools look for it, and what is installed can be moved."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests/integration/fleet'))

import harness  # noqa: E402

BUILD = os.path.dirname(harness.PROGRAM)


def below(top):
    return {os.path.relpath(os.path.join(d, n), top) for d, _, names in os.walk(top) for n in names}


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix='mosaic-install-')
        cls.addClassCleanup(shutil.rmtree, cls.top)
        options = json.loads(subprocess.run(['meson', 'introspect', '--buildoptions', BUILD], check=True,
                                            capture_output=True, text=True).stdout)
        prefix = {o['name']: o['value'] for o in options}['prefix']
        subprocess.run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--quiet', '--destdir', cls.top + '/staged'],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        cls.everything = below(cls.top + '/staged')
        cls.prefix = prefix.strip('/')
        cls.tree = shutil.copytree(os.path.join(cls.top, 'staged', cls.prefix), cls.top + '/moved')
        cls.files = below(cls.tree)
        cls.env = {'PATH': '/usr/bin:/bin', 'HOME': cls.top}

    def mosaic(self, *args):
        return subprocess.run([self.tree + '/bin/mosaic', *args], env=self.env, capture_output=True, text=True, timeout=60)

    def test_nothing_outside_the_prefix(self):
        self.assertEqual({p for p in self.everything if not p.startswith(self.prefix + '/')}, set())

    def test_places(self):
        for path in ('bin/mosaic', 'libexec/mosaic/mosaic-keeper', 'libexec/mosaic/mosaic-launcher',
                     'share/bash-completion/completions/mosaic', 'share/zsh/site-functions/_mosaic',
                     'share/fish/vendor_completions.d/mosaic.fish', 'share/doc/mosaic/README.md',
                     'share/doc/mosaic/docs/guides/local-canary.md', 'share/doc/mosaic/docs/guides/operating.md',
                     'share/doc/mosaic/docs/pictures/plan.svg', 'share/doc/mosaic/docs/runtimes.md', 'share/licenses/mosaic/LICENSE'):
            self.assertIn(path, self.files)

    def test_every_asset(self):
        for folder in ('fleet', 'systemd', 'tools'):
            for path in below(os.path.join(ROOT, 'framework', folder)):
                installed = 'share/mosaic/framework/%s/%s' % (folder, path)
                self.assertIn(installed, self.files)
                self.assertEqual(os.stat(os.path.join(ROOT, 'framework', folder, path)).st_mode & 0o111 != 0,
                                 os.stat(os.path.join(self.tree, installed)).st_mode & 0o111 != 0, path)
        self.assertIn('share/mosaic/framework/fleet/roster.schema.json', self.files)

    def test_every_schema(self):
        for name in os.listdir(ROOT + '/schema'):
            if name.endswith('.schema.json'):
                self.assertIn('share/mosaic/schema/' + name, self.files)

    def test_every_page(self):
        for name in os.listdir(ROOT + '/docs/man'):
            page = re.fullmatch(r'(.+\.(\d))\.scd(\.in)?', name)
            if page:
                self.assertIn('share/man/man%s/%s' % (page[2], page[1]), self.files)

    def test_completions_are_what_the_program_says(self):
        for shell, path in (('bash', 'share/bash-completion/completions/mosaic'),
                            ('zsh', 'share/zsh/site-functions/_mosaic'),
                            ('fish', 'share/fish/vendor_completions.d/mosaic.fish')):
            with open(os.path.join(self.tree, path)) as f:
                self.assertEqual(f.read(), self.mosaic('completion', shell).stdout)

    def test_it_works_where_it_was_moved_to(self):
        r = self.mosaic('doctor', '--json')
        checks = {c['name']: c for c in json.loads(r.stdout)['checks']}
        self.assertEqual(checks['parts']['state'], 'ok')
        self.assertIn(self.tree + '/libexec/mosaic', checks['parts']['message'])

    def test_documents_are_as_their_schemas_say(self):
        for verb in ('doctor', 'version'):
            r = self.mosaic(verb, '--json')
            schema = os.path.join(self.tree, 'share/mosaic/schema', verb + '.schema.json')
            c = subprocess.run([os.environ.get('MOSAIC_CHECK_JSON') or BUILD + '/tests/integration/check-json', schema],
                               input=r.stdout, capture_output=True, text=True)
            self.assertEqual(c.returncode, 0, c.stdout + c.stderr)

    def test_no_part_is_named_by_its_build(self):
        """Texts that are installed say nothing of the machine they were built on."""
        for path in self.files:
            with open(os.path.join(self.tree, path), 'rb') as f:
                text = f.read()
            if b'\0' not in text[:4096]:
                self.assertNotIn(BUILD.encode(), text, path)
                self.assertNotIn(ROOT.encode() + b'/', text, path)


if __name__ == '__main__':
    harness.main()
