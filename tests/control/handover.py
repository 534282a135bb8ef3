#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest is handed over to another vmm on this host with its memory: nothing is copied or lost, one vmm alone runs it, whatever dies."""
import collections
import contextlib
import fcntl
import os
import pathlib
import re
import socket
import struct
import threading
import time
import unittest

import doubts
import monitor
import movers
from monitor import guests

MIB = 1 << 20
SHARED = 'machine.memory-shared=true'
COUNTER = 0x10000
F_OFD_SETLKW = 38
# mov ds, 0x1000; inc dword [0], for ever
COUNT = bytes.fromhex('fa b80010 8ed8') + guests.back(bytes.fromhex('66ff060000'))
POINTS = [point for point in doubts.POINTS if point[1] not in ('PAGES', 'PASS')]
POINTS[4:4] = [('source', 'MEMORY', ''), ('target', 'MEMORY', '')]
READY = POINTS.index(('source', 'STATE', ''))    # when this has come, the target has all of the guest


def mappings(side):
    """Of the guest's memory in a vmm: (address, bytes, inode, flags, kind), in the order of the addresses."""
    found = []
    for line in pathlib.Path(f'/proc/{side.vmm.pid}/maps').read_text().splitlines():
        if match := re.match(r'(\w+)-(\w+) (\S+) \S+ \S+ (\d+) +/memfd:guest-(ram|firmware)', line):
            start, end = int(match[1], 16), int(match[2], 16)
            found.append((start, end - start, int(match[4]), match[3], match[5]))
    return found


def low_ram(side):
    """The address of the RAM that the guest began with: what was added to it is larger."""
    return min((row for row in mappings(side) if row[4] == 'ram'), key=lambda row: row[1])[0]


def shared_kib(side):
    """Memory of files that the process has touched."""
    return guests.status_of(side.vmm.pid, 'RssShmem')


def peek(side, address, size):
    with open(f'/proc/{side.vmm.pid}/mem', 'rb', buffering=0) as memory:
        return os.pread(memory.fileno(), size, low_ram(side) + address)


def poke(side, address, data):
    with open(f'/proc/{side.vmm.pid}/mem', 'r+b', buffering=0) as memory:
        os.pwrite(memory.fileno(), data, low_ram(side) + address)


def counted(side):
    return struct.unpack('<I', peek(side, COUNTER, 4))[0]


def counts(test, side):
    """The guest goes on there."""
    before = counted(side)
    monitor.until(lambda: counted(side) != before)
    test.assertGreater(counted(side), before)


