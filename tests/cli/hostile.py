#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guests at full speed: vmm stays small and answers, and SIGTERM ends it in time."""
import os
import subprocess
import time
import unittest

import guests

WHILE = 3       # seconds that each one runs
GROWTH = 4096   # KiB that the process may grow by: its rings are 20 KiB and 64 KiB
RAN = 0.1       # seconds of processor time by which a guest shows that it ran, on however busy a machine


@unittest.skipUnless(guests.KVM, '/dev/kvm cannot be opened here')
class Hostile(unittest.TestCase):
    def setUp(self):
        self.files = guests.Folder(self)

    def start(self, code, *sets, memory='2M', **how):
        how = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, 'stderr': subprocess.PIPE, 'env': guests.measured_environment()} | how
        vmm = subprocess.Popen(self.files.guest(code, *sets, memory=memory), **how)
        self.addCleanup(vmm.stderr.close)
        self.addCleanup(vmm.wait)
        self.addCleanup(vmm.kill)
        # A vCPU that resets the guest at once is seldom seen when the test looks.
        guests.until(lambda: 'vcpu0' in guests.tasks(vmm.pid).values() or guests.processor_seconds(vmm.pid) > 0.3)
        time.sleep(0.5)
        return vmm

    def bounded_while(self, vmm):
        """It runs on and does not grow; the loop's thread has little to do with that."""
        memory, used = guests.resident_kib(vmm.pid), guests.processor_seconds(vmm.pid)
        descriptors = []
        for _ in range(WHILE * 10):
            time.sleep(0.1)
            self.assertIsNone(vmm.poll())
            descriptors.append(guests.descriptors(vmm.pid))
        self.assertLess(guests.resident_kib(vmm.pid) - memory, GROWTH)
        self.assertLess(max(descriptors), 40)
        return guests.processor_seconds(vmm.pid) - used

    def ended_by_terms(self, vmm, seconds=15):
        """The first presses a button that this guest ignores."""
        guests.term(vmm.pid)
        time.sleep(1.1)  # a signal that comes sooner counts as the same one
        started = time.monotonic()
        if vmm.poll() is None:
            vmm.terminate()
        vmm.wait(120)
        self.assertLess(time.monotonic() - started, seconds)
        return vmm.returncode, vmm.stderr.read().decode()

    def ends_as_told(self, vmm):
        status, text = self.ended_by_terms(vmm)
        self.assertEqual((status, text.count('\n')), (1, 1), text)
        self.assertIn('second signal', text)

    def test_writes_to_nowhere(self):
        vmm = self.start(guests.MMIO_FLOOD, memory='1M')
        self.assertGreater(self.bounded_while(vmm), RAN)
        self.ends_as_told(vmm)

    def test_output_that_is_read(self):
        for code in (guests.FLOOD, guests.POLITE_FLOOD):
            vmm = self.start(code)
            self.bounded_while(vmm)
            self.ends_as_told(vmm)

    def test_output_that_nobody_reads(self):
        for code in (guests.FLOOD, guests.POLITE_FLOOD):
            reader, writer = os.pipe()
            vmm = self.start(code, stdout=writer)
            os.close(writer)
            self.bounded_while(vmm)
            self.ends_as_told(vmm)
            os.close(reader)

    def test_last_output_that_nobody_reads_ends_with_the_grace(self):
        """The guest shut down when asked to; its last words wait for a reader, but not for ever."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while os.write(writer, bytes(4096)):
                pass
        except BlockingIOError:
            os.set_blocking(writer, True)
        vmm = self.start(guests.text('some') + guests.BUTTON, 'run.grace=1', stdout=writer)
        vmm.terminate()
        with self.assertRaises(subprocess.TimeoutExpired):
            vmm.wait(0.5)
        self.assertEqual(vmm.wait(120), 0)
        os.close(reader)
        os.close(writer)

    def test_debug_console_flood(self):
        vmm = self.start(guests.back(bytes.fromhex('ba0204 b061 ee')), 'machine.debugcon=/dev/null')
        self.bounded_while(vmm)
        status, text = self.ended_by_terms(vmm)
        self.assertEqual(status, 1)
        self.assertLess(text.count('\n'), 60)  # "bytes are lost" at a limited rate, if at all

    def test_debug_console_that_cannot_be_written(self):
        vmm = self.start(guests.back(bytes.fromhex('ba0204 b061 ee')), 'machine.debugcon=/dev/full')
        self.bounded_while(vmm)
        status, text = self.ended_by_terms(vmm)
        self.assertEqual(status, 1)
        self.assertIn('ENOSPC', text)
        self.assertLess(text.count('\n'), 60)

    def test_endless_resets(self):
        vmm = self.start(guests.RESET)
        self.bounded_while(vmm)
        status, text = self.ended_by_terms(vmm)
        self.assertEqual((status, text), (0, ''))  # asked to shut down, the guest reset instead, which is as good

    def test_flood_and_resets(self):
        flood = bytes.fromhex('b90040 baf803 b061 ee e2fd')
        reader, writer = os.pipe()
        vmm = self.start(flood + guests.RESET, stdout=writer)
        os.close(writer)
        self.bounded_while(vmm)
        self.assertIn(self.ended_by_terms(vmm)[0], (0, 1))
        os.close(reader)

    def test_resets_are_counted_and_many(self):
        """By the trace: as many VMs are closed as are made, and there are many."""
        trace = self.files.path / 'trace'
        args = self.files.guest(guests.RESET) + ['--trace', str(trace)]
        with subprocess.Popen(args, stdin=subprocess.DEVNULL) as vmm:
            guests.until(lambda: trace.exists() and trace.read_text().count('KVM_CREATE_VM ') > 50, 60)
            vmm.terminate()
            vmm.wait(120)
        lines = trace.read_text().splitlines()
        made = [line for line in lines if ' KVM_CREATE_VM ' in line]
        closed = [line for line in lines if line.startswith('close vm')]
        self.assertGreater(len(made), 50)
        self.assertEqual(len(closed), len(made))
        self.assertEqual(vmm.returncode, 0)

    def test_64_vcpus(self):
        vmm = self.start(guests.BUTTON, 'machine.vcpus=64')
        guests.until(lambda: sum(name.startswith('vcpu') for name in guests.tasks(vmm.pid).values()) == 64)
        vmm.terminate()
        self.assertEqual(vmm.wait(120), 0)

    def test_huge_dma_again_and_again(self):
        """Each transfer fills all of 512 MiB; ending waits for the one under way at most."""
        descriptor = bytes.fromhex('31c0 8ed8') + b''.join(
            b'\x66\xc7\x06' + (0x1000 + i).to_bytes(2, 'little') + value.to_bytes(4, 'big')
            for i, value in ((4, 511 << 20), (8, 0), (12, 1 << 20)))
        again = b'\x66\xc7\x06\x00\x10' + (0xffff000a).to_bytes(4, 'big') + guests.out32(0x514, 0) + \
            guests.out32(0x518, int.from_bytes((0x1000).to_bytes(4, 'big'), 'little'))
        vmm = self.start(descriptor + guests.back(again), memory='512M')
        guests.until(lambda: guests.status_of(vmm.pid, 'VmRSS') > 500 << 10, 60)
        time.sleep(1)
        self.assertGreater(self.bounded_while(vmm), RAN)
        self.ends_as_told(vmm)


guests.main()
