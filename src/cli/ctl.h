/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl: the parts of `vmm ctl`, which asks and steers a guest through its control socket. What the server
 * sends is hostile: a line has a limit, a wait has a limit, and text is made safe before a terminal gets it.
 */
#ifndef VMM_CLI_CTL_H
#define VMM_CLI_CTL_H

#include <jansson.h>

#include "vmm/base.h"

/* ---- the connection (ctl_link.c) ---- */

#define CLI_CTL_LINE_MAX_BYTES MIB(16) /* QEMU's longest line, its schema, has 0.2 MiB */

struct cli_ctl_link;

/* Called with each event that comes, during any of the calls below. The event is borrowed. */
typedef void cli_ctl_on_event(void *ctx, const json_t *event);

/*
 * Connects to the socket and negotiates. The greeting, each answer and each wait for room to send may take
 * limit_s seconds. ERR_USAGE if there is no server at this path.
 */
int cli_ctl_link_open(
        const char *path, unsigned limit_s, struct cli_ctl_link **ret_link, struct err *err) MUST_CHECK;
void cli_ctl_link_close(struct cli_ctl_link *link); /* NULL is allowed */
void cli_ctl_link_listen(struct cli_ctl_link *link, cli_ctl_on_event *on_event, void *ctx);

/*
 * Carries out a command and returns its value, which the caller frees. Takes arguments over; NULL: there are
 * none. fd is sent along, unless it is -1. Returns NULL with err if the command fails.
 */
json_t *cli_ctl_link_call(
        struct cli_ctl_link *link, const char *command, json_t *arguments, int fd, struct err *err);
/* Did the server refuse the last command? If not, the connection is at fault, and no more can be asked. */
bool cli_ctl_link_refused(const struct cli_ctl_link *link);

/* Has the server closed the connection? */
bool cli_ctl_link_ended(const struct cli_ctl_link *link);

int cli_ctl_link_fd(const struct cli_ctl_link *link); /* for poll(2): borrowed */
/*
 * Waits up to wait_ms milliseconds (-1: for ever) for events and takes those that are there. *ret_ended: the
 * server has closed the connection. ERR_FAILED if it sends something else than events.
 */
int cli_ctl_link_events(struct cli_ctl_link *link, int wait_ms, bool *ret_ended, struct err *err) MUST_CHECK;

/* ---- words (ctl_words.c) ---- */

/*
 * Makes the arguments of a command from words: one JSON object, or KEY=VALUE words whose values have the
 * types that the table of commands says. Returns NULL with err, ERR_USAGE, if that cannot be done.
 */
json_t *cli_ctl_arguments(const char *command, const char *const *words, size_t count, struct err *err);
/*
 * Cuts a line into words at its blanks. Quotes hold a word together, and from "{" on the rest is one word.
 * The words lie in line, which is changed. ERR_USAGE if a quote has no end or there are more than max words.
 */
int cli_ctl_split(char *line, const char **words, size_t max, size_t *ret_count, struct err *err) MUST_CHECK;
/*
 * Calls each() with each word that could stand at the end of these words: commands, KEY= and values that
 * begin as the last word does.
 */
void cli_ctl_candidates(
        const char *const *words, size_t count, void (*each)(void *ctx, const char *word), void *ctx);
/* Returns the command that was probably meant by one that the table does not have, or NULL. */
const char *cli_ctl_meant(const char *command);
/* Prints what there is to say about a command, or about all if it is NULL. ERR_USAGE: there is no such
 * command. */
int cli_ctl_help(const char *command, struct err *err) MUST_CHECK;

/* ---- results (ctl_show.c) ---- */

enum cli_ctl_form {
	CLI_CTL_RAW,    /* a line of JSON */
	CLI_CTL_PRETTY, /* JSON on several lines, texts as they are */
};

/* Print to standard output and flush it. */
void cli_ctl_show_value(const json_t *value, enum cli_ctl_form form);
void cli_ctl_show_event(const json_t *event, enum cli_ctl_form form);

/* ---- facts for status and metrics (ctl_facts.c) ---- */

/*
 * Asks these commands, a list that ends with NULL, and returns {command: value}. A command that the server
 * refuses is left out. NULL with err: the connection is lost.
 */
json_t *cli_ctl_facts(struct cli_ctl_link *link, const char *const *commands, struct err *err);
/* A number of an object. 0 if there is none. */
double cli_ctl_number(const json_t *object, const char *key);

int cli_ctl_metrics(struct cli_ctl_link *link, struct err *err) MUST_CHECK; /* ctl_metrics.c */
/* Shows the guest once, or every second until it ends (ctl_status.c). */
int cli_ctl_status(struct cli_ctl_link *link, bool watch, enum cli_ctl_form form, struct err *err) MUST_CHECK;

/* ---- the session (ctl.c, ctl_prompt.c, ctl_edit.c) ---- */

/* How `migrate ADDRESS` moves a guest. */
struct cli_ctl_move {
	bool keep;                        /* the vmm that the guest has left is not ended */
	bool handover;                    /* to a vmm on this host, with its memory */
	bool postcopy;                    /* it goes over after the first pass over its memory */
	bool resume;                      /* ask about a move that is in doubt */
	const char *bandwidth, *downtime; /* bytes a second, ms; NULL: as they are */
};

struct cli_ctl {
	struct cli_ctl_link *link;
	enum cli_ctl_form form;
	int fd; /* to be sent with the next command; -1: none */
	bool watch;
	struct cli_ctl_move move;
};

#define CLI_CTL_WORDS_MAX 100
#define CLI_CTL_ENDED     "the server has closed the connection"

/* Carries out one command of vmm ctl: its name and its arguments. */
int cli_ctl_command(struct cli_ctl *ctl, const char *const *words, size_t count, struct err *err) MUST_CHECK;
/* Are these words `save PATH`, or `migrate ADDRESS` and not `migrate KEY=VALUE` (ctl_migrate.c)? */
bool cli_ctl_is_move(const char *const *words, size_t count);
/*
 * Moves or saves the guest, shows how it goes, and ends the vmm that it has left. ERR_FAILED: it stays there;
 * ERR_DOUBT: the server cannot know, or is gone.
 */
int cli_ctl_migrate(struct cli_ctl *ctl, const char *const *words, size_t count, struct err *err) MUST_CHECK;
/*
 * Reads lines from the terminal with libedit, while events are told. NULL: it is not installed, or there is
 * no terminal that it can use.
 */
struct cli_ctl_edit;
struct cli_ctl_edit *cli_ctl_edit_open(struct cli_ctl *ctl);
void cli_ctl_edit_close(struct cli_ctl_edit *edit); /* NULL is allowed */
/* Returns the next line, which is borrowed until the next call. NULL: its end, or the server has gone. */
const char *cli_ctl_edit_line(struct cli_ctl_edit *edit);
#define CLI_CTL_PROMPT VMM_PROGRAM "> "

/* Reads commands from standard input until its end and carries them out. Returns the exit status. */
int cli_ctl_prompt(struct cli_ctl *ctl, struct err *err);

#endif
