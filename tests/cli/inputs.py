#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that are read once may come from a pipe or a descriptor: configurations, images, the owner's files. Bounded."""
import json
import os
import threading
import unittest

import guests


class Pipes(unittest.TestCase):
    def setUp(self):
        self.path = guests.Folder(self).path
        self.image = guests.image(guests.text('up') + guests.POWER_OFF)
        (self.path / 'image.fd').write_bytes(self.image)
        self.config = json.dumps({'firmware': 'image.fd', 'machine': {'memory': '2M'}}).encode()

    def pipe(self, data):
        """The read end of a pipe that gives these bytes; the writer is a thread."""
        reader, writer = os.pipe()

        def write():
            try:
                with open(writer, 'wb') as out:
                    out.write(data)
            except BrokenPipeError:
                pass  # the reader has had enough
        thread = threading.Thread(target=write)
        thread.start()
        self.addCleanup(thread.join)
        return reader

    def vmm(self, *args, status=0, fds=(), **how):
        done = guests.run([guests.VMM, *args], cwd=self.path, text=False, pass_fds=fds, **how)
        for fd in fds:
            os.close(fd)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_configuration_from_standard_input(self):
        self.vmm('check', '-', stdin=None, input=self.config)
        done = self.vmm('check', '-', '--set', 'machine.vcpus=0', stdin=None, input=self.config, status=2)
        self.assertIn(b'machine.vcpus', done.stdout)
        self.assertIn(b'up', self.vmm('run', '--host', 'sim', '-', stdin=None, input=self.config).stdout)

    def test_configuration_from_a_descriptor(self):
        fd = self.pipe(self.config)
        self.vmm('check', f'/dev/fd/{fd}', fds=[fd])
        (self.path / 'file').write_bytes(self.config)
        with open(self.path / 'file') as file:
            self.vmm('check', '/dev/stdin', stdin=file)

    def test_configuration_by_process_substitution(self):
        (self.path / 'file').write_bytes(self.config)
        done = guests.run(['bash', '-c', '"$0" check <(sed s/2M/4M/ file)', guests.VMM], cwd=self.path)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_configuration_that_never_ends(self):
        fd = self.pipe(b' ' * (4 << 20))
        done = self.vmm('check', f'/dev/fd/{fd}', fds=[fd], status=2)
        self.assertIn(b'more than 1048576 bytes, the limit', done.stdout + done.stderr)

    def test_image_from_a_pipe(self):
        """One reading serves the measurement, the judgement and the guest."""
        by_name = self.vmm('measure', '--set', 'firmware=image.fd', '--set', 'sev.type=sev').stdout
        fd = self.pipe(self.image)
        self.assertEqual(self.vmm('measure', '--set', f'firmware=/dev/fd/{fd}', '--set', 'sev.type=sev', fds=[fd]).stdout, by_name)
        for kind in ('none', 'sev'):
            with self.subTest(kind=kind):
                fd = self.pipe(self.image)
                done = self.vmm('run', '--host', 'sim', '--set', f'firmware=/dev/fd/{fd}', '--set', 'machine.memory=2M',
                                '--set', f'sev.type={kind}', fds=[fd])
                self.assertIn(b'up', done.stdout)

    def test_owners_files_from_pipes(self):
        self.vmm('host', '--host', 'sim', '--certificates', 'certs')
        fd = self.pipe((self.path / 'certs').read_bytes())
        self.vmm('session', 'new', '--pdh', f'/dev/fd/{fd}', '--policy', '0x1', '--out-keys', 'keys', '--out-session',
                 'session', '--out-godh', 'godh', fds=[fd])
        session, godh = (self.pipe((self.path / name).read_bytes()) for name in ('session', 'godh'))
        sets = [f'sev.session=/dev/fd/{session}', f'sev.dh-cert=/dev/fd/{godh}', 'firmware=image.fd', 'sev.type=sev',
                'machine.memory=2M', 'sev.measurement=measure']
        self.vmm('run', '--host', 'sim', *(w for s in sets for w in ('--set', s)), fds=[session, godh])
        keys, raw = self.pipe((self.path / 'keys').read_bytes()), self.pipe(b'sixteen bytes...')
        self.vmm('secret', 'pack', '--keys', f'/dev/fd/{keys}', '--measure', 'measure', '--raw', f'/dev/fd/{raw}',
                 '--out-header', 'header', '--out-secret', 'secret', fds=[keys, raw])
        self.assertEqual((self.path / 'secret').stat().st_size, 16)


guests.main()
