#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory that is added to a guest while it runs: what is told of it, what is refused, and that a host that refuses changes nothing."""
import pathlib
import unittest

import monitor
from monitor import guests

MIB = 1 << 20
PLACE = 4 << 30     # the guests have less than 2 GiB
GROWTH = 512
TYPES = {'none': 2, 'sev': 16, 'sev-es': 16, 'sev-snp': 16}    # and the MiB of memory that the guests of monitor.py have
# A guest waits until the first slot has a size, answers three times at once, the last time that it uses the memory, and says so.
WAIT = guests.out32(0xa00, 0) + bytes.fromhex('ba080a 66ed 6685c0 74f9')
ANSWER = b''.join(guests.out32(0xa04, 1) + guests.out32(0xa08, status) for status in (0x80, 0x81, 0))
# Another answers for ever, each time something else.
FLOOD = WAIT + guests.out32(0xa04, 1) + guests.back(bytes.fromhex('ba080a 6640 66ef'))
POOL = pathlib.Path('/sys/kernel/mm/hugepages/hugepages-2048kB')


def free_mib():
    """What the host's pool of huge pages can promise."""
    free, promised = (int((POOL / name).read_text()) if POOL.exists() else 0 for name in ('free_hugepages', 'resv_hugepages'))
    return 2 * (free - promised)


