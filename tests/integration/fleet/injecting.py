# SPDX-License-Identifier: MIT
"""Which system calls a sweep makes fail, and with what: for strace, which does it."""

import collections
import re

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
