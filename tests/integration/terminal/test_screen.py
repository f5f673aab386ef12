#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The terminal an agent gets is clean, whatever the one before and the keyboard left in it, and it is a
terminal like any other: job control, sizes, full-screen programs, people who attach and detach."""

import json
import os
import signal
import sys
import termios
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import terminal
from terminal import Client, Fleet, alive, wait_for

FLAGS = ('alternate_on', 'cursor_flag', 'insert_flag', 'keypad_cursor_flag', 'keypad_flag',
         'mouse_all_flag', 'mouse_any_flag', 'mouse_button_flag', 'mouse_sgr_flag',
         'mouse_standard_flag', 'mouse_utf8_flag', 'origin_flag', 'scroll_region_upper',
         'scroll_region_lower', 'wrap_flag')
CLEAN = dict(alternate_on='0', cursor_flag='1', insert_flag='0', keypad_cursor_flag='0',
             keypad_flag='0', mouse_all_flag='0', mouse_any_flag='0', mouse_button_flag='0',
             mouse_sgr_flag='0', mouse_standard_flag='0', mouse_utf8_flag='0', origin_flag='0',
             scroll_region_upper='0', scroll_region_lower='23', wrap_flag='1')

# Leaves the terminal as badly as it can, then says so and waits to be killed.
SPOILER = '''
import fcntl, os, signal, sys, tty
tty.setraw(0)
fcntl.fcntl(0, fcntl.F_SETFL, os.O_RDWR | os.O_NONBLOCK)
os.write(1, sys.argv[1].encode().decode('unicode_escape').encode('latin1'))
open(sys.argv[2], 'w').close()
signal.pause()
'''

# Writes down what the terminal is like, copies what it reads, untranslated.
PROBE = '''
import fcntl, json, os, sys, termios
state = termios.tcgetattr(0)
state[6] = [c[0] if isinstance(c, bytes) else c for c in state[6]]
with open(sys.argv[1] + '.new', 'w') as f:
    json.dump({'termios': state, 'flags': fcntl.fcntl(0, fcntl.F_GETFL)}, f)
os.rename(sys.argv[1] + '.new', sys.argv[1])
print('PROBE', flush=True)
while True:
    line = sys.stdin.buffer.readline()
    if not line:
        break
    print('READ', repr(line), flush=True)
'''


class Screen(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(self.fleet.close)
        self.fleet.start_server()

    def flags(self, name='web'):
        values = self.fleet.show(name, ' '.join('#{%s}' % n for n in FLAGS)).split(' ')
        return dict(zip(FLAGS, values))

    def spoil(self, text):
        """An agent that prints @text (escaped) and is then killed."""
        f = self.fleet
        done = os.path.join(f.root, 'spoilt-%d' % f.next_number())
        agent = f.launch('web', [sys.executable, '-I', f.write('spoiler.py', SPOILER), text, done])
        agent.wait_ready()
        wait_for(lambda: os.path.exists(done), 'the terminal is spoilt', 20, agent.messages)
        # tmux has read it all once it has drawn this
        agent.kill()
        self.assertEqual(agent.wait_end(), -signal.SIGKILL)

    def probe(self):
        f = self.fleet
        out = os.path.join(f.root, 'probe')
        agent = f.launch('web', [sys.executable, '-I', f.write('probe.py', PROBE), out]).wait_ready()
        f.wait_screen('web', 'PROBE')
        with open(out) as file:
            return agent, json.load(file)

    # --- reset

    def test_modes_and_line_discipline_are_reset(self):
        f = self.fleet
        self.spoil(r'one\r\ntwo\r\n\x1b[?1049h\x1b[?1000h\x1b[?1002h\x1b[?1003h\x1b[?1005h\x1b[?1006h'
                   r'\x1b[?1004h\x1b[?2004h\x1b[?1h\x1b=\x1b[?25l\x1b[4h\x1b[5;10r\x1b[?6h\x1b[?7l'
                   r'\x1b(0\x0e\x1b[31;7m\x1b[>4;2m\x1b[3 qIN THE ALTERNATE SCREEN')
        wait_for(lambda: self.flags()['wrap_flag'] == '0', 'tmux has seen it all', show=self.flags)
        spoilt = self.flags()
        for name in ('alternate_on', 'mouse_any_flag', 'insert_flag', 'origin_flag', 'keypad_flag'):
            self.assertEqual(spoilt[name], '1', name)
        _, seen = self.probe()
        self.assertEqual(self.flags(), CLEAN)
        iflag, oflag, cflag, lflag, _, _, cc = seen['termios']
        self.assertEqual(iflag, termios.BRKINT | termios.ICRNL | termios.IMAXBEL | termios.IXON |
                         0o40000)  # IUTF8
        self.assertEqual(oflag, termios.OPOST | termios.ONLCR)
        self.assertEqual(cflag & (termios.CSIZE | termios.CREAD | termios.PARENB),
                         termios.CS8 | termios.CREAD)
        self.assertEqual(lflag, termios.ISIG | termios.ICANON | termios.IEXTEN | termios.ECHO |
                         termios.ECHOE | termios.ECHOK | termios.ECHOCTL | termios.ECHOKE)
        for index, value in ((termios.VINTR, 3), (termios.VERASE, 0x7f), (termios.VEOF, 4),
                             (termios.VSUSP, 26), (termios.VMIN, 1), (termios.VTIME, 0)):
            self.assertEqual(cc[index], value)
        self.assertEqual(seen['flags'] & os.O_NONBLOCK, 0)
        # the text of before is there, that of the alternate screen is not, and nothing is drawn in red
        # or as line drawing
        self.assertEqual(f.screen('web').split('\n')[:3], ['one', 'two', 'PROBE'])
        self.assertNotIn('\x1b[', f.tmux('capture-pane', '-p', '-e', '-t', '=web:'))

    def test_bracketed_paste_and_focus_are_off(self):
        f = self.fleet
        self.spoil(r'\x1b[?2004h\x1b[?1004h')
        self.probe()
        f.tmux('set-buffer', '-b', 'x', 'pasted\n')
        f.tmux('paste-buffer', '-p', '-b', 'x', '-t', '=web:')
        f.wait_screen('web', "READ b'pasted\\n'")

    def test_mouse_encodings_one_by_one(self):
        for mode, flag in ((1000, 'mouse_standard_flag'), (1002, 'mouse_button_flag'),
                           (1003, 'mouse_all_flag'), (1005, 'mouse_utf8_flag'),
                           (1006, 'mouse_sgr_flag')):
            with self.subTest(mode):
                self.spoil(r'\x1b[?%dh' % mode)
                wait_for(lambda: self.flags()[flag] == '1', flag)
                agent, _ = self.probe()
                self.assertEqual(self.flags(), CLEAN)
                agent.kill()
                agent.wait_end()

    def test_cursor_stays_after_the_text(self):
        """Output goes on where it ended, whatever was drawn and left before."""
        f = self.fleet
        cases = [
            r'alpha\r\nbeta\r\n',
            # in the alternate screen when killed
            r'alpha\r\nbeta\r\n\x1b[?1049h\x1b[20;40Hdrawn',
            # was in it, left it in order, wrote on: the saved position is an old one
            r'\x1b[?1049h\x1b[?1049lalpha\r\nbeta\r\n',
            # scroll region and origin mode: resetting either moves the cursor
            r'\x1b[1;5ralpha\r\nbeta\r\n',
            r'\x1b[?6h\x1b[3;9r\x1b[?6lalpha\r\nbeta\r\n',
            # cursor was saved elsewhere
            r'\x1b7alpha\r\nbeta\r\n',
        ]
        for i, text in enumerate(cases):
            with self.subTest(text):
                marker = 'case%d' % i
                self.spoil(r'\x1b[H\x1b[2J' + text.replace('alpha', marker))
                agent, _ = self.probe()
                lines = f.screen('web').split('\n')
                at = [n for n, line in enumerate(lines) if marker in line]
                self.assertEqual(len(at), 1, lines)
                self.assertEqual([line.strip() for line in lines[at[0]:at[0] + 3]],
                                 [marker, 'beta', 'PROBE'], lines)
                agent.kill()
                agent.wait_end()

    def test_nothing_is_cleared(self):
        f = self.fleet
        self.spoil(r'\r\n'.join('line %d' % i for i in range(100)) + r'\r\n')
        self.probe()
        lines = f.screen('web', history=True).split('\n')
        self.assertEqual(lines[:101], ['line %d' % i for i in range(100)] + ['PROBE'])

    def test_half_written_sequences(self):
        for half in (r'\x1b[', r'\x1b]0;title', r'\x1bP1$r', r'\x1b_x', r'\x1bk', r'\xe4\xb8', r'\x1b'):
            with self.subTest(half):
                self.spoil(r'\x1b[H\x1b[2J\x1b[?1049hstart ' + half)
                agent, _ = self.probe()
                self.assertEqual(self.flags(), CLEAN)
                agent.kill()
                agent.wait_end()

    def test_stopped_output_goes_on(self):
        """Somebody pressed ^S: the next agent is not stuck."""
        f = self.fleet
        agent, _ = self.probe()
        f.keys('web', 'C-s')
        f.type('web', 'hidden')
        agent.kill()
        agent.wait_end()
        self.probe()
        f.type('web', 'visible')
        f.wait_screen('web', "READ b'visible\\n'")

    # --- input of before

    def test_input_typed_while_dead_is_dropped(self):
        f = self.fleet
        canary = os.path.join(f.root, 'canary')
        for raw in (False, True):
            for lines in (1, 4000):
                with self.subTest(raw=raw, lines=lines):
                    if raw:
                        self.spoil('')
                    else:
                        agent, _ = self.probe()
                        agent.kill()
                        agent.wait_end()
                    payload = ('touch %s\n' % canary) * lines
                    f.tmux('load-buffer', '-b', 'x', f.write('payload', payload))
                    f.tmux('paste-buffer', '-r', '-d', '-b', 'x', '-t', '=web:')
                    f.keys('web', 'C-c', 'C-d', 'C-z')
                    agent = f.launch('web', ['bash', '--norc', '-i'], env=['PS1=go> ']).wait_ready()
                    f.wait_screen('web', 'go>')
                    f.type('web', 'clear; echo a""live')
                    f.wait_screen('web', 'alive')
                    self.assertFalse(os.path.exists(canary))
                    agent.kill()
                    agent.wait_end()

    # --- a terminal like any other

    def bash(self):
        agent = self.fleet.launch('web', ['bash', '--norc', '-i'], env=['PS1=go> ']).wait_ready()
        self.fleet.wait_screen('web', 'go>')
        return agent

    def foreground(self, agent):
        group = terminal.foreground_group(agent.pid)
        try:
            return terminal.cmdline(group)[0] if alive(group) else b''
        except (FileNotFoundError, ProcessLookupError, IndexError):
            return b''

    def test_job_control(self):
        f = self.fleet
        agent = self.bash()
        f.type('web', 'sleep 1000')
        wait_for(lambda: self.foreground(agent) == b'sleep', 'sleep is in the foreground')
        f.keys('web', 'C-c')
        wait_for(lambda: self.foreground(agent) == b'bash', 'the shell is back')
        f.type('web', 'echo ended=$?')
        f.wait_screen('web', 'ended=130')
        f.type('web', 'sleep 1001')
        wait_for(lambda: self.foreground(agent) == b'sleep', 'sleep is in the foreground')
        f.keys('web', 'C-z')
        f.wait_screen('web', 'Stopped')
        f.type('web', 'jobs; fg')
        wait_for(lambda: self.foreground(agent) == b'sleep', 'sleep goes on')
        self.assertEqual(f.show('web', '#{pane_current_command}'), 'sleep')
        f.keys('web', 'C-c')
        f.type('web', 'exit 7')
        self.assertEqual(agent.wait_end(), 7)

    def test_end_of_file_and_quit(self):
        f = self.fleet
        agent = self.bash()
        f.type('web', 'cat; echo cat=$?')
        wait_for(lambda: self.foreground(agent) == b'cat', 'cat runs')
        f.keys('web', 'C-d')
        f.wait_screen('web', 'cat=0')

    def test_resize(self):
        f = self.fleet
        out = os.path.join(f.root, 'sizes')
        script = f.write('size.py', (
            'import os, signal, sys\n'
            'def show(*_):\n'
            '    s = os.get_terminal_size(0)\n'
            '    open(sys.argv[1], "a").write("%dx%d\\n" % (s.columns, s.lines))\n'
            'signal.signal(signal.SIGWINCH, show)\n'
            'show()\n'
            'while True: signal.pause()\n'))

        def sizes():
            try:
                with open(out) as file:
                    return file.read().split()
            except FileNotFoundError:
                return []

        agent = f.launch('web', [sys.executable, '-I', script, out]).wait_ready()
        wait_for(lambda: sizes() == ['80x24'], 'first size', show=sizes)
        f.tmux('resize-window', '-t', '=web:', '-x', '100', '-y', '40')
        wait_for(lambda: sizes()[-1] == '100x40', 'size after resize-window', show=sizes)
        f.tmux('set-option', '-w', '-u', '-t', '=web:', 'window-size')
        with Client(f, 'web', 90, 30) as client:
            wait_for(lambda: client.pump() or sizes()[-1] == '90x29', 'size of the client', show=sizes)
            client.resize(70, 20)
            wait_for(lambda: client.pump() or sizes()[-1] == '70x19', 'its new size', show=sizes)
            client.detach()
        self.assertIsNone(agent.process.poll())

    def test_full_screen_program(self):
        f = self.fleet
        text = f.write('text', ''.join('line %d\n' % i for i in range(1, 500)))
        agent = f.launch('web', ['less', text]).wait_ready()
        f.wait_screen('web', 'line 23')
        self.assertEqual(self.flags()['alternate_on'], '1')
        f.keys('web', 'G')
        f.wait_screen('web', 'line 499')
        f.type('web', '?line 250$')
        f.wait_screen('web', 'line 250')
        f.keys('web', 'q')
        self.assertEqual(agent.wait_end(), 0)
        self.assertEqual(self.flags()['alternate_on'], '0')

    def test_curses_and_raw_keys(self):
        f = self.fleet
        script = f.write('curses.py.txt', (
            'import curses\n'
            'def main(s):\n'
            '    curses.raw()\n'
            '    s.addstr(5, 10, "size %d %d colors %d" % (curses.LINES, curses.COLS, curses.COLORS))\n'
            '    while True:\n'
            '        k = s.getkey()\n'
            '        if k == "q": return\n'
            '        s.addstr(7, 10, "key %r " % k); s.refresh()\n'
            'curses.wrapper(main)\n'))
        agent = f.launch('web', [sys.executable, '-I', script]).wait_ready()
        f.wait_screen('web', 'size 24 80 colors 256')
        for key, shown in (('x', "'x'"), ('C-c', r"'\x03'"), ('C-z', r"'\x1a'"), ('Up', 'KEY_UP'),
                           ('C-s', r"'\x13'")):
            f.keys('web', key)
            f.wait_screen('web', 'key ' + ("'KEY_UP'" if key == 'Up' else shown))
        f.keys('web', 'q')
        self.assertEqual(agent.wait_end(), 0)

    def test_attach_type_detach(self):
        f = self.fleet
        agent = self.bash()
        with Client(f, 'web') as client:
            client.write(b'echo from-$((40 + 2))\r')
            client.wait_output(b'from-42')
            client.detach()
        self.assertIsNone(agent.process.poll())
        f.type('web', 'echo after-$$')
        f.wait_screen('web', 'after-%d' % agent.pid)
        with Client(f, 'web') as client:
            client.wait_output(b'after-%d' % agent.pid)

    def test_typing_into_a_pane_without_agent(self):
        """Keys that would signal a process hit neither the keeper nor the holder's pane."""
        f = self.fleet
        agent = f.launch('web', ['sleep', '1000']).wait_ready()
        keeper, holder = f.keeper_pid('web'), f.keeper_pid('_holder')
        agent.kill()
        agent.wait_end()
        for name in ('web', '_holder'):
            f.keys(name, 'C-c', 'C-\\', 'C-z', 'C-d', 'x', 'Enter')
        f.launch('web', ['sleep', '1000']).wait_ready()
        self.assertEqual((f.keeper_pid('web'), f.keeper_pid('_holder')), (keeper, holder))
        self.assertEqual(terminal.stat_fields(holder)[0], 'S')


if __name__ == '__main__':
    terminal.become_subreaper()
    unittest.main()
