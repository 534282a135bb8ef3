#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vmm ctl against a server of the test's own, which answers what the test wants, and against a guest on the software platform."""
import array
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import termios
import threading
import unittest

import guests

GREETING = {'QMP': {'version': {'qemu': {'major': 10, 'minor': 0, 'micro': 0}, 'package': ''}, 'capabilities': []}}
LIMIT = 120  # seconds that anything may take on however busy a machine
FACTS = {
    'query-name': {'name': 'a "b" \\c'},
    'query-status': {'running': True, 'status': 'running'},
    '__vmm_query-launch': {'phase': 'running', 'state': 'running', 'secrets': 0, 'resets': 2, 'rows': [
        {'name': 'start', 'call': 'LAUNCH_START', 'state': 'done', 'done': 1, 'total': 1, 'ns': 1500000000},
        {'name': 'update', 'call': 'LAUNCH_UPDATE', 'state': 'runs', 'done': 3, 'total': 7, 'ns': 250},
        {'name': 'start', 'call': 'the same name again', 'state': 'waits', 'done': 0, 'total': 1, 'ns': 0}]},
    '__vmm_query-pages': {'ram-bytes': 16 << 20, 'private-bytes': 12 << 20, 'shared-bytes': 4 << 20, 'held-twice-bytes': 8192,
                          'migration-allowed': True, 'record': {'ranges': 3, 'ranges-max': 4, 'refused': 1, 'complete': False,
                                                                'doubt': {'gpa': '0x1000', 'size-bytes': 8192}, 'conversions': 70,
                                                                'conversions-per-second': 2, 'flips': 60, 'storms': 1}},
    '__vmm_query-exits': {'vcpus': [{'index': 0, 'thread-id': 1, 'waits': False, 'processor-ns': 2500000000,
                                     'exits': {'io': 7, 'mmio': 0}, 'conversions': {'private': 2, 'shared': 0},
                                     'converted-pages': {'private': 10, 'shared': 0}}], 'exits': {'io': 7, 'mmio': 0},
                          'conversions': {'private': 2, 'shared': 0}, 'converted-pages': {'private': 10, 'shared': 0}},
    '__vmm_query-disks': [{'id': 'disk0', 'size-bytes': 1 << 30, 'requests': {'read': 5}, 'bytes': {'read': 4096}, 'failed': 1}],
    '__vmm_query-networks': [{'id': 'net0', 'back': 'user', 'link-up': True, 'outside': False, 'rx-frames': 1, 'rx-bytes': 60,
                              'rx-lost': 0, 'tx-frames': 2, 'tx-bytes': 120, 'tx-lost': 0}],
    '__vmm_query-asids': [{'kind': 'sev', 'limit': 10, 'used': None, 'free': None}],
}
# Debian's package python3-prometheus-client, which only Debian's own interpreter finds.
PARSE = '''
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps([(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]))
'''
CLIENT = ['/usr/bin/python3', '-c'] if pathlib.Path('/usr/lib/python3/dist-packages/prometheus_client').is_dir() else None
SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\} (-?\d+(?:\.\d+)?)')


def labels_of(text):
    """{name: value} of labels as they stand between the braces."""
    found = re.findall(r'([a-z_]+)="((?:[^"\\\n]|\\.)*)"', text)
    return {name: re.sub(r'\\(.)', lambda match: {'n': '\n'}.get(match[1], match[1]), value) for name, value in found}


def line(value):
    return json.dumps(value).encode() + b'\r\n'


