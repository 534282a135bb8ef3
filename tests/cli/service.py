#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vmm under a service manager: the units, what the manager hears while a guest lives, and lines for the journal."""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import unittest

import guests

UNITS = pathlib.Path(os.environ.get('UNITS', 'build/data/systemd'))
EXPOSURE = 20  # tenths
NEWS = 100
LONG = bytes.fromhex('66b9002d3101 67e2fd')  # 20 million instructions: mov ecx; loop


class Units(unittest.TestCase):
    """systemd's own judgement."""
    def setUp(self):
        if not shutil.which('systemd-analyze'):
            self.skipTest('systemd-analyze is not installed')
        self.folder = guests.Folder(self).path
        for unit in UNITS.glob('*@.*'):
            text = unit.read_text()
            self.assertNotRegex(text, r'@(program|bindir)@')
            (self.folder / unit.name).write_text(re.sub(r'(?m)^ExecStart=\S+', f'ExecStart={guests.VMM}', text))
        self.names = sorted(path.name for path in self.folder.iterdir())
        self.assertEqual([name.split('@')[1] for name in self.names], ['.service', '.socket'])

    def analyze(self, *words):
        done = subprocess.run(['systemd-analyze', '--no-pager', *words], capture_output=True, text=True, cwd=self.folder)
        return done.returncode, done.stdout + done.stderr

    def test_units_are_understood(self):
        instances = [str(self.folder / name.replace('@', '@guest')) for name in self.names]
        for instance, name in zip(instances, self.names):
            shutil.copy(self.folder / name, instance)
        status, said = self.analyze('verify', '--man=no', *instances)
        own = [line for line in said.splitlines() if 'guest' in line]
        self.assertEqual((own, status), ([], 0), said)

    def test_a_mistake_in_a_unit_is_found(self):
        """So that the test above can fail."""
        path = self.folder / self.names[0].replace('@', '@guest')
        path.write_text((self.folder / self.names[0]).read_text().replace('KillMode=mixed', 'KillMode=gently'))
        self.assertIn('kill mode', self.analyze('verify', '--man=no', str(path))[1])

    def test_exposure_is_small(self):
        if 'offline' not in self.analyze('--help')[1]:
            self.skipTest('this systemd-analyze judges no file')
        status, said = self.analyze('security', '--offline=yes', f'--threshold={EXPOSURE}', './' + self.names[0])
        self.assertEqual(status, 0, said)
        print(said.strip().splitlines()[-1])

    def test_drop_in_is_understood(self):
        """The example for guests with devices."""
        extra = self.folder / (self.names[0].replace('@', '@guest') + '.d')
        extra.mkdir()
        text = (UNITS / 'devices.conf').read_text()
        (extra / 'devices.conf').write_text(text)
        path = self.folder / self.names[0].replace('@', '@guest')
        shutil.copy(self.folder / self.names[0], path)
        status, said = self.analyze('verify', '--man=no', str(path))
        self.assertEqual(([line for line in said.splitlines() if 'devices.conf' in line], status), ([], 0), said)


