#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The migration helper's image: that it executes nothing which leaves the guest but HLT, that its page tables reach every page in one
way alone and the ring without the C-bit, that no page is both written and executed, and that the compiler makes it again byte for byte.
    image.py ELF IMAGE FLAG... -- SCRIPT SOURCE...
"""
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PAGE, GPA, WINDOW = 4096, 0xfef00000, 1 << 39
IMAGE_PAGES, RING_PAGES, TABLES_PAGE, SECRET_PAGE, CODE_PAGES = 16, 66, 8, 7, 4
GAP = range(0xfee00000, 0xff000000)
# What a hypervisor intercepts of a SEV-ES guest, or what would ask it for something: none of it may be there.
LEAVES = {'cpuid', 'in', 'out', 'ins', 'outs', 'insb', 'insw', 'insl', 'outsb', 'outsw', 'outsl', 'rdmsr', 'wrmsr', 'vmmcall', 'vmcall',
          'rdtsc', 'rdtscp', 'rdpmc', 'invd', 'wbinvd', 'monitor', 'mwait', 'rdpru', 'pause', 'syscall', 'sysenter', 'int', 'int3', 'xsetbv',
          'xgetbv', 'sti', 'ud2', 'invlpg', 'pvalidate', 'rmpadjust'}
elf, image, flags, inputs = '', '', [], []


def entries(data, address):
    return struct.unpack_from('<512Q', data, address - GPA)


def leaves(data, table, bit, level=4, virtual=0, rights=(True, True)):
    """Yields (virtual, physical, size, has the C-bit, may be written, may be executed) of each page that a table maps."""
    for index, entry in enumerate(entries(data, table)):
        at, size = virtual | index << 12 + 9 * (level - 1), 1 << 12 + 9 * (level - 1)
        if not entry & 1:
            continue
        c, physical = entry >> bit & 1, entry & ((1 << 52) - 1) & ~(1 << bit) & ~0xfff
        may = rights[0] and bool(entry & 2), rights[1] and not entry >> 63
        if level == 1 or entry & 0x80:
            yield at, physical, size, c, *may
            continue
        assert c, f'the table at {physical:#x} is not private'
        yield from leaves(data, physical, bit, level - 1, at, may)


class Image(unittest.TestCase):
    def setUp(self):
        self.data = Path(image).read_bytes()

    def test_size(self):
        self.assertEqual(len(self.data), IMAGE_PAGES * PAGE)

    def test_what_it_starts_with_is_zeros(self):
        self.assertEqual(self.data[CODE_PAGES * PAGE:TABLES_PAGE * PAGE], bytes((TABLES_PAGE - CODE_PAGES) * PAGE))

    def test_it_executes_nothing_that_leaves_the_guest(self):
        text = subprocess.run(['objdump', '-d', '-M', 'att', elf], check=True, capture_output=True, text=True).stdout
        words = [re.sub(r'^(?:(?:rep\w*|lock|data16|cs|ds|es|ss|fs|gs|notrack|bnd)\s+)+', '', match.group(1)).split()[0]
                 for match in re.finditer(r'^\s*[0-9a-f]+:\t[0-9a-f ]+\t(\S[^\n]*)$', text, re.M)]
        self.assertGreater(len(words), 1000)
        self.assertIn('hlt', words)
        self.assertIn('rdrand', words)
        self.assertNotIn('(bad)', words)
        self.assertEqual(sorted(LEAVES & set(words)), [])
        self.assertEqual([word for word in words if word.startswith(('v', 'xsave', 'xrstor'))], [])

    def test_it_halts_with_no_secrets_in_registers(self):
        """It halts in two places: where each register that a callee may change was cleared, and where a second vCPU stays."""
        text = subprocess.run(['objdump', '-d', '-M', 'att', elf], check=True, capture_output=True, text=True).stdout
        lines = [line.split('\t', 2)[2].split('#')[0].split() for line in text.splitlines() if line.count('\t') >= 2]
        halts = [at for at, words in enumerate(lines) if words[0] == 'hlt']
        self.assertEqual(len(halts), 2)
        self.assertEqual([lines[at + 1][0] for at in halts], ['jmp', 'ret'])
        cleared = [words[1].split(',')[1] for words in lines[halts[1] - 25:halts[1]]
                   if words[0] in ('pxor', 'xor') and len(set(words[1].split(','))) == 1]
        self.assertEqual(set(cleared), {f'%xmm{number}' for number in range(16)} |
                         {'%eax', '%ecx', '%edx', '%esi', '%edi', '%r8d', '%r9d', '%r10d', '%r11d'})

    def test_numbers_of_the_host_are_masked(self):
        """A command, a stream and an address: each is compared without a branch before it is a place to read at (firmware/helper/mask.h)."""
        text = subprocess.run(['objdump', '-d', '-M', 'att', elf], check=True, capture_output=True, text=True).stdout
        lines = [line.split('\t', 2)[2].split('#')[0].split() for line in text.splitlines() if line.count('\t') >= 2]
        masks = [at for at, words in enumerate(lines[1:-1], 1) if words[0] == 'sbb' and len(set(words[1].split(','))) == 1
                 and re.fullmatch('cmp %r[^,]*,%r[^,]*', ' '.join(lines[at - 1])) and lines[at + 1][0] == 'and']
        self.assertEqual(len(masks), 3)

    def test_page_tables(self):
        for number, bit in enumerate((47, 51)):
            with self.subTest(bit=bit):
                root = GPA + (TABLES_PAGE + 4 * number) * PAGE
                seen, reached = 0, 0
                for virtual, physical, size, c, writes, runs in leaves(self.data, root, bit):
                    self.assertEqual(virtual, WINDOW + physical)     # so nothing is reached in two ways
                    self.assertFalse(writes and runs)
                    reached += size
                    if physical not in GAP:
                        self.assertTrue(c and writes and not runs)
                        self.assertTrue(physical + size <= GAP.start or physical >= GAP.stop)
                        continue
                    page = (physical - GPA) // PAGE
                    self.assertEqual((size, page), (PAGE, seen))
                    self.assertEqual(c, page < IMAGE_PAGES)
                    self.assertEqual(runs, page < CODE_PAGES)
                    self.assertEqual(writes, CODE_PAGES <= page < SECRET_PAGE or page >= IMAGE_PAGES)
                    seen += 1
                self.assertEqual(seen, IMAGE_PAGES + RING_PAGES)
                self.assertEqual(reached, (1 << 39) - len(GAP) + seen * PAGE)

    def test_it_is_made_again_byte_for_byte(self):
        with tempfile.TemporaryDirectory() as folder:
            made, flat = Path(folder) / 'made.elf', Path(folder) / 'made.bin'
            subprocess.run(['gcc', *flags, '-o', made, f'-Wl,-T,{inputs[0]}', *inputs[1:]], check=True, cwd=folder, stderr=subprocess.DEVNULL)
            subprocess.run(['objcopy', '-O', 'binary', made, flat], check=True)
            self.assertEqual(flat.read_bytes(), self.data)


if __name__ == '__main__':
    elf, image, *rest = sys.argv[1:]
    flags, inputs = rest[:rest.index('--')], rest[rest.index('--') + 1:]
    unittest.main(argv=sys.argv[:1])