class Server:
    """Takes one client after the other. answer(command, arguments) gives a value, an exception for an error, or bytes to send."""

    def __init__(self, test, answer=lambda command, arguments: {}, greeting=line(GREETING)):
        self.folder = guests.Folder(test).path
        self.path, self.answer, self.greeting = self.folder / 'control', answer, greeting
        self.requests, self.descriptors, self.clients, self.negotiated = [], [], [], []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        test.addCleanup(self.close)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.drop()
        self.thread.join(LIMIT)
        self.listener.close()

    def drop(self):
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def send(self, data):
        """To the client of now, from another thread."""
        self.clients[-1].sendall(data)

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.clients.append(client)
            with client, contextlib.suppress(OSError):
                client.sendall(self.greeting)
                self.talk(client)

    def talk(self, client):
        data = b''
        while True:
            part, passed, _, _ = client.recvmsg(1 << 16, socket.CMSG_SPACE(4))
            for _, _, descriptors in passed:
                self.descriptors += array.array('i', descriptors[:4])
            if not part:
                return
            *lines, data = (data + part).split(b'\n')
            for request in map(json.loads, lines):
                self.reply(client, request)

    def reply(self, client, request):
        command, value = request['execute'], {}
        if request['id'] != 1:
            self.requests.append((command, request.get('arguments')))
            try:
                value = self.answer(command, request.get('arguments'))
            except LookupError as error:
                client.sendall(line({'error': {'class': 'GenericError', 'desc': error.args[0]}, 'id': request['id']}))
                return
        client.sendall(value if isinstance(value, bytes) else line({'return': value, 'id': request['id']}))
        if request['id'] == 1:
            self.negotiated.append(client)


def facts(command, arguments):
    if command not in FACTS:
        raise LookupError(f'The command {command} has not been found')
    return FACTS[command]


