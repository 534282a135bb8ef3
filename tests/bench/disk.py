#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Disk I/O of a Linux guest: vmm against QEMU's virtio-blk (io_uring, iothread), in alternating runs on the same kernel and file.

usage: disk.py VMM FIRMWARE KERNEL VIRTIO_BLK_MODULE GUEST [--qemu PATH] [--file PATH] [--runs N] [--host kvm|sim] [--jobs JOB...]
GUEST is the program disk_guest, which becomes the initrd's only one. In the lab: tests/lab/lab tests/bench/disk.py ...
Prints medians of I/Os a second and of processor time an I/O: without what the vCPUs spent in the guest, and without the threads of the
vCPUs. With --host sim vmm's software platform runs against QEMU's TCG, and only the last column compares like with like. Judges nothing.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading

TICKS = os.sysconf('SC_CLK_TCK')
EXITS = ['exits', 'io_exits', 'mmio_exits', 'halt_exits', 'irq_injections', 'irq_window_exits', 'signal_exits', 'request_irq_exits']
JOBS = ['read:4096:1:1000', 'read:4096:32:4000', 'write:4096:1:1000', 'write:4096:32:4000', 'scan:1048576:4:128',
        'fill:1048576:4:128']


def initrd(folder, module, guest):
    """A cpio of the guest's program and the module, in the format of the kernel's Documentation/driver-api/early-userspace."""
    out = bytearray()
    entries = [('modules', 0o40755, b''), ('modules/00.ko', 0o100644, pathlib.Path(module).read_bytes()),
               ('dev', 0o40755, b''), ('init', 0o100755, pathlib.Path(guest).read_bytes()), ('TRAILER!!!', 0, b'')]
    for number, (name, mode, data) in enumerate(entries, 1):
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b'070701' + b''.join(b'%08X' % field for field in fields) + name.encode() + b'\0'
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    path = pathlib.Path(folder) / 'initrd'
    path.write_bytes(out)
    return path


def ticks(path):
    """Ticks of a process or a thread: all of them, and those in its guest."""
    fields = pathlib.Path(path, 'stat').read_text().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12]), int(fields[40])


def spent(pid):
    """Ticks that the process used: without its guest, and without the threads of its vCPUs."""
    every, guest = ticks(f'/proc/{pid}')
    vcpus = [path for path in pathlib.Path(f'/proc/{pid}/task').iterdir() if re.match(r'vcpu|CPU ', (path / 'comm').read_text())]
    return every - guest, every - sum(ticks(path)[0] for path in vcpus)


def counted(pid):
    """What KVM counted for the process's VM, where debugfs is mounted."""
    folders = list(pathlib.Path('/sys/kernel/debug/kvm').glob(f'{pid}-*')) if os.geteuid() == 0 else []
    return {name: int((folder / name).read_text()) for folder in folders for name in EXITS if (folder / name).exists()}


def run(command, jobs, patience):
    """For each job: I/Os a second, microseconds of processor time an I/O without the guest, and without the vCPUs' threads."""
    found, before = {}, None
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        timer = threading.Timer(patience, process.kill)
        timer.start()
        for line in process.stdout:
            text = line.decode(errors='replace')
            if match := re.search(r'begin (\S+)', text):
                before, exits = spent(process.pid), counted(process.pid)
            elif match := re.search(r'end (\S+) (\d+)', text):
                after, count = spent(process.pid), int(match.group(1).split(':')[3])
                told = ', '.join(f'{name} {(n - exits[name]) / count:.2f}' for name, n in counted(process.pid).items())
                print(f'{pathlib.Path(command[0]).name:5} {match.group(1):22} an I/O: {told}', flush=True)
                found[match.group(1)] = (count * 1e6 / int(match.group(2)),
                                         *((a - b) * 1e6 / TICKS / count for a, b in zip(after, before)))
            elif 'clock ' in text or 'failed' in text or 'panic' in text:
                print(text, end='', file=sys.stderr)
        timer.cancel()
    return found if set(found) == set(jobs) else None


def commands(options, image):
    words = ' '.join(['console=ttyS0', 'quiet', 'panic=-1', 'cryptomgr.notests=1', *options.jobs])
    vmm = [options.vmm, 'run', '--host', options.host, '--set', f'firmware={options.firmware}', '--set', 'machine.memory=512M',
           '--set', f'boot.kernel={options.kernel}', '--set', f'boot.initrd={image}', '--set', f'boot.cmdline={words}',
           '--disk', options.file]
    qemu = [*options.qemu.split(), '-name', 'guest,debug-threads=on', '-accel', 'tcg' if options.host == 'sim' else 'kvm', '-cpu',
            'qemu64' if options.host == 'sim' else 'host', '-M', 'q35', '-m', '512', '-nodefaults', '-display', 'none', '-serial',
            'stdio', '-kernel', options.kernel, '-initrd', str(image), '-append', words, '-object', 'iothread,id=io', '-blockdev',
            f'driver=file,filename={options.file},node-name=disk,aio=io_uring,cache.direct=on', '-device',
            'virtio-blk-pci,drive=disk,iothread=io']
    return {'vmm': vmm, 'qemu': qemu}


def show(found, jobs, runs):
    print(f'{"job":22} {"IOPS vmm":>10} {"qemu":>8} {"ratio":>6}   {"us/IO vmm":>9} {"qemu":>7} {"ratio":>6}   {"no vCPUs":>10} {"qemu":>7} '
          f'{"ratio":>6}')
    for job in jobs:
        rows = {name: [statistics.median(column) for column in zip(*(one[job] for one in all_runs))] for name, all_runs in found.items()}
        cells = [f'{a:10.1f} {b:8.1f} {a / b if b else float("nan"):6.2f}' for a, b in zip(rows['vmm'], rows['qemu'])]
        print(f'{job:22} ' + '  '.join(cells))
    print(f'medians of {runs} alternating runs; the goals are 1.3 of the IOPS and 0.8 of the processor time')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in 'vmm', 'firmware', 'kernel', 'module', 'guest':
        parser.add_argument(name)
    parser.add_argument('--qemu', default='qemu-system-x86_64')
    parser.add_argument('--file', help='the image (default: one of 256 MiB in the folder for temporary files)')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--patience', type=float, default=300, help='seconds for a run; the emulation of the lab loses a guest now and then')
    parser.add_argument('--host', default='kvm', choices=['kvm', 'sim'])
    parser.add_argument('--jobs', nargs='+', default=JOBS, metavar='JOB')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not options.file:
            options.file = f'{folder}/disk'
            pathlib.Path(options.file).write_bytes(os.urandom(1 << 20) * 256)
        image = initrd(folder, options.module, options.guest)
        found = {'vmm': [], 'qemu': []}
        for _ in range(options.runs):
            pair = {name: run(command, options.jobs, options.patience) for name, command in commands(options, image).items()}
            if all(pair.values()):
                for name, one in pair.items():
                    found[name].append(one)
            else:
                print('left out, since a guest did not come to its end: ' + ', '.join(name for name in pair if not pair[name]), flush=True)
        if not found['vmm']:
            sys.exit('no run came to its end')
        show(found, options.jobs, len(found['vmm']))


main()
