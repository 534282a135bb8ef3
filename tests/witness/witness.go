// SPDX-License-Identifier: Apache-2.0

// witness lets go-sev-guest, a verifier by another project, judge a report.
//
// usage: witness PRODUCT REPORT TABLE CHAIN
//
// CHAIN: PEM, the intermediate and the root, which is trusted. The exit status is 0 if the report is genuine under that root, and its
// report data, policy and certificates are as wanted; otherwise 1, with the reason.
package main

import (
	"fmt"
	"os"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	"github.com/google/go-sev-guest/validate"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/trust"
)

func check(err error, doing string) {
	if err != nil {
		fmt.Printf("%s: %v\n", doing, err)
		os.Exit(1)
	}
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	check(err, "read")
	return data
}

func main() {
	product := os.Args[1]
	attestation, err := abi.ReportCertsToProto(append(read(os.Args[2]), read(os.Args[3])...))
	check(err, "parse")
	root := trust.AMDRootCertsProduct(product)
	check(root.FromKDSCertBytes(read(os.Args[4])), "root")
	options := verify.DefaultOptions()
	options.DisableCertFetching = true
	options.TrustedRoots = map[string][]*trust.AMDRootCerts{product: {root}}
	options.Product, err = kds.ParseProductLine(product)
	check(err, "product")
	check(verify.SnpAttestation(attestation, options), "verify")
	nonce := make([]byte, abi.ReportDataSize)
	copy(nonce, "a nonce")
	check(validate.SnpAttestation(attestation, &validate.Options{
		GuestPolicy: abi.SnpPolicy{SMT: true},
		ReportData:  nonce,
	}), "validate")
	fmt.Printf("accepted: version %d\n", attestation.Report.Version)
}
