#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real agents against a model server on loopback: what `send` types is what the model is asked, byte for byte and once.

pi is installed with npm into the build directory where neither $MOSAIC_TEST_RUNTIMES/pi nor one in PATH is there; the
others are tried where $MOSAIC_TEST_RUNTIMES/NAME has them (`npm install --prefix $MOSAIC_TEST_RUNTIMES/NAME PACKAGE`)."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

import harness
from harness import Fleet, skip, wait_for
import talk
from model_server import Server

RUNTIMES = os.environ.get('MOSAIC_TEST_RUNTIMES', '')
KEEP = os.path.join(os.path.dirname(harness.PROGRAM), 'runtimes')


def text_of(n, seed):
    rnd = random.Random(seed)
    words = []
    while sum(map(len, words)) + len(words) < n:
        words.append(''.join(rnd.choice('abcdefghij "\'`$#{}*[]();&|<>é漢😀') for _ in range(rnd.randrange(2, 12))).strip() or 'x')
    lines = [' '.join(words[i:i + 9]) for i in range(0, len(words), 9)]
    return '\n'.join(lines)[:n].strip() + ' end'


PAYLOADS = ('hello', 'two\nlines', 'ends with ;', '!touch no', '/new is text here', 'quit', '漢字 é 😀', '- dash', 'a \\ inside',
            '```\ncode  {x: 1}\n```', '#{pane_id} $(id) `id` %1') + tuple(text_of(n, n) for n in (100, 1000, 10_000, 100_000))


