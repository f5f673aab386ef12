# SPDX-License-Identifier: MIT
"""What the scenarios about messages share: fleets of test composers, what was submitted to them, and steering."""

import json
import os
import subprocess

import harness
from harness import Fleet, wait_for

SUBMITTED, PERSON, DOWN, UNCERTAIN, NOT_READY, USAGE, REFUSED = 0, 3, 4, 6, 7, 64, 65

CHECKER = os.environ.get('MOSAIC_CHECK_JSON') or os.path.join(os.path.dirname(harness.PROGRAM),
                                                              'tests/integration/check-json')

# What the test composer looks like, as a runtime's data would say it.
TALK = {
    'composer': {'pattern': '─{8,}\\n> $', 'rest': '^\\n─{8,}', 'misreads': '(?:\\\\|@[^\\s@]*+)\\z'},
    'busy': {'pattern': 'esc to interrupt'},
    'waiting': {'pattern': 'Do you want to proceed'},
    'ready': {'pattern': '^> ', 'timeout': '10s'},
    'reset': {'keys': '/new', 'settle': '100ms'},
}


class Talk(Fleet):
    """Agents of the runtime `composer`."""

    def setUp(self):
        super().setUp()
        self.bed.mkdir('composer')

    def runtimes(self):
        known = super().runtimes()
        known['composer'].update(TALK)
        return known

    def composers(self, *names, **more):
        """Brings them up, and waits until each shows its empty box."""
        agents = {n: self.agent(n, 'composer', **more) for n in names}
        self.bring_up(agents)
        if 'args' not in more:
            for n in names:
                self.wait_box(n)
        return agents

    def visit(self, name):
        """Somebody attaches, and goes."""
        client, fd = self.bed.pty(['tmux', '-N', '-L', harness.SOCKET, 'attach', '-t', '=%s:' % name])
        try:
            wait_for(lambda: self.tmux('list-clients').out.strip(), 10, lambda: 'the client')
            self.tmux('detach-client', '-s', '=' + name, check=True)
            client.wait(10)
        finally:
            os.close(fd)
        wait_for(lambda: not self.tmux('list-clients').out.strip(), 10, lambda: 'nobody')

    def wait_box(self, name, timeout=15):
        wait_for(lambda: '\n> \n' in self.screen(name).replace(' \n', '\n').replace('\n>\n', '\n> \n'), timeout,
                 lambda: 'the box of %s; screen: %r' % (name, self.screen(name)))

    # --- the program ---

    def agent_verb(self, *args, **more):
        return self.mosaic('agent', *args, **more)

    def document(self, r, schema):
        """What it printed, held against its schema."""
        checked = subprocess.run([CHECKER, os.path.join(harness.ROOT, 'schema', schema)], input=r.out, capture_output=True,
                                 text=True)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ''), r.out)
        d = json.loads(r.out)
        self.assertEqual(d['summary']['exit'], r.code)
        return d

    def send(self, name, text, *args, code=SUBMITTED, **more):
        """Over standard input. Returns its document."""
        data = text if isinstance(text, bytes) else text.encode()
        r = self.agent_verb('send', name, '-', '--json', *args, code=code, input=data, **more)
        return self.document(r, 'agent-send.schema.json')

    # --- the agent's side ---

    def records(self, name):
        text = self.bed.read('composer/%s.jsonl' % name) or ''
        return [json.loads(line) for line in text.splitlines()]

    def texts(self, name):
        """What was submitted, as bytes."""
        return [r['text'].encode('utf-8', 'surrogateescape') for r in self.records(name) if 'text' in r]

    def bodies(self, name):
        """The same without the label lines."""
        return [t.partition(b'\n')[2] for t in self.texts(name)]

    def steer(self, name, command):
        """Has the composer do something, and waits until it did."""
        before = sum('did' in r for r in self.records(name))
        with open(os.path.join(self.bed.home, 'composer/%s.ctl' % name), 'w') as f:
            f.write(command + '\n')
        if command.split()[0] not in ('pager', 'shell', 'exit'):
            wait_for(lambda: sum('did' in r for r in self.records(name)) > before, 10, lambda: command)

    def buffers(self):
        return self.tmux('list-buffers', '-F', '#{buffer_name}').out.split()

    def log(self):
        text = self.bed.read('.local/state/mosaic/default/sends.jsonl') or ''
        return [json.loads(line) for line in text.splitlines()]
