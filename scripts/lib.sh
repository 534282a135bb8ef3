# shellcheck shell=bash
# What the scripts share: how they speak, where things are, how they become root. Source it after `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${VMM_CACHE:-${XDG_CACHE_HOME:-${HOME:-$ROOT}/.cache}/vmm}
PROGRAM=${0##*/}
export ROOT CACHE

# Progress and problems go to stderr: stdout is the result.
say() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }

die() {
	say "error: $*"
	exit 1
}

# The comment block at the head of the calling script is its help.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "not root and no sudo here; as root, run: $*"
	fi
}
