#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From start to `Shell>` of an OVMF image: the software platform against QEMU's TCG, in alternating runs.

usage: boot.py VMM FIRMWARE [--qemu PATH] [--runs N]
One processor and 512 MiB on both; a key ends the shell's countdown on both. Prints medians and ratios; judges nothing.
"""
import argparse
import pathlib
import re
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'boot'))
from guest import Guest  # noqa: E402


def peak_mib(pid):
    """What the process held at most, the guest's touched memory included."""
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'VmHWM:\s+(\d+)', status).group(1)) / 1024


def run(command):
    """Seconds to the prompt, seconds of processor time, peak MiB, and the instructions if vmm prints them."""
    start = time.monotonic()
    with Guest(command) as guest:
        if guest.expect('seconds to skip', 'Shell>') != 'Shell>':
            guest.type('\r')
            guest.expect('Shell>')
        seconds, mib = time.monotonic() - start, peak_mib(guest.process.pid)
        guest.type('reset -s\r')
        guest.ends(0)
        told = re.search(rb'software platform: (\d+) instructions', guest.plain())
    return seconds, mib, int(told.group(1)) if told else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('vmm')
    parser.add_argument('firmware')
    parser.add_argument('--qemu', default='qemu-system-x86_64')
    parser.add_argument('--runs', type=int, default=5)
    options = parser.parse_args()
    commands = {
        'vmm': [options.vmm, 'run', '--host', 'sim', '--set', f'firmware={options.firmware}', '--set', 'machine.memory=512M',
                '--set', 'log=info'],
        'qemu': [options.qemu, '-accel', 'tcg', '-M', 'pc', '-cpu', 'qemu64', '-m', '512', '-nodefaults', '-display', 'none',
                 '-serial', 'stdio', '-bios', options.firmware]}
    found = {name: [] for name in commands}
    for _ in range(options.runs):
        for name, command in commands.items():
            found[name].append(run(command))
    medians = {name: [statistics.median(column) for column in list(zip(*rows))[:2]] for name, rows in found.items()}
    for name, (seconds, mib) in medians.items():
        every = sorted(row[0] for row in found[name])
        print(f'{name:5} {seconds:6.2f} s (min {every[0]:.2f}, max {every[-1]:.2f})   peak {mib:6.1f} MiB')
    instructions, seconds = found['vmm'][0][2], medians['vmm'][0]
    if instructions:
        print(f'vmm   {instructions / 1e6:.0f} M instructions to the power-off, {instructions / seconds / 1e6:.0f} M a second')
    print(f'vmm/qemu: time {seconds / medians["qemu"][0]:.2f}, memory {medians["vmm"][1] / medians["qemu"][1]:.2f} '
          f'({options.runs} alternating runs; the goal is 1, 6 is allowed)')


main()
