/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device: the file /dev/sev, which answers SEV_ISSUE_CMD with the platform's commands. Any thread may call; a
 * command runs with sev_platform.driver_lock held. Law: Documentation/virt/coco/sev-guest.rst, psp-sev.h;
 * Linux's sev_ioctl() in drivers/crypto/ccp/sev-dev.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/psp-sev.h>
#include <string.h>

#include "command.h"
#include "device.h"

struct device {
	struct object object;
	struct sev_platform *secure;
	bool writable;
};

struct request {
	const struct device *device;
	struct sev_platform *secure;
	struct psp *psp;
	struct sev_issue_cmd *cmd;
	bool initialised; /* SEV was initialised for this command alone and is shut down after it */
};

/* Turns the firmware's code into the ioctl's result: 0 or -EIO. */
static int result_of(const struct request *r, uint32_t code)
{
	r->cmd->error = code;
	return code == PSP_SUCCESS ? 0 : -EIO;
}

static int copy_in(const struct request *r, void *data, size_t size)
{
	return object_copy_in(data, (uintptr_t)r->cmd->data, size);
}

static int copy_out(const struct request *r, const void *data, size_t size)
{
	return object_copy_out((uintptr_t)r->cmd->data, data, size);
}

/*
 * Most commands need an initialised platform. The driver initialises it unless it remembers having done so.
 */
static int make_init(struct request *r)
{
	int result;

	if (r->secure->sev_is_on)
		return 0;
	result = result_of(r, sev_driver_init_sev(r->secure));
	r->initialised = result == 0;
	return result;
}

/* ---- SEV ---- */

/* Resets the platform to its factory state. This is the only command that asks the firmware for its state. */
static int factory_reset(struct request *r)
{
	struct psp_platform_status status;
	int result = result_of(r, psp_platform_status(r->psp, &status));

	if (result < 0)
		return result;
	if (status.state == PSP_PLATFORM_WORKING)
		return -EBUSY;
	if (status.state == PSP_PLATFORM_INIT)
		result = result_of(r, sev_driver_shutdown_sev(r->secure));
	return result < 0 ? result : result_of(r, psp_factory_reset(r->psp));
}

static int platform_status(struct request *r)
{
	struct psp_platform_status status = {0};
	int result = result_of(r, psp_platform_status(r->psp, &status));
	const struct sev_user_data_status data = {
	        .api_major = status.api_major,
	        .api_minor = status.api_minor,
	        .state = status.state,
	        .flags = (status.owned ? 1u : 0) | (status.es ? 1u << 8 : 0),
	        .build = status.build,
	        .guest_count = status.guest_count,
	};

	return result < 0 ? result : copy_out(r, &data, sizeof(data));
}

static int pek_gen(struct request *r)
{
	int result = make_init(r);

	return result < 0 ? result : result_of(r, psp_pek_gen(r->psp));
}

static int pdh_gen(struct request *r)
{
	int result = make_init(r);

	return result < 0 ? result : result_of(r, psp_pdh_gen(r->psp));
}

/*
 * Returns the length that the firmware put into the command's buffer: that of the answer, even if it did not
 * fit.
 */
static uint32_t told_length(uint32_t code, bool query, size_t size, uint32_t given)
{
	if (code == PSP_SUCCESS || code == PSP_INVALID_LEN)
		return (uint32_t)size;
	return query ? 0 : given;
}

/* A length that is too long gives -EFAULT, as in the driver. */
static int pek_csr(struct request *r)
{
	struct sev_user_data_pek_csr params;
	struct abi_sev_cert csr;
	bool query;
	int result;

	if (copy_in(r, &params, sizeof(params)) < 0)
		return -EFAULT;
	query = !params.address || !params.length;
	if (!query && params.length > SEV_BLOB_MAX_BYTES)
		return -EFAULT;
	result = make_init(r);
	if (result < 0)
		return result;
	result = result_of(r, psp_pek_csr(r->psp, query || params.length < sizeof(csr) ? NULL : &csr));
	params.length = told_length(r->cmd->error, query, sizeof(csr), params.length);
	if (copy_out(r, &params, sizeof(params)) < 0)
		return -EFAULT;
	return result < 0 ? result : object_copy_out((uintptr_t)params.address, &csr, sizeof(csr));
}

