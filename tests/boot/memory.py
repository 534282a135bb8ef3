#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a SEV-SNP guest costs in memory on the software platform: at any time at most 1.1 times what it has touched, and 64 MiB. Its pages
change hands and are given back, so none may be there twice for long.

Linux fills a file in its memory, step by step. What it touches is what the same guest without SEV has of its RAM at the same step. It does
not choose a place at random for itself (nokaslr): how much of that the firmware had touched before is some 20 MiB more or less.

usage: memory.py VMM [--echo]   TAP on standard output
"""
import os
import pathlib
import re
import sys
import tempfile

from boot import CACHE
from guest import Failed, Guest
from linux import KERNEL, make_initrd
from marker import mappings

FIRMWARE = CACHE / 'firmware/trixie/OVMF.fd'
RAM_MIB = 512
STEPS_MIB = (1, 50, 150, 300)
SECONDS = 600
FACTOR, MORE_MIB = 1.1, 64

INIT = '''#!/busybox sh
/busybox mkdir -p /proc /dev /mnt
/busybox mount -t proc proc /proc
/busybox mount -t devtmpfs dev /dev
/busybox mount -t tmpfs -o size=100% tmpfs /mnt
echo "active: $(/busybox dmesg | /busybox sed -n 's/.*Memory Encryption Features active: //p')."
while read mib; do
	/busybox dd if=/dev/zero bs=1M count=$mib of=/mnt/file 2>/dev/null
	echo "filled=$(/busybox wc -c </mnt/file)."
done
'''


def touched_kib(pid):
    """What the guest has of its RAM, which is one mapping."""
    return sum(mapping.resident for mapping in mappings(pid) if mapping.end - mapping.start == RAM_MIB << 20)


def most_kib(pid):
    """The most that vmm has ever had in memory."""
    return int(re.search(r'^VmHWM:\s*(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text(), re.M)[1])


def watch(options, kind, active, measure):
    """What measure says after each step."""
    with tempfile.TemporaryDirectory() as folder:
        keys = {'firmware': FIRMWARE, 'machine.memory': f'{RAM_MIB}M', 'sev.type': kind, 'boot.kernel': KERNEL / 'vmlinuz',
                'boot.initrd': make_initrd(folder, INIT), 'boot.cmdline': 'console=ttyS0 panic=-1 quiet nokaslr cryptomgr.notests=1'}
        words = [word for key, value in keys.items() for word in ('--set', f'{key}={value}')]
        with Guest([options[0], 'run', '--host', 'sim', *words], '--echo' in options) as guest:
            guest.expect(f'active: {active}.', seconds=SECONDS)
            for mib in STEPS_MIB:
                guest.type(f'{mib}\r')
                guest.expect(f'filled={mib << 20}.', seconds=SECONDS)
                yield measure(guest.process.pid)


def judge(options):
    touched = list(watch(options, 'none', '', touched_kib))
    most = list(watch(options, 'sev-snp', 'AMD SEV SEV-ES SEV-SNP', most_kib))
    for mib, plain, found in zip(STEPS_MIB, touched, most):
        print(f'# {mib} MiB in the file: {plain >> 10} MiB touched, vmm had {found >> 10} MiB at most', flush=True)
    if touched[-1] - touched[0] < STEPS_MIB[-1] << 9:
        raise Failed('the file took less new memory than half its bytes')
    for mib, plain, found in zip(STEPS_MIB, touched, most):
        if found > FACTOR * plain + (MORE_MIB << 10):
            raise Failed(f'with {mib} MiB in the file vmm had {found >> 10} MiB, which is more than {FACTOR} * {plain >> 10} + {MORE_MIB} MiB')


def main():
    print('1..1', flush=True)
    name = f'SEV-SNP: the most memory that vmm had is at most {FACTOR} of what the guest touched and {MORE_MIB} MiB'
    if os.geteuid() or not (KERNEL / 'vmlinuz').exists() or not FIRMWARE.exists():
        print(f'ok 1 - {name} # SKIP {"only root can see the mappings of vmm" if os.geteuid() else "run: scripts/setup --firmware --lab"}')
        return 0
    try:
        judge([str(pathlib.Path(sys.argv[1]).resolve()), *sys.argv[2:]])
    except Failed as why:
        print(f'not ok 1 - {name}', *str(why).splitlines(), sep='\n# ', flush=True)
        return 1
    print(f'ok 1 - {name}', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
