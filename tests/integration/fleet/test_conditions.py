#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hard conditions: a full disk, a read-only home, no file descriptors, no processes, no /proc, no tmux, a poisoned
or incomplete environment, an output that nobody takes, interruptions, two homes. In each: a clear sentence and
the right exit code, nothing that runs is changed, and afterwards the same command succeeds."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time

import harness
from harness import (BLOCKED, IN_SYNC, INVALID, NOT_CONVERGED, PENDING, UNKNOWN, Failed, Fleet, skip)

ERROR = 1
WRITERS = (('apply', '--yes'), ('start',), ('restart', 'a'), ('stop', 'a'))


class Conditions:
    def setUp(self):
        super().setUp()
        self.before = None

    def up(self, names=('a', 'b'), **more):
        """A fleet that runs; remembers its processes."""
        agents = self.bring_up(self.agents_of(names, **more))
        self.before = self.pids()
        return agents

    def unchanged(self, why=''):
        self.assertEqual(self.pids(), self.before, why)
        self.assertEqual(len(self.servers()), 1, self.servers())

    def sentence(self, r, *patterns, code=None):
        """It said what is wrong, in words of ours, and gave the code."""
        if code is not None:
            self.assertIn(r.code, (code,) if isinstance(code, int) else code, r)
        text = r.out + r.err
        self.assertTrue([l for l in text.splitlines() if l.strip()], 'not a word: %r' % r)
        for p in patterns:
            self.assertRegex(text, p, r)
        if re.search(r'(?im)^mosaic: fleet [a-z]+: (no space|read-only|permission denied)', r.err):
            self.assertRegex(r.err, r'(?m)^help: mosaic keeps what it knows in /', r)

    def shell(self, script, *args, **more):
        """sh -c SCRIPT with "$@" = the program and @args."""
        return self.bed.run(['sh', '-c', script, 'sh', self.program, 'fleet'] + list(args), **more)

    def privately(self, prepare, *args, timeout=60, env=None):
        """The program as the user in a mount namespace of its own, after @prepare ran there as root."""
        for tool in ('unshare', 'setpriv'):
            if not shutil.which(tool):
                skip(tool, '%s is not installed' % tool)
        probe = subprocess.run(['unshare', '-m', '--propagation', 'private', 'mount', '-t', 'tmpfs', 'none', '/mnt'],
                               capture_output=True, text=True)
        if probe.returncode:
            skip('mount-namespace', 'no private mounts here: %s' % probe.stderr.strip(), permitted=True)
        inner = 'set -e\n%s\nexec setpriv --reuid %d --regid %d --clear-groups "$@"' % (
            prepare, self.bed.uid, self.bed.gid)
        # The supervisor's own files are written by the user, so root's umask does not matter.
        return self.bed_result(['unshare', '-m', '--propagation', 'private', 'sh', '-c', inner, 'sh', self.program,
                                'fleet'] + list(args), timeout, env)

    def bed_result(self, argv, timeout, env):
        begin = time.monotonic()
        try:
            r = subprocess.run(argv, env=self.bed.env(env), cwd='/', stdin=subprocess.DEVNULL, capture_output=True,
                               timeout=timeout, start_new_session=True)
        except subprocess.TimeoutExpired:
            raise Failed('no end of %s' % argv)
        result = harness.bedlib.Result(argv[-4:], r.returncode, r.stdout.decode('utf-8', 'replace'),
                                       r.stderr.decode('utf-8', 'replace'), time.monotonic() - begin)
        self.results.append(result)
        return result

    def actions(self, r):
        """(agent, verb) of a document, [] where there is none."""
        try:
            return [(a['agent'], a['verb']) for a in json.loads(r.out)['actions']]
        except (ValueError, KeyError):
            return []

    # --- storage ---

    @property
    def state(self):
        return self.bed.home + '/.local/state/mosaic/default'

    def test_disk_full(self):
        self.up()
        self.roster(self.agents_of(('a', 'c'), env={'NEW': '1'}))
        full = ('cp -a {0} {1}/copy\nmount -t tmpfs -o size=300k,mode=700,uid={2},gid={3} none {0}\n'
                'cp -a {1}/copy/. {0}/\ndd if=/dev/zero of={0}/filler bs=4k 2>/dev/null || :\n'
                'dd if=/dev/zero of={0}/filler2 bs=1 count=4096 2>/dev/null || :').format(
            shlex.quote(self.state), self.bed.root, self.bed.uid, self.bed.gid)
        for args in (('apply', '--yes'), ('start',), ('restart', 'a')):
            shutil.rmtree(self.bed.root + '/copy', ignore_errors=True)
            r = self.privately(full, *args)
            self.sentence(r, r'(?i)no space left', code=(ERROR, NOT_CONVERGED))
            self.unchanged(args)
        # A hold that cannot be written down must not become a stop that is forgotten.
        shutil.rmtree(self.bed.root + '/copy', ignore_errors=True)
        r = self.privately(full, 'stop', 'a')
        self.sentence(r, r'(?i)no space left', code=(ERROR, NOT_CONVERGED))
        self.unchanged('stop')
        # No controller runs: it is not what does not end.
        shutil.rmtree(self.bed.root + '/copy', ignore_errors=True)
        r = self.privately(full, 'stop')
        self.sentence(r, r'(?i)no space left', code=ERROR)
        self.assertNotIn('controller', r.out + r.err)
        self.unchanged('stop')
        # Who only looks needs no space.
        shutil.rmtree(self.bed.root + '/copy', ignore_errors=True)
        for args in (('plan',), ('status',), ('explain', 'a')):
            shutil.rmtree(self.bed.root + '/copy', ignore_errors=True)
            self.assertEqual(self.privately(full, *args).code, PENDING)
        self.apply()
        self.wait_agents(['a', 'c'])

    def test_read_only_home(self):
        self.up()
        read_only = 'mount --bind {0} {0}\nmount -o remount,bind,ro {0}'.format(shlex.quote(self.bed.home))
        for args in (('plan',), ('status',), ('explain', 'a'), ('verify',), ('validate',)):
            self.assertEqual(self.privately(read_only, *args).code, IN_SYNC, args)
        self.roster(self.agents_of(('a', 'b', 'c'), env={'NEW': '1'}))
        for args in WRITERS:
            r = self.privately(read_only, *args)
            self.sentence(r, r'(?i)read-only', code=(ERROR, NOT_CONVERGED))
            self.unchanged(args)
        r = self.privately(read_only, 'init', '--write', '--force')
        self.sentence(r, r'(?i)read-only', code=ERROR)
        self.apply()
        self.wait_agents(['a', 'b', 'c'])

    def test_state_of_somebody_else(self):
        """EACCES: a state directory that root once made."""
        self.up()
        self.roster(self.agents_of(('a', 'b', 'c')))
        os.chmod(self.state, 0o700)
        for d, dirs, files in os.walk(self.state):
            os.chown(d, 0, 0)
        for args in (('plan', '--json'), ('apply', '--yes'), ('stop', 'a')):
            r = self.fleet(*args)
            self.sentence(r, r'(?i)permission denied|not yours|belongs', code=(ERROR, UNKNOWN))
            self.assertEqual(self.actions(r), [], args)
            self.unchanged(args)
        for d, dirs, files in os.walk(self.state):
            os.chown(d, self.bed.uid, self.bed.gid)
        self.apply()
        self.wait_agents(['a', 'b', 'c'])

    # --- resources ---

    def test_few_file_descriptors(self):
        """EMFILE at every possible place: a wrong answer is worse than none."""
        self.up()
        good = 0
        for n in list(range(3, 25)) + [32, 64]:
            r = self.shell('ulimit -n %d; exec "$@"' % n, 'plan', '--json')
            # Below what the dynamic linker needs there is no program to blame.
            if r.code == 127 and 'shared libraries' in r.err:
                continue
            self.assertIn(r.code, (IN_SYNC, ERROR, UNKNOWN), r)
            self.assertEqual(self.actions(r), [], r)
            if r.code != IN_SYNC:
                self.sentence(r)
            good += r.code == IN_SYNC
        self.assertGreater(good, 1)
        for n in range(4, 25, 2):
            r = self.shell('ulimit -n %d; exec "$@"' % n, 'apply', '--yes')
            if r.code == 127 and 'shared libraries' in r.err:
                continue
            self.assertIn(r.code, (IN_SYNC, ERROR, UNKNOWN), r)
            self.unchanged('apply with %d file descriptors' % n)
        r = self.shell('ulimit -n 24; exec "$@"', 'restart', 'a')
        self.assertIn(r.code, (IN_SYNC, ERROR, NOT_CONVERGED, UNKNOWN), r)
        self.apply()
        self.wait_agents(['a', 'b'])
        self.in_sync()

    def test_no_more_processes(self):
        """fork fails: nothing could be asked, so nothing is known."""
        self.up()
        for args in (('plan', '--json'), ('apply', '--yes', '--json')):
            r = self.bed.run(['prlimit', '--nproc=1', self.program, 'fleet'] + list(args))
            self.sentence(r, code=(ERROR, UNKNOWN))
            self.assertEqual(self.actions(r), [], r)
            self.unchanged(args)
        self.apply()
        self.unchanged()

    def test_little_memory(self):
        """An address space that is too small ends in a sentence or in the right answer."""
        self.up()
        for mib in (2, 8, 16, 24, 32, 48):
            r = self.shell('ulimit -v %d; exec "$@"' % (mib * 1024), 'plan', '--json')
            if r.code in (127, 126) or 'shared libraries' in r.err or 'Sanitizer' in r.err or r.code < 0 and not r.err:
                continue  # the linker, execve itself, or a sanitizer that wants terabytes
            self.assertIn(r.code, (IN_SYNC, ERROR, UNKNOWN), r)
            self.assertEqual(self.actions(r), [], r)
        self.unchanged()

    def test_no_proc(self):
        self.up()
        for args in (('plan', '--json'), ('apply', '--yes'), ('restart', 'a'), ('stop', 'a')):
            r = self.privately('mount -t tmpfs none /proc', *args)
            self.sentence(r, r'/proc|proc', code=(ERROR, UNKNOWN))
            self.assertEqual(self.actions(r), [], r)
            self.unchanged(args)
        self.apply()
        self.unchanged()

    # --- the environment ---

    def test_no_tmux_on_the_path(self):
        empty = self.bed.mkdir('empty')
        self.roster(['a'])
        r = self.fleet('apply', '--yes', env={'PATH': empty})
        self.sentence(r, r'(no|run) tmux', code=(ERROR, BLOCKED, NOT_CONVERGED, UNKNOWN))
        self.assertEqual(self.running(), {})
        self.up()
        for args in (('plan', '--json'), ('apply', '--yes'), ('restart', 'a')):
            r = self.fleet(*args, env={'PATH': empty})
            self.sentence(r, r'there is no tmux in PATH', code=(ERROR, BLOCKED, UNKNOWN))
            self.assertEqual(self.actions(r), [], r)
            self.unchanged(args)
        self.apply()
        self.unchanged()

    def test_poisoned_tmux_variables(self):
        """The caller sits in a tmux of its own, or in what was one."""
        poison = self.bed.mkdir('poison', 0o700)
        env = {'TMUX': poison + '/default,1,0', 'TMUX_PANE': '%99', 'TMUX_TMPDIR': poison}
        self.roster(['a'])
        self.apply(env=env)
        agent = self.wait_agents(['a'])['a']
        self.before = self.pids()
        for args in (('plan',), ('verify',), ('status',), ('apply', '--yes')):
            self.fleet(*args, code=IN_SYNC, env=env)
        self.fleet('plan', code=IN_SYNC)
        self.fleet('plan', code=IN_SYNC, env={'TMUX_TMPDIR': '/no/such'})
        self.unchanged()
        self.assertEqual(os.listdir(poison), [])
        with open('/proc/%d/environ' % agent.pid, 'rb') as f:
            its = dict(e.split('=', 1) for e in f.read().decode().split('\0') if e)
        self.assertTrue(its['TMUX'].startswith('/tmp/tmux-%d/%s,' % (self.bed.uid, harness.SOCKET)), its['TMUX'])
        self.assertNotEqual(its['TMUX_PANE'], '%99')
        self.fleet('stop', code=IN_SYNC, env=env)
        self.assertEqual(self.servers(), [])

    def test_any_locale(self):
        """cron, ssh without a terminal and units have none; tmux prints otherwise then."""
        self.up(['a', 'b'], description='Übung')
        for env in ({'LANG': None}, {'LANG': 'C'}, {'LC_ALL': 'POSIX'}, {'LC_CTYPE': 'C'}, {'LANG': 'de_DE.ISO-8859-1'},
                    {'LC_ALL': 'no_SUCH.UTF-8'}, {'LANG': None, 'TERM': None}, {'TERM': 'no-such'},
                    {'LANG': None, 'TERM': None, 'PATH': '/usr/bin:/bin', 'USER': None, 'LOGNAME': None, 'SHELL': None}):
            for args in (('plan', '--json'), ('status',), ('apply', '--yes')):
                r = self.fleet(*args, env=env)
                self.assertEqual(r.code, IN_SYNC, (env, r))
                self.assertEqual(self.actions(r), [], env)
            self.unchanged(env)
        self.fleet('restart', 'a', code=IN_SYNC, env={'LANG': None})
        self.in_sync()

    def test_home_variable(self):
        """Unset, it is taken from the user database; a wrong one is another place, never these agents' end."""
        self.up()
        self.fleet('plan', code=IN_SYNC, env={'HOME': None})
        self.fleet('plan', code=IN_SYNC, env={'HOME': None, 'USER': None, 'LOGNAME': None, 'SHELL': None})
        self.apply(env={'HOME': None})
        for wrong in ('', 'relative', '/no/such', '/dev/null', '/' + 'x' * 5000):
            for args in (('plan',), ('apply', '--yes'), ('stop',)):
                r = self.fleet(*args, env={'HOME': wrong})
                if r.code == IN_SYNC and args == ('plan',):
                    break  # not absolute: as if it were unset
                self.sentence(r, code=(ERROR, BLOCKED, UNKNOWN, INVALID))
                self.unchanged((wrong, args))
        self.unchanged()

    def test_runtime_directory(self):
        """Missing, somebody else's, open to all: not one agent is started twice, none is stopped."""
        self.up()
        foreign = self.bed.root + '/foreign'
        os.mkdir(foreign, 0o755)
        open_to_all = self.bed.mkdir('open', 0o755)
        os.chmod(open_to_all, 0o777)
        for value in (None, '', '/no/such', 'relative', foreign, open_to_all, '/dev/null'):
            for args in (('plan', '--json'), ('apply', '--yes'), ('start',)):
                r = self.fleet(*args, env={'XDG_RUNTIME_DIR': value})
                self.assertIn(r.code, (IN_SYNC, ERROR, BLOCKED, UNKNOWN), r)
                if r.code != IN_SYNC:
                    self.sentence(r)
                self.assertEqual([a for a in self.actions(r) if a[0]], [], (value, r))
                self.unchanged((value, args))
        self.apply()
        self.unchanged()

    def test_runtime_directory_is_too_long(self):
        """A socket's path has 107 bytes."""
        long = self.bed.mkdir('r' * 100, 0o700)
        self.roster(['a'])
        env = {'XDG_RUNTIME_DIR': long}
        r = self.fleet('apply', '--yes', env=env, timeout=30)
        if r.code == IN_SYNC:
            self.wait_agents(['a'])
            self.fleet('plan', code=IN_SYNC, env=env)
            self.fleet('restart', 'a', code=IN_SYNC, env=env)
            self.fleet('stop', code=IN_SYNC, env=env)
            self.fleet('start', code=IN_SYNC, env=env)
            self.wait_agents(['a'])
            self.fleet('stop', code=IN_SYNC, env=env)
        else:
            self.sentence(r, r'(?i)too long|107|108', code=(ERROR, BLOCKED, NOT_CONVERGED, UNKNOWN))
        self.assertEqual(self.running(), {})
        self.fleet('start', code=IN_SYNC)
        self.wait_agents(['a'])

    # --- input and output ---

    def test_output_that_cannot_be_written(self):
        self.up()
        for redirect in ('>/dev/full', '>&-'):
            for args in (('plan',), ('plan', '--json'), ('status',), ('verify',), ('explain', 'a'), ('validate',)):
                r = self.shell('exec "$@" ' + redirect, *args)
                self.assertEqual(r.code, ERROR, (redirect, r))
                self.assertRegex(r.err, r'mosaic: .*(write|output)', (redirect, r))
        self.roster(['a', 'b', 'c', 'd'])
        # The work does not depend on who reads about it.
        r = self.shell('exec "$@" >/dev/full', 'apply', '--yes')
        self.assertEqual(r.code, ERROR, r)
        self.wait_agents(['a', 'b', 'c', 'd'])
        self.roster(['a', 'b', 'c', 'd', 'e'])
        r = self.shell('exec "$@" >&-', 'apply', '--yes')
        self.assertEqual(r.code, ERROR, r)
        self.wait_agents(['a', 'b', 'c', 'd', 'e'])
        self.in_sync()

    def test_no_standard_files_at_all(self):
        """0, 1 and 2 closed: what is opened next must not be taken for standard output."""
        roster = self.roster(['a', 'b'])
        for args in (('plan',), ('apply', '--yes'), ('status',), ('restart', 'a'), ('explain', 'a'), ('stop', 'a'), ('start',)):
            r = self.shell('exec "$@" <&- >&- 2>&-', *args)
            self.assertIn(r.code, (ERROR, IN_SYNC, PENDING), (args, r))
        self.wait_agents(['a', 'b'])
        self.in_sync()
        self.assertEqual(self.bed.read('.config/mosaic/fleet/roster.yaml'), roster)
        for d, _, files in os.walk(self.bed.home + '/.local/state/mosaic'):
            for f in files:
                text = self.bed.read(d + '/' + f)
                self.assertNotIn('(exit', text, f)
                self.assertNotIn('Roster  ', text, f)
                if f.endswith('.json') and f != 'history.json':
                    json.loads(text)

    def test_a_reader_that_leaves(self):
        """`| head -1` in mid-apply does not leave half of the work."""
        names = ['a', 'b', 'c', 'd', 'e', 'f']
        self.roster(names)
        self.shell('"$@" | head -1', 'plan')
        self.shell('"$@" | head -1', 'apply', '--yes')
        self.wait_agents(names, 5)
        self.in_sync()
        self.roster(names[:5])
        self.shell('"$@" | :', 'apply', '--yes')
        self.wait_agents(names[:5])
        self.in_sync()

    def test_hangup(self):
        """The terminal goes away in mid-apply (an ssh connection breaks): later it converges."""
        self.up(['a', 'b'])
        self.roster({n: self.agent(n, env={'NEW': '1'}) for n in ('a', 'b', 'c')})
        p, fd = self.bed.pty([self.program, 'fleet', 'apply', '--yes'])
        os.close(fd)
        p.wait(30)
        self.apply()
        self.wait_agents(['a', 'b', 'c'])
        self.in_sync()

    # --- interruption ---

    def interrupted(self, number):
        """Two stubborn agents in a restart that takes time, a third that is new and waits for them."""
        self.bring_up({n: self.agent(n, runtime='stubborn', stop_timeout='1s') for n in ('a', 'b')})
        for n in ('a', 'b'):
            self.wait_up(n)
        before = self.pids()
        self.roster({**{n: self.agent(n, runtime='stubborn', stop_timeout='1s', env={'NEW': '1'}) for n in ('a', 'b')},
                     'c': self.agent('c', after=['a'])})
        begin = time.time()
        p = self.bed.popen([self.program, 'fleet', 'apply', '--yes'])
        # A stop that is ours is written down just before it is asked for; it lasts a second.
        record = self.state + '/ended/a.json'
        harness.wait_for(lambda: os.path.exists(record) and os.stat(record).st_mtime >= begin - 0.01, 10, record)
        time.sleep(0.2)
        self.assertIsNone(p.poll())
        p.send_signal(number)
        out, err = p.communicate(timeout=30)
        text = out.decode() + err.decode()
        return p.returncode, text, before

    def test_interrupt(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            code, text, before = self.interrupted(number)
            self.assertEqual(code, NOT_CONVERGED, text)
            self.assertRegex(text.strip(), r'\d+ done, \d+ failed, \d+ skipped, \d+ not started.*\n.*\(exit 4\)$')
            self.assertRegex(text, r'not_started +agent/c|skipped +agent/c')
            # What was begun is finished, or the table says how far it came.
            now = self.pids()
            for name in ('a', 'b'):
                if now.get(name) != before[name]:
                    self.assertNotRegex(text, r'(?m)^not_started +agent/%s +restart: interrupted$' % name, text)
            self.apply()
            self.wait_agents(['a', 'b', 'c'])
            self.in_sync()
            now = self.pids()
            self.assertTrue(all(now[n] != before[n] for n in before))
            self.fleet('stop', code=IN_SYNC)
            self.fleet('start', code=(IN_SYNC,))
            self.roster({})
            self.apply('--allow-remove', '3')

    # --- two homes ---

    def test_two_homes_at_once(self):
        homes = [self.bed.home + '/.config/mosaic', self.bed.mkdir('other-home', 0o700)]
        self.init(homes[1])
        self.roster(['a', 'b'])
        self.roster({n: self.agent('o-' + n) for n in ('a', 'c')}, home='other-home')
        both = [self.bed.popen([self.program, 'fleet', 'apply', '--yes'], env={'MOSAIC_HOME': h}) for h in homes]
        for p in both:
            out, err = p.communicate(timeout=40)
            self.assertEqual(p.returncode, IN_SYNC, (out, err))
        first = self.wait_agents(['a', 'b'], home=homes[0])
        second = self.wait_agents(['a', 'c'], home=homes[1])
        self.assertEqual(len(self.servers()), 2)
        for h in homes:
            self.fleet('plan', code=IN_SYNC, env={'MOSAIC_HOME': h})
            self.assertEqual(json.loads(self.fleet('plan', '--json', env={'MOSAIC_HOME': h}).out)['remarks'], [])
        # The same home by other names is the same fleet.
        os.symlink('other-home', self.bed.home + '/a-link')
        os.lchown(self.bed.home + '/a-link', self.bed.uid, self.bed.gid)
        self.fleet('plan', code=IN_SYNC, env={'MOSAIC_HOME': self.bed.home + '/a-link/'})
        self.fleet('stop', code=IN_SYNC, env={'MOSAIC_HOME': homes[1]})
        self.assertEqual({n: p.key for n, p in self.wait_agents(['a', 'b'], home=homes[0]).items()},
                         {n: p.key for n, p in first.items()})
        self.assertEqual(self.running(home=homes[1]), {})
        self.assertFalse(any(p.alive() for p in second.values()))
        self.fleet('start', code=IN_SYNC, env={'MOSAIC_HOME': homes[1]})
        self.wait_agents(['a', 'c'], home=homes[1])
        self.fleet('stop', code=IN_SYNC)
        self.wait_agents(['a', 'c'], home=homes[1])

    def test_two_homes_on_one_socket(self):
        """The second one is told so; the first one does not notice."""
        self.up()
        other = self.bed.mkdir('other-home', 0o700)
        self.init(other)
        self.roster({'z': self.agent('z')}, home='other-home', tmux={'socket': harness.SOCKET})
        for args in (('plan', '--json'), ('apply', '--yes'), ('stop',)):
            r = self.fleet(*args, env={'MOSAIC_HOME': other})
            if args[0] != 'stop':
                self.assertEqual(self.actions(r), [], r)
                self.sentence(r, r'not of this fleet|foreign', code=BLOCKED)
            self.unchanged(args)
        self.fleet('plan', code=IN_SYNC)


class ConditionsDirect(Conditions, Fleet):
    supervisor = 'direct'


class ConditionsSystemd(Conditions, Fleet):
    supervisor = 'systemd'


if __name__ == '__main__':
    harness.main()
