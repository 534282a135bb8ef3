#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest's console on every kind of standard input, output and error: nothing breaks, nothing hangs."""
import fcntl
import os
import signal
import subprocess
import time
import unittest

import guests

HELLO = guests.text('hello') + guests.POWER_OFF


def ends_at_signals():
    """As in the foreground of a shell, whatever started this test: nohup(1) and `&` ignore some."""
    for number in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT:
        signal.signal(number, signal.SIG_DFL)


@unittest.skipUnless(guests.KVM, '/dev/kvm cannot be opened here')
class Streams(unittest.TestCase):
    def setUp(self):
        self.files = guests.Folder(self)

    def shell(self, redirection, code=HELLO, *sets, **how):
        return guests.run(['sh', '-c', 'exec "$@" ' + redirection, 'sh', *self.files.guest(code, *sets)], **how)

    def start(self, code, *sets, **how):
        how = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, 'preexec_fn': ends_at_signals} | how
        vmm = subprocess.Popen(self.files.guest(code, *sets), **how)
        for stream in (vmm.stdin, vmm.stdout, vmm.stderr):
            self.addCleanup(stream.close if stream else int)
        self.addCleanup(vmm.wait)
        self.addCleanup(vmm.kill)
        return vmm

    def started(self, vmm):
        """Once its vCPU runs, signals are vmm's own."""
        guests.until(lambda: 'vcpu0' in guests.tasks(vmm.pid).values())

    def test_pipe_streams(self):
        done = self.shell('')
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b'hello', b''))

    def test_closed_descriptors_are_nobody_elses(self):
        for redirection in ('<&-', '>&-', '2>&-', '<&- >&-', '<&- 2>&-', '>&- 2>&-', '<&- >&- 2>&-'):
            with self.subTest(redirection=redirection):
                done = self.shell(redirection)
                shown = b'' if '>&-' in redirection.replace('2>&-', '') else b'hello'
                self.assertEqual((done.returncode, done.stdout), (0, shown))
                if redirection in ('<&-', '<&- 2>&-'):
                    self.assertEqual(done.stderr, b'')

    def test_a_lost_output_is_told_and_the_guest_goes_on(self):
        for redirection, reason in (('>/dev/full', b'ENOSPC'), ('>&-', b'EBADF')):
            done = self.shell(redirection)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(done.stderr.count(b'\n'), 1, done.stderr)
            self.assertIn(reason, done.stderr)

    def test_a_trace_that_is_not_whole_is_told(self):
        done = guests.run(self.files.guest(HELLO) + ['--trace', '/dev/full'])
        self.assertEqual((done.returncode, done.stdout, done.stderr.count(b'\n')), (0, b'hello', 1), done.stderr)
        self.assertIn(b'the trace is incomplete: a line could not be written: No space left', done.stderr)

    def test_reader_that_goes_away(self):
        vmm = self.start(guests.POLITE_FLOOD, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(vmm.stdout.read(10), b'a' * 10)
        vmm.stdout.close()
        used = guests.processor_seconds(vmm.pid)
        guests.until(lambda: guests.processor_seconds(vmm.pid) > used + 0.2)  # the guest goes on
        guests.term_twice(vmm.pid)
        self.assertEqual(vmm.wait(120), 1)
        self.assertIn(b'second signal', vmm.stderr.read())

    def test_input_of_every_kind(self):
        for redirection in ('</dev/null', '</dev/zero', '</etc/passwd', '</', '<&-', '</dev/full'):
            with self.subTest(redirection=redirection):
                self.assertEqual(self.shell(redirection).returncode, 0)

    def test_long_input_from_a_pipe_arrives_whole(self):
        data = bytes(i * 7 % 251 | 0x80 for i in range(100_000 // guests.SLOWNESS))
        done = guests.run(self.files.guest(guests.echo()), stdin=None, input=data + b'\4', timeout=120)
        self.assertEqual((done.returncode, done.stdout == data), (0, True))

    def test_input_that_nobody_takes_costs_nothing(self):
        vmm = self.start(guests.BUTTON, stdin=subprocess.PIPE)
        self.started(vmm)
        before = guests.resident_kib(vmm.pid)
        os.set_blocking(vmm.stdin.fileno(), False)
        taken = 0
        for _ in range(50):
            try:
                taken += os.write(vmm.stdin.fileno(), bytes(4096))
            except BlockingIOError:
                break
        self.assertLess(taken, 100_000)  # the pipe's 64 KiB, and what the port holds
        self.assertLess(guests.resident_kib(vmm.pid) - before, 2048)
        vmm.terminate()
        self.assertEqual(vmm.wait(120), 0)

    def test_output_that_somebody_made_non_blocking(self):
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writer, False)
        vmm = self.start(guests.POLITE_FLOOD, stdout=writer)
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b'a')
        time.sleep(0.3 * guests.SLOWNESS)  # the pipe is full now, and so is the port
        used = guests.processor_seconds(vmm.pid, vmm.pid)
        time.sleep(1)
        self.assertLess(guests.processor_seconds(vmm.pid, vmm.pid) - used, 0.3)  # the loop waits
        taken = 0
        while taken < 50_000:
            taken += len(os.read(reader, 4096))
        vmm.kill()
        os.close(reader)

    def test_standard_error_that_nobody_reads(self):
        """A guest that provokes a warning again and again, and a full pipe."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while os.write(writer, bytes(4096)):
                pass
        except BlockingIOError:
            os.set_blocking(writer, True)
        code = guests.back(bytes.fromhex('ba0204 b061 ee'))  # the debug console, flooded
        fifo = self.files.path / 'debug'
        os.mkfifo(fifo)
        keep = os.open(fifo, os.O_RDWR)
        vmm = self.start(code, f'machine.debugcon={fifo}', 'run.grace=3600', stderr=writer)
        self.started(vmm)
        time.sleep(0.5)
        guests.term_twice(vmm.pid)
        guests.until(lambda: 'vcpu0' not in guests.tasks(vmm.pid).values())  # all that is left is to say why
        os.read(reader, 65536)
        self.assertEqual(vmm.wait(120), 1)
        for fd in (reader, writer, keep):
            os.close(fd)

    def test_crash_report_that_nobody_reads_can_be_interrupted(self):
        reader, writer = os.pipe()
        size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writer, b'x' * (size - 100))
        vmm = self.start(guests.OUTSIDE, 'machine.memory=1M', stderr=writer)
        with self.assertRaises(subprocess.TimeoutExpired):
            vmm.wait(1)  # it has more to say than fits
        guests.until(lambda: vmm.terminate() or vmm.poll() is not None)
        self.assertEqual(vmm.returncode, -signal.SIGTERM)
        for fd in (reader, writer):
            os.close(fd)

    def test_ignored_hangup_is_no_hangup(self):
        for ignored in (signal.SIGHUP, signal.SIGINT):
            with self.subTest(signal=ignored):
                vmm = self.start(guests.BUTTON, preexec_fn=lambda: signal.signal(ignored, signal.SIG_IGN))
                self.started(vmm)
                vmm.send_signal(ignored)
                with self.assertRaises(subprocess.TimeoutExpired):
                    vmm.wait(0.5)
                vmm.terminate()
                self.assertEqual(vmm.wait(120), 0)

    def test_signals_press_the_button(self):
        for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=sent):
                vmm = self.start(guests.BUTTON)
                self.started(vmm)
                vmm.send_signal(sent)
                self.assertEqual(vmm.wait(120), 0)

    def test_signals_that_come_at_once_are_one(self):
        """timeout(1) signals vmm and the group that vmm is in."""
        vmm = self.start(guests.text('up') + guests.BUTTON, 'run.grace=3600', stdout=subprocess.PIPE)
        self.assertEqual(vmm.stdout.read(2), b'up')
        vmm.send_signal(signal.SIGSTOP)  # so that it finds both together
        for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            vmm.send_signal(sent)
        vmm.send_signal(signal.SIGCONT)
        self.assertEqual(vmm.wait(120), 0)

    def test_a_signal_soon_after_another_is_the_same_wish(self):
        vmm = self.start(guests.SPIN, 'run.grace=3', stderr=subprocess.PIPE)
        self.started(vmm)
        started = time.monotonic()
        guests.term(vmm.pid)
        guests.term(vmm.pid)
        if time.monotonic() - started > 1:
            self.skipTest('this machine is too busy to send two signals within a second')
        self.assertEqual(vmm.wait(120), 1)
        self.assertIn(b'did not shut down within 3 s', vmm.stderr.read())

    def test_a_second_signal_insists(self):
        vmm = self.start(guests.SPIN, 'run.grace=3600', stderr=subprocess.PIPE)
        self.started(vmm)
        guests.term_twice(vmm.pid)
        self.assertEqual(vmm.wait(120), 1)
        self.assertIn(b'ended by a second signal', vmm.stderr.read())

    def test_stray_signals_are_harmless(self):
        vmm = self.start(guests.BUTTON)
        self.started(vmm)
        for stray in (signal.SIGWINCH, signal.SIGPIPE, signal.SIGUSR1, signal.SIGCONT, signal.SIGCHLD, signal.SIGURG):
            for _ in range(20):
                vmm.send_signal(stray)
        vmm.terminate()
        self.assertEqual(vmm.wait(120), 0)

    def test_debug_console_that_waits_for_its_reader_can_be_interrupted(self):
        os.mkfifo(self.files.path / 'fifo')
        vmm = self.start(guests.SPIN, f'machine.debugcon={self.files.path / "fifo"}')
        time.sleep(0.5)
        vmm.send_signal(signal.SIGINT)
        self.assertEqual(vmm.wait(120), -signal.SIGINT)


guests.main()
