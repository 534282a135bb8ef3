/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sev_cert: a SEV platform's certificates from hostile bytes: PDH, PEK, OCA, CEK, then ASK and ARK,
 * whose last bytes are also the report. No input that was not signed by AMD may pass, and a PDH that is
 * accepted must serve for a session.
 */
#include <string.h>

#include "fuzz.h"
#include "vmm/attest.h"
#include "vmm/attest/sev.h"
#include "vmm/owner.h"

#define PLATFORM_BYTES (4 * sizeof(struct abi_sev_cert))

static int verify(const struct attest_sev_evidence *evidence)
{
	struct attest_verdict verdict;
	struct err err = {0};
	int result = attest_sev_verify(evidence, &verdict, &err);

	if (result < 0)
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
	else
		fuzz_assert(verdict.count > 0 && !verdict.passed);
	return result;
}

/* AMD's certificates in a file of their own, and behind the platform's: it makes no difference. */
static void verify_both(const uint8_t *data, size_t size)
{
	size_t platform = size < PLATFORM_BYTES ? size : PLATFORM_BYTES;
	size_t report = size < sizeof(struct abi_sev_report) ? 0 : sizeof(struct abi_sev_report);
	struct attest_sev_evidence evidence = {
	        .pdh = {data, platform, "platform"},
	        .amd = {data + platform, size - platform, "amd"},
	        .report = {data + size - report, report, "report"},
	};
	int split = verify(&evidence);

	evidence.pdh.size = size;
	evidence.amd.size = 0;
	fuzz_assert(verify(&evidence) == split);
}

static void parse_amd(const uint8_t *data, size_t size)
{
	struct attest_amd_cert cert;
	struct err err = {0};

	if (attest_amd_cert_parse(data, size, &cert, &err) < 0)
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
	else
		fuzz_assert(cert.size <= size);
}

static void make_session(const struct abi_sev_cert *pdh)
{
	struct owner_keys keys;
	struct abi_sev_session session;
	struct abi_sev_cert godh;
	struct err err = {0};
	bool good = false;

	if (owner_session_create(pdh, 1, &session, &godh, &keys, &err) < 0) {
		/* Wrong usage, or an RSA key: the form was good, the purpose is not. */
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
		return;
	}
	fuzz_assert(owner_session_check(&session, &keys, 1, &good, NULL) == 0 && good);
	fuzz_assert(owner_session_check(&session, &keys, 3, &good, NULL) == 0 && !good);
	fuzz_assert(attest_sev_cert_parse(&godh, sizeof(godh), &godh, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct abi_sev_cert cert;
	struct err err = {0};

	if (size == 0)
		return 0;
	verify_both(data, size);
	parse_amd(data, size);
	if (attest_sev_cert_parse(data, size < sizeof(cert) ? size : sizeof(cert), &cert, &err) < 0)
		fuzz_assert(err.kind == ERR_USAGE && *err.text);
	else
		make_session(&cert);
	return 0;
}
