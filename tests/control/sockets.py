#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket as a file and as a descriptor: who may connect, what is replaced, what is left behind."""
import contextlib
import os
import pathlib
import pwd
import select
import socket
import stat
import subprocess
import sys
import unittest

import monitor
from monitor import guests

NOBODY = pwd.getpwnam('nobody').pw_uid


def listening(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


def connect_as(uid, path):
    """What a process of this user reads first; b'' if it is disconnected."""
    script = ('import os, socket, sys; os.setuid(int(sys.argv[1])); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[2]); '
              'sys.stdout.buffer.write(s.makefile("rb").readline())')
    run = subprocess.run([sys.executable, '-c', script, str(uid), str(path)], capture_output=True, timeout=monitor.LIMIT)
    return run.returncode, run.stdout


class Sockets(unittest.TestCase):
    def fails(self, path, words, *sets):
        command = guests.Folder(self).guest(guests.SPIN, f'control.socket={path}', *sets)
        run = subprocess.run(command + ['--host', 'sim'], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                             timeout=monitor.LIMIT)
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertIn(words, run.stderr)

    def test_only_the_own_user_may_open_it(self):
        machine = monitor.Machine(self)
        self.assertEqual(stat.S_IMODE(machine.path.stat().st_mode), 0o600)

    def test_ghost_is_replaced(self):
        folder = guests.Folder(self)
        path = folder.path / 'ghost'
        listening(path).close()
        machine = monitor.Machine(self, guests.SPIN, f'control.socket={path}', path=path)
        machine.monitor().call('quit')
        self.assertEqual(machine.status(), 0)
        self.assertFalse(path.exists())

    def start_at(self, path):
        """vmm run alone: Machine would take a connection to a ghost for one to its vmm."""
        command = guests.Folder(self).guest(guests.SPIN, f'control.socket={path}') + ['--host', 'sim']
        vmm = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (vmm.kill(), vmm.wait()))
        return vmm

    def greets(self, vmm, path):
        self.assertIsNone(vmm.poll())
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.connect(str(path))
            return client.recv(1)
        return b''

    def test_ghost_that_is_on_its_way(self):
        """It still takes connections when vmm tries it, and disconnects them."""
        path = guests.Folder(self).path / 'going'
        with listening(path) as server:
            vmm = self.start_at(path)
            self.assertTrue(select.select([server], [], [], monitor.LIMIT)[0])
        monitor.until(lambda: self.greets(vmm, path))

    def test_killed_and_started_again(self):
        """The kernel takes the socket of a killed process down some milliseconds after the process."""
        path = guests.Folder(self).path / 'again'
        for _ in range(20):
            vmm = self.start_at(path)
            monitor.until(lambda vmm=vmm: self.greets(vmm, path))
            vmm.kill()
            vmm.wait()

    def test_living_one_is_refused(self):
        path = guests.Folder(self).path / 'alive'
        with listening(path):
            self.fails(path, 'another process listens there')
            self.assertTrue(path.exists())
        machine = monitor.Machine(self)
        self.fails(machine.path, 'another process listens there')
        machine.monitor().call('query-status')

    def test_what_is_no_socket_is_left_alone(self):
        path = guests.Folder(self).path / 'file'
        path.write_text('precious')
        self.fails(path, 'no socket')
        self.assertEqual(path.read_text(), 'precious')

    def test_paths_that_cannot_be(self):
        folder = guests.Folder(self).path
        self.fails(folder / 'missing' / 'socket', 'No such file or directory')
        self.fails(folder / ('x' * 200), 'a socket\'s has at most 107')
        self.fails('fd:x', 'names no descriptor')
        self.fails('fd:0', 'descriptor 0')
        self.fails(folder / 'socket', 'there is no user nobody-at-all', 'control.allow=nobody-at-all')

    def test_a_foreign_socket_in_its_place_stays(self):
        machine = monitor.Machine(self)
        client = machine.monitor()
        machine.path.unlink()
        with listening(machine.path):
            client.call('quit')
            machine.status()
            self.assertTrue(machine.path.exists())

    def test_inherited_descriptor(self):
        """As libvirt and systemd hand one over; the file stays, because it is theirs."""
        path = guests.Folder(self).path / 'theirs'
        with listening(path) as server:
            os.set_inheritable(server.fileno(), True)
            machine = monitor.Machine(self, guests.SPIN, f'control.socket=fd:{server.fileno()}', path=path,
                                      pass_fds=[server.fileno()])
            self.assertEqual(machine.monitor().call('query-name'), {'name': 'guest'})
            machine.monitor().call('quit')
            self.assertEqual(machine.status(), 0)
            self.assertTrue(path.exists())

    def activated(self, path, server, environment):
        """systemd's protocol: descriptor 3, and LISTEN_PID is the process that is started."""
        shell = f'exec 3<&{server.fileno()}; export LISTEN_PID=$$; exec "$@"'
        os.set_inheritable(server.fileno(), True)
        return monitor.Machine(self, guests.SPIN, 'control.socket=""', path=path, pass_fds=[server.fileno()],
                               env=os.environ | environment, before=['/bin/bash', '-c', shell, 'bash'])

    def test_socket_activation(self):
        path = guests.Folder(self).path / 'activated'
        with listening(path) as server:
            machine = self.activated(path, server, {'LISTEN_FDS': '1', 'LISTEN_FDNAMES': 'control'})
            client = machine.monitor()
            self.assertEqual(client.call('query-name'), {'name': 'guest'})
            self.assertNotIn(b'LISTEN_', pathlib.Path(f'/proc/{machine.vmm.pid}/cmdline').read_bytes())
            client.call('quit')
            self.assertEqual(machine.status(), 0)

    @unittest.skipUnless(os.geteuid() == 0, 'only root can become another user')
    def test_users_who_are_not_allowed(self):
        machine = monitor.Machine(self)
        os.chmod(machine.folder.path, 0o755)
        os.chmod(machine.path, 0o666)
        self.assertEqual(connect_as(NOBODY, machine.path), (0, b''))
        self.assertIn('may not connect', machine.log.read_text())
        self.assertTrue(connect_as(0, machine.path)[1].startswith(b'{"QMP"'))

    @unittest.skipUnless(os.geteuid() == 0, 'only root can become another user')
    def test_users_who_are_allowed(self):
        machine = monitor.Machine(self, guests.SPIN, 'control.allow=nobody,12345')
        os.chmod(machine.folder.path, 0o755)
        self.assertTrue(connect_as(NOBODY, machine.path)[1].startswith(b'{"QMP"'))
        self.assertTrue(connect_as(12345, machine.path)[1].startswith(b'{"QMP"'))
        self.assertEqual(connect_as(12346, machine.path), (0, b''))


if __name__ == '__main__':
    monitor.main()
