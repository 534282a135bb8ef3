# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Packages out of Debian's archive, unpacked into a folder and never installed: pieces of other suites than the machine's.
# The mirror, its proxy and its credentials are those of the machine's own apt; lists and downloads stay in the cache, and every
# package is checked up to Debian's signature. Needs no root. Sourced after lib.sh.

ARCHIVE=$CACHE/apt
ARCHIVE_KEYRING=$ARCHIVE/keyring/usr/share/keyrings/debian-archive-keyring.gpg
ARCHIVE_OPTIONS=(
	-q -o "Dir::Etc::sourcelist=$ARCHIVE/sources.list" -o Dir::Etc::sourceparts=/dev/null
	-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
	-o "Dir::State::lists=$ARCHIVE/lists" -o "Dir::Cache=$ARCHIVE/cache"
	-o APT::Get::List-Cleanup=false -o Acquire::Languages=none -o Acquire::Retries=3
	-o "APT::Sandbox::User=$(id -un)" # the cache is in a home, where apt's own user may not go
)

machine_suite() {
	# shellcheck source=/dev/null
	(. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-sid}")
}

# Prints the base URLs of the machine's configured repositories that have one of Debian's own suites.
archive_candidates() {
	apt-get update --print-uris |
		sed -nE "s#^'(.*)/dists/($(machine_suite)|stable|oldstable|testing|sid|unstable)/InRelease'.*#\1#p" | awk '!seen[$0]++'
}

# archive_select MIRROR KEYRING SUITE...: makes these suites the ones that archive_apt sees, with fresh lists.
archive_select() {
	local mirror=$1 keyring=$2 suite
	shift 2
	mkdir -p "$ARCHIVE/lists/partial" "$ARCHIVE/cache/archives/partial"
	for suite in "$@"; do
		printf 'deb [arch=amd64%s] %s %s main\n' "${keyring:+ signed-by=$keyring}" "$mirror" "$suite"
	done | awk '!seen[$0]++' >"$ARCHIVE/sources.list"
	apt-get "${ARCHIVE_OPTIONS[@]}" --error-on=any update >"$ARCHIVE/log" 2>&1
}

# Finds the machine's mirror, once. If there is no mirror, prints the reason and fails.
# Debian 12 may carry a keyring older than Debian 13: the machine's suite vouches for the newer one.
archive_open() {
	local mirror keyring machine_keyring=
	[ -z "${ARCHIVE_MIRROR:-}" ] || return 0
	mkdir -p "$ARCHIVE"
	for keyring in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
		[ ! -e "$keyring" ] || machine_keyring=$keyring
	done
	for mirror in $(archive_candidates); do
		archive_select "$mirror" "$machine_keyring" "$(machine_suite)" || continue
		rm -rf "$ARCHIVE/keyring"
		if archive_unpack "$(machine_suite)" "$ARCHIVE/keyring" debian-archive-keyring && [ -e "$ARCHIVE_KEYRING" ]; then
			ARCHIVE_MIRROR=$mirror
			return 0
		fi
	done
	say "Debian's $(machine_suite) main could not be read from any of this machine's apt repositories; is the network there, and" \
		"Debian's archive among the apt sources? apt said:"
	grep -s '^[EW]:' "$ARCHIVE/log" >&2 || cat "$ARCHIVE/log" >&2 || true
	return 1
}

# archive_suites SUITE...: these suites from the machine's mirror, or a message and a failure.
archive_suites() {
	archive_open || return 1
	archive_select "$ARCHIVE_MIRROR" "$ARCHIVE_KEYRING" "$@" && return 0
	say "the suite $* is not to be had from the machine's mirror; apt said:"
	grep '^[EW]:' "$ARCHIVE/log" >&2 || cat "$ARCHIVE/log" >&2
	return 1
}

# archive_unpack SUITE FOLDER PACKAGE[=VERSION]...: downloads, checks and unpacks them.
archive_unpack() {
	local suite=$1 folder=$2 box package
	local wanted=()
	shift 2
	for package in "$@"; do
		case $package in
		*=*) wanted+=("$package") ;;
		*) wanted+=("$package/$suite") ;;
		esac
	done
	box=$(mktemp -d "$ARCHIVE/deb.XXXXXX")
	if ! (cd "$box" && apt-get "${ARCHIVE_OPTIONS[@]}" download "${wanted[@]}" >"$ARCHIVE/log" 2>&1); then
		rm -rf "$box"
		say "of Debian's suite $suite could not be downloaded: $*; apt said:"
		grep '^[EW]:' "$ARCHIVE/log" >&2 || cat "$ARCHIVE/log" >&2
		return 1
	fi
	mkdir -p "$folder"
	for package in "$box"/*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar -x --no-same-owner --keep-directory-symlink -C "$folder" || return 1
	done
	rm -rf "$box"
}

# archive_depends SUITE PACKAGE PATTERN: the names among its dependencies that match.
archive_depends() {
	apt-cache "${ARCHIVE_OPTIONS[@]}" show "$2/$1" | sed -n 's/^Depends: //p' | head -1 | sed 's/ *[,|] */\n/g' |
		sed 's/ .*//' | grep -E "$3" || true
}
