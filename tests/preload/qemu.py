#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's QEMU, unchanged, under `vmm platform`: Debian's OVMF to its shell as guest of each kind, and Linux that fetches a report. What QEMU says
of the launch, and what the simulated firmware has measured, is what `vmm measure` tells before.

usage: qemu.py VMM [--all] [WORD...]: guests of all kinds with 1, 2 and 4 vCPUs, and Linux, by each QEMU that is there, instead of one guest. WORDs:
only cases with all of them in their names
"""
import argparse
import base64
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

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / 'support'), str(TESTS / 'boot')]
from guest import Failed, Guest  # noqa: E402
from linux import KERNEL, make_initrd  # noqa: E402
from places import CACHE  # noqa: E402
import snp  # noqa: E402

QEMUS = {'QEMU 10': CACHE / 'lab/qemu/run', "sid's QEMU": CACHE / 'tools/qemu-sid/run'}
FIRMWARE, HASHING = CACHE / 'firmware/trixie/OVMF.fd', CACHE / 'firmware/sid/OVMF.amdsev.fd'
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


def sets(keys):
    return [f'--set={key}={value}' for key, value in {'machine.cpu': MODEL, **keys}.items()]


def measured(vmm, keys):
    return snp.vmm(vmm, 'measure', *sets(keys))


def command(vmm, qemu, made, vcpus, firmware, *more, options=()):
    """made: the object of QEMU that makes the guest confidential, or None."""
    confidential = ['-object', f'{made},id=guest,cbitpos=51,reduced-phys-bits=1'] if made else []
    machine = 'q35' + (',confidential-guest-support=guest,kernel-irqchip=split' if made else '')
    return [vmm, 'platform', '--explain', *options, qemu, '-accel', 'kvm', '-machine', machine, *confidential, '-cpu', MODEL, '-smp', str(vcpus),
            '-bios', firmware, '-display', 'none', '-vga', 'none', '-net', 'none', '-monitor', 'none', '-serial', 'stdio', *more]


class Owner:
    """The owner of a SEV or SEV-ES guest, whose session tells whether QEMU passes on the measurement of the firmware."""
    def __init__(self, vmm, kind, folder):
        self.vmm, self.folder, self.policy = vmm, folder, KINDS[kind][1]['sev.policy']
        snp.vmm(vmm, 'host', '--host', 'sim', '--set', 'sim.product=Milan', '--certificates', folder / 'certificates', '--generation', 'sev',
                '--out-root', folder / 'ark')
        snp.vmm(vmm, 'session', 'new', '--pdh', folder / 'certificates', '--root', folder / 'ark', '--policy', self.policy,
                '--out-keys', folder / 'keys', '--out-session', folder / 'session', '--out-godh', folder / 'godh')
        for name in 'session', 'godh':
            (folder / f'{name}.b64').write_bytes(base64.b64encode((folder / name).read_bytes()))

    def options(self):
        return f',session-file={self.folder}/session.b64,dh-cert-file={self.folder}/godh.b64'

    def judge(self, monitor, digest):
        """Raises Failed unless what QEMU tells verifies."""
        told = monitor.ask('query-sev')
        (self.folder / 'measure').write_text(monitor.ask('query-sev-launch-measure')['data'])
        snp.vmm(self.vmm, 'session', 'verify', '--keys', self.folder / 'keys', '--measure', self.folder / 'measure', '--policy', self.policy,
                '--firmware', f'{told["api-major"]}.{told["api-minor"]}.{told["build-id"]}', '--digest', digest)


def judge(vmm, qemu, kind, vcpus, folder):
    """Boots one guest. Returns what is wrong, or None."""
    made, keys = KINDS[kind]
    digest = measured(vmm, {**keys, 'firmware': FIRMWARE, 'machine.vcpus': vcpus}) if made else ''
    owner = Owner(vmm, kind, folder) if kind in ('sev', 'sev-es') else None
    with open(folder / 'errors', 'w') as errors:
        process = subprocess.Popen(command(vmm, qemu, made and made + (owner.options() if owner else ''), vcpus, FIRMWARE, '-m', '256',
                                           '-qmp', f'unix:{folder}/qmp,server=on,wait=off', options=['--trace', folder / 'calls']),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
    try:
        got = wait_for(process.stdout, b'Shell>')
        if b'Shell>' not in got:
            return f'no prompt; the last words: {got[-200:]!r}; {(folder / "errors").read_text()[-500:]}'
        monitor = Monitor(folder / 'qmp', process)
        told = monitor.ask('query-sev') if kind != 'plain' else {'state': 'running'}
        if told['state'] != 'running':
            return f'query-sev says {told}'
        if owner:
            owner.judge(monitor, digest)
    finally:
        process.kill()
        process.wait()
    if made:
        same = [vmm, 'measure', '--compare', folder / 'calls', *sets({**keys, 'firmware': FIRMWARE, 'machine.vcpus': vcpus})]
        snp.vmm(*same)
        told = subprocess.run([*same, '--set=machine.vcpus=3'], capture_output=True, text=True, check=False).stdout
        if kind != 'sev' and f'vCPU count {vcpus} -> 3' not in told:
            return f'with another number of vCPUs the trace differs by {told!r}'
    digests = re.findall(r'launched a .* digest ([0-9a-f]+)', (folder / 'errors').read_text())
    return None if digests == ([digest] if made else []) else f'measured {digests}, not {digest}'


def report(vmm, qemu, folder):
    """Linux by -kernel, with its hashes measured, fetches a report. Returns what is wrong, or None."""
    nonce, words = snp.NONCES[0], 'console=ttyS0 panic=-1 quiet cryptomgr.notests=1'
    initrd = make_initrd(folder, snp.INIT + snp.ATTEST, snp.MODULES)
    snp.vmm(vmm, 'host', '--host', 'sim', '--set', 'sim.product=Milan', '--certificates', folder / 'certificates', '--generation', 'snp',
            '--out-root', folder / 'ark')
    digest = measured(vmm, {**KINDS['sev-snp'][1], 'firmware': HASHING, 'machine.vcpus': 2, 'boot.hashes': 'true', 'boot.kernel': KERNEL / 'vmlinuz',
                            'boot.initrd': initrd, 'boot.cmdline': words})
    made = KINDS['sev-snp'][0] + ',kernel-hashes=on,host-data=' + base64.b64encode(bytes.fromhex(snp.HOST_DATA)).decode()
    with Guest(command(vmm, qemu, made, 2, HASHING, '-m', '512', '-kernel', KERNEL / 'vmlinuz', '-initrd', initrd, '-append', words)) as guest:
        snp.greets(guest, 2)
        said, = snp.ask(guest, f'report {nonce}', 'report')
        snp.judge(argparse.Namespace(vmm=vmm), folder, base64.b64decode(said), (folder / 'certificates').read_bytes(), nonce, digest)
        guest.type('poweroff\r')
        guest.ends(0)


def chosen(words):
    """[(name, function of vmm and a folder)]"""
    def boot(qemu, kind, vcpus):
        return lambda vmm, folder: judge(vmm, qemu, kind, vcpus, folder)
    cases = []
    for name, qemu in QEMUS.items():
        if qemu.exists():
            cases += [(f'{name}, {kind}, {vcpus} vCPUs', boot(qemu, kind, vcpus)) for kind in KINDS for vcpus in (1, 2, 4)]
            if HASHING.exists() and len(snp.MODULES) == 3:
                cases.append((f'{name}, Linux as sev-snp, its report', lambda vmm, folder, qemu=qemu: report(vmm, qemu, folder)))
    return [case for case in cases if all(word in case[0] for word in words)]


def main():
    vmm, words = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    if not os.access(QEMUS['QEMU 10'], os.X_OK) or not FIRMWARE.exists():
        print('1..0 # SKIP needs QEMU and OVMF: scripts/setup --lab --firmware')
        return
    cases = chosen([word for word in words if word != '--all'] if words else ['QEMU 10, sev-snp, 2'])
    print(f'1..{len(cases)}')
    for number, (name, run) in enumerate(cases, 1):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            try:
                wrong = run(vmm, pathlib.Path(folder))
            except (Failed, RuntimeError) as failed:
                wrong = str(failed)
        print(f'{"not ok" if wrong else "ok"} {number} - {name}: {time.monotonic() - begun:.1f} s', flush=True)
        if wrong:
            print('# ' + wrong.replace('\n', '\n# '))


if __name__ == '__main__':
    main()
