# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal of its own, read and typed at as a person would: a vmm whose guest is on the console."""
import contextlib
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'lab'))
import emulation  # noqa: E402

# Escape sequences of firmware and systems: colours, cursor moves, titles. Tokens are matched in the text without them.
ESCAPES = re.compile(rb'\x1b(?:\[[0-9;?=]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9]|[A-Za-z=>])|[\x00\x07]')
OWN_WORDS = b'vmm: '      # vmm's messages begin with this; they do not show that the guest goes on
OUTPUT_MAX = 1 << 20     # what a guest that never stops talking may cost


class Failed(Exception):
    """The expected text did not come."""
    lost = ''       # how the lab's emulation may have lost the guest


def end(*_):
    """When the test is asked to end, it ends its guests, too, because they are in sessions of their own."""
    sys.exit(128 + signal.SIGTERM)


signal.signal(signal.SIGTERM, end)


class Guest:
    def __init__(self, command, echo=False):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.text, self.seen, self.echo, self.shown = b'', 0, echo, 0
        self.heard = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, _, failed, __):
        """How the guest was lost can be seen only while its vmm is there, so a failure learns it here."""
        if isinstance(failed, Failed):
            failed.lost = self.lost()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.master)

    def read(self, seconds):
        """Reads the output that has come; False when there will be no more."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:         # EIO: the last process at the other end has gone
            return False
        self.text = (self.text + data)[:OUTPUT_MAX]
        if not data.lstrip().startswith(OWN_WORDS):
            self.heard = time.monotonic()
        if self.echo:
            self.show()
        return bool(data)

    def show(self):
        """Whole lines, without what they are drawn with."""
        plain = self.plain()
        end = plain.rfind(b'\n') + 1
        if end > self.shown:
            sys.stdout.buffer.write(plain[self.shown:end].replace(b'\r', b''))
            sys.stdout.flush()
            self.shown = end

    def plain(self):
        return ESCAPES.sub(b'', self.text)

    def demand_noise(self, silence):
        """Fails if the guest has said nothing for so many seconds (None: it may be silent)."""
        if silence and time.monotonic() - self.heard > silence:
            raise Failed(f'nothing was said for {silence} s; the last output:\n{self.tail()}')

    def expect(self, *tokens, seconds=300, silence=None):
        """Waits until one of the tokens appears after what was expected before, and returns it. A guest that says nothing for so long fails before."""
        end = time.monotonic() + seconds
        going = True
        while going and time.monotonic() < end:
            going = self.read(0.5)
            plain = self.plain()
            found = [(plain.find(t.encode(), self.seen), t) for t in tokens]
            found = [(at, t) for at, t in found if at >= 0]
            if found:
                at, token = min(found)
                self.seen = at + len(token)
                return token
            self.demand_noise(silence)
        why = f'in {seconds} s' if going else 'before the end'
        raise Failed(f'no {" or ".join(map(repr, tokens))} {why}; the last output:\n{self.tail()}')

    def type(self, text):
        os.write(self.master, text.encode())

    def ends(self, status, seconds=300, silence=None):
        """Waits for the end, and demands this exit status. A guest that says nothing for so long fails before."""
        end = time.monotonic() + seconds
        while self.read(0.5) and time.monotonic() < end:
            self.demand_noise(silence)
        try:
            found = self.process.wait(timeout=max(1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failed(f'no end in {seconds} s; the last output:\n{self.tail()}') from None
        if found != status:
            raise Failed(f'exit status {found}, not {status}; the last output:\n{self.tail()}')

    def lost(self):
        """How the lab's emulation may have lost this guest, after something expected did not come; or ''."""
        status = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self.process.wait(timeout=5)
        if emulation.crashed(status, self.plain().decode(errors='replace')):
            return 'the guest crashed'
        if status is not None or time.monotonic() - self.heard <= emulation.QUIET:
            return ''
        # A second processor may ask its devices while the first waits for the interrupt that was lost, so this is only reported.
        return 'the guest fell silent' + (' and still asks its devices' if emulation.polls(self.process.pid) else '')

    def tail(self):
        """The last lines; of a sanitizer's report the first ones, wherever it stands."""
        lines = [line for line in self.plain().decode(errors='replace').splitlines() if line.strip()]
        report = next((at for at, line in enumerate(lines) if 'Sanitizer:' in line or 'runtime error:' in line), None)
        return '\n'.join('    ' + line for line in (lines[-15:] if report is None else lines[report:report + 50]))


def init_begins(*programs):
    """The beginning of an /init beside which there is busybox alone: these of its programs get names, and the kernel's file systems their places."""
    return f'''#!/busybox sh
PATH=/
for name in mkdir mount {' '.join(programs)}; do
	/busybox ln -s busybox /$name
done
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
'''


def test_one(what, right, why_not, boot):
    """A test with one guest: TAP on standard output, and the exit status. what is tested, what is said if it is right, and why it cannot run here
    or ''. boot(vmm, host, echo), which come from the command line, returns ('', '') or why it failed and how the lab's emulation may have lost the guest."""
    vmm = str(pathlib.Path(sys.argv[1]).resolve())
    host, echo = sys.argv[sys.argv.index('--host') + 1] if '--host' in sys.argv else 'kvm', '--echo' in sys.argv
    print('1..1', flush=True)
    if why_not:
        print(f'ok 1 - {what} # SKIP {why_not}')
        return 0
    why = emulation.judge(lambda: boot(vmm, host, echo), lambda: boot(vmm, 'sim', echo)[0])
    print(f'not ok 1 - {what}\n# {why}' if why else f'ok 1 - {what}: {right}')
    return 1 if why else 0
