/*
 * node: why a device's node cannot be opened.
 */
#ifndef VMM_CALL_NODE_H
#define VMM_CALL_NODE_H

#define CALL_NODE_REMEDY_BYTES 300

/*
 * What would let this user open a node that open(2) refused with sys (EACCES or EPERM), by its owner and
 * mode. Returns text.
 */
const char *call_node_remedy(const char *path, int sys, char text[static CALL_NODE_REMEDY_BYTES]);

#endif
