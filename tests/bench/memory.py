#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a VMM's process takes beside its guest's own memory, while Debian waits at its login prompt: vmm against QEMU, by turns.

usage: memory.py VMM [--boot disk|kernel] [--qemu PATH] [--runs N] [--settle SECONDS]
--boot kernel: the VMM hands over kernel and initrd, of which it keeps a copy; otherwise GRUB loads them from the disk.
The disk is in the cache: scripts/setup --debian. In the lab: LAB_TIMEOUT=3600 tests/lab/lab tests/bench/memory.py ...
Prints MiB of each process's proportional set size: shared pages count in parts (proc_pid_smaps(5)). Judges nothing.
"""
import argparse
import pathlib
import re
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / 'guests'), str(TESTS / 'boot')]

import debian  # noqa: E402
from guest import Guest  # noqa: E402

MIB = 512


def beside(pid):
    """KiB of the process without the largest mapping, which is the guest's memory."""
    sizes, size = [], 0
    for line in pathlib.Path(f'/proc/{pid}/smaps').read_text().splitlines():
        if match := re.match(r'([0-9a-f]+)-([0-9a-f]+) ', line):
            size = int(match.group(2), 16) - int(match.group(1), 16)
        elif match := re.match(r'Pss: +(\d+) kB', line):
            sizes.append((size, int(match.group(1))))
    guest = max(sizes)
    if guest[0] < MIB << 20:
        sys.exit(f'the largest mapping has {guest[0]} bytes, and the guest has {MIB} MiB')
    return sum(kib for _, kib in sizes) - guest[1]


def commands(options, folder):
    kernel, initrd = debian.DEBIAN / 'vmlinuz-6', debian.DEBIAN / 'initrd-6'
    vmm = [options.vmm, 'run', '--disk', folder / 'disk.raw', '--set', f'machine.memory={MIB}M', '--set', f'firmware={debian.FIRMWARE / "OVMF.fd"}']
    qemu = [options.qemu, '-accel', 'kvm', '-cpu', 'host', '-M', 'q35', '-m', MIB, '-nodefaults', '-display', 'none', '-serial', 'stdio', '-bios',
            debian.FIRMWARE / 'OVMF.fd', '-object', 'iothread,id=io', '-blockdev',
            f'driver=file,filename={folder}/disk.raw,node-name=disk,aio=io_uring', '-device', 'virtio-blk-pci,drive=disk,iothread=io']
    if options.boot == 'kernel':
        vmm += ['--set', f'boot.kernel={kernel}', '--set', f'boot.initrd={initrd}', '--set', f'boot.cmdline={debian.CMDLINE}']
        qemu += ['-kernel', kernel, '-initrd', initrd, '-append', debian.CMDLINE]
    return {'vmm': list(map(str, vmm)), 'qemu': list(map(str, qemu))}


def measure(options, program):
    with tempfile.TemporaryDirectory(dir='/var/tmp') as name:
        folder = pathlib.Path(name)
        debian.make_files(folder)
        with Guest(commands(options, folder)[program]) as guest:
            guest.expect('debian login: ', seconds=debian.PATIENCE)
            time.sleep(options.settle)
            return beside(guest.process.pid) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('vmm')
    parser.add_argument('--boot', default='disk', choices=['disk', 'kernel'])
    parser.add_argument('--qemu', default=str(debian.QEMU))
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--settle', type=float, default=20)
    options = parser.parse_args()
    found = {'vmm': [], 'qemu': []}
    for _ in range(options.runs):
        for program, sizes in found.items():
            sizes.append(measure(options, program))
            print(f'{program:5} {sizes[-1]:8.2f} MiB', flush=True)
    vmm, qemu = (statistics.median(sizes) for sizes in found.values())
    print(f'medians of {options.runs}: vmm {vmm:.2f} MiB, QEMU {qemu:.2f} MiB, ratio {vmm / qemu:.3f}; the goal is 0.25')


main()
