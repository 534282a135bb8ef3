/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node: says what would let this user open a device's node, by who owns it and its mode. Main thread:
 * getgrgid(3).
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "node.h"

#define GROUP_MAY (S_IRGRP | S_IWGRP)

/* The group of root is nobody's to join. */
static int has_group_to_join(const struct stat *st)
{
	return st->st_gid != 0 && (st->st_mode & GROUP_MAY) == GROUP_MAY;
}

static const char *group_name(gid_t gid, char number[static 16])
{
	const struct group *group = getgrgid(gid);

	snprintf(number, 16, "%u", (unsigned)gid);
	return group ? group->gr_name : number;
}

const char *call_node_remedy(const char *path, int sys, char text[static CALL_NODE_REMEDY_BYTES])
{
	char number[16];
	struct stat st;

	/* EACCES is the mode's; EPERM comes of a container's list of devices, or of a security module. */
	if (sys == EPERM || stat(path, &st) < 0)
		snprintf(text, CALL_NODE_REMEDY_BYTES,
		        "allow the container or service to use it (--device %s, DeviceAllow=%s rw)", path,
		        path);
	else if (has_group_to_join(&st))
		snprintf(text, CALL_NODE_REMEDY_BYTES,
		        "add the user to its group (usermod -aG %s USER) and log in again",
		        group_name(st.st_gid, number));
	else
		snprintf(text, CALL_NODE_REMEDY_BYTES,
		        "it belongs to user %u and group %u with mode %04o, so no group helps: let udev's "
		        "rules set it "
		        "up, or do what they do (chgrp kvm %s; chmod 0660 %s), in a container outside of it",
		        (unsigned)st.st_uid, (unsigned)st.st_gid, (unsigned)(st.st_mode & 07777), path, path);
	return text;
}
