#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reports, certificates and ID blocks in the forms and from the places that people have them in, as the verbs take them.

usage: forms.py VMM DATA
"""
import base64
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

VMM, DATA = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve() / 'attestation'
REPORT, VCEK = (DATA / 'milan-report-a.bin').read_bytes(), (DATA / 'milan-vcek-a.der').read_bytes()
CHAIN, TABLE = (DATA / 'ask_ark_milan.pem').read_bytes(), (DATA / 'milan-certs-a.bin').read_bytes()
ID_AUTH = (DATA / 'id-auth-example.bin').read_bytes()
AT = ('--at', '2025-06-15')


def texts(data):
    """As base64, openssl base64, a tool without line breaks, and xxd -p write it."""
    one = base64.b64encode(data)
    lines = [b'\n'.join(one[i:i + n] for i in range(0, len(one), n)) + b'\n' for n in (76, 64)]
    return [*lines, one, one + b'\r\n', '\n'.join(data.hex()[i:i + 60] for i in range(0, 2 * len(data), 60)).encode() + b'\n']


class Forms(unittest.TestCase):
    def setUp(self):
        box = tempfile.TemporaryDirectory()
        self.addCleanup(box.cleanup)
        self.folder = pathlib.Path(box.name)
        self.count = 0

    def file(self, data):
        self.count += 1
        path = self.folder / f'file{self.count}'
        path.write_bytes(data)
        return str(path)

    def vmm(self, status, *args, **how):
        done = subprocess.run([VMM, *args], capture_output=True, timeout=60, **how)
        self.assertEqual(done.returncode, status, (args, done.stdout, done.stderr))
        return done.stdout.decode() + done.stderr.decode()

    def test_reports(self):
        azure = b'HCLA' + bytes(28) + REPORT + bytes(20) + b'{"keys":[]}'
        shown = self.vmm(0, 'report', 'show', self.file(REPORT))
        holders = [REPORT + bytes(2784), bytes([0, 0, 0, 0, 0xa0, 4]) + bytes(26) + REPORT, azure.ljust(2600, b'\0'),
                   REPORT + TABLE]
        for data in holders + [text for holder in [REPORT, *holders] for text in texts(holder)]:
            self.assertEqual(self.vmm(0, 'report', 'show', self.file(data)), shown)

    def test_files_that_are_no_report_are_described(self):
        for data, words in ((REPORT + b'\1' * 20, ['20 bytes after the report', 'head -c 1184']),
                            (b'{"attestation": "..."}', ['22 bytes', '1184', 'JSON']), (REPORT[:1000], ['1000 bytes']),
                            (VCEK, ['1360 bytes', 'like a certificate in DER']), (b'', ['is empty'])):
            said = self.vmm(2, 'report', 'show', self.file(data))
            for word in words:
                self.assertIn(word, said)

    def test_a_raw_quote_brings_its_certificates(self):
        for data in REPORT + TABLE, base64.b64encode(REPORT + TABLE):
            self.assertIn('verified: all', self.vmm(0, 'report', 'verify', self.file(data), *AT))

    def test_certificates(self):
        report = self.file(REPORT)
        pem = b'-----BEGIN CERTIFICATE-----\n' + base64.b64encode(VCEK) + b'\n-----END CERTIFICATE-----\n'
        end = b'-----END CERTIFICATE-----\n'
        ask, ark = (part + end for part in CHAIN.split(end)[:2])
        asvk = (DATA / 'ask_ark_milan_vlek.pem').read_bytes()
        for files in (['--vcek', pem + CHAIN], ['--chain', pem + CHAIN], ['--vcek', VCEK + b'\n', '--chain', CHAIN],
                      ['--vcek', VCEK, '--chain', ask, '--chain', ark], ['--vcek', VCEK, '--chain', ark, '--chain', ask],
                      ['--vcek', VCEK, '--chain', ask + b'\n# and its root\n' + ark],
                      ['--vcek', VCEK, '--chain', CHAIN + asvk], ['--vcek', base64.b64encode(VCEK), '--chain', CHAIN],
                      ['--certs', base64.encodebytes(TABLE)], ['--certs', TABLE.hex().encode()]):
            args = [self.file(word) if isinstance(word, bytes) else word for word in files]
            self.assertIn('verified: all', self.vmm(0, 'report', 'verify', report, *args, *AT))

    def test_the_kind_of_key_is_demanded(self):
        files = [self.file(REPORT), '--vlek', self.file(VCEK), '--chain', self.file(CHAIN)]
        self.assertIn('demanded is a VLEK', self.vmm(1, 'report', 'verify', *files, *AT))

    def test_a_hidden_chip_is_accepted_when_asked_for(self):
        hidden = bytearray(REPORT)
        hidden[0x1a0:0x1e0] = bytes(64)
        args = ['report', 'verify', self.file(hidden), '--certs', self.file(TABLE), *AT]
        self.assertIn('FAILED  chip-id', self.vmm(1, *args))
        self.assertIn('note    chip-id', self.vmm(1, *args, '--masked-chip-id'))    # what remains is the signature

    def test_pipes_and_the_standard_input(self):
        shown = self.vmm(0, 'report', 'show', self.file(REPORT))
        for data in (REPORT, *texts(REPORT)):
            self.assertEqual(self.vmm(0, 'report', 'show', '-', input=data), shown)
            self.assertEqual(self.vmm(0, 'report', 'show', '/dev/stdin', input=data), shown)
        reader, writer = os.pipe()
        thread = threading.Thread(target=lambda: (os.write(writer, VCEK), os.close(writer)))
        thread.start()
        self.assertIn('verified: all', self.vmm(0, 'report', 'verify', '-', '--vcek', f'/dev/fd/{reader}', '--chain',
                                                self.file(CHAIN), *AT, input=REPORT, pass_fds=[reader]))
        thread.join()
        os.close(reader)
        self.assertIn('standard input: has more than', self.vmm(2, 'report', 'show', '-', input=bytes(1 << 20)))
        self.assertIn('it can be read once', self.vmm(2, 'report', 'verify', '-', '--vcek', '-', input=REPORT))

    def test_id_blocks(self):
        block = self.file(bytes([1]) * 48 + bytes(32) + bytes.fromhex('01000000 00000000 0000030000000000'))
        shown = self.vmm(0, 'idblock', 'show', block, self.file(ID_AUTH))
        self.assertIn('policy             0x30000', shown)
        for block_text, auth_text in zip(texts(pathlib.Path(block).read_bytes()), texts(ID_AUTH)):
            self.assertEqual(self.vmm(0, 'idblock', 'show', self.file(block_text), self.file(auth_text)), shown)
            self.assertEqual(self.vmm(0, 'idblock', 'show', '-', self.file(auth_text), input=block_text), shown)
        said = self.vmm(2, 'idblock', 'show', self.file(base64.b64encode(bytes(95))))
        self.assertIn('has 95 bytes in Base64: it must be the 96 bytes', said)

    def test_policies_in_words(self):
        args = ['report', 'verify', self.file(REPORT), '--certs', self.file(TABLE), *AT, '--policy']
        for policy in '0xb0000', 'smt,debug', ' debug , smt', '720896':
            self.assertIn('ok      policy', self.vmm(0, *args, policy))
        self.assertIn('0xb0000, wanted 0x30000', self.vmm(1, *args, 'smt'))
        self.assertIn('did you mean "smt"', self.vmm(2, *args, 'smtt'))
        self.assertIn('--policy: has no word "nodbg"', self.vmm(2, *args, 'nodbg'))


if __name__ == '__main__':
    del sys.argv[1:]
    unittest.main()
