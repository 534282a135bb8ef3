/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform: calls on /dev/sev, the secure processor itself. Any thread.
 * Law: uapi psp-sev.h; SEV API 5; SNP ABI 8.3 (SNP_PLATFORM_STATUS).
 */
#include <errno.h>
#include <fcntl.h>

#include "firmware.h"

int call_platform_open(struct host *h, int *ret_fd, struct err *err)
{
	int fd = host_open(h, "/dev/sev", O_RDWR);

	/* Launching and asking need no right to write; only changes of the platform do. */
	if (fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS))
		fd = host_open(h, "/dev/sev", O_RDONLY);
	if (fd < 0)
		return err_sys(err, ERR_HOST, errno, "opening /dev/sev");
	*ret_fd = fd;
	return 0;
}

int call_platform_open_to_read(struct host *h, int *ret_fd, struct err *err)
{
	int fd = host_open(h, "/dev/sev", O_RDONLY);

	if (fd < 0)
		return err_sys(err, ERR_HOST, errno, "opening /dev/sev");
	*ret_fd = fd;
	return 0;
}

static int issue(struct host *h, int fd, uint32_t id, void *data, const char *name, struct err *err)
{
	struct sev_issue_cmd cmd = {.cmd = id, .data = (uintptr_t)data};

	if (host_ioctl(h, fd, SEV_ISSUE_CMD, &cmd) < 0)
		return call_firmware_refused(err, name, errno, cmd.error);
	return 0;
}

int call_platform_status(struct host *h, int fd, struct sev_user_data_status *ret_status, struct err *err)
{
	struct sev_user_data_status status = {0};

	if (issue(h, fd, SEV_PLATFORM_STATUS, &status, "SEV_PLATFORM_STATUS", err) < 0)
		return -1;
	*ret_status = status;
	return 0;
}

int call_platform_snp_status(struct host *h, int fd, struct uapi_sev_snp_status *ret_status, struct err *err)
{
	struct uapi_sev_snp_status status = {0};

	if (issue(h, fd, UAPI_SNP_PLATFORM_STATUS, &status, "SNP_PLATFORM_STATUS", err) < 0)
		return -1;
	*ret_status = status;
	return 0;
}

int call_platform_id(struct host *h, int fd, uint8_t ret_id[static CALL_PLATFORM_ID_BYTES], struct err *err)
{
	/* A host with two sockets may give two ids; certificates go by that of the first. */
	uint8_t id[2 * CALL_PLATFORM_ID_BYTES] = {0};
	struct sev_user_data_get_id2 get = {.address = (uintptr_t)id, .length = sizeof(id)};

	if (issue(h, fd, SEV_GET_ID2, &get, "SEV_GET_ID2", err) < 0)
		return -1;
	memcpy(ret_id, id, CALL_PLATFORM_ID_BYTES);
	return 0;
}

/* With a right to write the driver would initialise SEV, and shut it and SEV-SNP down again (sev-dev.c). */
static int not_initialised(struct err *err)
{
	return err_set(err, ERR_HOST,
	        "SEV_PDH_CERT_EXPORT: SEV is not initialised on this host; the first SEV guest initialises "
	        "it "
	        "(start one, and ask again), or the module ccp does with psp_init_on_probe=1");
}

int call_platform_certificates(struct host *h, int fd, struct abi_sev_cert *ret_pdh,
        struct abi_sev_cert_chain *ret_chain, struct err *err)
{
	struct abi_sev_cert pdh = {0};
	struct abi_sev_cert_chain chain = {0};
	struct sev_user_data_pdh_cert_export export = {
	        .pdh_cert_address = (uintptr_t)&pdh,
	        .pdh_cert_len = sizeof(pdh),
	        .cert_chain_address = (uintptr_t)&chain,
	        .cert_chain_len = sizeof(chain),
	};

	if (issue(h, fd, SEV_PDH_CERT_EXPORT, &export, "SEV_PDH_CERT_EXPORT", err) < 0)
		return err->sys == EPERM ? not_initialised(err) : -1;
	if (export.pdh_cert_len != sizeof(pdh) || export.cert_chain_len != sizeof(chain))
		return err_set(err, ERR_HOST, "SEV_PDH_CERT_EXPORT gave %u and %u bytes, not %zu and %zu",
		        export.pdh_cert_len, export.cert_chain_len, sizeof(pdh), sizeof(chain));
	*ret_pdh = pdh;
	*ret_chain = chain;
	return 0;
}
