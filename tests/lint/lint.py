#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can check. One function a rule; lint.py RULE ROOT [BUILD]; exit 77 is "skipped"."""
import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOMS = {'base': 0, 'product': 0, 'config': 1, 'host': 1, 'attest': 1, 'sandbox': 1, 'sim': 2, 'call': 2, 'loop': 2, 'owner': 2, 'json': 2,
         'page': 3, 'facts': 3, 'back': 4, 'mirror': 4, 'device': 5, 'virtio': 6, 'machine': 7, 'launch': 8, 'run': 9,
         'migrate': 10, 'control': 11, 'cli': 12, 'preload': 12}
# The inner rooms of sim, and which of them each may include: 'sim' itself is what lies in no inner room.
SIM_ROOMS = {'object': set(), 'cpu': set(), 'irq': set(), 'psp': set(), 'jit': {'cpu'}, 'kvm': {'object', 'cpu', 'irq', 'jit'},
             'sev': {'object', 'cpu', 'psp', 'kvm'}, 'sim': {'object', 'cpu', 'jit', 'psp', 'kvm', 'sev'}}
# The translator is the processor's inside, too.
SIM_INSIDERS = {('jit', 'cpu')}
# Which of a room's headers the rooms above it may include, where it has others that are its own.
SIM_PUBLIC = {'cpu': {'cpu.h', 'ram.h'}, 'jit': {'jit.h'}, 'irq': {'irq.h'}, 'psp': {'psp.h'}}
# Which rooms outside of sim each may include: the platform is tested against attest and launch, and shares no code with them.
SIM_OUTER = {'object': {'base'}, 'cpu': {'base'}, 'jit': {'base'}, 'irq': {'base'}, 'psp': {'base', 'product', 'sim'}, 'kvm': {'base', 'sim'},
             'sev': {'base', 'product', 'sim'}, 'sim': {'base', 'host', 'sim'}}
LAYOUTS = {'uapi', 'abi'}       # headers of layouts only: any room may include them
FUNCTION_LINES, MACRO_LINES, FILE_LINES = 60, 25, 500


def sources(root, *folders, endings=('.c', '.h')):
    for folder in folders:
        yield from sorted(p for p in (root / folder).rglob('*') if p.suffix in endings)


def lines(path):
    return list(enumerate(path.read_text().splitlines(), 1))


