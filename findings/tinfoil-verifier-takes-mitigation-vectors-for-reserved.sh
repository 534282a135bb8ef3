#!/bin/bash
# Tinfoil's verifier takes reports of version 5, but not from a processor that has mitigations: it wants the vectors of them to be zero.
#
# Package: @tinfoilsh/verifier 1.1.0 (npm), with @freedomofpress/crypto-browser 0.1.7 and sigstore-browser 0.1.11.
# Version 5 of SEV-SNP's report put two words at 1f8 and 200, which name the mitigations at launch and now (SNP ABI, attestation report).
# The verifier's range of reserved bytes begins at 1f8 for every version: a report of version 5 passes where both words are zero, and is
# "reserved bytes ... contain non-zero data" where the firmware has something to say. Who meets it: users whose host gets new
# firmware (Milan's 1.55.35, Genoa's 1.55.43, Turin's 1.55.65 were seen to set bits in them), with nothing changed in the guest.
# The report is one of this tree's test data with the fields of version 5 filled in; only its reading is tried, which comes first.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
data=$(cd "$(dirname "$0")/../tests/data/attestation" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# The package asks for a release of tuf-browser that is not there, and needs none of it to read a report: it is unpacked, not installed.
echo '{"type": "module"}' >package.json
npm install --silent --ignore-scripts --no-audit --no-fund @freedomofpress/crypto-browser@0.1.7 @freedomofpress/sigstore-browser@0.1.11
npm pack --silent @tinfoilsh/verifier@1.1.0 >/dev/null
tar -xzf tinfoilsh-verifier-1.1.0.tgz

cat >try.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { Report } from './package/dist/sev/report.js';

function read(name, version, launch, current) {
  const bytes = new Uint8Array(readFileSync(`${process.argv[2]}/milan-report-a.bin`)), view = new DataView(bytes.buffer);
  view.setUint32(0, version, true);
  bytes.set([0x19, 0x11, 0x01], 0x188); // a Genoa, which is what it supports
  view.setBigUint64(0x1f8, launch, true);
  view.setBigUint64(0x200, current, true);
  try {
    console.log(`${name}: read as version ${new Report(bytes).version}`);
  } catch (error) {
    console.log(`${name}: ${error.message}: ${String(error.cause?.message).slice(0, 70)}`);
  }
}
read('version 3', 3, 0n, 0n);
read('version 5 without mitigations', 5, 0n, 0n);
read('version 5 with mitigations', 5, 0x1n, 0x3fn);
JS
node try.mjs "$data" | tee said

for line in 'version 3: read as version 3' 'version 5 without mitigations: read as version 5'; do
	grep -qx "$line" said || { echo "the finding is old: wanted \"$line\""; exit 1; }
done
grep -q '^version 5 with mitigations: Invalid attestation report: .*: reserved bytes at offset 0x1f8-0x2a0' said ||
	{ echo "the finding is old: the vectors are read"; exit 1; }
echo "finding holds"
