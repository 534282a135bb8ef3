#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest moves from one vmm to another, as the clients of both see it: events, refusals, limits, addresses, strangers, disks."""
import contextlib
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import unittest

import monitor
import movers
from monitor import guests

MIB = 1 << 20


def shrunk(events):
    """Passes in a row count as one."""
    return [event for i, event in enumerate(events) if event != 'MIGRATION_PASS' or events[i - 1:i] != [event]]


class Moves(unittest.TestCase):
    def refused(self, side, words, command, **arguments):
        answer = side.control.ask(command, **arguments)
        self.assertIn('error', answer, command)
        self.assertIn(words, answer['error']['desc'])

    def under_way(self, *sets, **how):
        """A pair whose move does not get on until the source is told to be fast."""
        pair = movers.Pair(self, sets, sets, **how)
        pair.source.slow()
        pair.migrate()
        monitor.until(lambda: pair.source.moves()['status'] == 'active')
        return pair

    def arrives(self, pair, state='running'):
        pair.source.ends('completed')
        monitor.until(lambda: pair.target.state() == state)

    def stays(self, pair):
        self.assertEqual(pair.source.state(), 'running')
        self.assertEqual(pair.target.status(), 1)
        self.assertEqual((pair.source.records()[0], pair.target.records()[0]), ([], []))

    def test_events_and_records_of_both_sides(self):
        pair = movers.Pair(self)
        self.assertEqual((pair.source.moves(), pair.target.moves()), ({}, {}))
        for side in (pair.source, pair.target):
            side.tell()
        self.assertEqual(pair.migrate(), {})
        self.arrives(pair)
        monitor.until(lambda: 'completed' in pair.target.events())
        self.assertEqual(shrunk(pair.source.events()), ['setup', 'active', 'MIGRATION_PASS', 'STOP', 'device', 'MIGRATION_PASS', 'completed'])
        passes = [event['data']['pass'] for event in pair.source.control.events if event['event'] == 'MIGRATION_PASS']
        self.assertEqual(passes, list(range(1, len(passes) + 1)))
        self.assertEqual(pair.target.events(), ['setup', 'active', 'device', 'RESUME', 'completed'])
        moved = pair.source.moves()
        self.assertEqual(sorted(moved), ['downtime', 'ram', 'setup-time', 'status', 'total-time'])
        self.assertEqual(moved['ram']['dirty-sync-count'], len(passes))
        self.assertEqual((moved['ram']['total'], moved['ram']['remaining']), (2 * MIB, 0))
        self.assertEqual(pair.target.moves(), {'status': 'completed'})
        self.assertEqual((pair.source.records()[0], pair.target.records()[0]), (['gave'], ['took']))
        self.assertEqual(pair.source.records()[1], pair.target.records()[1])

    def test_nothing_is_told_without_the_capability(self):
        pair = movers.Pair(self)
        pair.source.control.events.clear()
        pair.migrate()
        self.arrives(pair)
        self.assertEqual(pair.source.events(), ['STOP'])
        self.assertEqual(pair.target.events(), ['RESUME'])

    def test_a_source_that_gave_its_guest_away_never_runs_it_again(self):
        pair = movers.Pair(self)
        pair.migrate()
        self.arrives(pair)
        self.assertEqual(pair.source.control.call('query-status'), {'running': False, 'status': 'postmigrate'})
        for command in ('cont', 'system_reset', 'stop'):
            with self.subTest(command=command):
                self.refused(pair.source, 'given to another vmm', command)
        self.refused(pair.source, 'given to another vmm', 'migrate', uri=pair.address)
        self.refused(pair.source, 'no move of this guest is in doubt', '__vmm_migrate-resolve', runs=True)
        self.refused(pair.source, 'in doubt, so none can be resumed', 'migrate', uri=pair.address, resume=True)
        self.assertEqual(pair.source.control.call('migrate_cancel'), {})
        self.assertEqual(pair.source.state(), 'postmigrate')
        pair.source.control.call('quit')
        self.assertEqual(pair.source.status(), 0)
        self.assertEqual(pair.target.state(), 'running')

    def test_nothing_changes_a_guest_that_is_elsewhere(self):
        """Before it comes, when it is stopped to be given away, and afterwards."""
        image, halted, go_on = self.disk(), threading.Event(), threading.Event()
        pair = movers.Pair(self, options=['--disk', str(image)])

        def at(_who, name, _frame):
            if name == 'READY':
                halted.set()
                go_on.wait(monitor.LIMIT)
            return True
        proxy = movers.Proxy(self, str(pair.folder / 'move'), at)
        changes = (('block_resize', {'device': 'blk0', 'size': 2 * MIB}), ('set_link', {'name': 'net0', 'up': False}),
                   ('device_add', {'driver': 'pc-dimm', 'memdev': 'ram1'}), ('device_del', {'id': 'blk0'}), ('system_powerdown', {}), ('stop', {}))

        def unchanged(side, words):
            for command, arguments in changes:
                with self.subTest(command=command, words=words):
                    self.refused(side, words, command, **arguments)
            self.assertEqual(image.stat().st_size, MIB)
        unchanged(pair.target, 'has not come from the other vmm yet')
        pair.source.control.call('migrate', uri=proxy.address)
        self.assertTrue(halted.wait(monitor.LIMIT))
        unchanged(pair.source, 'is being given to another vmm')
        go_on.set()
        self.arrives(pair)
        unchanged(pair.source, 'was given to another vmm')
        pair.target.control.call('block_resize', device='blk0', size=2 * MIB)
        self.assertEqual(image.stat().st_size, 2 * MIB)

    def test_on_to_a_third_and_back(self):
        pair = movers.Pair(self)
        pair.migrate()
        self.arrives(pair)
        third = movers.Side(self, address=f'unix:{pair.folder}/third')
        pair.target.control.call('migrate', uri=third.address)
        pair.target.ends('completed')
        monitor.until(lambda: third.state() == 'running')
        self.assertEqual(pair.target.state(), 'postmigrate')
        self.assertEqual(pair.target.records()[0], ['took', 'gave'])
        for command, status in (('stop', 'paused'), ('cont', 'running'), ('system_reset', 'running')):
            third.control.call(command)
            self.assertEqual(third.state(), status)

    def test_addresses_that_cannot_be(self):
        source = movers.Side(self)
        for uri, words in (('bogus:1', 'unknown migration protocol: bogus:1'), ('', 'unknown migration protocol'),
                           ('fd:nope', "File descriptor named 'nope' has not been found"), ('tcp:nowhere', 'tcp'),
                           ('exec:true', 'unknown migration protocol: exec:true')):
            with self.subTest(uri=uri):
                self.refused(source, words, 'migrate', uri=uri)
                self.assertEqual(source.moves(), {})
        for uri, words in (('unix:/nowhere/at/all', "Failed to connect to 'unix:/nowhere/at/all': No such file or directory"),
                           ('tcp:127.0.0.1:1', 'Connection refused')):
            with self.subTest(uri=uri):
                source.control.call('migrate', uri=uri)
                self.assertIn(words, source.ends('failed')['error-desc'])
                self.assertEqual(source.state(), 'running')

    def test_each_difference_of_the_two_guests_is_told_to_both(self):
        disk = guests.Folder(self).path / 'disk'
        disk.write_bytes(bytes(MIB))
        for sets, options, words in ((['machine.vcpus=2'], [], ['machine.vcpus is 1 here and 2 there', 'machine.vcpus is 2 here and 1 there']),
                                     (['machine.memory=4M'], [], ['machine.memory', 'machine.memory']),
                                     ([], ['--disk', str(disk)], ['device', 'device']),
                                     ([], ['--device', 'rng'], ['device', 'device'])):
            with self.subTest(sets=sets, options=options):
                folder = guests.Folder(self).path
                target = movers.Side(self, *sets, address=f'unix:{folder}/move', options=options)
                source = movers.Side(self)
                source.control.call('migrate', uri=target.address)
                told = source.ends('failed')['error-desc']
                monitor.until(lambda target=target: target.moves().get('status') == 'failed')
                answered = target.moves()['error-desc']
                self.assertTrue(words[0] in told or words[1] in told, told)
                self.assertTrue(words[0] in answered or words[1] in answered, answered)
                self.assertIn('different guests', told)
                self.assertNotIn('cpuid', told)
                self.assertIn('different guests', answered)
                self.assertEqual((source.state(), target.state()), ('running', 'inmigrate'))

    def test_the_thread_of_a_move_has_a_list_of_system_calls(self):
        """On top of the main thread's, which it inherits."""
        pair = self.under_way()
        for side in (pair.source, pair.target):
            lists = {name: re.search(r'^Seccomp_filters:\s*(\d+)', (pathlib.Path(f'/proc/{side.vmm.pid}/task/{number}/status')).read_text(), re.M)[1]
                     for number, name in guests.tasks(side.vmm.pid).items() if name in ('vmm', 'migrate')}
            self.assertEqual(lists, {'vmm': '1', 'migrate': '2'})
        pair.source.fast()
        self.arrives(pair)

    def test_cancel(self):
        source = movers.Side(self)
        self.assertEqual(source.control.call('migrate_cancel'), {}, 'nothing moves')
        self.assertEqual(source.moves(), {})
        pair = self.under_way()
        pair.source.tell()
        self.refused(pair.source, 'is being moved already', 'migrate', uri=pair.address)
        self.assertEqual(pair.source.control.call('migrate_cancel'), {})
        self.assertEqual(pair.source.control.call('migrate_cancel'), {})
        self.assertEqual(pair.source.ends('cancelled'), {'status': 'cancelled'})
        self.assertEqual(pair.source.events(['MIGRATION']), ['cancelling', 'cancelled'])
        self.stays(pair)

    def test_cancel_while_the_connection_does_not_come_about(self):
        """Also when the process that tries is stuck."""
        with socket.create_server(('127.0.0.1', 0), backlog=0) as server, socket.create_connection(server.getsockname()):
            source = movers.Side(self)
            helper, = guests.children(source.vmm.pid)
            source.control.call('migrate', uri='tcp:127.0.0.1:%d' % server.getsockname()[1])
            monitor.until(lambda: guests.children(helper))
            stuck = [helper, *guests.children(helper)]
            for pid in stuck:
                os.kill(pid, signal.SIGSTOP)
            try:
                self.assertEqual(source.moves()['status'], 'setup')
                source.control.call('migrate_cancel')
                source.ends('cancelled')
                self.assertEqual(source.state(), 'running')
            finally:
                for pid in stuck:
                    os.kill(pid, signal.SIGCONT)

    def test_a_move_that_failed_can_be_tried_again(self):
        pair = self.under_way()
        pair.source.control.call('migrate_cancel')
        pair.source.ends('cancelled')
        pair.source.fast()
        self.assertEqual(pair.target.status(), 1)
        other = movers.Side(self, address=pair.address)
        pair.migrate()
        pair.source.ends('completed')
        monitor.until(lambda: other.state() == 'running')

    def test_a_guest_that_is_paused_arrives_paused(self):
        pair = movers.Pair(self)
        pair.source.control.call('stop')
        pair.migrate()
        self.arrives(pair, 'paused')
        pair.target.control.call('cont')
        self.assertEqual(pair.target.state(), 'running')

    def test_stop_and_cont_meanwhile(self):
        for command, state in (('stop', 'paused'), ('cont', 'running')):
            with self.subTest(command=command):
                pair = self.under_way()
                pair.source.control.call('stop')
                pair.source.control.call(command)
                self.assertEqual(pair.source.state(), state)
                pair.source.fast()
                self.arrives(pair, state)

    def test_reset_and_end_meanwhile(self):
        pair = self.under_way()
        pair.source.control.call('system_reset')
        self.assertIn('the guest was reset', pair.source.ends('failed')['error-desc'])
        self.stays(pair)
        pair = self.under_way()
        pair.source.control.call('quit')
        self.assertEqual((pair.source.status(), pair.target.status()), (0, 1))

    def test_a_target_waits_for_its_guest_and_for_nothing_else(self):
        pair = movers.Pair(self)
        for command in ('cont', 'system_reset'):
            with self.subTest(command=command):
                self.assertIn('error', pair.target.control.ask(command))
        self.refused(pair.target, 'the guest has not come yet', 'migrate', uri=pair.address)
        self.assertEqual(pair.target.state(), 'inmigrate')
        pair.target.control.call('quit')
        self.assertEqual(pair.target.status(), 0)
        self.assertFalse((pair.folder / 'move').exists())

    def test_memory_is_not_added_meanwhile(self):
        pair = self.under_way('machine.memory-max=514M')
        pair.source.control.call('object-add', qom_type='memory-backend-ram', id='ram1', size=128 * MIB)
        self.refused(pair.source, 'the guest is being moved', 'device_add', driver='pc-dimm', id='dimm1', memdev='ram1')
        pair.source.fast()
        self.arrives(pair)

    def test_memory_that_was_added_arrives(self):
        pair = movers.Pair(self, ('machine.memory-max=514M',), ('machine.memory-max=514M',))
        pair.source.control.call('object-add', qom_type='memory-backend-ram', id='ram1', size=128 * MIB)
        pair.source.control.call('device_add', driver='pc-dimm', id='dimm1', memdev='ram1')
        pair.migrate()
        self.arrives(pair)
        self.assertEqual(pair.target.control.call('query-memory-size-summary')['plugged-memory'], 128 * MIB)

    def test_parameters_and_capabilities(self):
        control = movers.Side(self).control
        self.assertEqual(control.call('query-migrate-parameters'), {'max-bandwidth': 0, 'downtime-limit': 300, 'mode': 'normal', 'max-postcopy-bandwidth': 0})
        control.call('migrate-set-parameters', downtime_limit=50)
        control.call('migrate-set-parameters', max_bandwidth=12345678)
        self.assertEqual(control.call('query-migrate-parameters'), {'max-bandwidth': 12345678, 'downtime-limit': 50, 'mode': 'normal', 'max-postcopy-bandwidth': 0})
        answer = control.ask('migrate-set-parameters', downtime_limit=2000001, max_bandwidth=1)
        self.assertEqual(answer['error']['desc'], "Parameter 'downtime_limit' expects an integer in the range of 0 to 2000000 seconds")
        self.assertEqual(control.call('query-migrate-parameters')['max-bandwidth'], 12345678, 'all of it or nothing')
        self.assertEqual(control.call('query-migrate-capabilities'), [{'capability': 'events', 'state': False},
                                                                      {'capability': 'return-path', 'state': True},
                                                                      {'capability': 'postcopy-ram', 'state': False}])
        control.call('migrate-set-capabilities', capabilities=[{'capability': 'events', 'state': True}, {'capability': 'return-path', 'state': True}])
        self.assertTrue(control.call('query-migrate-capabilities')[0]['state'])
        for capability, words in (('return-path', 'is always on'), ('multifd', 'multifd')):
            answer = control.ask('migrate-set-capabilities', capabilities=[{'capability': 'events', 'state': False},
                                                                           {'capability': capability, 'state': False}])
            self.assertIn(words, answer['error']['desc'])
        self.assertTrue(control.call('query-migrate-capabilities')[0]['state'])

    def test_confidential_guests_are_refused_beforehand(self):
        source = movers.Side(self, 'sev.type=sev')
        reason, = source.moves()['blocked-reasons']
        self.assertIn('encrypted', reason)
        self.refused(source, reason, 'migrate', uri='unix:/nowhere')

    def test_a_record_is_a_regular_file(self):
        folder = guests.Folder(self)
        os.mkfifo(folder.path / 'pipe')
        (folder.path / 'link').symlink_to('file')
        for name in ('pipe', 'link', '.', 'missing/file'):
            with self.subTest(name=name):
                done = guests.run([*folder.guest(guests.POWER_OFF, f'migrate.record={folder.path}/{name}'), '--host', 'sim'], text=True)
                self.assertEqual(done.returncode, 2)
                self.assertIn('migrate.record', done.stderr)
        self.assertFalse((folder.path / 'file').exists())

    # ---- addresses ----

    def test_descriptors(self):
        here, there = socket.socketpair()
        with here, there:
            target = movers.Side(self, address=f'fd:{there.fileno()}', pass_fds=[there.fileno()])
            there.close()
            source = movers.Side(self)
            socket.send_fds(source.control.socket, [b'{"execute": "getfd", "arguments": {"fdname": "way"}}'], [here.fileno()])
            self.assertEqual(source.control.answer(), {'return': {}})
            here.close()
            source.control.call('migrate', uri='fd:way')
            source.ends('completed')
            monitor.until(lambda: target.state() == 'running')
            self.refused(source, 'has not been found', 'migrate', uri='fd:way')

    def test_tcp(self):
        """The port is the kernel's choice, so the target inherits the socket that listens; another target makes its own."""
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
            target = movers.Side(self, address=f'fd:{server.fileno()}', pass_fds=[server.fileno()])
        source = movers.Side(self)
        source.control.call('migrate', uri=f'tcp:127.0.0.1:{port}')
        source.ends('completed')
        monitor.until(lambda: target.state() == 'running')
        target.control.call('quit')
        target.status()
        again = movers.Side(self, address=f'tcp:127.0.0.1:{port}')
        other = movers.Side(self)
        other.control.call('migrate', uri=f'tcp:localhost:{port}')
        other.ends('completed')
        monitor.until(lambda: again.state() == 'running')

    def test_the_socket_file(self):
        pair = movers.Pair(self)
        path = pathlib.Path(pair.folder / 'move')
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        pair.migrate()
        self.arrives(pair)
        pair.target.control.call('quit')
        self.assertEqual(pair.target.status(), 0)
        self.assertFalse(path.exists())
        ghost = movers.Pair(self)
        ghost.target.end()
        self.assertTrue((ghost.folder / 'move').exists())
        movers.Side(self, address=ghost.address)
        ghost.migrate()
        ghost.source.ends('completed')

    def test_a_socket_file_that_is_another_target_s_stays(self):
        folder = guests.Folder(self).path
        first = movers.Side(self, address=f'unix:{folder}/move')
        (folder / 'move').rename(folder / 'away')
        second = movers.Side(self, address=f'unix:{folder}/move')
        first.control.call('quit')
        self.assertEqual(first.status(), 0)
        source = movers.Side(self)
        source.control.call('migrate', uri=second.address)
        source.ends('completed')

    # ---- strangers ----

    def stranger(self, pair, data=b''):
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.connect(str(pair.folder / 'move'))
        sock.sendall(data)
        return sock

    def test_strangers_do_not_end_a_target(self):
        pair = movers.Pair(self)
        hello = movers.HEADER.pack(0x314d4d56, 1, 1, 24, 0, 0, 0, 0, 0) + bytes(24)
        for data in (b'', b'GET / HTTP/1.0\r\n\r\n' * 4, bytes(4096), b'\xff' * 64, hello, hello[:20], os.urandom(1 << 16)):
            with self.subTest(data=data[:10]):
                sock = self.stranger(pair)
                with contextlib.suppress(OSError):  # it may be turned away before it has said everything
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(4096):
                        pass
                sock.close()
                monitor.until(lambda: pair.target.moves().get('status') == 'failed')
                self.assertEqual(pair.target.state(), 'inmigrate')
        pair.migrate()
        self.arrives(pair)

    def test_who_comes_second_waits(self):
        pair = movers.Pair(self)
        stranger = self.stranger(pair)
        monitor.until(lambda: pair.target.moves().get('status') == 'setup')
        pair.migrate()
        self.assertEqual(pair.target.moves(), {'status': 'setup'})
        self.assertEqual(pair.source.moves()['status'], 'setup')
        stranger.close()
        self.arrives(pair)

    def test_strangers_do_not_disturb_a_guest_that_has_come(self):
        pair = movers.Pair(self)
        pair.migrate()
        self.arrives(pair)
        pair.target.tell()
        for data in (b'nonsense' * 100, b''):
            self.stranger(pair, data).close()
        second = movers.Side(self)
        second.control.call('migrate', uri=pair.address)
        second.ends('failed')
        self.assertEqual((second.state(), pair.target.state()), ('running', 'running'))
        self.assertEqual((pair.target.events(), pair.target.moves()), ([], {'status': 'completed'}))

    # ---- disks ----

    def disk(self, name='disk'):
        path = guests.Folder(self).path / name
        path.write_bytes(bytes(MIB))
        return path

    def other_may_have(self, image):
        """Whether a third vmm gets the image."""
        command = guests.Folder(self).guest(guests.POWER_OFF)
        done = guests.run([*command, '--host', 'sim', '--disk', str(image)], text=True)
        return done.returncode == 0

    def test_one_side_at_a_time_has_the_disk(self):
        image = self.disk()
        pair = movers.Pair(self, options=['--disk', str(image)])
        self.assertFalse(self.other_may_have(image))
        pair.migrate()
        self.arrives(pair)
        self.assertFalse(self.other_may_have(image))
        pair.target.control.call('quit')
        pair.target.status()
        self.assertEqual(pair.source.state(), 'postmigrate')
        self.assertTrue(self.other_may_have(image))

    def test_a_target_whose_disk_is_missing_gives_the_guest_back(self):
        image = self.disk()
        other = self.disk('other')
        folder = guests.Folder(self).path
        target = movers.Side(self, address=f'unix:{folder}/move', options=['--disk', str(other)])
        source = movers.Side(self, options=['--disk', str(image)])
        other.unlink()
        source.control.call('migrate', uri=target.address)
        self.assertIn('other', source.ends('failed')['error-desc'])
        self.assertEqual(source.state(), 'running')
        self.assertEqual(target.status(), 2, 'a named file is wrong')
        self.assertEqual((source.records()[0], target.records()[0]), (['gave', 'kept'], []))
        self.assertFalse(self.other_may_have(image))
        source.control.call('stop')
        source.control.call('cont')
        self.assertEqual(source.state(), 'running')


