#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/json.md against what vmm prints: every key of every document is in its table, with a value of the table's type, and every
key of a table is printed. usage: documents.py VMM TREE; exit 77 is "skipped".
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import stand_in  # noqa: E402

KEY = re.compile(r'[a-z0-9]+(-[a-z0-9]+)*')
PLAIN = {
    'text': lambda v: isinstance(v, str),
    'number': lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0,
    'boolean': lambda v: isinstance(v, bool),
    'mask': lambda v: isinstance(v, str) and re.fullmatch(r'0x(0|[1-9a-f][0-9a-f]*)', v),
    'bytes': lambda v: isinstance(v, str) and re.fullmatch(r'([0-9a-f]{2})*', v),
    'version': lambda v: isinstance(v, str) and re.fullmatch(r'\d+(\.\d+){1,2}', v),
    'null': lambda v: v is None,
}
# Keys that have a value only where the test cannot be sure to be.
VALUES_ELSEWHERE = {('kvm', 'reason'): 'where there is no KVM', ('amd certificate', 'root-of'): "AMD's own ARK, which is not in the tree"}


def tables(text):
    """{title: {key: (types, only sometimes)}}; a document without a table is that of another title."""
    found, same = {}, {}
    for title, body in re.findall(r'^##+ (.+)\n((?:(?!##).*\n)*)', text, re.M):
        rows = {}
        for keys, kind in re.findall(r'^\| (`.+?`) \| (.+?) \|', body, re.M):
            kind, sometimes = re.match(r'(.*?)(, only.*)?$', kind).groups()
            rows |= {key: (kind, bool(sometimes)) for key in re.findall(r'`([^`]+)`', keys)}
        other = re.search(r'^The document of `(.+)`', body, re.M)
        if rows:
            found[title] = rows
        elif other:
            same[title] = other[1]
    return found | {title: found[other] for title, other in same.items()}


class Judge:
    def __init__(self, text):
        self.tables = tables(text)
        self.wrong, self.seen = [], set()

    def object(self, title, value, where):
        """'' or what is wrong; what is seen counts only if nothing is."""
        if not isinstance(value, dict):
            return f'{where} is not an object ({title})'
        rows, seen = self.tables[title], set()
        for key in value.keys() - rows.keys():
            return f'{where}.{key} is not documented ({title})'
        for key, (kind, sometimes) in rows.items():
            if key not in value:
                if not sometimes:
                    return f'{where}.{key} is missing ({title})'
                continue
            if wrong := self.value(kind, value[key], f'{where}.{key}'):
                return wrong
            if value[key] is not None or kind == 'null':
                seen.add((title, key))
        self.seen |= seen
        return ''

    def value(self, kind, value, where):
        if kind.endswith(' or null') and value is None:
            return ''
        kind = kind.removesuffix(' or null')
        if match := re.fullmatch('(list|map) of (.+)', kind):
            if not isinstance(value, list if match[1] == 'list' else dict):
                return f'{where} is not a {match[1]}'
            parts = enumerate(value) if match[1] == 'list' else value.items()
            return next(filter(None, (self.value(match[2], part, f'{where}[{i}]') for i, part in parts)), '')
        wrong = [self.one(name, value, where) for name in kind.split(' or ')]
        return '' if '' in wrong else wrong[0]

    def one(self, kind, value, where):
        if kind in PLAIN:
            return '' if PLAIN[kind](value) else f'{where} is not a {kind}: {json.dumps(value)}'
        return self.object('vmm measure' if kind == 'measurement' else kind, value, where)

    def document(self, title, text, words):
        value = json.loads(text)
        if text != json.dumps(value, indent=2, ensure_ascii=False) + '\n':
            self.wrong.append(f'{words}: not in the one form')
        if wrong := self.object(title, value, title):
            self.wrong.append(f'{words}: {wrong}')

    def finish(self):
        for title, rows in self.tables.items():
            for key in rows:
                if not KEY.fullmatch(key):
                    self.wrong.append(f'{title}: {key} is not written as the keys of the configuration are')
                if (title, key) not in self.seen | VALUES_ELSEWHERE.keys():
                    self.wrong.append(f'{title}: no document had a value for {key}')
        return self.wrong


def sets(*words):
    return [part for word in words for part in ('--set', word)]


def make_files(call, folder):
    stand_in.write(folder / 'image.fd')
    (folder / 'kernel').write_bytes((folder / 'image.fd').read_bytes())
    (folder / 'limited').mkdir()
    (folder / 'limited/misc.max').write_text('sev 3\n')
    (folder / 'guest.json').write_text('{"firmware": "image.fd", "machine": {"memory": "64M"}}')
    (folder / 'wrong.json').write_text('{"firmware": "image.fd",\n "nam": 1}')
    for name in ('id', 'author'):
        subprocess.run(['openssl', 'ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', f'{name}.pem'], cwd=folder,
                       check=True, capture_output=True, timeout=60)
    call(0, 'idblock', 'make', '--digest', '00' * 48, '--id-key', 'id.pem', '--author-key', 'author.pem', '--out-block', 'block',
         '--out-auth', 'auth')
    call(0, 'host', '--host', 'sim', '--certificates', 'certs', '--generation', 'sev', '--out-root', 'ark')
    (folder / 'saved').write_text(call(0, 'measure', 'guest.json', '--json', '--rows', *sets('sev.type=sev-snp')))


