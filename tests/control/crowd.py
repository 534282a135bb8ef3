#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that behave badly, and many of them: vmm stays small, serves the others and leaks nothing."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

import monitor
from monitor import guests

CONNECTIONS = int(os.environ.get('CONTROL_CONNECTIONS', '2000'))
# 64 clients have 8 KiB of input each, and one that does not read may have a MiB unsent; the allocator's own share is generous.
CROWD_KIB = 16 << 10


class Crowd(unittest.TestCase):
    def setUp(self):
        self.machine = monitor.Machine(self)
        self.client = self.machine.monitor()
        monitor.until(lambda: self.client.call('query-status')['running'])

    def resident_kib(self):
        return guests.resident_kib(self.machine.vmm.pid)

    def still_serves(self):
        self.assertEqual(self.client.call('query-name'), {'name': 'guest'})

    def test_many_at_once(self):
        clients = [self.machine.monitor() for _ in range(64)]
        for round_ in range(10):
            for i, client in enumerate(clients):
                client.send(json.dumps({'execute': 'query-status', 'id': [round_, i]}))
            for i, client in enumerate(clients):
                self.assertEqual(client.answer()['id'], [round_, i])
        self.client.call('stop')
        for client in clients:
            self.assertEqual(client.wait_event('STOP')['event'], 'STOP')

    def test_too_many_are_refused(self):
        clients = [self.machine.client() for _ in range(140)]
        refused = [client for client in clients if not client.greeting]
        self.assertEqual(len(refused), 140 + 1 - 128)
        self.still_serves()
        for client in clients:
            client.close()
        monitor.until(lambda: self.machine.client().greeting)

    def test_one_that_never_reads(self):
        deaf = self.machine.monitor()
        deaf.socket.setblocking(False)
        request = b'{"execute": "query-qmp-schema"}' * 100
        try:
            while True:
                deaf.socket.send(request)
        except BlockingIOError:
            pass
        self.still_serves()
        self.assertLess(self.resident_kib(), 64 << 10)

    def test_one_that_never_reads_events_is_dropped(self):
        deaf = self.machine.monitor()
        for _ in range(20000):
            self.client.call('stop')
            self.client.call('cont')
            self.client.events.clear()
            if 'does not read' in self.machine.log.read_text():
                break
        else:
            self.fail('it was never dropped')
        last = b''
        while line := deaf.line():
            last = line
        self.assertIn(b'timestamp', last)
        self.still_serves()

    def test_a_request_without_an_end(self):
        endless = self.machine.monitor()
        before = self.resident_kib()
        endless.send('{"execute": "')
        for _ in range(64):
            endless.send(b'x' * (1 << 20))
        endless.send('\n{"execute": "query-name"}')
        self.assertEqual(endless.answer()['error']['desc'], 'JSON token size limit exceeded')
        self.assertEqual(endless.answer()['return'], {'name': 'guest'})
        self.assertLess(self.resident_kib() - before, 4096)

    def test_a_byte_at_a_time(self):
        slow = self.machine.client()
        for byte in b'{"execute": "qmp_capabilities"}':
            slow.send(bytes([byte]))
            self.still_serves()
        self.assertEqual(slow.answer(), {'return': {}})

    def test_disconnects_in_the_middle(self):
        before = monitor.descriptors(self.machine.vmm.pid)
        for text in ('', '{"execute": "qmp_cap', monitor.NEGOTIATE, monitor.NEGOTIATE + '{"execute": "stop"}{"execute": "cont"}',
                     monitor.NEGOTIATE + '{"execute": "human-monitor-command", "arguments": {"command-line": "info registers"}}',
                     monitor.NEGOTIATE + '{"execute": "query-qmp-schema"}' * 50):
            for _ in range(20):
                client = monitor.Client(self.machine.path)
                client.send(text)
                client.close()
        self.still_serves()
        monitor.until(lambda: monitor.descriptors(self.machine.vmm.pid) <= before)

    def test_the_guest_ends_while_its_registers_are_read(self):
        """Each request is answered: by registers, or by the guest's end, or by that of the connection."""
        asker = self.machine.monitor()
        asker.send('{"execute": "human-monitor-command", "arguments": {"command-line": "info registers"}}' * 8)
        self.client.call('quit')
        while answer := asker.answer():
            if 'error' in answer:
                self.assertEqual(answer['error'], {'class': 'GenericError', 'desc': 'the guest has ended'})
            else:
                self.assertIn('return', answer)
        self.assertEqual(self.machine.status(), 0)

    def test_connections_in_a_row(self):
        def some(count):
            for _ in range(count):
                client = monitor.Client(self.machine.path)
                client.raw(monitor.NEGOTIATE)
                client.close()
        some(200)
        before, descriptors = self.resident_kib(), monitor.descriptors(self.machine.vmm.pid)
        some(CONNECTIONS)
        self.still_serves()
        monitor.until(lambda: monitor.descriptors(self.machine.vmm.pid) <= descriptors)
        self.assertLess(self.resident_kib() - before, 1024)

    def test_all_at_once(self):
        """Everybody of load.py; a client beside them is answered, and so are they, and memory is bounded."""
        before = self.resident_kib()
        command = [sys.executable, str(pathlib.Path(__file__).with_name('load.py')), str(self.machine.path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            self.assertEqual(load.stdout.readline(), 'ready\n')
            for _ in range(500):
                self.still_serves()
                self.assertLess(self.resident_kib() - before, CROWD_KIB)
            done = json.loads(load.communicate(timeout=monitor.LIMIT)[0])
        self.assertEqual(load.returncode, 0)
        for what in ('answers', 'left', 'endless-bytes'):
            self.assertGreater(done[what], 0, what)

    def test_nothing_wakes_vmm_while_the_guest_is_paused(self):
        """The voluntary context switches of its threads are counted while nothing happens."""
        def switches():
            total = 0
            for task in guests.tasks(self.machine.vmm.pid):
                with open(f'/proc/{self.machine.vmm.pid}/task/{task}/status') as status:
                    total += int(re.search(r'^voluntary_ctxt_switches:\s*(\d+)', status.read(), re.M)[1])
            return total
        self.client.call('stop')
        before = switches()
        time.sleep(3)
        # The kernel's own worker threads and a late timer may add a few; a poll of ten a second would show.
        self.assertLess(switches() - before, 10)


if __name__ == '__main__':
    monitor.main()
