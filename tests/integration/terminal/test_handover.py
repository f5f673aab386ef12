#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The launcher takes a pane's terminal over and becomes the agent: what the agent then has."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import terminal
from terminal import Fleet, REFUSED, TRY_AGAIN, wait_for

# Writes what it was given to a file, then waits for ever.
DUMP = '''
import json, os, signal, sys, termios
with open(sys.argv[1] + '.new', 'w') as f:
    json.dump({
        'argv': sys.argv[2:], 'environ': dict(os.environ), 'cwd': os.getcwd(),
        'ttys': [os.ttyname(n) for n in range(3)],
        'group': os.getpgrp(), 'session': os.getsid(0), 'foreground': os.tcgetpgrp(0),
        'ignored': [s for s in range(1, 65) if s not in (32, 33) and s not in (9, 19)
                    and signal.getsignal(s) == signal.SIG_IGN
                    and s not in (signal.SIGPIPE, signal.SIGXFSZ)],
        'blocked': sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        'sigign': [l for l in open('/proc/self/status') if l.startswith('SigIgn')][0].split()[1],
        'fds': sorted(int(n) for n in os.listdir('/proc/self/fd')),
    }, f)
os.rename(sys.argv[1] + '.new', sys.argv[1])
signal.pause()
'''


class Handover(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(self.fleet.close)
        self.fleet.start_server()

    def dump(self, name, arguments, **more):
        f = self.fleet
        out = os.path.join(f.root, name + '.dump')
        script = f.write('dump.py', DUMP)
        agent = f.launch(name, [sys.executable, '-I', script, out] + arguments, **more).wait_ready()
        wait_for(lambda: os.path.exists(out), 'the agent has written its dump', 20,
                 lambda: f.screen(name))
        with open(out) as file:
            return agent, json.load(file)

    def test_session_and_marker(self):
        f = self.fleet
        self.assertEqual(f.sessions(), ['_holder'])
        self.assertEqual(f.marker('_holder'), 'default:_holder:$0')
        f.launch('web', ['sleep', '1000']).wait_ready()
        self.assertEqual(f.sessions(), ['_holder', 'web'])
        self.assertEqual(f.marker('web'), 'default:web:' + f.show('web', '#{session_id}'))
        self.assertEqual(f.show('web', '#{pane_width}x#{pane_height}'), '80x24')

    def test_terminal_and_process(self):
        f = self.fleet
        agent, seen = self.dump('web', [])
        tty = f.show('web', '#{pane_tty}')
        self.assertEqual(seen['ttys'], [tty] * 3)
        self.assertEqual([seen['group'], seen['session'], seen['foreground']], [agent.pid] * 3)
        self.assertEqual(seen['fds'], [0, 1, 2, 3, 4])  # the dump, the directory being listed
        self.assertEqual(seen['blocked'], [])
        # CPython ignores SIGPIPE and SIGXFSZ itself
        mine = (1 << signal.SIGPIPE - 1) | (1 << signal.SIGXFSZ - 1)
        self.assertEqual(int(seen['sigign'], 16) & ~mine, 0)
        self.assertEqual(f.show('web', '#{pane_current_path}'), f.work)

    def test_ignored_signals_of_the_unit_do_not_reach_the_agent(self):
        f = self.fleet
        # systemd starts units with SIGPIPE ignored; bash can tell, as it does not touch it itself.
        f.spec('web', ['sleep', '1000'])
        before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        other = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        try:
            agent = f.launch('web')
        finally:
            signal.signal(signal.SIGPIPE, before)
            signal.signal(signal.SIGUSR1, other)
        agent.wait_ready()
        self.assertEqual(int(terminal.status_field(agent.pid, 'SigIgn'), 16), 0)
        self.assertEqual(int(terminal.status_field(agent.pid, 'SigBlk'), 16), 0)

    def test_environment_is_made_from_nothing(self):
        f = self.fleet
        f.env.update(PASSED='through', NOT_PASSED='x', DBUS_SESSION_BUS_ADDRESS='unix:path=/x')
        env_file = f.write('file.env', '# comment\n\nFROM_FILE="a  b"\nPASSED=file\n')
        secret = f.write('secret', 'hunter2\n\n', 0o600)
        agent, seen = self.dump(
            'web', [], env_pass=['PATH', 'PASSED', 'ABSENT'], env_files=[env_file],
            env=['PLAIN=1', 'FROM_FILE=env', 'EMPTY='],
            credentials=[{'variable': 'TOKEN', 'file': secret}])
        env = terminal.environment(agent.pid)
        self.assertEqual(env, {
            'HOME': f.home, 'USER': 'tester', 'LOGNAME': 'tester', 'SHELL': '/bin/sh',
            'PATH': f.env['PATH'], 'PASSED': 'file', 'TERM': 'tmux-256color',
            'TMUX': '%s,%d,%s' % (f.socket, f.server_pid, f.show('web', '#{session_id}')[1:]),
            'TMUX_PANE': f.show('web', '#{pane_id}'),
            'MOSAIC_AGENT': 'web', 'MOSAIC_HOME': f.home,
            'FROM_FILE': 'env', 'PLAIN': '1', 'EMPTY': '', 'TOKEN': 'hunter2\n'})
        self.assertEqual(seen['cwd'], f.work)

    def test_hostile_text_arrives_literally(self):
        f = self.fleet
        canary = os.path.join(f.root, 'canary')
        words = ['#(touch %s)' % canary, '$(touch %s)' % canary, '`touch %s`' % canary, '%h %i %%',
                 '#{session_name}', '\'"\\', 'two\nlines', ';', '\\;', 'a;', '', ' ', '-x', '--', '~',
                 '$HOME', '{ }', '\x1b[2J', '\u00e9\u4e2d\U0001f600', '\r']
        work = os.path.join(f.root, '#(touch canary) %h "\'$HOME;\n x')
        os.mkdir(work)
        env = ['H%d=%s' % (i, w) for i, w in enumerate(words)]
        _, seen = self.dump('web', words, workdir=work, env=env)
        self.assertEqual(seen['argv'], words)
        self.assertEqual(seen['cwd'], work)
        for i, w in enumerate(words):
            self.assertEqual(seen['environ']['H%d' % i], w)
        self.assertFalse(os.path.exists(canary))
        self.assertEqual(f.sessions(), ['_holder', 'web'])

    def test_words_quoted_for_tmux_arrive_literally(self):
        f = self.fleet
        words = ['', 'plain', "it's", "''", '"', '\\', '\\\\', ';', 'a;', '\\;', '$HOME', '${HOME}', '~',
                 '~root', '#{pid}', '#(touch %s/canary)' % f.root, '# comment', 'a\n  # b\n\tc',
                 '{ }', '%if 1', '\\n\\t\\033', '\t tab', '-x', '\u00e9\U0001f600', "\n'\n", '%1', '=']
        commands = subprocess.run([os.environ['MOSAIC_QUOTE_WORDS'], *words], capture_output=True,
                                  text=True, check=True).stdout
        self.assertEqual(f.tmux('source-file', f.write('commands', commands)), '')
        for i, word in enumerate(words, 1):
            out = subprocess.run(['tmux', '-u', '-N', '-S', f.socket, 'show-options', '-gv', '@word%d' % i],
                                 env={'PATH': f.env['PATH'], 'LANG': 'C.UTF-8'}, capture_output=True,
                                 timeout=20, check=True).stdout.decode()
            # tmux 3.4 alone prints $NAME as \\$NAME; it is stored as it was said.
            self.assertIn(out, (word + '\n', re.sub(r'\$(?=[A-Za-z_{])', r'\\$', word) + '\n'), word)
        self.assertFalse(os.path.exists(os.path.join(f.root, 'canary')))

    def test_secrets_are_in_no_argv_and_no_file(self):
        f = self.fleet
        secret = 'SECRET-%s' % os.urandom(8).hex()
        path = f.write('token', secret + '\n', 0o600)
        env_file = f.write('e.env', 'OTHER=%s\n' % secret, 0o600)
        agent, _ = self.dump('web', [], env_files=[env_file],
                             credentials=[{'variable': 'TOKEN', 'file': path}])
        for pid in terminal.all_pids():
            try:
                self.assertNotIn(secret.encode(), b'\0'.join(terminal.cmdline(pid)))
            except (FileNotFoundError, ProcessLookupError):
                pass
        for top in (f.state, f.runtime):
            for folder, _, names in os.walk(top):
                for name in names:
                    p = os.path.join(folder, name)
                    if stat.S_ISREG(os.lstat(p).st_mode):
                        with open(p) as file:
                            self.assertNotIn(secret, file.read(), p)
        self.assertNotIn(secret, f.tmux('show-environment', '-g'))
        self.assertNotIn(secret, f.tmux('show-environment', '-t', '=web'))
        self.assertNotIn(secret, agent.messages())
        self.assertEqual(terminal.environment(agent.pid)['TOKEN'], secret)

    def test_run_record(self):
        f = self.fleet
        agent, _ = self.dump('web', [])
        record = f.run_record('web')
        with open('/proc/sys/kernel/random/boot_id') as file:
            boot = file.read().strip()
        started, monotonic = record.pop('started_usec'), record.pop('monotonic_usec')
        self.assertEqual(record, {
            'version': 1, 'boot_id': boot, 'pid': agent.pid,
            'start_time': terminal.start_time(agent.pid), 'invocation': agent.invocation,
            'pane_id': f.show('web', '#{pane_id}'), 'server_pid': f.server_pid,
            'runtime': None, 'restart_fingerprint': 'a' * 64, 'live_fingerprint': 'b' * 64, 'resolved': 'c' * 64})
        now = time.time() * 1e6
        self.assertTrue(now - 60e6 < started <= now)
        now = time.monotonic() * 1e6
        self.assertTrue(now - 60e6 < monotonic <= now)
        for path, mode in ((f.runtime + '/run', 0o700), (f.runtime + '/run/web.json', 0o600),
                           (f.runtime + '/keep', 0o700), (f.runtime + '/keep/web', 0o600),
                           (f.runtime + '/tmux.conf', 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), mode, path)
        self.assertEqual(sorted(os.listdir(f.runtime + '/run')), ['web.json'])

    def test_second_launcher_fails_and_disturbs_nothing(self):
        f = self.fleet
        first = f.launch('web', ['bash', '--norc', '-i'], env=['PS1=one> ']).wait_ready()
        f.wait_screen('web', 'one>')
        before = f.run_record('web')
        f.type('web', 'stty -echo; half=1')
        second = f.launch('web')
        self.assertEqual(second.wait_end(), TRY_AGAIN)
        self.assertIn('has its terminal', second.messages())
        self.assertEqual(f.run_record('web'), before)
        f.type('web', 'echo "still $half $$"; stty -a | grep -c -- "-echo "')
        f.wait_screen('web', 'still 1 %d\n1' % first.pid)

    def test_process_group_leader_is_refused(self):
        f = self.fleet
        f.spec('web', ['sleep', '1000'])
        f.make_session('web')
        p = subprocess.run([os.path.join(terminal.libexec(), 'mosaic-launcher'), 'web'], env=f.env,
                           capture_output=True, text=True, process_group=0, timeout=30)
        self.assertEqual(p.returncode, REFUSED)
        self.assertIn('leader', p.stderr)

    def test_foreign_session_is_refused_and_untouched(self):
        f = self.fleet
        f.tmux('new-session', '-d', '-s', 'web', 'sleep', '1000')
        for marker in (None, 'default:web:$99', 'other:web:' + f.show('web', '#{session_id}'),
                       'default:other:' + f.show('web', '#{session_id}')):
            if marker:
                f.tmux('set-option', '-t', '=web:', '@mosaic', marker)
            before = f.tmux('list-panes', '-a', '-F', '#{session_id} #{pane_id} #{pane_pid} #{@mosaic}')
            agent = f.launch('web', ['sleep', '1000'])
            self.assertEqual(agent.wait_end(30), REFUSED)
            self.assertIn('not of this fleet', agent.messages())
            self.assertEqual(before, f.tmux(
                'list-panes', '-a', '-F', '#{session_id} #{pane_id} #{pane_pid} #{@mosaic}'))
            self.assertIsNone(f.run_record('web'))

    def test_failed_creation_marks_nothing(self):
        """The rest of the line is not run when new-session fails: the batch of the controller."""
        f = self.fleet
        f.tmux('new-session', '-d', '-s', 'web', 'sleep', '1000')
        keeper = os.path.join(terminal.libexec(), 'mosaic-keeper')
        commands = f.write('commands', "new-session -d -s 'web' -x 80 -y 24 '%s' 'web' ; "
                           "set-option -F -t '=web:' @mosaic 'default:web:#{session_id}'\n" % keeper)
        f.tmux('source-file', commands, check=False)
        self.assertEqual(f.marker('web'), '')

    def test_what_cannot_be_started_is_refused_with_its_reason(self):
        f = self.fleet
        f.make_session('web')
        script = f.write('script', 'no magic\n', 0o755)
        broken = f.write('broken.env', 'A=1\n\nB C\n')
        quote = f.write('quote.env', 'A="x\n')
        readable = f.write('readable', 'x', 0o640)
        fine = f.write('fine', 'x', 0o600)
        link = os.path.join(f.root, 'fifo')
        os.mkfifo(link, 0o600)
        cases = [
            (dict(workdir='/nonexistent\x1b[2J'), 'cannot enter the working directory /nonexistent?[2J'),
            (dict(argv=['no-such-program']), 'there is no program no-such-program in PATH'),
            (dict(argv=['/no/such']), 'cannot execute /no/such'),
            (dict(argv=['/tmp']), 'Is a directory'),
            (dict(argv=[fine]), 'Permission denied'),
            (dict(argv=[script]), 'no #! line'),
            (dict(env_files=[broken]), 'line 3: not of the form NAME=VALUE'),
            (dict(env_files=[quote]), 'line 1: a quote is not closed'),
            (dict(env_files=['/nonexistent']), 'cannot read environment file /nonexistent'),
            (dict(credentials=[{'variable': 'T', 'file': readable}]), 'open to others (mode 0640)'),
            (dict(credentials=[{'variable': 'T', 'file': link}]), 'not a regular file'),
            (dict(credentials=[{'variable': 'T', 'file': '/nonexistent'}]), 'cannot read credential'),
            (dict(argv=['sleep', 'x' * 200000]), 'too long'),
        ]
        for more, expected in cases:
            with self.subTest(expected):
                argv = more.pop('argv', ['sleep', '1000'])
                agent = f.launch('web', argv, **more)
                self.assertEqual(agent.wait_end(30), REFUSED, agent.messages())
                self.assertIn(expected, agent.messages())
                self.assertIsNone(f.run_record('web'))
                # and in the pane, for who looks there
                wait_for(lambda: expected in f.tmux('capture-pane', '-p', '-J', '-t', '=web:'),
                         'the reason is in the pane', show=lambda: f.screen('web'))
        if os.geteuid() == 0:
            os.chown(fine, 12345, -1)
            agent = f.launch('web', ['sleep', '1'], credentials=[{'variable': 'T', 'file': fine}])
            self.assertEqual(agent.wait_end(30), REFUSED)
            self.assertIn('belongs to another user', agent.messages())
        f.launch('web', ['sleep', '1000']).wait_ready()

    def test_spec_missing_or_damaged(self):
        f = self.fleet
        agent = f.launch('web')
        self.assertEqual(agent.wait_end(), REFUSED)
        self.assertIn('specs/web.json', agent.messages())
        good = f.spec('web', ['true'])
        for bad in ({'version': 2}, {'argv': []}, {'argv': 'true'}, {'name': 'other'}, {'workdir': 'x'},
                    {'env': [1]}, {'credentials': [{}]}, {'credentials': [{'variable': 'A'}]},
                    {'stop_timeout_usec': -1}, {'resolved': 'x' * 65}):
            with self.subTest(bad):
                f.write_json('specs/web.json', dict(good, **bad))
                agent = f.launch('web')
                self.assertEqual(agent.wait_end(), REFUSED, agent.messages())
        with open(os.path.join(f.state, 'specs/web.json'), 'w') as file:
            file.write('{"version":1,')
        agent = f.launch('web')
        self.assertEqual(agent.wait_end(), REFUSED)
        self.assertIn('damaged', agent.messages())
        self.assertEqual(f.sessions(), ['_holder'])

    def test_bad_names(self):
        f = self.fleet
        for name in ('../x', 'A', '', 'a' * 41, 'a b', '_holder', '-x', 'a/b'):
            result = f.helper(name)
            self.assertEqual(result.returncode, REFUSED, name)
        self.assertEqual(f.helper().returncode, 64)
        self.assertEqual(f.helper('a', 'b').returncode, 64)

    def test_stop_record(self):
        f = self.fleet
        f.spec('web', ['true'], success_exit_status=['143', 'SIGUSR1'])
        cases = [
            (dict(SERVICE_RESULT='exit-code', EXIT_CODE='exited', EXIT_STATUS='3'), 'exit-code'),
            (dict(EXIT_CODE='exited', EXIT_STATUS='0'), 'success'),
            (dict(EXIT_CODE='exited', EXIT_STATUS='143'), 'success'),
            (dict(EXIT_CODE='exited', EXIT_STATUS='1'), 'exit-code'),
            (dict(EXIT_CODE='killed', EXIT_STATUS='TERM'), 'success'),
            (dict(EXIT_CODE='killed', EXIT_STATUS='USR1'), 'success'),
            (dict(EXIT_CODE='killed', EXIT_STATUS='KILL'), 'signal'),
            (dict(EXIT_CODE='dumped', EXIT_STATUS='TERM'), 'core-dump'),
            ({}, None),
        ]
        for env, result in cases:
            with self.subTest(env):
                p = f.helper('--stopped', 'web', INVOCATION_ID='ab', **env)
                self.assertEqual(p.returncode, 0, p.stderr)
                record = f.stop_record('web')
                record.pop('boot_id'), record.pop('at_usec'), record.pop('monotonic_usec')
                self.assertEqual(record, {
                    'version': 1, 'invocation': 'ab', 'result': result,
                    'code': env.get('EXIT_CODE'), 'status': env.get('EXIT_STATUS')})


if __name__ == '__main__':
    terminal.become_subreaper()
    unittest.main()
