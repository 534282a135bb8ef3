#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What vmm says of a guest with a migration helper: a digest over firmware and image, and what a launch needs. For SEV-ES guests the VMSAs are
made here from the manuals (APM volume 2, table B-4 and 14.1.3), without any code of vmm.     measure.py VMM IMAGE"""
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import unittest
import uuid
from pathlib import Path

vmm, image = '', b''


AP_START = 0x80b004


def es_firmware():
    """An image that says where application processors start, and crashes at once: no handler of #VC, and no interrupt table."""
    reset = struct.pack('<IH', AP_START, 22) + uuid.UUID('00f771de-1a7e-4fcb-890e-68c77e2fb44e').bytes_le
    table = reset + struct.pack('<H', len(reset) + 18) + uuid.UUID('96b582de-1fb2-45f7-baea-a366c55a082d').bytes_le
    head = bytes(65536 - 32 - len(table))
    return head + table + bytes(16) + bytes.fromhex('0f011e0000 cc') + bytes(10)


def vmsa(segments, rest):
    """segments: (selector, attributes, limit, base) of ES, CS, SS, DS, FS, GS, GDTR, LDTR, IDTR, TR; rest: {offset: (format, value)}."""
    page = bytearray(4096)
    for number, segment in enumerate(segments):
        struct.pack_into('<HHIQ', page, 16 * number, *segment)
    for offset, (form, value) in rest.items():
        struct.pack_into('<' + form, page, offset, value)
    return bytes(page)


def common(fpu=True):
    """G_PAT, DR7, DR6, RFLAGS, XCR0; MXCSR and the x87 control word, which KVM_SEV_ES_INIT leaves out."""
    fields = {0x268: ('Q', 0x0007040600070406), 0x160: ('Q', 0x400), 0x168: ('Q', 0xffff0ff0), 0x170: ('Q', 2), 0x3e8: ('Q', 1)}
    return fields | ({0x408: ('I', 0x1f80), 0x410: ('H', 0x37f)} if fpu else {})


def reset_vmsa(eip, signature, features=0, **how):
    flat, table = (0, 0x93, 0xffff, 0), (0, 0, 0xffff, 0)
    code = (0xf000, 0x9b, 0xffff, eip & 0xffff0000)
    return vmsa([flat, code, flat, flat, flat, flat, table, (0, 0x82, 0xffff, 0), table, (0, 0x8b, 0xffff, 0)],
                common(**how) | {0xd0: ('Q', 0x1000), 0x148: ('Q', 0x40), 0x158: ('Q', 0x10), 0x178: ('Q', eip & 0xffff), 0x310: ('Q', signature),
                                 0x3b0: ('Q', features)})


