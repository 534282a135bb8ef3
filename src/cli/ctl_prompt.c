/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_prompt: reads commands line by line. A person's mistakes are told and the prompt goes on; what comes
 * from a file or a pipe ends with the first command that fails. Main thread only.
 */
#include <errno.h>
#include <string.h>

#include "ctl.h"

struct prompt {
	struct cli_ctl *ctl;
	struct cli_ctl_edit *edit; /* NULL: lines come as they are */
	bool person;
	char *line;
	size_t room;
};

static void on_event(void *ctx, const json_t *event)
{
	const struct cli_ctl *ctl = ctx;

	cli_ctl_show_event(event, ctl->form);
}

static char *next_line(struct prompt *prompt)
{
	const char *line;

	if (prompt->edit) {
		line = cli_ctl_edit_line(prompt->edit);
		free(prompt->line);
		prompt->line = line ? strdup(line) : NULL;
		return prompt->line;
	}
	if (prompt->person) {
		fputs(CLI_CTL_PROMPT, stdout);
		fflush(stdout);
	}
	return getline(&prompt->line, &prompt->room, stdin) < 0 ? NULL : prompt->line;
}

static int run_line(struct prompt *prompt, char *line, struct err *err)
{
	const char *words[CLI_CTL_WORDS_MAX];
	size_t count;

	if (cli_ctl_split(line, words, ARRAY_LEN(words), &count, err) < 0)
		return -1;
	return count && *words[0] != '#' ? cli_ctl_command(prompt->ctl, words, count, err) : 0;
}

/* May the next line be carried out after this mistake? */
static bool goes_on(const struct prompt *prompt, const struct err *err)
{
	if (!prompt->person || cli_ctl_link_ended(prompt->ctl->link))
		return false;
	if (err->kind != ERR_USAGE && !cli_ctl_link_refused(prompt->ctl->link))
		return false;
	fflush(stdout);
	text_put_safe(stderr, err->text);
	fputc('\n', stderr);
	return true;
}

static int run_lines(struct prompt *prompt, struct err *err)
{
	char *line;

	while ((line = next_line(prompt))) {
		if (run_line(prompt, line, err) < 0 && !goes_on(prompt, err))
			return -1;
	}
	if (prompt->person)
		putchar('\n');
	if (cli_ctl_link_ended(prompt->ctl->link))
		puts(CLI_CTL_ENDED);
	return 0;
}

int cli_ctl_prompt(struct cli_ctl *ctl, struct err *err)
{
	struct prompt prompt = {.ctl = ctl, .person = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
	int result;

	if (prompt.person) {
		cli_ctl_link_listen(ctl->link, on_event, ctl);
		prompt.edit = cli_ctl_edit_open(ctl);
	}
	if (prompt.person && !prompt.edit)
		log_info("lines cannot be edited: libedit.so.2 is not installed (Debian: apt install "
		         "libedit2)");
	result = run_lines(&prompt, err);
	cli_ctl_edit_close(prompt.edit);
	free(prompt.line);
	return result;
}
