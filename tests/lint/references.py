#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What documents and comments refer to exists: files, folders, links, anchors, functions. Exit 77 is "skipped".

usage: references.py ROOT | references.py test

It reads Markdown, the manual pages, tests/lint/exceptions, and the comments of C, assembler, Python, shell and Meson. It looks
at four kinds of words:
- a path that begins with a top folder of the tree, or is a source file in a folder that has the name of one of ours;
- a bare name that ends like a source file;
- a call, `name()`, with an underscore in its name;
- a link of Markdown: its file, and the heading that it points to.
A reference to another project's file or function names its owner just before it ("Linux's sev.c"), or stands in
tests/lint/foreign beside its owner.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

OWNER = re.compile(r"\b(Linux|KVM|QEMU|OVMF|edk2|SeaBIOS|qboot|OpenSSL|AMD|kernel|systemd|Debian|glibc|jansson|cmocka|libbpf)('s)?[ `(*]*$")
SOURCE = r'\.(?:c|h|S|py|sh|md)'
PATH = re.compile(r'(?<![\w./~$}@>:-])[A-Za-z_][\w.+-]*(?:/[\w.+*?<>{},-]+)+/?')
NAME = re.compile(r'(?<![\w./~$}@<>*-])[A-Za-z_][\w-]*' + SOURCE + r'(?![\w/])')
CALL = re.compile(r'(?<![\w.>-])([a-z][a-z0-9]*_\w+)(?=\(\))')
LINK = re.compile(r'\]\(([^)\s#]*)(#[^)\s]*)?\)')


def matches(pattern, text, group=0):
    for match in re.finditer(pattern, text):
        if match.group(group):
            yield match.start(group), match.group(group)


def comments_of_c(text):
    return matches(r'(?s)"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|(/\*.*?\*/|//[^\n]*)', text, 1)


def comments_of_python(text):
    return matches(r'(?ms)^ *(""".*?""")|(?:^|(?<=\s))(#\s[^\n]*)', text)


def comments_of_scripts(text):
    return matches(r'(?m)(?:^|(?<=\s))#\s[^\n]*', text)


def reader(name):
    """The function that gives what people read of a file, or None."""
    path = pathlib.PurePath(name)
    if path.suffix in ('.c', '.h', '.S'):
        return comments_of_c
    if path.suffix == '.py':
        return comments_of_python
    if path.suffix == '.sh' or path.name == 'meson.build' or name.startswith(('scripts/', 'tests/lab/', 'tests/clean/')):
        return comments_of_scripts
    if path.suffix == '.md' or name.endswith(('.1.in', '.5.in')) or name == 'tests/lint/exceptions':
        return lambda text: [(0, text)]
    return None


class Tree:
    """The files of a tree as git lists them, and what their code defines or calls."""

    def __init__(self, root):
        listed = subprocess.run(['git', '-C', root, 'ls-files', '-co', '--exclude-standard'], capture_output=True, text=True)
        if listed.returncode:
            print('skipped: not a git checkout')
            sys.exit(77)
        files = [name for name in listed.stdout.splitlines() if (root / name).is_file()]
        folders = {str(folder) for name in files for folder in pathlib.PurePath(name).parents} - {'.'}
        self.texts = {name: (root / name).read_text(errors='replace') for name in files if reader(name)}
        self.paths = set(files) | folders
        self.top = {folder for folder in folders if '/' not in folder}
        self.folder_names = {folder.rsplit('/')[-1] for folder in folders}
        # "psp/psp.h" and "sim/psp/psp.h" mean the same file as its whole path.
        self.ends = {path[start:] for path in self.paths for start in [0, *(at for at, _ in matches(r'(?<=/)[^/]', path))]}
        foreign = (root / 'tests/lint/foreign').read_text()
        self.foreign = set(re.sub(r'(?m)^(#.*|\S+)', '', foreign).split())
        self.words = set()
        for name, text in self.texts.items():
            if not name.endswith(('.md', '.in')):
                self.words.update(re.findall(r'\b[a-z]\w*_\w+\b', without_comments(name, text)))


def without_comments(name, text):
    pieces, at = [], 0
    for start, comment in reader(name)(text):
        pieces.append(text[at:start])
        at = start + len(comment)
    return ''.join(pieces) + text[at:]


