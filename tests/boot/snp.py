#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Linux as a SEV-SNP guest on the software platform: the kernel's own driver fetches reports, certificates and keys; others verify them.

usage: snp.py VMM KEY [--case NAME] [--all] [--keep FOLDER] [--echo]   TAP on standard output; KEY is the program sev_key
--all takes minutes more; --keep leaves the last report, its certificate table, and the root as report, table and ark in FOLDER.
The kernel is that of the lab, with the modules configfs, tsm_report and sev-guest: scripts/setup --firmware --lab
"""
import base64
import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile

from guest import Failed, Guest, init_begins
from linux import FIRMWARE, KERNEL, make_initrd

VERIFY = pathlib.Path(__file__).resolve().parents[2] / 'scripts/openssl-verify'
MODULES = [file for name in ('configfs', 'tsm_report', 'sev-guest') for file in (KERNEL / 'guest-modules').glob(f'*-{name}.ko')]
REPORT_DATA, MEASUREMENT, CHIP_ID = slice(0x50, 0x90), slice(0x90, 0xc0), slice(0x1a0, 0x1e0)
HOST_DATA = 'b7' * 32
NONCES = '11' * 64, b'a nonce'.ljust(64, b'\0').hex()
SECONDS = 600

INIT = init_begins('insmod', 'dmesg', 'grep', 'sed', 'base64', 'xxd', 'cat', 'nproc', 'dd', 'rm', 'reboot', 'poweroff', 'wc') + '''for module in /*.ko; do
	insmod "$module" || echo "no $module"
done
dmesg | grep -E 'Memory Encryption Features active|SNP running at' | sed 's/.*\\] //'
echo "processors=$(nproc)"
'''

ATTEST = '''
mount -t configfs none /sys/kernel/config
mkdir /sys/kernel/config/tsm/report/one
report() {
	cd /sys/kernel/config/tsm/report/one
	echo "$1" | xxd -r -p >inblob
	echo "report=$(base64 -w 0 outblob)"
	echo "certificates=$(base64 -w 0 auxblob)"
	cd /
}
while read word data; do
	case $word in
	report) report $data ;;
	key) echo "key=$(sev_key)" ;;
	features) echo "status=$(dmesg | grep -c 'SEV: Status:.*SecureTSC')" ;;
	*) $word -f ;;
	esac
done
'''

MEMORY = '''
left() { sed -n 's/Unaccepted: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; }
echo "unaccepted=$(left)"
mount -t tmpfs -o size=100% tmpfs /tmp
dd if=/dev/zero of=/tmp/file bs=1M count=900 2>/dev/null
echo "filled=$(wc -c </tmp/file) unaccepted=$(left)"
poweroff -f
'''


def settings(more):
    keys = {'firmware': FIRMWARE, 'sev.type': 'sev-snp', 'sev.host-data': HOST_DATA, **more}
    return [str(word) for key, value in keys.items() for word in ('--set', f'{key}={value}')]


def vmm(*words):
    run = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    if run.returncode:
        raise Failed(f'{" ".join(map(str, words[:3]))}: {run.stdout}{run.stderr}')
    return run.stdout.strip()


def start(options, folder, words, program, files=()):
    """A guest that has said how it is protected."""
    initrd = make_initrd(folder, INIT + program, [*MODULES, *files])
    guest = Guest([options.vmm, 'run', '--host', 'sim', *words, '--set', f'boot.kernel={KERNEL / "vmlinuz"}', '--set', f'boot.initrd={initrd}',
                   '--set', 'boot.cmdline=console=ttyS0 panic=-1 quiet cryptomgr.notests=1'], options.echo)
    return guest


def greets(guest, vcpus):
    guest.expect('Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP', seconds=SECONDS)
    guest.expect('SNP running at VMPL0')
    guest.expect(f'processors={vcpus}')


def ask(guest, what, *names):
    """Types a line, and returns what the guest says of these names."""
    at = len(guest.plain())
    guest.type(what + '\r')
    for name in names:
        guest.expect(f'{name}=', seconds=SECONDS)
        guest.expect('\n')
    said = guest.plain()[at:].decode()
    return [re.search(rf'^{name}=(\S*)\s*$', said, re.M)[1] for name in names]


def judge(options, folder, report, table, nonce, measurement, more=()):
    """vmm and openssl accept the report, and vmm does not without the simulated root."""
    (folder / 'report').write_bytes(report)
    (folder / 'table').write_bytes(table)
    wanted = ['--measurement', measurement, '--report-data', nonce, '--host-data', HOST_DATA, '--vmpl', '0', *more]
    vmm(options.vmm, 'report', 'verify', folder / 'report', '--certs', folder / 'table', '--root', folder / 'ark', *wanted)
    vmm(VERIFY, folder / 'report', folder / 'table', folder / 'ark', measurement, nonce)
    try:
        vmm(options.vmm, 'report', 'verify', folder / 'report', '--certs', folder / 'table', *wanted)
    except Failed as refused:
        if 'has none of AMD\'s root keys' not in str(refused):
            raise
    else:
        raise Failed('a simulated report passed for AMD\'s')


def attest(options, folder, vcpus, product='Milan', features=''):
    """Reports with the data that was given, as predicted; certificates as the platform's; keys that repeat; and all of it after a restart."""
    vmm(options.vmm, 'host', '--host', 'sim', '--set', f'sim.product={product}', '--certificates', folder / 'certificates', '--generation', 'snp',
        '--out-root', folder / 'ark')
    words = settings({'machine.memory': '512M', 'machine.vcpus': vcpus, 'sev.certificates': folder / 'certificates', 'sim.product': product,
                      **({'sev.vmsa-features': features} if features else {})})
    measurement = vmm(options.vmm, 'measure', *words)
    keys = set()
    with start(options, folder, words, ATTEST, [options.key]) as guest:
        for last in False, True:
            greets(guest, vcpus)
            if features and ask(guest, 'features', 'status')[0] != '1':
                raise Failed('the kernel does not see Secure TSC')
            for nonce in NONCES:
                report, table = map(base64.b64decode, ask(guest, f'report {nonce}', 'report', 'certificates'))
                if report[MEASUREMENT].hex() != measurement or report[REPORT_DATA].hex() != nonce:
                    raise Failed(f'a report of {report[MEASUREMENT].hex()} with {report[REPORT_DATA].hex()}')
                if table != (folder / 'certificates').read_bytes():
                    raise Failed(f'{len(table)} bytes of certificates, which are not those of the platform')
                judge(options, folder, report, table, nonce, measurement)
            keys |= {ask(guest, 'key', 'key')[0] for _ in range(2)}
            guest.type('poweroff\r' if last else 'reboot\r')
        guest.ends(0)
    if len(keys) != 1 or not re.fullmatch('[0-9a-f]{64}', min(keys)):
        raise Failed(f'keys derived in the same way: {keys}')


