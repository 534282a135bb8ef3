#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's snphost, by which hosts make the certificate table that guests hand on, and verify its chain, against vmm.

usage: snphost.py VMM DATA    (exit 77: snphost is not in the cache; scripts/setup --sid fetches it)
"""
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))
from places import CACHE  # noqa: E402

VMM, DATA = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve() / 'attestation'
SNPHOST = CACHE / 'tools/snphost/run'
END = '-----END CERTIFICATE-----\n'


def snphost(*args):
    run = subprocess.run([SNPHOST, *map(str, args)], capture_output=True, text=True)
    assert run.returncode == 0, (args, run.stdout, run.stderr)
    return run.stdout


def der_of(pem):
    return subprocess.run(['openssl', 'x509', '-outform', 'DER'], input=pem.encode(), capture_output=True, check=True).stdout


def genuine(form):
    """The certificates of report a, by the names that snphost knows them by."""
    ask, ark, _ = (DATA / 'ask_ark_milan.pem').read_text().split(END)
    vcek = (DATA / 'milan-vcek-a.der').read_bytes()
    if form == 'pem':
        pem = subprocess.run(['openssl', 'x509', '-inform', 'DER'], input=vcek, capture_output=True, check=True).stdout
        return {'vcek.pem': pem, 'ask.pem': (ask + END).encode(), 'ark.pem': (ark + END).encode()}
    return {'vcek.der': vcek, 'ask.der': der_of(ask + END), 'ark.der': der_of(ark + END)}


def vmm_reads_what_snphost_writes(folder):
    """Several times: snphost writes the entries in an order that changes from run to run."""
    for form in 'der', 'pem':
        certs = folder / form
        certs.mkdir()
        for name, data in genuine(form).items():
            (certs / name).write_bytes(data)
        for _ in range(4):
            snphost('import', certs, folder / 'table')
            run = subprocess.run([VMM, 'report', 'verify', DATA / 'milan-report-a.bin', '--certs', folder / 'table', '--at',
                                  '2025-06-15'], capture_output=True, text=True)
            assert run.returncode == 0 and 'verified: all' in run.stdout, (form, run.stdout, run.stderr)


def snphost_reads_the_tests_table(folder):
    """The bytes that the other tests take for a certificate table are one."""
    out = folder / 'exported'
    out.mkdir()
    snphost('export', 'der', DATA / 'milan-certs-a.bin', out)
    found = {path.name: path.read_bytes() for path in out.iterdir()}
    assert found == genuine('der'), sorted(found)


SIGNED, NOT_SIGNED = '\u2b11', '\u2b11\u0338'


def signatures(folder):
    """What `snphost verify certs` says of the two signatures of a chain; its exit status is 0 for bad ones, too."""
    said = re.sub(r'\x1b\[[0-9;]*m', '', snphost('verify', 'certs', folder))
    return [re.search(rf'^{signer} (\S+) {signed}$', said, re.M).group(1) for signer, signed in (('ARK', 'ask'), ('ask', 'vcek'))]


def snphost_reads_what_vmm_writes(folder):
    """Exports the certificates of each product; snphost and openssl verify the chain of the result, and a new table passes, too."""
    for product in 'Milan', 'Genoa', 'Turin':
        out, table, root = folder / product, folder / f'{product}.table', folder / f'{product}.root'
        out.mkdir()
        run = subprocess.run([VMM, 'host', '--host', 'sim', '--set', f'sim.product={product}', '--certificates', table,
                              '--generation', 'snp', '--out-root', root], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        snphost('export', 'pem', table, out)
        assert sorted(path.name for path in out.iterdir()) == ['ark.pem', 'ask.pem', 'vcek.pem'], list(out.iterdir())
        assert der_of((out / 'ark.pem').read_text()) == root.read_bytes()
        assert signatures(out) == [SIGNED, SIGNED]
        run = subprocess.run(['openssl', 'verify', '-check_ss_sig', '-CAfile', out / 'ark.pem', '-untrusted', out / 'ask.pem',
                              out / 'vcek.pem'], capture_output=True, text=True)
        assert run.returncode == 0, (run.stdout, run.stderr)
        snphost('import', out, folder / f'{product}.again')
        again = folder / f'{product}-again'
        again.mkdir()
        snphost('export', 'pem', folder / f'{product}.again', again)
        assert {path.name: path.read_text() for path in again.iterdir()} == {path.name: path.read_text() for path in out.iterdir()}
    (folder / 'Turin/ask.pem').write_bytes((folder / 'Genoa/ask.pem').read_bytes())
    assert signatures(folder / 'Turin') == [NOT_SIGNED, NOT_SIGNED]


def main():
    if not SNPHOST.exists():
        print(f'skipped: {SNPHOST} is not there; scripts/setup --sid fetches it')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as name:
        vmm_reads_what_snphost_writes(pathlib.Path(name))
        snphost_reads_the_tests_table(pathlib.Path(name))
        snphost_reads_what_vmm_writes(pathlib.Path(name))


main()
