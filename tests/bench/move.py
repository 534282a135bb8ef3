#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs to move a plain guest over a UNIX socket: vmm --host sim against QEMU -accel tcg, in alternating runs of the same Linux.

usage: move.py VMM [--qemu PATH] [--memory MIB] [--filled MIB] [--runs N]
       move.py VMM --handover [--memory MIB] [--filled MIB] [--runs N]
The guest fills so much of its memory with noise and is paused. Then its vmm sends it to another one. Counted is the processor time of each
process from the command to "completed", without the threads of vCPUs, for each GiB that was sent. Neither side compresses or encrypts.
With --handover the guest of a vmm runs on while it is handed to a new vmm on this host, with its memory: milliseconds in all and stopped.
Prints medians; judges nothing.
"""
import argparse
import contextlib
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / folder) for folder in ('boot', 'control')]
import monitor                                          # noqa: E402
from linux import FIRMWARE, KERNEL, make_initrd         # noqa: E402

TICKS = os.sysconf('SC_CLK_TCK')
INIT = '''#!/busybox sh
/busybox mkdir /dev /shm
/busybox mount -t devtmpfs dev /dev
/busybox mount -t tmpfs -o size=100% shm /shm
/busybox dd if=/dev/urandom of=/shm/noise bs=1M count={filled} 2>/dev/null
echo "filled"
while true; do /busybox sleep 1000; done
'''


def ticks(path):
    fields = pathlib.Path(path, 'stat').read_text().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


def seconds(pid):
    """Processor seconds of a process, without the threads of its vCPUs."""
    vcpus = [path for path in pathlib.Path(f'/proc/{pid}/task').iterdir() if re.match(r'vcpu|CPU ', (path / 'comm').read_text())]
    return (ticks(f'/proc/{pid}') - sum(map(ticks, vcpus))) / TICKS


class Side:
    """A vmm or a QEMU, with a client."""
    def __init__(self, options, folder, name, kind, image, incoming):
        self.kind, self.move = kind, folder / f'{name}.move'
        socket, words = folder / f'{name}.sock', f'console=ttyS0 quiet panic=-1 cryptomgr.notests=1'
        for path in socket, self.move:
            path.unlink(missing_ok=True)
        if kind != 'qemu':
            keys = {'firmware': FIRMWARE, 'machine.memory': f'{options.memory}M', 'boot.kernel': KERNEL / 'vmlinuz', 'boot.initrd': image,
                    'boot.cmdline': words, 'control.socket': socket, 'machine.memory-shared': 'true' if kind == 'handover' else 'false'}
            command = [options.vmm, 'run', '--host', 'sim', *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]
            command += ['--incoming', f'unix:{self.move}'] if incoming else []
        else:
            command = [options.qemu, '-name', 'guest,debug-threads=on', '-accel', 'tcg', '-cpu', 'qemu64', '-M', 'q35', '-m', str(options.memory),
                       '-nodefaults', '-display', 'none', '-serial', 'stdio', '-kernel', KERNEL / 'vmlinuz', '-initrd', image, '-append', words,
                       '-qmp', f'unix:{socket},server=on,wait=off']
            command += ['-incoming', f'unix:{self.move}'] if incoming else []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        monitor.until(lambda: self.process.poll() is not None or monitor.connects(socket))
        self.client = monitor.Client(socket).negotiated()

    def ask(self, command, **arguments):
        return self.client.call(command, **arguments)

    def wait_for(self, text):
        for line in self.process.stdout:
            if text in line:
                return

    def end(self):
        self.process.kill()
        self.process.wait()


def run(options, folder, kind, image):
    """Seconds a GiB of source and target, GiB sent, wall seconds, milliseconds of downtime."""
    with contextlib.ExitStack() as stack:
        here = Side(options, folder, 'here', kind, image, False)
        stack.callback(here.end)
        here.wait_for(b'filled')
        here.ask('stop')
        there = Side(options, folder, 'there', kind, image, True)
        stack.callback(there.end)
        monitor.until(lambda: there.ask('query-status')['status'] == 'inmigrate' and there.move.exists())
        if kind == 'qemu':
            here.ask('migrate-set-parameters', **{'max-bandwidth': 8 << 30})
        before, began = [seconds(side.process.pid) for side in (here, there)], time.monotonic()
        here.ask('migrate', uri=f'unix:{there.move}')
        while (answer := here.ask('query-migrate'))['status'] not in ('completed', 'failed'):
            time.sleep(0.05)
        if answer['status'] == 'failed':
            sys.exit(f'{kind}: {answer}')
        wall = time.monotonic() - began
        used = [seconds(side.process.pid) - start for side, start in zip((here, there), before)]
        sent = answer['ram']['transferred'] / (1 << 30)
        return (*(one / sent for one in used), sent, wall, answer['downtime'])


def hand_over(options, folder, image):
    """Milliseconds in all, and of downtime."""
    with contextlib.ExitStack() as stack:
        here = Side(options, folder, 'here', 'handover', image, False)
        stack.callback(here.end)
        here.wait_for(b'filled')
        there = Side(options, folder, 'there', 'handover', image, True)
        stack.callback(there.end)
        monitor.until(lambda: there.ask('query-status')['status'] == 'inmigrate' and there.move.exists())
        here.ask('migrate-set-parameters', mode='cpr-transfer')
        here.ask('migrate', uri=f'unix:{there.move}')
        while (answer := here.ask('query-migrate'))['status'] not in ('completed', 'failed'):
            time.sleep(0.05)
        if answer['status'] == 'failed':
            sys.exit(f'handover: {answer}')
        return answer['total-time'], answer['downtime']


def handovers(options):
    rows = []
    with tempfile.TemporaryDirectory() as name:
        image = make_initrd(name, INIT.format(filled=options.filled))
        for _ in range(options.runs):
            rows.append(hand_over(options, pathlib.Path(name), image))
            print(f'total {rows[-1][0]} ms, stopped {rows[-1][1]} ms', flush=True)
    total, stopped = (statistics.median(column) for column in zip(*rows))
    print(f'medians of {options.runs}: total {total:.0f} ms, stopped {stopped:.0f} ms')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('vmm', type=os.path.abspath)
    parser.add_argument('--qemu', default='qemu-system-x86_64')
    parser.add_argument('--memory', type=int, default=1024)
    parser.add_argument('--filled', type=int, default=640)
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--handover', action='store_true')
    options = parser.parse_args()
    if options.handover:
        handovers(options)
        return
    found = {'vmm': [], 'qemu': []}
    with tempfile.TemporaryDirectory() as name:
        image = make_initrd(name, INIT.format(filled=options.filled))
        for _ in range(options.runs):
            for kind, rows in found.items():
                rows.append(run(options, pathlib.Path(name), kind, image))
                print(f'{kind:5}', *(f'{cell:8.3f}' for cell in rows[-1]), flush=True)
    print(f'{"":5} source s/GiB  target s/GiB  GiB sent  wall s  downtime ms')
    rows = {kind: [statistics.median(column) for column in zip(*rows)] for kind, rows in found.items()}
    for kind, row in rows.items():
        print(f'{kind:5} ' + '  '.join(f'{cell:10.3f}' for cell in row))
    print(f'source {rows["vmm"][0] / rows["qemu"][0]:.2f}, target {rows["vmm"][1] / rows["qemu"][1]:.2f} of QEMU; medians of {options.runs}')


main()
