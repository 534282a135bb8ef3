# SPDX-License-Identifier: Apache-2.0
"""Two vmms between which a guest moves, and what may stand between them: a proxy that knows the frames of docs/migration.md."""
import contextlib
import json
import os
import socket
import struct
import threading

import monitor
from monitor import guests

HEADER = struct.Struct('<IHHIHHQII')
TYPES = [None, 'HELLO', 'PLAN', 'PAGES', 'PASS', 'TIME', 'VCPU', 'CHIPS', 'DEVICE', 'STATE', 'READY', 'COMMIT', 'DONE', 'ABORT', 'PING',
         'KEYS', 'PROOF', 'SEALED', 'ENDS', 'MAP', 'CHAIN', 'SESSION', 'SENT', 'MEMORY', 'LATER', 'WANT', 'WHOLE']
ENDS = ('completed', 'failed', 'cancelled', 'in-doubt', 'postcopy-paused')


class Side(monitor.Machine):
    """vmm run with a record of its moves; with an address it waits for a guest there."""

    def __init__(self, test, *sets, address=None, code=guests.SPIN, options=(), first=(), **how):
        self.record = guests.Folder(test).path / 'record'
        self.address = address
        incoming = ['--incoming', str(address)] if address else []
        super().__init__(test, code, f'migrate.record={self.record}', *sets, options=[*options, *incoming], **how)
        self.control = self.monitor()
        wanted = first or (['inmigrate'] if address else ['running'])
        monitor.until(lambda: self.state() in wanted)

    def state(self):
        return self.control.call('query-status')['status']

    def lives(self):
        return self.vmm.poll() is None

    def moves(self):
        return self.control.call('query-migrate')

    def ends(self, *ends):
        """Waits for the end of the move, which must be one of these. Returns what query-migrate says."""
        monitor.until(lambda: self.moves().get('status') in ENDS)
        moved = self.moves()
        self.test.assertIn(moved['status'], ends, moved)
        return moved

    def events(self, names=('MIGRATION', 'STOP', 'RESUME', 'MIGRATION_PASS')):
        """What was told until now, short: the status of MIGRATION, or the name."""
        self.control.call('query-name')
        return [event['data']['status'] if event['event'] == 'MIGRATION' else event['event']
                for event in self.control.events if event['event'] in names]

    def tell(self):
        self.control.call('migrate-set-capabilities', capabilities=[{'capability': 'events', 'state': True}])
        self.control.events.clear()

    def slow(self):
        """A move from here does not get beyond its first pages."""
        self.control.call('migrate-set-parameters', max_bandwidth=1)

    def fast(self):
        self.control.call('migrate-set-parameters', max_bandwidth=0)

    def records(self):
        """The events in its record, and the one id that they have."""
        lines = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [line['event'] for line in lines], {line['id'] for line in lines}


class Pair:
    """A source and a target that waits for it at a socket file."""

    def __init__(self, test, here=(), there=(), **how):
        self.folder = guests.Folder(test).path
        self.address = f'unix:{self.folder}/move'
        self.target = Side(test, *there, address=self.address, **how)
        self.source = Side(test, *here, **how)

    def migrate(self, **more):
        return self.source.control.call('migrate', uri=self.address, **more)


def receive(sock, fds=None):
    """A whole frame; None at the end. The descriptors that it brings are added to the list fds."""
    def exactly(size):
        data = b''
        while len(data) < size:
            part, more, *_ = socket.recv_fds(sock, size - len(data), 16)
            if fds is not None:
                fds.extend(more)
            if not part:
                return None
            data += part
        return data
    header = exactly(HEADER.size)
    if header is None:
        return None
    payload = exactly(HEADER.unpack(header)[3])
    return None if payload is None else header + payload


def send(sock, frame, fds):
    """Sends a frame with its descriptors, which are closed."""
    sent = socket.send_fds(sock, [frame], fds) if fds else 0
    for fd in fds:
        os.close(fd)
    sock.sendall(frame[sent:])


class Proxy:
    """
    Takes one connection and hands frames on both ways. at(who, name, frame) is asked before each one: False ends the connection in
    place of the frame. after() is the same behind it.
    """

    def __init__(self, test, to, at=lambda *_: True, after=lambda *_: True):
        self.path = guests.Folder(test).path / 'proxy'
        self.address, self.to, self.at, self.after = f'unix:{self.path}', to, at, after
        self.seen, self.lock, self.ends = [], threading.Lock(), []
        self.change = lambda name, fds: fds    # the descriptors of a frame
        self.hold = lambda who, name: None     # may wait before a frame is handed on; the other way goes on meanwhile
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.threads = [threading.Thread(target=self.serve, daemon=True)]
        self.threads[0].start()
        test.addCleanup(self.close)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self.threads:
            thread.join(monitor.LIMIT)
        self.listener.close()
        for sock in self.ends:
            sock.close()

    def cut(self):
        for sock in self.ends:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def serve(self):
        with contextlib.suppress(OSError):
            source, _ = self.listener.accept()
            target = socket.socket(socket.AF_UNIX)
            self.ends = [source, target]
            target.connect(self.to)
            self.threads += [threading.Thread(target=self.hand_on, args=way, daemon=True)
                             for way in (('source', source, target), ('target', target, source))]
            for thread in self.threads[1:]:
                thread.start()

    def hand_on(self, who, from_, to):
        with contextlib.suppress(OSError):
            while frame := receive(from_, fds := []):
                name = TYPES[HEADER.unpack(frame[:HEADER.size])[1]]
                self.hold(who, name)
                with self.lock:
                    self.seen.append((who, name))
                    if not self.at(who, name, frame):
                        break
                    send(to, frame, self.change(name, fds))
                    if not self.after(who, name, frame):
                        break
        self.cut()


def carry(test, source, target):
    """Moves the guest through a proxy, and returns what travelled: names and frames."""
    frames = []
    proxy = Proxy(test, target.address[len('unix:'):], after=lambda who, name, frame: frames.append((name, frame)) or True)
    test.assertNotIn('blocked-reasons', source.moves())
    source.control.call('migrate', uri=proxy.address)
    source.ends('completed')
    monitor.until(lambda: target.state() == 'running')
    return frames


def is_last(name, frame):
    """Does this frame end the last pass?"""
    return name == 'PASS' and struct.unpack_from('<I', frame, HEADER.size + 4)[0] == 1
