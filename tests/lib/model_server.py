#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A model server on loopback for tests of real agents: answers every conversation with one word, and notes what users
said. It speaks as much of four protocols as the agents need: chat completions (pi, opencode), responses (codex),
messages (claude), generateContent (gemini). What it notes are lines of JSON: {"path", "texts", "sha256"}, the texts being
those of the user messages of a request, so that bytes can be compared.

    model_server.py FILE [--delay S]       prints its port; FILE gets the notes; S seconds pass before an answer
"""
import argparse
import hashlib
import http.server
import json
import threading
import time


def strings(content):
    """The texts of one message, whatever protocol it is of."""
    if isinstance(content, str):
        return [content]
    found = []
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and isinstance(part.get('text'), str):
            found.append(part['text'])
    return found


def users_words(body):
    """The texts of all user messages: several that were queued may come in one request."""
    found = []
    for message in body.get('messages') or body.get('input') or body.get('contents') or []:
        if isinstance(message, dict) and message.get('role') == 'user':
            found += strings(message.get('content', message.get('parts')))
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def send_json(self, value, code=200):
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.send_json({'object': 'list', 'data': [{'id': 'stub', 'object': 'model'}]})

    def event(self, value, name=None):
        text = ('event: %s\n' % name if name else '') + 'data: %s\n\n' % (value if isinstance(value, str) else json.dumps(value))
        data = text.encode()
        self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
        self.wfile.flush()

    def begin(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        try:
            body = json.loads(raw or b'{}')
        except ValueError:
            body = {}
        texts = users_words(body)
        self.server.note(self.path, texts)
        if 'count' in self.path and 'oken' in self.path:
            return self.send_json({'input_tokens': 1, 'totalTokens': 1})
        time.sleep(self.server.delay)
        try:
            if 'chat/completions' in self.path:
                self.answer_chat(body)
            elif self.path.split('?')[0].endswith('/responses'):
                self.answer_responses()
            elif 'enerateContent' in self.path:
                self.answer_gemini('stream' in self.path)
            elif '/messages' in self.path:
                self.answer_messages(body)
            else:
                self.send_json({})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer_chat(self, body):
        head = {'id': 'c1', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'stub'}
        usage = {'prompt_tokens': 1, 'completion_tokens': 1, 'total_tokens': 2}
        if not body.get('stream'):
            return self.send_json({**head, 'object': 'chat.completion', 'usage': usage, 'choices': [
                {'index': 0, 'finish_reason': 'stop', 'message': {'role': 'assistant', 'content': 'done'}}]})
        self.begin()
        self.event({**head, 'choices': [{'index': 0, 'delta': {'role': 'assistant', 'content': 'done'}, 'finish_reason': None}]})
        self.event({**head, 'choices': [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}], 'usage': usage})
        self.event('[DONE]')
        self.wfile.write(b'0\r\n\r\n')

    def answer_responses(self):
        item = {'type': 'message', 'role': 'assistant', 'id': 'm1', 'status': 'completed',
                'content': [{'type': 'output_text', 'text': 'done', 'annotations': []}]}
        whole = {'id': 'r1', 'object': 'response', 'status': 'completed', 'output': [item],
                 'usage': {'input_tokens': 1, 'output_tokens': 1, 'total_tokens': 2,
                           'input_tokens_details': {'cached_tokens': 0}, 'output_tokens_details': {'reasoning_tokens': 0}}}
        self.begin()
        self.event({'type': 'response.created', 'response': {**whole, 'status': 'in_progress', 'output': []}}, 'response.created')
        self.event({'type': 'response.output_item.done', 'output_index': 0, 'item': item}, 'response.output_item.done')
        self.event({'type': 'response.completed', 'response': whole}, 'response.completed')
        self.wfile.write(b'0\r\n\r\n')

    def answer_messages(self, body):
        head = {'id': 'm1', 'type': 'message', 'role': 'assistant', 'model': 'stub', 'stop_sequence': None,
                'usage': {'input_tokens': 1, 'output_tokens': 1}}
        if not body.get('stream'):
            return self.send_json({**head, 'content': [{'type': 'text', 'text': 'done'}], 'stop_reason': 'end_turn'})
        self.begin()
        for value in ({'type': 'message_start', 'message': {**head, 'content': [], 'stop_reason': None}},
                      {'type': 'content_block_start', 'index': 0, 'content_block': {'type': 'text', 'text': ''}},
                      {'type': 'content_block_delta', 'index': 0, 'delta': {'type': 'text_delta', 'text': 'done'}},
                      {'type': 'content_block_stop', 'index': 0},
                      {'type': 'message_delta', 'delta': {'stop_reason': 'end_turn', 'stop_sequence': None},
                       'usage': {'output_tokens': 1}},
                      {'type': 'message_stop'}):
            self.event(value, value['type'])
        self.wfile.write(b'0\r\n\r\n')

    def answer_gemini(self, stream):
        value = {'candidates': [{'content': {'role': 'model', 'parts': [{'text': 'done'}]}, 'finishReason': 'STOP', 'index': 0}],
                 'usageMetadata': {'promptTokenCount': 1, 'candidatesTokenCount': 1, 'totalTokenCount': 2}}
        if not stream:
            return self.send_json(value)
        self.begin()
        self.event(value)
        self.wfile.write(b'0\r\n\r\n')


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, path, delay=0.0):
        super().__init__(('127.0.0.1', 0), Handler)
        self.path, self.delay, self.lock = path, delay, threading.Lock()

    @property
    def port(self):
        return self.server_address[1]

    def note(self, path, texts):
        line = json.dumps({'at': time.time(), 'path': path, 'texts': texts,
                           'sha256': [hashlib.sha256(t.encode('utf-8', 'surrogatepass')).hexdigest() for t in texts]})
        with self.lock, open(self.path, 'a') as f:
            f.write(line + '\n')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('file')
    parser.add_argument('--delay', type=float, default=0.0)
    o = parser.parse_args()
    server = Server(o.file, o.delay)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
