#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest that writes all its memory all the time goes over while memory is missing there (post-copy), whatever breaks meanwhile."""
import collections
import contextlib
import os
import signal
import socket
import unittest

import monitor
import movers
from monitor import guests

# Counts each word of 448 KiB up, one round after the other, and looks that it was as the last round left it. It tells each round,
# and a word that is another one.
WORKS = bytes.fromhex('fa 31db'
                      'b80010 8ec0 31ff 26391d 7519 26ff05 83c702 75f3 050010 3d0080 75e7 43 baf803 b02e ee ebdb'
                      'baf803 b058 ee ebfe')
# Whom something happens to, and behind which message of whom.
POINTS = [('source', 'LATER'), ('source', 'STATE'), ('target', 'READY'), ('source', 'COMMIT'), ('target', 'DONE'), ('target', 'LATER'),
          ('target', 'WANT'), ('source', 'PAGES'), ('target', 'WHOLE')]


def has_faults():
    """Does this host give vmm a userfaultfd?"""
    with contextlib.suppress(OSError):
        os.close(os.open('/dev/userfaultfd', os.O_RDWR))
        return True
    with contextlib.suppress(OSError):
        with open('/proc/sys/vm/unprivileged_userfaultfd', encoding='ascii') as file:
            return file.read() == '1\n'
    return False


class Worker(movers.Side):
    """A vmm whose guest's console is a file."""

    def __init__(self, test, *sets, code=WORKS, **how):
        self.console = guests.Folder(test).path / 'console'
        with open(self.console, 'wb') as file:
            super().__init__(test, *sets, code=code, stdout=file, **how)

    def rounds(self):
        told = self.console.read_bytes()
        self.test.assertNotIn(b'X', told, 'a word of memory is wrong')
        return told.count(b'.')

    def works(self):
        """Until it has gone three more times through its memory."""
        before = self.rounds()
        monitor.until(lambda: self.rounds() >= before + 3)


@unittest.skipUnless(has_faults(), 'this host gives vmm no userfaultfd')
class Case(unittest.TestCase):
    def pair(self, *sets, memory='8M', at=None, after=None):
        """Two vmms, and what is between them."""
        folder, sets = guests.Folder(self).path, (f'machine.memory={memory}', *sets)
        address = f'unix:{folder}/move'
        self.target = Worker(self, *sets, address=address)
        self.source = Worker(self, *sets)
        self.proxy = movers.Proxy(self, address[len('unix:'):], at or (lambda *_: True), after or (lambda *_: True))
        self.source.works()
        return address

    def allow(self, state=True):
        self.source.control.call('migrate-set-capabilities', capabilities=[{'capability': 'postcopy-ram', 'state': state}])

    def go(self, address=None):
        """The guest goes over at once, with nearly all of its memory missing."""
        self.allow()
        self.source.slow()
        self.source.control.call('migrate', uri=address or self.proxy.address)
        monitor.until(lambda: self.source.moves()['status'] in ('active', *movers.ENDS))
        self.source.control.call('migrate-start-postcopy')

    def arrives(self):
        moved = self.source.ends('completed')
        monitor.until(lambda: self.target.moves() == {'status': 'completed'})
        self.assertEqual(self.source.state(), 'postmigrate')
        self.target.works()
        return moved


