# SPDX-License-Identifier: MIT
"""Looking at agents: roster, tail, attach, logs and status tell what independent eyes see, change nothing, and
nothing that an agent prints acts on who looks."""

import json
import os
import re
import select
import signal
import subprocess
import time

import harness
import test_output
from harness import BLOCKED, Fleet, IN_SYNC, INVALID, NOT_CONVERGED, UNKNOWN, USAGE, wait_for

ERROR = 1
CONTROL = re.compile(r'[\x00-\x09\x0b-\x1f\x7f-\x9f]')


class Views:
    """What both supervisors have in common."""

    def agent_verb(self, *args, **more):
        return self.mosaic('agent', *args, **more)

    def agent_json(self, *args, **more):
        """One document, as its schema says and nothing more."""
        text = self.agent_verb(*args, '--json', **more).out
        self.assertEqual(test_output.Schemas().errors(text), [])
        return json.loads(text)

    def up(self, *names, **more):
        self.bring_up(self.agents_of(names or ('a',), **more))
        for name in names or ('a',):
            self.wait_up(name)

    def say(self, name, text):
        """Makes a steady agent print "got TEXT"."""
        self.type(name, text)
        wait_for(lambda: 'got ' + text in self.screen(name), 10, text)

    # --- roster ---

    def test_roster(self):
        host = os.uname().nodename
        self.roster({'a': self.agent('a'), 'b': self.agent('b', host='no-such-host-*', state='stopped'),
                     'c': self.agent('c', host=[host, 'other'])})
        r = self.agent_verb('roster', code=IN_SYNC)
        self.assertRegex(r.out, r'(?m)^AGENT +RUNTIME +WANTED +HOST +DIRECTORY$')
        self.assertRegex(r.out, r'(?m)^a +steady +running +- +~/work/a$')
        self.assertRegex(r.out, r'(?m)^b +steady +stopped +no-such-host-\* \(elsewhere\) +~/work/b$')
        self.assertRegex(r.out, r'3 agents, 0 held, 1 elsewhere \(exit 0\)$')
        self.assertEqual(self.servers(), [])
        d = self.agent_json('roster', 'b', 'c', code=IN_SYNC)
        self.assertEqual([(a['name'], a['elsewhere'], a['hosts'], a['directory'], a['hold']) for a in d['agents']],
                         [('b', True, ['no-such-host-*'], self.bed.home + '/work/b', None),
                          ('c', False, [host, 'other'], self.bed.home + '/work/c', None)])
        self.agent_verb('roster', 'nobody', code=USAGE)

    def test_roster_asks_nobody(self):
        """It answers while neither tmux nor the manager does, and says who holds an agent down."""
        self.up('a', 'b')
        self.fleet('stop', 'a', '--reason', 'the disk is full', code=IN_SYNC)
        stopped = self.servers()
        if self.supervisor == 'systemd':
            stopped = stopped + [p for p in self.bed.processes() if p.comm == 'systemd']
        try:
            for p in stopped:
                os.kill(p.pid, signal.SIGSTOP)
            begin = time.monotonic()
            r = self.agent_verb('roster', code=IN_SYNC)
            self.assertLess(time.monotonic() - begin, 2)
        finally:
            for p in stopped:
                os.kill(p.pid, signal.SIGCONT)
        self.assertIn('held by', r.out)
        self.assertIn('the disk is full', r.out)
        self.assertIn('mosaic fleet start a', r.out)
        hold = {a['name']: a['hold'] for a in self.agent_json('roster')['agents']}
        self.assertEqual((hold['a']['reason'], hold['a']['fleet'], hold['b']), ('the disk is full', False, None))
        self.fleet('stop', code=IN_SYNC)
        self.assertTrue(self.agent_json('roster', 'b')['agents'][0]['hold']['fleet'])

    # --- tail ---

    def test_tail(self):
        self.up('a', 'b')
        for i in range(119):
            self.type('a', 'word %d' % i)
        wait_for(lambda: 'got word 118' in self.screen('a'), 15, 'the last but one')
        self.say('a', 'word 119')
        lines = self.agent_verb('tail', 'a', code=IN_SYNC).out.splitlines()
        self.assertEqual(len(lines), 80)
        self.assertEqual(lines[-2:], ['word 119', 'got word 119'])
        text = self.agent_verb('tail', 'a', '-n', '1000', code=IN_SYNC).out
        # What is typed while the agent prints is echoed where the cursor is.
        self.assertEqual(re.findall(r'got word \d+', text), ['got word %d' % i for i in range(120)])
        self.assertEqual(self.agent_verb('tail', 'a', '-n1', code=IN_SYNC).out, 'got word 119\n')
        self.assertNotIn('word', self.agent_verb('tail', 'b', code=IN_SYNC).out)
        d = self.agent_json('tail', 'a', '-n', '2', code=IN_SYNC)
        self.assertEqual((d['agent'], d['lines']), ('a', ['word 119', 'got word 119']))
        for n in ('0', '-1', 'many', '100001'):
            self.agent_verb('tail', 'a', '-n', n, code=USAGE)

    def test_tail_joins_what_was_wrapped(self):
        self.up()
        word = ''.join(str(i % 10) for i in range(700))
        self.say('a', word[:20])
        self.type('a', word)
        wait_for(lambda: self.agent_verb('tail', 'a').out.endswith('got ' + word + '\n'), 10, 'one long line')
        self.assertEqual(self.agent_verb('tail', 'a', '-n', '1', code=IN_SYNC).out, 'got %s\n' % word)

    def test_tail_is_harmless(self):
        """Bytes that would act on the terminal of who looks do not reach it."""
        evil = ('\\033[31mred\\033[0m\\033]0;title\\007\\033]52;c;aGk=\\007\\033P+q\\033\\\\'
                '\\033[5mblink\\033[0m \\302\\2332J\\342\\200\\256\\001\\033(0lqk\\033(B end')
        self.bed.write('evil', '#!/bin/sh\nprintf \'%s\\n\'\nexec sleep 1000000\n' % evil, 0o755)
        self.roster({'a': self.agent('a', runtime='evil')},
                    runtimes={'evil': {'command': [self.bed.home + '/evil']}})
        self.apply()
        wait_for(lambda: 'end' in self.screen('a'), 10, 'the line')
        plain = self.agent_verb('tail', 'a', code=IN_SYNC).out
        self.assertIsNone(CONTROL.search(plain), repr(plain))
        self.assertIn('redblink', plain)
        self.assertIn('\u250c\u2500\u2510 end', plain)
        styled = self.agent_verb('tail', 'a', '--ansi', code=IN_SYNC).out
        self.assertIn('\x1b[31mred\x1b[0m', styled)
        self.assertIn('\x1b[5mblink\x1b[0m', styled)
        self.assertIsNone(CONTROL.search(re.sub(r'\x1b\[[0-9;:]*m', '', styled)), repr(styled))

    def test_tail_of_who_does_not_run(self):
        self.up('a', 'b')
        self.say('a', 'last words')
        self.fleet('stop', 'a', code=IN_SYNC)
        r = self.agent_verb('tail', 'a', code=IN_SYNC)
        self.assertIn('got last words', r.out)
        self.assertIn('does not run', r.err)
        self.fleet('stop', code=IN_SYNC)
        r = self.agent_verb('tail', 'a', code=NOT_CONVERGED)
        self.assertEqual(r.out, '')
        self.assertRegex(r.err, r'a has no terminal: .*mosaic fleet start a \(exit 4\)')
        d = self.agent_json('tail', 'a', code=NOT_CONVERGED)
        self.assertEqual((d['format'], d['summary']['exit']), ('mosaic.agent.tail', 4))
        r = self.agent_verb('tail', 'aa', code=USAGE)
        self.assertRegex(r.err, r"no agent 'aa'")
        self.agent_verb('tail', code=USAGE)
        self.agent_verb('tail', 'a', 'b', code=USAGE)

    def test_terminal_of_exactly_that_agent(self):
        """Found by the mark, not by name; a roster in mid-edit or an agent that left it hides nothing."""
        self.up('a', 'b')
        self.say('a', 'it is a')
        self.tmux('rename-session', '-t', '=a:', 'was-a', check=True)
        self.tmux('new-session', '-d', '-s', 'a', 'echo foreign; sleep 100000', check=True)
        self.assertIn('got it is a', self.agent_verb('tail', 'a', code=IN_SYNC).out)
        self.bed.write('.config/mosaic/fleet/roster.yaml', 'agents: [', 0o600)
        self.assertIn('got it is a', self.agent_verb('tail', 'a', code=IN_SYNC).out)
        self.roster(['b'])
        self.assertIn('got it is a', self.agent_verb('tail', 'a', code=IN_SYNC).out)
        # A second pane in front of the agent's is not it.
        self.tmux('split-window', '-b', '-d', '-t', '=b:', 'echo not the agent; sleep 100000', check=True)
        self.say('b', 'it is b')
        self.assertIn('got it is b', self.agent_verb('tail', 'b', code=IN_SYNC).out)
        self.assertNotIn('not the agent', self.agent_verb('tail', 'b', code=IN_SYNC).out)
        self.tmux('kill-session', '-t', '=was-a', check=True)
        self.roster(['a', 'b'])
        r = self.agent_verb('tail', 'a')
        if r.code == NOT_CONVERGED:  # under systemd it has made itself a new one by now, perhaps
            self.assertIn('not of this fleet', r.err)
        self.assertNotIn('foreign', r.out)

    def test_hung_server(self):
        self.up()
        server = self.servers()[0]
        os.kill(server.pid, signal.SIGSTOP)
        try:
            # Side by side, as each waits for its deadline.
            views = [self.bed.popen([self.program, 'agent', *args]) for args in
                     (('tail', 'a'), ('tail', '-f', 'a'), ('status', 'a'), ('probe', 'a'))]
            for p in views:
                out, err = p.communicate(timeout=60)
                self.assertEqual(p.returncode, UNKNOWN, (p.args, out, err))
                self.assertRegex((err + out).decode(), 'does not answer|did not answer')
        finally:
            os.kill(server.pid, signal.SIGCONT)

    # --- tail -f ---

    def follow(self, *args):
        p = self.bed.popen([self.program, 'agent', 'tail', '-f', *args])
        self.addCleanup(self.end, p)
        os.set_blocking(p.stdout.fileno(), False)
        p.text = ''
        return p

    @staticmethod
    def end(p):
        if p.poll() is None:
            p.kill()
        p.wait()
        p.stdout.close()
        p.stderr.close()

    @staticmethod
    def read(p, timeout=0.0):
        if select.select([p.stdout], [], [], timeout)[0]:
            p.text += (p.stdout.read() or b'').decode()
        return p.text

    def wait_text(self, p, text, timeout=10):
        wait_for(lambda: text in self.read(p, 0.05), timeout, lambda: '%r in %r' % (text, p.text[-500:]))

    def test_follow(self):
        """New lines, each once and in order, over a restart; then the session ends."""
        self.up()
        p = self.follow('a', '-n', '1')
        self.wait_text(p, 'a is up')
        for i in range(5):
            self.say('a', 'word %d' % i)
        self.wait_text(p, 'got word 4')
        self.fleet('restart', 'a', code=IN_SYNC)
        self.wait_up('a')
        self.say('a', 'after the restart')
        self.wait_text(p, 'got after the restart')
        got = [l for l in p.text.splitlines() if l.startswith('got')]
        self.assertEqual(got, ['got word %d' % i for i in range(5)] + ['got after the restart'])
        self.assertEqual(p.text.count('a is up'), 2)
        self.assertIsNone(CONTROL.search(p.text))
        self.assertIsNone(p.poll())
        if self.supervisor == 'systemd':
            self.fleet('stop', code=IN_SYNC)
        else:
            self.tmux('kill-session', '-t', '=a', check=True)
        self.assertEqual(p.wait(10), NOT_CONVERGED)
        self.assertRegex(p.stderr.read().decode(), r'the terminal of a is gone.*\(exit 4\)')

    def test_follow_without_reader(self):
        """Who reads goes away, and the agent is silent: the end does not wait for its next line."""
        self.up()
        p = self.follow('a')
        self.wait_text(p, 'a is up')
        p.stdout.close()
        self.assertIn(p.wait(10), (0, -signal.SIGPIPE))

    def test_follow_in_json(self):
        """A document per line, the last one says why it ends."""
        self.up()
        p = self.follow('a', '--json')
        self.wait_text(p, 'a is up')
        self.say('a', 'one more')
        self.wait_text(p, 'got one more')
        self.tmux('kill-session', '-t', '=a', check=True)
        self.assertEqual(p.wait(10), NOT_CONVERGED)
        documents = [json.loads(line) for line in self.read(p).splitlines()]
        self.assertEqual([l for d in documents[:-1] for l in d['lines']], ['a is up', 'one more', 'got one more'])
        self.assertEqual(documents[-1]['summary']['exit'], NOT_CONVERGED)
        self.assertIn('gone', documents[-1]['message'])
        for d in documents:
            self.assertEqual(test_output.Schemas().errors(json.dumps(d)), [])

    def test_follow_much_and_spinners(self):
        self.bed.write('chatty', '''#!/usr/bin/env python3
import sys, time
for line in sys.stdin:
    if line.strip() == 'flood':
        print('\\n'.join('line %d' % i for i in range(5000)))
    elif line.strip() == 'spin':
        for i in range(20):
            print('\\rspinning %d' % i, end='', flush=True)
            time.sleep(0.1)
        print('\\rspun at last ', flush=True)
    sys.stdout.flush()
''', 0o755)
        self.roster({'a': self.agent('a', runtime='chatty')},
                    runtimes={'chatty': {'command': [self.bed.home + '/chatty']}})
        self.apply()
        p = self.follow('a')
        self.type('a', 'hello')
        self.wait_text(p, 'hello')
        self.type('a', 'flood')
        self.wait_text(p, 'line 4999\n', 20)
        self.assertEqual([l for l in p.text.splitlines() if l.startswith('line')], ['line %d' % i for i in range(5000)])
        self.type('a', 'spin')
        self.wait_text(p, 'spun at last', 15)
        self.assertNotIn('spinning', p.text)

    def test_follow_is_cheap(self):
        """A screen on which nothing happens is asked for twice a second at most, and by no lasting client."""
        self.up()
        # Each client that the program starts leaves a mark.
        self.bed.mkdir('bin')
        real = subprocess.run(['which', 'tmux'], capture_output=True, text=True, check=True).stdout.strip()
        self.bed.write('bin/tmux', '#!/bin/sh\necho "$*" >>"$HOME/clients"\nexec %s "$@"\n' % real, 0o755)
        env = {'PATH': self.bed.home + '/bin:/usr/bin:/bin'}
        p = self.bed.popen([self.program, 'agent', 'tail', '-f', 'a'], env=env)
        self.addCleanup(self.end, p)
        count = lambda: len((self.bed.read('clients') or '').splitlines())  # noqa: E731
        wait_for(lambda: count() >= 3, 10, 'three clients')
        begin, first = time.monotonic(), count()
        wait_for(lambda: count() >= first + 4, 10, 'four more')
        self.assertGreaterEqual(time.monotonic() - begin, 4 * 0.5 - 0.3)
        text = self.bed.read('clients')
        self.assertNotIn('pipe-pane', text)
        self.assertNotRegex(text, r'(?m)(^| )-C')
        self.assertEqual(self.tmux('list-clients').out, '')
        p.terminate()
        p.wait(5)

    # --- attach ---

    def test_attach(self):
        self.up('a', 'b')
        before = self.pids()
        self.agent_verb('attach', 'a', code=ERROR)
        for options, read_only in (((), '0'), (('-r',), '1')):
            p, fd = self.bed.pty([self.program, 'agent', 'attach', 'a', *options], env={'TERM': 'xterm'})
            try:
                clients = lambda: self.tmux('list-clients', '-F',  # noqa: E731
                                            '#{session_name} #{client_readonly}').out.splitlines()
                wait_for(lambda: clients() == ['a ' + read_only], 10, lambda: 'a client; %r' % clients())
                os.write(fd, b'typed\n')
                if read_only == '0':
                    wait_for(lambda: 'got typed' in self.screen('a'), 10, 'what was typed')
                self.tmux('detach-client', '-s', '=a', check=True)
                self.assertEqual(p.wait(10), 0)
            finally:
                os.close(fd)
        self.assertEqual(self.screen('a').count('got typed'), 1)
        self.assertEqual(self.pids(), before)
        # Errors, on a terminal.
        for args, code in ((('c',), USAGE), ((), USAGE), (('a', '--json'), USAGE)):
            p, fd = self.bed.pty([self.program, 'agent', 'attach', *args], env={'TERM': 'xterm'})
            self.assertEqual(p.wait(10), code, args)
            os.close(fd)

    def test_attach_inside_the_fleet_switches(self):
        self.roster({'a': self.agent('a', runtime='shell'), 'b': self.agent('b')})
        self.apply()
        p, fd = self.bed.pty([self.program, 'agent', 'attach', 'a'], env={'TERM': 'xterm'})
        try:
            clients = lambda: self.tmux('list-clients', '-F', '#{session_name}').out.split()  # noqa: E731
            wait_for(lambda: clients() == ['a'], 10, lambda: 'a client; %r' % clients())
            socket = self.tmux('display-message', '-p', '#{socket_path}').out.strip()
            # An agent's environment has no TMUX; a shell that a person opens beside it has.
            self.tmux('split-window', '-t', '=a:', check=True)
            self.assertTrue(os.path.exists(socket))
            self.type('a', 'MOSAIC_HOME= %s agent attach -r b; %s agent attach b' % (self.program, self.program))
            wait_for(lambda: clients() == ['b'], 10, lambda: 'the client on b; %r; %s' % (clients(), self.screen('a')))
            self.assertIn('read-only', self.screen('a'))
        finally:
            os.close(fd)
            p.wait(10)

    # --- logs ---

    def test_logs(self):
        self.up()
        r = self.agent_verb('logs', 'a', code=(0, NOT_CONVERGED))
        if self.supervisor == 'direct':
            self.assertEqual(r.code, NOT_CONVERGED)
            self.assertRegex(r.err, r'no journal of a.*mosaic agent tail a')
        elif r.code == 0:
            self.assertIn('mosaic', r.out)
        else:
            self.assertRegex(r.err, r'nothing about mosaic-agent@a\.service.*mosaic agent tail a')
        self.agent_verb('logs', 'nobody', code=USAGE)
        self.agent_verb('logs', 'a', '--json', code=USAGE)

    def test_logs_becomes_journalctl(self):
        """With exactly that unit, and nothing from anywhere else in its arguments."""
        if self.supervisor == 'direct':
            return
        self.up()
        self.bed.mkdir('bin')
        self.bed.write('bin/journalctl', '#!/bin/sh\nprintf \'<%s>\' "$@"\n', 0o755)
        env = {'PATH': self.bed.home + '/bin:/usr/bin:/bin'}
        r = self.agent_verb('logs', '-f', '-n', '7', 'a', env=env, code=0)
        self.assertEqual(r.out, '<--user-unit=mosaic-agent@a.service><--lines=7><--follow>')
        # What is said of the pager holds there too.
        self.bed.write('bin/journalctl', '#!/bin/sh\nprintf \'<%s>\' "$@" "${SYSTEMD_PAGER-unset}"\n', 0o755)
        for more, said in (({}, 'unset'), ({'PAGER': 'most'}, 'unset'), ({'MOSAIC_PAGER': ''}, ''), ({'MOSAIC_PAGER': 'most -x'}, 'most -x')):
            r = self.agent_verb('logs', '-f', 'a', env={**env, **more}, code=0)
            self.assertEqual(r.out, '<--user-unit=mosaic-agent@a.service><--lines=200><--follow><%s>' % said)
        r = self.agent_verb('logs', '-f', 'a', '--no-pager', env=env, code=0)
        self.assertEqual(r.out, '<--user-unit=mosaic-agent@a.service><--lines=200><--follow><--no-pager><unset>')


    # --- status ---

    def activity(self, *names, code=None):
        d = self.agent_json('status', *names, code=code)
        return {a['agent']['name']: (a['agent']['condition'], a['activity'] and a['activity']['state'])
                for a in d['agents']}

    def conditions(self):
        return {a['name']: a['condition'] for a in self.fleet_json('status')['agents']}

    def actor(self, **more):
        """A runtime that shows what it is told to: "busy", "idle", "ask", or a line of text in its box."""
        self.bed.write('actor', '''#!/usr/bin/env python3
import os, sys, time
name = os.environ['MOSAIC_AGENT']
with open(os.environ['HOME'] + '/starts/' + name, 'a') as f:
    f.write('%d\\n' % os.getpid())
os.system('stty -echo')
shown = None
while True:
    try:
        with open(os.environ['HOME'] + '/act-' + name) as f:
            act = f.read()
    except FileNotFoundError:
        act = 'idle'
    if act != shown:
        shown = act
        top = {'busy': 'WORKING (esc to stop)', 'ask': 'MAY I? 1. yes 2. no'}.get(act, 'nothing to do')
        box = '=> ' if act in ('busy', 'idle', 'ask') else '=> ' + act
        if act == 'ask':
            box = ''
        sys.stdout.write('\\x1b[2J\\x1b[H' + top + '\\r\\n----\\r\\n' + box)
        sys.stdout.flush()
    time.sleep(0.05)
''', 0o755)
        return {'actor': {'command': [self.bed.home + '/actor'],
                          'ready': {'pattern': '^----'},
                          'busy': {'pattern': 'esc to stop'},
                          'waiting': {'pattern': 'MAY I\\?'},
                          'composer': {'pattern': '^----\\n=> $'}}}

    def act(self, name, what):
        self.bed.write('act-' + name, what)

    def test_status(self):
        """Each state of a running agent, by what its screen shows; and 'fleet status' says the same conditions."""
        self.roster({n: self.agent(n, runtime='actor') for n in ('a', 'b', 'c', 'd')}, runtimes=self.actor())
        for name, what in (('a', 'idle'), ('b', 'busy'), ('c', 'ask'), ('d', 'half a thought')):
            self.act(name, what)
        self.apply()
        expected = {'a': ('running', 'idle'), 'b': ('running', 'busy'), 'c': ('running', 'waiting'),
                    'd': ('running', 'draft')}
        wait_for(lambda: self.activity(code=IN_SYNC) == expected, 20, lambda: self.activity())
        self.assertEqual({n: c for n, (c, _) in expected.items()}, self.conditions())
        pids = {n: p.pid for n, p in self.running().items()}
        d = {a['agent']['name']: a for a in self.agent_json('status')['agents']}
        self.assertEqual({n: a['agent']['pid'] for n, a in d.items()}, pids)
        self.assertEqual(d['b']['activity']['text'], 'WORKING (esc to stop)')
        self.assertEqual((d['c']['activity']['sign'], d['c']['activity']['line']), ('waiting', 1))
        for a in d.values():
            self.assertGreater(a['agent']['process']['memory'], 100000)
            self.assertLess(abs(a['activity']['seen_usec'] / 1e6 - time.time()), 5)
        r = self.agent_verb('status', code=IN_SYNC)
        self.assertRegex(r.out, r'(?m)^AGENT +STATE +DOING +PID +SINCE +(RST +)?MEM +CPU +OUTPUT$')
        self.assertRegex(r.out, r'(?m)^c +running +waiting +%d ' % pids['c'])
        self.assertRegex(r.out, r'it asks for a person \(line 1\): MAY I\? 1\. yes 2\. no')
        self.assertRegex(r.out, r"somebody's text stands in its input box.*half a thought")
        self.assertRegex(r.out, r'4 agents, 4 running: 1 waiting, 1 busy, 1 idle, 1 draft \(exit 0\)$')
        self.assertEqual([l for l in r.out.splitlines() if len(l) > 80], [])
        # It follows what happens.
        self.act('c', 'idle')
        wait_for(lambda: self.activity()['c'] == ('running', 'idle'), 10, 'c is idle')
        self.assertEqual({n: p.pid for n, p in self.running().items()}, pids)

    def test_status_of_who_does_not_run(self):
        self.roster({'a': self.agent('a'), 'b': self.agent('b'), 'c': self.agent('c', state='stopped'),
                     'd': self.agent('d', runtime='crasher', restart='never'), 'e': self.agent('e', host='elsewhere-*')})
        self.assertEqual(self.activity()['a'], ('missing', None))
        self.agent_verb('status', 'a', code=NOT_CONVERGED)
        self.apply(code=None)
        self.wait_agents(['a', 'b'])
        self.fleet('stop', 'b', '--reason', 'a test', code=IN_SYNC)
        got = self.activity(code=IN_SYNC)
        self.assertEqual({n: got[n][0] for n in got}, self.conditions())
        self.assertEqual((got['a'][0], got['b'][0], got['c'][0], got['e'][0]),
                         ('running', 'held', 'stopped', 'elsewhere'))
        self.assertIn(got['d'][0], ('dead', 'held'))
        self.assertTrue(all(got[n][1] is None for n in 'bcde'))
        r = self.agent_verb('status', 'd', code=NOT_CONVERGED)
        self.assertRegex(r.out.replace('\n    ', ' '), r' m?s ago; it ended with status 7, and restart.policy is never')
        self.agent_verb('status', 'a', code=IN_SYNC)
        for name in 'bce':
            self.agent_verb('status', 'a', name, code=NOT_CONVERGED)
        self.assertRegex(self.agent_verb('status', 'b').out, 'a test')
        self.agent_verb('status', 'nobody', code=USAGE)

    def test_status_beside_an_invalid_roster(self):
        """What is in force is shown, and that the file is not."""
        self.up()
        self.bed.write('.config/mosaic/fleet/roster.yaml', 'agents: [', 0o600)
        r = self.agent_verb('status', code=INVALID)
        self.assertRegex(r.out, r'(?m)^a +running')
        self.assertRegex(r.out, r'\(exit 65\)$')
        d = self.agent_json('status', code=INVALID)
        self.assertEqual((d['agents'][0]['agent']['condition'], d['refused']['errors'] > 0), ('running', True))
        self.agent_verb('roster', code=INVALID)
        # So is what completion offers.
        self.assertIn('a', self.mosaic('completion', '--agents', code=0).out.split())

    def test_status_of_the_killed(self):
        """An agent that was killed: its signal, and the same word as 'fleet status', at any moment."""
        self.roster({'a': self.agent('a', restart='never')})
        self.apply()
        os.kill(self.wait_agents(['a'])['a'].pid, signal.SIGKILL)
        wait_for(lambda: not self.running(), 5, 'the end of a')
        wait_for(lambda: 'by signal KILL' in self.agent_verb('status', 'a').out, 10,
                 lambda: self.agent_verb('status', 'a').out)
        self.assertEqual(self.activity(code=IN_SYNC)['a'][0], self.conditions()['a'])
        self.agent_verb('status', 'a', code=NOT_CONVERGED)

    def test_the_end_before(self):
        """Of one that was killed and runs again `explain` says how it ended."""
        self.roster({'a': self.agent('a', restart={'delay': '100ms'})})
        self.apply()
        first = self.wait_agents(['a'])['a']
        os.kill(first.pid, signal.SIGKILL)
        if self.supervisor == 'direct':
            wait_for(lambda: not self.running(), 5, 'the end of a')
            self.apply()
        wait_for(lambda: self.fleet('explain', 'a').code == IN_SYNC and self.running()['a'].key != first.key, 10, 'a again')
        self.assertRegex(self.fleet('explain', 'a').out, r'last end +.+ ago: .+, killed KILL\n')
        end = self.fleet_json('explain', 'a', code=IN_SYNC)['agent']['last_end']
        self.assertEqual((end['code'], end['status']), ('killed', 'KILL'))

    def test_status_while_the_manager_hangs(self):
        if self.supervisor == 'direct':
            return
        self.up()
        managers = [p for p in self.bed.processes() if p.comm == 'systemd']
        for p in managers:
            os.kill(p.pid, signal.SIGSTOP)
        try:
            r = self.agent_verb('status', code=UNKNOWN)
            self.assertRegex(r.out, r'(?m)^a +unreachable')
            self.assertRegex(r.out, r'\(exit 6\)$')
        finally:
            for p in managers:
                os.kill(p.pid, signal.SIGCONT)

    def test_status_costs_little(self):
        """However many agents: one listing and one client for all screens."""
        names = ['n%d' % i for i in range(12)]
        self.up(*names)
        self.bed.mkdir('bin')
        real = subprocess.run(['which', 'tmux'], capture_output=True, text=True, check=True).stdout.strip()
        self.bed.write('bin/tmux', '#!/bin/sh\necho "$*" >>"$HOME/clients"\nexec %s "$@"\n' % real, 0o755)
        self.agent_verb('status', env={'PATH': self.bed.home + '/bin:/usr/bin:/bin'}, code=IN_SYNC)
        self.assertEqual(len(self.bed.read('clients').splitlines()), 2)

    def test_status_watch(self):
        self.up()
        r = self.agent_verb('status', '--watch', code=USAGE)
        self.assertIn('--json', r.err)
        self.agent_verb('status', '--watch', '--interval', '10ms', code=USAGE)
        # One document per line, over a stop.
        p = self.bed.popen([self.program, 'agent', 'status', '--watch', '--interval', '500ms', '--json'])
        self.addCleanup(self.end, p)
        self.assertEqual(json.loads(p.stdout.readline())['agents'][0]['agent']['condition'], 'running')
        self.fleet('stop', 'a', code=IN_SYNC)
        wait_for(lambda: json.loads(p.stdout.readline())['agents'][0]['agent']['condition'] == 'held', 10, 'held')
        p.terminate()
        p.wait(5)
        # A terminal is drawn again.
        p, fd = self.bed.pty([self.program, 'agent', 'status', '--watch', '--interval', '500ms'], env={'TERM': 'xterm'})
        try:
            text = b''
            deadline = time.monotonic() + 10
            while text.count(b'\x1b[H\x1b[2J') < 3:
                self.assertLess(time.monotonic(), deadline, text)
                if select.select([fd], [], [], 0.2)[0]:
                    text += os.read(fd, 4096)
            os.write(fd, b'\x03')
            p.wait(5)
        finally:
            os.close(fd)


class ViewsDirect(Views, Fleet):
    supervisor = 'direct'


class ViewsSystemd(Views, Fleet):
    supervisor = 'systemd'


if __name__ == '__main__':
    harness.main()
