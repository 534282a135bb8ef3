# SPDX-License-Identifier: Apache-2.0
"""vmm with a control socket, and a client that keeps every line as it came."""
import json
import os
import pathlib
import socket
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ('cli', 'launch', 'support')]
import guests  # noqa: E402
from guests import descriptors, main, until  # noqa: E402, F401
import images  # noqa: E402
from places import CACHE  # noqa: E402, F401

LIMIT = 120  # seconds that anything may take on however busy a machine
# Sends the secret of a SEV guest's owner, or its first 32 bytes, to the serial port, and powers off.
TELL = bytes.fromhex('b80020 8ed8 31f6 b92000 baf803 ac ee e2fc') + guests.POWER_OFF
# A SEV-ES guest has no serial port without a page for its GHCB, and code without page tables cannot share one. So this one ends
# itself by the GHCB's MSR protocol: the code of its reason is the sum of the secret's first 16 bytes.
TELL_SUM = bytes.fromhex('b80020 8ed8 31f6 b91000 30db ac 00c3 e2fb'
                         '660fb6c3 66c1e010 660d00f10000 66b9300101c0 6631d2 0f30 f30f01d9')
TELLS = {'sev': TELL, 'sev-es': TELL_SUM}
NEGOTIATE = '{"execute": "qmp_capabilities"}'


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        self.socket.connect(str(path))
        self.file = self.socket.makefile('rb')
        self.greeting = self.line()
        self.events = []

    def line(self):
        """The next line as it came; b'' at the end."""
        return self.file.readline()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def answer_line(self):
        """The next line that is no event, as it came; b'' at the end."""
        while line := self.line():
            read = json.loads(line)
            if 'event' not in read:
                return line
            self.events.append(read)
        return b''

    def answer(self):
        """The same, read as JSON; None at the end."""
        return json.loads(self.answer_line() or 'null')

    def raw(self, data):
        """What a request is answered, with its id if it has one."""
        self.send(data)
        return self.answer()

    def call(self, command, /, **arguments):
        """The value of a command that goes well."""
        answer = self.ask(command, **arguments)
        if answer is None or 'return' not in answer:
            raise AssertionError(f'{command}: {answer}')
        return answer['return']

    def ask(self, command, /, **arguments):
        names = {name.replace('_', '-'): value for name, value in arguments.items()}
        request = {'execute': command, 'id': command} | ({'arguments': names} if names else {})
        return self.raw(json.dumps(request))

    def wait_event(self, name):
        """The next event of this name, of those that came or come."""
        while True:
            for i, event in enumerate(self.events):
                if event['event'] == name:
                    del self.events[:i + 1]
                    return event
            line = self.line()
            if not line:
                raise AssertionError(f'the connection ended before the event {name}')
            read = json.loads(line)
            if 'event' not in read:
                raise AssertionError(f'{read} instead of the event {name}')
            self.events.append(read)

    def negotiated(self):
        assert self.raw(NEGOTIATE) == {'return': {}}
        return self

    def close(self):
        self.file.close()
        self.socket.close()


class Machine:
    """vmm run on the software platform, for a test's life."""

    def __init__(self, test, code=guests.SPIN, *sets, options=(), path=None, before=(), **how):
        self.folder = guests.Folder(test)
        self.test = test
        self.path = path or self.folder.path / 'control'
        command = self.folder.guest(code, f'control.socket={self.path}', 'run.grace=2', *sets)
        self.firmware = self.folder.path / 'measured.fd'
        if any(word.startswith('sev.type') for word in sets):
            self.firmware.write_bytes(images.image(code))
            command += ['--set', f'firmware={self.firmware}', '--set', 'machine.memory=16M']
        command += options
        self.log = self.folder.path / 'log'
        with open(self.log, 'wb') as log:
            self.vmm = subprocess.Popen([*before, *command, '--host', 'sim'], **{
                'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, 'stderr': log, 'env': guests.measured_environment()} | how)
        test.addCleanup(self.end)
        until(lambda: connects(self.path) or self.vmm.poll() is not None)
        if self.vmm.poll() is not None:
            raise AssertionError('vmm ended: ' + self.log.read_text())

    def client(self):
        client = Client(self.path)
        self.test.addCleanup(client.close)
        return client

    def monitor(self):
        return self.client().negotiated()

    def end(self):
        if self.vmm.poll() is None:
            self.vmm.kill()
        self.vmm.wait()

    def status(self):
        return self.vmm.wait(LIMIT)


def assert_told(machine, kind, console, secret):
    """The guest of TELLS ended and has told at least the first 16 bytes of the secret."""
    if kind == 'sev':
        machine.test.assertEqual(machine.status(), 0)
        machine.test.assertEqual(console.read_bytes()[:len(secret)], secret)
    else:
        machine.test.assertEqual(machine.status(), 3)
        machine.test.assertIn(f'(reason set 15, code {sum(secret[:16]) & 0xff})', machine.log.read_text())


class Owner:
    """The owner of a SEV or SEV-ES guest: keys, and the session by which the guest's platform gets them."""

    def __init__(self, test, policy):
        self.path = guests.Folder(test).path
        self.vmm('host', '--host', 'sim', '--certificates', 'certs', '--generation', 'sev', '--out-root', 'ark')
        self.vmm('session', 'new', '--pdh', 'certs', '--root', 'ark', '--policy', hex(policy), '--out-keys', 'keys',
                 '--out-session', 'session', '--out-godh', 'godh')
        self.sets = (f'sev.session={self.path}/session', f'sev.dh-cert={self.path}/godh')

    def vmm(self, *args):
        run = subprocess.run([guests.VMM, *args], cwd=self.path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
        assert run.returncode == 0, run.stderr


def connects(path):
    with socket.socket(socket.AF_UNIX) as attempt:
        return attempt.connect_ex(str(path)) == 0
