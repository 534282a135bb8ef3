#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A network card, by passt and by tap: the lab's own Linux kernel gets an address, fetches a file from this machine, sends it back,
pings, is reached from this machine (by a forwarded port of passt), and loses the link when passt dies or the tap is deleted.

usage: net.py VMM [--host sim] [--echo] [--mib N]   TAP on standard output

As root it runs in a network namespace of its own, in which a tap `up0` stands for the machine's network. Otherwise it uses the machine's
network, and the cases with a tap are skipped.
"""
import argparse
import contextlib
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from guest import Failed, Guest, emulation
from linux import FIRMWARE, KERNEL, make_initrd

MODULES = [path for name in ('failover', 'net_failover', 'virtio_net') for path in (KERNEL / 'guest-modules').glob(f'*-{name}.ko')]
PINGED = '192.0.2.99'
PORT = 28080    # at which the guest listens, and the one of this machine that passt forwards to it
# The lab's emulation may silence a guest. One that ticks shows that it only waits for its network.
TICK, SILENCE = (5, 2 * emulation.QUIET) if emulation.IN_LAB else (0, None)
# The words of the kernel's command line that the guest looks for: net=ADDRESS or net=dhcp, the ports of this test, and tick=SECONDS or tick=0.
INIT = '''#!/busybox sh
/busybox mkdir /proc /sys /bin
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
/busybox mount -t devtmpfs dev /dev
/busybox --install -s /bin
export PATH=/bin
word() { sed -n "s/.*$1=\\\\([^ ]*\\\\).*/\\\\1/p" /proc/cmdline; }
for module in /*.ko; do insmod "$module" || echo "no $module"; done
while [ "$(word tick)" != 0 ] && sleep "$(word tick)"; do echo "ticks"; done &
cat >/lease <<'END'
#!/busybox sh
[ "$1" != bound ] || { ip addr add "$ip/$mask" dev "$interface"; ip route add default via "$router"; }
END
chmod +x /lease
ip link set eth0 up
if [ "$(word net)" = dhcp ]; then
	udhcpc -i eth0 -n -q -s /lease
	host=$(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')
else
	ip addr add "$(word net)/24" dev eth0
	host=$(word host)
fi
target=$(word ping)
echo "host=$host mtu=$(cat /sys/class/net/eth0/mtu) mac=$(cat /sys/class/net/eth0/address) carrier=$(cat /sys/class/net/eth0/carrier)"
ping -c 2 -W 20 "${target:-$host}" | grep -o '[0-9]* packets received'
wget -q -O /file "http://$host:$(word fetch)/"
echo "fetched=$(sha256sum </file)"
nc "$host" "$(word give)" </file
echo "errors=$(cat /sys/class/net/eth0/statistics/rx_errors) $(dmesg | grep -c -i -E 'virtio.*(fail|error|warn)')"
echo "listens"
echo "heard=$(echo answer | nc -l -p "$(word listen)")"
echo "cut the cable"
while [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do sleep 1; done
echo "carrier=$(cat /sys/class/net/eth0/carrier)"
poweroff -f
'''


class Server:
    """Gives the data to whoever connects to one port, and takes the hash of what comes at the other."""
    def __init__(self, address, data):
        self.data, self.taken, self.came = data, None, threading.Event()
        self.fetch, self.give = self.listen(address, self.send), self.listen(address, self.receive)

    @staticmethod
    def listen(address, serve):
        listener = socket.create_server((address, 0))

        def run():
            while True:
                with listener.accept()[0] as connection:
                    serve(connection)
        threading.Thread(target=run, daemon=True).start()
        return listener.getsockname()[1]

    def send(self, connection):
        connection.recv(1 << 16)
        connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n' % len(self.data) + self.data)
        connection.recv(1)

    def receive(self, connection):
        """Says a byte first: Debian 12's passt resets a connection of the guest's on which the host has said nothing for 24 seconds (findings/)."""
        connection.sendall(b'.')
        total = hashlib.sha256()
        while block := connection.recv(1 << 16):
            total.update(block)
        self.taken = total.hexdigest()
        self.came.set()


def ip(*words):
    subprocess.run(['ip', *words], check=True)


def make_network():
    """The namespace's only interface, with a default route; and who may ping."""
    ip('link', 'set', 'lo', 'up')
    ip('tuntap', 'add', 'dev', 'up0', 'mode', 'tap')
    ip('addr', 'add', '192.0.2.2/24', 'dev', 'up0')
    ip('addr', 'add', f'{PINGED}/32', 'dev', 'lo')  # Debian 12's passt answers no ping to the gateway
    ip('link', 'set', 'up0', 'up')
    ip('route', 'add', 'default', 'via', '192.0.2.1')
    pathlib.Path('/proc/sys/net/ipv4/ping_group_range').write_text('0 2147483647\n')


def make_tap():
    ip('tuntap', 'add', 'dev', 'tap0', 'mode', 'tap')
    ip('addr', 'add', '198.51.100.1/24', 'dev', 'tap0')
    ip('link', 'set', 'tap0', 'up')


def children(pid):
    """The processes that a process has started, by name; vmm's helper starts some for it."""
    listed = subprocess.run(['ps', '-o', 'pid=,comm=', '--ppid', str(pid)], capture_output=True, text=True).stdout
    found = {name: int(number) for number, name in (line.split() for line in listed.splitlines())}
    return found | (children(found['vmm-helper']) if 'vmm-helper' in found else {})


