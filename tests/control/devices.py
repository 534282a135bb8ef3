#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a guest's devices do while a controller stops and resets it, and what is told of their errors."""
import os
import pathlib
import select
import shutil
import struct
import subprocess
import unittest

import monitor
import virtio
from monitor import guests

RESETS = 100
ONE_ARENA = os.environ | {'GLIBC_TUNABLES': 'glibc.malloc.arena_max=1'}  # no thread maps memory of its own for malloc()
SECTOR = 512
HEADER, DATA, STATUS = virtio.BUFFER, virtio.BUFFER + 0x200, virtio.BUFFER + 0x400
READ, WRITE = 0, 1
DISK = virtio.Device(3, virtio.CONFIGURED)
RING = bytes.fromhex('b80010 8ed8')  # ds is the rings' segment


def begin(kind, sector, count):
    """The disk's count-th request: one sector, from or to DATA."""
    code = virtio.poke(HEADER, kind, 4) + virtio.poke(HEADER + 8, sector, 4) + virtio.poke(HEADER + 12, 0, 4)
    code += virtio.desc(0, HEADER, 16, virtio.NEXT, 1)
    code += virtio.desc(1, DATA, SECTOR, virtio.NEXT | (virtio.WRITE if kind == READ else 0), 2)
    code += virtio.desc(2, STATUS, 1, virtio.WRITE)
    return code + virtio.offer(*[0] * count) + DISK.kick()


def request(kind, sector, count):
    return begin(kind, sector, count) + virtio.until_used(count)


def count_up():
    """Adds one to the first word of the disk, and prints a letter."""
    more = b'\xff\x06' + struct.pack('<H', DATA - virtio.RAM)  # inc word
    return RING + DISK.start() + request(READ, 0, 1) + more + request(WRITE, 0, 2) + guests.text('x') + guests.SPIN


def image(folder, size=1 << 20):
    path = folder / 'disk.raw'
    path.write_bytes(bytes(size))
    return path


def mapped_bytes(addresses):
    first, end = addresses.split('-')
    return int(end, 16) - int(first, 16)


class Kept:
    """What a process has: what its descriptors lead to, the number of its threads, and the bytes of its mappings but for the heap, which keeps room."""

    def __init__(self, pid):
        folder = pathlib.Path(f'/proc/{pid}/fd')
        self.files = sorted(os.readlink(fd) for fd in folder.iterdir())
        self.threads = len(guests.tasks(pid))
        maps = pathlib.Path(f'/proc/{pid}/maps').read_text()
        if 'san.so' not in maps:  # sanitizers map memory for themselves
            self.mapped = sum(mapped_bytes(line.split()[0]) for line in maps.splitlines() if '[heap]' not in line)

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return repr(vars(self))


class Reset(unittest.TestCase):
    def devices(self, folder, *more):
        drivers = ['blk', 'rng', 'console', *more] + ['net'] * bool(shutil.which('passt'))
        return [f'devices[{i}].driver={driver}' for i, driver in enumerate(drivers)] + [
            f'devices[0].file={image(folder)}', f'devices[2].output={folder / "console"}']

    def kept(self, machine, client):
        """Of a guest that was reset while it was paused, so that its processors have not run, and runs afterwards."""
        client.call('stop')
        client.call('system_reset')
        kept = Kept(machine.vmm.pid)
        client.call('cont')
        return kept

    def running(self, client):
        monitor.until(lambda: client.call('query-status')['running'])

    def test_disk_goes_on_where_it_was(self):
        """The guest's driver starts the disk anew after each reset, and counts its lives on it."""
        folder = guests.Folder(self).path
        console = open(folder / 'out', 'wb')
        self.addCleanup(console.close)
        machine = monitor.Machine(self, count_up(), *self.devices(folder, 'balloon'), stdout=console, env=ONE_ARENA)
        client, other = machine.monitor(), machine.monitor()
        for life in range(1, 21):
            monitor.until(lambda: (folder / 'out').stat().st_size >= life)
            self.assertEqual((folder / 'disk.raw').read_bytes()[:2], struct.pack('<H', life))
            if life == 5:
                before = Kept(machine.vmm.pid)
            if life < 20:
                client.call('system_reset')
                self.assertEqual(other.wait_event('RESET')['data'], {'guest': False, 'reason': 'host-qmp-system-reset'})
        self.assertEqual(Kept(machine.vmm.pid), before)
        self.assertEqual((folder / 'out').read_bytes(), b'x' * 20)
        disk, = client.call('query-block')
        self.assertEqual(disk['inserted']['image']['virtual-size'], 1 << 20)

    def test_a_hundred_resets_of_confidential_guests_leave_nothing_behind(self):
        for kind, size in (('sev', 32), ('sev-es', 32), ('sev-snp', 48)):
            with self.subTest(kind):
                folder = guests.Folder(self).path
                machine = monitor.Machine(self, guests.SPIN, f'sev.type={kind}', 'machine.vcpus=2', *self.devices(folder), env=ONE_ARENA)
                client, other = machine.monitor(), machine.monitor()
                self.running(client)
                digest = client.call('__vmm_query-digest')
                if kind != 'sev-snp':  # the host is not told
                    self.assertEqual(digest['actual'], digest['expected'])
                self.assertEqual(len(bytes.fromhex(digest['expected'])), size)
                for n in range(1, RESETS + 6):
                    client.call('system_reset')
                    self.assertEqual(client.call('query-status'), {'running': True, 'status': 'running'})
                    self.assertEqual(client.call('__vmm_query-digest'), digest)
                    self.assertEqual(other.wait_event('RESET')['event'], 'RESET')
                    client.events.clear()
                    if n == 5:
                        before = self.kept(machine, client)
                self.assertEqual(self.kept(machine, client), before)
                self.assertEqual(client.call('__vmm_query-launch')['resets'], RESETS + 7)
                client.call('quit')
                self.assertEqual(machine.status(), 0)


