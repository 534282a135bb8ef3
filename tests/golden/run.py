#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vmm check against the configurations beside this file.

pass-<what>.json has no mistakes; fail-<reason>.json has exactly the lines of fail-<reason>.expected, and --json says the
same. A file with the ending .args holds --set words, one a line, or other
options with their words (--disk FILE). usage: run.py VMM
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'support'))
import stand_in  # noqa: E402

FAIL_AT_LEAST, PASS_AT_LEAST = 100, 14


def check(vmm, config, words=(), folder=HERE, options=()):
    """Exit status, standard output, standard error; warnings have tests of their own."""
    sets = [part for word in words for part in (word.split(' ', 1) if word.startswith('--') else ('--set', word))]
    run = subprocess.run([vmm, 'check', str(config), *sets, *options], cwd=folder, stdin=subprocess.DEVNULL, timeout=300,
                         capture_output=True)
    err = run.stderr.decode(errors='replace').splitlines(keepends=True)
    return (run.returncode, run.stdout.decode(errors='replace'),
            ''.join(line for line in err if not line.startswith('vmm: warning: ')))


def make_files(vmm, folder):
    """The files that configurations name: what they hold is judged, too."""
    def call(*words):
        subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=300)

    stand_in.write(folder / 'some-file')
    (folder / 'tableless').write_bytes(bytes(4094) + b'\xeb\xfe')
    (folder / 'no-kernel').write_bytes(b'\x1f\x8b' + bytes(1000))
    (folder / 'short').write_bytes(bytes(95))
    (folder / 'two-mib').write_bytes(bytes(2 << 20))
    call('openssl', 'ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', 'id.pem')
    call(vmm, 'idblock', 'make', '--set', 'firmware=some-file', '--set', 'sev.type=sev-snp', '--id-key', 'id.pem',
         '--out-block', 'id-block', '--out-auth', 'id-auth')
    call(vmm, 'host', '--host', 'sim', '--certificates', 'certificates')
    call(vmm, 'session', 'new', '--pdh', 'certificates', '--policy', '0x5', '--out-keys', 'keys', '--out-session',
         'session', '--out-godh', 'dh-cert')


def lines_of(document):
    """The lines of words that say what the document of --json does."""
    for m in json.loads(document)['mistakes']:
        word = m['set'] or ''
        where = m['file'] or ('--set ' if word and not word.startswith('--') else '') + word
        place = f':{m["line"]}:{m["column"]}' if m['line'] else ''
        yield ': '.join(part for part in (where + place, m['key'], m['text']) if part) + '\n'


def check_json(vmm, config, words, folder):
    """The same as check(), from --json."""
    status, out, err = check(vmm, config, words, folder, ['--json'])
    return status, ''.join(lines_of(out)) or f'{config}: no mistakes\n', err


def wanted(config):
    """What a run over this file must give: exit status, standard output, standard error."""
    if config.name.startswith('pass-'):
        return 0, f'{config.name}: no mistakes\n', ''
    expected = config.with_suffix('.expected')
    if not expected.exists():
        return 2, f'(there is no {expected.name})', ''
    out = expected.read_text()
    count = out.count('\n')
    return 2, out, f'vmm: the configuration has {count} mistake{"s" if count != 1 else ""}\n'


def misplaced(config, out):
    """Lines whose line:column is neither the named key, nor its value, nor the device that lacks the key; keys written
    with escapes cannot be judged."""
    text = config.read_bytes().decode(errors='replace')
    for line in out.splitlines():
        match = re.match(r'[^:]+:(\d+):(\d+): ([\w.\[\]-]+): ', line)
        if not match or '\\u00' in text:
            continue
        source, column = text.split('\n')[int(match[1]) - 1], int(match[2]) - 1
        names = {f'"{match[3]}"', '"' + match[3].rsplit('.')[-1] + '"'}
        if match[3].startswith('devices') and re.match(r'\{|\d', source[column:]):
            continue
        if not any(source[:column].endswith(n + ': ') or source[column:].startswith(n + ':') for n in names):
            yield line


def compare(name, found, want):
    if found == want:
        return 0
    print(f'--- {name}: wanted\n{want[0]}\n{want[1]}{want[2]}+++ found\n{found[0]}\n{found[1]}{found[2]}')
    return 1


def files(vmm, folder):
    wrong = 0
    make_files(vmm, folder)
    configs = sorted(HERE.glob('*.json'))
    for config in configs:
        args = config.with_suffix('.args')
        words = args.read_text().splitlines() if args.exists() else []
        shutil.copy(config, folder)
        found = check(vmm, config.name, words, folder)
        wrong += compare(config.name, found, wanted(config))
        wrong += compare(f'{config.name} --json', check_json(vmm, config.name, words, folder), found)
        for line in misplaced(config, found[1]):
            print(f'points elsewhere: {line}')
            wrong += 1
    for orphan in set(HERE.glob('*.expected')) | set(HERE.glob('*.args')):
        if not orphan.with_suffix('.json').exists():
            print(f'{orphan.name}: has no configuration')
            wrong += 1
    fails = sum(config.name.startswith('fail-') for config in configs)
    if fails < FAIL_AT_LEAST or len(configs) - fails < PASS_AT_LEAST:
        print(f'only {fails} fail-*.json and {len(configs) - fails} others; some are lost')
        wrong += 1
    print(f'{len(configs)} configurations, {wrong} wrong')
    return wrong


def no_small_file(vmm):
    """What cannot lie in the tree: a directory, a file that is too large, one that is not there."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        large = pathlib.Path(folder) / 'large.json'
        large.write_bytes(b'{"name": "' + b'x' * (10 << 20) + b'"}')
        texts = {folder: 'is a directory, a regular file or a pipe is needed', '/dev/null':
                 'is a device, a regular file or a pipe is needed', 'none.json':
                 'cannot be opened: No such file or directory (ENOENT)', str(large):
                 f'has {large.stat().st_size} bytes, the limit is 1048576; is it the right file?'}
        for path, text in texts.items():
            want = 2, f'{path}: {text}\n', 'vmm: the configuration has 1 mistake\n'
            wrong += compare(path, check(vmm, path), want)
        # Just within the limit: the list stays short, and the time too.
        large.write_bytes(b'{' + b','.join(b'"machine.memroy%d": [{}]' % i for i in range(30000)) + b'}')
        status, out, err = check(vmm, large)
        wrong += compare('30,000 mistakes', (status, f'{out.count(chr(10))} lines\n', err),
                         (2, '100 lines\n', 'vmm: the configuration has 100 mistakes\n'))
    return wrong


def main():
    vmm = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        wrong = files(vmm, pathlib.Path(folder))
    sys.exit(1 if wrong + no_small_file(vmm) else 0)


main()
