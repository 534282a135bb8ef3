#!/bin/bash
# Tinfoil's verifier calls every report of version 2 a Genoa's, and then blames the certificate of an honest Milan for not saying so.
#
# Package: @tinfoilsh/verifier 1.1.0 (npm), with @freedomofpress/crypto-browser 0.1.7 and sigstore-browser 0.1.11.
# Reports carry the processor's family and model since version 3. A version 2 report does not say what made it, and most that exist are
# Milan's. The verifier fills in Genoa; what it then says is that the VCEK's product name must be "Genoa", which sends people to look for
# another certificate, though the one that they have is right. A version 3 report of the same processor is told clearly that only Genoa
# is supported. Who meets it: whoever verifies reports of hosts with older firmware, and everybody who takes an error message as a hint.
# The report and its VCEK are a genuine pair from this tree's test data.
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
import { CertificateChain } from './package/dist/sev/cert-chain.js';

const bytes = (name) => new Uint8Array(readFileSync(name));
const data = process.argv[2];
const genuine = bytes(`${data}/milan-report-a.bin`), vcek = bytes(`${data}/milan-vcek-a.der`);
const third = genuine.slice(); // as firmware of today would write it: version 3, family 19h, model 1
third.set([3], 0);
third.set([0x19, 0x01, 0x01], 0x188);
for (const report of [new Report(genuine), new Report(third)]) {
  let said = 'accepted';
  try {
    await (await CertificateChain.fromReport(report, vcek)).verifyChain();
  } catch (error) {
    said = error.message;
  }
  console.log(`version ${report.version}: product ${report.productName}: ${said}`);
}
JS
node try.mjs "$data" | tee said
openssl x509 -inform DER -in "$data/milan-vcek-a.der" -noout -text | grep -A1 '3704\.1\.2:' | tail -1 | tee product

grep -qx 'version 2: product Genoa: Invalid VCEK certificate: Product name must be "Genoa"' said || { echo "the finding is old"; exit 1; }
grep -q '^version 3: product Milan: Unsupported processor: Milan' said || { echo "the finding is old"; exit 1; }
grep -q 'Milan-B0' product || { echo "the certificate is another"; exit 1; }
echo "finding holds"
