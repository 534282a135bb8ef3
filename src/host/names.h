/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names: the kernel calls that vmm knows, with the arguments that a trace shows.
 */
#ifndef VMM_HOST_NAMES_H
#define VMM_HOST_NAMES_H

#include "vmm/host.h"

#define HOST_FIELDS_MAX 5

/* A number at an offset in the argument's structure, as KVM's uapi defines it. Size 0 ends the list. */
struct host_field {
	const char *name;
	uint16_t offset, size;
};

struct host_request {
	unsigned long request;
	const char *name;
	const char *number; /* the argument's name if it is a number, not a pointer; NULL: not shown */
	struct host_field fields[HOST_FIELDS_MAX];
};

/* Returns the row of a request, or NULL if it is not known. */
const struct host_request *host_request_find(unsigned long request);

/* A command of the secure processor inside KVM_MEMORY_ENCRYPT_OP or SEV_ISSUE_CMD. */
struct host_command {
	uint32_t id;
	const struct host_request *row; /* its request is the command's number; NULL: unknown */
	const void *data;               /* the structure that holds the row's fields; NULL: none */
	uint32_t error;                 /* the firmware's answer, after the call */
};
/* Finds the command that a request carries. Returns false if it carries none. See commands.c. */
bool host_command_find(unsigned long request, const void *arg, struct host_command *ret_command);

#endif
