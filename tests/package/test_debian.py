#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From the release archive to a Debian package on a bare machine, and off it again.

The archive of `meson dist` is what is built, so that it is whole is tested too: the package's build runs the unit
tests. The bare machine is a fresh root with nothing but what Debian calls essential, and apt.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests/integration/fleet'))

import harness  # noqa: E402
from harness import Fleet  # noqa: E402

BUILD = os.path.dirname(harness.PROGRAM)
# A checkout may belong to another user than the one who runs the tests.
GIT = {'GIT_CONFIG_COUNT': '1', 'GIT_CONFIG_KEY_0': 'safe.directory', 'GIT_CONFIG_VALUE_0': '*'}


def run(*argv, cwd=None, timeout=300, env=None):
    r = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=timeout, env={**os.environ, **(env or {})})
    if r.returncode != 0:
        raise AssertionError('%s: %d\n%s' % (' '.join(argv), r.returncode, r.stdout[-6000:]))
    return r.stdout


class Debian(Fleet):
    profile_first = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for tool in ('dpkg-buildpackage', 'dh', 'lintian', 'mmdebstrap'):
            if not shutil.which(tool):
                harness.skip('debian', 'there is no %s' % tool)
        if not os.path.exists(os.path.join(ROOT, '.git')):
            harness.skip('git', 'an archive is made from a checkout, and this is none', permitted=True)
        cls.top = tempfile.mkdtemp(prefix='mosaic-debian-')
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.archive = cls.make_archive()
        with tarfile.open(cls.archive) as archive:
            archive.extractall(cls.top)
        cls.source = os.path.join(cls.top, os.path.basename(cls.archive)[:-len('.tar.xz')])
        cls.log = run('dpkg-buildpackage', '-b', '-us', '-uc', cwd=cls.source,
                      env={'DEB_BUILD_OPTIONS': 'parallel=%d' % (os.cpu_count() or 1)})

    @classmethod
    def make_archive(cls):
        """What is committed. The build directory is set up beside, for meson writes the archive into it."""
        build = cls.top + '/build'
        run('meson', 'setup', build, ROOT, '-Dtests=disabled', '-Dman=disabled')
        run('meson', 'dist', '-C', build, '--no-tests', '--allow-dirty', env=GIT)
        return glob.glob(build + '/meson-dist/mosaic-*.tar.xz')[0]

    def package(self, kind=''):
        found = glob.glob(self.top + '/mosaic%s_*.deb' % kind)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_the_archive_has_what_is_tracked(self):
        tracked = set(run('git', 'ls-tree', '-r', '--name-only', 'HEAD', cwd=ROOT, env=GIT).splitlines())
        with tarfile.open(self.archive) as archive:
            names = {m.name.split('/', 1)[1] for m in archive.getmembers() if m.isfile()}
        self.assertEqual(names, tracked)

    def test_the_build_ran_the_unit_tests(self):
        self.assertRegex(self.log, r'Ok: +[3-9]\d')
        self.assertRegex(self.log, r'Fail: +0')

    def test_one_version(self):
        version = subprocess.run([harness.PROGRAM, '--version'], capture_output=True, text=True, check=True).stdout
        self.assertIn('/mosaic_%s_' % version.split()[1], self.package())

    def test_lintian_is_content(self):
        changes = glob.glob(self.top + '/mosaic_*.changes')
        said = run('lintian', '--allow-root', '--profile', 'debian', '--display-info', '--fail-on', 'error,warning,info',
                   changes[0])
        self.assertEqual([l for l in said.splitlines() if not l.startswith('N:')], [])

    def test_files_are_where_debian_wants_them(self):
        listed = run('dpkg-deb', '--contents', self.package())
        paths = {line.split()[5].lstrip('.') for line in listed.splitlines()}
        for path in ('/usr/bin/mosaic', '/usr/libexec/mosaic/mosaic-keeper', '/usr/libexec/mosaic/mosaic-launcher',
                     '/usr/share/bash-completion/completions/mosaic', '/usr/share/zsh/vendor-completions/_mosaic',
                     '/usr/share/fish/vendor_completions.d/mosaic.fish', '/usr/share/man/man1/mosaic.1.gz',
                     '/usr/share/man/man5/mosaic-fleet-roster.5.gz', '/usr/share/doc/mosaic/copyright',
                     '/usr/share/mosaic/framework/fleet/roster.schema.json', '/usr/share/mosaic/schema/plan.schema.json'):
            self.assertIn(path, paths)
        self.assertEqual([p for p in paths if p.startswith('/etc')], [])
        # Nothing runs when it is installed or removed.
        scripts = set(run('dpkg-deb', '--info', self.package()).split()) & {'postinst', 'prerm', 'preinst', 'postrm'}
        self.assertEqual(scripts, set())

    def test_on_a_bare_machine(self):
        with open('/etc/os-release') as f:
            system = dict(line.rstrip().split('=', 1) for line in f if '=' in line)
        said = self.bare(system['VERSION_CODENAME'], *self.sources(system['ID']))
        self.assertIn('a fleet came up, was looked at, and went again', said)
        self.assertIn('purged: nothing is left', said)

    def test_with_a_user_manager(self):
        """What the package holds, unpacked where the test user can read it."""
        run('dpkg-deb', '--extract', self.package(), self.opt + '/package')
        self.program = self.opt + '/package/usr/bin/mosaic'
        self.fleet('init', '--profile', 'local-canary', '--write', code=0)
        self.fleet('install-systemd', code=0)
        self.bed.systemctl('daemon-reload', check=True)
        self.fleet('start', code=0)
        self.fleet('verify', code=0)
        server = self.servers()[0]
        self.assertTrue(server.cgroup.endswith('/' + harness.HOLDER_UNIT), server)
        self.assertIn('/opt/package/usr/libexec/mosaic/', self.show(harness.HOLDER_UNIT, 'ExecStart')['ExecStart'])
        self.fleet('preflight', code=0)
        self.fleet('stop', code=0)
        self.assertEqual(self.servers(), [])

    def sources(self, system):
        """Where packages come from: mmdebstrap knows that of Debian by itself."""
        for path in ('/etc/apt/sources.list.d/%s.sources' % system, '/etc/apt/sources.list'):
            if system != 'debian' and os.path.exists(path):
                with open(path) as f:
                    if re.search(r'(?m)^(deb |URIs:)', f.read()):
                        return [path]
        return []

    def bare(self, suite, *sources):
        package = self.package()
        return run('mmdebstrap', '--quiet', '--variant=minbase', '--include=apt', '--format=null',
                   '--customize-hook=copy-in %s %s %s /tmp' % (
                       package, os.path.join(HERE, 'bare-machine.sh'), os.path.join(ROOT, 'debian/tests/fleet-up')),
                   '--customize-hook=chroot "$1" /tmp/bare-machine.sh /tmp/%s /tmp/fleet-up' % os.path.basename(package),
                   suite, '/dev/null', *sources)


if __name__ == '__main__':
    harness.main()
