#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest is saved to a file and loaded from it: what arrives, what is refused, and that a failure loses nothing."""
import errno
import fcntl
import os
import resource
import struct
import subprocess
import unittest

import monitor
import movers
from monitor import guests

MIB, PAGE = 1 << 20, 4096
UNFINISHED, COMPLETE, TAKEN = 1, 2, 3
# Counts in memory what it receives, and sends the count.
COUNT = guests.back(bytes.fromhex('bafd03 ec a801 74fb baf803 ec fe060005 bafd03 ec a820 74fb a00005 baf803 ee'))
# Writes to two places in memory all the time.
WRITE = bytes.fromhex('b8ffff 8ed8') + guests.back(bytes.fromhex('a31000 ff062000'))


class Layout:
    """Where what of a file is (docs/migration.md)."""

    def __init__(self, data):
        self.state, = struct.unpack_from('<I', data, 20)
        self.plan, self.pages, self.frames_bytes = struct.unpack_from('<QQQ', data, 40)
        self.sums_at = -(-(PAGE + self.plan) // PAGE) * PAGE
        self.pages_at = self.sums_at + -(-4 * self.pages // PAGE) * PAGE
        self.frames_at = self.pages_at + self.pages * PAGE
        self.end = self.frames_at + self.frames_bytes


def state_of(path):
    return struct.unpack_from('<I', path.read_bytes(), 20)[0]


class Guest(movers.Side):
    """A Side whose serial port a test writes to and reads."""

    def __init__(self, test, *sets, **how):
        inside, self.keys = os.pipe()
        self.screen, outside = os.pipe()
        super().__init__(test, *sets, **{'code': COUNT, 'stdin': inside, 'stdout': outside} | how)
        for fd in inside, outside:
            os.close(fd)
        for fd in self.keys, self.screen:
            test.addCleanup(os.close, fd)

    def count(self):
        os.write(self.keys, b'x')
        return os.read(self.screen, 1)[0]


class Loads(unittest.TestCase):
    def setUp(self):
        self.folder = guests.Folder(self).path
        self.path = self.folder / 'saved'
        self.address = f'file:{self.path}'

    def save(self, source, path=None, *ends):
        source.control.call('migrate', uri=f'file:{path or self.path}')
        return source.ends(*(ends or ('completed',)))

    def saved(self, *sets, **how):
        """The bytes of a file with a guest."""
        source = Guest(self, *sets, **how)
        source.count()
        self.save(source)
        return self.path.read_bytes()

    def load(self, *sets, address=None, kind=Guest, **how):
        return self.awaited(kind(self, *sets, address=address or self.address, first=('running', 'paused', 'inmigrate'), **how))

    def awaited(self, target, state='running'):
        monitor.until(lambda: target.state() == state and target.moves() == {'status': 'completed'})
        return target

    def refused(self, *words, path=None, status=2, options=(), sets=()):
        """vmm ends with this status, and says these words, and nothing of the guest runs."""
        command = guests.Folder(self).guest(COUNT, *sets)
        done = guests.run([*command, '--host', 'sim', '--incoming', f'file:{path or self.path}', *options], text=True, stdin=subprocess.DEVNULL)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual((done.returncode, done.stdout), (status, ''), done.stderr)


class Saves(Loads):
    def test_a_guest_goes_on_where_it_was(self):
        """From a to a file, to b, to a file, to c; each time the memory goes on from what it was."""
        guest, counted = Guest(self), 0
        for name in 'first', 'second':
            path = self.folder / name
            for _ in range(3):
                counted += 1
                self.assertEqual(guest.count(), counted)
            guest.tell()
            self.save(guest, path)
            events = [event for i, event in enumerate(guest.events()) if event != 'MIGRATION_PASS' or i == 2]
            self.assertEqual(events, ['setup', 'active', 'MIGRATION_PASS', 'STOP', 'device', 'completed'])
            self.assertEqual((guest.state(), guest.records()[0][-1]), ('postmigrate', 'gave'))
            self.assertEqual(state_of(path), COMPLETE)
            _, ids = guest.records()
            guest = self.load(address=f'file:{path}')
            self.assertEqual(state_of(path), TAKEN)
            self.assertEqual(guest.records()[0], ['took'])
            self.assertLessEqual(guest.records()[1], ids)
            self.assertEqual(guest.moves(), {'status': 'completed'})
        self.assertEqual(guest.count(), counted + 1)

    def test_a_source_that_saved_its_guest_never_runs_it_again(self):
        source = Guest(self)
        moved = self.save(source)
        self.assertEqual(sorted(moved), ['downtime', 'ram', 'setup-time', 'status', 'total-time'])
        self.assertEqual((moved['ram']['total'], moved['ram']['remaining']), (2 * MIB, 0))
        for command, arguments in (('cont', {}), ('system_reset', {}), ('migrate', {'uri': self.address + '2'})):
            answer = source.control.ask(command, **arguments)
            self.assertIn('given to another vmm', answer['error']['desc'])
        source.control.call('quit')
        self.assertEqual(source.status(), 0)
        self.assertEqual(state_of(self.path), COMPLETE)

    def test_a_paused_guest_stays_paused(self):
        source = Guest(self)
        self.assertEqual(source.count(), 1)
        source.control.call('stop')
        self.save(source)
        target = self.awaited(Guest(self, address=self.address, first=('paused', 'inmigrate')), 'paused')
        target.control.call('cont')
        self.assertEqual(target.count(), 2)

    def test_memory_that_was_added(self):
        source = Guest(self, 'machine.memory-max=514M')
        source.control.call('object-add', qom_type='memory-backend-ram', id='ram1', size=128 * MIB)
        source.control.call('device_add', driver='pc-dimm', id='dimm1', memdev='ram1')
        self.save(source)
        self.assertEqual(Layout(self.path.read_bytes()).pages, (130 * MIB + 0x10000) // PAGE)
        target = self.load('machine.memory-max=514M')
        self.assertEqual(target.control.call('query-memory-size-summary')['plugged-memory'], 128 * MIB)
        self.assertEqual(target.count(), 1)

    def test_zero_pages_take_no_room(self):
        data = self.saved('machine.memory=64M')
        self.assertGreater(len(data), 64 * MIB)
        self.assertLess(self.path.stat().st_blocks * 512, MIB)
        self.assertEqual((self.path.stat().st_mode & 0o777, data[:16]), (0o600, b'VMM saved guest\n'))
        self.assertEqual(Layout(data).end, len(data))

    def test_a_guest_that_writes_all_the_time_is_saved(self):
        """However short it may be stopped."""
        source = Guest(self, code=WRITE)
        source.control.call('migrate-set-parameters', downtime_limit=0)
        self.assertLessEqual(self.save(source)['ram']['dirty-sync-count'], 5)
        self.load(code=WRITE)

    def test_disks(self):
        image = self.folder / 'disk'
        image.write_bytes(bytes(MIB))
        source = Guest(self, options=['--disk', str(image)])
        self.save(source)
        target = self.load(options=['--disk', str(image)])
        self.assertNotIn('not as it was', target.log.read_text())
        command = guests.Folder(self).guest(guests.POWER_OFF)
        done = guests.run([*command, '--host', 'sim', '--disk', str(image)], text=True)
        self.assertNotEqual(done.returncode, 0, 'the vmm that loaded the guest has its disk')

    def test_disks_that_were_changed_are_told(self):
        image = self.folder / 'disk'
        image.write_bytes(bytes(MIB))
        disk = ['--disk', str(image)]
        self.saved(options=disk)
        os.utime(image, (1, 1))
        log = self.load(options=disk).log.read_text()
        self.assertIn(f'disk blk0: {image} is not as it was when the guest was saved', log)

    # ---- twice ----

    def test_a_guest_is_loaded_once(self):
        self.saved()
        target = self.load()
        self.refused('was loaded before', '--load-again')
        target.control.call('quit')
        target.status()
        self.refused('was loaded before', '--load-again')
        self.assertEqual(state_of(self.path), TAKEN)

    def test_load_again(self):
        """As often as wanted, also at the same time and from a file that cannot be written."""
        self.saved()
        self.path.chmod(0o400)
        before = self.path.read_bytes()
        for target in [self.load(options=['--load-again']) for _ in range(2)]:
            self.assertEqual(target.count(), 2)
        self.assertEqual(self.path.read_bytes(), before)
        self.path.chmod(0o600)
        self.load()
        self.assertEqual(self.load(options=['--load-again']).count(), 2)
        done = guests.run([*guests.Folder(self).guest(COUNT), '--host', 'sim', '--load-again'], text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn('--load-again is for --incoming file:PATH', done.stderr)

    def test_a_load_that_fails_loses_nothing(self):
        """A guest of another plan, and a disk that another program has; then the guest is loaded."""
        image = self.folder / 'disk'
        image.write_bytes(bytes(MIB))
        disk = ['--disk', str(image)]
        source = Guest(self, options=disk)
        source.count()
        self.save(source)
        source.control.call('quit')
        source.status()
        before = self.path.read_bytes()
        self.refused('different guests', status=1)
        with open(image, 'rb+') as held:
            fcntl.lockf(held, fcntl.LOCK_EX)
            self.refused('disk', options=disk)
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual(self.load(options=disk).count(), 2)

    # ---- files that are no guests ----

    def test_a_file_that_is_damaged_anywhere(self):
        data = self.saved()
        layout, harmed = Layout(data), self.folder / 'harmed'
        sums = struct.unpack_from(f'<{layout.pages}I', data, layout.sums_at)
        kept = [place for place, value in enumerate(sums) if value]
        self.assertIn(0, kept)
        self.assertLess(len(kept), layout.pages)
        size, = struct.unpack_from('<I', data, layout.frames_at + 4)
        page = layout.pages_at + PAGE * kept[-1]
        places = {0: 'has no guest', 16: 'of version', 20: 'its header', 4095: 'its header', PAGE: 'the plan', layout.sums_at: 'the sums',
                  page: 'the page of the guest', page + 4095: 'the page of the guest', layout.frames_at: 'the head of a part',
                  layout.frames_at + 15 + size: 'TIME', layout.end - 1: 'STATE'}
        for at, words in places.items():
            with self.subTest(at=at, words=words):
                harmed.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
                self.refused(words, path=harmed)

    def test_files_that_are_too_short_or_others(self):
        data = self.saved()
        layout, other = Layout(data), self.folder / 'other'
        for size in (0, PAGE, layout.pages_at, layout.end - 1):
            with self.subTest(size=size):
                other.write_bytes(data[:size])
                self.refused('ends too early', path=other)
        other.write_bytes(bytes(MIB))
        self.refused('has no guest that vmm saved', path=other)
        pipe = self.folder / 'pipe'
        os.mkfifo(pipe)
        for path, words in ((self.folder, 'cannot be opened'), (pipe, 'a regular file'), ('/dev/null', 'a regular file'),
                            (self.folder / 'nothing', 'No such file')):
            with self.subTest(path=path):
                self.refused(words, path=path)

    def test_two_files_that_are_mixed(self):
        """Pages of another guest are not those of this one."""
        first = self.saved()
        self.path = self.folder / 'two'
        source = Guest(self)
        for _ in range(7):
            source.count()
        self.save(source)
        second = self.path.read_bytes()
        layout = Layout(first)
        self.path.write_bytes(first[:layout.pages_at] + second[layout.pages_at:])
        self.refused('the page of the guest at 0x0')

    def test_a_file_that_is_being_saved_is_not_loaded(self):
        source = Guest(self)
        source.slow()
        source.control.call('migrate', uri=self.address)
        monitor.until(lambda: source.moves()['status'] == 'active')
        self.refused('another vmm saves or loads it')
        source.end()
        self.refused('unfinished')

    def test_confidential_guests(self):
        self.saved()
        self.refused('can be in no file', sets=['sev.type=sev', 'sev.policy=0'])
        source = movers.Side(self, 'sev.type=sev', 'sev.page-status=true')
        answer = source.control.ask('migrate', uri=f'{self.address}2')
        self.assertIn('error', answer)
        self.assertFalse((self.folder / 'saved2').exists())


class Failures(Loads):
    """The guest stays, and nothing is left behind."""

    def stays(self, source, count, path=None):
        self.assertEqual(source.state(), 'running')
        self.assertEqual(source.count(), count)
        self.assertFalse((path or self.path).exists())

    def test_cancel(self):
        source = Guest(self)
        source.slow()
        source.control.call('migrate', uri=self.address)
        monitor.until(lambda: source.moves()['status'] == 'active')
        self.assertTrue(self.path.exists())
        source.control.call('migrate_cancel')
        source.ends('cancelled')
        self.stays(source, 1)
        source.fast()
        self.save(source)

    def test_reset_and_end_meanwhile(self):
        for command in 'system_reset', 'quit':
            with self.subTest(command=command):
                source = Guest(self)
                source.slow()
                source.control.call('migrate', uri=self.address)
                monitor.until(lambda source=source: source.moves()['status'] == 'active')
                source.control.call(command)
                monitor.until(lambda: not self.path.exists())

    def test_names_that_do_not_serve(self):
        source = Guest(self)
        self.path.write_text('older')
        link = self.folder / 'link'
        link.symlink_to(self.folder / 'aim')
        for path, words in ((self.path, 'already exists'), (link, 'already exists'), (self.folder, 'already exists'), ('', 'without a path'),
                            (self.folder / 'no' / 'folder', 'No such file'), ('/proc/saved', 'cannot be made')):
            with self.subTest(path=path):
                self.assertIn(words, source.control.ask('migrate', uri=f'file:{path}')['error']['desc'])
        self.assertEqual(self.path.read_text(), 'older')
        self.assertEqual((source.moves(), source.count()), ({}, 1))

    def test_a_disk_that_is_full(self):
        """At the first page, at a later one, among the parts: wherever the limit is, the guest stays."""
        data = self.saved()
        layout = Layout(data)
        for size in (PAGE + 10, layout.pages_at + 10, layout.frames_at + 10, layout.end - 1):
            with self.subTest(size=size):
                path = self.folder / 'full'
                source = Guest(self)
                resource.prlimit(source.vmm.pid, resource.RLIMIT_FSIZE, (size, size))
                self.assertIn(os.strerror(errno.EFBIG), self.save(source, path, 'failed')['error-desc'])
                self.stays(source, 1, path)
                self.assertIn(source.records()[0], ([], ['gave', 'kept']))


class People(Loads):
    def ctl(self, side, *words, **how):
        return guests.run([guests.VMM, 'ctl', str(side.path), *words], text=True, **how)

    def test_save(self):
        source = Guest(self)
        done = self.ctl(source, 'save', 'saved', '--pretty', cwd=self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertRegex(done.stdout, r'^the guest is in saved: [0-9.]+ s, of which it was stopped for \d+ ms; \S+ were written in \d+ passes\n$')
        self.assertEqual(source.status(), 0)
        self.assertEqual(self.load().count(), 1)

    def test_keep_and_limits(self):
        source = Guest(self)
        done = self.ctl(source, 'save', str(self.path), '--keep', '--downtime=100')
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertEqual(source.state(), 'postmigrate')

    def test_migrate_to_a_relative_file(self):
        source = Guest(self)
        done = self.ctl(source, 'migrate', 'file:saved', cwd=self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.load()

    def test_refusals(self):
        source = Guest(self)
        self.path.write_text('older')
        done = self.ctl(source, 'save', str(self.path))
        self.assertEqual((done.returncode, done.stdout), (1, ''))
        self.assertIn('already exists', done.stderr)
        for words in (['save'], ['save', 'a', 'b'], ['save', ''], ['save', 'a', '--resume']):
            with self.subTest(words=words):
                done = self.ctl(source, *words)
                self.assertEqual((done.returncode, done.stdout), (2, ''), done.stderr)
        self.assertEqual(source.count(), 1)


if __name__ == '__main__':
    monitor.main()
