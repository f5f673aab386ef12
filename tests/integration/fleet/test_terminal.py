#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An agent's terminal is a real one: job control, signals, size, full screen, and clean after a crash."""

import json
import os
import signal
import time

import harness
from harness import SOCKET, Fleet, wait_for


class Terminal:
    def shows(self, name, text, timeout=10):
        wait_for(lambda: text in self.screen(name), timeout,
                 lambda: '%r on the screen: %r' % (text, self.screen(name)))

    def bash(self):
        runtimes = {**self.runtimes(), 'bash': {'command': ['/bin/bash', '--norc', '--noprofile', '-i']}}
        env = {'PS1': 'ready$ ', 'HISTFILE': '/dev/null'}
        self.roster({'b': self.agent('b', 'bash', env=env)}, runtimes=runtimes)
        self.apply()
        found = self.wait_agents(['b'])
        self.shows('b', 'ready$')
        return found['b']

    def test_interactive_shell(self):
        agent = self.bash()
        self.type('b', 'echo "on:$(tty)" "pane:$TMUX_PANE" "name:$MOSAIC_AGENT"')
        self.shows('b', 'name:b')
        tty = self.tmux('list-panes', '-t', '=b:', '-F', '#{pane_tty} #{pane_id}').out.split()
        self.shows('b', 'on:%s pane:%s' % tuple(tty))
        # Ctrl-C ends the foreground job, not the shell.
        self.type('b', 'sleep 4711; echo "code=$?"')
        wait_for(lambda: any(p.argv == ['sleep', '4711'] for p in self.bed.processes()), what='sleep runs')
        self.tmux('send-keys', '-t', '=b:', 'C-c', check=True)
        wait_for(lambda: not any(p.argv == ['sleep', '4711'] for p in self.bed.processes()), what='sleep ended')
        self.assertTrue(agent.alive())
        # Ctrl-Z stops it, fg brings it back.
        self.type('b', 'sleep 4712')
        job = wait_for(lambda: [p for p in self.bed.processes() if p.argv == ['sleep', '4712']], what='the job')[0]
        self.tmux('send-keys', '-t', '=b:', 'C-z', check=True)
        wait_for(lambda: harness.Process(job.pid).state == 'T', what='the job is stopped')
        self.shows('b', 'Stopped')
        self.type('b', 'fg')
        wait_for(lambda: harness.Process(job.pid).state == 'S', what='the job runs again')
        self.tmux('send-keys', '-t', '=b:', 'C-c', check=True)
        wait_for(lambda: not job.alive(), what='the job ended')
        self.type('b', 'jobs; echo "all $((6*7)) well"')
        self.shows('b', 'all 42 well')
        self.assertEqual(self.running()['b'].key, agent.key)

    def test_size_follows_the_window(self):
        self.bash()
        self.type('b', 'trap \'echo "winch:$(stty size)"\' WINCH; echo "set $((6*7))"')
        self.shows('b', 'set 42')  # a signal before that is nobody's
        self.tmux('resize-window', '-t', '=b:', '-x', '97', '-y', '31', check=True)
        self.type('b', 'echo "now:$(stty size)"')
        self.shows('b', 'now:31 97')
        self.shows('b', 'winch:31 97')

    def test_size_from_the_roster(self):
        self.roster({'a': self.agent('a')}, tmux={'size': '133x37'})
        self.apply()
        self.wait_agents(['a'])
        out = self.tmux('list-panes', '-t', '=a:', '-F', '#{pane_width}x#{pane_height}').out.strip()
        self.assertIn(out, ('133x37', '133x36'))

    def test_full_screen_program(self):
        self.bash()
        self.bed.write('long', '\n'.join('line %d' % i for i in range(500)))
        self.type('b', 'LESS= TERM=$TERM less ~/long')
        wait_for(lambda: self.tmux('display-message', '-p', '-t', '=b:', '#{alternate_on}').out.strip() == '1',
                 what='the alternate screen')
        self.type('b', 'G', enter=False)
        self.shows('b', 'line 499')
        self.type('b', 'q', enter=False)
        wait_for(lambda: self.tmux('display-message', '-p', '-t', '=b:', '#{alternate_on}').out.strip() == '0',
                 what='the main screen again')
        self.type('b', 'echo "back $((1+1))"')
        self.shows('b', 'back 2')

    def flags(self, name):
        return self.tmux('display-message', '-p', '-t', '=%s:' % name,
                         '#{alternate_on} #{mouse_any_flag}#{mouse_standard_flag}#{mouse_sgr_flag} #{cursor_flag} '
                         '#{keypad_cursor_flag}#{keypad_flag} #{scroll_region_upper}').out.strip()

    def test_terminal_is_reset_after_a_crash(self):
        before = self.bring_up({'s': self.agent('s', 'screen')})
        self.shows('s', 'full is up')
        self.assertEqual(self.flags('s')[:5], '1 111'[:5], self.flags('s'))
        self.bed.write('screen-mode', 'plain')
        session = self.sessions()['s']
        os.kill(before['s'].pid, signal.SIGKILL)
        wait_for(lambda: not before['s'].alive(), what='its end')
        if self.supervisor == 'direct':
            self.apply()
        self.wait_agents(['s'])
        self.shows('s', 'plain is up')
        self.assertEqual(self.sessions()['s'], session)
        self.assertEqual(self.flags('s'), '0 000 1 00 0')
        stty = self.bed.read('stty')
        for word in ('icanon', 'echo', 'isig', 'icrnl', 'opost', 'onlcr', 'ixon'):
            self.assertRegex(stty, r'(?<![-\w])%s\b' % word)
        self.type('s', 'hello')
        self.shows('s', 'got hello')

    def test_what_was_typed_at_a_dead_agent_is_not_executed(self):
        before = self.bash()
        self.fleet('stop', 'b', code=0)
        self.assertFalse(before.alive())
        self.type('b', 'touch ~/PWN1')
        self.type('b', 'touch ~/PWN2', enter=False)
        self.fleet('start', 'b', code=0)
        self.wait_agents(['b'])
        wait_for(lambda: self.screen('b').rstrip().endswith('ready$'), 10, lambda: self.screen('b'))
        self.type('b', 'echo "sum $((40+2))"')
        self.shows('b', 'sum 42')
        self.assertFalse([f for f in os.listdir(self.bed.home) if f.startswith('PWN')])

    def test_two_launchers(self):
        before = self.bring_up(['a', 'b'])
        self.wait_up('a')
        script = self.launcher_command('a')
        for _ in range(3):
            r = self.bed.run(script, timeout=40)
            self.assertNotEqual(r.code, 0, 'a second launcher got in: %r' % r)
            self.assertTrue(r.err.strip(), 'it does not say why')
        self.assertEqual(self.pids(), {n: p.key for n, p in before.items()})
        self.assertEqual([self.starts('a'), self.starts('b')], [1, 1])
        self.type('a', 'still mine')
        self.shows('a', 'got still mine')
        self.in_sync()

    def test_attach_and_detach(self):
        before = self.bring_up(['a'])
        self.wait_up('a')
        for _ in range(2):
            client, fd = self.bed.pty(['tmux', '-N', '-L', SOCKET, 'attach', '-t', '=a:'])
            wait_for(lambda: self.tmux('list-clients').out, what='a client')
            os.write(fd, b'typed by hand\r')
            self.shows('a', 'got typed by hand')
            os.write(fd, b'\x02d')
            client.wait(5)
            os.close(fd)
            self.tmux('clear-history', '-t', '=a:')
        self.assertEqual(self.pids(), {'a': before['a'].key})
        self.in_sync()

    def test_no_signal_is_ignored_or_blocked(self):
        agent = self.bring_up(['a'])['a']
        self.wait_up('a')
        with open('/proc/%d/status' % agent.pid) as f:
            masks = dict(l.split(':\t') for l in f.read().splitlines() if l.startswith('Sig'))
        # In particular not SIGPIPE, which systemd has ignored in services: `yes | head` must end quietly.
        ours = ~(1 << 31 | 1 << 32)  # 32 and 33 are glibc's own; its posix_spawn() leaves them ignored
        self.assertEqual((int(masks['SigIgn'], 16) & ours, int(masks['SigBlk'], 16)), (0, 0))

    def test_what_an_agent_is_born_with(self):
        agents = {'d': self.agent('d', 'dump', args=['one', 'two three', '', '$HOME', '#{{pid}'],
                                  env={'GREETING': 'good day; $(id) "%h"', 'EMPTY': ''})}
        self.roster(agents, defaults={'env_pass': ['PATH', 'LANG']})
        self.apply()
        self.wait_agents(['d'])
        wait_for(lambda: self.bed.read('dump/d.json'), what='the dump')
        d = json.loads(self.bed.read('dump/d.json'))
        self.assertEqual(d['argv'], ['one', 'two three', '', '$HOME', '#{pid}'])
        self.assertEqual(d['cwd'], self.bed.home + '/work/d')
        self.assertEqual(d['tty'], [True, True, True])
        self.assertEqual(d['fds'], [0, 1, 2])
        self.assertTrue(d['leader'] and d['foreground'])
        self.assertEqual(d['blocked'], [])
        env = d['env']
        self.assertEqual((env['GREETING'], env['EMPTY']), ('good day; $(id) "%h"', ''))
        self.assertEqual((env['HOME'], env['USER'], env['LOGNAME']),
                         (self.bed.home, self.bed.name, self.bed.name))
        self.assertIn(self.bed.tmux_dir + '/' + SOCKET, env['TMUX'])
        self.assertRegex(env['TMUX_PANE'], r'^%\d+$')
        allowed = {'HOME', 'USER', 'LOGNAME', 'SHELL', 'PATH', 'LANG', 'TERM', 'TMUX', 'TMUX_PANE', 'MOSAIC_AGENT',
                   'MOSAIC_HOME', 'GREETING', 'EMPTY', 'LC_CTYPE'}
        self.assertEqual(set(env) - allowed, set(), 'something else got through')


class TerminalSystemd(Terminal, Fleet):
    def launcher_command(self, name):
        exec_start = self.show(self.unit(name), 'ExecStart')['ExecStart']
        words = exec_start.split('argv[]=')[1].split(' ;')[0].split()
        environment = self.show(self.unit(name), 'Environment')['Environment'].split()
        return ['env'] + environment + words


class TerminalDirect(Terminal, Fleet):
    supervisor = 'direct'

    def launcher_command(self, name):
        with open('/proc/%d/environ' % self.keeper(name), 'rb') as f:
            env = [e.decode() for e in f.read().split(b'\0') if e.startswith(b'MOSAIC_')]
        return ['env'] + env + [self.opt + '/libexec/mosaic/mosaic-launcher', name]


if __name__ == '__main__':
    harness.main()
