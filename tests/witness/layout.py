#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Simulated reports beside genuine ones of the same product and version: which fields are there, and what the fields say that do not
depend on the guest or the chip.

usage: layout.py SIMULATED-REPORT DATA ARCHIVE    (without the archive, which is not part of the tree, only with the reports of DATA)
"""
import pathlib
import subprocess
import sys
import tarfile
import tempfile

MAKER, DATA, ARCHIVE = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]) / 'attestation', pathlib.Path(sys.argv[3])

# Builds of firmware 1.55 and TCBs that genuine reports have.
FIRMWARE = {
    ('Milan', 2): ('20', 'd116000000000003'), ('Milan', 3): ('29', 'db18000000000004'), ('Milan', 5): ('35', 'de1b000000000004'),
    ('Genoa', 3): ('39', '4817000000000009'), ('Genoa', 5): ('49', '581b00000000000a'), ('Turin', 5): ('65', '5100000004010101'),
}
# Fields (SNP ABI, ATTESTATION_REPORT) that have one of the genuine values.
SAME = {'version': (0x00, 4), 'signature algorithm': (0x34, 4), 'key info': (0x48, 4), 'reserved': (0x4c, 4), 'no migration agent': (0x160, 32),
        'CPUID': (0x188, 3), 'reserved after CPUID': (0x18b, 21), 'reserved after current': (0x1eb, 1), 'reserved after committed': (0x1ef, 1),
        'launch mitigations': (0x1f8, 8), 'current mitigations': (0x200, 8), 'reserved up to the signature': (0x208, 0x98),
        'reserved at the end': (0x330, 0x170)}
# Fields that are zero if they are in all genuine reports, and not zero if they are in none.
THERE = {'current TCB': (0x38, 8), 'measurement': (0x90, 48), 'report id': (0x140, 32), 'reported TCB': (0x180, 8), 'committed TCB': (0x1e0, 8),
         'current': (0x1e8, 3), 'committed': (0x1ec, 3), 'launch TCB': (0x1f0, 8), 'R': (0x2a0, 72), 'S': (0x2e8, 72)}
PLATFORM_INFO = 0x40
TSME = 2    # a cloud has it on; the software platform cannot
CHIP_ID = {'Milan': 64, 'Genoa': 64, 'Turin': 8}


def genuine(folder):
    """{(product, version, signer): [report]}"""
    found = {('Milan', 2, 'vcek'): [(DATA / f'milan-report-{which}.bin').read_bytes() for which in 'ab']}
    if ARCHIVE.exists():
        with tarfile.open(ARCHIVE) as tar:
            tar.extractall(folder, filter='data') if hasattr(tarfile, 'data_filter') else tar.extractall(folder)
        pairs = next(folder.rglob('pairs'))
        for line in pairs.read_text().splitlines():
            report, _, option, product, version = line.split()
            found.setdefault((product, int(version[1:]), option[2:]), []).append((pairs.parent / report).read_bytes())
    return found


def compare(kind, ours, reports):
    product, _, signer = kind
    for name, (at, size) in SAME.items():
        assert ours[at:at + size] in {report[at:at + size] for report in reports}, (kind, name, ours[at:at + size].hex())
    for name, (at, size) in THERE.items():
        assert any(ours[at:at + size]) in {any(report[at:at + size]) for report in reports}, (kind, name, ours[at:at + size].hex())
    assert ours[PLATFORM_INFO] in {report[PLATFORM_INFO] & ~TSME for report in reports}, (kind, hex(ours[PLATFORM_INFO]))
    for report in [ours, *(reports if signer == 'vcek' else [])]:    # a cloud with VLEKs hides its chips
        chip = report[0x1a0:0x1e0].rstrip(b'\0')
        assert not chip or CHIP_ID[product] - 4 < len(chip) <= CHIP_ID[product], (kind, chip.hex())


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for kind, reports in sorted(genuine(folder).items()):
            subprocess.run([MAKER, kind[0], *FIRMWARE[kind[:2]], kind[2], folder], check=True)
            compare(kind, (folder / 'report.bin').read_bytes(), reports)
            print(*kind, 'as', len(reports), 'genuine ones')


main()
