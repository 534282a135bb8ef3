#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Other people's clients, unchanged: QEMU's Python library, its old interface, qmp-shell in both modes, socat, and the judge of
launches that guests' owners have from libvirt."""
import asyncio
import contextlib
import base64
import os
import shutil
import subprocess
import sys
import unittest
import uuid

import monitor
from monitor import guests

TOOL = monitor.CACHE / 'tools/qemu-qmp/usr'
LIBRARY = TOOL / 'lib/python3/dist-packages'
sys.path.insert(0, str(LIBRARY))

QUERIES = ('query-version query-commands query-qmp-schema query-status query-name query-uuid query-kvm query-target query-machines '
           'query-current-machine query-cpus-fast query-hotpluggable-cpus query-memory-size-summary query-chardev query-iothreads '
           'query-block query-sev __vmm_query-launch __vmm_query-exits __vmm_query-pages').split()


@unittest.skipUnless(LIBRARY.is_dir(), 'qemu.qmp is not in the cache: scripts/setup --firmware')
class Library(unittest.TestCase):
    def test_operations_and_events(self):
        from qemu.qmp import ExecuteError, QMPClient
        machine = monitor.Machine(self)

        async def talk():
            client = QMPClient('test')
            await client.connect(str(machine.path))
            for query in QUERIES:
                await client.execute(query)
            while not (await client.execute('query-status'))['running']:
                await asyncio.sleep(0.05)
            with client.listener(('STOP', 'RESUME', 'RESET')) as listener:
                for command, event in (('stop', 'STOP'), ('cont', 'RESUME'), ('system_reset', 'RESET')):
                    self.assertEqual(await client.execute(command), {})
                    self.assertEqual((await asyncio.wait_for(listener.get(), monitor.LIMIT))['event'], event)
            with self.assertRaises(ExecuteError) as refused:
                await client.execute('set_link', {'name': 'nope', 'up': True})
            self.assertEqual(refused.exception.error_class, 'DeviceNotFound')
            with open('/dev/null', 'rb') as null:
                client.send_fd_scm(null.fileno())
                self.assertEqual(await client.execute('getfd', {'fdname': 'x'}), {})
            self.assertEqual(await client.execute('quit'), {})
            with contextlib.suppress(EOFError):  # the library may see vmm's end first, and says so
                await client.disconnect()
        asyncio.run(asyncio.wait_for(talk(), monitor.LIMIT))
        self.assertEqual(machine.status(), 0)

    def test_old_interface(self):
        from qemu.qmp.legacy import QEMUMonitorProtocol
        machine = monitor.Machine(self)
        old = QEMUMonitorProtocol(str(machine.path))
        old.settimeout(monitor.LIMIT)
        self.assertIn('version', old.connect()['QMP'])
        while not old.cmd('query-status')['running']:
            pass
        old.clear_events()
        self.assertEqual(old.cmd('stop'), {})
        self.assertEqual(old.pull_event(wait=60.0)['event'], 'STOP')
        self.assertEqual(old.cmd_raw('nope')['error']['class'], 'CommandNotFound')
        old.close()

    def shell(self, machine, *options, text):
        run = subprocess.run([sys.executable, TOOL / 'bin/qmp-shell', *options, machine.path], input=text, text=True, capture_output=True,
                             env=os.environ | {'PYTHONPATH': str(LIBRARY), 'HOME': str(machine.folder.path)}, timeout=monitor.LIMIT)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_shell(self):
        machine = monitor.Machine(self)
        shown = self.shell(machine, '-p', '-v', text='query-name\nset_link name=nope up=true\n')
        self.assertIn('"name": "guest"', shown)
        self.assertIn("Device 'nope' not found", shown)

    def test_shell_of_the_human_monitor(self):
        machine = monitor.Machine(self)
        shown = self.shell(machine, '-H', text='info name\nnope\n')
        self.assertIn('guest', shown)
        self.assertIn("unknown command: 'nope'", shown)


