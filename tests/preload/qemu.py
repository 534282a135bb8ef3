#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's QEMU, unchanged, under `vmm platform`: Debian's OVMF to its shell as guest of each kind. What QEMU says of the launch, and what the
simulated firmware has measured, is what `vmm measure` tells before.

usage: qemu.py VMM [--all]: guests of all kinds with 1, 2 and 4 vCPUs, instead of one
"""
import json
import os
import pathlib
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402

QEMU, FIRMWARE = CACHE / 'lab/qemu/run', CACHE / 'firmware/trixie/OVMF.fd'
LIMIT = 600  # seconds, on however busy a machine
MODEL = 'EPYC-Milan'
# QEMU's object, and the keys of vmm that measure the same guest.
KINDS = {
    'plain': (None, {}),
    'sev': ('sev-guest,policy=1', {'sev.type': 'sev', 'sev.policy': '0x1'}),
    'sev-es': ('sev-guest,policy=5,legacy-vm-type=off', {'sev.type': 'sev-es', 'sev.policy': '0x5'}),
    'sev-snp': ('sev-snp-guest,policy=0x30000', {'sev.type': 'sev-snp', 'sev.policy': '0x30000'}),
}


class Monitor:
    """QEMU's QMP socket."""
    def __init__(self, path, process):
        deadline = time.monotonic() + LIMIT
        self.socket = socket.socket(socket.AF_UNIX)
        while self.socket.connect_ex(str(path)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f'QEMU has no QMP socket: status {process.poll()}')
            time.sleep(0.05)
        self.socket.settimeout(LIMIT)
        self.lines = self.socket.makefile('rw')
        self.lines.readline()
        self.ask('qmp_capabilities')

    def ask(self, command):
        self.lines.write(json.dumps({'execute': command}) + '\n')
        self.lines.flush()
        while True:
            answer = json.loads(self.lines.readline())
            if 'return' in answer:
                return answer['return']
            if 'error' in answer:
                raise RuntimeError(f'{command}: {answer["error"]["desc"]}')


def wait_for(stream, text):
    """Reads until the text comes. Returns what was read if the stream ends or time runs out before."""
    pieces, got = queue.Queue(), b''
    threading.Thread(target=lambda: [pieces.put(piece) for piece in iter(lambda: stream.read1(4096), b'')] + [pieces.put(None)],
                     daemon=True).start()
    deadline = time.monotonic() + LIMIT
    while text not in got:
        try:
            piece = pieces.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            piece = None
        if piece is None:
            return got
        got += piece
    return got


def measured(vmm, keys, vcpus):
    sets = [f'--set={key}={value}' for key, value in {**keys, 'firmware': FIRMWARE, 'machine.vcpus': vcpus, 'machine.cpu': MODEL}.items()]
    done = subprocess.run([vmm, 'measure', '--json', *sets], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)['digest']


def command(vmm, kind, vcpus, folder):
    made = KINDS[kind][0]
    confidential = ['-object', f'{made},id=guest,cbitpos=51,reduced-phys-bits=1'] if made else []
    machine = 'q35' + (',confidential-guest-support=guest,kernel-irqchip=split' if made else '')
    return [vmm, 'platform', '--explain', QEMU, '-accel', 'kvm', '-machine', machine, *confidential, '-cpu', MODEL, '-m', '256',
            '-smp', str(vcpus), '-bios', FIRMWARE, '-display', 'none', '-vga', 'none', '-net', 'none', '-monitor', 'none', '-serial', 'stdio',
            '-qmp', f'unix:{folder}/qmp,server=on,wait=off']


def judge(vmm, kind, vcpus, folder):
    """Boots one guest. Returns what is wrong, or None."""
    with open(folder / 'errors', 'w') as errors:
        process = subprocess.Popen(command(vmm, kind, vcpus, folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
    try:
        got = wait_for(process.stdout, b'Shell>')
        if b'Shell>' not in got:
            return f'no prompt; the last words: {got[-200:]!r}; {(folder / "errors").read_text()[-500:]}'
        monitor = Monitor(folder / 'qmp', process)
        told = monitor.ask('query-sev') if kind != 'plain' else {'state': 'running'}
        if told['state'] != 'running':
            return f'query-sev says {told}'
    finally:
        process.kill()
        process.wait()
    if kind == 'plain':
        return None
    digests = re.findall(r'launched a .* digest ([0-9a-f]+)', (folder / 'errors').read_text())
    expected = measured(vmm, KINDS[kind][1], vcpus)
    return None if digests == [expected] else f'measured {digests}, not {expected}'


def main():
    vmm, everything = sys.argv[1], sys.argv[2:] == ['--all']
    if not os.access(QEMU, os.X_OK) or not FIRMWARE.exists():
        print('1..0 # SKIP needs QEMU and OVMF: scripts/setup --lab --firmware')
        return
    cases = [(kind, vcpus) for kind in KINDS for vcpus in (1, 2, 4)] if everything else [('sev-snp', 2)]
    print(f'1..{len(cases)}')
    for number, (kind, vcpus) in enumerate(cases, 1):
        with tempfile.TemporaryDirectory() as folder:
            begun, wrong = time.monotonic(), judge(vmm, kind, vcpus, pathlib.Path(folder))
        print(f'{"not ok" if wrong else "ok"} {number} - {kind}, {vcpus} vCPUs: {time.monotonic() - begun:.1f} s', flush=True)
        if wrong:
            print('# ' + wrong.replace('\n', '\n# '))


if __name__ == '__main__':
    main()
