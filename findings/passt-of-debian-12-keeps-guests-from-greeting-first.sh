#!/bin/bash
# passt of Debian 12 never answers the SYN-ACK of a server in the guest until the client speaks: a server that greets first is not reached.
#
# Package: passt 0.0~git20230309.7c7625d-1 (Debian 12). Debian 13's, 0.0~git20250503.587980c-2+deb13u1, answers at once.
# A client connects to a port that passt forwards (-t). passt accepts, sends the guest a SYN, and gets the SYN-ACK. The ACK that would end the
# handshake goes out with the client's first bytes and not before, so the guest's kernel sends its SYN-ACK again and again and gives its server
# no connection. After 24 seconds passt ends it. To the client it all looks like a server that accepts and says nothing.
# Who meets it: whoever forwards a port to a guest where a server greets first (SMTP, FTP, IMAP, MySQL, an agent of its own).
# What helps: a newer passt; a client that speaks first; a tap interface.
# The guest here is a few lines of Python on passt's socket. It answers the SYN, repeats that as Linux does, and greets when the ACK has come.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
[ "$(id -u)" = 0 ] || { echo "run it as root: passt gets a network namespace with a tap interface" && exit 1; }

apt-get -qq -o APT::Sandbox::User=root download passt=0.0~git20230309.7c7625d-1
dpkg-deb -x passt_*.deb root
echo "passt 0.0~git20230309.7c7625d-1"

cat >guest.py <<'PYTHON'
import socket
import struct
import subprocess
import sys
import threading
import time

GUEST, GATEWAY, MAC = bytes([192, 0, 2, 2]), bytes([192, 0, 2, 1]), bytes.fromhex('525400123456')
SYN, RST, PSH, ACK = 2, 4, 8, 16
PORT, GREETING = 2525, b'220 ready\r\n'
REPEATED = (1, 3, 7, 15, 31)    # seconds after which Linux sends a SYN-ACK again


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f'>{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Server:
    """The guest's end of one connection."""
    def __init__(self, link):
        self.link, self.came, self.peer, self.syn, self.established = link, b'', 0, 0, 0
        link.settimeout(0.1)
        arp = struct.pack('>HHBBH', 1, 0x0800, 6, 4, 1) + MAC + GUEST + bytes(6) + GATEWAY
        self.frame(b'\x08\x06', arp)    # passt learns where the guest is

    def frame(self, kind, data):
        frame = b'\xff' * 6 + MAC + kind + data
        self.link.sendall(struct.pack('>I', len(frame)) + frame)

    def send(self, flags, seq, data=b''):
        tcp = struct.pack('>HHIIBBHHH', PORT, self.peer, seq, self.ack, 5 << 4, flags, 64000, 0, 0) + data
        total = checksum(GUEST + GATEWAY + struct.pack('>HH', 6, len(tcp)) + tcp)
        ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, GUEST, GATEWAY)
        self.frame(b'\x08\x00', ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:] + tcp[:16] + struct.pack('>H', total) + tcp[18:])

    def segments(self):
        try:
            self.came += self.link.recv(1 << 16)
        except TimeoutError:
            pass
        while len(self.came) >= 4 and len(self.came) >= (end := 4 + struct.unpack('>I', self.came[:4])[0]):
            frame, self.came = self.came[4:end], self.came[end:]
            if frame[12:14] == b'\x08\x00' and frame[23] == 6:
                yield frame[34:14 + struct.unpack('>H', frame[16:18])[0]]

    def answer(self, tcp):
        port, seq, flags, length = struct.unpack('>H', tcp[:2])[0], struct.unpack('>I', tcp[4:8])[0], tcp[13], len(tcp) - (tcp[12] >> 4) * 4
        if flags & SYN and not self.syn:
            self.peer, self.ack, self.syn, self.again = port, seq + 1, time.monotonic(), list(REPEATED)
            self.send(SYN | ACK, 5000)
        elif flags & ACK and not flags & RST and self.syn and not self.established:
            self.established = time.monotonic()
            self.ack += length
            self.send(PSH | ACK, 5001, GREETING)

    def run(self, end):
        while not end.is_set():
            for tcp in self.segments():
                self.answer(tcp)
            if self.syn and not self.established and self.again and time.monotonic() > self.syn + self.again[0]:
                self.again.pop(0)
                self.send(SYN | ACK, 5000)


def connect():
    """passt has not opened its port yet when it has just been started."""
    for _ in range(100):
        try:
            return socket.create_connection(('127.0.0.1', PORT), timeout=35)
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit('passt does not listen')


def visit(passt, first):
    """What a client hears that says first when it has connected; after how many seconds; whether the guest got a SYN, and its SYN-ACK an ACK."""
    ours, theirs = socket.socketpair()
    command = [passt, '--fd', str(theirs.fileno()), '-f', '-4', '-a', '192.0.2.2', '-n', '24', '-g', '192.0.2.1', '-t', f'{PORT}']
    end = threading.Event()
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL) as process:
        theirs.close()
        server = Server(ours)
        thread = threading.Thread(target=server.run, args=[end], daemon=True)
        thread.start()
        client = connect()
        start = time.monotonic()
        client.sendall(first)
        try:
            heard = client.recv(100).decode()
        except (ConnectionResetError, TimeoutError) as error:
            heard = type(error).__name__
        took = time.monotonic() - start
        end.set()
        thread.join()
        process.kill()
    return heard, took, bool(server.syn), bool(server.established)


heard, took, asked, reached = visit(sys.argv[1], b'')
print(f'a client that waits: {heard!r} after {took:.1f} s; the guest was {"asked" if asked else "not asked"}, its SYN-ACK {"" if reached else "not "}answered', flush=True)
spoken, soon, _, other_reached = visit(sys.argv[1], b'x')
print(f'a client that says a byte: {spoken!r} after {soon:.1f} s', flush=True)
waits = asked and not reached and 20 <= took <= 30 and heard in ('', 'ConnectionResetError')
sys.exit(not (waits and other_reached and spoken.encode() == GREETING and soon < 10))
PYTHON

# shellcheck disable=SC2016 # $1 is the inner shell's
unshare --net bash -c 'ip link set lo up && ip tuntap add dev up0 mode tap && ip addr add 192.0.2.2/24 dev up0 && ip link set up0 up &&
	ip route add default via 192.0.2.1 && exec /usr/bin/python3 guest.py "$1"' - "$folder/root/usr/bin/passt" || {
	echo "the finding is old: the guest's SYN-ACK was answered, or a byte from the client does not help"
	exit 1
}
echo "finding holds: a guest's server is reached only by clients that speak first"
