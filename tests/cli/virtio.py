#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest that breaks the rules of virtio: its device stops until the reset, the others and vmm go on.

The guest is 16-bit code. It reaches the registers of the devices by the window in their configuration space (VIRTIO 1.2, 4.1.4.9), so that it needs no
address above 1 MiB. Its rings lie in segment 1000h."""
import struct
import unittest

import guests

RAM = 0x10000                                        # segment 1000h
DESC, AVAIL, USED = RAM + 0x1000, RAM + 0x2000, RAM + 0x3000
BUFFER = RAM + 0x4000
OUTSIDE, FIRMWARE, NOWHERE = 0x7f000000, 0xfffff000, 0xffffffffffff0000
NEXT, WRITE = 1, 2
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 64
RUNNING = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK
SIZE = 8                                             # of a queue
WINDOW = 0x80                                        # the window's capability, in devices without configuration
CONFIGURED = 0x90                                    # and in those with
# Registers (VIRTIO 4.1.4.3), and where the structures lie in the BAR.
DRIVER_SELECT, DRIVER_FEATURES, CONFIG_VECTOR, STATUS, SELECT, QUEUE_SIZE, VECTOR, ENABLE = 8, 0xc, 0x10, 0x14, 0x16, 0x18, 0x1a, 0x1c
DESC_AT, AVAIL_AT, USED_AT = 0x20, 0x28, 0x30
NOTIFY = 0x3000


def jump_back(opcode, code):
    """code, and a jump to its start while the condition holds."""
    return code + bytes([0x0f, opcode]) + struct.pack('<h', -len(code) - 4)


def poke(address, value, size=2):
    """Writes to RAM; ds is its segment."""
    if size == 2:
        return struct.pack('<BBHH', 0xc7, 0x06, address - RAM, value)
    return struct.pack('<BBBHI', 0x66, 0xc7, 0x06, address - RAM, value)


def expect(test, mark):
    """Prints the mark, and goes no further, unless the comparison was equal."""
    wrong = guests.text(mark) + guests.SPIN
    return test + bytes([0x0f, 0x84]) + struct.pack('<h', len(wrong)) + wrong


class Device:
    """Code that drives the device at a place of the PCI bus."""

    def __init__(self, slot, window=WINDOW):
        self.slot, self.window = slot, window

    def config(self, offset, size, value):
        out = {1: guests.out8, 2: guests.out16, 4: guests.out32}[size]
        return guests.out32(0xcf8, 0x80000000 | self.slot << 11 | offset & ~3) + out(0xcfc + (offset & 3), value)

    def aim(self, offset, size):
        """Points the window at a register."""
        return self.config(self.window + 4, 1, 0) + self.config(self.window + 8, 4, offset) + self.config(self.window + 12, 4, size)

    def set(self, offset, size, value):
        if size == 8:
            return self.set(offset, 4, value & 0xffffffff) + self.set(offset + 4, 4, value >> 32)
        return self.aim(offset, size) + self.config(self.window + 16, size, value)

    def get(self, offset, size):
        """To eax."""
        return self.aim(offset, size) + guests.out32(0xcf8, 0x80000000 | self.slot << 11 | self.window + 16) + bytes.fromhex('bafc0c 66ed')

    def start(self, queue=0, desc=DESC, avail=AVAIL, used=USED):
        zeros = bytes.fromhex('1e 07 bf0010 b90018 31c0 fc f3ab')  # 12 KiB from DESC on
        code = zeros + self.set(STATUS, 1, 0) + self.set(STATUS, 1, ACKNOWLEDGE | DRIVER)
        code += self.set(DRIVER_SELECT, 4, 1) + self.set(DRIVER_FEATURES, 4, 1)  # VERSION_1
        code += self.set(STATUS, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK) + self.set(SELECT, 2, queue) + self.set(QUEUE_SIZE, 2, SIZE)
        code += self.set(DESC_AT, 8, desc) + self.set(AVAIL_AT, 8, avail) + self.set(USED_AT, 8, used) + self.set(ENABLE, 2, 1)
        return code + self.set(STATUS, 1, RUNNING)

    def kick(self, queue=0):
        return self.set(NOTIFY + 4 * queue, 2, queue)

    def until_broken(self):
        return jump_back(0x84, self.get(STATUS, 1) + bytes([0xa8, NEEDS_RESET]))  # test al; jz

    def is_running(self, mark):
        return expect(self.get(STATUS, 1) + bytes([0x3c, RUNNING]), mark)


def desc(i, address, size, flags, after=0):
    at = DESC + 16 * i
    return poke(at, address & 0xffffffff, 4) + poke(at + 4, address >> 32, 4) + poke(at + 8, size, 4) + poke(at + 12, flags) + poke(at + 14, after)


def offer(*heads, idx=None):
    return b''.join(poke(AVAIL + 4 + 2 * i, head) for i, head in enumerate(heads)) + poke(AVAIL + 2, len(heads) if idx is None else idx)


def until_used(count):
    return jump_back(0x82, struct.pack('<BBHB', 0x83, 0x3e, USED + 2 - RAM, count))  # cmp word [USED + 2], count; jb


# What each hostile driver makes available before it kicks.
CHAINS = {
    'a loop': desc(0, BUFFER, 1, NEXT | WRITE, 1) + desc(1, BUFFER, 1, NEXT | WRITE, 0) + offer(0),
    'four GiB': desc(0, 0, 0xffffffff, WRITE) + offer(0),
    'an index that jumps': offer(0, idx=0x4000),
    'a buffer outside RAM': desc(0, OUTSIDE, 64, WRITE) + offer(0),
    'a buffer in the firmware': desc(0, FIRMWARE, 64, WRITE) + offer(0),
    'a buffer at the end of addresses': desc(0, NOWHERE, 0x20000, WRITE) + offer(0),
    'a descriptor that does not exist': desc(0, BUFFER, 1, NEXT, 9) + offer(0),
    'a head that does not exist': offer(SIZE),
    'an indirect table that was not agreed on': desc(0, BUFFER, 16, 4) + offer(0),
    'the same head twice': desc(0, BUFFER, 1, WRITE) + offer(*[0] * SIZE, idx=SIZE + 1),
    'a buffer to read': desc(0, BUFFER, 64, 0) + offer(0),
}
RINGS = [dict([place]) for place in [('desc', OUTSIDE), ('avail', FIRMWARE), ('used', NOWHERE), ('desc', DESC + 8), ('used', FIRMWARE)]]


class Virtio(unittest.TestCase):
    def setUp(self):
        self.files = guests.Folder(self)

    def run_guest(self, host, code):
        output = self.files.path / 'console'
        words = [f'host={host}', 'devices[0].driver=rng', 'devices[0].id=victim', 'devices[1].driver=console', f'devices[1].output={output}']
        result = guests.run(self.files.guest(bytes.fromhex('b80010 8ed8') + code, *words))
        return result.stdout.decode(), result.stderr.decode(), result.returncode, output.read_bytes().decode()

    def hosts(self):
        return ['sim', 'kvm'] if guests.KVM else ['sim']

    def test_each_breach_ends_in_a_reset(self):
        """Between two breaches the device works, and the console beside it does, too."""
        victim, console = Device(3), Device(4)
        fine = victim.start() + desc(0, BUFFER, 16, WRITE) + offer(0) + victim.kick() + until_used(1)
        code = b''
        for act in CHAINS.values():
            code += victim.start() + victim.is_running('!') + act + victim.kick() + victim.until_broken() + guests.text('c')
        for where in RINGS:
            code += victim.start(**where) + victim.until_broken() + guests.text('r')
        code += fine + guests.text('f')
        code += poke(BUFFER, 0x6b6f) + console.start(1) + desc(0, BUFFER, 2, 0) + offer(0) + console.kick(1) + until_used(1)
        for host in self.hosts():
            with self.subTest(host):
                out, err, status, written = self.run_guest(host, code + guests.POWER_OFF)
                self.assertEqual((status, out, written), (0, 'c' * len(CHAINS) + 'r' * len(RINGS) + 'f', 'ok'), err)
                self.assertIn('victim stops until its driver resets it', err)

    def test_vectors_queues_and_resets(self):
        """Vectors and queues that do not exist; resets while requests wait; a queue that is enabled again."""
        victim = Device(3)
        code = victim.start()
        for register in CONFIG_VECTOR, VECTOR:
            code += victim.set(register, 2, 2) + expect(victim.get(register, 2) + bytes.fromhex('3dffff'), '!')
        code += victim.set(SELECT, 2, 77) + victim.set(ENABLE, 2, 1) + expect(victim.get(ENABLE, 2) + bytes.fromhex('85c0'), '!')
        code += victim.set(NOTIFY + 4 * 77, 2, 77) + victim.is_running('!') + guests.text('v')
        many = b''.join(desc(i, BUFFER, 0x2000, WRITE) for i in range(SIZE)) + offer(*range(SIZE))
        for _ in range(4):
            code += victim.start() + many + victim.kick() + victim.set(STATUS, 1, 0) + expect(victim.get(STATUS, 1) + bytes([0x3c, 0]), '!')
            code += guests.text('r')
        code += victim.start() + victim.set(DESC_AT, 8, OUTSIDE) + victim.set(ENABLE, 2, 0) + victim.set(ENABLE, 2, 1)
        code += many + victim.kick() + until_used(SIZE) + victim.is_running('!') + guests.text('e')
        for host in self.hosts():
            with self.subTest(host):
                out, err, status, written = self.run_guest(host, code + guests.POWER_OFF)
                self.assertEqual((status, out, written), (0, 'vrrrre', ''), err)
                self.assertNotIn('victim', err)


if __name__ == '__main__':
    guests.main()
