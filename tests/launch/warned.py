#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The warnings of vmm with Debian's firmware images, which are the same in every verb. usage: warned.py VMM; exit 77: no images."""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
from places import CACHE as PLACE  # noqa: E402

CACHE = PLACE / 'firmware'
SMM, STORE, TDX = 'needs system management mode', 'is a store of UEFI variables', 'is built for Intel TDX'
OLD, COMPARE, NONE = 'is older than edk2-stable202405', 'compares', 'would not be started'
UNMEASURED, LITTLE, DEBUG = 'is not measured', 'is too little for OVMF', 'lets the host read'
# Image, words of the configuration, the one warning; None: there is none.
CASES = [
    ('bookworm/OVMF.fd', 'sev.type=sev', None),
    ('bookworm/OVMF.fd', 'sev.type=sev-es', None),
    ('bookworm/OVMF.fd', 'sev.type=sev-snp', OLD),
    ('bookworm/OVMF_CODE_4M.fd', 'sev.type=sev', None),
    ('bookworm/OVMF_CODE.secboot.fd', 'sev.type=sev', SMM),
    ('bookworm/OVMF_CODE_4M.ms.fd', 'sev.type=sev-es', SMM),
    ('bookworm/OVMF_VARS.fd', 'sev.type=sev', STORE),
    ('bookworm/OVMF_VARS_4M.fd', 'sev.type=sev', STORE),
    ('trixie/OVMF.fd', 'sev.type=sev-snp', None),
    ('trixie/OVMF.fd', 'sev.type=sev-snp machine.memory=32M', LITTLE),
    ('trixie/OVMF.fd', 'sev.type=sev-snp sev.policy=smt,debug', DEBUG),
    ('trixie/OVMF.fd', 'sev.type=sev-snp boot.kernel=kernel', UNMEASURED),
    ('trixie/OVMF_CODE_4M.fd', 'sev.type=sev-es', None),
    ('trixie/OVMF_CODE_4M.secboot.strictnx.fd', 'sev.type=sev-snp', SMM),
    ('trixie/OVMF_CODE_4M.ms.fd', 'sev.type=sev', SMM),
    ('sid/OVMF.fd', 'sev.type=sev-snp', None),
    ('sid/OVMF.fd', 'sev.type=sev-snp boot.kernel=kernel boot.hashes=true', COMPARE),
    ('sid/OVMF.fd', 'sev.type=sev boot.kernel=kernel', UNMEASURED),
    ('sid/OVMF.amdsev.fd', 'sev.type=sev-snp boot.kernel=kernel boot.hashes=true', None),
    ('sid/OVMF.amdsev.fd', 'sev.type=sev-snp boot.kernel=kernel', NONE),
    ('sid/OVMF_CODE_4M.secboot.fd', 'sev.type=sev', SMM),
    ('sid/OVMF.inteltdx.ms.fd', 'sev.type=sev', TDX),
]


def warnings_of(words, folder, wanted):
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert done.returncode in wanted, (words, done)
    return [line.removeprefix('vmm: warning: ') for line in done.stderr.splitlines() if 'warning: ' in line], done.stdout


def main():
    vmm, wrong, here = str(pathlib.Path(sys.argv[1]).resolve()), 0, [case for case in CASES if (CACHE / case[0]).exists()]
    with tempfile.TemporaryDirectory() as folder:
        kernel = bytearray(16 << 10)
        kernel[0x202:0x206] = b'HdrS'
        (pathlib.Path(folder) / 'kernel').write_bytes(kernel)
        (pathlib.Path(folder) / 'empty.json').write_text('{}')
        for image, sets, wanted in here:
            words = [part for word in [f'firmware={CACHE / image}', *sets.split()] for part in ('--set', word)]
            measured, _ = warnings_of([vmm, 'measure', *words], folder, [0])
            checked, _ = warnings_of([vmm, 'check', 'empty.json', *words], folder, [0])
            tried, text = warnings_of([vmm, 'run', '--host', 'sim', '--dry-run', '--json', *words], folder, [0])
            same = measured == checked == tried == json.loads(text)['warnings']
            right = len(measured) == 1 and wanted in measured[0] if wanted else not measured
            print('ok' if same and right else f'not ok {measured} {checked} {tried}', '-', image, sets)
            wrong += not (same and right)
    if not here:
        print(f'skipped: no firmware images in {CACHE}; scripts/setup --firmware fetches them')
        sys.exit(77)
    sys.exit(1 if wrong else 0)


main()
