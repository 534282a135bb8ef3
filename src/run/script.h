/*
 * script: what `vmm run --expect` does at the guest's console, as steps, and where the guest's output has got
 * to. No clock and no descriptor: expect.c has those.
 */
#ifndef VMM_RUN_SCRIPT_H
#define VMM_RUN_SCRIPT_H

#include "vmm/run.h"

#define SCRIPT_FILE_MAX  65536u
#define SCRIPT_STEPS_MAX 1000u
#define SCRIPT_TEXTS_MAX 8u
#define SCRIPT_TEXT_MAX  1024u
#define SCRIPT_TIMEOUT_S 60u

enum script_kind {
	SCRIPT_EXPECT, /* one of the texts */
	SCRIPT_END,    /* the guest's end */
	SCRIPT_SEND,
	SCRIPT_QUIT,
};

struct script_text {
	const char *bytes; /* in run_script.bytes */
	size_t size;
};

struct script_step {
	enum script_kind kind;
	unsigned line;      /* of the file */
	unsigned timeout_s; /* of SCRIPT_EXPECT and SCRIPT_END */
	unsigned text_count;
	struct script_text texts[SCRIPT_TEXTS_MAX];
};

struct run_script {
	char *path;  /* as messages show it */
	char *bytes; /* what the file's texts stand for */
	struct script_step *steps;
	size_t count;
};

/* Reads a script's text. Errors begin "PATH:LINE:COLUMN: ". */
int run_script_parse(const char *path, const char *text, size_t size, struct run_script **ret_script,
        struct err *err) MUST_CHECK;

/* What a terminal would show of the guest's output, as far as it is needed. */
struct script_screen {
	enum { SCREEN_TEXT, SCREEN_ESCAPE, SCREEN_CSI, SCREEN_TITLE, SCREEN_CHARSET } state;
	size_t used, seen; /* bytes in text; those before `seen` were matched, or are older than a match */
	char text[8192];
};

/* Takes output in without what firmware and systems draw with: colours, cursor moves, titles, NUL, BEL.
 * Returns how many of the bytes were taken: fewer when the text has to be looked at before old text may go.
 */
size_t run_script_show(struct script_screen *screen, const void *data, size_t size);
/* Is one of the step's texts behind what was matched before? Then everything up to its end counts as matched.
 */
bool run_script_find(struct script_screen *screen, const struct script_step *step);
/* Writes the last lines of the text, indented and safe to show. */
void run_script_tail(const struct script_screen *screen, FILE *out);
/* Writes the texts that a step waits for, safe to show: "a" or "b". */
void run_script_name(const struct script_step *step, FILE *out);

#endif
