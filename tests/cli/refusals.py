#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What vmm refuses: one line on standard error that says what and what to do, and the documented exit status."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import guests

DATA = pathlib.Path(__file__).resolve().parents[1] / 'data/attestation'
IN_PLACE_OF_DEV = 'mount -t tmpfs dev /dev && '


def why_no_namespace():
    if os.geteuid():
        return 'only root can put another /dev in place'
    if guests.run(['unshare', '-m', 'sh', '-c', IN_PLACE_OF_DEV + 'true']).returncode:
        return 'this machine lets nobody mount in a namespace'
    return None


NO_NAMESPACE = why_no_namespace()


class Refusals(unittest.TestCase):
    def setUp(self):
        self.files = guests.Folder(self)
        self.firmware = self.files.guest(guests.POWER_OFF)[3].removeprefix('firmware=')

    def refused(self, status, text, *args, prefix=(), shown=''):
        """args are refused with one line that has these parts."""
        done = guests.run([*prefix, guests.VMM, *args], text=True, cwd=self.files.path)
        self.assertEqual((done.returncode, done.stdout), (status, shown), done.stderr)
        # A coverage build also says which of its own files it could not open.
        said = [line for line in done.stderr.splitlines() if not line.startswith('profiling:')]
        self.assertEqual(len(said), 1, done.stderr)
        self.assertTrue(said[0].startswith('vmm: '), done.stderr)
        for part in [text] if isinstance(text, str) else text:
            self.assertIn(part, said[0] + '\n')

    def refused_run(self, status, text, *sets, prefix=()):
        words = [f'firmware={self.firmware}', *sets]
        self.refused(status, text, 'run', *(part for word in words for part in ('--set', word)), prefix=prefix)

    def firmware_of(self, size):
        path = self.files.path / f'{size}.fd'
        with open(path, 'wb') as file:
            file.truncate(size)
        return path.name

    def test_firmware_that_is_no_image(self):
        for size, text in ((0, 'it is empty'), (3, 'whole pages of 4 KiB'), (5000, 'whole pages of 4 KiB'),
                           (64 << 20, 'the limit is 16777216; is it the right file?')):
            with self.subTest(size=size):
                self.refused(2, ['firmware', f'{size}.fd', text], 'run', '--set', f'firmware={self.firmware_of(size)}')

    def test_firmware_version_of_the_software_platform(self):
        for version in ('1.2', '1.2.3.4', '1.256.3', '0.0.0', 'one'):
            with self.subTest(version=version):
                self.refused(2, ['sim.firmware-version', 'three numbers', version], 'host', '--host', 'sim', '--set',
                             f'sim.firmware-version={version}')

    def test_firmware_that_is_no_file(self):
        (self.files.path / 'folder').mkdir()
        for name, text in (('none', 'No such file'), ('folder', 'directory'),
                           ('/dev/null', 'a device, a regular file or a pipe'), ('x' * 256, 'File name too long')):
            with self.subTest(name=name):
                self.refused(2, ['firmware', text], 'run', '--set', f'firmware={name}')

    @unittest.skipIf(NO_NAMESPACE, NO_NAMESPACE)
    def test_firmware_whose_package_is_missing(self):
        """The default, and the same file by its name: the error says how to get it, and calls only the former the default."""
        prefix = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs share /usr/share && exec "$@"', 'sh']
        remedy = ['/usr/share/ovmf/OVMF.fd', 'apt install ovmf', 'scripts/setup --firmware']
        self.refused(2, [*remedy, ', the default,'], 'run', '--host', 'sim', prefix=prefix)
        named = ['--set', 'firmware=/usr/share/ovmf/OVMF.fd']
        self.refused(2, remedy, 'run', '--host', 'sim', *named, prefix=prefix)
        done = guests.run([*prefix, guests.VMM, 'run', '--host', 'sim', *named], text=True)
        self.assertNotIn('default', done.stderr)

    @unittest.skipIf(NO_NAMESPACE, NO_NAMESPACE)
    def test_firmware_that_may_not_be_read(self):
        os.chmod(self.files.path, 0o755)
        os.chmod(self.firmware, 0o600)
        self.refused_run(2, 'Permission denied', prefix=self.as_nobody('true'))

    def as_nobody(self, prepare):
        """The tree may lie where nobody else can look: the program is copied, and one built for coverage counts elsewhere."""
        counts = self.files.path / 'counts'
        counts.mkdir()
        os.chmod(counts, 0o777)
        program = self.files.path / 'vmm'
        shutil.copy(guests.VMM, program)
        os.chmod(program, 0o755)
        script = IN_PLACE_OF_DEV + prepare + f' && shift && export GCOV_PREFIX={counts} && ' \
            + f'exec setpriv --reuid=65534 --regid=65534 --clear-groups {program} "$@"'
        return ['unshare', '-m', 'sh', '-c', script, 'sh']

    @unittest.skipIf(NO_NAMESPACE, NO_NAMESPACE)
    def test_no_kvm(self):
        prefix = ['unshare', '-m', 'sh', '-c', IN_PLACE_OF_DEV + 'exec "$@"', 'sh']
        self.refused_run(4, ['/dev/kvm is missing', 'modprobe kvm_amd'], prefix=prefix)
        done = guests.run([*prefix, guests.VMM, 'host'], text=True)
        self.assertEqual((done.returncode, done.stderr), (4, ''))
        self.assertEqual(done.stdout.count('\n'), 1)
        self.assertIn('KVM: not usable: /dev/kvm is missing', done.stdout)
        done = guests.run([*prefix, guests.VMM, 'host', '--json'], text=True)
        kvm = json.loads(done.stdout)['kvm']
        self.assertEqual((done.returncode, kvm['usable']), (4, False))
        self.assertIn('/dev/kvm is missing', kvm['reason'])
        self.assertEqual((kvm['version'], kvm['capabilities']), (None, None))

    @unittest.skipUnless(guests.KVM, '/dev/kvm cannot be opened here')
    def test_kvm_that_is_usable(self):
        done = guests.run([guests.VMM, 'host', '--json'], text=True)
        kvm = json.loads(done.stdout)['kvm']
        self.assertEqual((done.returncode, kvm['usable'], kvm['reason'], kvm['version']), (0, True, None, 12))
        self.assertEqual(kvm['capabilities']['KVM_CAP_USER_MEMORY'], 1)

    @unittest.skipIf(NO_NAMESPACE, NO_NAMESPACE)
    def test_kvm_without_permission(self):
        os.chmod(self.files.path, 0o755)
        os.chmod(self.firmware, 0o644)
        prefix = self.as_nobody('mknod -m 600 /dev/kvm c 10 232')
        self.refused_run(4, ['/dev/kvm may not be opened', 'mode 0600, so no group helps'], prefix=prefix)

    @unittest.skipIf(NO_NAMESPACE, NO_NAMESPACE)
    def test_kvm_that_is_something_else(self):
        prefix = ['unshare', '-m', 'sh', '-c', IN_PLACE_OF_DEV + 'touch /dev/kvm && exec "$@"', 'sh']
        self.refused_run(4, '/dev/kvm', prefix=prefix)

    @unittest.skipUnless(guests.KVM, '/dev/kvm cannot be opened here')
    def test_memory_that_the_host_lacks(self):
        self.refused_run(4, ['1048576 MiB', 'lower machine.memory'], 'machine.memory=1T')

    @unittest.skipUnless(guests.KVM, '/dev/kvm cannot be opened here')
    def test_memory_beyond_the_limit_of_a_file(self):
        """Memory that another process maps, here virtiofsd, is a file."""
        self.refused(4, ["guest's memory", 'EFBIG', 'RLIMIT_FSIZE is 8192 KiB', 'ulimit -f'], 'run', '--set', f'firmware={self.firmware}', '--set',
                     'machine.memory=16M', '--device', f'fs,tag=t,folder={self.files.path}', prefix=['prlimit', f'--fsize={8 << 20}'])

    def test_output_beyond_the_limit_of_a_file(self):
        with open(self.files.path / 'out', 'wb') as out:
            done = guests.run(['prlimit', '--fsize=0', guests.VMM, '--help'], capture_output=False, stdout=out,
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 4)
        self.assertIn('EFBIG', done.stderr)
        self.assertIn('RLIMIT_FSIZE is 0 KiB; raise it (ulimit -f, LimitFSIZE= of a service)', done.stderr)

    @unittest.skipUnless(guests.KVM, '/dev/kvm cannot be opened here')
    def test_descriptors_that_run_out(self):
        self.refused_run(4, ['EMFILE', 'RLIMIT_NOFILE is 5; raise it (ulimit -n'], prefix=['prlimit', '--nofile=5'])

    def test_addresses_that_run_out(self):
        prefix = ['prlimit', f'--as={512 << 20}']
        if guests.run([*prefix, guests.VMM, '--version']).returncode != 0:
            self.skipTest('this build cannot start with so few addresses: a sanitizer reserves terabytes')
        self.refused_run(4, ['ENOMEM', 'RLIMIT_AS is 524288 KiB; raise it (ulimit -v'], 'machine.memory=1G', prefix=prefix)

    def test_threads_that_run_out(self):
        os.chmod(self.files.path, 0o755)
        os.chmod(self.firmware, 0o644)
        if os.geteuid() != 0:
            self.skipTest('only root can become a user without threads')
        self.refused_run(4, ['a guest with 16 vCPUs needs 18 threads (EAGAIN)', 'RLIMIT_NPROC is 8; raise it (ulimit -u'], 'machine.vcpus=16',
                         prefix=['prlimit', '--nproc=8', 'setpriv', '--reuid=54321', '--clear-groups'])

    def test_descriptors_of_many_processors_are_foreseen(self):
        words = ['--set', 'machine.vcpus=16', '--set', 'machine.memory=1M', '--set', f'firmware={self.firmware}']
        run = [guests.VMM, 'run', '--host', 'sim', *words]
        done = guests.run(['prlimit', '--nofile=16', *run], text=True)
        self.assertEqual(done.returncode, 4)
        self.assertIn('RLIMIT_NOFILE is 16; raise it (ulimit -n', done.stderr)
        needed = int(re.search(r'needs about (\d+) open files', done.stderr)[1])
        # The error asks for enough, and not for much more than that.
        done = guests.run(['prlimit', f'--nofile={needed}', *run], text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(needed, 2 * 16 + 25)

    @unittest.skipUnless(guests.KVM, '/dev/kvm cannot be opened here')
    def test_huge_pages_that_the_host_lacks(self):
        memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 21 << 21
        sets = f'machine.memory={memory}', 'machine.hugepages=true'
        self.refused_run(4, ['free pages of 2 MiB', 'vm.nr_hugepages'], *sets)
        words = [part for word in (f'firmware={self.firmware}', 'sev.type=sev', *sets) for part in ('--set', word)]
        done = guests.run([guests.VMM, 'run', '--host', 'sim', *words], text=True)
        self.assertEqual(done.returncode, 4)
        self.assertIn('vm.nr_hugepages', done.stderr)
        self.assertNotIn('lower machine.memory', done.stderr)

    def test_wrong_values(self):
        for word, text in (('machine.cpu=EPYC-Milna', 'did you mean "EPYC-Milan"?'),
                           ('machine.cpu=z80', 'there are host, '), ('machine.memory=1500K', 'a multiple of 1M'),
                           ('machine.memory=0', 'from 1M'), ('machine.memory=9999999999999999999999', 'a size'),
                           ('machine.vcpus=0', 'from 1 to 512'), ('machine.vcpus=513', 'from 1 to 512'),
                           ('machine.vcpus=65', 'a guest can run with at most 64'),
                           ('machine.memroy=1M', 'machine.memory'), ('nonsense', 'KEY=VALUE'), ('=', 'no such key'),
                           ('machine.debugcon=/nowhere/at/all', 'cannot be written'), ('machine.debugcon=/', 'directory'),
                           ('run.grace=-1', 'from 0 to 3600'), ('boot.kernel=/nowhere', 'cannot be read')):
            with self.subTest(word=word):
                self.refused_run(2, text, word)

    def test_dry_run_foresees_what_needs_no_kvm(self):
        (self.files.path / 'no-kernel').write_bytes(b'MZ')
        for kind in ('none', 'sev'):
            for status, word, text in ((4, 'machine.memory=1T', 'lower machine.memory'),
                                       (2, 'boot.kernel=no-kernel', 'not a whole one'),
                                       (2, f'firmware={self.firmware_of(3)}', 'whole pages of 4 KiB')):
                with self.subTest(kind=kind, word=word):
                    done = guests.run([guests.VMM, 'run', '--dry-run', '--host', 'sim', '--set', f'firmware={self.firmware}',
                                       '--set', f'sev.type={kind}', '--set', word], text=True, cwd=self.files.path)
                    self.assertEqual(done.returncode, status, done.stdout + done.stderr)
                    self.assertIn(text, done.stdout + done.stderr)

    def test_dry_run_foresees_a_secret_that_has_no_place(self):
        for address, text in (('801', '0x801 is not a multiple of 16'), ('ffffffff00', '0xffffffff00 is not in the guest')):
            with self.subTest(address=address):
                done = guests.run([guests.VMM, 'run', '--dry-run', '--host', 'sim'] + [
                    part for word in (f'firmware={self.firmware}', 'sev.type=sev', 'sev.secret=s', 'sev.secret-header=h',
                                      f'sev.secret-address={address}') for part in ('--set', word)], text=True)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn(f'would be refused: sev.secret-address: {text}', done.stdout)

    def test_two_mistakes_are_counted(self):
        done = guests.run([guests.VMM, 'run', '--set', 'machine.vcpus=0', '--set', 'log=loud', '--set',
                           f'firmware={self.firmware}'], text=True)
        lines = done.stderr.splitlines()
        self.assertEqual((done.returncode, len(lines), lines[-1]), (2, 3, 'vmm: the configuration has 2 mistakes'))

    def test_files_that_are_no_configuration(self):
        (self.files.path / 'empty').touch()
        for name in ('none.json', 'empty', '/', '/dev/null', self.firmware):
            with self.subTest(name=name):
                self.refused(2, name, 'run', name)

    def test_trace_that_cannot_be_written(self):
        for name in ('/nowhere/at/all', '/', ''):
            with self.subTest(name=name):
                self.refused(2, '--trace', 'run', '--set', f'firmware={self.firmware}', '--trace', name)

    def test_command_lines(self):
        for args, text in ((['frob'], 'vmm --help'), (['rnu'], 'did you mean run'), (['report'], 'vmm report show'),
                           (['run', '--frob'], 'vmm run --help'), (['run', '--set'], 'needs a value'),
                           (['run', '-x'], 'vmm run --help'), (['run', 'a', 'b'], 'usage: vmm run [CONFIG]'),
                           (['host', 'x'], 'usage: vmm host\n'), (['check', 'a', 'b'], 'usage: vmm check [CONFIG]'),
                           (['host', '--frob'], 'vmm host --help'), (['help', 'frob'], 'vmm --help'), ([''], 'vmm --help')):
            with self.subTest(args=args):
                self.refused(2, text, *args)

    def test_reports_without_their_certificates(self):
        report, vcek = DATA / 'milan-report-a.bin', DATA / 'milan-vcek-a.der'
        self.refused(2, ['the VCEK', '(--vcek)', '(--certs)'], 'report', 'verify', str(report))
        self.refused(2, ['ASK', '(--chain)', '(--certs)'], 'report', 'verify', str(report), '--vcek', str(vcek))

    def test_days_that_there_are_not(self):
        for day in ('2026-02-30', '2025-02-29', '2026-04-31T12:00:00Z', '2026-13-01', '2026-02-28T24:00:00Z', '@', '@1x'):
            with self.subTest(day=day):
                self.refused(2, [f'"{day}" is not a time', 'write 2026-11-20'], 'report', 'verify',
                             str(DATA / 'milan-report-a.bin'), '--certs', str(DATA / 'milan-certs-a.bin'), '--at', day)

    def test_help_of_a_group_is_no_refusal(self):
        for args in (['report', '--help'], ['report', '-h'], ['help', 'report']):
            with self.subTest(args=args):
                done = guests.run([guests.VMM, *args], text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ''))
                self.assertIn('report show ', done.stdout)
                self.assertNotIn('cert show', done.stdout)
        self.refused(2, 'vmm report show, vmm report verify', 'report', 'shwo', '--help')
        self.refused(2, 'vmm --help', 'reprot', '--help')

    def test_output_that_cannot_be_written(self):
        for args in (['host'], ['host', '--json'], ['--help'], ['--version']):
            for shell in ('exec "$@" >/dev/full', 'exec "$@" >&-'):
                with self.subTest(args=args, shell=shell):
                    self.refused(1, 'standard output cannot be written', *args, prefix=['sh', '-c', shell, 'sh'])


guests.main()
