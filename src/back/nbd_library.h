/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd_library: libnbd, which is loaded when the first disk needs it: it brings TLS and XML libraries along,
 * which would slow every start down.
 */
#ifndef VMM_BACK_NBD_LIBRARY_H
#define VMM_BACK_NBD_LIBRARY_H

#include <libnbd.h>

#include "vmm/base.h"

/* The functions that vmm uses, without their prefix nbd_. */
#define BACK_NBD_FUNCTIONS(row) \
	row(create) row(close) row(get_error) row(get_errno) row(poll) row(set_uri_allow_local_file) \
	        row(aio_connect_uri) row(aio_is_connecting) row(aio_is_ready) row(aio_is_dead) \
	                row(aio_is_closed) row(get_size) row(get_block_size) row(is_read_only) \
	                        row(can_flush) row(can_trim) row(can_zero) row(aio_pread) row(aio_pwrite) \
	                                row(aio_flush) row(aio_trim) row(aio_zero) row(aio_get_fd) \
	                                        row(aio_get_direction) row(aio_notify_read) \
	                                                row(aio_notify_write) row(aio_disconnect)

#define BACK_NBD_MEMBER(name) __typeof__(nbd_##name) *name;
struct back_nbd_library {
	BACK_NBD_FUNCTIONS(BACK_NBD_MEMBER)
};
#undef BACK_NBD_MEMBER

extern struct back_nbd_library back_nbd_library;

/* Main thread. Later calls cost nothing. ERR_HOST: it is not installed. */
int back_nbd_load(struct err *err) MUST_CHECK;

#endif
