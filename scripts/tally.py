#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts what the suites of scripts/test did, over all of them.

usage: tally.py meson SUITE TESTLOG RESULTS   adds the tests of a meson-logs/testlog.json
       tally.py add RESULTS VERDICT SUITE NAME [REASON]   adds one; VERDICT is passed, failed or skipped
       tally.py report RESULTS   prints what was skipped and why, what failed and what it said, and the last line; exit 1 on failures
A program of cmocka, TAP or unittest counts as the tests it ran, any other as one.
"""
import json
import pathlib
import re
import sys

TOLD = re.compile(r'^#? ?emulation: (.*)$', re.M)     # what tests/lab/emulation.py excused
SAID = 40       # lines of a failed program that the report repeats, because often only the end of a log is at hand

CMOCKA = re.compile(r'^\[ +(OK|FAILED|SKIPPED|ERROR) +\] (test_\w+)', re.M)
CMOCKA_SKIP = re.compile(r'^\[ RUN +\] .*\n((?:(?!\[).*\n)*)\[ +SKIPPED +\] (test_\w+)', re.M)
FAILURE = re.compile(r'^not ok |^(?:FAIL|ERROR): |^\[ +FAILED|Sanitizer:|runtime error:')
TAP = re.compile(r'^(ok|not ok) \d+ -? ?(.*?)(?: # SKIP ?(.*))?$', re.M)
UNITTEST = re.compile(r"^test_\w+ \([\w.]*?(\w+\.test_\w+)\)(?:\n.*)? \.\.\. (ok|FAIL|ERROR|skipped (['\"])(.*)\3)$", re.M)
VERDICTS = {'OK': 'passed', 'FAILED': 'failed', 'ERROR': 'failed', 'SKIPPED': 'skipped', 'ok': 'passed', 'not ok': 'failed', 'FAIL': 'failed'}


def reason_in(text):
    """The last line of a skipped program says why."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r'^skipped:? *', '', lines[-1]) if lines else 'no reason given'


def cases(text):
    """{name: (verdict, reason)} of what ran inside one program."""
    found = {}
    for word, name in CMOCKA.findall(text):
        found[name] = VERDICTS[word], ''
    for why, name in CMOCKA_SKIP.findall(text):
        found[name] = 'skipped', reason_in(why)
    for word, name, skip in TAP.findall(text):
        found[name] = ('skipped', skip) if skip else (VERDICTS[word], '')
    for name, word, _, skip in UNITTEST.findall(text):
        found[name] = ('skipped', skip) if skip else (VERDICTS[word], '')
    return found


def said(text):
    """The lines around the first failure, or the last lines."""
    lines = text.rstrip().splitlines()
    first = next((at for at, line in enumerate(lines) if FAILURE.search(line)), len(lines))
    start = max(0, min(first - 10, len(lines) - SAID))
    return '\n'.join(lines[start:start + SAID])


def of_program(test):
    """(verdict, name, reason, output) of each case; a program that fails has at least one failure, whatever it printed."""
    text = '\n'.join(test.get(stream) or '' for stream in ('stdout', 'stderr'))
    inside, name, result = cases(text), test['name'], test['result']
    if result == 'SKIP' and not inside:
        return [('skipped', name, reason_in(text), '')]
    found = [(verdict, f'{name}: {case}', reason, '') for case, (verdict, reason) in inside.items()]
    if result not in ('OK', 'EXPECTEDFAIL', 'SKIP'):
        found = [row for row in found if row[0] != 'failed'] + [row for row in found if row[0] == 'failed']
        if not found or found[-1][0] != 'failed':
            found.append(('failed', name, result.lower(), ''))
        found[-1] = *found[-1][:3], said(text)
    return found or [('passed', name, '', '')]


def add(results, suite, rows):
    with open(results, 'a') as out:
        for verdict, name, reason, output in rows:
            print(json.dumps([verdict, suite, name, reason, output]), file=out)


def meson(suite, log, results):
    tests = [json.loads(line) for line in pathlib.Path(log).read_text().splitlines()]
    for test in tests:
        told = TOLD.findall(test.get('stdout') or '')
        add(results, suite, [('told', test['name'], f'the lab\'s emulation lost a guest: {why}', '') for why in told])
    add(results, suite, [row for test in tests for row in of_program(test)] or [('failed', 'meson test', 'ran nothing', '')])


def report(results):
    rows = [json.loads(line) for line in pathlib.Path(results).read_text().splitlines()]
    count = {verdict: [row for row in rows if row[0] == verdict] for verdict in ('passed', 'failed', 'skipped', 'told')}
    for verdict in ('told', 'skipped', 'failed'):
        for _, suite, name, reason, output in count[verdict]:
            print(f'{verdict}: {suite}: {name}' + (f' ({reason})' if reason else ''))
            print(''.join(f'    {line}\n' for line in output.splitlines()), end='')
    for _, suite, name, _, _ in count['failed']:
        print(f'failed: {suite}: {name}')       # once more, since often only the end of a log is at hand
    print('tests: ' + ', '.join(f'{len(count[verdict])} {verdict}' for verdict in ('passed', 'failed', 'skipped')))
    return 1 if count['failed'] or not count['passed'] else 0


def main():
    match sys.argv[1:]:
        case ['meson', suite, log, results]:
            meson(suite, log, results)
        case ['add', results, verdict, suite, name, *reason]:
            add(results, suite, [(verdict, name, ' '.join(reason), '')])
        case ['report', results]:
            return report(results)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


sys.exit(main())
