/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node: why a device's node cannot be opened.
 */
#ifndef VMM_CALL_NODE_H
#define VMM_CALL_NODE_H

#define CALL_NODE_REMEDY_BYTES 300

/*
 * Writes a remedy for a node that open(2) refused with sys (EACCES or EPERM): what would let this user open
 * it, judged by the node's owner and mode. Returns text.
 */
const char *call_node_remedy(const char *path, int sys, char text[static CALL_NODE_REMEDY_BYTES]);

#endif
