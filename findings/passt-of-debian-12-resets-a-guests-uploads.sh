#!/bin/bash
# passt of Debian 12 resets a TCP connection that the guest opened 24 seconds after it began, in full flow, if the host has sent nothing on it.
#
# Package: passt 0.0~git20230309.7c7625d-1 (Debian 12). Debian 13's does not.
# The first ACK of the guest acknowledges no more than the SYN that passt counts as acknowledged already, so passt goes on waiting for an ACK:
# 10 seconds as for a handshake, then seven times 2 seconds as for a retransmission, then it sends RST. Any
# byte from the host, once acknowledged, ends the wait. So short uploads pass, and long ones fail where the receiver is silent.
# Who meets it: whoever gives guests a network by passt, and sees that an upload (a disk image, a backup, a log stream) breaks off on a slow
# day with "Connection reset by peer", and never again when it is repeated on a fast one.
# What helps: a newer passt; or a receiver that says a byte first.
# The guest here is a few lines of Python on passt's socket. It sends 500 bytes, five times a second, each of which passt acknowledges.
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


def checksum(data):
    total = sum(struct.unpack(f'>{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Guest:
    """One TCP connection from the guest to a port of the gateway, which is this machine's 127.0.0.1."""
    def __init__(self, link, port):
        self.link, self.port, self.seq, self.ack, self.came = link, port, 1000, 0, b''

    def send(self, flags, data=b''):
        tcp = struct.pack('>HHIIBBHHH', 40000, self.port, self.seq, self.ack, 5 << 4, flags, 64000, 0, 0) + data
        sum_tcp = checksum(GUEST + GATEWAY + struct.pack('>HH', 6, len(tcp)) + tcp)
        ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, GUEST, GATEWAY)
        frame = b'\xff' * 6 + MAC + b'\x08\x00' + ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:]
        frame += tcp[:16] + struct.pack('>H', sum_tcp) + tcp[18:]
        self.link.sendall(struct.pack('>I', len(frame)) + frame)
        self.seq += len(data) + (flags & SYN != 0)

    def segments(self):
        """Flags, sequence number and length of the data of each segment that has come."""
        self.link.settimeout(0.05)
        try:
            self.came += self.link.recv(1 << 20)
        except TimeoutError:
            pass
        while len(self.came) >= 4 and len(self.came) >= (end := 4 + struct.unpack('>I', self.came[:4])[0]):
            frame, self.came = self.came[4:end], self.came[end:]
            if frame[12:14] == b'\x08\x00' and frame[23] == 6:
                tcp = frame[34:14 + struct.unpack('>H', frame[16:18])[0]]
                yield tcp[13], struct.unpack('>I', tcp[4:8])[0], len(tcp) - (tcp[12] >> 4) * 4


def upload(passt, seconds, first):
    """How long the connection lived, and what the server got; first is what the server says when it begins."""
    got, listener = [], socket.create_server(('127.0.0.1', 0))

    def serve():
        with listener.accept()[0] as connection:
            connection.sendall(first)
            while block := connection.recv(1 << 16):
                got.append(len(block))
    threading.Thread(target=serve, daemon=True).start()
    ours, theirs = socket.socketpair()
    command = [passt, '--fd', str(theirs.fileno()), '-f', '-4', '-a', '192.0.2.2', '-n', '24', '-g', '192.0.2.1']
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL) as process:
        theirs.close()
        guest, start, end = Guest(ours, listener.getsockname()[1]), 0, time.monotonic() + 30
        guest.send(SYN)
        while time.monotonic() < end:
            for flags, seq, length in guest.segments():
                if flags & RST:
                    end = 0
                elif flags & SYN or length:
                    guest.ack = (seq + length + (flags & SYN != 0)) % (1 << 32)
                    guest.send(ACK)
                    if not start:
                        start, end = time.monotonic(), time.monotonic() + seconds
            if start and end:
                guest.send(PSH | ACK, b'x' * 500)
                time.sleep(0.2)
        lived = time.monotonic() - start
        process.kill()
    return lived, sum(got), not end


lived, got, reset = upload(sys.argv[1], 35, b'')
print(f'a silent host: {"reset" if reset else "open"} after {lived:.0f} s, {got} bytes had come', flush=True)
other, more, other_reset = upload(sys.argv[1], 35, b'.')
print(f'a host that said a byte: {"reset" if other_reset else "open"} after {other:.0f} s, {more} bytes had come', flush=True)
sys.exit(not (reset and 22 <= lived <= 30 and got > 10000 and not other_reset and more > got))
PYTHON

# shellcheck disable=SC2016 # $1 is the inner shell's
unshare --net bash -c 'ip link set lo up && ip tuntap add dev up0 mode tap && ip addr add 192.0.2.2/24 dev up0 && ip link set up0 up &&
	ip route add default via 192.0.2.1 && exec /usr/bin/python3 guest.py "$1"' - "$folder/root/usr/bin/passt" || {
	echo "the finding is old: the connection was not reset, or a byte from the host does not help"
	exit 1
}
echo "finding holds: an upload ends after 24 seconds, unless the host has said something"