def helper_vmsa(c_bit, **how):
    """64-bit mode; EFER has SVME and CR4 MCE by KVM."""
    code, data, none = (8, 0xa9b, 0xffffffff, 0), (16, 0xc93, 0xffffffff, 0), (0, 0, 0, 0)
    tables = 0xfef08000 if c_bit == 47 else 0xfef0c000
    return vmsa([data, code, data, data, data, data, none, (0, 0x82, 0xffff, 0), none, (0, 0x8b, 0xffff, 0)],
                common(**how) | {0xd0: ('Q', 0x1d00), 0x148: ('Q', 0x660), 0x150: ('Q', tables | 1 << c_bit), 0x158: ('Q', 0x80010033),
                                 0x178: ('Q', 0x80fef00000)})


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

    def test_the_processor_of_the_helper_of_a_sev_es_guest_is_measured_last(self):
        firmware = es_firmware()
        (Path(self.folder.name) / 'es.fd').write_bytes(firmware)
        for words, signature, how in (((), 0xa00f11, {}), (('machine.cpu=EPYC-Genoa',), 0xa10f10, {}), (('machine.cpu=EPYC-Rome',), 0x830f10, {}),
                                      (('sev.init=legacy',), 0xa00f11, {'fpu': False}), (('machine.vcpus=2', 'sev.vmsa-features=0x20'), 0xa00f11, {'features': 0x20}),
                                      (('machine.cpu=host', 'machine.cpu-signature=0x800f12'), 0x800f12, {})):
            with self.subTest(words=words):
                made = self.digest('sev.type=sev-es', 'sev.helper=true', 'firmware=es.fd', *(words if 'cpu=' in ''.join(words) else ('machine.cpu=EPYC-Milan', *words)))
                vcpus = [reset_vmsa(0xfffffff0, signature, **how)] + [reset_vmsa(AP_START, signature, **how)] * (made['vcpus'] - 1)
                c_bit = 47 if signature >> 20 == 8 else 51      # family 17h
                measured = firmware + image + b''.join(vcpus) + helper_vmsa(c_bit, **{k: v for k, v in how.items() if k == 'fpu'})
                self.assertEqual(made['digest'], hashlib.sha256(measured).hexdigest())
                self.assertEqual([(row['name'], row.get('vcpu')) for row in made['rows'][2:]],
                                 [('VMSA', number) for number in range(made['vcpus'])] + [('helper VMSA', None)])

    def test_a_launch_of_a_sev_es_guest_makes_the_mirror_before_it_is_measured(self):
        (Path(self.folder.name) / 'es.fd').write_bytes(es_firmware())
        for init in ('init2', 'legacy'):
            done = run(self.folder.name, 'run', 'sev.type=sev-es', 'sev.helper=true', 'firmware=es.fd', 'machine.cpu=EPYC-Milan', f'sev.init={init}',
                       more=('--host', 'sim', '--trace', 'trace'))
            self.assertIn('triple fault', done.stderr)
            trace = (Path(self.folder.name) / 'trace').read_text()
            order = [trace.index(call) for call in ('KVM_SEV_LAUNCH_START', 'ioctl vm0 KVM_MEMORY_ENCRYPT_OP KVM_SEV_LAUNCH_UPDATE_VMSA', 'ioctl vm1 KVM_ENABLE_CAP cap=0xc5',
                                                    'ioctl vm1 KVM_CREATE_VCPU', 'ioctl vcpu1.0 KVM_SET_CPUID2', 'ioctl vcpu1.0 KVM_SET_SREGS',
                                                    'ioctl vm1 KVM_MEMORY_ENCRYPT_OP KVM_SEV_LAUNCH_UPDATE_VMSA', 'KVM_SEV_LAUNCH_MEASURE', 'close vm1', 'close vm0')]
            self.assertEqual(order, sorted(order))

    def test_what_has_changed_is_told(self):
        (Path(self.folder.name) / 'es.fd').write_bytes(es_firmware())
        words = ('sev.type=sev-es', 'firmware=es.fd', 'machine.cpu=EPYC-Milan')
        for then, now, expected in ((('sev.helper=true',), ('sev.helper=true',), []), (('sev.helper=true', 'machine.vcpus=2'), ('sev.helper=true',), ['vCPU count 2 -> 1']),
                                    (('sev.helper=true',), ('sev.helper=true', 'machine.cpu=EPYC-Rome'),
                                     ['VMSA of vCPU 0: rdx 0xa00f11 -> 0x830f10 (the CPU signature: machine.cpu)', 'VMSA of the helper: cr3 0x80000fef0c000 -> 0x8000fef08000']),
                                    ((), ('sev.helper=true',), ['nothing -> helper at 0xfef00000, 16 pages, normal'])):
            with self.subTest(then=then, now=now):
                saved = run(self.folder.name, 'measure', *words, *then, more=('--json', '--rows')).stdout
                (Path(self.folder.name) / 'then.json').write_text(saved)
                done = run(self.folder.name, 'measure', *words, *now, more=('--json', '--compare', 'then.json'))
                self.assertEqual(json.loads(done.stdout)['differences'], expected)

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
