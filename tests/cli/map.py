#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vmm map against a server of the test's own, which answers what the test wants."""
import json
import subprocess
import unittest
import xml.etree.ElementTree

import guests
from ctl import LIMIT, Server

MIB = 1 << 20
REGIONS = [{'kind': 'ram', 'gpa': '0x0', 'size-bytes': 8 * MIB}, {'kind': 'firmware', 'gpa': '0xffc00000', 'size-bytes': 4 * MIB}]
RECORD = {'ranges': 4, 'ranges-max': 65536, 'refused': 0, 'complete': True, 'doubt': None, 'conversions': 9, 'conversions-per-second': 2,
          'flips': 5, 'storms': 0}
RANGES = [(0x1000, 0x1000), (0x10000, 0x10000), (0x200000, 0x100000), (0x7ff000, 0x1000)]
FLIPS = {0x10000: (7, 1500000000), 0x7ff000: (1, 250)}  # how often, and when last, what begins there was converted
FLIPPERS = [{'gpa': '0x10000', 'size-bytes': 0x10000, 'flips': 7, 'last-ns': 1500000000},
            {'gpa': '0xfec00000', 'size-bytes': 4096, 'flips': 3, 'last-ns': 12345678901},
            {'gpa': '0x7ff000', 'size-bytes': 4096, 'flips': 1, 'last-ns': 250}]
DEVICES = [(0xfec00000, 0x1000), (0x800000000, 0x200000)]
PICTURE = '''\
a character is 8KiB: . private, - and + shared in part, # shared

ram, 8MiB, 1.1MiB shared
            0x0 +.......########................................................
        0x80000 ................................................................
       0x100000 ................................................................
       0x180000 ................................................................
       0x200000 ################################################################
       0x280000 ################################################################
       0x300000 ................................................................
       0x380000 ................................................................
       0x400000 ................................................................
       0x480000 ................................................................
       0x500000 ................................................................
       0x580000 ................................................................
       0x600000 ................................................................
       0x680000 ................................................................
       0x700000 ................................................................
       0x780000 ...............................................................+

firmware, 4MiB, 0B shared
     0xffc00000 ................................................................
     0xffc80000 ................................................................
     0xffd00000 ................................................................
     0xffd80000 ................................................................
     0xffe00000 ................................................................
     0xffe80000 ................................................................
     0xfff00000 ................................................................
     0xfff80000 ................................................................

4 shared ranges:
        address        size  kind      conversions  last at (s)
        0x10000       64KiB  ram                 7        1.500
       0x7ff000        4KiB  ram                 1        0.000
       0x200000        1MiB  ram                 -            -
         0x1000        4KiB  ram                 -            -

converted most often, to private or shared:
        address        size  kind      conversions  last at (s)
        0x10000       64KiB  ram                 7        1.500
     0xfec00000        4KiB  device              3       12.346
       0x7ff000        4KiB  ram                 1        0.000
'''
DEVICE_TABLE = '''
2 shared ranges where there is no memory:
        address        size  kind      conversions  last at (s)
    0x800000000        2MiB  device              -            -
     0xfec00000        4KiB  device              -            -

converted most often'''


def ranges(pairs):
    return [{'gpa': hex(start) if isinstance(start, int) else start, 'size-bytes': size} for start, size in pairs]


def shared(pairs):
    return [range | dict(zip(('flips', 'last-ns'), FLIPS.get(start, (0, None)))) for range, (start, _) in zip(ranges(pairs), pairs)]


def answer(pairs=RANGES, **more):
    return {'regions': REGIONS, 'ranges': shared(pairs), 'devices': [], 'devices-complete': True, 'flippers': FLIPPERS,
            'held-twice': {'size-bytes': 0, 'ranges': []}, 'next': None, 'generation': 7, 'record': RECORD} | more


