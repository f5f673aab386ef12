#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Without a service manager the keeper is the supervisor: it starts the launcher, waits, stops, and leaves
nothing of an agent behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import terminal
from terminal import Fleet, alive, wait_for

IGNORE = "trap '' TERM HUP; while :; do sleep 1000; done"

# TERM is sent first, but a process that finds both pending is shown the lower number.
ENDED = '^Dkilled (TERM|HUP)$'

# Leaves a daemon behind, as far away as one can get: new session, re-parented, signals ignored, and that
# one has children too. The pids go to a file.
DAEMON = '''
import os, signal, sys, time
def fork():
    return os.fork() == 0
if fork():
    os.setsid()
    if fork():
        for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(s, signal.SIG_IGN)
        for n in range(3):
            if not fork():
                break
            os.setsid()
        with open(sys.argv[1], 'a') as f:
            f.write('%d\\n' % os.getpid())
        while True:
            time.sleep(1000)
    os._exit(0)
os.wait()
while True:
    try:
        if len(open(sys.argv[1]).read().split()) == 4:
            break
    except FileNotFoundError:
        pass
    time.sleep(0.005)
if len(sys.argv) > 2:
    sys.exit(int(sys.argv[2]))
time.sleep(1000)
'''


class Direct(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet(supervisor='direct')
        self.addCleanup(self.fleet.close)
        self.fleet.start_server()

    def session(self, name, argv, **more):
        self.fleet.spec(name, argv, **more)
        self.fleet.make_session(name)
        return self.fleet.keeper(name)

    def start(self, keeper):
        answer = keeper.call('S', 30)
        self.assertEqual(answer[0], 'R', answer)
        return int(answer[1:])

    def wait_state(self, name, state):
        def look():
            with self.fleet.keeper(name) as k:
                return k.call('Q').split(' ')[1] == state
        wait_for(look, '%s is %s' % (name, state), 20)

    def wait_record(self, name, **wanted):
        def look():
            record = self.fleet.stop_record(name)
            return record and all(record[k] == v for k, v in wanted.items()) and record
        return wait_for(look, 'a stop record with %s' % wanted,
                        show=lambda: self.fleet.stop_record(name))

    def test_start_query_stop(self):
        f = self.fleet
        with self.session('web', ['bash', '--norc', '-i'], env=['PS1=go> ']) as k:
            self.assertEqual(k.call('Q'), 'Q0 none')
            self.assertEqual(k.call('K1000'), 'Dnone 0')
            pid = self.start(k)
            self.assertEqual(k.call('Q'), 'Q%d running' % pid)
            self.assertEqual(self.start(k), pid)  # a second start: it runs already
            record = f.run_record('web')
            self.assertEqual((record['pid'], record['start_time']), (pid, terminal.start_time(pid)))
            self.assertRegex(record['invocation'], '^[0-9a-f]{32}$')
            f.wait_screen('web', 'go>')
            f.type('web', 'sleep 1000')
            wait_for(lambda: terminal.cmdline(terminal.foreground_group(pid)) == [b'sleep', b'1000'],
                     'a job runs')
            job = terminal.foreground_group(pid)
            self.assertEqual(k.call('K10000'), 'Dkilled HUP')  # bash heeds HUP only
            self.assertFalse(alive(pid) or alive(job))
            self.assertEqual(k.call('Q'), 'Q0 none')
            stop = f.stop_record('web')
            self.assertEqual([stop[n] for n in ('version', 'boot_id', 'invocation', 'result', 'code',
                                                'status')],
                             [1, record['boot_id'], record['invocation'], 'success', 'killed', 'HUP'])
            again = self.start(k)
            self.assertNotEqual(f.run_record('web')['invocation'], record['invocation'])
            f.type('web', 'echo new-$$')
            f.wait_screen('web', 'new-%d' % again)
            self.assertEqual(k.call('K10000'), 'Dkilled HUP')

    def test_terminated_agent_gets_term_once(self):
        f = self.fleet
        out = os.path.join(f.root, 'signals')
        script = f.write('count.py', (
            'import os, signal, sys, time\n'
            'read, write = os.pipe()\n'
            'os.set_blocking(write, False)\n'
            'signal.set_wakeup_fd(write)\n'  # one byte for each delivery
            'for s in (signal.SIGTERM, signal.SIGHUP):\n'
            '    signal.signal(s, lambda *_: None)\n'
            'print("READY", flush=True)\n'
            'got = b""\n'
            'while signal.SIGHUP not in got: got += os.read(read, 100)\n'
            'time.sleep(0.2)\n'
            'os.set_blocking(read, False)\n'
            'try: got += os.read(read, 100)\n'
            'except BlockingIOError: pass\n'
            'open(sys.argv[1], "w").write(repr(sorted(got)))\n'
            'sys.exit(143)\n'))
        with self.session('web', [sys.executable, '-I', script, out],
                          success_exit_status=['143']) as k:
            self.start(k)
            f.wait_screen('web', 'READY')
            self.assertEqual(k.call('K10000'), 'Dexited 143')
            with open(out) as file:
                self.assertEqual(file.read(), '[1, 15]')
            self.assertEqual(f.stop_record('web')['result'], 'success')

    def test_agent_that_ignores_signals(self):
        f = self.fleet
        with self.session('web', ['bash', '-c', IGNORE]) as k:
            pid = self.start(k)
            wait_for(lambda: int(terminal.status_field(pid, 'SigIgn'), 16) & 0x4001 == 0x4001,
                     'the signals are ignored')
            started = time.monotonic()
            k.send('K1000')
            with f.keeper('web') as other:
                self.assertEqual(other.call('Q'), 'Q%d stopping' % pid)
            self.assertEqual(k.receive(10), 'Dkilled KILL')
            self.assertTrue(1.0 <= time.monotonic() - started < 5)
            self.assertFalse(alive(pid))
            self.assertEqual(f.stop_record('web')['result'], 'timeout')
            # the next end is no timeout
            pid = self.start(k)
            os.kill(pid, signal.SIGKILL)
            self.wait_record('web', result='signal', status='KILL')

    def test_second_stop_may_shorten(self):
        with self.session('web', ['bash', '-c', IGNORE]) as k:
            pid = self.start(k)
            wait_for(lambda: int(terminal.status_field(pid, 'SigIgn'), 16) & 0x4001 == 0x4001,
                     'the signals are ignored')
            k.send('K60000')
            with self.fleet.keeper('web') as other:
                self.assertEqual(other.call('K0', 10), 'Dkilled KILL')
            self.assertEqual(k.receive(), 'Dkilled KILL')

    def test_stopped_processes_are_continued(self):
        f = self.fleet
        with self.session('web', ['sleep', '1000']) as k:
            pid = self.start(k)
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: terminal.stat_fields(pid)[0] == 'T', 'it is stopped')
            self.assertRegex(k.call('K20000', 10), ENDED)
            self.assertEqual(f.stop_record('web')['result'], 'success')

    def daemons(self):
        with open(os.path.join(self.fleet.root, 'pids')) as file:
            return [int(p) for p in file.read().split()]

    def test_daemons_end_with_a_stop(self):
        f = self.fleet
        script, out = f.write('daemon.py', DAEMON), os.path.join(f.root, 'pids')
        with self.session('web', [sys.executable, '-I', script, out]) as k:
            self.start(k)
            wait_for(lambda: os.path.exists(out) and len(self.daemons()) == 4, 'the daemons run', 20)
            self.assertEqual([alive(p) for p in self.daemons()], [True] * 4)
            self.assertRegex(k.call('K20000', 10), ENDED)
            self.assertEqual([alive(p) for p in self.daemons()], [False] * 4)

    def test_daemons_end_with_the_agent(self):
        f = self.fleet
        script, out = f.write('daemon.py', DAEMON), os.path.join(f.root, 'pids')
        with self.session('web', [sys.executable, '-I', script, out, '3']) as k:
            self.start(k)
            stop = self.wait_record('web', code='exited', status='3', result='exit-code')
            self.assertEqual(stop['invocation'], f.run_record('web')['invocation'])
            self.assertEqual([alive(p) for p in self.daemons()], [False] * 4)
            self.wait_state('web', 'none')

    def test_orphans_of_a_living_agent_are_reaped(self):
        with self.session('web', ['sh', '-c', '(sleep 0.01 & ) ; (sleep 0.01 &) ; exec sleep 1000']) as k:
            pid = self.start(k)
            keeper = self.fleet.keeper_pid('web')

            def zombies():
                with open('/proc/%d/task/%d/children' % (keeper, keeper)) as file:
                    return file.read().split() == [str(pid)]
            wait_for(zombies, 'the keeper has one child only')
            self.assertEqual(k.call('Q'), 'Q%d running' % pid)

    def test_start_that_fails(self):
        f = self.fleet
        with self.session('web', ['no-such-program']) as k:
            answer = k.call('S', 20)
            self.assertEqual(answer[0], 'F')
            self.assertIn('there is no program no-such-program in PATH', answer)
            self.assertEqual(k.call('Q'), 'Q0 none')
            stop = f.stop_record('web')
            self.assertEqual((stop['result'], stop['code'], stop['status']),
                             ('exit-code', 'exited', '178'))
            script = f.write('script', 'no magic\n', 0o755)
            f.spec('web', [script])  # found, but the exec fails after READY
            answer = k.call('S', 20)
            self.assertEqual(answer[0], 'F')
            self.assertIn('no #! line', answer)
            self.assertIsNone(f.run_record('web'))
            os.unlink(os.path.join(f.state, 'specs', 'web.json'))
            self.assertIn('specs/web.json', k.call('S', 20))
            f.spec('web', ['true'])  # runs and ends at once: that is a start
            self.start(k)
            self.wait_record('web', result='success', code='exited', status='0')

    def test_many_clients_at_once(self):
        f = self.fleet
        with self.session('web', ['sleep', '1000']):
            pass
        answers = []

        def ask(request):
            with f.keeper('web') as k:
                answers.append(k.call(request, 20))

        def all_ask(request, n=15):
            answers.clear()
            threads = [threading.Thread(target=ask, args=(request,)) for _ in range(n)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            return answers

        started = set(all_ask('S'))
        self.assertEqual(len(started), 1)
        self.assertEqual(started, {'R%d' % f.run_record('web')['pid']})
        self.assertEqual(len(set(all_ask('K5000'))), 1)
        self.assertRegex(answers[0], ENDED)

    def test_more_clients_than_places_do_not_keep_the_launcher_out(self):
        f = self.fleet
        with self.session('web', ['sleep', '1000']):
            pass
        clients = [f.keeper('web') for _ in range(60)]
        answers = []
        for k in clients:
            try:
                k.send('S')
            except (BrokenPipeError, ConnectionResetError):
                pass  # its place was given to another
        for k in clients:
            try:
                answers.append(k.receive(20))
            except ConnectionResetError:
                pass
            k.close()
        self.assertEqual(set(answers) - {''}, {'R%d' % f.run_record('web')['pid']})

    def probe(self, request, names, timeout_ms=0):
        out = subprocess.run(
            [os.environ['MOSAIC_KEEPER_PROBE'], self.fleet.runtime, request, str(timeout_ms), *names],
            capture_output=True, text=True, timeout=90, check=True).stdout
        return dict(line.split(' ', 1) for line in out.splitlines())

    def test_client_asks_many_keepers_at_once(self):
        f = self.fleet
        names = ['a%d' % i for i in range(20)]
        for name in names:
            f.spec(name, ['bash', '-c', "trap '' TERM HUP; exec sleep 1000"])
            f.make_session(name)
        f.spec('a7', ['no-such-program'])
        started = self.probe('start', names + ['absent'])
        self.assertIn('error=-2 ', started['absent'])
        self.assertIn('error=-125 ', started['a7'])
        self.assertIn('text=mosaic-launcher: a7: there is no program', started['a7'])
        running = [n for n in names if n != 'a7']
        for name in running:
            self.assertIn('error=0 pid=%d ' % f.run_record(name)['pid'], started[name])
            wait_for(lambda: b'sleep' in terminal.cmdline(f.run_record(name)['pid']), 'sleep')
        asked = self.probe('query', names)
        for name in running:
            self.assertIn('pid=%d state=2' % f.run_record(name)['pid'], asked[name])
        self.assertIn('pid=0 state=0', asked['a7'])
        # all wait for their time-out at the same time, not one after the other
        before = time.monotonic()
        stopped = self.probe('stop', names, 1000)
        self.assertLess(time.monotonic() - before, 6)
        for name in running:
            self.assertIn('end=killed,KILL', stopped[name])
        self.assertIn('end=exited,178', stopped['a7'])

    def test_start_asked_for_while_stopping(self):
        with self.session('web', ['bash', '-c', IGNORE]) as k:
            pid = self.start(k)
            wait_for(lambda: int(terminal.status_field(pid, 'SigIgn'), 16) & 0x4001 == 0x4001,
                     'the signals are ignored')
            k.send('K300')
            with self.fleet.keeper('web') as other:
                wait_for(lambda: other.call('Q').endswith('stopping'), 'it is being stopped')
                again = self.start(other)
            self.assertNotEqual(again, pid)
            self.assertEqual(k.receive(), 'Dkilled KILL')
            self.assertEqual(k.call('Q'), 'Q%d running' % again)

    def test_clients_that_leave(self):
        f = self.fleet
        with self.session('web', ['sleep', '1000']) as k:
            k.send('S')
        self.wait_state('web', 'running')
        with f.keeper('web') as k:
            k.send('K1000')
        self.wait_state('web', 'none')
        self.assertIn(f.stop_record('web')['status'], ('TERM', 'HUP'))

    def test_stop_during_start(self):
        f = self.fleet
        # the launcher waits for an earlier agent that does not go: a start that takes long
        with self.session('old', ['bash', '-c', IGNORE]) as k:
            pid = self.start(k)
            wait_for(lambda: int(terminal.status_field(pid, 'SigIgn'), 16) & 0x4001 == 0x4001,
                     'the signals are ignored')
            record = f.run_record('old')
            with self.session('web', ['sleep', '1000'], stop_timeout_usec=60000000) as w:
                with open(os.path.join(f.runtime, 'run', 'web.json'), 'w') as file:
                    json.dump(record, file)
                w.send('S')
                with f.keeper('web') as other:
                    wait_for(lambda: other.call('Q').endswith('starting'), 'it is starting')
                    f.wait_screen('web', 'ending process %d' % pid)
                    self.assertRegex(other.call('K5000', 10), ENDED)
                self.assertEqual(w.receive()[0], 'F')
            k.call('K0')

    def test_earlier_agent_that_lost_its_pane_is_ended(self):
        """Its keeper was killed, it ignored the hangup: the next start ends it first."""
        f = self.fleet
        with self.session('web', ['bash', '-c', "trap '' TERM HUP; exec sleep 1000"],
                          stop_timeout_usec=200000) as k:
            pid = self.start(k)
            wait_for(lambda: b'sleep' in terminal.cmdline(pid), 'the signals are ignored')
        os.kill(f.keeper_pid('web'), signal.SIGKILL)
        wait_for(lambda: 'web' not in f.sessions(), 'the pane is gone')
        self.assertTrue(alive(pid))
        f.spec('web', ['sleep', '1000'], stop_timeout_usec=200000)
        f.make_session('web')
        with f.keeper('web') as k:
            again = self.start(k)
            self.assertFalse(alive(pid))
            self.assertTrue(alive(again))

    def test_session_killed(self):
        f = self.fleet
        with self.session('web', ['sleep', '1000']) as k:
            pid, keeper = self.start(k), f.keeper_pid('web')
            f.tmux('kill-session', '-t', '=web')
            wait_for(lambda: not alive(keeper), 'the keeper ends')
        self.assertFalse(alive(pid))
        stop = f.stop_record('web')
        self.assertEqual((stop['result'], stop['code'], stop['status']), ('success', 'killed', 'HUP'))
        self.assertFalse(os.path.exists(os.path.join(f.runtime, 'keep', 'web')))

    def test_session_killed_and_agent_ignores_it(self):
        """The old keeper sees its agent out; the new one waits so long, so there are never two agents."""
        f = self.fleet
        with self.session('web', ['bash', '-c', "trap '' TERM HUP; exec sleep 1000"]) as k:
            pid, keeper = self.start(k), f.keeper_pid('web')
            wait_for(lambda: b'sleep' in terminal.cmdline(pid), 'the signals are ignored')
        f.tmux('kill-session', '-t', '=web')
        f.make_session('web')
        with f.keeper('web') as k:
            wait_for(lambda: k.call('Q') == 'Q%d stopping' % pid, 'the old keeper still answers')
            k.send('S')
            self.assertEqual(k.receive(20), 'Fthe pane of this keeper is gone')
        wait_for(lambda: not alive(keeper), 'the old keeper ends', 20)
        self.assertFalse(alive(pid))
        self.assertEqual(f.stop_record('web')['result'], 'timeout')
        f.wait_keeper('web')
        with f.keeper('web') as k:
            self.assertTrue(alive(self.start(k)))

    def test_server_killed(self):
        f = self.fleet
        with self.session('web', ['sleep', '1000']) as k:
            pid, keeper = self.start(k), f.keeper_pid('web')
            f.kill_server()
            wait_for(lambda: not alive(keeper), 'the keeper ends')
        self.assertFalse(alive(pid))

    def test_umask_and_limits_are_the_servers(self):
        f = self.fleet
        with self.session('web', ['sh', '-c', 'umask; ulimit -c; exec sleep 1000']) as k:
            pid = self.start(k)
            f.wait_screen('web', '%04o' % current_umask())
            with open('/proc/%d/limits' % pid) as a, open('/proc/%d/limits' % f.server_pid) as b:
                self.assertEqual(a.read(), b.read())
            self.assertEqual(int(terminal.status_field(pid, 'SigBlk'), 16), 0)
            self.assertEqual(int(terminal.status_field(pid, 'SigIgn'), 16), 0)


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


if __name__ == '__main__':
    terminal.become_subreaper()
    unittest.main()
