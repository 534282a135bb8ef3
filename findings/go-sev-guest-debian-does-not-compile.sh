#!/bin/bash
# Debian's package of go-sev-guest cannot verify anything: a program that imports its package verify does not even compile.
#
# Package: golang-github-google-go-sev-guest-dev 0.15.0-1 (sid); the compiler is golang-1.26 1.26.10-1.
# The library embeds AMD's certificates (ASK and ARK of Milan, Genoa, Turin) by //go:embed from six .pem files beside its source. The
# package ships the Go files and leaves out the .pem files, so that the embedding has nothing to embed.
# Who meets it: everybody who writes a verifier of SEV-SNP attestation reports in Go and takes the library from Debian. Parsing reports
# (package abi) works, and so the package looks whole until the first import of verify.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
certificates=$(cd "$(dirname "$0")/../tests/data/attestation" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
mkdir -p lists/partial cache/archives/partial
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >sources
apt=(apt-get -qq -o Dir::Etc::sourcelist="$folder/sources" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$folder/lists"
	-o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update
"${apt[@]}" download golang-github-google-go-sev-guest-dev=0.15.0-1 golang-1.26-go=1.26.10-1 golang-1.26-src=1.26.10-1 \
	golang-github-google-logger-dev=1.1.1-2 golang-github-google-uuid-dev=1.6.0-1 golang-google-protobuf-dev=1.36.10-2 \
	golang-golang-x-crypto-dev=1:0.58.0-1 golang-golang-x-sys-dev=0.49.0+dfsg-1 golang-go.uber-multierr-dev=1.11.0-2
for package in *.deb; do dpkg-deb -x "$package" root; done

library=root/usr/share/gocode/src/github.com/google/go-sev-guest
wanted=$(sed -n 's|^[[:space:]]*//go:embed ||p' "$library/verify/trust/trust.go" | sort)
found=$(cd "$library/verify/trust" && find . -name '*.pem' | sort)
echo "embedded by trust.go:" $wanted
echo "in the package: ${found:-none of them}"
if [ "$(wc -w <<<"$wanted")" != 6 ] || [ -n "$found" ]; then
	echo "the finding is old: six files are embedded and none of them is shipped no longer"
	exit 1
fi

go=$folder/root/usr/lib/go-1.26
export GOROOT=$go GOPATH=$folder/root/usr/share/gocode GO111MODULE=off GOCACHE=$folder/gocache
"$go/bin/go" version
# fault: what keeps the compiler from starting; nothing if all it needs is there.
fault() {
	"$go/bin/go" list -e -deps -f '{{with .Error}}{{.}}{{end}}' github.com/google/go-sev-guest/verify 2>&1 | grep . | sort -u || true
}

told=$(fault)
echo "go list: $told"
status=0
"$go/bin/go" build github.com/google/go-sev-guest/verify >/dev/null 2>&1 || status=$?
echo "go build: status $status"
cp "$certificates"/ask_ark_*.pem "$library/verify/trust/"
mended=$(fault)
echo "go list, with the certificates that AMD publishes beside the source: ${mended:-no fault}"

if ! grep -qx '.*trust.go:.*pattern ask_ark_[a-z_]*.pem: no matching files found' <<<"$told" || [ "$(wc -l <<<"$told")" != 1 ] ||
	[ $status = 0 ] || [ -n "$mended" ]; then
	echo "the finding is old: the package compiles, or fails for another reason"
	exit 1
fi
echo "finding holds"
