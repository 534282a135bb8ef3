#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Variables of the firmware last: set in the UEFI shell, they are there after a reset and in a new vmm, and virt-fw-vars finds them in the
file. A second vmm with the same store is refused.

usage: vars.py VMM [--host sim] [--echo]   TAP on standard output
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from boot import CACHE
from guest import Failed, Guest, emulation

GUID = '12345678-1234-1234-1234-123456789abc'
VIRT_FIRMWARE = CACHE / 'tools/virt-firmware/run'
PATIENCE = 1500 if emulation.IN_LAB else 300


def shell(guest, *lines):
    """To the prompt, past the countdown, and these lines, each with its answer."""
    guest.expect('seconds to skip', 'Shell>', seconds=PATIENCE)
    guest.type('\r')
    guest.expect('Shell>', seconds=PATIENCE)
    for line, answer in lines:
        guest.type(line + '\r')
        guest.expect(line[-10:])        # as the shell repeats it: the prompt before it is not the answer
        guest.expect(answer, seconds=PATIENCE)


def command(vmm, host, suite, image, kind, store):
    keys = {'firmware': CACHE / 'firmware' / suite / f'OVMF_CODE{image}.fd', 'firmware-vars': store, 'machine.memory': '256M', 'sev.type': kind}
    return [vmm, 'run', '--host', host, *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]


def second_is_refused(command):
    """Raises Failed unless vmm says that the store is in use."""
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    if run.returncode != 2 or 'is in use by another program' not in run.stderr:
        raise Failed(f'a second vmm with the same store: exit status {run.returncode}: {run.stderr}')


def judged(store):
    """Raises Failed unless virt-fw-vars finds what the guest set."""
    if not VIRT_FIRMWARE.exists():
        return
    out = store.with_suffix('.json')
    subprocess.run([VIRT_FIRMWARE, 'virt-fw-vars', '-i', store, '--output-json', out], check=True, capture_output=True, timeout=PATIENCE)
    found = {entry['name']: entry for entry in json.loads(out.read_text())['variables']}
    if found.get('Kept', {}).get('data') != '44332211' or found['Kept']['guid'] != GUID:
        raise Failed(f'virt-fw-vars does not find the variable: {found.get("Kept")}')
    if not {'Last', 'BootOrder', 'Boot0000'} <= found.keys():
        raise Failed(f'virt-fw-vars finds only {", ".join(sorted(found))}')


def run(vmm, host, suite, image, kind, echo):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    with tempfile.TemporaryDirectory() as folder:
        store = pathlib.Path(folder) / 'vars.fd'
        shutil.copy(CACHE / 'firmware' / suite / f'OVMF_VARS{image}.fd', store)
        words = command(vmm, host, suite, image, kind, store)
        try:
            with Guest(words, echo) as guest:
                shell(guest, (f'setvar Kept -guid {GUID} -bs -rt -nv =0x11223344', 'Shell>'))
                second_is_refused(words)
                guest.type('reset -w\r')
                shell(guest, (f'setvar Kept -guid {GUID}', '44 33 22 11'), (f'setvar Last -guid {GUID} -bs -nv =0x99', 'Shell>'))
            # Now vmm was killed by SIGKILL. What the guest saw as done is in the file.
            with Guest(words, echo) as guest:
                shell(guest, (f'setvar Kept -guid {GUID}', '44 33 22 11'), (f'setvar Last -guid {GUID}', '99'))
                guest.type('reset -s\r')
                guest.ends(0, PATIENCE)
            judged(store)
        except Failed as failed:
            return str(failed), failed.lost
    return '', ''


CASES = [('Debian 13, 4 MiB', 'trixie', '_4M', 'none'), ('Debian 12, 2 MiB', 'bookworm', '', 'none')]
SEV_CASES = [('Debian 13, 4 MiB, SEV', 'trixie', '_4M', 'sev'), ('Debian 13, 4 MiB, SEV-ES', 'trixie', '_4M', 'sev-es')]


def main():
    vmm = str(pathlib.Path(sys.argv[1]).resolve())
    host, echo = sys.argv[sys.argv.index('--host') + 1] if '--host' in sys.argv else 'kvm', '--echo' in sys.argv
    cases, wrong = CASES + (SEV_CASES if host == 'sim' else []), 0
    print(f'1..{len(cases)}', flush=True)
    for number, (name, *case) in enumerate(cases, 1):
        if not (CACHE / 'firmware' / case[0]).exists():
            print(f'ok {number} - variables last, {name} # SKIP no firmware, run: scripts/setup --firmware', flush=True)
            continue
        why = emulation.judge(lambda: run(vmm, host, *case, echo), lambda: run(vmm, 'sim', *case, echo)[0])
        wrong += bool(why)
        print(f'{"not ok" if why else "ok"} {number} - variables last, {name}' + (f'\n# {why}' if why else ''), flush=True)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
