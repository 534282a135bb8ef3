/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware: how the private memory of a guest without a helper travels: by the secure processors of both
 * hosts. The main thread asks for the certificates, the thread of the move does the rest.
 */
#include <string.h>

#include "migrate.h"
#include "vmm/call.h"
#include "vmm/launch.h"
#include "vmm/machine.h"

static struct launch *launch_of(void *ctx)
{
	return run_launch(((struct migrate *)ctx)->run);
}

static int send_start(
        void *ctx, const struct migrate_chain *to, struct abi_sev_session *ret_session, struct err *err)
{
	const struct migrate *migrate = ctx;
	const struct config *config = run_config(migrate->run);
	const struct call_sev_receiver receiver = {&to->pdh, &to->platform, to->amd, to->amd_bytes};

	if (migrate_chain_verify(to, &migrate->root, config->sev.policy, err) < 0)
		return -1;
	return launch_send_start(launch_of(ctx), &receiver, ret_session, err);
}

static int send_page(void *ctx, struct gpa gpa, struct abi_sev_secret_header *ret_header, void *ret_packet,
        struct err *err)
{
	return launch_send_page(launch_of(ctx), gpa, ret_header, ret_packet, err);
}

static int send_end(void *ctx, bool given, struct err *err)
{
	return launch_send_end(launch_of(ctx), given, err);
}

static int receive_start(
        void *ctx, const struct abi_sev_cert *pdh, const struct abi_sev_session *session, struct err *err)
{
	return launch_receive_start(launch_of(ctx), pdh, session, err);
}

static int receive(void *ctx, struct gpa gpa, const struct abi_sev_secret_header *header, const void *packet,
        struct err *err)
{
	return launch_receive_page(launch_of(ctx), gpa, header, packet, err);
}

static int receive_finish(void *ctx, struct err *err)
{
	return launch_receive_finish(launch_of(ctx), err);
}

/* A firmware makes a new PDH whenever it is told to, so each move asks for it. */
static int ask_chain(struct migrate *migrate, struct err *err)
{
	struct host *host = machine_host(run_machine(migrate->run));
	struct migrate_chain *chain = &migrate->chain;
	int fd, result;

	if (call_platform_open_to_read(host, &fd, err) < 0)
		return -1;
	result = call_platform_certificates(host, fd, &chain->pdh, &chain->platform, err);
	host_close(host, fd);
	if (result < 0 || !migrate->known.amd_bytes)
		return result;
	chain->platform.cek = migrate->known.platform.cek;
	memcpy(chain->amd, migrate->known.amd, sizeof(chain->amd));
	chain->amd_bytes = migrate->known.amd_bytes;
	return 0;
}

bool migrate_firmware_serves(const struct config *config)
{
	return config->sev.type == CONFIG_SEV && !config->sev.helper;
}

int migrate_firmware_prepare(
        struct migrate *migrate, const struct migrate_firmware **ret_firmware, struct err *err)
{
	const struct config *config = run_config(migrate->run);

	*ret_firmware = NULL;
	if (!migrate_firmware_serves(config))
		return 0;
	if (ask_chain(migrate, err) < 0)
		return err_wrap(err, "the certificates of this host");
	migrate->firmware = (struct migrate_firmware){.check = migrate_helper_check,
	        .send_start = send_start,
	        .send = send_page,
	        .send_end = send_end,
	        .receive_start = receive_start,
	        .receive = receive,
	        .receive_finish = receive_finish,
	        .chain = &migrate->chain,
	        .policy = (uint32_t)config->sev.policy,
	        .ctx = migrate};
	*ret_firmware = &migrate->firmware;
	return 0;
}