def code(text):
    """The text with comments and string contents blanked, lines kept."""
    def blank(match):
        return re.sub(r'[^\n]', ' ', match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def exceptions(root):
    """tests/lint/exceptions: "RULE PLACE REASON" lines; a rule is bent only with a reason beside it."""
    found = {}
    for _, line in lines(root / 'tests/lint/exceptions'):
        if line.strip() and not line.startswith('#'):
            rule, place, reason = line.split(None, 2)
            found.setdefault(rule, {})[place] = reason
    return found


def inner_room_refuses(path, header):
    """Why this file of sim may not include the private header; None: it may. A header of the own folder has no folder in its name."""
    if '/' not in header and (path.parent / header).exists():
        return None
    folder, _, name = header.rpartition('/')
    own = path.parent.name
    if folder == own:
        return f'{header}: a header of the own room is {name}'
    if folder not in SIM_ROOMS.get(own, ()):
        return f'{own} may not include {header}: {", ".join(sorted(SIM_ROOMS.get(own, ()))) or "no other room"}'
    if name not in SIM_PUBLIC.get(folder, {name}) and (own, folder) not in SIM_INSIDERS:
        return f'{header}: private to {folder}'
    return None


def rooms(root):
    """A room includes only rooms of a lower number, and its own private headers. The inner rooms of sim have an order, too."""
    for path in sources(root, 'src'):
        room = path.relative_to(root / 'src').parts[0]
        if room == 'main.c':
            room = 'cli'
        if room not in ROOMS:
            yield path, 1, f'{room} is not a room of docs/architecture.md'
            continue
        for number, line in lines(path):
            match = re.match(r'\s*#include "([^"]+)"', line)
            if not match:
                continue
            header = match.group(1)
            if not header.startswith('vmm/'):
                if '..' in header:
                    yield path, number, f'{header}: private headers of another folder are private'
                elif room == 'sim' and (why := inner_room_refuses(path, header)):
                    yield path, number, why
                continue
            other = header[4:-2].split('/')[0]
            if other in LAYOUTS or other == room != 'sim':
                continue
            if room == 'sim':
                if other not in (outer := SIM_OUTER.get(path.parent.name, set())):
                    yield path, number, f'{path.parent.name} of sim may not include {header}: of the outer rooms {sorted(outer)}'
                continue
            if other not in ROOMS:
                yield path, number, f'{header}: no such room'
            elif ROOMS[other] >= ROOMS[room]:
                yield path, number, f'{room} ({ROOMS[room]}) may not include {other} ({ROOMS[other]})'
            elif other == 'sim' and room not in ('cli', 'preload'):
                yield path, number, 'only cli and preload name the software platform'


def headers(root):
    """Every contract header compiles alone."""
    for path in sources(root, 'include', endings=('.h',)):
        run = subprocess.run(['cc', '-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-I',
                              root / 'include', '-x', 'c', path], capture_output=True, text=True)
        if run.returncode:
            yield path, 1, 'does not compile alone: ' + run.stderr.strip().splitlines()[0]


DOORS = [
    # pattern, folders or files where it may stand, what to use
    (r'(?<![\w.>])(ioctl|mmap|munmap|fallocate)\s*\(', ('src/host/', 'src/sim/', 'src/cli/terminal.c', 'src/loop/', 'src/back/', 'src/preload/', 'src/migrate/save.c', 'src/page/missing.c'), 'host.h'),
    (r'/dev/(kvm|sev)"', ('src/host/', 'src/sim/', 'src/call/', 'src/cli/', 'src/preload/'), 'call.h'),
    (r'page_memory_slot_address\s*\(', ('src/page/', 'src/machine/vm.c'), 'page_read and page_write'),
    (r'page_memory_lend\s*\(', ('src/page/', 'src/back/vhost'), 'page_read and page_write'),
    (r'page_kernel_address\s*\(', ('src/page/', 'src/launch/step_sev.c', 'src/launch/move.c', 'src/migrate/pages.c', 'src/mirror/mirror.c'), 'page_read and page_write'),
    (r'"(sim/)?malice\.h"', ('src/sim/malice.c',), 'nothing: attacks are for tests alone'),
    (r'(?<![\w.>])json_dump\w*\s*\(', ('src/json/',), 'json_doc_print'),
    (r'(?<![\w.>])_?exit\s*\(', ('src/main.c', 'src/preload/'), 'a return value'),
    (r'(?<![\w.>])(sprintf|strcpy|strcat|gets|atoi|atol|strtok)\s*\(', (), 'the bounded function'),
    (r'(?<![\w.>])system\s*\(', (), 'nothing'),
]


def doors(root):
    """One door to the kernel, one to guest memory, one exit."""
    for path in sources(root, 'src'):
        name = str(path.relative_to(root))
        raw = path.read_text()
        for pattern, allowed, instead in DOORS:
            text = raw if '"' in pattern else code(raw)
            if name.startswith(allowed):
                continue
            for match in re.finditer(pattern, text):
                yield path, text.count('\n', 0, match.start()) + 1, f'{match.group(0).strip()}: use {instead}'


def macros(text):
    """Each macro of numbered lines: the number of its first line, its name, how many lines it has."""
    start = None
    for number, line in text:
        if start is None and (match := re.match(r'\s*#\s*define\s+(\w+)', line)):
            start, name = number, match.group(1)
        if start is not None and not line.endswith('\\'):
            yield start, name, number - start + 1
            start = None


def sizes(root):
    """Functions stay within 60 lines, macros within 25, files within 500."""
    allowed = exceptions(root).get('sizes', {})
    for path in sources(root, 'src', 'include', 'tests', 'firmware'):
        name = str(path.relative_to(root))
        text = lines(path)
        if len(text) > FILE_LINES and name not in allowed:
            yield path, len(text), f'{len(text)} lines, at most {FILE_LINES}'
        for number, macro, length in macros(text):
            if length > MACRO_LINES and f'{name}:{macro}' not in allowed:
                yield path, number, f'the macro {macro} of {length} lines, at most {MACRO_LINES}'
        start = None
        for number, line in text:
            if line == '{':
                start = number
            elif line == '}' and start:
                length = number - start - 1
                if length > FUNCTION_LINES and f'{name}:{text[start - 2][1].split("(")[0].split()[-1]}' not in allowed:
                    yield path, start, f'a function of {length} lines, at most {FUNCTION_LINES}'
                start = None


WORDS = [
    (r'\b(TODO|FIXME|XXX|HACK)\b', 'finish it, or describe it in docs/'),
    (r'\bissue\s*#?\d|\bsession\s*#?\d', 'the tree speaks of the project alone'),
    (r'(?<![\w.-])/(work|root|home)/', 'no path of one machine'),
    (r'https?://(deb|ftp|security|snapshot)\.', 'no host name of a package mirror'),
]


def words(root):
    listed = subprocess.run(['git', '-C', root, 'ls-files', '-co', '--exclude-standard'], capture_output=True, text=True)
    if listed.returncode:
        skip('not a git checkout')
    for name in listed.stdout.splitlines():
        path = root / name
        if name.startswith(('tests/fuzz/corpus/', 'LICENSE')) or path == pathlib.Path(__file__) or not path.is_file():
            continue
        try:
            text = lines(path)
        except UnicodeDecodeError:
            continue
        for number, line in text:
            for pattern, why in WORDS:
                if re.search(pattern, line):
                    yield path, number, why


SPDX = 'SPDX-License-Identifier: Apache-2.0'


def spdx(root):
    """The first line of a source file names the licence; in a script the second, behind the interpreter. A finding opens with its surprise."""
    listed = subprocess.run(['git', '-C', root, 'ls-files', '-co', '--exclude-standard'], capture_output=True, text=True)
    if listed.returncode:
        skip('not a git checkout')
    for path in (root / name for name in listed.stdout.splitlines()):
        if not path.is_file() or path.is_symlink() or path.is_relative_to(root / 'tests/fuzz/corpus'):
            continue
        head = path.read_bytes()[:2000].decode(errors='replace').splitlines() or ['']
        script, comment = head[0].startswith('#!'), '/* ' + SPDX + ' */'
        if path.suffix in ('.c', '.h', '.S'):
            good, where = head[0] == comment, 1
        elif path.parent.name == 'findings':
            good, where = not script or '# ' + SPDX in head, 1
        elif script or path.suffix in ('.py', '.sh') or path.name in ('meson.build', 'meson_options.txt'):
            where = 2 if script else 1
            good = head[where - 1:where] == ['# ' + SPDX]
        else:
            continue
        if not good:
            yield path, where, f'the line must be "{comment if path.suffix in (".c", ".h", ".S") else "# " + SPDX}"'


def modules(root):
    """No script beside others has the name of a module of Python's: it would be taken for that, by the modules themselves, too."""
    for path in sources(root, 'tests', 'docs', 'scripts', endings=('.py',)):
        if path.stem in sys.stdlib_module_names:
            yield path, 1, f'Python has a module {path.stem}'


MSR_FILES = ['src/sim/kvm/msr.c', 'src/sim/cpu/msr.c', 'src/sim/kvm/mce.c']
MSR_ROW = re.compile(r'^\s*\{(0x[0-9a-f]+), (?:(0x[0-9a-f]+), )?[-\w]'          # a row of a table: an index, or the first and the last
                     r'|^#define MSR_\w+ +(0x[0-9a-f]+)u'                      # those that functions answer
                     r'|^\s*VAR\((\d+)\)')                                    # variable MTRRs


def msrs(root):
    """An MSR has one row: of two, one would be shadowed by the other."""
    seen = {}
    for path in (root / name for name in MSR_FILES):
        rows = [(number, match) for number, line in lines(path) if (match := MSR_ROW.match(line))]
        if not rows:
            yield path, 1, 'no rows of MSRs found: MSR_ROW in lint.py does not know their form'
        for number, match in rows:
            first, last, named, variable = match.groups()
            start = 0x200 + int(variable) if variable else int(first or named, 16)
            for index in range(start, (int(last, 16) if last else start) + 1):
                if index in seen:
                    yield path, number, f'MSR {index:#x} has a row at {seen[index]}, too'
                seen[index] = f'{path.relative_to(root)}:{number}'


CALLS_MAX = 64


def calls(root):
    """Each system call of the sandbox has its reason beside it, and there are few of them. Calls that are refused do not count."""
    path = root / 'src/sandbox/lists.c'
    text, seen = path.read_text(), set()
    table = text[text.index('sandbox_rows[] = {'):text.index('sandbox_row_count')]
    rows = re.split(r'^ +(?=\{")', table, flags=re.M)[1:]
    for row in rows:
        name = re.match(r'\{"(\w+)"', row)[1]
        number = text.count('\n', 0, text.index(row)) + 1
        if not re.search(r'\.why = "[^"]{10,}"', row):
            yield path, number, f'{name} has no reason'
        if '.refuse' not in row:
            seen.add(name)
    if len(rows) != len(re.findall(r'\.why = ', table)) or not rows:
        yield path, 1, 'the rows have a form that lint.py does not know'
    if len(seen) > CALLS_MAX:
        yield path, 1, f'{len(seen)} calls, at most {CALLS_MAX}'


def format(root):
    """.clang-format is the style of clang-format 14; other versions differ in details."""
    tool = shutil.which('clang-format-14') or shutil.which('clang-format')
    if not tool:
        skip('clang-format is not installed')
    if ' 14.' not in subprocess.run([tool, '--version'], capture_output=True, text=True).stdout:
        skip('clang-format is not version 14')
    files = list(sources(root, 'src', 'include', 'tests', 'firmware'))
    run = subprocess.run([tool, '--dry-run', '-Werror', *files], capture_output=True, text=True, cwd=root)
    for match in re.finditer(r'^(.*?):(\d+):\d+: error: ', run.stderr, re.M):
        yield root / match.group(1), match.group(2), 'not as clang-format writes it'


def objects(root, build):
    """(source, object) of each source below src. compile_commands.json does not name objects that older builds left behind."""
    for entry in json.loads((build / 'compile_commands.json').read_text()):
        source = (pathlib.Path(entry['directory']) / entry['file']).resolve()
        if source.is_relative_to(root / 'src') and 'output' in entry:
            yield source, pathlib.Path(entry['directory']) / entry['output']


def global_names(tool, paths):
    """(object, name) of what each object defines for others. The compiler's and its sanitizers' names begin with __."""
    listed = subprocess.run([tool, '--defined-only', '-A', *paths], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        place, kind, name = line.rsplit(None, 2)
        if (kind.isupper() or kind == 'u') and not name.startswith(('__', 'DW.', '_GLOBAL_')):
            yield pathlib.Path(place.rsplit(':', 1)[0]), name


def names(root, build):
    """A function or variable that other files see begins with the name of its room; sim's inner rooms count by their own names."""
    tool = shutil.which('nm')
    if not tool:
        skip('nm is not installed')
    allowed = exceptions(root).get('names', {})
    sources_of = {compiled: source for source, compiled in objects(root, build)}
    seen, needed = 0, set()
    for compiled, name in global_names(tool, sorted(sources_of)):
        seen += 1
        source = sources_of[compiled]
        folders = source.relative_to(root / 'src').parts[:-1]
        room = folders[-1] if folders else 'cli'
        if name.startswith(room + '_') or name == 'main':
            continue
        place = next((p for p in allowed if p == str(source.relative_to(root)) or f'{room}:{name}'.startswith(p)), None)
        needed.add(place)
        if not place:
            yield source, 1, f'{name} does not begin with {room}_'
    if not seen:
        yield build / 'compile_commands.json', 1, 'names no object of src'
    for place in allowed.keys() - needed:
        yield root / 'tests/lint/exceptions', 1, f'names {place}: nothing needs this exception'


def skip(why):
    print('skipped:', why)
    sys.exit(77)


def main():
    rule, root = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    found = list(globals()[rule](root, *(pathlib.Path(folder).resolve() for folder in sys.argv[3:])))
    for path, line, text in found:
        print(f'{path.relative_to(root) if path.is_relative_to(root) else path}:{line}: {text}')
    print(f'{rule}: {len(found)} found')
    sys.exit(1 if found else 0)


main()
