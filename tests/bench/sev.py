#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What memory encryption costs on the software platform: Linux boots by OVMF as a plain and as a SEV guest, by turns; or OVMF alone.

usage: sev.py VMM [--kernel FILE | --shell] [--type sev|sev-es|sev-snp] [--runs N]
With --shell the way ends at OVMF's prompt. One processor and 512 MiB; busybox is all that Linux finds in its initial RAM disk. Prints seconds of
processor time of vmm up to there and the most memory that it held, the guest's included: medians and ratios. Judges nothing. The kernel and busybox
are in the cache: scripts/setup --lab --debian.
"""
import argparse
import os
import pathlib
import re
import statistics
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'boot'))

import linux  # noqa: E402
from boot import CACHE  # noqa: E402
from guest import Guest  # noqa: E402

INIT = '''#!/busybox sh
/busybox mkdir /proc
/busybox mount -t proc proc /proc
/busybox dmesg | /busybox grep 'Memory Encryption'
echo 'init''ready'
read key
/busybox poweroff -f
'''


def figures(pid):
    """Seconds of processor time so far, and the most MiB that the process held."""
    ticks = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[11:13]
    peak = re.search(r'VmHWM:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())
    return sum(map(int, ticks)) / os.sysconf('SC_CLK_TCK'), int(peak.group(1)) / 1024


def to_shell(guest):
    if guest.expect('seconds to skip', 'Shell>') != 'Shell>':
        guest.type('\r')
        guest.expect('Shell>')
    found = figures(guest.process.pid)
    guest.type('reset -s\r')
    return found


def to_init(guest, kind):
    if kind != 'none':
        guest.expect('Memory Encryption Features active', seconds=900)
    guest.expect('initready', seconds=900)
    found = figures(guest.process.pid)
    guest.type('\r')
    return found


def run(options, kind):
    with tempfile.TemporaryDirectory() as folder:
        keys = {'firmware': CACHE / 'firmware/trixie/OVMF.fd', 'machine.memory': '512M', 'sev.type': kind}
        if not options.shell:
            keys |= {'boot.kernel': options.kernel, 'boot.initrd': linux.make_initrd(folder, INIT),
                     'boot.cmdline': 'console=ttyS0 panic=-1 quiet cryptomgr.notests=1'}
        words = [options.vmm, 'run', '--host', 'sim', *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]
        with Guest(list(map(str, words))) as guest:
            found = to_shell(guest) if options.shell else to_init(guest, kind)
            guest.ends(0)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('vmm')
    parser.add_argument('--kernel', default=CACHE / 'debian/vmlinuz-6')
    parser.add_argument('--shell', action='store_true')
    parser.add_argument('--type', default='sev', choices=['sev', 'sev-es', 'sev-snp'])
    parser.add_argument('--runs', type=int, default=5)
    options = parser.parse_args()
    found = {'none': [], options.type: []}
    for _ in range(options.runs):
        for kind, rows in found.items():
            rows.append(run(options, kind))
            print(f'{kind:7} {rows[-1][0]:6.2f} s {rows[-1][1]:7.1f} MiB', flush=True)
    plain, encrypted = ([statistics.median(column) for column in zip(*rows)] for rows in found.values())
    print(f'{options.type}/none: processor time {encrypted[0] / plain[0]:.3f}, memory {encrypted[1] / plain[1]:.3f} (medians of {options.runs})')


if __name__ == '__main__':
    main()
