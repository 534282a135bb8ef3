#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vmm run on a pseudo-terminal: raw while the guest runs, and as it was after every kind of end."""
import array
import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
import unittest

import guests

# A shell's part: makes the terminal its own, starts the job in a process group in the foreground, reports the job's
# changes, and passes a hangup on. SIGUSR1 is fg, SIGUSR2 bg.
SHELL = '''
import fcntl, os, signal, sys, termios
report, args = int(sys.argv[1]), sys.argv[2:]
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    os.close(report)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)  # nohup(1) and `&` ignore some
    os.execvp(args[0], args)
def foreground(*_):
    os.tcsetpgrp(0, job)
    os.kill(job, signal.SIGCONT)
signal.signal(signal.SIGHUP, lambda *_: os.kill(job, signal.SIGHUP))
signal.signal(signal.SIGUSR1, foreground)
signal.signal(signal.SIGUSR2, lambda *_: os.kill(job, signal.SIGCONT))
os.write(report, b'%d\\n' % job)
while True:
    _, status = os.waitpid(job, os.WUNTRACED | os.WCONTINUED)
    word = 'stopped' if os.WIFSTOPPED(status) else 'continued' if os.WIFCONTINUED(status) else \\
        str(os.waitstatus_to_exitcode(status))
    if word == 'stopped':
        os.tcsetpgrp(0, os.getpgrp())
    os.write(report, word.encode() + b'\\n')
    if word not in ('stopped', 'continued'):
        break
'''


