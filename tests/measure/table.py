#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""table.py VMM TABLE [FIRMWARE]: every launch digest of an expected-digests.json (of this image), computed by an
outside tool, must be what vmm measure prints; what the tool refuses must be refused with a remedy. Exit 77: no image here."""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import images

TYPES = {'sev': 'sev', 'seves': 'sev-es', 'snp': 'sev-snp'}


def blobs(table, work, only):
    """{name: path} of all inputs that are here."""
    inputs = table['inputs']
    wanted = {n: i['sha256'] for n, i in inputs.items() if n.endswith('.fd') and only in (None, n)}
    found = images.find(wanted, work)
    for name in ('kernel.bin', 'initrd.bin'):
        data = images.generated(name[:6].encode(), inputs[name]['size'])
        assert hashlib.sha256(data).hexdigest() == inputs[name]['sha256'], f'{name} was generated wrongly'
        found[name] = work / name
        found[name].write_bytes(data)
    return found


def command(vmm, entry, files, append):
    boot = entry['boot'].split('+')
    sets = {'sev.type': TYPES[entry['mode']], 'firmware': files[entry['firmware']]}
    if 'vcpus' in entry:
        sets |= {'machine.vcpus': entry['vcpus'], 'machine.cpu': entry['vcpu_type'],
                 'sev.vmsa-features': entry.get('guest_features', entry.get('sev_features'))}
    if 'kernel' in boot:
        sets |= {'boot.kernel': files['kernel.bin'], 'boot.hashes': 'true'}
    if 'initrd' in boot:
        sets['boot.initrd'] = files['initrd.bin']
    if 'append' in boot:
        sets['boot.cmdline'] = append
    return [vmm, 'measure', '--json'] + [word for key, value in sets.items() for word in ('--set', f'{key}={value}')]


def check_digest(run, entry):
    if run.returncode:
        return f'exit {run.returncode}: {run.stderr.strip()}'
    digest = json.loads(run.stdout)['digest']
    return None if digest == entry['digest'] else f'{digest}, expected {entry["digest"]}'


def check_by_number(words, run):
    """The digest is the same if only the signature names the model, as with the tool's --vcpu-sig."""
    signature = json.loads(run.stdout).get('cpu-signature')
    if not signature:
        return None
    words = [*words, '--set', 'machine.cpu=host', '--set', f'machine.cpu-signature={signature}']
    other = subprocess.run(words, capture_output=True, text=True, timeout=60)
    same = other.returncode == 0 and json.loads(other.stdout)['digest'] == json.loads(run.stdout)['digest']
    return None if same else f'by its signature {signature}: {other.stdout}{other.stderr}'


def check_refusal(run, entry):
    if run.returncode != 2 or run.stdout:
        return f'exit {run.returncode}, expected a refusal with 2: {run.stdout}{run.stderr}'
    return None if 'ovmf-amdsev' in run.stderr else f'the refusal names no remedy: {run.stderr}'


def main():
    vmm, table = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())
    only = sys.argv[3] if len(sys.argv) > 3 else None
    done, bad, missing, numbered = 0, 0, {}, set()
    with tempfile.TemporaryDirectory() as work:
        files = blobs(table, pathlib.Path(work), only)
        for entries, check in ((table['digests'], check_digest), (table.get('errors', []), check_refusal)):
            for entry in entries:
                if only and entry['firmware'] != only:
                    continue
                if entry['firmware'] not in files:
                    missing[entry['firmware']] = missing.get(entry['firmware'], 0) + 1
                    continue
                words = command(vmm, entry, files, table['append'])
                run = subprocess.run(words, capture_output=True, text=True, timeout=60)
                why = check(run, entry)
                kind = entry.get('mode'), entry.get('vcpu_type')
                if not why and check == check_digest and kind not in numbered:
                    numbered.add(kind)
                    why = check_by_number(words, run)
                done += 1
                if why:
                    bad += 1
                    print(' '.join(map(str, words)), '\n  ', why)
    print(f'{done - bad} of {done} entries agree')
    for name, count in missing.items():
        package = images.PACKAGES.get(name.split('-')[0], 'of an unknown package')
        print(f'skipped: {count} entries need {name}, {package}; scripts/setup --firmware --sid gets them')
    sys.exit(1 if bad else 0 if done else 77)


main()
