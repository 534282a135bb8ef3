/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: finds where each JSON value of a stream of bytes ends, and rewrites it from QEMU's dialect to the
 * JSON that jansson reads. It keeps the state of one stream; its memory is bounded.
 */
#ifndef VMM_CONTROL_FRAME_H
#define VMM_CONTROL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_FRAME_MAX_BYTES ((size_t)256 * 1024) /* of a request; the longest useful one is a secret */
#define CONTROL_FRAME_MAX_DEPTH 1024                 /* as QEMU's */

enum control_frame_state {
	CONTROL_FRAME_BETWEEN, /* no value has begun */
	CONTROL_FRAME_INSIDE,  /* an object or a list has begun */
	CONTROL_FRAME_WORD,    /* in a number or a keyword */
	CONTROL_FRAME_STRING,
	CONTROL_FRAME_ESCAPE,     /* behind a backslash in a string */
	CONTROL_FRAME_RECOVERING, /* behind a byte that fits nowhere */
	CONTROL_FRAME_SKIPPING,   /* what was too long is thrown away, up to the end of the line */
};

/* Zeroed at first. */
struct control_frame {
	enum control_frame_state state;
	int braces, brackets;    /* that are open */
	char quote;              /* that ends the string */
	char *text;              /* the value so far, as standard JSON */
	size_t used, room, word; /* word: where the number or keyword begins */
};

enum control_frame_result {
	CONTROL_FRAME_MORE,  /* all bytes were taken; the value has not ended */
	CONTROL_FRAME_WHOLE, /* text and used have a value, which may still be no valid JSON */
	CONTROL_FRAME_BAD,   /* *ret_why says what is wrong; the next call begins anew */
	CONTROL_FRAME_NO_MEMORY,
};

/* Takes bytes from *data, of which there are *left, up to the end of a value or a mistake, and moves both on.
 */
enum control_frame_result control_frame_feed(
        struct control_frame *frame, const uint8_t **data, size_t *left, const char **ret_why);
/* Hands the text of a whole value over to the caller, who frees it, and begins anew. */
char *control_frame_take(struct control_frame *frame, size_t *ret_size);
void control_frame_finish(struct control_frame *frame);

#endif
