#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ID blocks of SEV-SNP guests on the software platform: the right one launches, every wrong one is foreseen."""
import subprocess
import unittest

import images
from images import guests


class IdBlock(unittest.TestCase):
    def setUp(self):
        self.path = guests.Folder(self).path
        (self.path / 'image.fd').write_bytes(images.image(guests.OUTSIDE))
        for key in ('id', 'author'):
            subprocess.run(['openssl', 'ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', f'{key}.pem'],
                           cwd=self.path, check=True)

    def vmm(self, *args):
        return subprocess.run([guests.VMM, *args], cwd=self.path, stdin=subprocess.DEVNULL, timeout=300, capture_output=True,
                              text=True)

    def config(self, *more):
        words = ['sev.type=sev-snp', 'firmware=image.fd', 'machine.memory=1M', 'machine.cpu=EPYC-Milan', *more]
        return [part for word in words for part in ('--set', word)]

    def make(self, *options):
        done = self.vmm('idblock', 'make', '--id-key', 'id.pem', '--out-block', 'block', '--out-auth', 'auth', *options)
        self.assertEqual(done.returncode, 0, done.stderr)

    def run_with(self, *more):
        return self.vmm('run', '--host', 'sim', '--trace', 'trace',
                        *self.config('sev.id-block=block', 'sev.id-auth=auth', *more))

    def assert_launched(self, author):
        done = self.run_with()
        # This guest leaves its memory with its first instruction.
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(f'KVM_SEV_SNP_LAUNCH_FINISH id-block=0x1 author=0x{author} -> 0', (self.path / 'trace').read_text())

    def assert_foreseen(self, done, *parts):
        self.assertEqual(done.returncode, 2, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertNotIn('KVM_CREATE_VM', (self.path / 'trace').read_text())

    def test_block_of_this_guest_launches(self):
        self.make(*self.config())
        self.assert_launched(0)

    def test_block_with_an_author_launches(self):
        self.make(*self.config(), '--author-key', 'author.pem', '--guest-svn', '7')
        self.assert_launched(1)

    def test_block_of_another_guest_is_foreseen(self):
        self.make(*self.config('machine.vcpus=2'))
        self.assert_foreseen(self.run_with(), 'sev.id-block: the ID block is for the digest', 'BAD_MEASUREMENT')

    def test_block_of_another_policy_is_foreseen(self):
        self.make(*self.config('sev.policy=smt,debug'))
        self.assert_foreseen(self.run_with(), 'the ID block is for the policy 0xb0000, this guest has 0x30000')

    def test_changed_block_is_foreseen(self):
        self.make(*self.config())
        block = bytearray((self.path / 'block').read_bytes())
        block[0x30] ^= 1
        (self.path / 'block').write_bytes(block)
        self.assert_foreseen(self.run_with(), 'sev.id-block: signature of the ID block', 'BAD_SIGNATURE')

    def test_changed_authors_signature_is_foreseen(self):
        self.make(*self.config(), '--author-key', 'author.pem')
        auth = bytearray((self.path / 'auth').read_bytes())
        auth[0x680] ^= 1
        (self.path / 'auth').write_bytes(auth)
        self.assert_foreseen(self.run_with(), "sev.id-block: author's signature of the ID key", 'BAD_SIGNATURE')


guests.main()
