#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PCI bus as lspci reads it: two virtio devices, the first with its BARs in place and MSI-X on. lspci marks what it
cannot read by "!!!". Argument: the program lspci_write."""
import re
import shutil
import subprocess
import sys
import tempfile

# Of both devices, and of the first one alone. lspci knows the sizes of BARs only from a running kernel.
BOTH = [r'Control: I/O- Mem[+-] BusMaster[+-]', r'Status: Cap\+ .*>SERR- <PERR- INTx-', r'Interrupt: pin A routed to IRQ 0',
        r'MSI-X: Enable[+-] Count=2 Masked-', r'Vector table: BAR=1 offset=00000000', r'PBA: BAR=1 offset=00000020',
        r'VirtIO: CommonCfg\s+BAR=0 offset=00000000 size=00000038', r'VirtIO: Notify\s+BAR=0 offset=00003000 size=00000004 multiplier=00000004',
        r'VirtIO: ISR\s+BAR=0 offset=00001000 size=00000001']
FIRST = [r'Mem\+ BusMaster\+', r'MSI-X: Enable\+', r'Region 0: Memory at c0000000 \(32-bit, non-prefetchable\)',
         r'Region 1: Memory at c0004000 \(32-bit, non-prefetchable\)']


def main():
    if not shutil.which('lspci'):
        print('no lspci here (scripts/setup --test)')
        return 77
    dump = subprocess.run([sys.argv[1]], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    with tempfile.NamedTemporaryFile() as file:
        file.write(dump)
        file.flush()
        shown = subprocess.run(['lspci', '-nvvv', '-F', file.name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               timeout=60, check=True).stdout
    functions = dict(re.findall(r'^(\d\S+) (.*(?:\n.+)*)', shown, re.M))
    bad = [f'lspci complains: {line}' for line in shown.splitlines() if '!!!' in line]
    if sorted(functions) != ['00:00.0', '00:01.0', '00:03.0', '00:04.0']:
        bad.append(f'functions: {sorted(functions)}')
    for place in ('00:03.0', '00:04.0'):
        text = functions.get(place, '')
        wanted = ['1af4:1044 \\(rev 01\\)'] + BOTH + (FIRST if place == '00:03.0' else [])
        bad += [f'{place}: lspci does not show {line}' for line in wanted if not re.search(line, text)]
    for line in bad:
        print(line)
    if bad:
        print(shown)
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