static int pek_cert_import(struct request *r)
{
	struct sev_user_data_pek_cert_import params;
	auto_free struct abi_sev_cert *pek = NULL, *oca = NULL;
	uint32_t code = PSP_INVALID_LEN;
	int result;

	if (copy_in(r, &params, sizeof(params)) < 0)
		return -EFAULT;
	pek = sev_copy_blob(params.pek_cert_address, params.pek_cert_len, &result);
	if (!pek)
		return result;
	oca = sev_copy_blob(params.oca_cert_address, params.oca_cert_len, &result);
	if (!oca)
		return result;
	result = make_init(r);
	if (result < 0)
		return result;
	if (params.pek_cert_len >= sizeof(*pek) && params.oca_cert_len >= sizeof(*oca))
		code = psp_pek_cert_import(r->psp, pek, oca);
	return result_of(r, code);
}

static int pdh_cert_export_to(struct request *r, struct sev_user_data_pdh_cert_export *params, bool query)
{
	struct abi_sev_cert_chain chain;
	struct abi_sev_cert pdh;
	bool room = !query && params->pdh_cert_len >= sizeof(pdh) && params->cert_chain_len >= sizeof(chain);
	uint32_t code = psp_pdh_cert_export(r->psp, room ? &pdh : NULL, room ? &chain : NULL);
	int result = result_of(r, code);

	params->pdh_cert_len = told_length(code, query, sizeof(pdh), params->pdh_cert_len);
	params->cert_chain_len = told_length(code, query, sizeof(chain), params->cert_chain_len);
	if (copy_out(r, params, sizeof(*params)) < 0)
		return -EFAULT;
	if (result < 0)
		return result;
	if (object_copy_out((uintptr_t)params->pdh_cert_address, &pdh, sizeof(pdh)) < 0)
		return -EFAULT;
	return object_copy_out((uintptr_t)params->cert_chain_address, &chain, sizeof(chain));
}

/* A descriptor that may write is needed only if the platform must be initialised first. */
static int pdh_cert_export(struct request *r)
{
	struct sev_user_data_pdh_cert_export params;
	bool query;
	int result;

	if (copy_in(r, &params, sizeof(params)) < 0)
		return -EFAULT;
	query = !params.pdh_cert_address || !params.pdh_cert_len || !params.cert_chain_address ||
	        !params.cert_chain_len;
	if (!query &&
	        (params.pdh_cert_len > SEV_BLOB_MAX_BYTES || params.cert_chain_len > SEV_BLOB_MAX_BYTES))
		return -EFAULT;
	if (!r->secure->sev_is_on && !r->device->writable)
		return -EPERM;
	result = make_init(r);
	return result < 0 ? result : pdh_cert_export_to(r, &params, query);
}

/* There is room for the ids of two sockets. The firmware of one processor writes only its own. */
static int get_id(struct request *r)
{
	uint8_t id[64];
	int result = result_of(r, psp_get_id(r->psp, id));

	return result < 0 ? result : copy_out(r, id, sizeof(id));
}

static int get_id2(struct request *r)
{
	struct sev_user_data_get_id2 params;
	uint8_t id[64];
	bool query;
	int result;

	if (copy_in(r, &params, sizeof(params)) < 0)
		return -EFAULT;
	query = !params.address || !params.length;
	if (!query && params.length > SEV_KERNEL_BUFFER_MAX)
		return -ENOMEM;
	result = result_of(r, psp_get_id(r->psp, query || params.length < sizeof(id) ? NULL : id));
	params.length = told_length(r->cmd->error, query, sizeof(id), params.length);
	if (copy_out(r, &params, sizeof(params)) < 0)
		return -EFAULT;
	return result < 0 ? result : object_copy_out((uintptr_t)params.address, id, sizeof(id));
}

/* ---- SNP ---- */

static int snp_platform_status(struct request *r)
{
	struct uapi_sev_snp_status status;
	int result = result_of(r, psp_snp_platform_status(r->psp, &status));

	return result < 0 ? result : copy_out(r, &status, sizeof(status));
}

static int snp_commit(struct request *r)
{
	return result_of(r, psp_snp_commit(r->psp));
}

static int snp_set_config(struct request *r)
{
	struct uapi_sev_snp_config config;

	if (copy_in(r, &config, sizeof(config)) < 0)
		return -EFAULT;
	return result_of(r, psp_snp_set_config(r->psp, &config));
}