def exists(tree, word):
    """Placeholders (<room>, NAME, *, {a,b}) stand for anything."""
    if word in tree.ends:
        return True
    if not re.search(r'[*?<{]|\b[A-Z]{3,}\b', word):
        return False
    pattern = re.escape(re.sub(r'<\w+>|\*|\{[^}]*\}|\b[A-Z]{3,}\b', '\0', word)).replace('\0', '[^/]*')
    return any(re.fullmatch(pattern, end) for end in tree.ends)


def dead_words(tree, text):
    """Paths and names of files in a text: (place in it, what does not exist)."""
    for start, word in matches(PATH, text):
        word = re.sub(r'[/.,:-]+$', '', word)
        first, last = word.split('/')[0], word.split('/')[-1]
        ours = first in tree.top or first in tree.folder_names and re.search(SOURCE + '$', last)
        if ours and not exists(tree, word):
            yield start, word
    for start, word in matches(NAME, text):
        if not exists(tree, word):
            yield start, word
    for start, name in matches(CALL, text):
        if name not in tree.words:
            yield start, name + '()'


def anchors(text):
    """The names that a renderer gives to headings."""
    for heading in re.findall(r'(?m)^#+ +(.*?) *$', re.sub(r'(?ms)^```.*?^```', '', text)):
        yield re.sub(r'[^\w -]', '', re.sub(r'[`*]', '', heading).lower()).replace(' ', '-')


def dead_links(tree, name, text):
    for match in LINK.finditer(text):
        file, anchor = match.groups()
        if '://' in file or file.startswith('mailto:'):
            continue
        folder = pathlib.PurePath(name).parent
        parts = []
        for part in [*folder.parts, *pathlib.PurePath(file).parts] if file else []:
            parts = parts[:-1] if part == '..' else [*parts, part]
        path = '/'.join(parts) or name
        if path not in tree.paths:
            yield match.start(), f'{path} (a link)'
        elif anchor and anchor[1:] not in anchors(tree.texts.get(path, '')):
            yield match.start(), f'{anchor} in {path} (a link)'


def look(root):
    tree = Tree(root)
    for name, text in tree.texts.items():
        found = [(start + at, what) for start, part in reader(name)(text) for at, what in dead_words(tree, part)]
        if name.endswith('.md'):
            found += dead_links(tree, name, text)
        for start, what in found:
            if what not in tree.foreign and not OWNER.search(text[max(0, start - 40):start]):
                yield name, text.count('\n', 0, start) + 1, what


SAMPLE = {  # a tree, and what is to be found in it
    'src/page/access.c': "/* See src/page/gone.c:12, page/access.c, gone.h and page_gone(); Linux's sev.c and memcpy() are others'. */\n"
                         'int page_read(void) { return "src/page/text.c" != 0; } /* page_read() is here. */\n',
    'src/meson.build': "# The order is checked by tests/lint/gone.py.\n",
    'tests/lint/foreign': 'kernel kvm_run_it()\n',
    'tests/tool.py': '"""Reads tests/<room>/NAME.c and tests/gone/."""\nprint("#")  # kvm_run_it() runs src/page/*.c\n',
    'README.md': '# A title\n\n[a](docs/gone.md) [b](#a-title) [c](#gone) [d](https://example.org/gone) `$HOME/src/gone.c`\n',
}
WANTED = {('README.md', 3, 'docs/gone.md (a link)'), ('README.md', 3, '#gone in README.md (a link)'),
          ('src/meson.build', 1, 'tests/lint/gone.py'), ('tests/tool.py', 1, 'tests/<room>/NAME.c'), ('tests/tool.py', 1, 'tests/gone'),
          *(('src/page/access.c', 1, what) for what in ('src/page/gone.c', 'gone.h', 'page_gone()'))}


def test():
    """Each kind of dead reference is found in a small tree, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in SAMPLE.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        subprocess.run(['git', 'init', '-q', root], check=True)
        found = set(look(root))
    for kind, rows in (('not found', WANTED - found), ('found for nothing', found - WANTED)):
        for row in sorted(rows):
            print(f'{kind}:', *row)
    return found == WANTED


def main():
    if sys.argv[1] == 'test':
        sys.exit(0 if test() else 1)
    found = list(look(pathlib.Path(sys.argv[1]).resolve()))
    for name, line, what in found:
        print(f'{name}:{line}: there is no {what}')
    if found:
        print("Mend the reference. If it is another project's, name the owner before it (Linux's sev.c), or in tests/lint/foreign.")
    print(f'references: {len(found)} found')
    sys.exit(1 if found else 0)


main()
