#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""However the roster is saved, the controller takes the last whole save, and never half of one."""

import hashlib
import os
import shutil
import signal
import statistics
import time

import harness
from harness import BLOCKED, INVALID, Fleet, wait_for
from watching import Controller

ROSTER = '.config/mosaic/fleet/roster.yaml'
VIM = shutil.which('vim') or shutil.which('vim.tiny')


class Edits(Fleet):
    supervisor = 'direct'  # what is asked here does not depend on who supervises

    def setUp(self):
        super().setUp()
        self.number = 0
        self.path = self.bed.path_of(ROSTER)
        self.text = self.roster(['a', 'b'])
        self.controller = None

    def watch(self, *args, **more):
        self.controller = Controller(self, *args, **more)
        self.controller.wait_converged()
        self.before = self.wait_agents(['a', 'b'])
        return self.controller

    def sh(self, script, *args, **more):
        return self.bed.run(['sh', '-euc', script, 'sh'] + list(args), check=True, cwd=self.bed.home, **more)

    def new_text(self, body=None):
        """The next roster: one that differs in a comment."""
        self.number += 1
        text = '%s# save %d\n' % (body or self.text, self.number)
        self.bed.write('new.yaml', text, 0o600)
        return self.bed.path_of('new.yaml')

    def sha256(self):
        with open(self.path, 'rb') as f:
            return hashlib.sha256(f.read()).hexdigest()

    def taken_events(self, sha256):
        """Waits until a pass told that it took this content: agents run before the pass that starts them is told."""
        def said():
            return [e for e in self.controller.events('pass')
                    if e['roster']['is_new'] and e['roster']['sha256'] == sha256]
        wait_for(said, 10, self.controller.describe)
        return said()

    def taken(self, what=''):
        """Waits until the file as it is now is in force. Returns the time from its last change."""
        want = self.sha256()
        wait_for(lambda: self.controller.file().get('roster_sha256') == want, 10,
                 lambda: '%s is taken\n%s' % (what, self.controller.describe()))
        changed = max(os.stat(self.path).st_ctime, os.lstat(self.path).st_ctime)
        at = [e['at_usec'] / 1e6 for e in self.controller.events('pass')
              if e['roster']['sha256'] == want and e['roster']['is_new']]
        self.assertEqual({n: p.key for n, p in self.running().items()},
                         {n: p.key for n, p in self.before.items()}, what)
        return at[-1] - changed if at else None

    # --- ways to save; each ends with the file having another content ---

    def save_append(self):
        self.number += 1
        self.sh('printf "# save %s\\n" "$1" >>"$2"', str(self.number), self.path)

    def save_cp(self):
        self.sh('cp "$1" "$2"', self.new_text(), self.path)

    def save_sed(self):
        self.number += 1
        self.sh('sed -i "1i # save $1" "$2"', str(self.number), self.path)

    def save_mv(self):
        self.sh('cp "$1" "$2.tmp"; mv -f "$2.tmp" "$2"', self.new_text(), self.path)

    def vim(self, copy):
        self.number += 1
        # In a file of its own: on the command line it would meet the user's settings first.
        self.bed.write('save.vim', 'set nocompatible writebackup backupcopy=%s\nnormal Go# save %d\nwq\n' % (
            copy, self.number))
        self.bed.run([VIM, '-u', 'NONE', '-n', '-es', '-S', self.bed.path_of('save.vim'), self.path], check=True)

    def save_vim_copy(self):
        self.vim('yes')

    def save_vim_rename(self):
        self.vim('no')

    def save_nano(self):
        self.number += 1
        p, terminal = self.bed.pty(['nano', '-I', self.path], env={'TERM': 'xterm'})
        try:
            self.until(terminal, b'\x1b[?2004h')
            os.write(terminal, b'# save %d\r\x0f' % self.number)   # ^O
            self.until(terminal, b'Write')
            os.write(terminal, b'\r')
            self.until(terminal, b'Wrote')
            os.write(terminal, b'\x18')                            # ^X
            wait_for(lambda: self.drain(terminal) is not None and p.poll() is not None, 10, 'nano ends')
        finally:
            os.close(terminal)

    @staticmethod
    def drain(terminal):
        try:
            return os.read(terminal, 65536)
        except (BlockingIOError, OSError):
            return b''

    def until(self, terminal, word):
        seen = bytearray()

        def there():
            seen.extend(self.drain(terminal))
            return word in seen
        wait_for(there, 10, lambda: '%r in %r' % (word, bytes(seen[-400:])))

    def save_emacs(self):
        self.number += 1
        self.bed.run(['emacs', '-Q', '--batch', self.path, '--eval',
                      '(progn (goto-char (point-max)) (insert "# save %d\\n") (save-buffer))' % self.number],
                     check=True)

    def save_ed(self):
        self.number += 1
        self.bed.run(['ed', '-s', self.path], input='$a\n# save %d\n.\nw\nq\n' % self.number, check=True)

    def save_rsync(self):
        self.sh('rsync -c "$1" "$2"', self.new_text(), self.path)

    def save_rsync_inplace(self):
        self.sh('rsync -c --inplace "$1" "$2"', self.new_text(), self.path)

    def save_git(self):
        """Another branch is checked out over the directory."""
        self.sh('''cd "${2%/*}"; export GIT_CONFIG_GLOBAL=/dev/null
            git init -q .; git add -A; git -c user.name=t -c user.email=t@t commit -qm one
            git checkout -q -b two; cp "$1" roster.yaml; git add -A
            git -c user.name=t -c user.email=t@t commit -qm two; git checkout -q -''',
                self.new_text(), os.path.realpath(self.path))
        self.controller.wait_passes(0)
        self.sh('cd "${1%/*}"; git checkout -q two; rm -rf .git', os.path.realpath(self.path))

    def save_delete_and_create(self):
        self.sh('rm "$2"; cat "$1" >"$2"', self.new_text(), self.path)

    # --- layouts ---

    def lay_plain(self):
        pass

    def lay_link(self):
        self.sh('mkdir -p dotfiles; mv "$1" dotfiles/mosaic.yaml; ln -s "$PWD/dotfiles/mosaic.yaml" "$1"', self.path)

    def lay_double_link(self):
        self.sh('''cd "${1%/*}"; mkdir ..one; mv roster.yaml ..one/; ln -s ..one ..data
            ln -s ..data/roster.yaml roster.yaml''', self.path)

    def matrix(self, layout):
        getattr(self, 'lay_' + layout)()
        self.watch()
        times = {}
        for name in sorted(n for n in dir(self) if n.startswith('save_')):
            getattr(self, name)()
            t = self.taken('%s, %s' % (layout, name))
            if t is not None and name != 'save_git':
                times[name[5:]] = t
        print('# %s: from the save to its acceptance, ms: %s' % (layout, ', '.join(
            '%s %.0f' % (n, 1000 * t) for n, t in times.items())))
        self.assertLess(statistics.median(times.values()), 0.3)
        self.assertIsNone(self.fleet_json('status')['refused'])

    def test_plain_file(self):
        self.matrix('plain')

    def test_link_into_another_directory(self):
        self.matrix('link')

    def test_double_link(self):
        self.matrix('double_link')

    def test_double_link_is_swapped(self):
        """As the kubelet does it: the event's name is not the roster's."""
        self.lay_double_link()
        self.watch()
        for i in range(3):
            self.sh('''cd "${2%/*}"; mkdir ..new; cp "$1" ..new/roster.yaml; ln -s ..new ..tmp
                mv -T ..tmp ..data; rm -rf ..old; mv ..new "..next$3"; ln -s "..next$3" ..tmp; mv -T ..tmp ..data''',
                    self.new_text(), self.path, str(i))
            self.taken('swap')

    def test_target_replaced_in_another_directory(self):
        self.lay_link()
        self.watch()
        self.sh('cp "$1" dotfiles/x; mv dotfiles/x dotfiles/mosaic.yaml', self.new_text())
        self.taken()

    def test_directory_replaced(self):
        self.watch()
        fleet = os.path.dirname(self.path)
        for how in ('mv "$1" "$1.old"; mkdir "$1"; cp "$2" "$1/roster.yaml"; rm -rf "$1.old"',
                    'rm -rf "$1"; mkdir "$1"; cp "$2" "$1/roster.yaml"',
                    'mkdir "$1.new"; cp "$2" "$1.new/roster.yaml"; mv -T --exchange "$1.new" "$1" 2>/dev/null ||'
                    ' { mv "$1" "$1.old"; mv "$1.new" "$1"; }'):
            self.sh(how, fleet, self.new_text())
            self.taken(how)

    def test_absent_at_the_start(self):
        """No roster, no directory, not even the home's parent: it waits for them."""
        text = self.text
        self.sh('rm -rf .config/mosaic')
        self.controller = c = Controller(self)
        c.wait_condition('RosterAccepted', 'home_gone')
        self.sh('mkdir -p .config/mosaic/fleet')
        c.wait_condition('RosterAccepted', 'missing')
        self.assertEqual(self.running(), {})
        self.bed.write(ROSTER, text, 0o600)
        self.wait_agents(['a', 'b'])
        c.wait_converged()

    def test_home_vanishes(self):
        """Nothing is changed while it is gone; all is well when it is back."""
        c = self.watch()
        self.sh('mv .config/mosaic .config/away')
        c.wait_condition('RosterAccepted', 'home_gone')
        os.kill(self.before['a'].pid, signal.SIGKILL)
        for _ in range(3):
            c.ask()
        self.assertEqual(set(self.running()), {'b'})
        self.assertIn('home', self.fleet('status', code=BLOCKED).err)
        self.sh('mv .config/away .config/mosaic')
        self.wait_agents(['a', 'b'])
        c.wait_converged()
        self.assertEqual(self.running()['b'].key, self.before['b'].key)

    def test_home_vanishes_in_words(self):
        """What was in force a moment ago is not said to have never been."""
        path = self.bed.path_of('said')
        with open(path, 'wb') as out:
            self.bed.popen([self.program, 'fleet', 'watch'], stdout=out)
        self.wait_agents(['a', 'b'])
        self.sh('mv .config/mosaic .config/away')
        wait_for(lambda: 'the Mosaic home is gone' in (self.bed.read('said') or ''), 15, lambda: self.bed.read('said'))
        self.assertNotIn('in force', self.bed.read('said'))

    # --- what must not be taken ---

    def refused(self, reason, act):
        """The last accepted roster stays in force, is said so, and the next good save clears it."""
        act()
        c = self.controller
        c.wait_condition('RosterAccepted', reason)
        self.assertEqual({n: p.key for n, p in self.running().items()},
                         {n: p.key for n, p in self.before.items()})
        r = self.fleet('status', code=INVALID)
        self.assertIn('stays in force', r.out)
        self.assertIn('RosterAccepted', r.out)
        self.assertIn('a ', r.out)
        # It heals, too.
        os.kill(self.running()['a'].pid, signal.SIGKILL)
        wait_for(lambda: self.pids().get('a', self.before['a'].key) != self.before['a'].key, 15,
                 lambda: 'a is back\n' + self.controller.describe())
        self.before = self.wait_agents(['a', 'b'])
        shutil.rmtree(self.path) if os.path.isdir(self.path) else self.sh('rm -f "$1"', self.path)
        self.sh('cp "$1" "$2"', self.new_text(), self.path)
        self.taken(reason)
        c.wait_condition('RosterAccepted', 'accepted')
        self.fleet('status', code=(0, 2))

    def test_invalid(self):
        self.watch()
        self.refused('invalid', lambda: self.bed.write(ROSTER, self.text + 'nonsense: [\n', 0o600))
        self.assertTrue(any('roster.yaml:' in (e['roster']['message'] or '')
                            for e in self.controller.events('pass')))

    def test_empty(self):
        self.watch()
        self.refused('invalid', lambda: self.bed.write(ROSTER, '', 0o600))

    def test_vanished(self):
        self.watch()
        self.refused('missing', lambda: os.unlink(self.path))

    def test_unreadable(self):
        self.watch()
        self.refused('unreadable', lambda: os.chmod(self.path, 0))

    def test_no_file(self):
        self.watch()

        def fifo():
            self.sh('rm "$1"; mkfifo "$1"', self.path)

        def directory():
            self.sh('rm "$1"; mkdir "$1"', self.path)
        self.refused('unreadable', fifo)
        self.refused('unreadable', directory)

    def test_slow_writer(self):
        """Every prefix that ends at a line is a valid roster with fewer agents; none is taken."""
        names = ['a', 'b'] + ['n%d' % i for i in range(6)]
        self.watch()
        text = self.roster(names)  # written whole
        self.wait_agents(names)
        self.taken_events(self.sha256())
        self.controller.wait_converged()
        before = self.pids()
        known = set(e['roster']['sha256'] for e in self.controller.events('pass'))
        self.bed.write('next.yaml', text + '# slow\n', 0o600)
        self.sh('''python3 -c '
import sys, time
text = open(sys.argv[1]).read()
with open(sys.argv[2], "w") as f:
    for line in text.splitlines(True):
        f.write(line); f.flush(); time.sleep(0.06)
' "$1" "$2"''', self.bed.path_of('next.yaml'), self.path, timeout=120)
        want = self.sha256()
        wait_for(lambda: self.controller.file()['roster_sha256'] == want, 10, self.controller.describe)
        taken = {e['roster']['sha256'] for e in self.controller.events('pass') if e['roster']['is_new']}
        self.assertEqual(taken - known, {want}, 'half of a save was taken')
        self.assertEqual(self.pids(), before)

    def test_kept_open(self):
        """A program that never closes the file does not keep it from being taken for ever."""
        self.watch()
        new = self.new_text()
        p = self.bed.popen(['sh', '-c', 'exec 9>>"$1"; cat "$2" >"$1"; exec sleep 60', 'sh', self.path, new])
        want = hashlib.sha256(open(new, 'rb').read()).hexdigest()
        wait_for(lambda: self.controller.file()['roster_sha256'] == want, 20, self.controller.describe)
        p.kill()
        p.wait()

    # --- removals ---

    def test_removals_wait(self):
        c = self.watch()
        self.roster(['a'])
        saved = time.monotonic()
        c.wait_converged(reason='pending')
        self.assertEqual(set(self.running()), {'a', 'b'})
        wait_for(lambda: set(self.running()) == {'a'}, 20, c.describe)
        self.assertGreaterEqual(time.monotonic() - saved, 5)
        c.wait_converged()
        self.in_sync()

    def test_removals_are_capped(self):
        c = self.watch()
        names = ['a', 'b', 'c', 'd', 'e', 'f']
        self.roster(names)
        self.before = self.wait_agents(names)
        self.roster(['a'])
        c.wait_converged(reason='blocked', timeout=20)
        time.sleep(5.5)  # longer than it waits for a roster to settle
        c.ask()
        self.assertEqual({n: p.key for n, p in self.running().items()},
                         {n: p.key for n, p in self.before.items()})
        self.assertIn('--allow-remove', self.fleet('status', code=3).out)
        self.apply('--allow-remove', '5')
        self.wait_agents(['a'])
        c.wait_converged()

    # --- much, and little ---

    def test_storm(self):
        """A thousand saves: few passes, the last save counts."""
        c = self.watch()
        passes = c.file()['passes']
        began = time.monotonic()
        self.sh('''i=0; while [ $i -lt 1000 ]; do i=$((i+1)); { cat "$1"; echo "# $i"; } >"$2.tmp"
            mv "$2.tmp" "$2"; done''', self.new_text(), self.path)
        took = time.monotonic() - began
        self.taken()
        n = c.file()['passes'] - passes
        print('# 1000 saves in %.1f s: %d passes' % (took, n))
        self.assertLess(n, 4 + 6 * took)

    def test_overflow(self):
        """The kernel's queue overflows while the controller is stopped: nothing is lost for good."""
        c = self.watch()
        os.kill(c.pid, signal.SIGSTOP)
        try:
            limit = int(open('/proc/sys/fs/inotify/max_queued_events').read())
            self.sh('''python3 -c '
import os, sys
d = os.path.dirname(sys.argv[1])
for i in range(int(sys.argv[2])):
    for n in ("x", "y"):
        open(d + "/" + n, "w").close()
' "$1" "$2"''', self.path, str(limit // 2), timeout=120)
            self.save_cp()
        finally:
            os.kill(c.pid, signal.SIGCONT)
        self.taken()

    def test_no_inotify(self):
        """Where the kernel refuses, it looks by itself, says so, and goes back when it may."""
        limit = int(open('/proc/sys/fs/inotify/max_user_instances').read())
        hog = self.bed.popen(['python3', '-c', '''
import ctypes, sys, time
libc = ctypes.CDLL(None)
n = 0
while libc.inotify_init1(0) >= 0:
    n += 1
print(n, flush=True)
time.sleep(600)
'''])
        if not hog.stdout.readline().strip().isdigit() or limit > 100000:
            hog.kill()
            self.skipTest('the limit cannot be reached')
        c = self.watch()
        self.assertEqual(c.condition('WatchingFiles')['reason'], 'degraded')
        self.assertIn('WatchingFiles', self.fleet('status').out)
        self.save_mv()
        self.taken()
        # Nor does a removal become quicker because of it.
        self.roster(['a'])
        saved = time.monotonic()
        os.kill(c.pid, signal.SIGHUP)
        wait_for(lambda: set(self.running()) == {'a'}, 20, c.describe)
        self.assertGreaterEqual(time.monotonic() - saved, 4.9)
        self.text = self.roster(['a', 'b'])
        self.before = self.wait_agents(['a', 'b'])
        hog.kill()
        hog.wait()
        c.wait_condition('WatchingFiles', 'inotify')
        self.save_mv()
        self.taken()


if __name__ == '__main__':
    harness.main()
