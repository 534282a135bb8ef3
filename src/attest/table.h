/*
 * table: the certificate table that a host gives its guests beside a report. Private to attest.
 */
#ifndef VMM_ATTEST_TABLE_H
#define VMM_ATTEST_TABLE_H

#include "vmm/attest.h"

enum table_cert { TABLE_VCEK, TABLE_VLEK, TABLE_ASK, TABLE_ARK, TABLE_CERTS };

struct table {
	struct attest_blob certs[TABLE_CERTS]; /* size 0: not in the table; borrowed from it */
	unsigned unknown;                      /* entries with other GUIDs */
};

/* ERR_USAGE if an entry leaves the table, overlaps, is there twice, or bytes that no entry owns are not zero.
 */
int table_read(const struct attest_blob *blob, struct table *ret_table, struct err *err) MUST_CHECK;

#endif
