#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Moves that break: at every message either vmm is killed, or the connection cut. The guest never runs twice, and every doubt can be ended."""
import collections
import contextlib
import itertools
import os
import struct
import subprocess
import unittest

import monitor
import movers
from monitor import guests

STARVE = os.environ.get('STARVE_LIBRARY', '')  # the library of starve.c
# Who sends it, what, and which of several: all messages of a move, in their order.
POINTS = [('source', 'HELLO', ''), ('target', 'HELLO', ''), ('source', 'PLAN', ''), ('target', 'PLAN', ''), ('source', 'PAGES', ''),
          ('source', 'PASS', ''), ('source', 'PASS', 'last'), ('source', 'TIME', ''), ('source', 'VCPU', ''), ('source', 'CHIPS', ''),
          ('source', 'DEVICE', ''), ('source', 'STATE', ''), ('target', 'READY', ''), ('source', 'COMMIT', ''), ('target', 'DONE', '')]
STAYS = POINTS.index(('source', 'STATE', ''))   # whatever happens before this is there, the source has the guest


class Break:
    """Does something once, before or behind the point's message. act() says whether the connection goes on."""

    def __init__(self, point, behind, act):
        self.point, self.behind, self.act, self.done = point, behind, act, False
        self.over = False   # nothing is handed on any more, also not what was on its way

    def meets(self, who, name, frame):
        return not self.done and (who, name) == self.point[:2] and (self.point[2] != 'last' or movers.is_last(name, frame))

    def at(self, who, name, frame):
        return not self.over and (self.behind or not self.meets(who, name, frame) or self.run())

    def run(self):
        self.done = True
        self.over = not self.act()
        return not self.over

    def after(self, who, name, frame):
        return not self.behind or not self.meets(who, name, frame) or self.run()


def settled(side):
    """The end of it: what the side says, or that it has ended."""
    try:
        state, moved = side.state(), side.moves().get('status')
    except (OSError, AssertionError):
        return 'ended' if not side.lives() else None
    if moved == 'in-doubt':
        return 'doubt'
    if state == 'inmigrate':
        return 'waits' if moved == 'failed' else None
    if state == 'running':
        return 'runs' if moved in ('failed', 'completed') else None
    return 'gave' if state == 'postmigrate' and moved == 'completed' else None


def settled_again(side):
    """The same of one whose clients may have been dropped for want of memory."""
    end = settled(side)
    if end is None and side.lives():
        with contextlib.suppress(OSError, AssertionError):
            side.control.close()
            side.control = side.monitor()
    return end


def end_of(side):
    return monitor.until(lambda: settled(side))


