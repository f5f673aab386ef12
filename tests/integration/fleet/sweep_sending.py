# SPDX-License-Identifier: MIT
"""What must hold after a fault in `agent send`: the message is submitted once, or the exit code says that it was not, or
that nobody can tell."""

from sweeping import Sweep
from talk import DOWN, NOT_READY, PERSON, REFUSED, SUBMITTED, UNCERTAIN, Talk

ERROR = 1


class SweepSending(Sweep, Talk):
    names = ('web',)

    def setUp(self):
        super().setUp()
        self.n_sent = 0
        self.outcomes = {}

    def is_empty(self):
        """Nothing stands in the input box, and no message waits in tmux."""
        return '\n> \n' in self.screen('web').replace(' \n', '\n').replace('\n>\n', '\n> \n') and not self.buffers()

    def after_send(self, text, r, killed, may_leave=False):
        """@r: how the send of @text ended; @killed: it could say nothing. What it left in the box stops the next sender,
        who says so, and else the next message arrives."""
        if not killed:
            if r.code not in (SUBMITTED, ERROR, PERSON, DOWN, UNCERTAIN, NOT_READY, REFUSED):
                self.violations.append('exit code %d' % r.code)
            elif r.code and not (r.out + r.err).strip():
                self.violations.append('exit code %d without a word' % r.code)
            if r.code == REFUSED and 'roster-unreadable' not in r.err:
                self.violations.append('the message or the roster is refused')
        after = 'after %d' % self.n_sent
        self.n_sent += 1
        d = self.send('web', after, '--timeout', '2s', code=(SUBMITTED, PERSON))
        left = d['result'] == 'refused'
        if left:
            self.steer('web', 'clear')
            self.send('web', after)
        bodies = self.bodies('web')
        n = bodies.count(text.encode())
        if n > 1 or (n and left):
            self.violations.append('submitted %d times%s' % (n, ', and it is in the box' if left else ''))
        if not killed and (n != 1 if r.code == SUBMITTED else n and r.code != UNCERTAIN):
            self.violations.append('submitted %d times, exit code %d' % (n, r.code))
        if not killed and left and r.code != UNCERTAIN:
            self.violations.append('typed and left, exit code %d' % r.code)
        if bodies.count(after.encode()) != 1:
            self.violations.append('the next message came %d times' % bodies.count(after.encode()))
        if self.buffers():
            self.violations.append('buffers are left: %s' % self.buffers())
        files = self.check_tree(self.left)
        if may_leave:
            self.left |= files
        else:
            self.violations += ['%s is left' % path for path in files]
        what = 'submitted' if n else 'typed' if left else 'nothing'
        outcome = '%s, exit %s' % (what, 'killed' if killed else r.code)
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def conclude(self):
        print('# outcomes: %s' % ', '.join('%s: %d' % o for o in sorted(self.outcomes.items())))
        self.wait_box('web')
        bodies = self.bodies('web')
        self.assertEqual(len(bodies), len(set(bodies)))
        self.assertEqual(self.n_bad, 0)
