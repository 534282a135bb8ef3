#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's snphost, by which people look after hosts with SEV-SNP, unchanged, under `vmm platform`: it must say what `vmm host` says.

usage: snphost.py VMM    (exit 77: snphost is not in the cache; scripts/setup --sid fetches it)
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE  # noqa: E402

SNPHOST = CACHE / 'tools/snphost/run'
# What `ok` says of a computer whose MSRs it cannot read: /dev/cpu/*/msr is this computer's, and vmm platform has none in its place.
WITHOUT_MSRS = {'SME', 'SNP', 'Reading RMP table', 'Alias check'}


class Wrong(Exception):
    """snphost or vmm said something else."""


class Program:
    def __init__(self, vmm, folder):
        self.vmm, self.folder = vmm, folder

    def call(self, *words):
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=100, cwd=self.folder)
        if done.returncode:
            raise Wrong(f'{" ".join(map(str, words[1:]))} ended with {done.returncode}: {done.stdout}{done.stderr}')
        return done.stdout

    def snphost(self, *words, options=()):
        return self.call(self.vmm, 'platform', *options, '--', SNPHOST, *words).strip()

    def demand(self, wanted, *words, **more):
        said = self.snphost(*words, **more)
        if not re.search(wanted, said):
            raise Wrong(f'snphost {" ".join(words)} says {said!r}, where {wanted!r} was to come')


def shows(program):
    """What the firmware tells."""
    host = json.loads(program.call(program.vmm, 'host', '--host', 'sim', '--json'))
    snp, chip = host['firmware']['sev-snp'], host['chip']['id']
    program.demand(f'(?i)^{chip}$', 'show', 'identifier')
    program.demand('^0$', 'show', 'guests')
    program.demand(f'^{re.escape(snp["abi"])}$', 'show', 'version')
    tcb = snp['reported-tcb']
    program.demand(f'(?s)Reported TCB:.*Microcode: +{tcb["microcode"]}\n.*SNP: +{tcb["snp"]}\n.*Boot Loader: +{tcb["bootloader"]}\n', 'show', 'tcb')
    program.demand(f'(?i)/vcek/v1/Milan/{chip}\\?blSPL=0*{tcb["bootloader"]}&.*&ucodeSPL=0*{tcb["microcode"]}$', 'show', 'vcek-url')


def changes(program):
    """Its commands reach the firmware. What they change lasts as long as the platform, which is the process."""
    for words, command in ((('config', 'set', '4', '0', '24', '219', '3'), 'SNP_SET_CONFIG'), (('config', 'reset'), 'SNP_SET_CONFIG'),
                           (('commit',), 'SNP_COMMIT')):
        program.snphost(*words, options=('--trace', 'calls'))
        if f'SEV_ISSUE_CMD {command} -> 0' not in (program.folder / 'calls').read_text():
            raise Wrong(f'{words} was no {command}')


def certificates(program):
    """It writes out the certificates of the platform, reads them back, and verifies the chain."""
    program.call(program.vmm, 'host', '--host', 'sim', '--certificates', 'table', '--generation', 'snp', '--out-root', 'ark')
    (program.folder / 'certs').mkdir()
    program.snphost('export', 'pem', 'table', 'certs')
    program.snphost('import', 'certs', 'again')
    program.demand('(?s)ARK.*ask.*vcek', 'verify', 'certs', 'certs')
    if 'invalid' in program.snphost('verify', 'certs', 'certs').split('\n', 2)[-1]:
        raise Wrong('snphost finds the chain of the platform invalid')
    if sorted(path.name for path in (program.folder / 'certs').iterdir()) != ['ark.pem', 'ask.pem', 'vcek.pem']:
        raise Wrong('other certificates than ARK, ASK and VCEK were in the table')


def probe(program):
    """`ok` passes, but for what it reads from the processor's own registers. Its status tells that something failed."""
    said = subprocess.run([program.vmm, 'platform', '--', SNPHOST, 'ok'], capture_output=True, text=True, timeout=100).stdout
    rows = re.findall(r'^\[ *(\w+) *\] *- (.+?)(?::.*)?$', re.sub(r'\x1b\[[0-9;]*m', '', said), re.M)
    failed = {name for end, name in rows if end == 'FAIL'} - WITHOUT_MSRS
    if failed or len([end for end, _ in rows if end == 'PASS']) < 20:
        raise Wrong(f'snphost ok fails at {failed}:\n{said}')


def main():
    if not SNPHOST.exists():
        print('needs snphost: scripts/setup --sid')
        return 77
    for case in shows, changes, certificates, probe:
        with tempfile.TemporaryDirectory() as folder:
            try:
                case(Program(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(folder)))
            except Wrong as wrong:
                print(f'{case.__name__}: {wrong}')
                return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
