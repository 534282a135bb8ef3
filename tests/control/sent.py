#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A SEV guest without a helper moves from one vmm to another by the secure processors of both: what it has in private memory is there."""
import unittest

import monitor
import movers
import sealed
from monitor import guests

SEV = ('sev.type=sev', 'machine.cpu=EPYC-Milan', 'sev.page-status=true')
MARKER = sealed.MARKER


def counter():
    """Counts in seven pages of private memory as fast as it can, tells now and then the high byte, and falls silent if they differ."""
    count = bytes.fromhex('ff060000 a10000')                       # inc word [0]; mov ax, [0]
    for page in range(0x1000, 0x7000, 0x1000):
        count += b'\xff\x06' + page.to_bytes(2, 'little')          # inc word [page]
        count += b'\x3b\x06' + page.to_bytes(2, 'little')          # cmp ax, [page]
        count += bytes.fromhex('7402 f4 f4')                       # je over the halts
    count += bytes.fromhex('a9ff03 7506')                          # test ax, 0x3ff; jnz over what tells
    count += bytes.fromhex('88e0 baf803 ee')                       # mov al, ah; mov dx, 0x3f8; out dx, al
    start = sealed.ALLOWS + bytes.fromhex('b80020 8ed8')
    for page in range(0, 0x7000, 0x1000):
        start += b'\xc7\x06' + page.to_bytes(2, 'little') + b'\0\0'  # mov word [page], 0
    return start + count + b'\xe9' + (-len(count) - 3 & 0xffff).to_bytes(2, 'little')


class Side(movers.Side):
    """With a guest that tells its marker from private memory."""

    def __init__(self, test, *sets, code=None, **how):
        self.console = guests.Folder(test).path / 'console'
        with open(self.console, 'wb') as console:
            super().__init__(test, *SEV, *sets, code=code or sealed.speaker(), stdout=console, **how)

    def told(self):
        return self.console.read_bytes().count(MARKER)

    def tells(self):
        told = self.told()
        monitor.until(lambda: self.told() > told + 2)

    def launch_state(self):
        return self.control.call('query-sev')['state']


