/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script: what `vmm run --expect` does at the guest's console, as steps, and where the guest's output has got
 * to. No clock and no descriptor: expect.c has those.
 */
#ifndef VMM_RUN_SCRIPT_H
#define VMM_RUN_SCRIPT_H

#include "vmm/run.h"

#define RUN_SCRIPT_FILE_MAX  65536u
#define RUN_SCRIPT_STEPS_MAX 1000u
#define RUN_SCRIPT_TEXTS_MAX 8u
#define RUN_SCRIPT_TEXT_MAX  1024u
#define RUN_SCRIPT_TIMEOUT_S 60u

enum run_script_kind {
	RUN_SCRIPT_EXPECT, /* one of the texts */
	RUN_SCRIPT_END,    /* the guest's end */
	RUN_SCRIPT_SEND,
	RUN_SCRIPT_QUIT,
};

struct run_script_text {
	const char *bytes; /* in run_script.bytes */
	size_t size;
};

struct run_script_step {
	enum run_script_kind kind;
	unsigned line;      /* of the file */
	unsigned timeout_s; /* of RUN_SCRIPT_EXPECT and RUN_SCRIPT_END */
	unsigned text_count;
	struct run_script_text texts[RUN_SCRIPT_TEXTS_MAX];
};

struct run_script {
	char *path;  /* as messages show it */
	char *bytes; /* what the file's texts stand for */
	struct run_script_step *steps;
	size_t count;
};

/* Reads a script's text. Errors begin "PATH:LINE:COLUMN: ". */
int run_script_parse(const char *path, const char *text, size_t size, struct run_script **ret_script,
        struct err *err) MUST_CHECK;

/* What a terminal would show of the guest's output, as far as it is needed. */
struct run_script_screen {
	enum {
		RUN_SCREEN_TEXT,
		RUN_SCREEN_ESCAPE,
		RUN_SCREEN_CSI,
		RUN_SCREEN_TITLE,
		RUN_SCREEN_CHARSET
	} state;
	size_t used, seen; /* bytes in text; those before `seen` were matched, or are older than a match */
	char text[8192];
};

/* Takes output in without what firmware and systems draw with: colours, cursor moves, titles, NUL, BEL.
 * Returns how many of the bytes were taken: fewer when the text has to be looked at before old text may go.
 */
size_t run_script_show(struct run_script_screen *screen, const void *data, size_t size);
/* Is one of the step's texts behind what was matched before? Then everything up to its end counts as matched.
 */
bool run_script_find(struct run_script_screen *screen, const struct run_script_step *step);
/* Writes the last lines of the text, indented and safe to show. */
void run_script_tail(const struct run_script_screen *screen, FILE *out);
/* Writes the texts that a step waits for, safe to show: "a" or "b". */
void run_script_name(const struct run_script_step *step, FILE *out);

#endif
