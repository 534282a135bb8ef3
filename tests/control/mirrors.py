#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mirrors that a controller makes of a SEV guest: their programs meet the guest in its private memory, stop, fail, loop and end."""
import socket
import struct
import unittest

import monitor
from monitor import guests, images

C_BIT, IMAGE, RAM, TABLES = 1 << 51, 0xffff0000, 0x20000, 0x1000
GIB_OF_RAM = 1 << 30            # there the programs have the guest's first GiB, private
PLACES = {'meet': 0x4000, 'loop': 0x4100, 'port': 0x4200, 'far': 0x4300, 'crash': 0x4400}
PROGRAMS = {
    # Is what the guest has written there? Then tells it by the byte behind, and halts; a second run loops.
    'meet': 'c6042503000240 01 66813c2500000240175a 750b c604250200024001 f4 ebfe 0f0b',
    'loop': 'ebfe', 'port': 'e680', 'far': '8a042500003040', 'crash': '0f0b'}
# Writes 5a17 and 0, says G, and says M when the byte behind is no longer 0.
GUEST = bytes.fromhex('b80020 8ed8 c7060000175a c606020000 baf803 b047 ee 803e020000 74f9 b04d ee ebfe')
ALLOWS = bytes.fromhex('fa fc 66b9084d564b 66b801000000 6631d2 0f30')   # MSR_KVM_MIGRATION_CONTROL
VIEWS = [{'gpa': RAM, 'size-bytes': 4096}, {'gpa': IMAGE, 'size-bytes': 65536}]


def firmware(code):
    data = bytearray(images.image(code))
    struct.pack_into('<Q', data, TABLES, IMAGE + TABLES + 0x1000 | C_BIT | 3)
    struct.pack_into('<QQQQ', data, TABLES + 0x1000, 0, C_BIT | 0x83, 0, 3 << 30 | C_BIT | 0x83)
    for name, code in PROGRAMS.items():
        data[PLACES[name]:PLACES[name] + len(bytes.fromhex(code))] = bytes.fromhex(code)
    return bytes(data)


class Guest(monitor.Machine):
    def __init__(self, test, *sets, code=GUEST, kind='sev'):
        image = guests.Folder(test).path / 'mirror.fd'
        image.write_bytes(firmware(code))
        self.console = image.with_name('console')
        with open(self.console, 'wb') as console:
            super().__init__(test, code, f'sev.type={kind}', 'machine.cpu=EPYC-Milan', *sets, options=['--set', f'firmware={image}'], stdout=console)
        self.control = self.monitor()
        monitor.until(lambda: self.control.call('query-status')['status'] == 'running')

    def words(self, name, **more):
        return {'views': VIEWS, 'cr3': IMAGE + TABLES | C_BIT, 'rip': IMAGE + PLACES[name], **more}

    def add(self, name, **more):
        return self.control.call('__vmm_mirror-add', **self.words(name, **more))['id']

    def refused(self, command='__vmm_mirror-add', **arguments):
        return self.control.ask(command, **arguments)['error']['desc']

    def run(self, mirror):
        self.control.call('__vmm_mirror-run', id=mirror)

    def stops(self, mirror):
        """What the event says; it is the only one."""
        def told():
            self.control.call('query-name')
            return any(event['event'] == '__VMM_MIRROR' for event in self.control.events)
        monitor.until(told)
        mine = [event['data'] for event in self.control.events if event['event'] == '__VMM_MIRROR']
        self.control.events.clear()
        self.test.assertEqual([event['id'] for event in mine], [mirror])
        self.test.assertEqual(mine[0], self.facts(mirror))
        return mine[0]

    def facts(self, mirror):
        return next(facts for facts in self.control.call('__vmm_query-mirrors') if facts['id'] == mirror)