def kill_passt(guest):
    found = [pid for name, pid in children(guest.process.pid).items() if name.startswith('passt')]
    if len(found) != 1:
        raise Failed(f'vmm has not started one passt: {children(guest.process.pid)}')
    os.kill(found[0], signal.SIGKILL)


def delete_tap(_):
    ip('link', 'del', 'tap0')


def call(guest, reach):
    """Connects to the guest, and goes on until it listens. Before, its refusal ends the connection that passt has taken for it. Debian 12's
    passt lets the guest's connection begin only once this side has said something (docs/devices.md)."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((reach, PORT), timeout=300) as connection:
            connection.sendall(b'question\n')
            if connection.recv(64) == b'answer\n':
                return
        guest.read(0.5)
    raise Failed(f'the guest was not reached by port {PORT} of {reach}')


def judge(guest, data, server, pinged, reach, cut, gone):
    wanted = hashlib.sha256(data).hexdigest()
    guest.expect('host=')
    guest.expect('carrier=1')
    guest.expect('2 packets received' if pinged else 'packets received', seconds=120)
    guest.expect('fetched=', seconds=1500, silence=SILENCE)
    if guest.expect(wanted, '\n') != wanted:
        raise Failed(f'what the host sent did not come whole; the last output:\n{guest.tail()}')
    guest.expect('errors=0 0', seconds=1500, silence=SILENCE)
    if not server.came.wait(300) or server.taken != wanted:
        raise Failed(f'what came back has the hash {server.taken}, not {wanted}')
    guest.expect('listens')
    call(guest, reach)
    guest.expect('heard=', silence=SILENCE)
    if guest.expect('question', '\n') != 'question':
        raise Failed(f'what was said to the guest did not come; the last output:\n{guest.tail()}')
    guest.expect('cut the cable')
    cut(guest)
    guest.expect(gone)
    guest.expect('carrier=0')
    guest.ends(0)
    said = guest.plain().count(b'link is down from now on')
    if said != 1:
        raise Failed(f'vmm said {said} times that the link is down')


def boot(options, host, case):
    """('', '') or why it failed and how the lab's emulation may have lost the guest."""
    name, device, network, address, reach, cut, gone = case
    data = os.urandom(1 << 20) * options.mib
    if name.startswith('tap'):
        make_tap()
    server = Server(address, data)
    with tempfile.TemporaryDirectory() as folder:
        keys = {'firmware': FIRMWARE, 'machine.memory': f'{256 + options.mib}M', 'boot.kernel': KERNEL / 'vmlinuz',
                'boot.initrd': make_initrd(folder, INIT, MODULES),
                'boot.cmdline': f'console=ttyS0 panic=-1 quiet {network} tick={TICK} fetch={server.fetch} give={server.give} listen={PORT}'}
        command = [options.vmm, 'run', '--host', host, '--net', device,
                   *(word for key, value in keys.items() for word in ('--set', f'{key}={value}'))]
        try:
            with Guest(command, options.echo) as guest:
                judge(guest, data, server, os.geteuid() == 0, reach, cut, gone)
        except Failed as failed:
            return str(failed), failed.lost
        finally:
            if name.startswith('tap'):
                subprocess.run(['ip', 'link', 'del', 'tap0'], stderr=subprocess.DEVNULL)
    return '', ''


TAP_NETWORK, TAP_HOST, TAP_GUEST = 'net=198.51.100.2 host=198.51.100.1', '198.51.100.1', '198.51.100.2'
CASES = [
    ('passt', f'user,forward-tcp=127.0.0.1/{PORT}', f'net=dhcp ping={PINGED}', '127.0.0.1', '127.0.0.1', kill_passt, 'passt: it ended the connection'),
    ('tap', 'tap=tap0,vhost=false', TAP_NETWORK, TAP_HOST, TAP_GUEST, delete_tap, 'tap0: the interface is gone'),
    ('tap with vhost-net', 'tap=tap0', TAP_NETWORK, TAP_HOST, TAP_GUEST, delete_tap, 'link is down'),
]


def why_not(name):
    if name == 'passt':
        return None if shutil.which('passt') else 'no passt, run: scripts/setup --test'
    if os.geteuid() != 0 or not os.path.exists('/dev/net/tun'):
        return 'a tap needs root and /dev/net/tun'
    return 'no /dev/vhost-net' if 'vhost' in name and not os.path.exists('/dev/vhost-net') else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('vmm', type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument('--host', default='kvm')
    parser.add_argument('--echo', action='store_true')
    parser.add_argument('--mib', type=int, default=8)
    parser.add_argument('--case', choices=[case[0] for case in CASES])
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.geteuid() == 0 and not options.inside:
        os.execvp('unshare', ['unshare', '--net', sys.executable, *sys.argv, '--inside'])
    cases = [case for case in CASES if options.case in (None, case[0])]
    print(f'1..{len(cases)}', flush=True)
    if not FIRMWARE.exists() or len(MODULES) < 3:
        for number, case in enumerate(cases, 1):
            print(f'ok {number} - {case[0]} # SKIP no kernel, modules or firmware, run: scripts/setup --firmware --lab')
        return 0
    if os.geteuid() == 0:
        make_network()
    failures = 0
    for number, case in enumerate(cases, 1):
        if reason := why_not(case[0]):
            print(f'ok {number} - {case[0]} # SKIP {reason}', flush=True)
            continue
        why = emulation.judge(lambda: boot(options, options.host, case), lambda: boot(options, 'sim', case)[0])
        failures += bool(why)
        print(f'not ok {number} - {case[0]}\n# {why}' if why else f'ok {number} - {case[0]}: {options.mib} MiB each way, ping, a call from here, link down', flush=True)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
