# SPDX-License-Identifier: Apache-2.0
"""Guests without an operating system, as 64 KiB images, and vmm run over them."""
import contextlib
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

BYTES, START = 0x10000, 0xf000
VMM = str(pathlib.Path(os.environ.get('VMM_PROGRAM', 'build/src/vmm')).resolve())
KVM = os.access('/dev/kvm', os.R_OK | os.W_OK)
SLOWNESS = 10 if 'LAB' in os.environ else 1  # there everything is real, but an exit takes half a millisecond


def out8(port, value):
    return struct.pack('<BBBHB', 0xb0, value, 0xba, port, 0xee)


def out16(port, value):
    return struct.pack('<BHBHB', 0xb8, value, 0xba, port, 0xef)


def out32(port, value):
    return struct.pack('<BBIBHBB', 0x66, 0xb8, value, 0xba, port, 0x66, 0xef)


def text(line):
    return b''.join(out8(0x3f8, byte) for byte in line.encode())


def back(code):
    """jmp to the start of code, after it."""
    return code + b'\xe9' + struct.pack('<h', -len(code) - 3)


# The power management block at 0xb000, by PCI configuration; then SLP_EN.
PM_ON = out32(0xcf8, 0x80000b40) + out32(0xcfc, 0xb001) + out32(0xcf8, 0x80000b80) + out8(0xcfc, 1)
POWER_OFF = PM_ON + out16(0xb004, 0x2000) + b'\xf4\xeb\xfd'
# Polls PM1_STS until the power button is pressed.
BUTTON = PM_ON + bytes.fromhex('ba00b0 ed f6c401 74fa') + POWER_OFF
SPIN = b'\xfa\xeb\xfe'
RESET = out8(0xcf9, 6) + b'\xf4'
# An empty interrupt table and an interrupt; a KVM that emulates real mode gives up on it instead.
TRIPLE_FAULT = bytes.fromhex('b078 0f011e0000 cc')
# jmp ffff:0010, where a guest of 1 MiB has no memory: no KVM can go on.
OUTSIDE = bytes.fromhex('ea1000ffff')
# Three guests write at full speed: to the serial port without looking, to it when it says THRE, and to no device.
FLOOD = back(bytes.fromhex('baf803 b061 ee'))
POLITE_FLOOD = back(bytes.fromhex('bafd03 ec a820 74fb baf803 b061 ee'))
MMIO_FLOOD = bytes.fromhex('b8ffff 8ed8') + back(bytes.fromhex('a31000 a30020'))


def letters(count):
    """Writes that many letters, as fast as the port takes them; count is below 65536."""
    one = bytes.fromhex('bafd03 ec a820 74fb baf803 b061 ee 49')
    return struct.pack('<BH', 0xb9, count) + one + b'\x75' + struct.pack('b', -len(one) - 2)


def echo():
    """Sends back what it receives; 0x04 powers off."""
    wait = bytes.fromhex('bafd03 ec a801 74fb baf803 ec 3c04')
    send = bytes.fromhex('88c4 bafd03 ec a820 74fb baf803 88e0 ee')
    loop = wait + b'\x74' + bytes([len(send) + 2]) + send
    return loop + b'\xeb' + struct.pack('b', -len(loop) - 2) + POWER_OFF


def image(code):
    """The code lies at START, or, if it is too long for that, at the start of the image."""
    start = START if len(code) <= 0xfff0 - START else 0
    assert len(code) <= 0xfff0
    data = bytearray(BYTES)
    data[start:start + len(code)] = code
    data[0xfff0:0xfff3] = b'\xe9' + struct.pack('<H', (start - 0xfff3) & 0xffff)
    return bytes(data)


class Folder:
    """A temporary folder with images in it, for a test's life."""

    def __init__(self, test):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def guest(self, code, *sets, memory='2M'):
        """The command line that runs this code."""
        name = self.path / f'guest-{len(list(self.path.iterdir()))}.fd'
        name.write_bytes(image(code))
        words = [f'firmware={name}', f'machine.memory={memory}', *sets]
        return [VMM, 'run'] + [part for word in words for part in ('--set', word)]


def status_of(pid, key):
    return int(re.search(rf'^{key}:\s*(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text(), re.M)[1])


def measured_environment():
    """For a vmm whose memory is compared: AddressSanitizer keeps freed memory, which would pass for growth; here a MiB at most."""
    return os.environ | {'ASAN_OPTIONS': 'quarantine_size_mb=1:' + os.environ.get('ASAN_OPTIONS', '')}


def resident_kib(pid):
    """What the process has of its own, and what its guest has touched."""
    return status_of(pid, 'RssAnon')


def term(pid):
    """SIGTERM, and until vmm has taken it."""
    os.kill(pid, signal.SIGTERM)
    waiting = 1 << (signal.SIGTERM - 1)
    until(lambda: not int(re.search(r'^ShdPnd:\s*(\w+)', pathlib.Path(f'/proc/{pid}/status').read_text(), re.M)[1], 16) & waiting)


def term_twice(pid):
    """Sends SIGTERM twice: the second one counts when it comes more than a second after the first."""
    term(pid)
    time.sleep(1.1)
    os.kill(pid, signal.SIGTERM)


def tasks(pid):
    """The names of its threads, by number."""
    found = {}
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found[int(task.name)] = (task / 'comm').read_text().strip()
    return found


def children(pid):
    """The numbers of the processes that it has made."""
    return [int(word) for word in pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def processor_seconds(pid, task=None):
    """What the process, or one of its threads, has used."""
    stat = pathlib.Path(f'/proc/{pid}/task/{task}/stat' if task else f'/proc/{pid}/stat')
    fields = stat.read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f'not within {seconds} s')
        time.sleep(0.02)
    return result


def run(args, **how):
    how = {'stdin': subprocess.DEVNULL, 'capture_output': True, 'timeout': 300} | how
    return subprocess.run(args, **how)


def main():
    """unittest, with the exit status 77 for "all skipped" that the test runner knows."""
    import unittest
    program = unittest.main(module='__main__', exit=False, verbosity=2)
    result = program.result
    if result.wasSuccessful() and result.testsRun == len(result.skipped):
        print('skipped:', '; '.join(sorted({why for _, why in result.skipped})), file=sys.stderr)
        sys.exit(77)
    sys.exit(0 if result.wasSuccessful() else 1)
