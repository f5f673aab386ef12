#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the controller writes into a real journal: fields and ids as docs/reference/journal.md says, and
nothing where nothing happened."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess

import harness
from harness import ROOT, Fleet, skip, wait_for
from watching import Controller

JOURNALD = '/lib/systemd/systemd-journald'
SETUP = '''
mount -t tmpfs tmpfs /run/systemd
mount -t tmpfs tmpfs /run/log
mkdir /run/systemd/journald.conf.d
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nForwardToSyslog=no\\n' \
        >/run/systemd/journald.conf.d/test.conf
exec "$1"
'''


class Journaled(Controller):
    """A controller as a unit has it: its output is the journal's, and $JOURNAL_STREAM says so. It runs where
    the journal can be seen; what else it sees is the machine as it is."""

    def __init__(self, fleet, journald):
        self.fleet = fleet
        self.path = self.errors = os.devnull
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.connect('/proc/%d/root/run/systemd/journal/stdout' % journald)
        stream.sendall(b'mosaic\n\n6\n0\n0\n0\n0\n')
        st = os.fstat(stream.fileno())
        bed = fleet.bed
        self.process = subprocess.Popen(
            ['nsenter', '--mount=/proc/%d/ns/mnt' % journald, 'setpriv', '--reuid', str(bed.uid), '--regid',
             str(bed.gid), '--clear-groups', fleet.program, 'fleet', 'watch'],
            stdin=subprocess.DEVNULL, stdout=stream.fileno(), stderr=stream.fileno(), start_new_session=True,
            cwd=bed.home, env=bed.env({'JOURNAL_STREAM': '%d:%d' % (st.st_dev, st.st_ino)}))
        stream.close()
        self.pid = self.process.pid  # both become the program
        fleet.addCleanup(self.end)


class Journal(Fleet):
    supervisor = 'direct'

    def setUp(self):
        super().setUp()
        if not os.path.exists(JOURNALD) or not shutil.which('journalctl'):
            skip('journald', 'there is no systemd-journald')
        self.journald = subprocess.Popen(
            ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', SETUP, 'sh', JOURNALD],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.addCleanup(self.end_journald)
        here = '/proc/%d/root/run/systemd/journal/' % self.journald.pid
        wait_for(lambda: self.journald.poll() is not None or
                 (os.path.exists('/proc/%d/root/run/systemd/journald.conf.d/test.conf' % self.journald.pid) and
                  os.path.exists(here + 'stdout') and os.path.exists(here + 'socket')), 20, 'journald is up')
        if self.journald.poll() is not None:
            skip('journald', 'it does not run here: %s' % self.journald.stdout.read().decode(), permitted=True)

    def end_journald(self):
        self.journald.kill()
        self.journald.wait()
        self.journald.stdout.close()

    def entries(self, word=None):
        r = subprocess.run(['journalctl', '-D', '/proc/%d/root/run/log/journal' % self.journald.pid, '-o', 'json',
                            '--no-pager', 'MOSAIC_FLEET=default'] + (['MOSAIC_EVENT=' + word] if word else []),
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return [json.loads(line) for line in r.stdout.splitlines()]

    def wait_entry(self, word, **fields):
        def found():
            return [e for e in self.entries(word) if all(fields[k] == e.get(k) for k in fields)]
        wait_for(found, 20, lambda: 'an entry %s %r\n%s' % (word, fields, json.dumps(self.entries(), indent=1)))
        return found()[-1]

    def test_fields(self):
        self.roster({'a': self.agent('a'), 'x': self.agent(
            'x', 'crasher', restart={'delay': '100ms', 'attempts': 2, 'window': '1m'})})
        c = Journaled(self, self.journald.pid)
        self.wait_entry('started')
        self.wait_entry('roster', MOSAIC_REASON='accepted')
        e = self.wait_entry('action', MOSAIC_AGENT='a')
        self.assertEqual((e['MOSAIC_ACTION'], e['MOSAIC_OUTCOME'], e['PRIORITY']), ('create', 'done', '5'))
        e = self.wait_entry('crash', MOSAIC_AGENT='x')
        self.assertEqual((e['PRIORITY'], e['SYSLOG_IDENTIFIER']), ('3', 'mosaic'))
        self.assertIn('\n    | ', e['MESSAGE'])
        self.roster(['a'])
        self.wait_entry('action', MOSAIC_AGENT='x', MOSAIC_ACTION='remove', MOSAIC_OUTCOME='done')
        c.wait_converged()

        self.bed.write('.config/mosaic/fleet/roster.yaml', 'version: 1\nagents: [\n', 0o600)
        e = self.wait_entry('refused', MOSAIC_REASON='invalid')
        self.assertIn('roster.yaml:', e['MESSAGE'])
        os.kill(c.pid, signal.SIGUSR1)
        state = self.wait_entry('state')
        self.assertEqual(json.loads(state['MESSAGE'])['pid'], c.pid)

        # Nothing happens, so nothing is said, however often it looks.
        before = len(self.entries())
        for _ in range(3):
            c.ask()
        self.assertEqual(len(self.entries()), before)
        c.kill(signal.SIGTERM)
        self.wait_entry('stopped')

        # Every entry bears the id that the reference gives its event, and is about this fleet.
        with open(os.path.join(ROOT, 'docs/reference/journal.md'), encoding='utf-8') as f:
            ids = dict(re.findall(r'^\| `(\w+)` \| `([0-9a-f]{32})` \|', f.read(), flags=re.M))
        for e in self.entries():
            self.assertEqual(e['MESSAGE_ID'], ids[e['MOSAIC_EVENT']], e)
            self.assertEqual(e['_UID'], str(self.bed.uid))


if __name__ == '__main__':
    harness.main()