class Sent(unittest.TestCase):
    def setUp(self):
        self.owner = monitor.Owner(self, 1)
        self.certificates = f'migrate.certificates={self.owner.path}/certs'

    def source(self, *sets, root='ark', **how):
        return Side(self, f'migrate.root={self.owner.path}/{root}', *sets, **how)

    def target(self, *sets):
        """From which the guest can go on."""
        return Side(self, f'migrate.root={self.owner.path}/ark', *sets or [self.certificates], address=f'unix:{guests.Folder(self).path}/move')

    def refused(self, source, target, words):
        source.tells()
        source.control.call('migrate', uri=target.address)
        self.assertIn(words, source.ends('failed')['error-desc'])
        self.assertEqual((source.state(), source.launch_state()), ('running', 'running'))
        self.assertEqual(source.moves()['ram']['normal'], 0)
        source.tells()
        # One that was given no session waits for another source.
        self.assertEqual((target.state(), target.launch_state()), ('inmigrate', 'uninit'))

    def test_a_guest_goes_on_with_its_private_memory(self):
        source, target = self.source(), self.target()
        self.assertEqual((target.launch_state(), source.launch_state()), ('uninit', 'running'))
        source.tells()
        frames = movers.carry(self, source, target)
        target.tells()
        names = {name for name, _ in frames}
        self.assertEqual({'CHAIN', 'SESSION', 'PROOF', 'SENT', 'MAP'} - names, set())
        self.assertEqual({'KEYS', 'SEALED', 'ENDS'} & names, set())
        self.assertNotIn(MARKER, b''.join(frame for _, frame in frames))
        self.assertEqual((target.launch_state(), source.launch_state()), ('running', 'send-update'))
        # It was measured where it began.
        self.assertIn('error', target.control.ask('query-sev-launch-measure'))

    def test_what_it_writes_meanwhile_comes_too(self):
        source, target = self.source(code=counter()), self.target()
        monitor.until(lambda: len(source.console.read_bytes()) > 20)
        source.control.call('migrate', uri=target.address)
        self.assertGreater(source.ends('completed')['ram']['dirty-sync-count'], 1)
        monitor.until(lambda: len(target.console.read_bytes()) > 20)
        source.control.call('quit')
        self.assertEqual(source.status(), 0)
        told = source.console.read_bytes() + target.console.read_bytes()
        self.assertEqual({(after - before) % 256 for before, after in zip(told, told[1:])}, {4})

    def test_it_goes_to_no_host_that_is_not_verified(self):
        self.owner.vmm('host', '--host', 'sim', '--set', 'sim.product=Rome', '--certificates', 'more', '--generation', 'sev', '--out-root', 'rome')
        source = self.source()
        self.refused(source, self.target('migrate.record='), "it does not tell AMD's certificates (migrate.certificates there)")
        target = self.target()
        self.refused(self.source(root='rome'), target, 'lead to another root than migrate.root')
        self.refused(Side(self), target, "lead to no root of AMD's")
        source.control.call('migrate', uri=target.address)
        source.ends('completed')
        target.tells()

    def test_a_policy_may_forbid_it(self):
        source = self.source('sev.policy=nodbg,nosend')
        words = 'its policy forbids the secure processor to send its memory (nosend)'
        self.assertIn(words, source.moves()['blocked-reasons'][0])
        self.assertIn(words, source.control.ask('migrate', uri='unix:/nowhere')['error']['desc'])

    def test_a_guest_that_stays_can_be_moved_again(self):
        source, slow = self.source(), self.target()
        source.tells()
        source.slow()
        source.control.call('migrate', uri=slow.address)
        monitor.until(lambda: source.moves()['status'] == 'active')
        self.assertEqual(source.launch_state(), 'send-update')
        source.control.call('migrate_cancel')
        source.ends('cancelled')
        self.assertEqual((slow.status(), source.launch_state()), (1, 'running'))
        source.fast()
        for cut in (lambda name, frame: name == 'SENT', movers.is_last):
            target = self.target()
            proxy = movers.Proxy(self, target.address[len('unix:'):], at=lambda who, name, frame, cut=cut: not cut(name, frame))
            source.control.call('migrate', uri=proxy.address)
            source.ends('failed')
            self.assertEqual((target.status(), source.launch_state()), (1, 'running'))
            source.tells()
        second, third = self.target(), self.target()
        source.control.call('migrate', uri=second.address)
        source.ends('completed')
        second.tells()
        second.control.call('migrate', uri=third.address)
        second.ends('completed')
        third.tells()
        self.assertEqual((source.state(), second.state(), third.state()), ('postmigrate', 'postmigrate', 'running'))

    def test_a_doubt_leaves_the_guest_on_its_way(self):
        source, target = self.source(), self.target()
        source.tells()
        proxy = movers.Proxy(self, target.address[len('unix:'):], at=lambda who, name, frame: name != 'DONE')
        source.control.call('migrate', uri=proxy.address)
        source.ends('in-doubt')
        target.tells()
        source.control.call('migrate', uri=target.address, resume=True)
        source.ends('completed')

    def test_a_guest_that_the_operator_keeps_can_be_moved_again(self):
        source, target, other = self.source(), self.target(), self.target()
        source.tells()
        proxy = movers.Proxy(self, target.address[len('unix:'):], at=lambda who, name, frame: name != 'COMMIT')
        source.control.call('migrate', uri=proxy.address)
        source.ends('in-doubt')
        self.assertEqual(source.launch_state(), 'send-update')
        target.ends('in-doubt')
        target.control.call('__vmm_migrate-resolve', runs=False)
        self.assertEqual(target.status(), 1)
        source.control.call('__vmm_migrate-resolve', runs=True)
        self.assertEqual((source.state(), source.launch_state()), ('running', 'running'))
        source.tells()
        source.control.call('migrate', uri=other.address)
        source.ends('completed')
        other.tells()

    def test_memory_that_was_added_comes_too(self):
        source, target = self.source('machine.memory-max=400M'), self.target(self.certificates, 'machine.memory-max=400M')
        source.tells()
        source.control.call('object-add', qom_type='memory-backend-ram', id='ram', size=128 << 20)
        source.control.call('device_add', driver='pc-dimm', id='dimm', memdev='ram')
        source.control.call('migrate', uri=target.address)
        self.assertGreaterEqual(source.ends('completed')['ram']['normal'], (128 + 16) << 8)
        target.tells()
        self.assertEqual(target.control.call('query-memory-size-summary')['plugged-memory'], 128 << 20)

    def test_a_reset_launches_the_guest_where_it_is(self):
        source, target = self.source(), self.target()
        source.tells()
        source.control.call('migrate', uri=target.address)
        source.ends('completed')
        target.tells()
        target.control.call('system_reset')
        monitor.until(lambda: target.launch_state() == 'running' and 'return' in target.control.ask('query-sev-launch-measure'))
        target.tells()


if __name__ == '__main__':
    monitor.main()
