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

/* Borrowed bytes, with the name that messages use for them (a path). size 0: not given. */
struct attest_blob {
	const void *data;
	size_t size;
	const char *name;
};

#define ATTEST_FILE_MAX_BYTES \
	KIB(128) /* the limit of every file here; a certificate table has a few KiB, as text twice that */

/* ---- bytes that are written as text ---- */

enum attest_form { ATTEST_FORM_BYTES, ATTEST_FORM_HEX, ATTEST_FORM_BASE64 };

/*
 * Decodes text that holds only hexadecimal (xxd -p) or Base64 (base64, openssl base64, sevctl, libvirt), in
 * lines of any length. ret_data has room for size bytes. Returns the form that it found. For anything else,
 * such as binary, PEM or JSON, it returns BYTES and does not touch *ret_size.
 */
enum attest_form attest_form_decode(const void *data, size_t size, uint8_t *ret_data, size_t *ret_size);
/*
 * Reads a structure of this size that is given as it is, in Base64 or in hexadecimal. The text of ERR_USAGE
 * follows the name of the file: "has 95 bytes in Base64: ...".
 */
int attest_form_struct(
        const void *data, size_t data_size, void *ret_struct, size_t size, struct err *err) MUST_CHECK;

#define ATTEST_URL_BYTES 320 /* of an address on AMD's key server */

/* ---- verdicts: every check is in the list ---- */

enum attest_result {
	ATTEST_PASSED,
	ATTEST_FAILED,
	ATTEST_NOTE /* worth knowing, but does not change the verdict */
};

struct attest_check {
	const char *name; /* has static storage: "signature" */
	enum attest_result result;
	char text[300]; /* what was compared with what, or why the check failed */
};

#define ATTEST_CHECKS_MAX 48

struct attest_verdict {
	struct attest_check checks[ATTEST_CHECKS_MAX];
	size_t count;
	bool passed;    /* at least one check was made and none failed */
	bool simulated; /* the root is the software platform's: nothing protects the guest */
};

#endif
