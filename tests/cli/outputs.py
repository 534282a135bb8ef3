#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every output of every verb: what is neither a regular file nor a new name is written through or refused, never replaced
or removed. Devices are copies in a folder of the test's own."""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import stat
import subprocess
import unittest

import guests
import map as maps

# Options that take the name of a file: read, or written. A new one must be put into one of these.
READ = set('pdh chain cek amd ask ark root keys measure entry raw config id-key author-key vcek vlek certs report session compare expect'.split())
WRITTEN = set('trace certificates out-root out-keys out-session out-godh out-header out-secret out-block out-auth svg'.split())
DISKS = {'disk'}  # both, by the guest
KEYS = {'machine.debugcon', 'migrate.record', 'sev.measurement'}
THROUGH = {'--trace', 'machine.debugcon', '--device console'}  # these may be pipes and devices
REFUSED = re.compile(r'already exists|it is (a symbolic link|a pipe|a device|a socket|a directory)')
MARK = 'mine\n'


def verbs():
    text = guests.run([guests.VMM, '--help'], text=True).stdout
    return re.findall(r'^  ([a-z]+(?: [a-z]+)?)  +', text, re.M)


class Outputs(unittest.TestCase):
    def setUp(self):
        self.path = guests.Folder(self).path
        self.firmware = self.path / 'image.fd'
        self.firmware.write_bytes(guests.image(guests.POWER_OFF))
        (self.path / 'plain').write_bytes(b'sixteen bytes...')
        (self.path / 'guest.json').write_text(json.dumps({'firmware': 'image.fd', 'machine': {'memory': '2M'},
                                                          'sev': {'type': 'sev'}}))

    def vmm(self, *args, status=0):
        done = guests.run([guests.VMM, *args], cwd=self.path, text=True)
        if status is not None:
            self.assertEqual(done.returncode, status, done.stderr)
        return done

    def make_inputs(self):
        self.vmm('host', '--host', 'sim', '--certificates', 'certs')
        self.vmm('session', 'new', '--pdh', 'certs', '--policy', '0x1', '--out-keys', 'keys', '--out-session', 'session',
                 '--out-godh', 'godh')
        self.vmm('run', '--host', 'sim', 'guest.json', '--set', 'sev.session=session', '--set', 'sev.dh-cert=godh', '--set',
                 'sev.measurement=measure')
        if guests.run(['openssl', 'ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', 'key.pem'],
                      cwd=self.path).returncode:
            self.skipTest('openssl makes no key')

    def commands(self):
        """{output: words that write to it, with OUT in the place of its name}."""
        run = ['run', '--host', 'sim', 'guest.json']
        pairs = {
            ('session', 'new', '--pdh', 'certs', '--policy', '0x1'): ['out-keys', 'out-session', 'out-godh'],
            ('secret', 'pack', '--keys', 'keys', '--measure', 'measure', '--raw', 'plain'): ['out-header', 'out-secret'],
            ('idblock', 'make', '--digest', '0' * 96, '--id-key', 'key.pem'): ['out-block', 'out-auth'],
        }
        found = {'--trace': [*run, '--trace', 'OUT'], '--certificates': ['host', '--host', 'sim', '--certificates', 'OUT'],
                 '--out-root': ['host', '--host', 'sim', '--certificates', 'new-certificates', '--generation', 'snp', '--out-root', 'OUT']}
        found['--svg'] = ['map', str(maps.Server(self, lambda *_: maps.answer()).path), '--svg', 'OUT']
        found['--device console'] = [*run, '--device', 'console,output=OUT']
        for key in KEYS:
            found[key] = [*run, '--set', f'{key}=OUT']
        for words, names in pairs.items():
            for name in names:
                found[f'--{name}'] = [*words, *(w for n in names for w in (f'--{n}', 'OUT' if n == name else f'new-{n}'))]
        return found

    def others(self):
        """Things that may have the name of an output: {what: function that makes one}."""
        found = {
            'a FIFO': os.mkfifo,
            'a link to a file': lambda path: path.symlink_to('victim'),
            'a link to standard output': lambda path: path.symlink_to('/proc/self/fd/1'),
        }
        if os.geteuid() == 0:
            found['a device'] = lambda path: os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        return found

    def try_one(self, output, words, make):
        for name in [*self.path.glob('new-*'), self.path / 'out']:
            name.unlink(missing_ok=True)
        (self.path / 'victim').write_text(MARK)
        out = self.path / 'out'
        make(out)
        before = os.lstat(out)
        keep = os.open(out, os.O_RDWR) if stat.S_ISFIFO(before.st_mode) else None
        done = self.vmm(*(word.replace('OUT', 'out') for word in words), status=None)
        if keep is not None:
            os.close(keep)
        after = os.lstat(out)
        self.assertEqual((after.st_ino, after.st_mode, after.st_rdev), (before.st_ino, before.st_mode, before.st_rdev))
        if output not in THROUGH:
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertRegex(done.stderr, REFUSED)
            self.assertIn('out', done.stderr)
            self.assertEqual((self.path / 'victim').read_text(), MARK)
            self.assertFalse(list(self.path.glob('new-*')), 'all of the files or none')
        else:
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(list(self.path.glob('.vmm*')))

    def test_all_options_are_known(self):
        for verb in verbs():
            text = self.vmm(*verb.split(), '--help').stdout
            for name in re.findall(r'^  --([a-z-]+) \S*(?:FILE|PEM)', text, re.M):
                self.assertIn(name, READ | WRITTEN | DISKS, f'vmm {verb} --{name}: is it read or written?')

    def test_all_keys_are_known(self):
        """A key that is written to says so of a directory."""
        example = json.loads((pathlib.Path(__file__).resolve().parents[2] / 'vmm.conf.example').read_text())
        names = [f'{section}.{key}' for section, keys in example.items() if isinstance(keys, dict) for key in keys]
        text = ''.join(self.vmm('check', 'guest.json', '--set', f'{name}=/', status=None).stdout for name in names)
        self.assertEqual(set(re.findall(r'([a-z.-]+): / cannot be written: it is a directory', text)), KEYS)

    def test_nothing_but_a_regular_file_is_replaced(self):
        self.make_inputs()
        commands = self.commands()
        self.assertEqual(set(commands), {f'--{name}' for name in WRITTEN} | KEYS | {'--device console'})
        for output, words in commands.items():
            for what, make in self.others().items():
                with self.subTest(output=output, what=what):
                    self.try_one(output, words, make)

    def test_check_and_dry_run_foresee_it(self):
        os.mkfifo(self.path / 'out')
        words = '--set', 'sev.measurement=out'
        for verb in (['check', 'guest.json'], ['run', '--dry-run', '--host', 'sim', 'guest.json']):
            with self.subTest(verb=verb):
                done = self.vmm(*verb, *words, status=2)
                self.assertIn('sev.measurement: out cannot be written: it is a pipe', done.stdout + done.stderr)

    def test_log_that_vmm_was_started_with_is_written_on(self):
        """By its descriptor's name and by its own; the old contents stay, and so does text that others write."""
        log = self.path / 'log'
        plain = ['run', '--host', 'sim', 'guest.json', '--set', 'sev.type=none']
        for words in (['--trace', '/dev/stderr'], ['--trace', 'log'], ['--trace', '/dev/fd/2'], ['--set', 'machine.debugcon=log']):
            for mode in ('a', 'w'):
                with self.subTest(words=words, mode=mode):
                    log.write_text('')
                    with open(log, mode) as stream:
                        stream.write('yesterday\n')
                        stream.flush()
                        done = subprocess.run([guests.VMM, *plain, *words], cwd=self.path, stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=stream, timeout=60)
                    text = log.read_text()
                    self.assertEqual(done.returncode, 0, text)
                    self.assertTrue(text.startswith('yesterday\n'), text[:100])
                    self.assertIn('a simulation', text)
                    self.assertNotIn('\0', text)
                    if words[0] == '--trace':
                        self.assertIn('KVM_CREATE_VM', text)

    def test_what_others_write_to_goes_on_blocking(self):
        """A pipe or terminal that vmm was started with belongs to its user's other programs, too."""
        terminal, pipe = pty.openpty(), os.pipe()
        for reader, given in (terminal, pipe):
            with self.subTest(terminal=os.isatty(given)):
                with subprocess.Popen([guests.VMM, 'run', '--host', 'sim', 'guest.json', '--trace', '/dev/stderr'], cwd=self.path,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=given) as process:
                    text = b''
                    while b'KVM_CREATE_VM' not in text:
                        text += os.read(reader, 65536)
                    self.assertFalse(fcntl.fcntl(given, fcntl.F_GETFL) & os.O_NONBLOCK)
                    os.set_blocking(reader, False)
                    while process.poll() is None:
                        select.select([reader], [], [], 0.1)
                        with contextlib.suppress(BlockingIOError):
                            os.read(reader, 65536)
                self.assertFalse(fcntl.fcntl(given, fcntl.F_GETFL) & os.O_NONBLOCK)
                os.close(reader)
                os.close(given)

    def test_file_of_its_own_is_written_anew(self):
        (self.path / 'trace').write_text('yesterday\n' * 1000)
        self.vmm('run', '--host', 'sim', 'guest.json', '--trace', 'trace')
        self.assertNotIn('yesterday', (self.path / 'trace').read_text())

    def test_check_makes_no_files_of_a_simulated_cgroup(self):
        self.vmm('check', 'guest.json', '--set', 'host=sim', '--set', 'sim.cgroup=group')
        self.assertFalse((self.path / 'group').exists())

    def test_files_of_a_simulated_cgroup(self):
        group = self.path / 'group'
        group.mkdir()
        os.mkfifo(group / 'misc.current')
        (group / 'misc.events').symlink_to('../victim')
        (self.path / 'victim').write_text(MARK)
        self.vmm('run', '--host', 'sim', 'guest.json', '--set', 'sim.cgroup=group')
        self.assertTrue(stat.S_ISFIFO(os.lstat(group / 'misc.current').st_mode))
        self.assertEqual((self.path / 'victim').read_text(), MARK)


guests.main()