def waiting_bytes(fd):
    count = array.array('i', [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


class Terminal:
    """A job on a pseudo-terminal of its own."""

    def __init__(self, test, args, **how):
        self.master, slave = pty.openpty()
        self.cooked = termios.tcgetattr(slave)
        reports, report = os.pipe()
        self.shell = subprocess.Popen([sys.executable, '-c', SHELL, str(report), *args], start_new_session=True,
                                      pass_fds=[report], stdin=slave, stdout=slave, **{'stderr': slave} | how)
        os.close(slave)
        os.close(report)
        self.reports = os.fdopen(reports)
        self.pid = int(self.reports.readline())
        self.seen = b''
        self.test = test
        test.addCleanup(self.end)

    def end(self):
        if self.shell.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.shell.wait()
        self.reports.close()
        if self.master >= 0:
            os.close(self.master)

    def read(self, seconds=0.05):
        """Returns the output that comes within that time, up to the end."""
        end = time.monotonic() + seconds
        while select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            self.seen += data
        return self.seen

    def expect(self, text, seconds=120):
        guests.until(lambda: text in self.read(), seconds)

    def type(self, keys):
        os.write(self.master, keys)

    def report(self, seconds=120):
        """The next change of the job's state; what it prints meanwhile is read."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            if select.select([self.reports], [], [], 0)[0]:
                return self.reports.readline().strip()
        raise AssertionError(f'nothing within {seconds} s; seen: {self.seen[-500:]}')

    def is_raw(self):
        return not termios.tcgetattr(self.master)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def is_restored(self):
        return termios.tcgetattr(self.master) == self.cooked


@unittest.skipUnless(guests.KVM, '/dev/kvm cannot be opened here')
class Terminals(unittest.TestCase):
    def setUp(self):
        self.files = guests.Folder(self)

    def start(self, code, *sets, **how):
        terminal = Terminal(self, self.files.guest(guests.text('up\n') + code, *sets), **how)
        terminal.expect(b'up')
        guests.until(terminal.is_raw)
        return terminal

    def ends(self, terminal, status):
        self.assertEqual(terminal.report(), str(status), terminal.seen[-2000:])
        self.assertTrue(terminal.is_restored())

    def test_quit(self):
        terminal = self.start(guests.SPIN)
        terminal.type(b'\x1dq')
        self.ends(terminal, 0)

    def test_power_off(self):
        terminal = self.start(guests.echo())
        terminal.type(b'\4')
        self.ends(terminal, 0)

    def test_failure(self):
        terminal = Terminal(self, self.files.guest(guests.text('up') + guests.OUTSIDE, 'machine.memory=1M'))
        self.ends(terminal, 1)
        self.assertIn(b'vmm: vCPU 0: KVM could not emulate', terminal.seen)
        self.assertIn(b'registers of vCPU 0:\r\nrax ', terminal.seen)

    def test_crash(self):
        terminal = Terminal(self, self.files.guest(guests.text('up') + guests.TRIPLE_FAULT))
        status = terminal.report()
        self.assertTrue(terminal.is_restored())
        self.assertIn(b'vmm: vCPU 0: ', terminal.read())
        self.assertIn(b'registers of vCPU 0:', terminal.seen)
        if b'could not emulate' in terminal.seen:
            self.assertEqual(status, '1')
            self.skipTest('this KVM emulates real mode and has no triple fault there; the lab\'s has')
        self.assertEqual(status, '3')
        self.assertIn(b'cs   f000', terminal.seen)
        self.assertIn(b'triple fault', terminal.seen)

    def test_term(self):
        terminal = self.start(guests.SPIN, 'run.grace=1')
        os.kill(terminal.pid, signal.SIGTERM)
        self.ends(terminal, 1)
        self.assertIn(b'did not shut down within 1 s', terminal.seen)
        terminal = self.start(guests.BUTTON)
        os.kill(terminal.pid, signal.SIGTERM)
        self.ends(terminal, 0)

    def test_stop_and_continue(self):
        terminal = self.start(guests.echo())
        for stop in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTSTP):
            os.kill(terminal.pid, stop)
            self.assertEqual(terminal.report(), 'stopped')
            self.assertTrue(terminal.is_restored())
            terminal.shell.send_signal(signal.SIGUSR1)
            self.assertEqual(terminal.report(), 'continued')
            guests.until(terminal.is_raw)
        terminal.type(b'still here')
        terminal.expect(b'still here')
        terminal.type(b'\4')
        self.ends(terminal, 0)

    def test_end_after_a_stop(self):
        """Changing a terminal's modes ends the kernel's watch of it: the loop must not believe it and read."""
        terminal = self.start(guests.BUTTON)
        os.kill(terminal.pid, signal.SIGTSTP)
        self.assertEqual(terminal.report(), 'stopped')
        terminal.shell.send_signal(signal.SIGUSR1)
        self.assertEqual(terminal.report(), 'continued')
        guests.until(terminal.is_raw)
        time.sleep(0.3)
        os.kill(terminal.pid, signal.SIGTERM)
        self.ends(terminal, 0)

    def test_end_in_the_background(self):
        """Continued behind another job, a guest that shuts down leaves the terminal to that job."""
        terminal = self.start(guests.BUTTON)
        os.kill(terminal.pid, signal.SIGTSTP)
        self.assertEqual(terminal.report(), 'stopped')
        terminal.shell.send_signal(signal.SIGUSR2)
        self.assertEqual(terminal.report(), 'continued')
        time.sleep(0.3)
        self.assertTrue(terminal.is_restored())
        os.kill(terminal.pid, signal.SIGTERM)
        self.ends(terminal, 0)

    def test_fatal_signals(self):
        """Every signal that ends a process by default, but for those that vmm has another use for."""
        survived = {'HUP', 'INT', 'TERM', 'PIPE', 'XFSZ', 'USR1', 'CHLD', 'CONT', 'URG', 'WINCH'}
        stops = {'KILL', 'STOP', 'TSTP', 'TTIN', 'TTOU'}
        # The address sanitizer would take these for faults of its program.
        handled = ''.join(f'handle_{name}=0:' for name in ('segv', 'sigbus', 'sigfpe', 'sigill', 'abort', 'sigtrap'))
        env = os.environ | {'ASAN_OPTIONS': handled + os.environ.get('ASAN_OPTIONS', '')}
        for fatal in signal.valid_signals() - {signal.Signals['SIG' + name] for name in survived | stops}:
            with self.subTest(signal=fatal):
                terminal = self.start(guests.SPIN, env=env)
                os.kill(terminal.pid, fatal)
                self.ends(terminal, -fatal)

    def test_escapes(self):
        terminal = self.start(guests.echo())
        terminal.type(b'a\x1ds')
        terminal.expect(b'MiB, ')
        self.assertRegex(terminal.seen, rb'\[vmm: guest: running for \d+ s on host kvm; 1 vCPUs, 2 MiB, \d+ exits, 0 resets\]')
        terminal.type(b'\x1d?')
        terminal.expect(b'Ctrl-] then q quits')
        terminal.seen = b''
        terminal.type(b'b\x1d\x1dc')
        terminal.expect(b'b\x1dc')
        terminal.type(b'\x1d\x1d\x1dq')
        self.ends(terminal, 0)

    def test_signal_characters_are_the_guests(self):
        terminal = self.start(guests.echo())
        terminal.type(b'\x03\x1a\x1c\x11\x13x')
        terminal.expect(b'\x03\x1a\x1c\x11\x13x')
        terminal.type(b'\4')
        self.ends(terminal, 0)

    def test_paste(self):
        terminal = self.start(guests.echo())
        data = bytes(0x20 + i * 7 % 90 for i in range(100_000 // guests.SLOWNESS))
        terminal.read()
        terminal.seen, sent = b'', 0
        os.set_blocking(terminal.master, False)
        end = time.monotonic() + 120
        while len(terminal.seen) < len(data) and time.monotonic() < end:
            try:
                sent += os.write(terminal.master, data[sent:sent + 4096]) if sent < len(data) else 0
            except BlockingIOError:
                pass
            terminal.read(0.01)
        self.assertEqual(len(terminal.seen), len(data))
        self.assertTrue(terminal.seen == data)
        terminal.type(b'\4')
        self.ends(terminal, 0)

    def test_window_size(self):
        terminal = self.start(guests.echo())
        for rows in range(20, 60):
            fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, array.array('H', [rows, 80, 0, 0]))
        terminal.type(b'x\4')
        self.ends(terminal, 0)

    def test_hangup(self):
        """The user's window is closed: as with SIGTERM, the guest may shut down, and must."""
        for code, status in ((guests.BUTTON, 0), (guests.SPIN, 1)):
            terminal = self.start(code, 'run.grace=1')
            os.close(terminal.master)
            terminal.master = -1
            self.assertEqual(select.select([terminal.reports], [], [], 20)[0], [terminal.reports])
            self.assertEqual(terminal.reports.readline().strip(), str(status))

    def test_screen_that_is_not_read(self):
        terminal = Terminal(self, self.files.guest(guests.POLITE_FLOOD))
        guests.until(terminal.is_raw)
        time.sleep(1)
        guests.term_twice(terminal.pid)
        self.ends(terminal, 1)

    def test_trace_that_is_not_read(self):
        """A reader that has stopped keeps neither the guest nor vmm, whichever way it is ended."""
        for number, end in enumerate((lambda t: t.type(b'\x1dq'), lambda t: os.kill(t.pid, signal.SIGTERM))):
            fifo = self.files.path / f'fifo{number}'
            os.mkfifo(fifo)
            reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            self.addCleanup(os.close, reader)
            size = fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
            terminal = Terminal(self, [*self.files.guest(guests.RESET, 'run.grace=0'), '--trace', str(fifo)])
            guests.until(terminal.is_raw)
            guests.until(lambda: waiting_bytes(reader) > size - 400)
            time.sleep(0.5)  # what vmm does with a full pipe
            end(terminal)
            self.ends(terminal, 0)

    def test_resets_keep_the_terminal(self):
        terminal = self.start(guests.RESET)
        terminal.expect(b'up\nup\nup'.replace(b'\n', b'\r\n'))
        self.assertTrue(terminal.is_raw())
        terminal.type(b'\x1dq')
        self.ends(terminal, 0)


guests.main()
