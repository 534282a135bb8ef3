#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden.py VMM [--write]: vmm measure over the cases in tests/golden/measure. CASE.args holds the words after "vmm
measure", one a line; CASE.expected the exit status and all that is printed. Images are made by ovmf.py."""
import pathlib
import subprocess
import sys
import tempfile

import ovmf

CASES = pathlib.Path(__file__).resolve().parents[1] / 'golden/measure'
FILES = {'kernel': b'a kernel', 'empty': b'', 'no-rows.json': b'{"digest": "00"}', 'not.json': b'{"digest": ',
         'wild.json': b'{"digest": "00", "type": "sev-snp", "rows": '
                      b'[1, {"type": 2}, {"name": "\\u001b[31m", "gpa": "x"}]}'}
SAVED = {'saved-snp.json': ('sev.type=sev-snp', 'firmware=hashes.fd', 'machine.vcpus=2'),
         'saved-es.json': ('sev.type=sev-es', 'firmware=hashes.fd', 'boot.kernel=kernel', 'boot.hashes=true')}


def run(vmm, args, folder):
    words = [vmm, 'measure', *args]
    done = subprocess.run(words, cwd=folder, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    return f'exit {done.returncode}\n' + (done.stderr + done.stdout).decode(errors='replace')


def main():
    vmm, write = pathlib.Path(sys.argv[1]).resolve(), '--write' in sys.argv
    wrong, cases = 0, sorted(CASES.glob('*.args'))
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (ovmf.IMAGES | FILES).items():
            (pathlib.Path(folder) / name).write_bytes(data)
        for name, sets in SAVED.items():
            words = [vmm, 'measure', '--json', '--rows'] + [word for s in sets for word in ('--set', s)]
            saved = subprocess.run(words, cwd=folder, capture_output=True, timeout=60).stdout
            (pathlib.Path(folder) / name).write_bytes(saved)
            (pathlib.Path(folder) / f'tampered-{name}').write_bytes(saved.replace(b'"digest": "', b'"digest": "0'))
        for case in cases:
            found, expected = run(vmm, case.read_text().splitlines(), folder), case.with_suffix('.expected')
            if write:
                expected.write_text(found)
            elif found != expected.read_text():
                wrong += 1
                print(f'--- {case.stem}: wanted\n{expected.read_text()}+++ found\n{found}')
    print(f'{len(cases)} cases, {wrong} wrong')
    sys.exit(1 if wrong or len(cases) < 30 else 0)


main()
