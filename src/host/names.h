/*
 * names: the kernel calls that vmm knows, with the arguments worth a place in a trace.
 */
#ifndef VMM_HOST_NAMES_H
#define VMM_HOST_NAMES_H

#include "vmm/host.h"

#define HOST_FIELDS_MAX 5

/* A number at an offset of the argument, as KVM's uapi lays it out. Size 0 ends the list. */
struct host_field {
	const char *name;
	uint16_t offset, size;
};

struct host_request {
	unsigned long request;
	const char *name;
	const char *number; /* what the argument is when it is a number and not a pointer; NULL: nothing */
	struct host_field fields[HOST_FIELDS_MAX];
};

/* NULL: not known. */
const struct host_request *host_request_find(unsigned long request);

#endif
