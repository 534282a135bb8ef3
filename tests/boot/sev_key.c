/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sev_key: runs in a SEV-SNP guest: has the kernel's driver derive a key from the chip's and the guest's
 * measurement, and prints it.
 */
#include <sys/ioctl.h>

#include <fcntl.h>
#include <linux/sev-guest.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BY_MEASUREMENT 0x8 /* in guest_field_select (AMD 56860, table 18) */
#define KEY_AT         32  /* in the answer: a status comes first */

int main(void)
{
	struct snp_derived_key_req request = {.guest_field_select = BY_MEASUREMENT};
	struct snp_derived_key_resp response = {0};
	struct snp_guest_request_ioctl call = {
	        .msg_version = 1, .req_data = (uintptr_t)&request, .resp_data = (uintptr_t)&response};
	int device = open("/dev/sev-guest", O_RDWR);
	uint32_t status; /* MSG_KEY_RSP, at 0 */

	if (device < 0 || ioctl(device, SNP_GET_DERIVED_KEY, &call) < 0) {
		perror("/dev/sev-guest");
		return 1;
	}
	close(device);
	memcpy(&status, response.data, sizeof(status));
	if (status) {
		fprintf(stderr, "the firmware answers 0x%x\n", status);
		return 1;
	}
	for (unsigned i = KEY_AT; i < sizeof(response.data); i++)
		printf("%02x", response.data[i]);
	printf("\n");
	return 0;
}
