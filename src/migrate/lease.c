/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease: what the main thread does for a guest that is handed over on the same host: its memory is passed or
 * mapped, and the lease of the memory is asked who has the guest.
 */
#include <string.h>
#include <sys/socket.h>

#include "migrate.h"
#include "vmm/machine.h"

static struct page_memory *memory_of(struct migrate *migrate)
{
	return machine_vm_memory(run_vm(migrate->run));
}

void migrate_set_handover(struct migrate *migrate, bool hands)
{
	migrate->hands = hands;
}

bool migrate_is_handover(const struct migrate *migrate)
{
	return migrate->hands;
}

const char *migrate_lease_refusal(struct migrate *migrate)
{
	const struct config *config = run_config(migrate->run);

	if (config->sev.type != CONFIG_SEV_NONE)
		return "the kernel ties the keys of its memory to the process that launched it";
	return page_hand_refusal(machine_backing(config));
}

static bool is_unix(int fd)
{
	socklen_t size = sizeof(int);
	int domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

int migrate_lease_check_way(const struct migrate *migrate, const char *address, int fd, struct err *err)
{
	if (!migrate->hands)
		return 0;
	if (migrate->tls)
		return err_set(err, ERR_USAGE,
		        "a guest is not handed over with TLS (migrate.tls-authority), which carries no "
		        "descriptors");
	if (address ? strncmp(address, "unix:", 5) == 0 : is_unix(fd))
		return 0;
	return err_set(err, ERR_USAGE,
	        "a guest is handed over to a vmm on the same host, over a UNIX socket: unix:PATH, or fd:NAME "
	        "of one");
}

int migrate_lease_serve(struct migrate *migrate, enum migrate_wish wish, struct err *err)
{
	struct page_memory *memory = memory_of(migrate);

	if (wish == MIGRATE_OFFER)
		return page_hand_offer(memory, &migrate->hand, err);
	if (wish == MIGRATE_ACCEPT)
		return page_hand_accept(memory, &migrate->hand, err);
	migrate->leased = page_lease_try(memory);
	return 0;
}

int migrate_lease_try(struct migrate *migrate, struct err *err)
{
	if (!migrate->side.hands)
		return 0;
	switch (page_lease_try(memory_of(migrate))) {
	case PAGE_LEASE_MINE: return 0;
	case PAGE_LEASE_HELD:
		return err_set(err, ERR_FAILED,
		        "the other process has the guest (it holds the lease of the memory)");
	default: return err_set(err, ERR_FAILED, "the guest has run in the other process since then");
	}
}

int migrate_lease_own(struct migrate *migrate, struct err *err)
{
	return migrate->side.hands ? page_hand_own(memory_of(migrate), err) : 0;
}

void migrate_lease_release(struct migrate *migrate)
{
	if (migrate->side.hands)
		page_lease_release(memory_of(migrate));
}
