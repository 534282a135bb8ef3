#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs that another program is on the software platform, in processor seconds, by alternating runs: QEMU under `vmm platform` from start to
`Shell>` of OVMF against `vmm run --host sim`, and a round trip of KVM_RUN by the library against one by vmm's own code.

usage: others.py VMM ROUND [--qemu PATH] [--machine NAME] [--firmware PATH] [--runs N]    ROUND is the program bench_round. Prints medians and ratios; judges nothing.
"""
import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402


def boot(command):
    """Processor seconds to the prompt."""
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    got = b''
    while b'Shell>' not in got:
        piece = process.stdout.read1(4096)
        if not piece:
            sys.exit(f'{command[0]} ended before the prompt came: {got[-200:]!r}')
        got = got[-4096:] + piece
    process.send_signal(signal.SIGKILL)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def turn(command):
    return float(subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout)


def compare(what, unit, measure, commands, runs):
    found = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            found[name].append(measure(command))
    medians = {name: statistics.median(values) for name, values in found.items()}
    other, own = medians.values()
    print(f'{what}: {", ".join(f"{name} {value:.2f} {unit}" for name, value in medians.items())}; ratio {other / own:.2f} ({runs} runs)', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('vmm')
    parser.add_argument('round')
    parser.add_argument('--qemu', default=CACHE / 'lab/qemu/run')
    parser.add_argument('--firmware', default=CACHE / 'firmware/trixie/OVMF.fd')
    parser.add_argument('--machine', default='pc', help="QEMU's: pc has the chipset of vmm's board")
    parser.add_argument('--runs', type=int, default=5)
    options = parser.parse_args()
    compare('KVM_RUN', 'ns', turn, {'by the library': [options.vmm, 'platform', options.round, 'kvm'], "by vmm's own code": [options.round, 'sim']}, options.runs)
    qemu = [options.vmm, 'platform', options.qemu, '-accel', 'kvm', '-machine', options.machine, '-cpu', 'EPYC-Milan', '-m', '256', '-bios', options.firmware,
            '-display', 'none', '-vga', 'none', '-net', 'none', '-monitor', 'none', '-serial', 'stdio']
    own = [options.vmm, 'run', '--host', 'sim', '--set', f'firmware={options.firmware}', '--set', 'machine.memory=256M', '--set', 'machine.cpu=EPYC-Milan']
    compare('OVMF to its shell', 's', boot, {'QEMU': qemu, 'vmm': own}, options.runs)


main()
