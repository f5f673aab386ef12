#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each system call of `apply`, of a controller's pass and of `agent send` fails once, or is the moment at which the
process is killed (strace injects it): afterwards the same command does all of it, nothing is doubled, nothing lies
about. Of `apply` also two calls in one run."""

import collections
import os
import random
import re
import shutil
import signal
import subprocess

import harness
from harness import INVALID, IN_SYNC, PENDING, UNKNOWN, wait_for
from sweep_sending import SweepSending
from sweeping import ALL, Sweep, plain, sample, seed
from watching import Controller

# What a call fails with: the errors that machines do give. Others get ENOMEM.
ERRORS = {
    'openat': ('EMFILE', 'EACCES', 'EIO'), 'open': ('EMFILE', 'EACCES', 'EIO'),
    'read': ('EIO', 'EINTR'), 'pread64': ('EIO',), 'getdents64': ('EIO',), 'readlink': ('EACCES',),
    'readlinkat': ('EACCES',), 'newfstatat': ('EACCES', 'EIO'), 'fstat': ('EIO',), 'statx': ('EIO',), 'access': ('EACCES',),
    'faccessat2': ('EACCES',), 'write': ('ENOSPC', 'EINTR', 'EIO'), 'pwrite64': ('ENOSPC',), 'writev': ('ENOSPC',),
    'ftruncate': ('EIO',), 'fchmod': ('EPERM',), 'fsync': ('EIO', 'ENOSPC'), 'syncfs': ('EIO',), 'rename': ('ENOSPC', 'EACCES'),
    'renameat': ('ENOSPC', 'EACCES'), 'mkdir': ('ENOSPC', 'EACCES'), 'unlink': ('EACCES',), 'unlinkat': ('EACCES',),
    'rmdir': ('EACCES',), 'flock': ('EINTR', 'ENOLCK'), 'fcntl': ('EINTR', 'ENOLCK'), 'socket': ('EMFILE',),
    'connect': ('EAGAIN', 'ECONNREFUSED', 'EINTR'), 'bind': ('EACCES',), 'setsockopt': ('EINVAL',), 'getsockopt': ('EINVAL',),
    'sendto': ('EPIPE', 'ENOBUFS'), 'sendmsg': ('EPIPE', 'ENOBUFS'), 'recvfrom': ('ECONNRESET', 'EINTR'),
    'recvmsg': ('ECONNRESET', 'EINTR'), 'poll': ('EINTR', 'ENOMEM'), 'ppoll': ('EINTR', 'ENOMEM'), 'pipe2': ('EMFILE',),
    'clone3': ('EAGAIN',), 'clone': ('EAGAIN',), 'vfork': ('EAGAIN',), 'pidfd_open': ('EMFILE', 'ENOSYS'),
    'wait4': ('EINTR',), 'epoll_create1': ('EMFILE',), 'epoll_wait': ('EINTR',),
    'epoll_ctl': ('ENOSPC',), 'timerfd_create': ('EMFILE',), 'signalfd4': ('EMFILE',), 'inotify_init1': ('EMFILE',),
    'inotify_add_watch': ('ENOSPC',), 'ioctl': ('ENOTTY',), 'prctl': ('EINVAL',), 'close_range': ('ENOSYS',),
    'kill': ('EPERM',), 'pidfd_send_signal': ('EPERM',), 'getrandom': ('EAGAIN',),
}
# Calls that cannot fail, or not here: close() that fails has closed all the same, and who does not wait is not interrupted.
NOT_FAILED = {'close', 'exit_group', 'exit', 'execve', 'rt_sigreturn', 'restart_syscall', 'brk', 'munmap', 'waitid', 'getpid', 'getppid',
              'gettid', 'getuid', 'geteuid', 'getgid', 'getegid', 'umask', 'futex', 'rt_sigprocmask', 'rt_sigaction',
              'mprotect', 'madvise'}
# Where these fail, a file may lie there as after a kill: it cannot be removed, or what was started is not waited for and
# killed.
LEAVES = ('unlink', 'unlinkat', 'rmdir', 'poll', 'ppoll')
# The first call that is behind the dynamic loader: main() sets the locale.
BEHIND_LOADER = '/locale'
LINE = re.compile(r'(?:(\d+) +)?(\w+)\((.*)')


def calls_of(log, behind=True):
    """Per process, in the order of their first call: for each call its name and the number it has among its kind."""
    counts, found, begun = {}, {}, set()
    for line in log.splitlines():
        m = LINE.match(line)
        if not m or m.group(2) == 'resumed':
            continue
        pid, name = m.group(1) or '', m.group(2)
        counts.setdefault(pid, collections.Counter())[name] += 1
        if BEHIND_LOADER in line or not behind:
            begun.add(pid)
        if pid in begun:
            found.setdefault(pid, []).append((name, counts[pid][name]))
    return found


def points_of(calls):
    """'CALL:error=E:when=N' for each of the calls, and a kill at each."""
    points = []
    for name, n in calls:
        for error in () if name in NOT_FAILED else ERRORS.get(name, ('ENOMEM',)):
            points.append('%s:error=%s:when=%d' % (name, error, n))
        points.append('%s:signal=KILL:when=%d' % (name, n))
    return list(dict.fromkeys(points))


APPLY = ['fleet', 'apply', '--yes']
# Two faults in one run: so many pairs in the suite `soak`; there are a million.
PAIRS = 500


class Calls(Sweep):
    def setUp(self):
        super().setUp()
        if not shutil.which('strace'):
            harness.skip('strace', 'not installed')

    @staticmethod
    def inject(*points):
        """What strace is told; two points must be of different calls."""
        if not points:
            return []
        return ['-e', 'trace=' + ','.join(p.split(':')[0] for p in points)] + [
            word for p in points for word in ('-e', 'inject=' + p)]

    def strace(self, points, argv, log='calls.log', **more):
        """The program under strace; its exit code is the program's."""
        r = self.bed.run(['strace', '-o', self.bed.path_of(log)] + self.inject(*points) + [self.program] + argv, **more)
        self.results.append(r)
        return r

    def n_hit(self, path='calls.log'):
        """How many of the faults there were: what a run does depends on its time, and on the first fault."""
        said = self.bed.read(path) or ''
        return said.count('INJECTED') + said.count('killed by SIGKILL')

    def points_of_apply(self, prepare):
        self.bring_up(self.names)
        prepare()
        self.strace([], APPLY)
        self.assertEqual(self.results[-1].code, 0)
        return points_of(calls_of(self.bed.read('calls.log'))[''])

    def one(self, name, prepare, points):
        """One run with one fault or two, and what must be so after it."""
        whom, before = prepare(), self.starts_of_all()
        r = self.strace(points, APPLY)
        n_hit = self.n_hit()
        if any(':signal=' in p for p in points) and r.code == -signal.SIGKILL:
            pass
        elif r.code == INVALID and 'roster-unreadable' in r.err:
            pass
        elif r.code not in (0, 1, 3, 4, 6, 7):
            self.violations.append('exit code %d' % r.code)
        elif r.code and not (r.err + r.out).strip():
            self.violations.append('exit code %d without a word' % r.code)
        if r.code == IN_SYNC and self.fleet('plan').code != IN_SYNC:
            self.violations.append('exit code 0, and then %r' % self.results[-1])
        self.afterwards(before, whom, any(':signal=' in p or p.startswith(LEAVES) for p in points))
        if self.n_judged % 10 == 9:
            self.check_guards()
        self.judge('%s %s' % (name, ' '.join(points)), r)
        return n_hit

    def sweep(self, name, prepare, n):
        points = self.points_of_apply(prepare)
        chosen = sample(points, n, name)
        print('# %s: %d points, %d of them' % (name, len(points), len(chosen)), flush=True)
        n_hit = sum(self.one(name, prepare, [p]) for p in chosen)
        print('# %d of %d were reached' % (n_hit, len(chosen)))
        self.assertGreater(n_hit, len(chosen) // 2)
        self.conclude()


class CallsDirect(Calls):
    supervisor = 'direct'

    def test_apply_cold(self):
        self.sweep('apply direct, cold', self.cold, 40)

    def test_apply_a_change(self):
        self.sweep('apply direct, a change', self.change, 20)

    def test_apply_two_faults(self):
        """A fault and, in the same run, another one of another call."""
        points = self.points_of_apply(self.change)
        dice = random.Random('%s pairs' % seed())
        pairs = []
        while len(pairs) < PAIRS:
            pair = dice.sample(points, 2)
            if pair[0].split(':')[0] != pair[1].split(':')[0]:
                pairs.append('+'.join(pair))
        chosen = sample(pairs, 8, 'pairs')
        hits = collections.Counter(self.one('two faults', self.change, p.split('+')) for p in chosen)
        print('# two faults: %d pairs; of %d both happened, of %d one' % (len(chosen), hits[2], hits[1]))
        self.assertGreater(hits[1] + hits[2], len(chosen) // 2)
        self.conclude()

    def test_plan(self):
        """What cannot be read is not taken for something that is not there: the plan is as else, or says what it lacks."""
        argv = ['fleet', 'plan']
        self.bring_up(self.names)
        self.change()
        good = self.strace([], argv)
        self.assertEqual(good.code, PENDING)
        points = [p for p in points_of(calls_of(self.bed.read('calls.log'))['']) if ':error=' in p]
        chosen = sample(points, 25, 'plan')
        print('# plan: %d points, %d of them' % (len(points), len(chosen)), flush=True)
        for point in chosen:
            r = self.strace([point], argv)
            same = (r.code, plain(r.out)) == (good.code, plain(good.out))
            owned = any(words in r.out for words in ('cannot be told', 'cannot tell', 'could not be started again'))
            # A process that only others may look at is none of ours.
            others = '/proc/' in ''.join(line for line in self.bed.read('calls.log').splitlines() if '(INJECTED)' in line)
            if not same and not owned and not (others and ('=EACCES' in point or '=EPERM' in point)) and r.code not in (
                    1, UNKNOWN) and not (r.code == INVALID and 'roster-unreadable' in r.err):
                self.violations.append('another plan')
            self.judge('plan %s' % point, r, lambda: self.bed.read('calls.log'))
        self.conclude()

    def attach(self, pid, *points):
        """strace on a controller that runs already, and on the passes it begins; not on what these start."""
        inject = self.inject(*points)
        path = self.bed.path_of('pass.log')
        if os.path.exists(path):
            os.unlink(path)
        p = subprocess.Popen(['strace', '-f', '-b', 'execve', '-o', path, '-p', str(pid)] + inject, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = p.stderr.readline()
        if b'attached' not in said:
            p.wait()
            self.assertGreater(self.n_judged, 0, 'strace cannot attach: %s' % said.decode().strip())
            return None, path  # it is at its end just now
        return p, path

    @staticmethod
    def detach(p):
        # Asked to end it would first wait for each process, of which one may wait for another that is stopped.
        p.kill()
        p.stderr.read()
        p.wait(10)
        p.stderr.close()

    def is_done(self, c, passes):
        f = c.file()
        return c.process.poll() is not None or (f and f['pid'] == c.pid and f['passes'] > passes and any(
            x['type'] == 'Converged' and x['reason'] == 'in_sync' for x in f['conditions']))

    def controller(self):
        c = Controller(self)
        c.wait_converged()
        return c

    def test_pass(self):
        self.bring_up(self.names)
        c = self.controller()
        passes = c.file()['passes']
        tracer, path = self.attach(c.pid)
        self.change()
        wait_for(lambda: self.is_done(c, passes) and self.starts('b') > 1, 15, c.describe)
        self.detach(tracer)
        calls = calls_of(self.bed.read(path), behind=False)
        points = list(dict.fromkeys(p for one in calls.values() for p in points_of(one)))
        chosen = sample(points, 25, 'pass')
        print('# pass: %d processes, %d points, %d of them' % (len(calls), len(points), len(chosen)), flush=True)
        n_ended = 0
        for k, point in enumerate(chosen):
            wait_for(lambda: self.is_done(c, 0), 15, c.describe)
            if c.process.poll() is not None:
                c = self.controller()
            passes, before = c.file()['passes'], self.starts_of_all()
            tracer, path = self.attach(c.pid, point)
            if not tracer:
                c.process.wait(10)
                c = self.controller()
                passes = c.file()['passes']
                tracer, path = self.attach(c.pid, point)
            whom = self.change()
            try:
                # Each pass is a process whose calls are counted anew, so one pass only. It heals by itself, which takes
                # as long as the controller leaves a source that cannot be read alone: else it is asked.
                wait_for(lambda: self.n_hit(path) or self.is_done(c, passes), 15, c.describe)
                self.detach(tracer)
                if not ALL and c.process.poll() is None:
                    os.kill(c.pid, signal.SIGHUP)
                wait_for(lambda: self.is_done(c, passes) and (
                    c.process.poll() is not None or self.starts('b') > before['b']), 40, c.describe)
            except harness.Failed as e:
                self.violations.append(str(e))
            code = c.process.poll()
            if code is not None:
                n_ended += 1
                if code != (-signal.SIGKILL if ':signal=' in point else 1):
                    self.violations.append('the controller ended with %d' % code)
                if code == 1 and not c.said().strip():
                    self.violations.append('the controller ended without a word')
            self.afterwards(before, whom, ':signal=' in point or point.startswith(LEAVES))
            if k % 10 == 9:
                self.check_guards()
            self.judge('pass %s' % point, self.results[-1], c.describe)
        self.assertEqual(c.process.poll() is None and c.end() or 0, 0)
        print('# the controller ended %d times' % n_ended)
        self.conclude()


class CallsSystemd(Calls):
    supervisor = 'systemd'

    def test_apply_a_change(self):
        self.sweep('apply systemd, a change', self.change, 20)

    def test_apply_cold(self):
        self.sweep('apply systemd, cold', self.cold, 12)


class CallsSend(Calls, SweepSending):
    supervisor = 'direct'

    def test_send(self):
        argv = ['agent', 'send', 'web', '-', '--timeout', '2s']
        self.composers('web')
        r = self.strace([], argv, input='first')
        self.assertEqual(r.code, 0, r)
        points = points_of(calls_of(self.bed.read('calls.log'))[''])
        chosen = sample(points, 6, 'send')
        print('# send: %d points, %d of them' % (len(points), len(chosen)), flush=True)
        n_hit = 0
        for k, point in enumerate(chosen):
            text = 'message %d' % k
            r = self.strace([point], argv, input=text)
            n_hit += self.n_hit()
            self.after_send(text, r, r.code == -signal.SIGKILL and ':signal=' in point,
                            may_leave=':signal=' in point or point.startswith(LEAVES))
            self.judge('send %s' % point, r, lambda: self.bed.read('calls.log'))
        print('# %d of %d were reached' % (n_hit, len(chosen)))
        self.assertGreater(n_hit, len(chosen) // 2)
        self.conclude()


if __name__ == '__main__':
    harness.main()