class People(unittest.TestCase):
    def ctl(self, side, *words, **how):
        return guests.run([str(guests.VMM), 'ctl', str(side.path), *words], text=True, **how)

    def test_migrate_waits_and_ends_the_source(self):
        pair = movers.Pair(self)
        done = self.ctl(pair.source, 'migrate', pair.address, '--pretty')
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertRegex(done.stdout, r'^the guest runs on the other side: [0-9.]+ s, of which it was stopped for \d+ ms; \S+ were sent in \d+ '
                                      r'passes?\n$')
        self.assertEqual((pair.source.status(), pair.target.state()), (0, 'running'))

    def test_a_socket_file_is_named_as_from_here(self):
        pair = movers.Pair(self)
        done = self.ctl(pair.source, 'migrate', 'unix:move', cwd=pair.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertEqual(pair.target.state(), 'running')

    def test_options(self):
        pair = movers.Pair(self)
        done = self.ctl(pair.source, 'migrate', pair.address, '--keep', '--bandwidth', '100M', '--downtime=250')
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertRegex(done.stdout, r'^\{.*"status": "completed".*\}\n$')
        self.assertEqual(pair.source.state(), 'postmigrate')
        self.assertEqual(pair.source.control.call('query-migrate-parameters'), {'max-bandwidth': 100 * MIB, 'downtime-limit': 250, 'mode': 'normal', 'max-postcopy-bandwidth': 0})
        for words in (['status', '--keep'], ['migrate', 'uri=unix:/x', '--resume'], ['migrate', '--bandwidth', '1'], ['--downtime', '1'],
                      ['migrate', 'unix:/x', '--bandwidth', 'much'], ['migrate', 'unix:/x', 'unix:/y']):
            with self.subTest(words=words):
                done = self.ctl(pair.source, *words)
                self.assertEqual((done.returncode, done.stdout), (2, ''), done.stderr)

    def test_the_generic_form_answers_at_once(self):
        pair = movers.Pair(self)
        for words in (['uri=' + pair.address], ['{"uri": "%s"}' % pair.address]):
            pair.source.slow()
            done = self.ctl(pair.source, 'migrate', *words)
            self.assertEqual((done.returncode, done.stdout), (0, '{}\n'))
            monitor.until(lambda: pair.source.moves()['status'] == 'active')
            pair.source.control.call('migrate_cancel')
            pair.source.ends('cancelled')
            pair.target.status()
            pair.target = movers.Side(self, address=pair.address)

    def test_failures(self):
        source = movers.Side(self)
        done = self.ctl(source, 'migrate', 'unix:/nowhere/at=all')
        self.assertEqual(done.returncode, 1)
        self.assertIn("the guest was not moved and is running here: Failed to connect to 'unix:/nowhere/at=all'", done.stderr)
        self.assertIn('"failed"', done.stdout)
        done = self.ctl(source, 'migrate', 'bogus:1')
        self.assertEqual((done.returncode, done.stdout), (1, ''))
        self.assertIn('unknown migration protocol: bogus:1', done.stderr)

    def test_a_descriptor_is_passed(self):
        here, there = socket.socketpair()
        with here, there:
            target = movers.Side(self, address=f'fd:{there.fileno()}', pass_fds=[there.fileno()])
            source = movers.Side(self)
            done = self.ctl(source, 'migrate', 'fd:way', '--fd', str(here.fileno()), pass_fds=[here.fileno()])
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertEqual((source.status(), target.state()), (0, 'running'))

    def test_progress_and_interrupt_on_a_terminal(self):
        pair = movers.Pair(self)
        pair.source.slow()
        master, slave = pty.openpty()
        with subprocess.Popen([guests.VMM, 'ctl', str(pair.source.path), 'migrate', pair.address], stdin=slave, stdout=slave, stderr=slave) as ctl:
            os.close(slave)
            seen = ''
            while seen.count('moving: ') < 3:
                self.assertTrue(select.select([master], [], [], monitor.LIMIT)[0])
                seen += os.read(master, 4096).decode()
            ctl.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):
                while part := os.read(master, 4096):
                    seen += part.decode()
            self.assertEqual(ctl.wait(monitor.LIMIT), 1)
        os.close(master)
        self.assertRegex(seen, r'moving: \d+ %, \S+/s, pass 1\r\x1b\[Kmoving: ')
        self.assertIn('cancelling the move\r\n', seen)
        self.assertTrue(seen.endswith('the move was cancelled: the guest was not moved and is running here\r\n'), seen[-200:])
        self.assertEqual(pair.target.status(), 1)

    def test_human_monitor(self):
        pair = movers.Pair(self)

        def ask(line):
            return pair.source.control.call('human-monitor-command', command_line=line)
        self.assertEqual(ask('info migrate'), '')
        self.assertEqual(ask('migrate_cancel'), '')
        self.assertEqual(ask('migrate -d bogus:1'), 'Error: unknown migration protocol: bogus:1\r\n')
        self.assertIn('string expected', ask('migrate -d'))
        pair.source.slow()
        self.assertEqual(ask('migrate -d ' + pair.address), '')
        monitor.until(lambda: 'Migration status: active\r\n' in ask('info migrate'))
        self.assertEqual(ask('migrate_cancel'), '')
        monitor.until(lambda: ask('info migrate') == 'Migration status: cancelled\r\n')
        pair.target.status()
        pair.source.fast()
        movers.Side(self, address=pair.address)
        self.assertEqual(ask('migrate ' + pair.address), '')
        monitor.until(lambda: 'Migration status: completed\r\n' in ask('info migrate'))
        self.assertRegex(ask('info migrate'), r'(?s)total time: \d+ ms\r\ndowntime: \d+ ms\r\nsetup: \d+ ms\r\ntransferred ram: \d+ kbytes\r\n'
                                              r'throughput: [\d.]+ mbps\r\nremaining ram: 0 kbytes\r\ntotal ram: 2048 kbytes\r\n')


if __name__ == '__main__':
    monitor.main()