@unittest.skipUnless(shutil.which('nbdkit'), 'nbdkit is not installed')
class Server(unittest.TestCase):
    """Disks of a server that does what the test says."""

    def setUp(self):
        self.folder = guests.Folder(self).path

    def machine(self, code, write):
        socket = self.folder / 'nbd'
        server = subprocess.Popen(['nbdkit', '-f', '-U', socket, 'eval', 'get_size=echo 1048576', 'can_write=exit 0',
                                   'pread=head -c "$3" /dev/zero', f'pwrite=cd {self.folder}; {write}'])
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        monitor.until(socket.exists)
        return monitor.Machine(self, code, 'devices[0].driver=blk', f'devices[0].file=nbd+unix:///?socket={socket}',
                               'run.paused=true')

    def phase(self, client):
        return client.call('__vmm_query-launch')['phase']

    def test_stop_waits_for_the_disk(self):
        """A stop is told when nothing writes to the image any more, and can be taken back before."""
        slow = 'touch asked; while [ ! -e go ]; do sleep 0.05; done; cat >/dev/null; touch written'
        machine = self.machine(RING + DISK.start() + begin(WRITE, 0, 1) + guests.SPIN, slow)
        one, two = machine.monitor(), machine.monitor()
        one.call('cont')
        monitor.until((self.folder / 'asked').exists)
        one.call('query-status')  # all events so far are read
        for answer in ('cont', 'nothing'):
            one.send('{"execute": "stop", "id": "stop"}')
            monitor.until(lambda: 'under way' in self.phase(two))
            self.assertEqual(two.call('query-status'), {'running': True, 'status': 'running'})
            self.assertEqual(select.select([one.socket], [], [], 0)[0], [])
            if answer == 'cont':
                two.call('cont')
                self.assertEqual(one.answer(), {'return': {}, 'id': 'stop'})
                self.assertNotIn('STOP', [event['event'] for event in one.events])
        (self.folder / 'go').touch()
        self.assertEqual(one.answer(), {'return': {}, 'id': 'stop'})
        self.assertTrue((self.folder / 'written').exists())
        self.assertEqual([event['event'] for event in one.events if event['event'] != '__VMM_LAUNCH'][-1], 'STOP')
        self.assertEqual(one.call('query-status'), {'running': False, 'status': 'paused'})

    def test_disk_that_is_full_is_told(self):
        code = RING + DISK.start() + request(WRITE, 0, 1) + guests.text('x') + guests.SPIN
        client = self.machine(code, 'cat >/dev/null; echo ENOSPC no room >&2; exit 1').monitor()
        client.call('cont')
        self.assertEqual(client.wait_event('BLOCK_IO_ERROR')['data'], {
            'device': 'blk0', 'qom-path': 'blk0', 'operation': 'write', 'action': 'report', 'nospace': True,
            'reason': 'No space left on device'})
        self.assertEqual(client.call('query-status'), {'running': True, 'status': 'running'})


class Error(unittest.TestCase):
    def test_image_that_was_cut_is_told(self):
        disk = image(guests.Folder(self).path)
        machine = monitor.Machine(self, RING + DISK.start() + request(READ, 8, 1) + guests.SPIN, 'devices[0].driver=blk', 'devices[0].id=root',
                                  f'devices[0].file={disk}', 'run.paused=true')
        client = machine.monitor()
        os.truncate(disk, SECTOR)
        client.call('cont')
        self.assertEqual(client.wait_event('BLOCK_IO_ERROR')['data'], {
            'device': 'root', 'qom-path': 'root', 'operation': 'read', 'action': 'report', 'nospace': False,
            'reason': 'Input/output error'})
        self.assertEqual(client.call('query-status'), {'running': True, 'status': 'running'})
        client.call('quit')
        self.assertEqual(machine.status(), 0)
        self.assertIn('was cut to 512 bytes', machine.log.read_text())


if __name__ == '__main__':
    unittest.main(verbosity=2)
