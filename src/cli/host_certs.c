/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_certs: writes the certificates of a platform for its guests' owners. The firmware exports some. For
 * the software platform vmm also writes those that AMD's key server has for a real processor. Main thread.
 */
#include <errno.h>
#include <string.h>

#include "vmm/call.h"
#include "vmm/sim.h"

#include "host_certs.h"
#include "owner.h"
#include "vmm/attest/report.h"

/* The certificates of PDH_CERT_EXPORT, in the order of the files that sevctl writes. */
struct platform_certs {
	struct abi_sev_cert pdh;
	struct abi_sev_cert_chain chain;
} ABI_PACKED;

static int export_platform(struct host *host, struct platform_certs *ret_certs, struct err *err)
{
	int fd, result;

	if (call_platform_open_to_read(host, &fd, err) < 0)
		return -1;
	result = call_platform_certificates(host, fd, &ret_certs->pdh, &ret_certs->chain, err);
	host_close(host, fd);
	return result;
}

/* Writes data to the file of --certificates and, if --out-root is given, root to that file. */
static int write_files(const struct cli_args *args, const void *data, size_t size,
        const struct sim_cert *root, struct err *err)
{
	const struct cli_owner_file files[] = {
	        {"certificates", cli_value(args, "certificates"), data, size},
	        {"out-root", cli_value(args, "out-root"), root->data, root->size},
	};

	return cli_owner_files_write(files, files[1].path ? 2 : 1, err);
}

static int write_own(const struct cli_args *args, const struct cli_hosts *hosts, struct err *err)
{
	static const struct sim_cert no_root;
	struct platform_certs certs;

	return export_platform(hosts->host, &certs, err) < 0
	               ? -1
	               : write_files(args, &certs, sizeof(certs), &no_root, err);
}

/*
 * Writes PDH, PEK and OCA as the firmware exports them, and the signed CEK, ASK and ARK, which it does not
 * export.
 */
static int write_sev(const struct cli_args *args, const struct cli_hosts *hosts,
        const struct sim_cert amd[static SIM_CERTS], struct err *err)
{
	const struct sim_cert *ask = &amd[SIM_CERT_ASK], *ark = &amd[SIM_CERT_ARK];
	struct platform_certs certs;
	size_t size = sizeof(certs) + ask->size + ark->size;
	auto_free uint8_t *all = malloc(size);

	if (!all)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for certificates");
	if (export_platform(hosts->host, &certs, err) < 0)
		return -1;
	memcpy(&certs.chain.cek, amd[SIM_CERT_CHIP].data, sizeof(certs.chain.cek));
	memcpy(all, &certs, sizeof(certs));
	memcpy(all + sizeof(certs), ask->data, ask->size);
	memcpy(all + sizeof(certs) + ask->size, ark->data, ark->size);
	return write_files(args, all, size, ark, err);
}

/* Writes the certificate table that a host hands to its guests. */
static int write_snp(const struct cli_args *args, const struct cli_hosts *hosts,
        const struct sim_cert amd[static SIM_CERTS], struct err *err)
{
	const struct attest_table table = {
	        .vcek = {amd[SIM_CERT_CHIP].data, amd[SIM_CERT_CHIP].size, "VCEK"},
	        .vlek = {amd[SIM_CERT_VLEK].data, amd[SIM_CERT_VLEK].size, "VLEK"},
	        .ask = {amd[SIM_CERT_ASK].data, amd[SIM_CERT_ASK].size, "ASK"},
	        .ark = {amd[SIM_CERT_ARK].data, amd[SIM_CERT_ARK].size, "ARK"},
	};
	auto_free uint8_t *data = NULL;
	size_t size;

	if (attest_table_make(&table, &data, &size, err) < 0)
		return -1;
	return write_files(args, data, size, &amd[SIM_CERT_ARK], err);
}

static int write_simulated(
        const struct cli_args *args, const struct cli_hosts *hosts, bool snp, struct err *err)
{
	struct sim_cert amd[SIM_CERTS];
	int result;

	if (!hosts->sim)
		return err_set(err, ERR_USAGE,
		        "--generation is for --host sim: AMD's key server has the certificates of a real "
		        "processor, at the addresses that vmm host prints");
	if (sim_certificates(hosts->real, snp, amd, err) < 0)
		return -1;
	result = snp ? write_snp(args, hosts, amd, err) : write_sev(args, hosts, amd, err);
	sim_certificates_free(amd);
	return result;
}

int cli_host_certificates_write(const struct cli_args *args, const struct cli_hosts *hosts, struct err *err)
{
	const char *generation = cli_value(args, "generation");

	if (!cli_given(args, "certificates")) {
		if (generation || cli_given(args, "out-root"))
			return err_set(err, ERR_USAGE, "--%s goes with --certificates FILE",
			        generation ? "generation" : "out-root");
		return 0;
	}
	if (!generation && cli_given(args, "out-root"))
		return err_set(err, ERR_USAGE,
		        "--out-root goes with --generation: the platform's own certificates have no root");
	if (!generation)
		return write_own(args, hosts, err);
	if (strcmp(generation, "sev") != 0 && strcmp(generation, "snp") != 0)
		return err_set(
		        err, ERR_USAGE, "--generation: must be sev or snp; this is \"%s\"", generation);
	return write_simulated(args, hosts, strcmp(generation, "snp") == 0, err);
}