#define VLEK_WRAPPED_BYTES 432

static int snp_vlek_load(struct request *r)
{
	struct uapi_sev_snp_vlek_load params;
	auto_free void *wrapped = NULL;
	int result;

	if (copy_in(r, &params, sizeof(params)) < 0)
		return -EFAULT;
	if (params.len != sizeof(params) || params.vlek_wrapped_version)
		return -EINVAL;
	wrapped = sev_copy_blob(params.vlek_wrapped_address, VLEK_WRAPPED_BYTES, &result);
	return result < 0 ? result : result_of(r, psp_snp_vlek_load(r->psp, wrapped, VLEK_WRAPPED_BYTES));
}

/* ---- the table ---- */

/* The needs of a command. The driver checks them in this order. */
#define DATA   1u /* wants data: else -EINVAL */
#define WRITES 2u /* wants a descriptor that may write: else -EPERM */
#define SNP    4u /* wants SEV-SNP to be initialised: else -ENODEV */

static const struct {
	uint32_t number;
	unsigned flags;
	int (*fn)(struct request *r);
} commands[] = {
        {SEV_FACTORY_RESET, WRITES, factory_reset},
        {SEV_PLATFORM_STATUS, 0, platform_status},
        {SEV_PEK_GEN, WRITES, pek_gen},
        {SEV_PEK_CSR, WRITES, pek_csr},
        {SEV_PDH_GEN, WRITES, pdh_gen},
        {SEV_PDH_CERT_EXPORT, 0, pdh_cert_export},
        {SEV_PEK_CERT_IMPORT, WRITES, pek_cert_import},
        {SEV_GET_ID, 0, get_id},
        {SEV_GET_ID2, 0, get_id2},
        {UAPI_SNP_PLATFORM_STATUS, DATA, snp_platform_status},
        {UAPI_SNP_COMMIT, 0, snp_commit},
        {UAPI_SNP_SET_CONFIG, DATA | WRITES | SNP, snp_set_config},
        {UAPI_SNP_VLEK_LOAD, DATA | WRITES | SNP, snp_vlek_load},
};

static int dispatch(struct request *r)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		unsigned flags = commands[i].flags;

		if (commands[i].number != r->cmd->cmd)
			continue;
		if (flags & DATA && !r->cmd->data)
			return -EINVAL;
		if (flags & WRITES && !r->device->writable)
			return -EPERM;
		return flags & SNP && !r->secure->snp_is_on ? -ENODEV : commands[i].fn(r);
	}
	return -EINVAL;
}

static bool is_known(uint32_t number)
{
	return number <= UAPI_SNP_VLEK_LOAD;
}

static int device_ioctl(struct object *object, unsigned long request, uintptr_t user)
{
	const struct device *device = (struct device *)object;
	struct sev_platform *secure = device->secure;
	struct sev_issue_cmd cmd;
	struct request r = {.device = device, .secure = secure, .psp = secure->psp, .cmd = &cmd};
	int result;

	if (request != SEV_ISSUE_CMD)
		return -EINVAL;
	if (object_copy_in(&cmd, user, sizeof(cmd)) < 0)
		return -EFAULT;
	if (!is_known(cmd.cmd))
		return -EINVAL;
	pthread_mutex_lock(&secure->driver_lock);
	result = dispatch(&r);
	if (r.initialised)
		sev_driver_shutdown(secure);
	pthread_mutex_unlock(&secure->driver_lock);
	return object_copy_out(user, &cmd, sizeof(cmd)) < 0 ? -EFAULT : result;
}

static void device_end(struct object *object)
{
	free(object);
}

const struct object_ops sev_device_ops = {.ioctl = device_ioctl, .end = device_end};

int sev_device_open(struct object_table *objects, struct sev_platform *secure, int flags)
{
	struct device *device;
	int fd;

	if (!secure)
		return -ENOENT;
	device = calloc(1, sizeof(*device));
	if (!device)
		return -ENOMEM;
	*device = (struct device){
	        .object.ops = &sev_device_ops, .secure = secure, .writable = (flags & O_ACCMODE) != O_RDONLY};
	fd = object_open(objects, &device->object, object_fd("sim-sev", 0));
	if (fd < 0)
		free(device);
	return fd;
}