class Memory(unittest.TestCase):
    def machine(self, kind, *sets, most=None, code=guests.SPIN):
        words = [] if kind == 'none' else [f'sev.type={kind}']
        machine = monitor.Machine(self, code, *words, f'machine.memory-max={most or TYPES[kind] + GROWTH}M', *sets)
        client = machine.monitor()
        monitor.until(lambda: client.call('query-status')['running'])
        return machine, client

    def add(self, client, number, mib):
        client.call('object-add', qom_type='memory-backend-ram', id=f'ram{number}', size=mib * MIB)
        return client.ask('device_add', driver='pc-dimm', id=f'dimm{number}', memdev=f'ram{number}')

    def plugged(self, client):
        return client.call('query-memory-size-summary')['plugged-memory'] // MIB

    def test_guests_of_every_type_grow_and_keep_it_after_a_reset(self):
        for kind, first in TYPES.items():
            with self.subTest(kind=kind):
                _, client = self.machine(kind)
                self.assertEqual(self.add(client, 1, 128)['return'], {})
                client.call('stop')
                self.assertEqual(self.add(client, 2, 256)['return'], {})
                wanted = [{'type': 'dimm', 'data': {'id': f'dimm{n}', 'addr': PLACE + at * MIB, 'size': mib * MIB, 'slot': n - 1, 'node': 0,
                                                    'memdev': f'/objects/ram{n}', 'hotplugged': True, 'hotpluggable': True}}
                          for n, at, mib in [(1, 0, 128), (2, 128, 256)]]
                client.call('cont')
                for _ in range(2):
                    self.assertEqual(client.call('query-memory-devices'), wanted)
                    self.assertEqual(client.call('query-memory-size-summary'), {'base-memory': first * MIB, 'plugged-memory': 384 * MIB})
                    pages = client.call('__vmm_query-pages')
                    self.assertEqual(pages['ram-bytes'], (first + 384) * MIB)
                    self.assertEqual(pages['private-bytes'], (first + 384) * MIB if kind == 'sev-snp' else None)
                    self.assertIn(f'{PLACE:016x}-{PLACE + 384 * MIB - 1:016x} (prio 0, ram): RAM',
                                  client.call('human-monitor-command', command_line='info mtree'))
                    self.assertEqual([(slot['slot'], slot['source']) for slot in client.call('query-acpi-ospm-status')], [('0', 0), ('1', 0)])
                    client.call('system_reset')
                    monitor.until(lambda: client.call('query-status')['running'])
                client.call('quit')

    @unittest.skipUnless(144 <= free_mib() < 272, 'the pool of huge pages must have 72 to 135 free pages (vm.nr_hugepages)')
    def test_memory_of_the_pool(self):
        for kind in TYPES:
            with self.subTest(kind=kind):
                _, client = self.machine(kind, 'machine.hugepages=true')
                self.assertEqual(self.add(client, 1, 128)['return'], {})
                self.assertRegex(self.add(client, 2, 128)['error']['desc'], 'pool has no 64 free pages.*add less')
                self.assertEqual(self.plugged(client), 128)
                client.call('system_reset')
                monitor.until(lambda client=client: client.call('query-status')['running'])
                self.assertEqual(self.plugged(client), 128)
                client.call('quit')
                monitor.until(lambda: free_mib() >= 144)

    def test_answer_of_the_guest_is_told(self):
        _, client = self.machine('none', code=WAIT + ANSWER + guests.SPIN)
        self.assertEqual(self.add(client, 1, 128)['return'], {})
        status, told = None, []
        while status != 0:
            info = client.wait_event('ACPI_DEVICE_OST')['data']['info']
            status = info.pop('status')
            told.append(status)
            self.assertEqual(info, {'device': 'dimm1', 'slot': '0', 'slot-type': 'DIMM', 'source': 1})
        self.assertEqual(told, [status for status in (0x80, 0x81, 0) if status in told])
        self.assertEqual(client.call('query-acpi-ospm-status'), [{'device': 'dimm1', 'slot': '0', 'slot-type': 'DIMM', 'source': 1, 'status': 0}])

    def test_guest_that_answers_for_ever_is_told_once_a_second(self):
        _, client = self.machine('none', code=FLOOD)
        self.assertEqual(self.add(client, 1, 128)['return'], {})
        first, second, third = (client.wait_event('ACPI_DEVICE_OST') for _ in range(3))
        for before, after in (first, second), (second, third):
            self.assertNotEqual(before['data']['info']['status'], after['data']['info']['status'])
            passed = [event['timestamp']['seconds'] + event['timestamp']['microseconds'] / 1e6 for event in (before, after)]
            self.assertGreater(passed[1] - passed[0], 0.9)

    def test_what_is_refused(self):
        _, client = self.machine('none')
        for size, words in [(1, 'in multiples of 128 MiB'), (100 * MIB, 'in multiples of 128 MiB'), (-1, 'in multiples of 128 MiB'),
                            (640 * MIB, 'the guest can get 512 MiB more (machine.memory-max)'), (1 << 62, 'the guest can get 512 MiB more')]:
            client.call('object-add', qom_type='memory-backend-ram', id='ram', size=size)
            self.assertIn(words, client.ask('device_add', driver='pc-dimm', memdev='ram')['error']['desc'])
            client.call('object-del', id='ram')
        self.assertEqual(self.plugged(client), 0)
        self.assertEqual(self.add(client, 1, 128)['return'], {})
        for command, arguments, words in [
                ('object-add', {'qom_type': 'memory-backend-ram', 'id': 'ram1', 'size': MIB}, "duplicate property 'ram1'"),
                ('object-add', {'qom_type': 'memory-backend-ram', 'id': 'ram2', 'size': 0}, "doesn't take value '0'"),
                ('object-add', {'qom_type': 'memory-backend-ram', 'id': '1', 'size': MIB}, "Parameter 'id' expects an identifier"),
                ('object-add', {'qom_type': 'memory-backend-ram', 'id': 'x' * 200, 'size': MIB}, "Parameter 'id' expects an identifier"),
                ('object-add', {'qom_type': 'memory-backend-file', 'id': 'ram2', 'size': MIB}, "does not accept value 'memory-backend-file'"),
                ('object-del', {'id': 'ram1'}, "object 'ram1' is in use"),
                ('object-del', {'id': 'nope'}, "object 'nope' not found"),
                ('device_add', {'driver': 'pc-dimm'}, "'memdev' property is not set"),
                ('device_add', {'driver': 'pc-dimm', 'memdev': 'nope'}, "Device 'nope' not found"),
                ('device_add', {'driver': 'pc-dimm', 'memdev': 'ram1'}, 'already busy memdev: ram1'),
                ('device_add', {'driver': 'pc-dimm', 'memdev': 'ram1', 'id': 'dimm1'}, "Duplicate device ID 'dimm1'"),
                ('device_add', {'driver': 'pc-dimm', 'memdev': 'ram1', 'addr': 0}, "Property 'pc-dimm.addr' not found"),
                ('device_del', {'id': 'dimm1'}, 'memory that was added is not taken back')]:
            with self.subTest(command=command, arguments=arguments):
                self.assertIn(words, client.ask(command, **arguments)['error']['desc'])
        self.assertEqual(self.plugged(client), 128)

    def test_guest_that_cannot_grow_is_told_how_it_could(self):
        machine = monitor.Machine(self)
        client = machine.monitor()
        monitor.until(lambda: client.call('query-status')['running'])
        self.assertIn('set machine.memory-max', self.add(client, 1, 128)['error']['desc'])
        self.assertEqual(client.call('query-memory-devices'), [])

    def test_slots_are_bounded(self):
        _, client = self.machine('none', most=2 + 17 * 128)
        for number in range(16):
            self.assertEqual(self.add(client, number, 128)['return'], {})
        self.assertIn('there can be 16 backends', client.ask('object-add', qom_type='memory-backend-ram', id='more', size=128 * MIB)['error']['desc'])
        self.assertEqual(self.plugged(client), 16 * 128)

    def test_during_a_launch_nothing_is_added(self):
        machine = monitor.Machine(self, guests.SPIN, 'sev.type=sev', 'machine.memory-max=144M', 'run.paused=true')
        client = machine.monitor()
        monitor.until(lambda: client.call('query-sev')['state'] == 'launch-secret')
        self.assertIn('add memory when it runs', self.add(client, 1, 128)['error']['desc'])
        client.call('cont')
        self.assertEqual(client.call('device_add', driver='pc-dimm', memdev='ram1'), {})
        self.assertEqual(self.plugged(client), 128)

    def test_host_that_refuses_changes_nothing(self):
        for kind, call in [('none', 'KVM_SET_USER_MEMORY_REGION'), ('sev', 'KVM_MEMORY_ENCRYPT_REG_REGION'),
                           ('sev-es', 'KVM_SET_USER_MEMORY_REGION'), ('sev-snp', 'KVM_SET_USER_MEMORY_REGION2'),
                           ('sev-snp', 'KVM_SET_MEMORY_ATTRIBUTES')]:
            with self.subTest(kind=kind, call=call):
                _, client = self.machine(kind)
                client.call('__vmm_inject-fault', call=call, nth=1, errno=12)
                answer = self.add(client, 1, 128)
                self.assertIn(call, answer['error']['desc'])
                self.assertEqual((self.plugged(client), client.call('query-memory-devices')), (0, []))
                self.assertEqual(client.call('device_add', driver='pc-dimm', id='dimm1', memdev='ram1'), {})
                self.assertEqual(self.plugged(client), 128)
                client.call('quit')

    def test_limit_of_locked_memory_is_named(self):
        _, client = self.machine('sev', 'sim.memlock=100M')
        self.assertIn('LimitMEMLOCK=infinity', self.add(client, 1, 128)['error']['desc'])
        self.assertEqual(self.plugged(client), 0)


if __name__ == '__main__':
    monitor.main()