def attest_by_vlek(options, folder):
    """A cloud provider's key signs, and its host keeps the chip out of the report: no id, and no key that is derived from the chip's."""
    words = settings({'machine.memory': '512M', 'sev.certificates': folder / 'certificates', 'sim.vlek': 'cloud.example', 'sim.mask-chip': 'both'})
    vmm(options.vmm, 'host', '--host', 'sim', *words[-4:], '--certificates', folder / 'certificates', '--generation', 'snp', '--out-root', folder / 'ark')
    with start(options, folder, words, ATTEST, [options.key]) as guest:
        greets(guest, 1)
        report, table = map(base64.b64decode, ask(guest, f'report {NONCES[0]}', 'report', 'certificates'))
        judge(options, folder, report, table, NONCES[0], vmm(options.vmm, 'measure', *words), ['--csp-id', 'CN=cloud.example'])
        if ask(guest, 'key', 'key')[0]:
            raise Failed('a key was derived from a chip whose key the host forbids')
        guest.type('poweroff\r')
        guest.ends(0)
    if any(report[CHIP_ID]):
        raise Failed('the report names the chip')


def accept(options, folder):
    """Firmware leaves memory above 4 GiB unaccepted; the kernel accepts it when it is wanted."""
    with start(options, folder, settings({'machine.memory': '6G', 'machine.vcpus': 1}), MEMORY) as guest:
        greets(guest, 1)
        guest.expect('unaccepted=', seconds=SECONDS)
        guest.expect('filled=943718400 unaccepted=', seconds=SECONDS)
        guest.ends(0, seconds=SECONDS)
        before, after = (int(kib) for kib in re.findall(rb'unaccepted=(\d+)', guest.plain()))
    if before < 3 << 20 or after > before - (256 << 10):
        raise Failed(f'{before} KiB were unaccepted, and then {after} KiB')


CASES = [('reports, certificates and keys, 4 vCPU', lambda options, folder: attest(options, folder, 4))]
MORE = [('reports, certificates and keys, 1 vCPU', lambda options, folder: attest(options, folder, 1)),
        ('the same, Genoa with Secure TSC, 2 vCPU', lambda options, folder: attest(options, folder, 2, 'Genoa', 'secure-tsc')),
        ('the same, Turin, 2 vCPU', lambda options, folder: attest(options, folder, 2, 'Turin')),
        ("a report by a cloud provider's key", attest_by_vlek),
        ('memory is accepted when it is wanted', accept)]


class Options:
    def __init__(self, words):
        self.vmm, self.key = (pathlib.Path(word).resolve() for word in words[:2])
        self.echo = '--echo' in words
        self.case, self.keep = (words[words.index(name) + 1] if name in words else '' for name in ('--case', '--keep'))


def main():
    options = Options(sys.argv[1:])
    cases = [case for case in CASES + (MORE if '--all' in sys.argv or options.case else []) if options.case in case[0]]
    print(f'1..{len(cases)}', flush=True)
    failed = False
    for number, (name, run) in enumerate(cases, 1):
        if not FIRMWARE.exists() or len(MODULES) != 3:
            print(f'ok {number} - {name} # SKIP no kernel with these modules, or no firmware, run: scripts/setup --firmware --lab')
            continue
        try:
            with contextlib.nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory() as folder:
                run(options, pathlib.Path(folder))
            print(f'ok {number} - Linux, SEV-SNP: {name}', flush=True)
        except Failed as why:
            failed = True
            print(f'not ok {number} - Linux, SEV-SNP: {name}', *str(why).splitlines(), sep='\n# ', flush=True)
    return failed


if __name__ == '__main__':
    sys.exit(main())
