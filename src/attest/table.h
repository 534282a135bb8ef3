/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: reads the certificate table that a host gives its guests with a report. Private to attest.
 */
#ifndef VMM_ATTEST_TABLE_H
#define VMM_ATTEST_TABLE_H

#include "vmm/attest.h"

enum attest_table_cert {
	ATTEST_TABLE_VCEK,
	ATTEST_TABLE_VLEK,
	ATTEST_TABLE_ASK,
	ATTEST_TABLE_ARK,
	ATTEST_TABLE_CERTS
};

struct attest_table_certs {
	struct attest_blob certs[ATTEST_TABLE_CERTS]; /* borrowed from the table; size 0: not in it */
	unsigned unknown;                             /* entries with other GUIDs */
};

/*
 * ERR_USAGE if an entry leaves the table, overlaps another, or is there twice, or if a byte outside all
 * entries is not zero.
 */
int attest_table_read(
        const struct attest_blob *blob, struct attest_table_certs *ret_table, struct err *err) MUST_CHECK;

#endif