class Mirrors(unittest.TestCase):
    def test_a_program_meets_the_guest(self):
        guest = Guest(self)
        monitor.until(lambda: guest.console.read_bytes() == b'G')
        mirror = guest.add('meet')
        self.assertEqual(guest.facts(mirror), {'id': mirror, 'state': 'ready', 'runs': 0, 'why': None})
        guest.run(mirror)
        self.assertEqual(guest.stops(mirror), {'id': mirror, 'state': 'halted', 'runs': 1, 'why': None})
        monitor.until(lambda: guest.console.read_bytes() == b'GM')
        guest.run(mirror)
        self.assertIn('runs already', guest.refused('__vmm_mirror-run', id=mirror))
        self.assertEqual(guest.facts(mirror)['state'], 'runs')
        guest.control.call('__vmm_mirror-kick', id=mirror)
        self.assertEqual(guest.stops(mirror), {'id': mirror, 'state': 'kicked', 'runs': 2, 'why': None})
        self.assertIn('does not run', guest.refused('__vmm_mirror-kick', id=mirror))
        guest.run(mirror)
        guest.control.call('__vmm_mirror-del', id=mirror)
        self.assertEqual(guest.control.call('__vmm_query-mirrors'), [])
        self.assertEqual(guest.control.call('query-status')['status'], 'running')
        guest.control.call('quit')
        self.assertEqual(guest.status(), 0)

    def test_what_fails_is_told(self):
        guest = Guest(self)
        for name, why in (('port', 'used port 0x80, and has no ports'), ('far', 'used 0x300000, where it has no memory'), ('crash', 'crashed')):
            with self.subTest(name=name):
                mirror = guest.add(name)
                guest.run(mirror)
                told = guest.stops(mirror)
                self.assertEqual(told['state'], 'failed')
                self.assertIn(why, told['why'])
                self.assertIn('has failed', guest.refused('__vmm_mirror-run', id=mirror))
                guest.control.call('__vmm_mirror-del', id=mirror)
        self.assertEqual(guest.control.call('query-status')['status'], 'running')

    def test_bad_arguments_are_refused(self):
        guest = Guest(self, 'sev.helper=true')
        image = VIEWS[1]
        for words, why in (({'views': []}, '1 to 32 pieces'), ({'views': VIEWS * 17}, '1 to 32 pieces'), ({'views': [image, image]}, 'ascending'),
                           ({'views': VIEWS[::-1]}, 'ascending'), ({'views': [{'gpa': RAM + 16, 'size-bytes': 4096}, image]}, 'whole pages'),
                           ({'views': [{'gpa': RAM, 'size-bytes': 0}, image]}, 'whole pages'), ({'views': [{'gpa': 16 << 20, 'size-bytes': 4096}, image]}, 'no memory'),
                           ({'views': [{'gpa': -4096, 'size-bytes': 8192}, image]}, 'no memory'), ({'views': [{'gpa': 0, 'size-bytes': -4096}, image]}, 'no memory'),
                           ({'views': [{'gpa': 0xfef07000, 'size-bytes': 4096}, image]}, 'no memory'), ({'rip': 1 << 47}, 'canonical'), ({'rsp': -(1 << 47) - 1}, 'canonical'),
                           ({'cr3': IMAGE + TABLES + 8 | C_BIT}, 'not the address of a page'), ({'cr3': 0x30000 | C_BIT}, 'lies in no view'),
                           ({'cr3': IMAGE + TABLES | 1 << 50}, 'lies in no view')):
            with self.subTest(words=words):
                self.assertIn(why, guest.refused(**guest.words('loop', **words)))
        for id in (0, 1, -1, 1 << 32, (1 << 32) + 1):
            for command in ('run', 'kick', 'del'):
                self.assertIn('there is no mirror', guest.refused(f'__vmm_mirror-{command}', id=id))
        mirrors = [guest.add('loop') for _ in range(4)]
        self.assertIn('at most 4 mirrors', guest.refused(**guest.words('loop')))
        for mirror in mirrors:
            guest.run(mirror)
        guest.control.call('__vmm_mirror-del', id=mirrors[2])
        self.assertEqual(guest.add('loop'), 5)
        guest.control.call('quit')      # four loop or wait
        self.assertEqual(guest.status(), 0)

    def test_many_leave_nothing_behind(self):
        guest = Guest(self)
        asids, files = guest.control.call('__vmm_query-asids'), guests.descriptors(guest.vmm.pid)
        for number in range(100):
            mirror = guest.add('loop')
            self.assertEqual(mirror, number + 1)
            if number % 2:
                guest.run(mirror)
            guest.control.call('__vmm_mirror-del', id=mirror)
        self.assertEqual((guest.control.call('__vmm_query-asids'), guests.descriptors(guest.vmm.pid)), (asids, files))

    def test_a_reset_and_the_guests_end_end_them(self):
        guest = Guest(self)
        guest.run(guest.add('loop'))
        guest.control.call('system_reset')
        monitor.until(lambda: guest.control.call('__vmm_query-launch')['resets'] == 1 and guest.control.call('query-status')['status'] == 'running')
        self.assertEqual(guest.control.call('__vmm_query-mirrors'), [])
        self.assertEqual(guest.add('loop'), 2)
        guest.run(2)
        guest.control.call('stop')
        self.assertEqual(guest.facts(2)['state'], 'runs')
        guest.control.call('quit')
        self.assertEqual(guest.status(), 0)

    def test_moves_and_mirrors_exclude_each_other(self):
        guest = Guest(self, 'sev.helper=true', 'sev.page-status=true', code=ALLOWS + GUEST)
        monitor.until(lambda: guest.console.read_bytes() == b'G')
        mirror = guest.add('loop')
        self.assertIn('a controller has made mirrors of it', guest.control.call('query-migrate')['blocked-reasons'][0])
        path = str(guest.console.with_name('there'))
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.bind(path)
            deaf.listen()
            self.assertIn('a controller has made mirrors of it', guest.refused('migrate', uri=f'unix:{path}'))
            guest.control.call('__vmm_mirror-del', id=mirror)
            guest.control.call('migrate', uri=f'unix:{path}')
            self.assertIn('a move of the guest is under way', guest.refused(**guest.words('loop')))
            guest.control.call('migrate_cancel')
            monitor.until(lambda: guest.control.call('query-migrate')['status'] == 'cancelled')
        guest.add('loop')

    def test_other_guests_have_none(self):
        for kind, why in (('none', 'no encryption context'), ('sev-es', 'cannot be made after its launch'), ('sev-snp', 'KVM shares neither')):
            with self.subTest(kind=kind):
                guest = Guest(self, kind=kind, code=guests.SPIN)
                self.assertIn(why, guest.refused(**guest.words('loop')))
                self.assertEqual(guest.control.call('__vmm_query-mirrors'), [])


if __name__ == '__main__':
    monitor.main()
