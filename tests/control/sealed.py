#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A SEV guest moves from one vmm to another by its migration helper: what it has in private memory is there, and not in the stream."""
import os
import struct
import threading
import unittest

import monitor
import movers
from monitor import guests

ROOT = '6cde44fe-0c86-40aa-8a8d-eb9926f7486b'
MARKER = b'told by the guest'[:16]
ALLOWS = bytes.fromhex('fa fc 66b9084d564b 66b801000000 6631d2 0f30')   # MSR_KVM_MIGRATION_CONTROL


def speaker(marker=MARKER, allows=ALLOWS):
    """Writes the marker, of which the image has the complement, into private memory, and tells it from there again and again."""
    code = allows + bytes.fromhex('b80020 8ed8')
    for at in range(0, len(marker), 2):
        word = struct.unpack_from('<H', marker, at)[0]
        code += struct.pack('<BHHBH', 0xb8, word ^ 0xffff, 0xd0f7, 0xa3, at)
    tell = bytes.fromhex('31f6 b91000 baf803 ac ee e2fc b9ffff e2fe')
    return code + tell + b'\xeb' + struct.pack('b', -len(tell) - 2)


class Side(movers.Side):
    """With an owner, who gives the guest a root key when it has been measured."""

    def __init__(self, test, *sets, root=bytes(range(32)), code=None, **how):
        self.owner, self.root = monitor.Owner(test, 1), root
        self.console = self.owner.path / 'console'
        sets = ('sev.type=sev', 'machine.cpu=EPYC-Milan', 'sev.helper=true', 'sev.page-status=true', *self.owner.sets,
                f'sev.measurement={self.owner.path}/measure', f'sev.secret={self.owner.path}/secret',
                f'sev.secret-header={self.owner.path}/header', 'sev.secret-address=fef07000', 'sev.secret-wait=60', *sets)
        giver = threading.Thread(target=self.give)
        giver.start()
        with open(self.console, 'wb') as console:
            super().__init__(test, *sets, code=code or speaker(), stdout=console, **how)
        giver.join()

    def give(self):
        measure = self.owner.path / 'measure'
        monitor.until(lambda: measure.exists() and measure.stat().st_size == 48)
        (self.owner.path / 'root').write_bytes(self.root)
        self.owner.vmm('secret', 'pack', '--keys', 'keys', '--measure', 'measure', '--entry', f'{ROOT}=root', '--out-header', 'header',
                       '--out-secret', 'part')
        os.rename(self.owner.path / 'part', self.owner.path / 'secret')

    def tells(self):
        monitor.until(lambda: self.console.read_bytes().count(MARKER) > 2)


class Sealed(unittest.TestCase):
    def pair(self, here=(), there=(), **how):
        address = f'unix:{guests.Folder(self).path}/move'
        return Side(self, *here, **how), Side(self, *there, address=address)

    def test_a_guest_goes_on_with_its_private_memory(self):
        source, target = self.pair()
        source.tells()
        frames = movers.carry(self, source, target)
        target.tells()
        names = [name for name, _ in frames]
        self.assertEqual({'KEYS', 'PROOF', 'SEALED', 'ENDS', 'MAP'} - set(names), set())
        self.assertNotIn(MARKER, b''.join(frame for _, frame in frames))

    def test_what_is_missing_is_told(self):
        sev = ['sev.type=sev', 'machine.cpu=EPYC-Milan']
        for sets, code, words in ((sev, guests.SPIN, 'which pages it shares (sev.page-status)'),
                                  ([*sev, 'sev.helper=true'], guests.SPIN, 'which pages it shares (sev.page-status)'),
                                  ([*sev, 'sev.helper=true', 'sev.page-status=true'], guests.SPIN, 'it has not allowed its migration'),
                                  (['sev.type=sev-es', 'machine.cpu=EPYC-Milan'], guests.SPIN, 'the registers of a SEV-ES guest are encrypted'),
                                  (['sev.type=sev-snp', 'machine.cpu=EPYC-Milan'], guests.SPIN, 'a SEV-SNP guest shares its context with no other VM')):
            with self.subTest(sets=sets):
                side = movers.Side(self, *sets, code=code)
                self.assertIn(words, side.moves()['blocked-reasons'][0])
                self.assertIn(words, side.control.ask('migrate', uri='unix:/nowhere')['error']['desc'])

    def test_another_root_key_brings_nothing(self):
        address = f'unix:{guests.Folder(self).path}/move'
        target = Side(self, address=address, root=b'another'.ljust(32))
        source = Side(self)
        source.tells()
        source.control.call('migrate', uri=address)
        self.assertIn('was it given another root key?', source.ends('failed')['error-desc'])
        self.assertEqual(target.status(), 1)
        self.assertEqual((source.state(), source.moves()['ram']['normal']), ('running', 0))

    def test_each_difference_is_told(self):
        source, target = self.pair(there=['sev.shared-ranges-max=77'])
        source.tells()
        source.control.call('migrate', uri=target.address)
        self.assertIn('sev.shared-ranges-max is 77 here and 65536 there', source.ends('failed')['error-desc'])

    def test_cancel_and_on_to_a_third(self):
        source, target = self.pair()
        source.tells()
        source.slow()
        source.control.call('migrate', uri=target.address)
        monitor.until(lambda: source.moves()['status'] == 'active')
        source.control.call('migrate_cancel')
        source.ends('cancelled')
        self.assertEqual(target.status(), 1)
        source.fast()
        told = source.console.read_bytes().count(MARKER)
        monitor.until(lambda: source.console.read_bytes().count(MARKER) > told)
        second = Side(self, address=f'unix:{guests.Folder(self).path}/second')
        source.control.call('migrate', uri=second.address)
        source.ends('completed')
        second.tells()
        third = Side(self, address=f'unix:{guests.Folder(self).path}/third')
        second.control.call('migrate', uri=third.address)
        second.ends('completed')
        third.tells()
        self.assertEqual((source.state(), second.state(), third.state()), ('postmigrate', 'postmigrate', 'running'))

    def test_memory_that_was_added_comes_too(self):
        """Both helpers see it, though they were made before."""
        source, target = self.pair(['machine.memory-max=400M'], ['machine.memory-max=400M'])
        source.tells()
        source.control.call('object-add', qom_type='memory-backend-ram', id='ram', size=128 << 20)
        source.control.call('device_add', driver='pc-dimm', id='dimm', memdev='ram')
        source.control.call('migrate', uri=target.address)
        self.assertGreaterEqual(source.ends('completed')['ram']['normal'], (128 + 16) << 8)
        target.tells()
        self.assertEqual(target.control.call('query-memory-size-summary')['plugged-memory'], 128 << 20)


if __name__ == '__main__':
    monitor.main()
