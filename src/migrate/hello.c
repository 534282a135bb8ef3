/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello: the first frame of each side.
 *
 *     0 major u16   2 least minor u16   4 greatest minor u16   6 standing u16   8 id[16]   24 build, text
 */
#include <string.h>

#include "side.h"
#include "vmm/config.h"

static const unsigned major_ours = 1, least_ours = 0, greatest_ours = 0;

#define AT_ID    8
#define AT_BUILD (AT_ID + MIGRATE_ID_BYTES)
#define BUILD    "vmm " VMM_VERSION

int migrate_hello_send(struct migrate_side *side, enum migrate_standing standing, struct err *err)
{
	uint8_t *hello = migrate_wire_payload(&side->wire);

	store_le(hello, 2, major_ours);
	store_le(hello + 2, 2, least_ours);
	store_le(hello + 4, 2, greatest_ours);
	store_le(hello + 6, 2, standing);
	memcpy(hello + AT_ID, side->id, MIGRATE_ID_BYTES);
	memcpy(hello + AT_BUILD, BUILD, sizeof(BUILD) - 1);
	return migrate_wire_send(&side->wire, MIGRATE_HELLO, AT_BUILD + sizeof(BUILD) - 1, err);
}

int migrate_hello_receive(
        struct migrate_side *side, bool take_id, enum migrate_standing *ret_standing, struct err *err)
{
	struct migrate_frame frame;
	unsigned major, least, greatest, standing;

	if (migrate_wire_expect(&side->wire, MIGRATE_HELLO, AT_BUILD, 1, &frame, err) < 0)
		return -1;
	major = (unsigned)load_le(frame.payload, 2);
	least = (unsigned)load_le(frame.payload + 2, 2);
	greatest = (unsigned)load_le(frame.payload + 4, 2);
	standing = (unsigned)load_le(frame.payload + 6, 2);
	if (major != major_ours || least > greatest_ours || greatest < least_ours)
		return err_set(err, ERR_FAILED,
		        "the other side (%.*s) speaks version %u.%u to %u.%u of the protocol, and this one "
		        "%u.%u to %u.%u",
		        (int)(frame.size - AT_BUILD), (const char *)frame.payload + AT_BUILD, major, least,
		        major, greatest, major_ours, least_ours, major_ours, greatest_ours);
	if (standing >= MIGRATE_STANDINGS)
		return err_set(err, ERR_FAILED,
		        "the other vmm says that it is in state %u, which does not exist", standing);
	if (take_id)
		memcpy(side->id, frame.payload + AT_ID, MIGRATE_ID_BYTES);
	else if (memcmp(side->id, frame.payload + AT_ID, MIGRATE_ID_BYTES) != 0)
		return err_set(err, ERR_FAILED, "the other vmm speaks of another move");
	*ret_standing = (enum migrate_standing)standing;
	return 0;
}