class Manager:
    """The socket of a service manager."""
    def __init__(self, test, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        test.addCleanup(self.socket.close)
        self.socket.bind(name.replace('@', '\0', 1) if name.startswith('@') else name)
        self.socket.settimeout(120)
        self.environment = dict(os.environ, NOTIFY_SOCKET=name)
        self.news = []

    def hear(self, until):
        """All that came, with the first that has this text as its last."""
        while not self.news or until not in self.news[-1]:
            self.news.append(self.socket.recv(4096).decode())
            assert len(self.news) < NEWS, self.news
        return self.news

    def rest(self):
        self.socket.setblocking(False)
        try:
            while True:
                self.news.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return self.news


class Notify(unittest.TestCase):
    def setUp(self):
        self.files = guests.Folder(self)
        self.manager = Manager(self, str(self.files.path / 'notify'))

    @contextlib.contextmanager
    def start(self, code, *sets, manager=None):
        with subprocess.Popen(self.files.guest(code, 'host=sim', *sets), env=(manager or self.manager).environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    def test_news_of_a_life(self):
        with self.start(guests.BUTTON) as process:
            news = list(self.manager.hear('READY=1'))
            self.assertEqual(news[-1], 'READY=1\nSTATUS=The guest is running')
            self.assertTrue(news[:-1] and all(piece.startswith('STATUS=Launching the guest: ') for piece in news[:-1]), news)
            self.assertEqual(len(set(news)), len(news))
            process.terminate()
            process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0)
        self.manager.hear('STOPPING=1')
        self.assertEqual(self.manager.news[-2:], ['STATUS=The guest is asked to shut down', 'STOPPING=1\nSTATUS=The guest ends (guest-shutdown)'])
        self.assertEqual(sum('READY=1' in piece for piece in self.manager.rest()), 1)

    def test_a_reset_is_told_and_ready_only_once(self):
        with self.start(LONG + guests.RESET) as process:
            self.manager.hear('launched again')
            self.manager.hear('The guest is running')
            process.kill()
            process.communicate()
        self.assertEqual(sum('READY=1' in piece for piece in self.manager.rest()), 1)

    def test_a_crash_is_told(self):
        with self.start(guests.TRIPLE_FAULT) as process:
            process.communicate(timeout=120)
            self.assertEqual(process.returncode, 3)
        self.manager.hear('STOPPING=1')
        self.assertIn('STATUS=The guest crashed', self.manager.news)

    def test_a_guest_that_waits_is_ready(self):
        with self.start(guests.SPIN, 'run.paused=true') as process:
            self.assertEqual(self.manager.hear('READY=1')[-1], 'READY=1\nSTATUS=The guest is waiting to be started')
            process.kill()
            process.communicate()

    def test_a_name_outside_of_file_systems(self):
        manager = Manager(self, f'@vmm-test-{os.getpid()}')
        with self.start(guests.POWER_OFF, manager=manager) as process:
            process.communicate(timeout=120)
        manager.hear('READY=1')

    def test_a_manager_that_is_not_there_stops_nobody(self):
        for name in ('/no/such/socket', 'vsock:2:3', '@' + 'x' * 200, str(self.files.path)):
            environment = dict(os.environ, NOTIFY_SOCKET=name)
            done = guests.run(self.files.guest(guests.text('x') + guests.POWER_OFF, 'host=sim'), env=environment)
            self.assertEqual((done.returncode, done.stdout), (0, b'x'), done.stderr)
            self.assertIn(b'NOTIFY_SOCKET', done.stderr)

    def test_a_manager_that_does_not_read_stops_nobody(self):
        with self.start(guests.text('x') + guests.POWER_OFF) as process:
            self.assertEqual((process.communicate(timeout=120)[0], process.returncode), ('x', 0))


class Environment(unittest.TestCase):
    """What a service manager says to vmm is not for the programs that serve devices."""
    PROGRAM = """#!/bin/sh
env >%s
exit 1
"""

    def test_programs_for_devices_hear_nothing(self):
        files = guests.Folder(self)
        heard, program = files.path / 'heard', files.path / 'passt'
        program.write_text(self.PROGRAM % heard)
        program.chmod(0o755)
        manager = Manager(self, str(files.path / 'notify'))
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(listening.close)
        listening.bind(str(files.path / 'control'))
        listening.listen()
        shell = f'exec 3<&{listening.fileno()}; export LISTEN_PID=$$; exec "$@"'
        for sandbox in ('true', 'false'):
            with self.subTest(sandbox=sandbox):
                command = files.guest(guests.SPIN, 'host=sim', f'run.sandbox={sandbox}', 'devices[0].driver=net')
                environment = manager.environment | {'PATH': f'{files.path}:{os.environ["PATH"]}', 'LISTEN_FDS': '1', 'LISTEN_FDNAMES': 'control'}
                done = subprocess.run(['/bin/bash', '-c', shell, 'bash', *command], env=environment, pass_fds=[listening.fileno()],
                                      stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
                self.assertNotEqual(done.returncode, 0)
                names = {line.split('=')[0] for line in heard.read_text().splitlines()}
                self.assertIn('PATH', names, done.stderr)
                self.assertFalse({name for name in names if name.startswith(('LISTEN_', 'NOTIFY_'))}, names)
                heard.unlink()


class Journal(unittest.TestCase):
    """Lines begin with their priority where standard error is the journal's stream (systemd.exec(5), sd-daemon(3))."""
    def setUp(self):
        self.files = guests.Folder(self)

    def run_with(self, command, stream):
        with open(self.files.path / 'stderr', 'wb+') as err:
            status = os.fstat(err.fileno())
            environment = dict(os.environ, JOURNAL_STREAM=stream or f'{status.st_dev}:{status.st_ino}')
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env=environment, timeout=300, check=False)
            err.seek(0)
            return err.read().decode()

    def test_lines_have_their_priority(self):
        said = self.run_with(self.files.guest(guests.POWER_OFF, 'host=sim', 'log=info'), None)
        self.assertIn('\n<6>the guest switched itself off', '\n' + said)
        self.assertNotIn('vmm: ', said)

    def test_errors_have_theirs(self):
        self.assertTrue(self.run_with([guests.VMM, 'run', '/no/such/file'], None).startswith('<3>'))

    def test_another_stream_is_not_the_journal(self):
        for stream in ('1:1', 'nonsense', '8'):
            self.assertIn('vmm: ', self.run_with(self.files.guest(guests.POWER_OFF, 'host=sim', 'log=info'), stream))


if __name__ == '__main__':
    guests.main()