class Ctl(unittest.TestCase):
    maxDiff = None

    def ctl(self, server, *words, status=0, **how):
        done = guests.run([guests.VMM, 'ctl', str(server.path), *words], text=True, **how)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def expect(self, master, pattern):
        """What the terminal shows until the pattern is there. Behind a prompt the terminal hands keys on as they are typed."""
        seen = ''
        while not re.search(pattern, seen, re.DOTALL):
            self.assertTrue(select.select([master], [], [], LIMIT)[0], seen)
            try:
                data = os.read(master, 4096)
            except OSError:
                self.fail(f'the program ended after {seen!r}')
            seen += data.decode(errors='replace')
        return seen

    def end(self, ctl, master):
        """The last of what the terminal shows, and the exit status."""
        seen = b''
        with contextlib.suppress(OSError):
            while select.select([master], [], [], LIMIT)[0] and (data := os.read(master, 4096)):
                seen += data
        return seen.decode(errors='replace'), ctl.wait(LIMIT)

    def samples(self, text):
        """{(name, labels): value}, after a look at the form that readers of the format insist on."""
        self.assertTrue(text.endswith('\n'))
        self.assertNotIn('\r', text)
        found, described = {}, {}
        for row in text.splitlines():
            if match := re.fullmatch(r'# (HELP|TYPE) (\S+) (.+)', row):
                self.assertEqual(described.setdefault(match[2], []), ['HELP'] if match[1] == 'TYPE' else [])
                described[match[2]].append(match[1])
                continue
            match = SAMPLE.fullmatch(row)
            self.assertTrue(match, row)
            self.assertEqual(described[match[1]], ['HELP', 'TYPE'])
            self.assertNotIn((match[1], match[2]), found)
            found[match[1], match[2]] = match[3]
        if shutil.which('promtool'):
            done = guests.run(['promtool', 'check', 'metrics'], stdin=None, input=text, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        if CLIENT:
            done = guests.run([*CLIENT, PARSE], stdin=None, input=text, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            read = {(name, tuple(sorted(labels.items()))): value for name, labels, value in json.loads(done.stdout)}
            self.assertEqual(read, {(name, tuple(sorted(labels_of(labels).items()))): float(value) for (name, labels), value in found.items()})
        return found


class OneShot(Ctl):
    def test_result_is_a_line_for_programs_and_text_for_people(self):
        value = {'text': 'z\u00fcrich \u009b2J', 'list': [1, None]}
        server = Server(self, lambda command, _: value if command == 'a' else 'two\r\nlines \x1b[2J\r\n' if command == 'b' else {})
        raw = self.ctl(server, 'a').stdout
        self.assertEqual(json.loads(raw), value)
        self.assertEqual(raw.count('\n'), 1)
        self.assertTrue(raw.isascii())
        pretty = self.ctl(server, 'a', '--pretty').stdout
        self.assertIn('"text": "z\u00fcrich \\xc2\\x9b2J"', pretty)
        self.assertGreater(pretty.count('\n'), 4)
        self.assertEqual(self.ctl(server, '--pretty', 'b').stdout, 'two\nlines \\x1b[2J\n')
        self.assertEqual(self.ctl(server, '--pretty', 'c').stdout, '')
        self.assertEqual(self.ctl(server, 'c').stdout, '{}\n')

    def test_arguments(self):
        server = Server(self)
        for words, expected in [
                (['qmp_capabilities', 'enable=oob,x'], {'enable': ['oob', 'x']}), (['qmp_capabilities', 'enable='], {'enable': []}),
                (['qmp_capabilities', 'enable=["a,b"]'], {'enable': ['a,b']}), (['stop', '{"a": {"b": 1}}'], {'a': {'b': 1}}),
                (['human-monitor-command', 'command-line=12', 'cpu-index=0x1'], {'command-line': '12', 'cpu-index': 1}),
                (['human-monitor-command', '{"command-line": "info status"}'], {'command-line': 'info status'}),
                (['sev-inject-launch-secret', 'packet-header=a==', 'secret=', 'gpa=0xffffffffffffffff'],
                 {'packet-header': 'a==', 'secret': '', 'gpa': -1}),
                (['block_resize', 'size=2G', 'device=-1K'], {'size': 2 << 30, 'device': '-1K'}), (['block_resize', 'size=0x10K'], {'size': 16384}),
                (['set_link', 'name=net0', 'up=off'], {'name': 'net0', 'up': False}),
                (['unknown', 'a=1', 'b=x', 'c=[null]', 'd=true'], {'a': 1, 'b': 'x', 'c': [None], 'd': True}),
                (['stop'], None)]:
            self.ctl(server, *words)
            self.assertEqual(server.requests[-1], (words[0], expected))

    def test_wrong_arguments_are_not_sent(self):
        server = Server(self)
        for words, expected in [
                (['set_link', 'name=net0', 'up=perhaps'], 'up is perhaps, expected: true or false'),
                (['block_resize', 'device=a', 'size=1.5'], 'size is 1.5, expected: an integer'),
                (['block_resize', 'size=99999999999999999999'], 'expected: an integer'),
                (['block_resize', 'size=8388608T'], 'expected: an integer'), (['block_resize', 'size=1GB'], 'perhaps with K, M, G or T'),
                (['stop', 'now'], 'neither KEY=VALUE nor a JSON object'), (['stop', '=1'], 'neither KEY=VALUE'),
                (['stop', 'a=1', 'a=2'], 'given twice'), (['stop', '{"a"'], 'not a JSON object'),
                (['--raw', '--pretty', 'stop'], 'exclude'), (['--events', 'stop'], 'takes no command'),
                (['--watch', 'stop'], '--watch belongs to'), (['--timeout', 'soon', 'stop'], 'expected: a number'),
                (['--fd', '77', 'stop'], 'the descriptor 77 is not open'), (['help', 'nope'], 'there is no help on nope')]:
            self.assertIn(expected, self.ctl(server, *words, status=2).stderr, words)
        self.assertEqual(server.requests, [])

    def test_refusals_and_what_is_no_server(self):
        def refuse(command, arguments):
            raise LookupError('because \x1b[2J')
        server = Server(self, refuse)
        done = self.ctl(server, 'stop', status=1)
        self.assertEqual(done.stderr, 'vmm: GenericError: because \\x1b[2J\n')
        self.assertEqual(done.stdout, '')
        self.assertEqual(self.ctl(server, 'query-statsu', status=1).stderr, 'vmm: GenericError: because \\x1b[2J; did you mean query-status?\n')
        for path in (server.folder / 'none', server.folder, '/' + 'x' * 200):
            done = guests.run([guests.VMM, 'ctl', str(path), 'stop'], text=True)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, 'no server answers|too long for a socket')

    def test_a_descriptor_is_passed(self):
        server = Server(self)
        reader, writer = os.pipe()
        self.ctl(server, 'getfd', 'fdname=x', '--fd', str(writer), pass_fds=[writer])
        os.close(writer)
        os.write(server.descriptors[0], b'it is')
        os.close(server.descriptors[0])
        with open(reader, 'rb') as file:
            self.assertEqual(file.read(), b'it is')

    def test_quit_may_end_the_server_first(self):
        server = Server(self)
        server.answer = lambda command, _: server.drop() or b''
        self.ctl(server, 'quit')
        self.assertIn('without an answer', self.ctl(server, 'stop', status=1).stderr)

    def test_help_needs_no_answer(self):
        server = Server(self)
        self.assertIn('query-status', self.ctl(server, 'help').stdout)
        self.assertIn('enable=', self.ctl(server, 'help', 'qmp_capabilities').stdout)
        self.assertEqual(server.requests, [])


class Hostile(Ctl):
    def test_greetings(self):
        for greeting, expected in [(b'SSH-2.0\r\n', 'not a JSON object'), (line({'hello': 1}), 'does not speak QMP'),
                                   (line([]), 'not a JSON object'), (b'', 'no answer within 1 seconds'),
                                   (b'[' * 100000 + b'\n', 'not a JSON object'), (b'\xff\n', 'not a JSON object'),
                                   (line({'QMP': {}, 'x': '\0'})[:-3] + b'\0"}\n', 'not a JSON object')]:
            server = Server(self, greeting=greeting)
            self.assertIn(expected, self.ctl(server, '--timeout', '1', 'stop', status=1).stderr, greeting[:20])

    def test_answers(self):
        for answer, expected in [(b'', 'no answer within 1 seconds'), (line({'return': 1, 'id': 77}), 'what nobody asked'),
                                 (line({'return': 1}), 'what nobody asked'), (line({'id': 2}), 'without a result'),
                                 (line({'error': 5, 'id': 2}), 'does not say why'), (line({'error': {'desc': 'x'}}), 'error: x'),
                                 (b'{"return": ' + b'9' * 400 + b', "id": 2}\n', 'not a JSON object')]:
            server = Server(self, lambda command, _, answer=answer: answer)
            self.assertIn(expected, self.ctl(server, '--timeout', '1', 'stop', status=1).stderr, answer[:40])

    def test_an_endless_line_is_bounded(self):
        server, sent = Server(self), []

        def flood(command, arguments):
            while len(sent) < 1000:
                server.send(b'"' * (1 << 20))
                sent.append(1)
            return b''
        server.answer = flood
        self.assertIn('more than 16 MiB without the end of a line', self.ctl(server, 'stop', status=1).stderr)
        self.assertLess(len(sent), 20)

    def test_a_flood_of_events_before_the_answer(self):
        flood = line({'event': 'X', 'timestamp': {'seconds': -1, 'microseconds': -1}}) * 20000
        server = Server(self, lambda command, _: flood + line({'return': 'there', 'id': 2}))
        self.assertEqual(self.ctl(server, 'a').stdout, '"there"\n')

    def test_events_without_an_end_are_no_answer(self):
        """Events come until the client has gone, so only its own limit ends this."""
        server = Server(self, lambda command, _: b'')

        def flood(command, arguments):
            events = line({'event': 'X', 'timestamp': {'seconds': 1, 'microseconds': 1}}) * 1000
            while True:
                server.send(events)
        server.answer = flood
        for words in (['stop'], ['metrics'], ['status']):
            self.assertIn('no answer within 1 seconds', self.ctl(server, '--timeout', '1', *words, status=1).stderr)

    def test_bytes_come_one_by_one(self):
        server = Server(self, lambda command, _: b'')

        def drip(command, arguments):
            for byte in line({'return': [command], 'id': 2}):
                server.send(bytes([byte]))
            return b''
        server.answer = drip
        self.assertEqual(self.ctl(server, 'a').stdout, '["a"]\n')


class Events(Ctl):
    def test_events_until_the_end(self):
        events = [{'event': 'STOP', 'timestamp': {'seconds': 1, 'microseconds': 2}},
                  {'event': 'E\x1b', 'data': {'a': '\x1b'}, 'timestamp': {'seconds': -1, 'microseconds': -1}}]
        for form in ('--raw', '--pretty'):
            server = Server(self)
            command = [guests.VMM, 'ctl', str(server.path), '--events', form]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ctl:
                guests.until(lambda server=server: server.negotiated)
                server.send(b''.join(map(line, events)))
                first = ctl.stdout.readline() + ctl.stdout.readline()
                server.drop()
                rest = ctl.communicate(timeout=LIMIT)[0]
            self.assertEqual((ctl.returncode, rest), (0, ''))
            if form == '--raw':
                self.assertEqual([json.loads(row) for row in first.splitlines()], events)
            else:
                self.assertRegex(first, r'\d\d:\d\d:\d\d\.000 STOP\n.*E\\x1b \{"a": "\\u001[bB]"\}\n')


class Facts(Ctl):
    def test_metrics(self):
        found = self.samples(self.ctl(Server(self, facts), 'metrics').stdout)
        guest = 'guest="a \\"b\\" \\\\c"'
        for (name, more), value in {
                ('vmm_guest_running', ''): '1', ('vmm_guest_status', ',status="running"'): '1', ('vmm_guest_resets_total', ''): '2',
                ('vmm_launch_step_seconds', ',step="start"'): '1.500000000', ('vmm_launch_step_seconds', ',step="update"'): '0.000000250',
                ('vmm_memory_private_bytes', ''): str(12 << 20), ('vmm_vcpu_exits_total', ',vcpu="0",kind="io"'): '7',
                ('vmm_vcpu_page_conversions_total', ',vcpu="0",kind="private"'): '2', ('vmm_vcpu_converted_pages_total', ',vcpu="0",kind="private"'): '10',
                ('vmm_vcpu_processor_seconds_total', ',vcpu="0"'): '2.500000000', ('vmm_disk_requests_total', ',disk="disk0",kind="read"'): '5',
                ('vmm_memory_held_twice_bytes', ''): '8192', ('vmm_shared_ranges', ''): '3', ('vmm_shared_ranges_limit', ''): '4',
                ('vmm_shared_ranges_complete', ''): '0', ('vmm_shared_ranges_refused_total', ''): '1', ('vmm_page_flips_total', ''): '60',
                ('vmm_conversion_storms_total', ''): '1',
                ('vmm_network_transmit_bytes_total', ',network="net0"'): '120', ('vmm_host_asids', ',kind="sev"'): '10'}.items():
            self.assertEqual(found.get((name, guest + more)), value, (name, more))
        self.assertFalse([name for name, _ in found if name == 'vmm_host_asids_free'])

    def test_metrics_of_a_server_that_knows_little(self):
        def qemu(command, arguments):
            return facts(command, arguments) if command.startswith('query-') else facts('none', None)
        found = self.samples(self.ctl(Server(self, qemu), 'metrics').stdout)
        self.assertEqual({name for name, _ in found}, {'vmm_guest_running', 'vmm_guest_status'})

    def test_metrics_of_nonsense(self):
        for value in (None, [], {}, [1, [2]], 'text', {'vcpus': 3, 'rows': [None, {'name': {}}], 'name': 5}, [{'id': '\n"\\', 'size-bytes': 1}] * 3):
            done = self.ctl(Server(self, lambda command, _, value=value: value), 'metrics')
            if done.stdout:
                self.samples(done.stdout)
            self.ctl(Server(self, lambda command, _, value=value: value), 'status', '--pretty')

    def test_status(self):
        server = Server(self, facts)
        self.assertEqual(json.loads(self.ctl(server, 'status').stdout), {k: v for k, v in FACTS.items() if k != '__vmm_query-asids'})
        self.assertEqual(self.ctl(server, 'status', '--pretty').stdout, '''\
guest   a "b" \\c: running, 2 resets
launch  running, update runs (3 of 7), 1.500 s
memory  16MiB, private 12MiB, shared 4MiB in 3 ranges and perhaps more (sev.shared-ranges-max was reached), converted 40KiB to private, held twice 8KiB, 2 conversions/s, 1 conversion storm, may be migrated
disk    disk0: read 4KiB, written 0B, 1 failed, size 1GiB
network net0 (user, link up): received 60B (1 frames, 0 lost), sent 120B (2 frames, 0 lost)
vCPU    0 runs, 2.5 s of processor time, 7 exits: io 7
''')

    def test_watch_fits_the_terminal(self):
        """64 vCPUs on 24 lines: those that all need come first, and a view never scrolls the terminal."""
        vcpu = FACTS['__vmm_query-exits']['vcpus'][0]
        exits = {'vcpus': [vcpu | {'index': i, 'waits': i < 60} for i in range(64)], 'exits': {'io': 64 * 7}}
        server = Server(self, lambda command, arguments: exits if command == '__vmm_query-exits' else facts(command, arguments))
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
        ctl = subprocess.Popen([guests.VMM, 'ctl', str(server.path), 'status', '--watch'], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.addCleanup(lambda: (ctl.kill(), ctl.wait()))
        shown = self.expect(master, r'\x1b\[J.*\x1b\[J')
        for view in shown.split('\x1b[J')[:2]:
            self.assertEqual(view.count('\n'), 23)
            self.assertTrue(view.endswith('(48 more lines)\x1b[K\r\n\x1b[?7h'), view)
        self.assertIn('vCPUs   4 run, 60 wait, 160.0 s of processor time, 448 exits: io 448\x1b[K\r\n', shown)
        self.assertIn('vCPUs   4 run, 60 wait, busy 0 %, 0 exits/s\x1b[K\r\n', shown)
        server.drop()
        shown, status = self.end(ctl, master)
        self.assertIn('the server has closed the connection', shown)
        self.assertEqual(status, 0)

    def test_watch_until_the_end(self):
        server = Server(self, facts)
        command = [guests.VMM, 'ctl', str(server.path), 'status', '--watch', '--pretty']
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ctl:
            for row in ctl.stdout:
                if row.startswith('vCPU    0 runs, busy'):
                    break
            server.drop()
            ctl.communicate(timeout=LIMIT)
        self.assertEqual(row, 'vCPU    0 runs, busy 0 %, 0 exits/s\n')
        self.assertEqual(ctl.returncode, 0)


class Prompt(Ctl):
    def test_lines_from_a_pipe(self):
        server = Server(self, lambda command, arguments: [command, arguments])
        lines = '# nothing\n\n a\tx=1 "y=b c" \n b {"c": "d e"}\nstop now\nnever\n'
        done = self.ctl(server, stdin=None, input=lines, status=2)
        self.assertEqual(done.stdout, '["a", {"x": 1, "y": "b c"}]\n["b", {"c": "d e"}]\n')
        self.assertIn('the argument now is neither', done.stderr)
        self.assertEqual(len(server.requests), 2)
        self.assertIn('a quote has no end', self.ctl(server, stdin=None, input="a 'b\n", status=2).stderr)

    def start(self, server, **env):
        """A prompt on a terminal; returns its program and the terminal's other end."""
        master, slave = pty.openpty()
        ctl = subprocess.Popen([guests.VMM, 'ctl', str(server.path)], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                               env=os.environ | {'TERM': 'xterm', 'XDG_STATE_HOME': str(server.folder / 'new/state'), 'LC_ALL': 'C.UTF-8'} | env)
        os.close(slave)
        self.addCleanup(os.close, master)
        self.addCleanup(lambda: (ctl.kill(), ctl.wait()))
        return ctl, master

    def test_edit_complete_recall(self):
        server = Server(self, lambda command, arguments: f'done {command} {arguments}')
        ctl, master = self.start(server)
        if 'cannot be edited' in self.expect(master, 'vmm> '):
            self.skipTest('libedit.so.2 is not installed')
        os.write(master, b'qmp_c\t')
        self.expect(master, 'apabilities ')
        os.write(master, b'ena\t')
        self.expect(master, 'ble=')
        os.write(master, b'"z\xc3\xbcrich"\n')
        self.expect(master, r"done qmp_capabilities {'enable': \['z\u00fcrich'\]}.*vmm> ")
        os.write(master, b'query-\t\t')
        self.expect(master, r'query-version.*query-status.*vmm> query-')
        os.write(master, b'\x15\x1b[A\n')  # the line away, the one before, and again
        self.expect(master, 'done qmp_capabilities.*vmm> ')
        server.send(line({'event': 'RESET', 'timestamp': {'seconds': 1, 'microseconds': 0}}))
        self.expect(master, r'\.000 RESET.*vmm> ')
        os.write(master, b'stop now\n')
        self.expect(master, 'the argument now is neither.*vmm> ')
        os.write(master, b'\x04')
        self.assertEqual(self.end(ctl, master)[1], 0)
        history = server.folder / 'new/state/vmm-ctl-history'
        self.assertIn('qmp_capabilities', history.read_text())
        self.assertEqual([path.stat().st_mode & 0o777 for path in (history, history.parent)], [0o600, 0o700])

    def test_the_server_goes(self):
        server = Server(self)
        ctl, master = self.start(server)
        self.expect(master, 'vmm> ')
        server.drop()
        shown, status = self.end(ctl, master)
        self.assertIn('the server has closed the connection', shown)
        self.assertEqual(status, 0)


class Live(Ctl):
    """A guest on the software platform."""

    def setUp(self):
        folder = guests.Folder(self)
        self.path = folder.path / 'control'
        command = folder.guest(guests.SPIN, f'control.socket={self.path}', 'name=live') + ['--host', 'sim']
        self.vmm = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (self.vmm.kill(), self.vmm.wait()))
        guests.until(self.path.exists)

    def test_a_guest_is_asked_and_steered(self):
        guests.until(lambda: 'running' == json.loads(self.ctl(self, 'query-status').stdout)['status'])
        with subprocess.Popen([guests.VMM, 'ctl', str(self.path), '--events'], stdout=subprocess.PIPE, text=True) as events:
            # The events' client is there when it hears of one.
            while not select.select([events.stdout], [], [], 0.1)[0]:
                self.ctl(self, 'stop')
                self.ctl(self, 'cont')
            self.assertIn(json.loads(events.stdout.readline())['event'], ('STOP', 'RESUME'))
            self.assertRegex(self.ctl(self, 'status', '--pretty').stdout, r'^guest   live: running')
            found = self.samples(self.ctl(self, 'metrics').stdout)
            self.assertEqual(found['vmm_guest_running', 'guest="live"'], '1')
            self.assertEqual(found['vmm_memory_bytes', 'guest="live"'], str(2 << 20))
            self.assertGreater(float(found['vmm_vcpu_processor_seconds_total', 'guest="live",vcpu="0"']), 0)
            self.assertTrue([labels for name, labels in found if name == 'vmm_vcpu_exits_total'])
            self.assertIn('The command nope has not been found', self.ctl(self, 'nope', status=1).stderr)
            self.ctl(self, 'quit')
            self.assertEqual(self.vmm.wait(LIMIT), 0)
            told = [json.loads(row)['event'] for row in events.communicate(timeout=LIMIT)[0].splitlines()]
        self.assertEqual(told[-1], 'SHUTDOWN')
        self.assertEqual(events.returncode, 0)


NFD_NAME = re.compile(r'feature\.node\.kubernetes\.io/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?')  # Kubernetes' rule for labels


class HostFormats(Ctl):
    def host(self, *words, status=0):
        done = guests.run([guests.VMM, 'host', *words], text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def ids(self, text, name):
        return {labels_of(labels)['kind']: (labels_of(labels)['pool'], value) for (found, labels), value in self.samples(text).items() if found == name}

    def test_prometheus_has_the_numbers_of_json(self):
        words = ('--host', 'sim', '--set', 'sim.snp-asids=20')
        kinds = json.loads(self.host('--json', *words).stdout)['generations']
        self.assertEqual(self.ids(self.host('--format', 'prometheus', *words).stdout, 'vmm_host_guest_ids'),
                         {kind: (kind, str(facts['asids']['limit'])) for kind, facts in kinds.items()})

    def test_a_joint_pool_is_named_once(self):
        pools = self.ids(self.host('--format', 'prometheus', '--host', 'sim').stdout, 'vmm_host_guest_ids')
        self.assertEqual([pools[kind][0] for kind in ('sev', 'sev-es', 'sev-snp')], ['sev', 'sev-es', 'sev-es'])

    def test_nfd_has_lines_that_kubernetes_takes(self):
        text = self.host('--format', 'nfd', '--host', 'sim').stdout
        lines = [line for line in text.splitlines() if not line.startswith('#')]
        self.assertGreater(len(lines), 6)
        for line in lines:
            name, value = line.split('=')
            self.assertTrue(NFD_NAME.fullmatch(name), name)
            self.assertIn('/simulated-guests.', name)
            self.assertTrue(re.fullmatch(r'[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?', value), value)

    def test_formats_are_checked(self):
        self.assertIn('must be prometheus or nfd', self.host('--format', 'xml', '--host', 'sim', status=2).stderr)
        self.assertIn('exclude', self.host('--format', 'nfd', '--json', '--host', 'sim', status=2).stderr)


if __name__ == '__main__':
    guests.main()
