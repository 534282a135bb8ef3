#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that know nothing of vmm, under `vmm platform`: what they ask KVM, and what they do to its descriptors."""
import hashlib
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

VMM, USER, LOADER = os.environ['VMM_PROGRAM'], os.environ['USER_PROGRAM'], '/lib64/ld-linux-x86-64.so.2'
SIMULATED = 'This is the software platform, a simulation: nothing protects the guest.\n'
GUEST = bytes([0xb0, 42, 0xe6, 16, 0xf4])  # guest_code of user.c
RAN = ['port 16 gets 42', f'exit {5}']  # KVM_EXIT_HLT


class Preload(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def vmm(self, *args, status=0, env=None):
        done = subprocess.run([VMM, 'platform', *args], capture_output=True, text=True, cwd=self.path, timeout=100,
                              env={**os.environ, **(env or {})})
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def lines(self, case, *options, program=(USER,), **more):
        done = self.vmm(*options, '--', *program, case, **more)
        self.assertEqual(done.stderr, SIMULATED)
        return done.stdout.splitlines()

    def refused(self, *args, status=2):
        return self.vmm(*args, status=status).stderr

    def test_a_guest_runs(self):
        self.assertEqual(self.lines('run'), RAN)

    def test_duplicates_reach_the_same(self):
        self.assertEqual(self.lines('copies'), ["the number is another file's: 1", *RAN, 'a file in its place: ENOTTY',
                                                'closed: EBADF'])

    def test_a_child_has_no_vm_of_its_parent(self):
        self.assertEqual(self.lines('fork'), [RAN[0], "the parent's vCPU: EIO", "the parent's /dev/kvm: 12", *RAN])

    def test_a_child_of_vfork_closes_nothing(self):
        self.assertEqual(self.lines('vfork'), RAN[:1])

    def test_a_child_of_lone_fork_has_no_vm_of_its_parent(self):
        self.assertEqual(self.lines('lone-fork'), ["the parent's vCPU: EIO", "the parent's /dev/kvm: 12", RAN[0]])

    def test_the_platform_s_own_descriptors_stay(self):
        self.assertEqual(self.lines('strangers'), ['irqchip: 0', 'irqfd: 0', 'interrupt: 1'])

    def test_handlers_of_signals_call_and_jump(self):
        self.assertEqual(self.lines('handlers'), RAN[:1])

    def test_descriptors_have_no_file_of_ours(self):
        self.assertEqual(self.lines('stat'), ['/dev/kvm: 20000 10:232', 'a VM: 600, 0 bytes', 'by empty paths: 20000 20000'])

    def test_other_names_of_the_device(self):
        self.assertEqual(self.lines('paths'), [
            '//dev/kvm: 12', '/dev/./kvm: 12', '/dev/../dev/kvm: 12', '/proc/self/root/dev/kvm: 12', 'from /dev on: 12', 'a link: 0', 'by the link: 12',
            'another link: 0', 'by the other link: 12', 'kvm in another folder: ENOENT'])

    def test_programs_are_found_as_execvp_finds_them(self):
        (self.path / 'folder/program').mkdir(parents=True)
        script = self.path / 'program'
        script.write_text('#!/bin/sh\necho found\n')
        script.chmod(0o755)
        for path in ('folder:', f'{self.path}/folder:{self.path}', ':/bin', 'folder::/bin'):
            self.assertEqual(self.vmm('program', env={'PATH': path}).stdout, 'found\n')
        self.assertIn('is no program in the folders of PATH', self.vmm('program', env={'PATH': 'folder:/bin'}, status=2).stderr)

    def test_memory_of_closed_vms_is_forgotten(self):
        done = self.vmm('--explain', USER, 'relaunch')
        self.assertEqual(done.stdout.splitlines(), ['slot: 0', 'slot: 0', 'init: 0', 'start: 0', 'update: 0'])
        self.assertIn('measured 0x3000 ', done.stderr)

    def test_cpuid_is_the_platform_s(self):
        self.assertEqual(self.lines('cpuid'), ['AuthenticAMD', 'SEV 1 SEV-ES 1 SEV-SNP 1 C-bit 51'])
        self.assertEqual(self.lines('cpuid', '--set', 'sim.product=Rome', '--set', 'sim.c-bit=47')[1],
                         'SEV 1 SEV-ES 1 SEV-SNP 0 C-bit 47')
        self.assertEqual(self.lines('cpuid', '--set', 'sim.product=none')[1], 'SEV 0 SEV-ES 0 SEV-SNP 0 C-bit 0')

    def test_the_program_keeps_its_illegal_instructions(self):
        self.assertEqual(self.lines('illegal'), ['above 0x80000000: 1', "the program's handler"])
        self.assertEqual(self.lines('crash', status=-signal.SIGILL)[0], 'AuthenticAMD')

    def test_files_of_the_system(self):
        lines = self.lines('files')
        self.assertEqual(lines[:4], ['/sys/module/kvm_amd/parameters/sev_snp: Y', 'access 0, for writing -1, type 100000',
                                     '/sys/devices/system/cpu/smt/control: on', 'access 0, for writing -1, type 100000'])
        self.assertEqual(lines[-3:], ['/dev/sev: 0', '/dev/kvm: 0', 'no parameter of ours: ENOENT'])
        lines = self.lines('files', '--set', 'sim.product=none', '--set', 'sim.smt=false')
        self.assertEqual((lines[0], lines[2], lines[-3]),
                         ('/sys/module/kvm_amd/parameters/sev_snp: N', '/sys/devices/system/cpu/smt/control: off', '/dev/sev: ENOENT'))

    def test_the_cgroup_is_the_platform_s(self):
        lines = self.lines('files', '--set', f'sim.cgroup={self.path}/group', '--set', 'sim.asids=20', '--set', 'sim.es-asids=5')
        self.assertEqual(lines[4], '/sys/fs/cgroup/misc.capacity: sev 15')

    def test_descriptors_are_no_files(self):
        self.assertEqual(self.lines('objects'), ['read: EINVAL', 'write: EINVAL', 'pread: ESPIPE', 'ftruncate: EINVAL', 'errno is kept: 0',
                                                 'guest_memfd: 0', 'its read: EINVAL', 'its fallocate: 0'])

    def test_programs_that_start_it(self):
        self.assertEqual(self.lines('run', program=('/bin/sh', '-c', f'{USER} "$0"')), RAN)
        self.assertEqual(self.lines('run', program=(LOADER, USER)), RAN)
        self.assertEqual(self.lines('cpuid', program=(LOADER, USER))[1], 'SEV 1 SEV-ES 1 SEV-SNP 1 C-bit 51')
        script = self.path / 'script'
        script.write_text(f'#!/bin/sh\nexec {USER} run\n')
        script.chmod(0o755)
        self.assertEqual(self.vmm('./script').stdout.splitlines(), RAN)
        self.assertEqual(self.vmm('sh', '-c', 'exit 7', status=7).stdout, '')

    def test_other_libraries_stay(self):
        self.assertEqual(self.lines('run', env={'LD_PRELOAD': '/lib/x86_64-linux-gnu/libdl.so.2'}), RAN)

    def test_launches_are_explained(self):
        done = self.vmm('--explain', USER, 'launch')
        self.assertEqual(done.stdout.splitlines(), [
            'init: 0', 'start: 0', 'update: 0', 'finish: EIO', 'size of the measurement: EIO', 'measure: 0', 'finish: 0', 'nothing: EFAULT',
            'nowhere: EFAULT'])
        digest = hashlib.sha256(GUEST.ljust(4096, b'\0')).hexdigest()
        simulated, measured, refused, launched, again = done.stderr.splitlines()
        self.assertEqual(measured.split(), ['vmm', 'platform:', 'measured', '0x1000', '1', 'page', 'normal', digest])
        self.assertRegex(refused, r'^vmm platform: KVM_SEV_LAUNCH_FINISH: .*\(EIO\), firmware code 0x2, INVALID_GUEST_STATE: .*; ')
        self.assertEqual(launched, f'vmm platform: launched a SEV guest, policy 0x1, digest {digest}')
        self.assertRegex(again, r'^vmm platform: KVM_SEV_LAUNCH_START: .*\(EFAULT\)')

    def compared(self, *words):
        done = subprocess.run([VMM, 'measure', '--compare', 'calls', '--set', 'firmware=image', '--set', 'sev.type=sev', *words], capture_output=True, text=True,
                              cwd=self.path, timeout=100)
        return done.returncode, done.stdout, done.stderr

    def test_a_trace_tells_which_page_differs(self):
        image = self.path / 'image'
        image.write_bytes(GUEST.ljust(4096, b'\0'))
        self.vmm('--trace', 'calls', USER, 'launch')
        calls = (self.path / 'calls').read_text()
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        self.assertIn(f'measured normal 0x0 4096 {digest[:16]}\n', calls)
        self.assertEqual(self.compared()[:2], (0, f'the same: {digest}\n'))
        image.write_bytes(GUEST.ljust(4095, b'\0') + b'!')
        self.assertEqual(self.compared()[:2], (1, 'first differs: firmware page 0xfffff000 differs\n'))
        image.write_bytes(GUEST.ljust(8192, b'\0'))
        self.assertIn('first differs: firmware at 0xffffe000, 1 page, normal -> firmware at 0xffffe000, 2 pages, normal', self.compared()[1])
        self.vmm('--trace', 'calls', USER, 'run')
        self.assertEqual(self.compared()[0], 2)
        self.assertIn('no launch of a confidential guest came to its end', self.compared()[2])

    def test_trace(self):
        self.assertEqual(self.lines('run', '--trace', 'calls'), RAN)
        calls = (self.path / 'calls').read_text()
        self.assertIn('ioctl vcpu0.0 KVM_RUN KVM_EXIT_IO out port=0x10', calls)
        self.assertNotIn('CPUID', calls)  # what the library asks for itself
        self.lines('fork', '--trace', 'calls')
        others = list(self.path.glob('calls.*'))
        self.assertEqual(len(others), 1)
        self.assertIn('KVM_RUN', others[0].read_text())
        self.assertIn('no/folder', self.refused('--trace', 'no/folder/calls', '--', USER, 'run', status=4))

    def test_refusals(self):
        self.assertIn('usage: vmm platform', self.refused())
        self.assertIn('nonesuch is no program in the folders of PATH', self.refused('nonesuch'))
        self.assertIn('No such file', self.refused('./nonesuch'))
        self.assertIn('sim.firmware-version', self.refused('--set', 'sim.firmware-version=x', USER, 'run'))
        program = self.path / 'static'
        program.write_bytes(self.without_loader(pathlib.Path(USER).read_bytes()))
        program.chmod(0o755)
        self.assertIn('is linked statically', self.refused('./static'))
        narrow = bytearray(pathlib.Path(USER).read_bytes())
        narrow[4] = 1  # ELFCLASS32
        program.write_bytes(narrow)
        self.assertIn('is no program for x86-64', self.refused('./static'))
        program.write_bytes(narrow[:32])
        self.assertIn('./static cannot be started', self.refused('./static', status=1))

    @staticmethod
    def without_loader(image):
        """The program with its PT_INTERP made a PT_NULL."""
        image = bytearray(image)
        at, count = int.from_bytes(image[32:40], 'little'), int.from_bytes(image[56:58], 'little')
        for i in range(count):
            if image[at + 56 * i:at + 56 * i + 4] == b'\x03\0\0\0':
                image[at + 56 * i] = 0
        return bytes(image)


if __name__ == '__main__':
    unittest.main()