class Handover(unittest.TestCase):
    def pair(self, *sets, target=None, options=(), code=COUNT):
        sets = (SHARED, *sets)
        pair = movers.Pair(self, sets, sets if target is None else target, code=code, options=options)
        pair.source.control.call('migrate-set-parameters', mode='cpr-transfer')
        return pair

    def hand(self, source, target):
        source.control.call('migrate-set-parameters', mode='cpr-transfer')
        source.control.call('migrate', uri=target.address)
        moved = source.ends('completed')
        monitor.until(lambda: target.state() == 'running')
        return moved

    def fails(self, pair, *words):
        """The guest stays, and goes on; words are in what the source says."""
        pair.migrate()
        said = pair.source.ends('failed')['error-desc']
        for word in words:
            self.assertIn(word, said)
        self.assertEqual(pair.source.state(), 'running')
        counts(self, pair.source)

    def test_nothing_is_copied_and_nothing_lost(self):
        pair = self.pair('machine.memory=64M')
        counts(self, pair.source)
        noise = os.urandom(32 * MIB)
        poke(pair.source, 8 * MIB, noise)
        before, files = counted(pair.source), {row[2] for row in mappings(pair.source)}
        own = {row[:2] for row in mappings(pair.target)}
        moved = self.hand(pair.source, pair.target)
        self.assertGreaterEqual(counted(pair.target), before)
        counts(self, pair.target)
        self.assertEqual({row[2] for row in mappings(pair.target)}, files)
        self.assertEqual({row[:2] for row in mappings(pair.target)}, own, 'at the addresses of its own')
        self.assertEqual({row[3] for row in mappings(pair.target)}, {'rw-s'})
        self.assertLess(shared_kib(pair.target) + 30 * 1024, shared_kib(pair.source))
        self.assertEqual(peek(pair.target, 8 * MIB, len(noise)), noise)
        self.assertLess(moved['ram']['transferred'], MIB)
        self.assertEqual((moved['ram']['normal'], moved['ram']['dirty-sync-count']), (0, 0))
        pair.source.control.call('quit')
        self.assertEqual(pair.source.status(), 0)
        counts(self, pair.target)
        self.assertEqual(peek(pair.target, 8 * MIB, len(noise)), noise)

    def test_on_and_on_and_as_an_ordinary_guest(self):
        """To a third and a fourth; then it is reset, and moves with a copy."""
        pair = self.pair()
        sides = [pair.source, pair.target]
        for i in range(3):
            self.hand(sides[-2], sides[-1])
            counts(self, sides[-1])
            sides.append(movers.Side(self, SHARED, address=f'unix:{pair.folder}/{i}', code=COUNT))
        last = sides[-2]
        self.assertEqual([side.state() for side in sides[:-2]], ['postmigrate'] * 3)
        for side in sides[:-2]:
            side.end()
        counts(self, last)
        last.control.call('system_reset')
        counts(self, last)
        self.assertEqual(last.control.call('query-migrate-parameters')['mode'], 'normal')
        last.control.call('migrate', uri=sides[-1].address)
        self.assertGreater(last.ends('completed')['ram']['dirty-sync-count'], 0)
        counts(self, sides[-1])

    def test_disk_variables_and_memory_that_was_added(self):
        folder = guests.Folder(self).path
        (folder / 'disk').write_bytes(bytes(MIB))
        (folder / 'vars').write_bytes(b'\xff' * 65536)
        pair = self.pair('machine.memory-max=514M', f'firmware-vars={folder}/vars', options=['--disk', str(folder / 'disk')])
        pair.source.control.call('object-add', qom_type='memory-backend-ram', id='ram1', size=128 * MIB)
        pair.source.control.call('device_add', driver='pc-dimm', id='dimm1', memdev='ram1')
        files = {row[2] for row in mappings(pair.source)}
        self.hand(pair.source, pair.target)
        counts(self, pair.target)
        self.assertEqual({row[2] for row in mappings(pair.target)}, files)
        self.assertEqual(len(files), 3)
        self.assertEqual(pair.target.control.call('query-memory-size-summary')['plugged-memory'], 128 * MIB)
        pair.target.control.call('block_resize', device='blk0', size=2 * MIB)
        self.assertEqual((folder / 'disk').stat().st_size, 2 * MIB)
        pair.source.end()
        third = movers.Side(self, SHARED, 'machine.memory-max=514M', f'firmware-vars={folder}/vars', address=f'unix:{folder}/third', code=COUNT,
                            options=['--disk', str(folder / 'disk')])
        self.hand(pair.target, third)
        counts(self, third)

    def test_huge_pages(self):
        free = pathlib.Path('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages')
        if not free.exists() or int(free.read_text()) < 4:
            self.skipTest('the host has no four free pages of 2 MiB')
        pair = self.pair('machine.hugepages=true')
        self.hand(pair.source, pair.target)
        counts(self, pair.target)

    # ---- exactly one ----

    def broken(self, point, behind, act):
        pair = self.pair()
        broken = doubts.Break(point, behind, lambda: act(pair))
        proxy = movers.Proxy(self, f'{pair.folder}/move', broken.at, broken.after)
        with contextlib.suppress(OSError):    # it may be killed before it answers
            pair.source.control.ask('migrate', uri=proxy.address)
        monitor.until(lambda: broken.done)
        ends = tuple(doubts.end_of(side) for side in (pair.source, pair.target))
        runs = [side for side, end in zip((pair.source, pair.target), ends) if end == 'runs']
        for side in runs:
            self.assertEqual(side.state(), 'running')
            counts(self, side)
        records = pair.source.records()[0], pair.target.records()[0]
        for side in (pair.source, pair.target):
            side.end()
        proxy.close()
        return ends, runs, records

    def each(self, act, check):
        seen = collections.Counter()
        for i, point in enumerate(POINTS):
            for behind in (False, True):
                with self.subTest(point=point, behind=behind):
                    ends, runs, records = self.broken(point, behind, act)
                    seen[ends] += 1
                    self.assertLessEqual(len(runs), 1)
                    self.assertNotIn('doubt', ends)
                    check(i, behind, ends, records)
        print(dict(seen))

    def test_source_is_killed(self):
        """A target that has all of the guest runs it then."""
        def kill(pair):
            pair.source.vmm.kill()
            pair.source.vmm.wait()
            return False

        def check(i, behind, ends, records):
            if i < READY or (i == READY and not behind):
                self.assertIn(ends, (('ended', 'waits'), ('ended', 'ended')))
                self.assertEqual(records, ([], []))
            else:
                self.assertEqual((ends, records[1]), (('ended', 'runs'), ['took']))
        self.each(kill, check)

    def test_a_file_of_a_killed_source_is_free_later(self):
        """The target has the only copy of the guest, and waits for the file."""
        path = guests.Folder(self).path / 'vars'
        path.write_bytes(b'\xff' * 65536)
        pair = self.pair(f'firmware-vars={path}')

        def hold():
            with open(path, 'r+b') as file:
                fcntl.fcntl(file, F_OFD_SETLKW, struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
                time.sleep(1)
        threading.Thread(target=hold, daemon=True).start()

        def kill():
            pair.source.vmm.kill()
            pair.source.vmm.wait()
            return False
        broken = doubts.Break(('target', 'READY', ''), True, kill)
        proxy = movers.Proxy(self, f'{pair.folder}/move', broken.at, broken.after)
        with contextlib.suppress(OSError):
            pair.source.control.ask('migrate', uri=proxy.address)
        monitor.until(lambda: broken.done)
        self.assertEqual(doubts.end_of(pair.target), 'runs')
        counts(self, pair.target)

    def test_a_source_that_ends_its_guest_takes_it_along(self):
        """Its devices may have changed the memory since the target got their state."""
        pair = self.pair()

        def end():
            pair.source.vmm.terminate()
            pair.source.vmm.wait()
            return False
        broken = doubts.Break(('target', 'READY', ''), False, end)
        proxy = movers.Proxy(self, f'{pair.folder}/move', broken.at, broken.after)
        pair.source.control.call('migrate', uri=proxy.address)
        monitor.until(lambda: broken.done)
        self.assertEqual(pair.target.status(), 1)

    def test_target_is_killed(self):
        def kill(pair):
            pair.target.vmm.kill()
            pair.target.vmm.wait()
            return False

        def check(i, behind, ends, records):
            if POINTS[i][1] == 'DONE':
                self.assertEqual((ends, records), (('gave', 'ended'), (['gave'], ['took'])))
            elif POINTS[i][1] != 'COMMIT' or not behind:
                self.assertEqual((ends, records[1]), (('runs', 'ended'), []))
            else:   # it may have begun to run the guest
                self.assertIn(ends, (('runs', 'ended'), ('gave', 'ended')))
        self.each(kill, check)

    def test_connection_is_cut(self):
        def check(i, behind, ends, records):
            self.assertIn('runs', ends)
            if i < READY:
                self.assertEqual(ends[0], 'runs')
            if ends[1] == 'runs':
                self.assertEqual(ends[0], 'gave')
        self.each(lambda pair: False, check)

    def test_a_target_that_cannot_take_it_gives_it_back(self):
        folder = guests.Folder(self).path
        for name in ('disk', 'other'):
            (folder / name).write_bytes(bytes(MIB))
        target = movers.Side(self, SHARED, address=f'unix:{folder}/move', code=COUNT, options=['--disk', str(folder / 'other')])
        source = movers.Side(self, SHARED, code=COUNT, options=['--disk', str(folder / 'disk')])
        (folder / 'other').unlink()
        source.control.call('migrate-set-parameters', mode='cpr-transfer')
        source.control.call('migrate', uri=target.address)
        self.assertIn('other', source.ends('failed')['error-desc'])
        self.assertEqual((target.status(), source.state()), (2, 'running'))
        counts(self, source)
        self.assertEqual(source.records()[0], ['gave', 'kept'])
        other = movers.Side(self, SHARED, address=f'unix:{folder}/again', code=COUNT, options=['--disk', str(folder / 'disk')])
        self.hand(source, other)
        counts(self, other)

    # ---- refusals ----

    def test_ways_and_guests_that_cannot_be(self):
        source = movers.Side(self, SHARED)
        source.control.call('migrate-set-parameters', mode='cpr-transfer')
        for uri in ('tcp:127.0.0.1:1', 'tcp:[::1]:1'):
            answer = source.control.ask('migrate', uri=uri)
            self.assertIn('over a UNIX socket', answer['error']['desc'])
        self.assertEqual(source.moves(), {})
        own = movers.Side(self)
        self.assertEqual(own.moves(), {})
        own.control.call('migrate-set-parameters', mode='cpr-transfer')
        self.assertIn('machine.memory-shared', own.moves()['blocked-reasons'][0])
        self.assertIn('machine.memory-shared', own.control.ask('migrate', uri='unix:/x')['error']['desc'])
        own.control.call('migrate-set-parameters', mode='normal')
        self.assertEqual(own.moves(), {})
        self.assertIn('error', own.control.ask('migrate-set-parameters', mode='cpr-reboot'))

    def test_a_descriptor_of_another_kind_of_socket(self):
        source = movers.Side(self, SHARED, code=COUNT)
        source.control.call('migrate-set-parameters', mode='cpr-transfer')
        with socket.create_server(('127.0.0.1', 0)) as server, socket.create_connection(server.getsockname()) as ours:
            done = guests.run([guests.VMM, 'ctl', str(source.path), 'migrate', 'fd:way', '--handover', '--fd', str(ours.fileno())],
                              text=True, pass_fds=[ours.fileno()])
        self.assertEqual(done.returncode, 1)
        self.assertIn('over a UNIX socket', done.stderr)
        here, there = socket.socketpair()
        with here, there:
            target = movers.Side(self, SHARED, address=f'fd:{there.fileno()}', code=COUNT, pass_fds=[there.fileno()])
            done = guests.run([guests.VMM, 'ctl', str(source.path), 'migrate', 'fd:way', '--handover', '--fd', str(here.fileno())],
                              text=True, pass_fds=[here.fileno()])
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        counts(self, target)

    def test_a_target_whose_memory_is_no_file(self):
        pair = self.pair(target=())
        self.fails(pair, 'the other vmm gave up', 'set machine.memory-shared on both sides')

    def test_guests_that_differ(self):
        self.fails(self.pair(target=(SHARED, 'machine.memory=4M')), 'machine.memory')

    def test_descriptors_of_a_hostile_source(self):
        """The target says what is wrong with them, and the guest stays."""
        def memory(size, seals):
            fd = os.memfd_create('bad', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(fd, size)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            return fd
        length = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
        sealed = length | fcntl.F_SEAL_SEAL
        rows = ((lambda: [], '0 descriptors came'), (lambda: [memory(2 * MIB, sealed)] * 3, 'length is another one'),
                (lambda: [memory(2 * MIB, fcntl.F_SEAL_GROW)], 'length is not sealed'),
                (lambda: [memory(2 * MIB, length)], 'its seals may still change'), (lambda: [memory(MIB, sealed)], 'length is another one'),
                (lambda: [os.open('/dev/null', os.O_RDWR)], 'is no memfd'), (lambda: [memory(2 * MIB, sealed | fcntl.F_SEAL_WRITE)], 'cannot be written'))
        for make, words in rows:
            with self.subTest(words=words):
                pair = self.pair()

                def change(name, fds, make=make):
                    if name != 'MEMORY' or not fds:
                        return fds
                    mine = make()
                    for fd in fds[:len(mine)] if mine else fds:
                        os.close(fd)
                    return [os.dup(fd) for fd in mine] + fds[len(mine):] if mine else []
                proxy = movers.Proxy(self, f'{pair.folder}/move')
                proxy.change = change
                pair.source.control.call('migrate', uri=proxy.address)
                self.assertIn(words, pair.source.ends('failed')['error-desc'])
                self.assertEqual((pair.source.state(), pair.target.status()), ('running', 1))
                counts(self, pair.source)

    def test_descriptors_on_another_frame(self):
        pair = self.pair()
        proxy = movers.Proxy(self, f'{pair.folder}/move')
        proxy.change = lambda name, fds: [os.open('/dev/null', os.O_RDWR)] if name == 'TIME' else fds
        pair.source.control.call('migrate', uri=proxy.address)
        pair.source.ends('completed')    # they are closed, as nobody asked for them
        counts(self, pair.target)
        self.assertNotIn('/dev/null', [os.readlink(path) for path in pathlib.Path(f'/proc/{pair.target.vmm.pid}/fd').iterdir() if int(path.name) > 2])

    # ---- people ----

    def test_a_person_hands_over(self):
        pair = self.pair()
        pair.source.control.call('migrate-set-parameters', mode='normal')
        done = guests.run([guests.VMM, 'ctl', str(pair.source.path), 'migrate', pair.address, '--handover', '--pretty'], text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertRegex(done.stdout, r'^the guest runs on the other side: [0-9.]+ s, of which it was stopped for \d+ ms; its memory was handed over\n$')
        self.assertEqual(pair.source.status(), 0)
        counts(self, pair.target)

    def test_the_mode_is_for_one_move(self):
        source = movers.Side(self, SHARED)
        for address in ('unix:/nowhere/at/all', 'tcp:127.0.0.1:1'):
            done = guests.run([guests.VMM, 'ctl', str(source.path), 'migrate', address, '--handover'], text=True)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(source.control.call('query-migrate-parameters')['mode'], 'normal')


if __name__ == '__main__':
    monitor.main()