@contextlib.contextmanager
def map_server(tree, vmm):
    """A control socket that knows nothing but a map."""
    os.environ['VMM_PROGRAM'] = str(vmm)
    sys.path.insert(0, str(tree / 'tests/cli'))
    import map as maps
    with contextlib.ExitStack() as stack:
        stack.addCleanup = stack.callback
        record = maps.RECORD | {'complete': False, 'doubt': {'gpa': '0x5000', 'size-bytes': 4096}}
        yield maps.Server(stack, lambda *_: maps.answer(record=record)).path


def cases(data, corpus, socket):
    """Title of the table, exit status (None: either), words. Together they show every key."""
    snp, es, sev = (sets(f'sev.type={kind}') for kind in ('sev-snp', 'sev-es', 'sev'))
    hashes = sets('boot.kernel=kernel', 'boot.hashes=true')
    sim, dry = ['host', '--host', 'sim'], ['run', '--dry-run', '--host', 'sim', 'guest.json']
    yield 'vmm check', 0, ['check', 'guest.json', *snp]
    yield 'vmm check', 0, ['check', 'guest.json', *snp, *sets('sev.policy=smt,debug')]
    yield 'vmm check', 2, ['check', 'wrong.json', *sets('machine.vcpus=0')]
    yield 'vmm host', None, ['host']
    for words in ('sim.cgroup=group', 'sim.cgroup=limited', 'sim.product=none', 'sim.product=Turin', 'sim.firmware-version=1.49.3'):
        yield 'vmm host', 0, [*sim, *sets(words)]
    yield 'vmm map', 0, ['map', str(socket)]
    for words in (snp, es, sev, snp + hashes, ['--rows'] + snp, ['--rows'] + es, ['--rows'] + sev + sets('sev.helper=true')):
        yield 'vmm measure', 0, ['measure', 'guest.json', *words]
    yield 'vmm measure --compare', 0, ['measure', 'guest.json', '--compare', 'saved', *snp]
    yield 'vmm measure --compare', 1, ['measure', 'guest.json', '--compare', 'saved', *snp, *sets('machine.vcpus=2')]
    for status, words in ((0, []), (0, sev), (0, snp), (4, snp + sets('sim.product=none'))):
        yield 'vmm run --dry-run', status, [*dry, *words]
    yield 'vmm run --dry-run', 2, [*dry, *snp, *hashes, *sets('firmware=kernel', 'boot.kernel=guest.json')]
    for report in (data / 'milan-report-a.bin', data / 'milan-report-b.bin', corpus / 'report/turin'):
        yield 'vmm report show', 0, ['report', 'show', str(report)]
    verify = ['report', 'verify', str(data / 'milan-report-b.bin'), '--vcek', str(data / 'milan-vcek-b.der'), '--at', '2025-06-15']
    for status, chain in ((0, 'milan'), (1, 'genoa')):
        yield 'vmm report verify', status, [*verify, '--chain', str(data / f'ask_ark_{chain}.pem')]
    yield 'vmm cert verify', 0, ['cert', 'verify', '--pdh', 'certs', '--root', 'ark']
    yield 'vmm cert verify', 1, ['cert', 'verify', '--pdh', 'certs']
    for certs in ('certs', 'ark', str(corpus / 'sev_cert/pdh'), str(corpus / 'sev_cert/ask-ark')):
        yield 'vmm cert show', 0, ['cert', 'show', certs]
    for words in (['block'], ['block', 'auth']):
        yield 'vmm idblock show', 0, ['idblock', 'show', *words]


def verbs_with_json(call):
    for verb in re.findall(r'^  ([a-z]+(?: [a-z]+)?)  +', call(0, '--help'), re.M):
        if re.search('^  --json$', call(0, *verb.split(), '--help'), re.M):
            yield f'vmm {verb}'


def main():
    vmm, tree = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    if not shutil.which('openssl'):
        print('skipped: there is no openssl, which makes the keys of an ID block')
        sys.exit(77)
    judge = Judge((tree / 'docs/json.md').read_text())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)

        def call(status, *words):
            done = subprocess.run([vmm, *words], cwd=folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
            if status is not None and done.returncode != status:
                raise SystemExit(f'{words}: exit status {done.returncode}, not {status}: {done.stderr}')
            return done.stdout

        make_files(call, folder)
        count = 0
        with map_server(tree, vmm) as socket:
            for title, status, words in cases(tree / 'tests/data/attestation', tree / 'tests/fuzz/corpus', socket):
                judge.document(title, call(status, *words, '--json'), ' '.join(words))
                count += 1
        documented = {re.sub(' --(compare|dry-run)$', '', title) for title in judge.tables if title.startswith('vmm ')}
        if documented != (printed := set(verbs_with_json(call))):
            judge.wrong.append(f'documented and printed are not the same verbs: {sorted(documented ^ printed)}')
    wrong = judge.finish()
    print(*wrong, f'{count} documents, {len(judge.seen)} keys, {len(wrong)} wrong', sep='\n')
    sys.exit(1 if wrong else 0)


main()
