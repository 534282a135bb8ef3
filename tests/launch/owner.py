#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest's owner and a host, each with vmm alone: session, measurement, secret, on the software platform; and nothing
of the owner's keys or secrets in what the host's side says."""
import base64
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import time
import unittest
import uuid

import images
from images import guests

SECRET = b'only for the guest: 0123456789ab'  # 32 bytes
POLICY = {'sev': '0x1', 'sev-es': '0x5'}
SIMULATED = 'This is the software platform, a simulation: nothing protects the guest.\n'
# Sends the secret, 32 bytes at 0x20000, to the serial port.
TELL = bytes.fromhex('b80020 8ed8 31f6 b92000 baf803 ac ee e2fc')


def wait_for(path, process):
    for _ in range(600):
        if path.exists():
            return
        if process.poll() is not None:
            raise AssertionError(f'vmm ended: {process.communicate()}')
        time.sleep(0.1)
    raise AssertionError(f'{path.name} did not come')


class Owner(unittest.TestCase):
    def setUp(self):
        self.path = guests.Folder(self).path
        (self.path / 'image.fd').write_bytes(images.image(TELL + guests.POWER_OFF))
        (self.path / 'plain').write_bytes(SECRET)
        self.vmm('host', '--host', 'sim', '--certificates', 'certs')
        self.vmm('host', '--host', 'sim', '--certificates', 'full', '--generation', 'sev', '--out-root', 'ark')
        sev = json.loads(self.vmm('host', '--host', 'sim', '--json').stdout)['firmware']['sev']
        self.firmware = f'{sev["api"]}.{sev["build"]}'

    def vmm(self, *args, status=0):
        done = subprocess.run([guests.VMM, *args], cwd=self.path, stdin=subprocess.DEVNULL, timeout=300, capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def session(self, name, policy, *platform, status=0):
        return self.vmm('session', 'new', *(platform or ('--pdh', 'full', '--root', 'ark')), '--policy', policy, '--out-keys',
                        f'{name}.keys', '--out-session', f'{name}.session', '--out-godh', f'{name}.godh', status=status)

    def config(self, kind, *more):
        words = [f'sev.type={kind}', 'firmware=image.fd', 'machine.memory=2M', 'machine.cpu=EPYC-Milan', *more]
        return [part for word in words for part in ('--set', word)]

    def launch(self, kind, *more):
        words = ['sev.session=o.session', 'sev.dh-cert=o.godh', 'sev.measurement=measure', 'sev.secret=secret',
                 'sev.secret-header=header', 'sev.secret-wait=60', 'log=debug', *more]
        return subprocess.Popen([guests.VMM, 'run', '--host', 'sim', '--trace', 'trace', *self.config(kind, *words)],
                                cwd=self.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def verify(self, kind):
        digest = self.vmm('measure', *self.config(kind)).stdout.strip()
        self.vmm('session', 'verify', '--keys', 'o.keys', '--measure', 'measure', '--digest', digest, '--policy',
                 POLICY[kind], '--firmware', self.firmware, '--session', 'o.session')
        changed = ('0' if digest[0] != '0' else '1') + digest[1:]
        self.vmm('session', 'verify', '--keys', 'o.keys', '--measure', 'measure', '--digest', changed, '--policy',
                 POLICY[kind], '--firmware', self.firmware, status=1)

    def pack(self, keys):
        self.vmm('secret', 'pack', '--keys', keys, '--measure', 'measure', '--raw', 'plain', '--out-header', 'header',
                 '--out-secret', 'secret.part')
        os.rename(self.path / 'secret.part', self.path / 'secret')

    def assert_silent(self, *texts):
        keys = (self.path / 'o.keys').read_bytes()
        for hidden in (keys[:16], keys[16:], SECRET):
            for form in (hidden, hidden.hex().encode(), hidden.hex().upper().encode(), base64.b64encode(hidden)[:16]):
                for text in texts:
                    self.assertNotIn(form, text)

    def test_secret_reaches_the_guest_and_nobody_else(self):
        self.session('o', POLICY['sev'])
        process = self.launch('sev')
        wait_for(self.path / 'measure', process)
        self.verify('sev')
        self.pack('o.keys')
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(out, SECRET)
        self.assert_silent(err, (self.path / 'trace').read_bytes(), (self.path / 'measure').read_bytes())

    def amds_part(self):
        """Makes the files that AMD's server has for a real processor."""
        full = (self.path / 'full').read_bytes()
        self.assertEqual(full[:3 * 2084], (self.path / 'certs').read_bytes()[:3 * 2084])
        (self.path / 'cek').write_bytes(full[3 * 2084:4 * 2084])
        (self.path / 'ask_ark').write_bytes(full[4 * 2084:])
        self.assertEqual((self.path / 'ark').read_bytes(), full[-1600:])

    def test_way_of_the_document(self):
        """The commands of docs/attestation.md, as they stand there."""
        text = (pathlib.Path(__file__).resolve().parents[2] / 'docs/attestation.md').read_text()
        commands = re.search(r'## On the software platform\n.*?```sh\n(.*?)```', text, re.DOTALL).group(1)
        config = {'firmware': 'image.fd', 'machine.memory': '2M', 'machine.cpu': 'EPYC-Milan', 'sev.type': 'sev'}
        (self.path / 'guest.json').write_text(json.dumps(config))
        (self.path / 'passphrase').write_text('open sesame')
        (self.path / 'bin').mkdir()
        (self.path / 'bin/vmm').symlink_to(guests.VMM)
        done = subprocess.run(['bash', '-euo', 'pipefail', '-c', commands], cwd=self.path, stdin=subprocess.DEVNULL, timeout=240,
                              capture_output=True, text=True, env={**os.environ, 'PATH': f'{self.path}/bin:{os.environ["PATH"]}'})
        self.assertEqual(done.returncode, 0, done.stderr)
        table = (self.path / 'console.txt').read_bytes()
        self.assertEqual(len(table), 32)
        self.assertEqual(table[:16], uuid.UUID('1e74f542-71dd-4d66-963e-ef4287ff173b').bytes_le)

    def test_host_exports_a_cek_that_only_amd_signs(self):
        """The way of a real host: its own certificates, and AMD's from elsewhere."""
        self.amds_part()
        amd = ('--amd', 'ask_ark', '--root', 'ark')
        told = self.session('o', POLICY['sev'], '--pdh', 'certs', *amd, status=1).stderr
        self.assertIn('is not proven to be the PDH of an AMD processor: CEK is not signed by ASK', told)
        self.assertIn('it has no signature, as the firmware exports it; fetch the signed CEK from AMD', told)
        self.assertFalse((self.path / 'o.keys').exists())
        told = self.session('o', POLICY['sev'], '--pdh', 'certs', '--cek', 'cek', *amd).stderr
        self.assertEqual(told, SIMULATED)
        done = self.vmm('cert', 'verify', '--pdh', 'certs', '--cek', 'cek', *amd)
        self.assertTrue(done.stdout.startswith(SIMULATED), done.stdout)
        self.assertIn('verified: all', done.stdout)
        self.assertIn('trusted only because --root names it', done.stdout)
        done = self.vmm('cert', 'verify', '--pdh', 'full', '--json', status=1)
        self.assertEqual([json.loads(done.stdout)[key] for key in ('verified', 'simulated')], [False, True])

    def test_certificates_are_shown_with_their_root(self):
        told = self.vmm('cert', 'show', 'full').stdout
        self.assertTrue(told.startswith(SIMULATED + 'PDH\n'), told)
        self.assertEqual([line for line in told.splitlines()[1:] if line[0] != ' '], ['PDH', 'PEK', 'OCA', 'CEK', 'ASK', 'ARK'])
        self.assertIn('  root       of the software platform\n', told)
        shown = json.loads(self.vmm('cert', 'show', '--json', 'full').stdout)
        self.assertIs(shown['simulated'], True)
        certs = shown['certificates']
        self.assertEqual([cert.get('simulated') for cert in certs], [None] * 5 + [True])
        self.assertEqual(certs[4]['signed-by'], certs[5]['key-id'])
        self.assertNotIn(SIMULATED, self.vmm('cert', 'show', 'certs').stdout)
        full = (self.path / 'full').read_bytes()
        for size, text in ((len(full) - 1, 'certificate 6: ends within the ARK'), (2084 + 100, 'certificate 2: has 100 bytes'),
                           (4 * 2084 + 500, 'certificate 5: ends within the ASK'), (3, 'certificate 1: is neither a certificate of a SEV platform')):
            with self.subTest(size=size):
                (self.path / 'cut').write_bytes(full[:size])
                done = self.vmm('cert', 'show', 'cut', status=2)
                self.assertIn(text, done.stderr)
                self.assertEqual(done.stdout, '')

    def test_certificates_that_cannot_be_are_refused(self):
        for words, text in ((['--generation', 'snp'], '--generation goes with --certificates'),
                            (['--out-root', 'r'], '--out-root goes with --certificates'),
                            (['--certificates', 'c', '--out-root', 'r'], '--out-root goes with --generation'),
                            (['--certificates', 'c', '--generation', 'tdx'], 'must be sev or snp; this is "tdx"'),
                            (['--certificates', 'c', '--generation', 'snp', '--set', 'sim.product=Rome'], 'a Rome has no SEV-SNP')):
            with self.subTest(words=words):
                done = self.vmm('host', '--host', 'sim', *words, status=2)
                self.assertIn(text, done.stderr)
                self.assertFalse((self.path / 'c').exists())

    def test_chip_id_and_addresses(self):
        chip = json.loads(self.vmm('host', '--host', 'sim', '--json').stdout)['chip']
        self.assertEqual(chip['cek-url'], f'https://kdsintf.amd.com/cek/id/{chip["id"]}')
        self.assertEqual(chip['vcek-url'], f'https://kdsintf.amd.com/vcek/v1/Milan/{chip["id"]}?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219')
        self.assertRegex(chip['id'], '^[0-9a-f]{128}$')
        other = json.loads(self.vmm('host', '--host', 'sim', '--json', '--set', 'sim.seed=2').stdout)['chip']
        self.assertNotEqual(chip['id'], other['id'])
        rome = json.loads(self.vmm('host', '--host', 'sim', '--json', '--set', 'sim.product=Rome').stdout)['chip']
        self.assertIsNone(rome['vcek-url'])

    def dumps_core(self, kind):
        """Does a vmm with a running guest of this kind leave a core dump when it is aborted?"""
        (self.path / 'image.fd').write_bytes(images.image(guests.SPIN))
        process = subprocess.Popen([guests.VMM, 'run', '--host', 'sim', *self.config(kind)], cwd=self.path, stderr=subprocess.PIPE,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, 2 * resource.getrlimit(resource.RLIMIT_CORE)[1:]))
        self.assertIn(b'software platform', process.stderr.readline())
        process.send_signal(signal.SIGABRT)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        self.assertEqual(process.returncode, -signal.SIGABRT)
        return os.WCOREDUMP(status)

    def test_confidential_guests_leave_no_core_dump(self):
        if not self.dumps_core('none'):
            self.skipTest('no program leaves a core dump here: a limit, or a sanitizer')
        for kind in ('sev', 'sev-es', 'sev-snp'):
            with self.subTest(kind=kind):
                self.assertFalse(self.dumps_core(kind))

    def test_measurement_of_a_sev_es_launch_is_the_owners(self):
        self.session('o', POLICY['sev-es'])
        process = self.launch('sev-es', 'machine.vcpus=3')
        wait_for(self.path / 'measure', process)
        digest = self.vmm('measure', *self.config('sev-es', 'machine.vcpus=3')).stdout.strip()
        self.vmm('session', 'verify', '--keys', 'o.keys', '--measure', 'measure', '--digest', digest, '--policy', '0x5',
                 '--firmware', self.firmware)
        process.terminate()
        err = process.communicate(timeout=300)[1]
        self.assertIn(b'a signal ended the wait for the guest owner\'s secret', err)
        self.assertEqual(process.returncode, 1)
        self.assert_silent(err, (self.path / 'trace').read_bytes())

    def test_secret_of_other_keys_is_refused(self):
        self.session('o', POLICY['sev'])
        self.session('other', POLICY['sev'])
        process = self.launch('sev')
        wait_for(self.path / 'measure', process)
        self.pack('other.keys')
        err = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 2, err)
        self.assertIn(b'BAD_MEASUREMENT', err)
        self.assertIn(b'the secret was packed for another launch or with other keys; pack it from', err)
        self.assert_silent(err)

    def test_session_for_another_policy_is_refused(self):
        self.session('o', '0x5')
        err = self.launch('sev').communicate(timeout=300)[1]
        self.assertIn(b'the session is for another platform key or another policy; export', err)

    def test_session_for_another_platform_is_refused(self):
        self.session('o', POLICY['sev'])
        err = self.launch('sev', 'sim.seed=2').communicate(timeout=300)[1]
        self.assertIn(b'the session is for another platform key or another policy; export', err)

    def test_certificate_that_is_none_is_foreseen(self):
        self.session('o', POLICY['sev'])
        (self.path / 'o.godh').write_bytes(b'\xff' * 2084)
        process = self.launch('sev')
        err = process.communicate(timeout=300)[1]
        self.assertEqual(process.returncode, 2, err)
        self.assertIn(b'sev.dh-cert (the firmware would say INVALID_CERTIFICATE)', err)
        self.assertNotIn(b'CREATE_VM', (self.path / 'trace').read_bytes())

    def test_certificates_that_exist_are_not_overwritten(self):
        before = (self.path / 'certs').read_bytes()
        self.assertEqual(len(before), 4 * 2084)
        self.vmm('host', '--host', 'sim', '--certificates', 'certs', status=2)
        self.assertEqual((self.path / 'certs').read_bytes(), before)


guests.main()