class Map(unittest.TestCase):
    maxDiff = None

    def map(self, server, *words, status=0):
        path = server.path if isinstance(server, Server) else server
        done = subprocess.run([guests.VMM, 'map', str(path), *map(str, words)], capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def pieces(self):
        """A server that gives the ranges one at a time."""
        def give(command, arguments):
            start = arguments['start']
            at = next(i for i, (first, _) in enumerate(RANGES) if first >= start)
            return answer(RANGES[at:at + 1], next=sum(RANGES[at]) + 4096 if at + 1 < len(RANGES) else None)
        return Server(self, give)

    def test_picture(self):
        self.assertEqual(self.map(Server(self, lambda *_: answer())).stdout, PICTURE)

    def test_list_has_20_ranges_or_all(self):
        many = [(i * 0x10000, 0x1000 * (1 + i % 3)) for i in range(30)]
        server = Server(self, lambda *_: answer(many, flippers=[]))
        for words, title, count in ((), '30 shared ranges, the first 20 (--all shows all):', 20), (('--all',), '30 shared ranges:', 30):
            with self.subTest(words=words):
                table = self.map(server, *words).stdout.partition(title + '\n')[2].splitlines()[1:]
                self.assertEqual(len(table), count)
                addresses = [int(line.split()[0], 16) for line in table]
                self.assertEqual(sorted(addresses) == addresses, bool(words))
        self.assertEqual(addresses, [start for start, _ in many])

    def test_what_is_held_twice_is_told(self):
        server = Server(self, lambda *_: answer(**{'held-twice': {'size-bytes': 8192, 'ranges': ranges([(0x3000, 8192)])}}))
        self.assertIn('\n8KiB of private memory take memory of the host twice\n', self.map(server).stdout)
        for nothing in None, {'size-bytes': 0, 'ranges': []}, {'size-bytes': -1}, 'x':
            self.assertNotIn('twice', self.map(Server(self, lambda *_, nothing=nothing: answer(**{'held-twice': nothing}))).stdout)

    def test_several_answers_are_one_map(self):
        server = self.pieces()
        self.assertEqual(self.map(server).stdout, PICTURE)
        self.assertEqual([arguments['start'] for _, arguments in server.requests], [0, 0x3000, 0x21000, 0x301000])
        self.assertEqual(json.loads(self.map(server, '--json').stdout), answer())

    def test_map_that_changes_meanwhile_is_read_again_and_told(self):
        numbers = iter(range(100))
        server = Server(self, lambda *_: answer(next=None if (number := next(numbers)) % 2 else 8 * MIB, generation=number,
                                                pairs=[] if number % 2 else RANGES))
        self.assertIn('the guest changed ranges meanwhile', self.map(server).stdout)
        self.assertEqual(len(server.requests), 6)

    def test_map_that_is_not_complete_says_where(self):
        record = RECORD | {'complete': False, 'doubt': {'gpa': '0x5000', 'size-bytes': 0x3000}}
        server = Server(self, lambda *_: answer(record=record))
        self.assertIn('pages from 0x5000 to 0x8000 may be others than shown', self.map(server).stdout)
        file = server.folder / 'map.svg'
        self.map(server, '--svg', file)
        self.assertIn('not complete', file.read_text())

    def test_devices_are_shown_apart(self):
        server = Server(self, lambda *_: answer(devices=ranges(DEVICES)))
        self.assertEqual(self.map(server).stdout, PICTURE.replace('\nconverted most often', DEVICE_TABLE))
        self.assertEqual(json.loads(self.map(server, '--json').stdout)['devices'], ranges(DEVICES))
        server = Server(self, lambda *_: answer(**{'devices-complete': False}))
        self.assertIn('more ranges without memory than are remembered', self.map(server).stdout)

    def test_image(self):
        server = Server(self, lambda *_: answer(devices=ranges(DEVICES)))
        file = server.folder / 'map.svg'
        self.assertEqual(self.map(server, '--svg', file).stdout, '')
        root = xml.etree.ElementTree.parse(file).getroot()
        space = '{http://www.w3.org/2000/svg}'
        bars = [bar for bar in root.iter(space + 'rect') if bar.get('class') == 'shared']
        self.assertEqual([bar.find(space + 'title').text for bar in bars],
                         ['0x1000, 4KiB shared', '0x10000, 64KiB shared, converted 7 times', '0x200000, 1MiB shared',
                          '0x7ff000, 4KiB shared, converted 1 times'])
        self.assertEqual([(bar.get('x'), bar.get('width')) for bar in bars][2], ('266.00', '125.00'))
        self.assertIn('prefers-color-scheme: dark', root.find(space + 'style').text)
        self.assertEqual([text.text for text in root.iter(space + 'text')],
                         ['ram at 0x0: 8MiB, 1.1MiB shared', 'no memory at 0x800000: 4.0GiB', 'firmware at 0xffc00000: 4MiB, 0B shared',
                          'no memory at 0x100000000: 28.0GiB', '4 shared ranges'])
        devices = [(bar.find(space + 'title').text, bar.get('width')) for bar in root.iter(space + 'rect') if bar.get('class') == 'device']
        self.assertEqual(devices, [('0xfec00000, 4KiB shared', '0.60'), ('0x800000000, 2MiB shared', '0.60')])

    def test_nonsense_is_refused(self):
        for what in (answer([(0x2000, 0x1000), (0x1000, 0x1000)]), answer([(0x1000, 0x2000), (0x2000, 0x1000)]), answer([(-4096, 4096)]),
                     answer([(4096, 0)]), answer([((1 << 63) - 4096, 8192)]), answer([('x', 1)]), answer([('0x', 1)]), answer([('0x10000000000000000', 1)]), answer([('0X1000', 1)]),
                     answer(regions=REGIONS * 9), answer(flippers=FLIPPERS * 30), answer(flippers=[{'gpa': 'x'}]), answer(devices=ranges([(8192, 4096), (4096, 4096)])),
                     answer(regions=[REGIONS[0] | {'kind': '<b>'}]), answer(regions=[REGIONS[0] | {'kind': 'r' * 16}]),
                     answer(regions=list(reversed(REGIONS))), answer(next=0), answer(next=-1), answer([], next=4096), answer(ranges=[None])):
            with self.subTest(what=str(what)[:80]):
                done = self.map(Server(self, lambda *_, what=what: what), status=1)
                self.assertIn('is no map of memory', done.stderr)

    def test_server_without_a_map_is_told(self):
        def refuse(command, _):
            raise LookupError(f'The command {command} has not been found')
        self.assertIn('The command __vmm_query-map has not been found', self.map(Server(self, refuse), status=1).stderr)

    def test_options_that_exclude_each_other(self):
        for words in (('--json', '--svg', 'x'), ('--json', '--watch')):
            self.assertIn('exclude each other', self.map('nowhere', *words, status=2).stderr)


if __name__ == '__main__':
    unittest.main(verbosity=2)
