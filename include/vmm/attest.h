/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest: reads and judges evidence of AMD's secure processor. attest/report.h has the reports of SEV-SNP,
 * attest/sev.h the certificates of SEV platforms, attest/key.h the keys, and this header what all of them
 * share. Bytes go in, a verdict comes out: no guest, no kernel and no network is needed. Any thread; nothing
 * is kept between calls. All bytes given are untrusted.
 */
#ifndef VMM_ATTEST_H
#define VMM_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base.h"

/* Bytes that are somebody else's, with the name to use in messages (a path). size 0: not given. */
struct attest_blob {
	const void *data;
	size_t size;
	const char *name;
};

#define ATTEST_FILE_MAX_BYTES \
	KIB(128) /* of every file here; a certificate table has some KiB, as text twice that */

/* ---- bytes that come as text ---- */

enum attest_form { ATTEST_FORM_BYTES, ATTEST_FORM_HEX, ATTEST_FORM_BASE64 };

/*
 * Decodes text that is hexadecimal (xxd -p) or Base64 (base64, openssl base64, sevctl, libvirt) alone, in
 * lines of any length. ret_data holds size bytes. Returns which it was; BYTES, and *ret_size untouched, if it
 * is anything else: binary, PEM, JSON.
 */
enum attest_form attest_form_decode(const void *data, size_t size, uint8_t *ret_data, size_t *ret_size);
/*
 * A structure of this size as it is, in Base64 or in hexadecimal. ERR_USAGE goes on after the name of what
 * holds it: "has 95 bytes in Base64: ...".
 */
int attest_form_struct(
        const void *data, size_t data_size, void *ret_struct, size_t size, struct err *err) MUST_CHECK;

#define ATTEST_URL_BYTES 320 /* of an address on AMD's key server */

/* ---- verdicts: every check is in the list ---- */

enum attest_result {
	ATTEST_PASSED,
	ATTEST_FAILED,
	ATTEST_NOTE /* worth knowing, judges nothing */
};

struct attest_check {
	const char *name; /* of static storage: "signature" */
	enum attest_result result;
	char text[300]; /* what was compared with what; why it failed */
};

#define ATTEST_CHECKS_MAX 48

struct attest_verdict {
	struct attest_check checks[ATTEST_CHECKS_MAX];
	size_t count;
	bool passed;    /* at least one check was made, and none failed */
	bool simulated; /* the root is one of the software platform: nothing protects that guest */
};

#endif
