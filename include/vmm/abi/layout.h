/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout: how layouts are declared: packed, with sizes and offsets that the compiler checks. Layouts and
 * numbers only; any room may include this.
 */
#ifndef VMM_ABI_LAYOUT_H
#define VMM_ABI_LAYOUT_H

#include <stddef.h>

#define ABI_PACKED             __attribute__((packed))
#define ABI_SIZE(type, size)   _Static_assert(sizeof(type) == (size), #type " has another size")
#define ABI_AT(type, at, name) _Static_assert(offsetof(type, name) == (at), #type "." #name " lies elsewhere")

#endif