class Doubts(unittest.TestCase):
    def pair(self, point, behind, act):
        pair = movers.Pair(self)
        broken = Break(point, behind, lambda: act(pair))
        proxy = movers.Proxy(self, f'{pair.folder}/move', broken.at, broken.after)
        return pair, proxy, broken

    def each(self, act, check):
        for i, point in enumerate(POINTS):
            for behind in (False, True):
                with self.subTest(point=point, behind=behind):
                    pair, proxy, broken = self.pair(point, behind, act)
                    with contextlib.suppress(OSError):  # it may be killed before it answers
                        pair.source.control.ask('migrate', uri=proxy.address)
                    monitor.until(lambda broken=broken: broken.done)
                    check(pair, i, behind)
                    for side in (pair.source, pair.target):
                        side.end()
                    proxy.close()

    @unittest.skipUnless(STARVE, 'a build with a sanitizer allows no library before its own')
    def test_memory_runs_out(self):
        """Of the source, or of the target: a few of the next allocations behind each message fail."""
        for hungry, count in itertools.product(('source', 'target'), (1, 4)):
            ends = collections.Counter()
            for point in POINTS:
                with self.subTest(hungry=hungry, count=count, point=point):
                    ends[self.starve(hungry, count, point)] += 1
            print(f'{hungry}, {count}: {dict(ends)}')
            self.assertLess(ends['gave', 'runs'], len(POINTS), 'nothing has failed')

    def starve(self, hungry, count, point):
        folder = guests.Folder(self).path
        number = folder / 'number'
        number.write_bytes(bytes(4))
        how = {'env': guests.measured_environment() | {'LD_PRELOAD': STARVE, 'STARVE': str(number)}}
        target = movers.Side(self, address=f'unix:{folder}/move', **(how if hungry == 'target' else {}))
        source = movers.Side(self, **(how if hungry == 'source' else {}))

        def fail(allocations):
            with open(number, 'r+b', buffering=0) as file:  # which is mapped, so it is not cut meanwhile
                file.write(struct.pack('<i', allocations))
            return True
        broken = Break(point, False, lambda: fail(count))
        proxy = movers.Proxy(self, f'{folder}/move', broken.at, broken.after)
        with contextlib.suppress(OSError):  # the move may be that far, and memory be short, before this is answered
            source.control.ask('migrate', uri=proxy.address)
        monitor.until(lambda: broken.done)
        ends = tuple(monitor.until(lambda side=side: settled_again(side)) for side in (source, target))
        self.assertIn(ends, (('runs', 'ended'), ('runs', 'waits'), ('gave', 'runs'), ('doubt', 'runs'), ('doubt', 'doubt')))
        if ends[0] == 'doubt':
            fail(0)
            source.control.call('migrate', uri=target.address, resume=True)
            source.ends('completed')
            monitor.until(lambda: target.state() == 'running')
        for side in (source, target):
            side.end()
        proxy.close()
        return ends

    def resolve(self, side, runs):
        side.control.call('__vmm_migrate-resolve', runs=runs)
        if runs:
            monitor.until(lambda: side.state() == 'running')
        elif side.address:
            self.assertEqual(side.status(), 1)
        else:
            self.assertEqual(side.state(), 'postmigrate')

    def test_source_is_killed(self):
        def kill(pair):
            pair.source.vmm.kill()
            pair.source.vmm.wait()
            return False

        def check(pair, i, behind):
            gave, took = pair.source.records()[0], pair.target.records()[0]
            end = end_of(pair.target)
            self.assertIn(end, ('waits', 'ended', 'doubt', 'runs'))
            took = pair.target.records()[0]
            if i < STAYS or (i == STAYS and not behind):
                self.assertIn(end, ('waits', 'ended'))
            if end in ('waits', 'ended'):
                self.assertEqual((gave, took), ([], []))
            elif end == 'runs':
                self.assertEqual((gave, took), (['gave'], ['took']))
            else:  # the record of the source decides, as docs/migration.md says
                self.assertEqual(took, [])
                self.resolve(pair.target, gave == ['gave'])
            if POINTS[i][1] == 'COMMIT':
                self.assertEqual(gave, ['gave'])
            if POINTS[i][1] == 'READY' and not behind:
                self.assertEqual((gave, end), ([], 'doubt'))
        self.each(kill, check)

    def test_target_is_killed(self):
        def kill(pair):
            pair.target.vmm.kill()
            pair.target.vmm.wait()
            return False

        def check(pair, i, behind):
            took = pair.target.records()[0]
            end = end_of(pair.source)
            gave = pair.source.records()[0]
            self.assertIn(end, ('runs', 'doubt', 'gave'))
            if i < POINTS.index(('target', 'READY', '')) or (POINTS[i][1] == 'READY' and not behind):
                self.assertEqual((end, gave, took), ('runs', [], []))
            if end == 'runs':
                self.assertEqual((took, pair.source.state()), ([], 'running'))
                self.assertNotIn('gave', gave)
            elif end == 'gave':
                self.assertEqual((gave, took, POINTS[i][1], behind), (['gave'], ['took'], 'DONE', True))
            else:
                self.assertEqual(gave, ['gave'])
                self.resolve(pair.source, took == [])
            if POINTS[i][1] == 'DONE':
                self.assertEqual(took, ['took'])
        self.each(kill, check)

    def test_connection_is_cut(self):
        """Both live, so that one question ends every doubt of the source."""
        def check(pair, i, behind):
            here, there = end_of(pair.source), end_of(pair.target)
            if i <= STAYS and not (i == STAYS and behind):
                self.assertEqual(here, 'runs')
                self.assertIn(there, ('waits', 'ended'))
            if here == 'doubt':
                self.assertIn(there, ('doubt', 'runs'))
                pair.migrate(resume=True)
                pair.source.ends('completed')
                self.assertEqual(pair.source.state(), 'postmigrate')
                monitor.until(lambda: pair.target.state() == 'running')
                self.assertEqual((pair.source.records()[0], pair.target.records()[0]), (['gave'], ['took']))
                self.assertEqual(pair.source.records()[1], pair.target.records()[1])
            elif there == 'doubt':
                self.assertEqual((here, pair.source.records()[0]), ('runs', []))
                self.resolve(pair.target, False)
                self.assertEqual(pair.source.state(), 'running')
            else:
                self.assertEqual(here == 'runs', there != 'runs')
        self.each(lambda pair: False, check)

    def test_who_asks_in_words(self):
        pair, proxy, _ = self.pair(('source', 'COMMIT', ''), False, lambda pair: False)
        ctl = [guests.VMM, 'ctl', str(pair.source.path)]
        done = guests.run([*ctl, 'migrate', proxy.address], text=True)
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertIn('the guest is in doubt, and does not run here', done.stderr)
        self.assertIn('"in-doubt"', done.stdout)
        self.assertEqual(done.stdout.count('\n'), 1)
        for command in (['cont'], ['system_reset'], ['migrate', pair.address], ['stop']):
            with self.subTest(command=command):
                self.assertEqual(guests.run([*ctl, *command], text=True).returncode, 1)
        self.assertEqual(end_of(pair.target), 'doubt')
        self.assertEqual(guests.run([guests.VMM, 'ctl', str(pair.target.path), 'cont']).returncode, 1)
        nobody = guests.run([*ctl, 'migrate', f'unix:{pair.folder}/nobody', '--resume'], text=True)
        self.assertEqual(nobody.returncode, 6, nobody.stderr)
        self.assertIn('No such file or directory', nobody.stderr)
        done = guests.run([*ctl, 'migrate', pair.address, '--resume'], text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertEqual(pair.source.status(), 0)
        self.assertEqual(pair.target.state(), 'running')

    def test_a_target_that_was_started_anew_knows_nothing(self):
        pair, proxy, _ = self.pair(('source', 'COMMIT', ''), False, lambda pair: False)
        pair.source.control.call('migrate', uri=proxy.address)
        self.assertEqual(end_of(pair.source), 'doubt')
        other = movers.Side(self, address=f'unix:{pair.folder}/other')
        pair.source.control.call('migrate', uri=other.address, resume=True)
        monitor.until(lambda: 'knows nothing of the guest' in pair.source.moves().get('error-desc', ''))
        self.assertEqual(settled(pair.source), 'doubt')
        monitor.until(lambda: other.moves().get('status') == 'failed')
        self.assertEqual(other.state(), 'inmigrate')

    def test_the_socket_of_a_vmm_that_ends_meanwhile(self):
        pair, proxy, broken = self.pair(('source', 'PLAN', ''), False, lambda pair: pair.source.vmm.kill() or True)
        with subprocess.Popen([guests.VMM, 'ctl', str(pair.source.path), 'migrate', proxy.address], stderr=subprocess.PIPE, text=True) as ctl:
            _, said = ctl.communicate(timeout=monitor.LIMIT)
        self.assertTrue(broken.done)
        self.assertEqual(ctl.returncode, 6, said)
        self.assertIn('nobody tells any more', said)


if __name__ == '__main__':
    monitor.main()
