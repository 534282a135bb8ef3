# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Functions that the scripts share: they print messages, find folders and become root. Source it after `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# One cache for all: the tests read VMM_CACHE, too. A relative path counts from the folder of our caller, not from that of a child.
VMM_CACHE=${VMM_CACHE:-${XDG_CACHE_HOME:-~/.cache}/vmm}
case $VMM_CACHE in
/*) ;;
'~'*) printf '%s: error: this user has no home folder; set HOME or VMM_CACHE\n' "$0" >&2 && exit 1 ;;
*) VMM_CACHE=$PWD/$VMM_CACHE ;;
esac
CACHE=$VMM_CACHE
PROGRAM=${0##*/}
export ROOT CACHE VMM_CACHE

# Progress and problems go to stderr: stdout is the result.
say() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }

die() {
	say "error: $*"
	exit 1
}

# The comment block at the head of the calling script is its help.
usage() { sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# need_root WHAT COMMAND: ends the script, unless we are root or sudo works. The message names COMMAND, for somebody else to run as root.
need_root() {
	local why='there is no sudo here'
	[ "$(id -u)" != 0 ] || return 0
	if command -v sudo >/dev/null; then
		! sudo true || return 0
		why='sudo refused'
	fi
	die "$1 needs root, and $why; as root, run: $2; then run this command again"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}
