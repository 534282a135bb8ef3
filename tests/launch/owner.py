#!/usr/bin/env python3
"""A guest's owner and a host, each with vmm alone: session, measurement, secret, on the software platform; and nothing
of the owner's keys or secrets in what the host's side says."""
import base64
import json
import os
import pathlib
import resource
import signal
import subprocess
import time
import unittest

import images
from images import guests

SECRET = b'only for the guest: 0123456789ab'  # 32 bytes
POLICY = {'sev': '0x1', 'sev-es': '0x5'}
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
        sev = json.loads(self.vmm('host', '--host', 'sim', '--json').stdout)['firmware']['sev']
        self.firmware = f'{sev["api"]}.{sev["build"]}'

    def vmm(self, *args, status=0):
        done = subprocess.run([guests.VMM, *args], cwd=self.path, stdin=subprocess.DEVNULL, timeout=300, capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def session(self, name, policy):
        self.vmm('session', 'new', '--pdh', 'certs', '--policy', policy, '--out-keys', f'{name}.keys', '--out-session',
                 f'{name}.session', '--out-godh', f'{name}.godh')

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
        self.assertIn(b'a signal came while the guest owner\'s secret was waited for', err)
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