class Real:
    """One agent `web` of the runtime; derive from this and talk.Talk."""
    runtime = None
    package = None
    supervisor = 'systemd'
    patience = 60

    @classmethod
    def setUpClass(cls):
        cls.program_of = cls.find()
        super().setUpClass()
        # A copy: the bed's user cannot read everywhere.
        cls.home_of = os.path.join(cls.opt, 'runtime')
        subprocess.run(['cp', '-a', cls.program_of, cls.home_of], check=True)
        subprocess.run(['chmod', '-R', 'a+rX', cls.home_of], check=True)
        cls.bin = os.path.join(cls.home_of, 'node_modules/.bin')

    @classmethod
    def find(cls):
        for folder in (os.path.join(RUNTIMES, cls.runtime) if RUNTIMES else '', os.path.join(KEEP, cls.runtime)):
            if folder and os.path.exists(os.path.join(folder, 'node_modules/.bin', cls.runtime)):
                return folder
        if not cls.package:
            skip(cls.runtime, 'it is not below $MOSAIC_TEST_RUNTIMES', permitted=True)
        if not shutil.which('npm'):
            skip(cls.runtime, 'there is no npm to install it with', permitted=True)
        version = subprocess.run(['node', '--version'], capture_output=True, text=True).stdout.strip()
        if tuple(map(int, re.findall(r'\d+', version)[:2] or [0])) < (20, 6):
            skip(cls.runtime, 'it needs node 20.6, this is %s' % version, permitted=True)
        folder = os.path.join(KEEP, cls.runtime)
        try:
            r = subprocess.run(['npm', 'install', '--no-audit', '--no-fund', '--prefix', folder, cls.package],
                               capture_output=True, text=True, timeout=300,
                               env={**os.environ, 'npm_config_cache': os.path.join(KEEP, 'npm-cache'),
                                    'npm_config_logs_max': '0', 'npm_config_update_notifier': 'false'})
        except subprocess.TimeoutExpired:
            skip(cls.runtime, 'npm does not install it in 300 s', permitted=True)
        if r.returncode:
            skip(cls.runtime, 'npm cannot install it: %s' % (r.stderr.strip().splitlines() or ['?'])[-1], permitted=True)
        return folder

    def setUp(self):
        super().setUp()
        self.bed.mkdir('work/web')
        self.notes = self.bed.path_of('model.jsonl')
        self.server = Server(self.notes)
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.begin = time.monotonic()
        self.roster({'web': {'runtime': self.runtime, 'workdir': '~/work/web', **self.prepare(
            'http://127.0.0.1:%d' % self.server.port)}})
        self.apply()

    def runtimes(self):
        return {self.runtime: {'command': [os.path.join(self.bin, self.runtime)]}}

    def asked(self):
        """The texts that the model was asked and that carry a label, in order, each once."""
        found = []
        for line in (self.bed.read('model.jsonl') or '').splitlines():
            for text in json.loads(line)['texts']:
                text = self.plain(text)
                if text.startswith('[from ') and text not in found:
                    found.append(text)
        return found

    def plain(self, text):
        """Without what the agent wraps around what was typed."""
        return text

    def wait_asked(self, n):
        wait_for(lambda: len(self.asked()) >= n, self.patience, lambda: '%d questions, there are %d; screen:\n%s' % (
            n, len(self.asked()), self.screen('web')))

    def wait_idle(self):
        def idle():
            r = self.agent_verb('probe', 'web', '--json')
            return r.code == 0 and json.loads(r.out)['state'] == 'idle'
        wait_for(idle, self.patience, lambda: 'idle; screen:\n%s\n%s' % (
            self.screen('web'), self.agent_verb('probe', 'web').out))

    payloads = PAYLOADS

    def same(self, got, want):
        self.assertEqual(got, want)

    def test_payloads(self):
        figures = []
        for i, body in enumerate(self.payloads):
            d = self.send('web', body, '--timeout', '%ds' % self.patience, '--source-label', 'ci')
            figures.append((d['took_ms']['echo'], d['took_ms']['confirm'], d['took_ms']['all'], d['presses']))
            self.wait_asked(i + 1)
            self.same(self.asked()[i], '[from ci to web #%s]\n%s' % (d['id'], body))
        self.assertEqual(len(self.asked()), len(self.payloads))
        self.assertIsNone(self.bed.read('work/web/no'))
        whole = sorted(f[2] for f in figures)
        print('# %s: %d messages, ms to echo %s, to confirm %s, all p50 %d max %d; more than one key: %d' % (
            self.runtime, len(figures), [f[0] for f in figures], [f[1] for f in figures], whole[len(whole) // 2], whole[-1],
            sum(f[3] > 1 for f in figures)))

    def test_first_message_at_once(self):
        d = self.send('web', 'before it is ready', '--timeout', '%ds' % self.patience, '--source-label', 'ci')
        self.wait_asked(1)
        self.same(self.asked()[0], '[from ci to web #%s]\nbefore it is ready' % d['id'])
        print('# %s: started and asked in %.1f s' % (self.runtime, time.monotonic() - self.begin))
        # Some draw differently when told that nobody looks on any more.
        self.wait_idle()
        self.visit('web')
        self.wait_idle()
        d = self.send('web', 'after a visit', '--source-label', 'ci')
        self.wait_asked(2)
        self.same(self.asked()[1], '[from ci to web #%s]\nafter a visit' % d['id'])

    def test_busy_and_reset(self):
        self.send('web', 'one', '--timeout', '%ds' % self.patience, '--source-label', 'ci')
        self.wait_asked(1)
        self.wait_idle()
        self.server.delay = 3
        self.send('web', 'two', '--source-label', 'ci')
        self.wait_asked(2)
        d = self.send('web', 'three', '--source-label', 'ci')
        self.assertEqual(d['result'], 'queued', self.screen('web'))
        self.server.delay = 0
        wait_for(lambda: any('three' in t for t in self.asked()), self.patience, lambda: 'the queued one')
        r = self.agent_verb('reset', 'web', '--new', '--json', '--timeout', '%ds' % self.patience, code=0)
        print('# %s: reset in %d ms' % (self.runtime, json.loads(r.out)['took_ms']['all']))
        self.wait_idle()
        n = len(self.asked())
        self.send('web', 'afterwards', '--source-label', 'ci')
        self.wait_asked(n + 1)

    def test_writers_side_by_side(self):
        self.send('web', 'first', '--timeout', '%ds' % self.patience)
        sent, failed = [], []

        def write(w):
            for i in range(5):
                body = 'writer %d message %d %s' % (w, i, text_of(30 + 300 * i, w * 10 + i))
                r = self.bed.run([self.program, 'agent', 'send', 'web', '-', '--timeout', '200s'], input=body.encode(),
                                 timeout=300)
                (failed if r.code else sent).append(body if not r.code else r)
        threads = [threading.Thread(target=write, args=(w,)) for w in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failed, [])

        def all_asked():
            text = '\n'.join(self.asked())
            return all(text.count(b) == 1 for b in sent)
        wait_for(all_asked, self.patience, lambda: [('\n'.join(self.asked()).count(b), b[:20]) for b in sent])
        print('# %s: 20 messages of 4 writers, each once' % self.runtime)


class RealPi(Real, talk.Talk):
    runtime = 'pi'
    package = '@mariozechner/pi-coding-agent'

    def prepare(self, url):
        self.bed.write('.pi/agent/models.json', json.dumps({'providers': {'stub': {
            'baseUrl': url + '/v1', 'api': 'openai-completions', 'apiKey': 'none',
            'models': [{'id': 'stub', 'name': 'stub', 'reasoning': False, 'input': ['text'], 'contextWindow': 1000000,
                        'maxTokens': 1000, 'cost': {'input': 0, 'output': 0, 'cacheRead': 0, 'cacheWrite': 0}}]}}}))
        return {'env': {'PI_OFFLINE': '1'}, 'args': ['--provider', 'stub', '--model', 'stub']}


class RealClaude(Real, talk.Talk):
    runtime = 'claude'

    def plain(self, text):
        """From 2.1.332 on it tells the model what was pasted."""
        m = re.fullmatch(r'\s*<pasted_content id="(\w+)">\n(.*)\n</pasted_content id="\1">\s*', text, re.DOTALL)
        return m.group(2) if m else text

    def prepare(self, url):
        self.bed.write('.claude.json', json.dumps({
            'hasCompletedOnboarding': True, 'customApiKeyResponses': {'approved': ['x' * 20], 'rejected': []},
            'projects': {self.bed.path_of('work/web'): {'hasTrustDialogAccepted': True}}}))
        self.bed.write('keys', 'ANTHROPIC_API_KEY=%s\n' % ('x' * 40), 0o600)
        return {'env': {'ANTHROPIC_BASE_URL': url, 'DISABLE_TELEMETRY': '1',
                        'CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC': '1'}, 'env_files': ['~/keys']}


class RealCodex(Real, talk.Talk):
    runtime = 'codex'

    def prepare(self, url):
        self.bed.write('.codex/config.toml', '\n'.join((
            'model = "stub"', 'model_provider = "stub"', 'check_for_update_on_startup = false',
            '[model_providers.stub]', 'name = "stub"', 'base_url = "%s/v1"' % url, 'wire_api = "responses"',
            'env_key = "STUB_KEY"',
            '[projects."%s"]' % self.bed.path_of('work/web'), 'trust_level = "trusted"', '')))
        return {'env': {'STUB_KEY': 'none'}}


class RealGemini(Real, talk.Talk):
    runtime = 'gemini'
    payloads = tuple(p for p in PAYLOADS if '@' not in p)

    def prepare(self, url):
        self.bed.write('.gemini/settings.json', json.dumps({
            'security': {'auth': {'selectedType': 'gemini-api-key'}, 'folderTrust': {'enabled': False}},
            'general': {'disableAutoUpdate': True}, 'privacy': {'usageStatisticsEnabled': False}}))
        self.bed.write('keys', 'GEMINI_API_KEY=none\n', 0o600)
        # By itself it would ask a model first which model to ask.
        return {'env': {'GOOGLE_GEMINI_BASE_URL': url}, 'env_files': ['~/keys'], 'model': 'gemini-2.5-flash'}


class RealOpencode(Real, talk.Talk):
    runtime = 'opencode'

    def prepare(self, url):
        self.bed.write('.config/opencode/opencode.json', json.dumps({
            'model': 'stub/stub', 'autoupdate': False, 'share': 'disabled', 'provider': {'stub': {
                'npm': '@ai-sdk/openai-compatible', 'options': {'baseURL': url + '/v1', 'apiKey': 'none'},
                'models': {'stub': {'name': 'stub'}}}}}))
        return {}

    def same(self, got, want):
        """It adds one blank to a paste that it shows folded."""
        self.assertIn(got, (want, want + ' '))


if __name__ == '__main__':
    sys.argv[0] = __file__
    harness.main()