class Postcopy(Case):
    def test_goes_over_at_once(self):
        for sets in ((), ('machine.vcpus=4',)):
            with self.subTest(sets=sets):
                address = self.pair(*sets)
                for side in (self.source, self.target):
                    side.tell()
                self.go(address)
                moved = self.arrives()
                self.assertEqual(self.source.events(['MIGRATION']), ['setup', 'active', 'device', 'postcopy-active', 'completed'])
                self.assertEqual(self.target.events(['MIGRATION', 'RESUME']), ['setup', 'active', 'device', 'RESUME', 'postcopy-active', 'completed'])
                self.assertEqual(moved['ram']['remaining'], 0)
                print(f'{sets or "1 vCPU"}: stopped for {moved["downtime"]} ms of {moved["total-time"]} ms, '
                      f'{moved["ram"]["postcopy-requests"]} pages were waited for')
                self.assertEqual((self.source.records()[0], self.target.records()[0]), (['gave'], ['took']))

    def test_people(self):
        address = self.pair()
        self.source.control.call('migrate-set-parameters', downtime_limit=0)
        done = guests.run([str(guests.VMM), 'ctl', str(self.source.path), 'migrate', address, '--postcopy', '--pretty'], text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertIn('the guest runs on the other side', done.stdout)
        self.assertEqual(self.source.status(), 0)
        self.target.works()

    def test_human_monitor(self):
        address = self.pair()

        def ask(line):
            return self.source.control.call('human-monitor-command', command_line=line)
        self.assertIn('wants events', ask('migrate_set_capability nothing on'))
        self.assertIn('must be started after', ask('migrate_start_postcopy'))
        self.assertEqual(ask('migrate_set_capability postcopy-ram on'), '')
        self.source.slow()
        ask('migrate -d ' + address)
        monitor.until(lambda: 'Migration status: active' in ask('info migrate'))
        self.assertEqual(ask('migrate_start_postcopy'), '')
        self.arrives()
        self.assertIn('postcopy request count: ', ask('info migrate'))

    def test_a_limit_is_for_what_nobody_waits_for(self):
        address = self.pair(memory='64M')
        self.source.control.call('migrate-set-parameters', max_postcopy_bandwidth=1)
        self.go(address)
        self.target.works()
        self.assertEqual(self.source.moves()['status'], 'postcopy-active')
        self.source.control.call('migrate-set-parameters', max_postcopy_bandwidth=0)
        self.assertGreater(self.arrives()['ram']['postcopy-requests'], 0)

    def test_a_limit_ends_with_the_last_page(self):
        """These pages are few enough to go within what the limit allows at a time; the target says meanwhile that it has all."""
        address = self.pair()
        self.source.control.call('migrate-set-parameters', max_postcopy_bandwidth=1)
        self.go(address)
        self.arrives()
        self.assertNotIn('error', self.source.log.read_text())

    def refused(self, command, words, **arguments):
        self.assertIn(words, self.source.control.ask(command, **arguments)['error']['desc'])

    def test_refusals(self):
        address = self.pair('machine.memory-shared=true')
        self.refused('migrate-start-postcopy', 'must be started after')
        self.source.slow()
        self.source.control.call('migrate', uri=address)
        monitor.until(lambda: self.source.moves()['status'] == 'active')
        self.refused('migrate-start-postcopy', 'Enable postcopy')
        self.source.control.call('migrate_cancel')
        self.source.ends('cancelled')
        self.target.status()
        self.allow()
        self.refused('migrate', 'a file brings no memory late', uri='file:/nowhere')
        self.source.control.call('migrate-set-parameters', mode='cpr-transfer')
        self.refused('migrate', 'a handover brings all memory at once', uri=address)
        self.source.control.call('migrate-set-parameters', mode='normal')
        self.target = Worker(self, 'machine.memory=8M', 'machine.memory-shared=true', address=address)
        self.source.control.call('migrate', uri=address)
        self.assertIn('machine.memory-shared', self.source.ends('failed')['error-desc'])
        self.assertEqual(self.source.state(), 'running')

    def test_a_target_lives_on_in_other_ways(self):
        """It is reset, and it is ended, while memory is missing."""
        for command in ('system_reset', 'quit'):
            with self.subTest(command=command):
                address = self.pair()
                self.source.control.call('migrate-set-parameters', max_postcopy_bandwidth=1)
                self.go(address)
                monitor.until(lambda: self.target.moves().get('status') == 'postcopy-active')
                self.target.control.call(command)
                self.source.ends('completed')
                if command == 'quit':
                    self.assertEqual(self.target.status(), 0)
                else:
                    self.target.works()
                    self.assertEqual(self.target.moves(), {'status': 'completed'})


class Breaks(Case):
    """The connection is cut behind each message, or one of both is killed."""

    def broken(self, point, act):
        """Lets the guest go; act() is done once, behind the point's message."""
        self.done = False

        def after(who, name, _frame):
            # Pages also go before that, and when the guest or its loading waits for them.
            late = (('target', 'DONE') if name == 'PAGES' else ('source', 'LATER')) in self.proxy.seen
            if self.done or (who, name) != point or not late:
                return not self.done
            self.done = True
            act()
            return False

        def hold(who, name):
            # What the target would want must not come before it does.
            if point == ('target', 'WANT') and who == 'source' and name == 'PAGES' and ('source', 'LATER') in self.proxy.seen:
                monitor.until(lambda: self.done)
        self.pair(after=after)
        self.proxy.hold = hold
        if point != ('target', 'WHOLE'):
            self.source.control.call('migrate-set-parameters', max_postcopy_bandwidth=1)
        with contextlib.suppress(OSError, AssertionError):  # it may be killed before it answers
            self.go()
        monitor.until(lambda: self.done)

    def resumes(self):
        """Over the target's own address."""
        self.source.control.call('migrate-set-parameters', max_postcopy_bandwidth=0)
        self.source.control.call('migrate', uri=self.target.address, resume=True)
        self.arrives()

    def test_cut(self):
        for point in POINTS:
            with self.subTest(point=point):
                self.broken(point, lambda: None)
                if point in POINTS[:2]:
                    self.source.ends('failed')
                    self.assertEqual(self.source.state(), 'running')
                    self.source.works()
                    self.assertEqual(self.target.status(), 1)
                elif self.source.ends('completed', 'postcopy-paused', 'in-doubt', 'failed')['status'] == 'failed':
                    self.assertEqual(point, ('target', 'READY'))    # it had not read it yet
                    self.assertEqual(self.source.state(), 'running')
                elif self.source.moves()['status'] != 'completed':
                    self.assertIn('given to another vmm', self.source.control.ask('cont')['error']['desc'])
                    self.resumes()
                for side in (self.source, self.target):
                    side.end()

    def test_either_is_killed_at_each_message(self):
        """The guest never runs on both sides, and nobody takes a guest that lacks memory for a whole one."""
        for killed, other in (('source', 'target'), ('target', 'source')):
            ends = collections.Counter()
            for at, point in enumerate(POINTS):
                with self.subTest(killed=killed, point=point):
                    self.broken(point, lambda killed=killed: getattr(self, killed).end())
                    end = self.end_of(getattr(self, other))
                    gave, took = self.source.records()[0], self.target.records()[0]
                    ends[end] += 1
                    self.assertIn(end, self.allowed(killed, at))
                    if end == 'postcopy-paused':
                        self.assertEqual(gave, ['gave'])
                    elif end == 'running' and killed == 'target':
                        self.assertEqual(took, [])
                    elif end in ('running', 'completed'):
                        self.assertEqual((gave, took), (['gave'], ['took']))
                    elif end == 'ended':
                        self.assertEqual(took, [])
                    for side in (self.source, self.target):
                        side.end()
            print(f'{killed} killed: {dict(ends)}')
            self.assertIn('postcopy-paused', ends)

    @staticmethod
    def allowed(killed, at):
        """How the other side may end that hears no more behind this message."""
        given = POINTS.index(('source', 'COMMIT'))
        if killed == 'source':
            return (('ended', 'failed'), ('ended', 'failed', 'in-doubt'), ('in-doubt', 'postcopy-paused'), ('postcopy-paused', 'completed'))[
                (at >= 1) + (at >= given) + (at > given)]
        return (('running',), ('running', 'in-doubt'), ('in-doubt', 'postcopy-paused', 'completed'))[(at >= 2) + (at >= given)]

    def end_of(self, side):
        """What the side says of the guest when all is over there."""
        def end():
            try:
                moved, state = side.moves().get('status'), side.state()
            except (OSError, AssertionError):
                return 'ended' if not side.lives() else None
            if moved not in movers.ENDS:
                return None
            return 'running' if moved == 'failed' and state == 'running' else moved
        return monitor.until(end)

    def test_the_source_is_killed(self):
        """The guest needs what is nowhere any more: it is told, and nothing is made up."""
        self.broken(('source', 'PAGES'), lambda: os.kill(self.source.vmm.pid, signal.SIGKILL))
        monitor.until(lambda: 'pages of the guest are missing' in self.target.log.read_text())
        self.assertEqual(self.target.moves()['status'], 'postcopy-paused')
        self.target.rounds()
        self.target.control.send('{"execute": "quit"}')
        self.assertEqual(self.target.status(), -signal.SIGKILL)

    def test_the_target_is_killed(self):
        """The source never runs the guest again."""
        self.broken(('source', 'PAGES'), lambda: os.kill(self.target.vmm.pid, signal.SIGKILL))
        self.assertTrue(self.source.ends('postcopy-paused')['error-desc'])
        self.assertIn('given to another vmm', self.source.control.ask('cont')['error']['desc'])
        self.source.control.call('migrate', uri=self.target.address, resume=True)
        monitor.until(lambda: self.source.moves()['status'] == 'postcopy-paused')
        # A vmm that was started anew at that address knows nothing of it, and that makes no doubt of it.
        fresh = Worker(self, 'machine.memory=8M', address=f'unix:{guests.Folder(self).path}/fresh')
        self.source.control.call('migrate', uri=fresh.address, resume=True)
        monitor.until(lambda: 'the guest is lost' in self.source.moves().get('error-desc', ''))
        self.assertEqual(self.source.ends('postcopy-paused')['status'], 'postcopy-paused')
        self.assertIn('no move of this guest is in doubt', self.source.control.ask('__vmm_migrate-resolve', runs=True)['error']['desc'])

    def test_strangers_while_memory_is_missing(self):
        self.broken(('source', 'PAGES'), lambda: None)
        self.source.ends('postcopy-paused')
        monitor.until(lambda: self.target.moves()['status'] == 'postcopy-paused')
        for data in (b'', b'GET / HTTP/1.0\r\n\r\n' * 4, os.urandom(4096)):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(self.target.address[len('unix:'):])
                with contextlib.suppress(OSError):
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(4096):
                        pass
        self.resumes()


if __name__ == '__main__':
    monitor.main()