@unittest.skipUnless(shutil.which('socat'), 'socat is not installed')
class Socat(unittest.TestCase):
    def test_by_hand(self):
        machine = monitor.Machine(self)
        run = subprocess.run(['socat', '-t', '10', '-', f'UNIX-CONNECT:{machine.path}'], capture_output=True, timeout=monitor.LIMIT,
                             input=b'{"execute": "qmp_capabilities"}\n{"execute": "query-name"}\n')
        lines = run.stdout.split(b'\r\n')
        self.assertTrue(lines[0].startswith(b'{"QMP"'))
        self.assertIn(b'{"return": {"name": "guest"}}', lines)


VALIDATE = monitor.CACHE / 'tools/sev-validate/run'
TABLE = uuid.UUID('1e74f542-71dd-4d66-963e-ef4287ff173b').bytes_le  # with which the secrets of a guest begin


@unittest.skipUnless(VALIDATE.exists(), 'virt-qemu-sev-validate is not in the cache: scripts/setup --firmware')
class Owner(unittest.TestCase):
    """libvirt's owner: what libvirt itself would ask of QEMU is asked here, and the judge gets it on its command line."""

    def validate(self, owner, machine, client, *more, status=0):
        sev = client.call('query-sev')
        words = ['--insecure', '--tk', 'keys', '--firmware', machine.firmware, '--policy', str(sev['policy']),
                 '--measurement', client.call('query-sev-launch-measure')['data'], '--api-major', str(sev['api-major']),
                 '--api-minor', str(sev['api-minor']), '--build-id', str(sev['build-id']), *more]
        run = subprocess.run([VALIDATE, 'virt-qemu-sev-validate', *words], cwd=owner.path, capture_output=True, text=True,
                             timeout=monitor.LIMIT)
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        return run.stdout + run.stderr

    def flow(self, kind, policy, *more, init='init2'):
        owner = monitor.Owner(self, policy)
        with open(owner.path / 'console', 'wb') as console:
            machine = monitor.Machine(self, monitor.TELLS[kind], f'sev.type={kind}', 'run.paused=true', 'machine.cpu=EPYC-Milan',
                                      *owner.sets, f'sev.init={init}', stdout=console)
        client = machine.monitor()
        monitor.until(lambda: client.call('query-sev')['state'] == 'launch-secret')
        self.assertEqual(client.call('query-status')['status'], 'prelaunch')
        (owner.path / 'passphrase').write_text('open sesame')
        said = self.validate(owner, machine, client, *more, '--inject-secret', 'luks-key:passphrase', '--secret-header', 'header',
                             '--secret-payload', 'secret')
        self.assertIn('OK: Looks good to me', said)
        self.assertEqual(client.call('sev-inject-launch-secret', packet_header=(owner.path / 'header').read_text(),
                                     secret=(owner.path / 'secret').read_text()), {})
        client.call('cont')
        client.wait_event('RESUME')
        monitor.assert_told(machine, kind, owner.path / 'console', TABLE)

    def test_sev(self):
        self.flow('sev', 1)

    def test_sev_es(self):
        """The judge knows the VMSA of KVM_SEV_ES_INIT alone: KVM_SEV_INIT2 also sets MXCSR and the x87's control word."""
        self.flow('sev-es', 5, '--num-cpus', '1', '--cpu-family', '25', '--cpu-model', '1', '--cpu-stepping', '1', init='legacy')

    def test_another_firmware_is_no_good(self):
        owner = monitor.Owner(self, 1)
        machine = monitor.Machine(self, guests.SPIN, 'sev.type=sev', 'run.paused=true', *owner.sets)
        client = machine.monitor()
        monitor.until(lambda: client.call('query-sev')['state'] == 'launch-secret')
        machine.firmware.write_bytes(machine.firmware.read_bytes()[::-1])
        self.assertIn('Measurement does not match', self.validate(owner, machine, client, status=1))


if __name__ == '__main__':
    monitor.main()
