/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allow: whether the guest may be sent, before anything of it is. Main thread.
 */
#include <stdio.h>

#include "migrate.h"
#include "vmm/device.h"

const char *migrate_refusal(struct migrate *migrate)
{
	const char *why = migrate->hands ? migrate_lease_refusal(migrate) : migrate_helper_refusal(migrate);

	if (!why && migrate->late)
		why = migrate_split_refusal(migrate);
	return why ? why : device_board_unmovable(machine_board(run_machine(migrate->run)));
}

int migrate_may_send(struct migrate *migrate, bool again, struct err *err)
{
	const char *why = migrate_refusal(migrate);
	bool doubt = migrate->status == MIGRATE_STATUS_DOUBT || migrate_is_split(migrate);

	if (why && !again)
		return err_set(err, ERR_USAGE, "the guest cannot be moved: %s", why);
	if (migrate->threaded)
		return err_set(err, ERR_USAGE, "the guest is being moved already");
	if (migrate->incoming && !migrate->owned)
		return err_set(err, ERR_USAGE, "the guest has not come yet");
	if (again && (!doubt || migrate->incoming))
		return err_set(err, ERR_USAGE, "no move of this guest is in doubt, so none can be resumed");
	if (!again && doubt)
		return err_set(err, ERR_USAGE,
		        "the last move of this guest is in doubt: resume it, or resolve it "
		        "(__vmm_migrate-resolve)");
	if (!again && migrate->given)
		return err_set(err, ERR_USAGE, "the guest was given to another vmm");
	return 0;
}

int migrate_may_connect(struct migrate *migrate, const char *address, struct err *err)
{
	if (address && back_address_check(address, err) < 0)
		return -1;
	if (!migrate->tls)
		return 0;
	snprintf(migrate->peer, sizeof(migrate->peer), "%s", migrate->tls_name);
	if (*migrate->peer || (address && back_address_host(address, migrate->peer)))
		return 0;
	return err_set(err, ERR_USAGE,
	        "TLS has to know whose certificate the other vmm must have, and this address names no host: "
	        "set migrate.tls-name");
}
