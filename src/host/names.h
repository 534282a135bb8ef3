/* SPDX-License-Identifier: Apache-2.0 */
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

/* A command of the secure processor inside KVM_MEMORY_ENCRYPT_OP or SEV_ISSUE_CMD. */
struct host_command {
	uint32_t id;
	const struct host_request *row; /* its request is the command's number; NULL: not known */
	const void *data;               /* what the row's fields lie in; NULL: none */
	uint32_t error;                 /* the firmware's answer, after the call */
};
/* false: the request carries no command. commands.c */
bool host_command_find(unsigned long request, const void *arg, struct host_command *ret_command);

#endif
