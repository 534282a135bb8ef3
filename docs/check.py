#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages and the example against the tables and against other tools; exit 77 is "skipped".

usage: check.py lint PAGE... | check.py example TABLES EXAMPLE VMM | check.py examples PAGE VMM |
       check.py script PAGE EXAMPLE | check.py made PROGRAM PAGE
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tests/support'))
import stand_in  # noqa: E402


def skip(why):
    print('skipped:', why)
    sys.exit(77)


def lint(*pages):
    """mandoc finds nothing, not even questions of style. Pages are taken as installed side by side."""
    if not shutil.which('mandoc'):
        skip('mandoc is not installed')
    folder = pathlib.Path(pages[0]).parent
    run = subprocess.run(['mandoc', '-T', 'lint', *(pathlib.Path(page).name for page in pages)], cwd=folder,
                         capture_output=True, text=True)
    # References to each other cannot be found before they are installed.
    found = [line for line in run.stdout.splitlines() if not re.search(r'referenced manual not found: Xr vmm', line)]
    print('\n'.join(found))
    return not found


def made(program, path):
    """The end of the page is what a program makes of the table that vmm itself uses."""
    mark = f'<!-- What follows is made from the table: build/docs/{pathlib.Path(program).name} -->\n\n'
    new = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    head, found, tail = pathlib.Path(path).read_text().partition(mark)
    if found and tail == new:
        return True
    pathlib.Path(program).with_suffix('.md').write_text(head + mark + new)
    print(f'{path} is not what the table says; write it anew: cp {program}.md {path}')
    return False


def vmm_check(vmm, text, *sets):
    """vmm check over a text, with files that exist in place of those that this host may lack."""
    path = pathlib.Path(vmm).parent / f'docs-check-{len(text)}.json'
    path.write_text(text)
    try:
        run = subprocess.run([vmm, 'check', path, *sets], capture_output=True, text=True)
    finally:
        path.unlink()
    print(run.stdout, run.stderr, sep='', end='')
    return run.returncode == 0


def example(tables, path, vmm):
    """The example is what the table of keys says, and vmm takes it."""
    made = subprocess.run([tables, 'example'], capture_output=True, text=True, check=True).stdout
    text = pathlib.Path(path).read_text()
    if text != made:
        print(f'{path} is not what the table of keys says; write it anew: tables example >{path}')
        return False
    firmware = json.loads(text)['firmware']
    if pathlib.Path(firmware).exists():
        return vmm_check(vmm, text)
    print(f'{firmware} is not installed; another file stands in for it')
    with tempfile.TemporaryDirectory() as folder:
        return vmm_check(vmm, text, '--set', f'firmware={stand_in.write(folder + "/image")}')


def examples(page, vmm):
    """What the page shows as a configuration is one."""
    shown = re.findall(r'^\.Bd -literal.*?\n(\{.*?)\.Ed', pathlib.Path(page).read_text(), re.S | re.M)
    with tempfile.TemporaryDirectory() as folder:
        file = stand_in.write(folder + '/image')
        keys = ['firmware', 'boot.kernel', 'boot.initrd']
        disks = [[f'devices[{i}].file' for i, device in enumerate(json.loads(text).get('devices', [])) if 'file' in device]
                 for text in shown]
        sets = [[part for key in keys + more for part in ('--set', f'{key}={file}')] for more in disks]
        return bool(shown) and all([vmm_check(vmm, text, *more) for text, more in zip(shown, sets)])


def script(page, path):
    """The manual shows the example of a script as it is; tests/boot runs it."""
    text = pathlib.Path(path).read_text()
    return text.replace('\\', '\\e') in pathlib.Path(page).read_text()


def main():
    absolute = [str(pathlib.Path(word).resolve()) for word in sys.argv[2:]]
    sys.exit(0 if {'lint': lint, 'example': example, 'examples': examples, 'script': script, 'made': made}[sys.argv[1]](*absolute) else 1)


main()
