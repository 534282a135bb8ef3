#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What vmm says of a guest with a migration helper: a digest over firmware and image, and what a launch needs.     measure.py VMM IMAGE"""
import hashlib
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

vmm, image = '', b''


def run(folder, verb, *words, more=()):
    sets = [part for word in ('machine.memory=4M', 'firmware=image.fd', *words) for part in ('--set', word)]
    return subprocess.run([vmm, verb, *more, *sets], cwd=folder, capture_output=True, text=True, timeout=120)


class Measure(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.firmware = bytes(range(256)) * 255 + bytes(240) + bytes.fromhex('baf90c b006 ee') + bytes(10)    # it asks to be reset
        (Path(self.folder.name) / 'image.fd').write_bytes(self.firmware)

    def tearDown(self):
        self.folder.cleanup()

    def digest(self, *words):
        done = run(self.folder.name, 'measure', 'sev.type=sev', *words, more=('--json', '--rows'))
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_it_is_measured_behind_the_firmware(self):
        made = self.digest('sev.helper=true')
        self.assertEqual(made['digest'], hashlib.sha256(self.firmware + image).hexdigest())
        self.assertEqual(made['helper'], hashlib.sha256(image).hexdigest())
        row = made['rows'][1]
        self.assertEqual([row[key] for key in ('name', 'type', 'gpa', 'bytes')], ['helper', 'normal', '0xfef00000', 65536])

    def test_no_processor_and_no_memory_changes_it(self):
        digests = {self.digest('sev.helper=true', *words)['digest'] for words in
                   ((), ('machine.cpu=EPYC-Genoa',), ('machine.memory=3G',), ('machine.vcpus=8',), ('sev.policy=0x3',), ('sim.c-bit=47',))}
        self.assertEqual(len(digests), 1)

    def test_without_it_nothing_is_measured(self):
        made = self.digest()
        self.assertEqual((made['digest'], made['helper'], len(made['rows'])), (hashlib.sha256(self.firmware).hexdigest(), None, 1))

    def test_a_launch_makes_the_mirror(self):
        for init in ('init2', 'legacy'):
            done = run(self.folder.name, 'run', 'sev.type=sev', 'sev.helper=true', f'sev.init={init}', 'log=debug', 'run.on-reboot=exit', more=('--host', 'sim', '--trace', 'trace'))
            trace = (Path(self.folder.name) / 'trace').read_text()
            self.assertEqual(done.returncode, 5, done.stderr)
            self.assertIn('launch: helper', done.stderr)
            self.assertIn('ioctl vm1 KVM_ENABLE_CAP cap=0xc5', trace)    # KVM_CAP_VM_COPY_ENC_CONTEXT_FROM
            self.assertIn('ioctl vcpu1.0 KVM_SET_REGS rip=0x80fef00000', trace)
            self.assertLess(trace.index('close vm1'), trace.index('close vm0'))
            # The context before the first vCPU, and CPUID, which knows the C-bit, before CR3 has it.
            order = [trace.index(call) for call in ('ioctl vm1 KVM_ENABLE_CAP cap=0xc5', 'ioctl vm1 KVM_CREATE_VCPU', 'ioctl vcpu1.0 KVM_SET_CPUID2',
                                                    'ioctl vcpu1.0 KVM_SET_SREGS')]
            self.assertEqual(order, sorted(order))

    def test_its_pages_are_locked_with_the_guests(self):
        for kib, good in (348, True), (352, False):     # the image counts twice while it is measured
            (Path(self.folder.name) / 'big.fd').write_bytes(bytes(kib * 1024 - len(self.firmware)) + self.firmware)
            done = run(self.folder.name, 'run', 'sev.type=sev', 'sev.helper=true', 'sim.memlock=5M', 'firmware=big.fd', 'run.on-reboot=exit',
                       more=('--host', 'sim'))
            self.assertEqual(done.returncode, 5 if good else 4, done.stderr)
            self.assertEqual('KiB must be locked' in done.stderr, not good, done.stderr)

    def test_the_places_of_its_secret_are_known(self):
        for address, good in (('fef07000', True), ('fef52000', False), ('feeff000', False)):
            done = run(self.folder.name, 'run', 'sev.type=sev', 'sev.helper=true', f'sev.secret-address={address}', 'sev.secret=later',
                       'sev.secret-header=later', more=('--host', 'sim', '--dry-run'))
            self.assertEqual('is not in the guest\'s memory' in done.stdout + done.stderr, not good, done.stdout + done.stderr)


if __name__ == '__main__':
    vmm, image = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).read_bytes()
    unittest.main(argv=sys.argv[:1])
