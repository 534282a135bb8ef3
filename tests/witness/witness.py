#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""go-sev-guest, the verifier that Go programs use, judges reports of the software platform and genuine ones, and vmm beside it.

usage: witness.py VMM SIMULATED-REPORT KEY    (exit 77: it is not in the cache; scripts/setup --witness fetches it)

The reports come from the program SIMULATED-REPORT, and one from a SEV-SNP guest with Linux, whose own driver fetched it with its
certificates (tests/boot/snp.py, which wants KEY, the program sev_key).

It demands AMD's names in certificates. So it is built twice: as Debian has it, which must refuse simulated certificates for their common
names and for nothing else, and with "SIMULATED-" put before the names that it demands, which must accept them. Debian's package lacks the
roots of AMD that the library embeds; they come from tests/data.
"""
import pathlib
import shutil
import ssl
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / 'data/attestation'
sys.path.insert(0, str(HERE.parent / 'support'))
from places import CACHE  # noqa: E402

VMM, MAKER, KEY = (str(pathlib.Path(word).resolve()) for word in sys.argv[1:4])
TOOLS = CACHE / 'tools/go-sev-guest'
LINUX = HERE.parent / 'boot/snp.py', 'reports, certificates and keys, 1 vCPU'
ASK = bytes.fromhex('4ab7b379bbac4fe4a02f05aef327c782')    # in a certificate table
LIBRARY = 'src/github.com/google/go-sev-guest'
# The names that it demands, of the chips' keys, ASK, ASVK and ARK, and the one by which it tells an ASVK from an ASK.
NAMES = {'verify/verify.go': ('"SEV-%v"', '"SEV-%s"', '"SEV-VLEK-%s"', '"ARK-%s"'), 'verify/trust/trust.go': ('"SEV-VLEK"',)}

# Product, build of firmware 1.55, TCB, signer, version of the report; None: accepted, else what the library refuses.
CASES = (
    ('Milan', 20, 'd116000000000003', 'vcek', 2, None),
    ('Milan', 29, 'db18000000000004', 'vcek', 3, None),
    ('Milan', 35, 'de1b000000000004', 'vcek', 5, None),
    ('Milan', 35, 'de1b000000000004', 'masked', 5, None),
    ('Milan', 20, 'd116000000000003', 'vlek', 2, None),
    ('Milan', 29, 'db18000000000004', 'vlek', 3, None),
    ('Milan', 35, 'de1b000000000004', 'vlek', 5, None),
    ('Genoa', 39, '4817000000000009', 'vcek', 3, None),
    ('Genoa', 49, '581b00000000000a', 'vcek', 5, None),
    ('Genoa', 49, '581b00000000000a', 'vlek', 5, None),
    # It has no product for a VCEK that says "Genoa", as AMD's do, unless the report names one; version 2 does not.
    ('Genoa', 24, '4815000000000009', 'vcek', 2, 'Genoa'),
    # It does not know the level of FMC, which AMD's certificates of Turin have.
    ('Turin', 65, '5100000004010101', 'vcek', 5, '1.3.6.1.4.1.3704.1.3.9'),
    ('Turin', 65, '5100000004010101', 'vlek', 5, '1.3.6.1.4.1.3704.1.3.9'),
)


def build(folder, simulated):
    """Builds the witness with a copy of the library."""
    copy = folder / LIBRARY
    shutil.copytree(TOOLS / 'usr/share/gocode' / LIBRARY, copy)
    for pem in DATA.glob('ask_ark_*.pem'):
        shutil.copy(pem, copy / 'verify/trust')
    for file, names in NAMES.items() if simulated else ():
        text = (copy / file).read_text()
        for name in names:
            assert text.count(name) == 1, name
            text = text.replace(name, '"SIMULATED-' + name[1:])
        (copy / file).write_text(text)
    run = subprocess.run([TOOLS / 'go', 'build', '-o', folder / 'witness', HERE / 'witness.go'], capture_output=True, text=True,
                         env={'PATH': '/usr/bin:/bin', 'HOME': str(folder), 'GOCACHE': str(folder.parent / 'go-cache'), 'EXTRA': str(folder),
                              'CGO_ENABLED': '0'})
    assert run.returncode == 0, run.stderr
    return folder / 'witness'


def says(witness, product, folder):
    run = subprocess.run([witness, product, folder / 'report.bin', folder / 'table.bin', folder / 'chain.pem'], capture_output=True, text=True)
    assert run.returncode in (0, 1), run.stderr
    assert (run.returncode == 0) == run.stdout.startswith('accepted'), (run.stdout, run.stderr)
    return run.stdout


def vmm_agrees(folder, masked):
    """vmm accepts the report only with the simulated root, and says whose root that is."""
    verify = [VMM, 'report', 'verify', folder / 'report.bin', '--certs', folder / 'table.bin', *(['--masked-chip-id'] if masked else [])]
    alone = subprocess.run(verify, capture_output=True, text=True)
    assert alone.returncode == 1 and 'has none of AMD\'s root keys' in alone.stdout and '"SIMULATED-ARK-' in alone.stdout, alone
    trusted = subprocess.run([*verify, '--root', folder / 'chain.pem'], capture_output=True, text=True)
    assert trusted.returncode == 0 and 'simulation' in trusted.stdout, trusted


def judge(case, folder, plain, patched):
    product, build_number, tcb, signer, version, refusal = case
    subprocess.run([MAKER, product, str(build_number), tcb, signer, folder], check=True)
    report = (folder / 'report.bin').read_bytes()
    assert int.from_bytes(report[:4], 'little') == version
    vmm_agrees(folder, signer == 'masked')
    if refusal:
        said = says(patched, product, folder)
        assert refusal in said and not said.startswith('accepted'), said
        return
    accepted_but_for_names(product, folder, plain, patched, 'SEV-VLEK' if signer == 'vlek' else 'SEV-VCEK')


def accepted_but_for_names(product, folder, plain, patched, key):
    """And with a changed byte it is not."""
    said = says(patched, product, folder)
    assert said.startswith('accepted'), said
    said = says(plain, product, folder)
    assert f'common name SIMULATED-{key} not expected. Expected {key}' in said, said
    report = (folder / 'report.bin').read_bytes()
    for at in 0x50, 0x90, 0x2a0:    # report data, measurement, signature
        bad = bytearray(report)
        bad[at] ^= 1
        (folder / 'report.bin').write_bytes(bad)
        assert 'signature verification' in says(patched, product, folder), hex(at)


def ask_of(table):
    """The ASK of a certificate table, in DER."""
    for at in range(0, len(table), 24):
        guid, offset, size = struct.unpack_from('<16sII', table, at)
        if guid == ASK:
            return table[offset:offset + size]
    raise AssertionError('the table has no ASK')


def from_linux(folder, plain, patched):
    """What configfs-tsm gives in a guest. False: there is no kernel for it."""
    script, case = LINUX
    run = subprocess.run([script, VMM, KEY, '--case', case, '--keep', folder], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    if '# SKIP' in run.stdout:
        print(run.stdout)
        return False
    (folder / 'report').rename(folder / 'report.bin')
    table = (folder / 'table').rename(folder / 'table.bin').read_bytes()
    certificates = ask_of(table), (folder / 'ark').read_bytes()
    (folder / 'chain.pem').write_text(''.join(map(ssl.DER_cert_to_PEM_cert, certificates)))
    vmm_agrees(folder, False)
    accepted_but_for_names('Milan', folder, plain, patched, 'SEV-VCEK')
    return True


def genuine(folder, plain, patched):
    """The one as Debian has it accepts AMD's own chain, the other refuses it for the names, so the patch does nothing else."""
    (folder / 'report.bin').write_bytes((DATA / 'milan-report-a.bin').read_bytes())
    (folder / 'table.bin').write_bytes((DATA / 'milan-certs-a.bin').read_bytes())
    (folder / 'chain.pem').write_bytes((DATA / 'ask_ark_milan.pem').read_bytes())
    assert says(plain, 'Milan', folder).startswith('validate: '), 'verified, but not for this nonce'
    said = says(patched, 'Milan', folder)
    assert 'common name SEV-VCEK not expected. Expected SIMULATED-SEV-VCEK' in said, said


def main():
    if not TOOLS.exists():
        print(f'skipped: {TOOLS} is not there; scripts/setup --witness fetches it')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        plain, patched = (build(folder / kind, kind == 'patched') for kind in ('plain', 'patched'))
        genuine(folder, plain, patched)
        for case in CASES:
            judge(case, folder, plain, patched)
            print('as wanted:', *case)
        (folder / 'linux').mkdir()
        if from_linux(folder / 'linux', plain, patched):
            print('as wanted: the report of a guest with Linux')


main()
