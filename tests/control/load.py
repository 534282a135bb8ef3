#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A crowd of clients at a control socket, well and badly behaved, until standard input ends.

usage: load.py SOCKET
64 clients are connected at a time: some ask one question after the other; eight say nothing; one asks and never reads; one sends a byte
a second; one sends strings of 64 MiB. Another one comes and goes in the middle of a request, again and again. Says what it did at the end.
"""
import json
import select
import socket
import sys
import time

NEGOTIATE = b'{"execute": "qmp_capabilities"}'
ASK = b'{"execute": "query-status"}'
CLIENTS, HALF_OPEN = 64, 8
ENDLESS_BYTES = 64 << 20
BLOCK = b'x' * (1 << 16)


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    return client


def negotiated(path):
    client = connect(path)
    client.sendall(NEGOTIATE)
    seen = b''
    while seen.count(b'\n') < 2:
        seen += client.recv(1 << 16)
    client.setblocking(False)
    return client


def send_some(client, data):
    """How much of it the socket takes."""
    try:
        return client.send(data)
    except BlockingIOError:
        return 0


def drain(client):
    try:
        return client.recv(1 << 16)
    except BlockingIOError:
        return b''


class Askers:
    """They send the next question when the last one is answered."""

    def __init__(self, path, count):
        self.waiting = {client.fileno(): (client, b'') for client in (negotiated(path) for _ in range(count))}
        self.poll, self.answers = select.poll(), 0
        for number, (client, _) in self.waiting.items():
            client.sendall(ASK)
            self.poll.register(number, select.POLLIN)

    def act(self):
        for number, _ in self.poll.poll(10):
            client, seen = self.waiting[number]
            seen += drain(client)
            *lines, rest = seen.split(b'\n')
            self.waiting[number] = client, rest
            if any(b'"return"' in line for line in lines):
                self.answers += 1
                client.sendall(ASK)


class Deaf:
    def __init__(self, path):
        self.client = negotiated(path)

    def act(self):
        send_some(self.client, b'{"execute": "query-qmp-schema"}' * 10)


class Slow:
    """A byte a second."""

    def __init__(self, path):
        self.client, self.sent, self.next = negotiated(path), 0, time.monotonic()

    def act(self):
        if time.monotonic() >= self.next:
            self.next += 1
            self.sent += send_some(self.client, ASK[self.sent % len(ASK):][:1])
            drain(self.client)


class Endless:
    """64 MiB of a string, whose end comes when nobody believes in it any more."""

    def __init__(self, path):
        self.client, self.left, self.sent = negotiated(path), 0, 0

    def act(self):
        if self.left <= 0:
            self.left = ENDLESS_BYTES
            send_some(self.client, b'"}\n{"execute": "')
        sent = send_some(self.client, BLOCK)
        self.left -= sent
        self.sent += sent
        drain(self.client)


class Leaver:
    def __init__(self, path):
        self.path, self.left = path, 0

    def act(self):
        with connect(self.path) as client:
            client.sendall(NEGOTIATE + b'{"execute": "query-qmp-schema"}{"execute": "query-st')
        self.left += 1


def main(path):
    half_open = [connect(path) for _ in range(HALF_OPEN)]
    deaf, slow, endless, leaver = Deaf(path), Slow(path), Endless(path), Leaver(path)
    askers = Askers(path, CLIENTS - HALF_OPEN - 4)
    print('ready', flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        for one in (askers, deaf, slow, endless, leaver):
            one.act()
    print(json.dumps({'answers': askers.answers, 'left': leaver.left, 'endless-bytes': endless.sent, 'half-open': len(half_open)}))


if __name__ == '__main__':
    main(sys.argv[1])
