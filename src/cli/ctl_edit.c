/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_edit: the prompt's lines with editing, history and completion, by libedit, which is loaded when there
 * is a prompt. While it waits for a key, events are told above the line. Main thread only. Law: editline(3).
 */
#include <dlfcn.h>
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <wchar.h>

#include "ctl.h"

#define LIBRARY       "libedit.so.2"
#define HISTORY_LINES 500
#define ERASE_LINE    "\r\033[K" /* to the line's start, and erase it (ECMA-48, EL) */

/* The functions of libedit that are used. */
#define FUNCTIONS(row) \
	row(el_init) row(el_end) row(el_gets) row(el_set) row(el_get) row(el_line) row(el_insertstr) \
	        row(history_init) row(history_end) row(history)

#define MEMBER(name) __typeof__(name) *name;
static struct {
	FUNCTIONS(MEMBER)
} library;
#undef MEMBER

struct cli_ctl_edit {
	struct cli_ctl *ctl;
	EditLine *line;
	History *history;
	char *history_path; /* NULL: it is not kept */
	bool is_line_shown; /* an event has to come before it */
	bool told;          /* an event came */
	mbstate_t state;    /* of a character whose first bytes have come */
};

static bool load_library(void)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	bool whole = handle != NULL;

#define FIND(name) \
	*(void **)&library.name = whole ? dlsym(handle, #name) : NULL; \
	whole = whole && library.name;
	FUNCTIONS(FIND)
#undef FIND
	return whole;
}

static struct cli_ctl_edit *edit_of(EditLine *line)
{
	void *edit = NULL;

	library.el_get(line, EL_CLIENTDATA, &edit);
	return edit;
}

/* ---- completion ---- */

struct completion {
	char *common; /* with what all candidates begin; NULL: there is none */
	size_t count;
};

static void narrow(void *ctx, const char *word)
{
	struct completion *completion = ctx;
	size_t same = 0;

	if (completion->count++ == 0) {
		completion->common = strdup(word);
		return;
	}
	while (completion->common && completion->common[same] && completion->common[same] == word[same])
		same++;
	if (completion->common)
		completion->common[same] = '\0';
}

static void list(void *ctx, const char *word)
{
	printf("%s  ", word);
}

/* Completes what the words say, or lists what they may become. */
static void complete_words(EditLine *line, const char *const *words, size_t count)
{
	struct completion found = {0};
	size_t length = strlen(words[count - 1]);

	cli_ctl_candidates(words, count, narrow, &found);
	if (found.common && strlen(found.common) > length) {
		library.el_insertstr(line, found.common + length);
	} else if (found.count > 1) {
		putchar('\n');
		cli_ctl_candidates(words, count, list, NULL);
		putchar('\n');
	}
	if (found.count == 1 && found.common && !strchr(found.common, '='))
		library.el_insertstr(line, " ");
	free(found.common);
}

static void complete(EditLine *line)
{
	const LineInfo *info = library.el_line(line);
	size_t length = (size_t)(info->cursor - info->buffer), count;
	auto_free char *copy = strndup(info->buffer, length);
	const char *words[CLI_CTL_WORDS_MAX + 1];

	if (!copy || cli_ctl_split(copy, words, CLI_CTL_WORDS_MAX, &count, NULL) < 0)
		return;
	if (count == 0 || strchr(" \t", info->buffer[length - 1]))
		words[count++] = "";
	complete_words(line, words, count);
	fputs(ERASE_LINE, stdout);
	library.el_set(line, EL_REFRESH);
}

/* ---- keys and events ---- */

static void on_event(void *ctx, const json_t *event)
{
	struct cli_ctl_edit *edit = ctx;

	edit->told = true;
	if (edit->is_line_shown)
		fputs(ERASE_LINE, stdout);
	cli_ctl_show_event(event, edit->ctl->form);
}

/* Tells the events that are there. Returns false if the server has gone. */
static bool tell_events(struct cli_ctl_edit *edit)
{
	bool ended = false;

	edit->told = false;
	if (cli_ctl_link_events(edit->ctl->link, 0, &ended, NULL) < 0 || ended)
		return false;
	if (edit->told)
		library.el_set(edit->line, EL_REFRESH);
	return true;
}

/* Waits for a key. Returns false if the server has gone. */
static bool await_key(struct cli_ctl_edit *edit)
{
	struct pollfd ready[] = {
	        {STDIN_FILENO, POLLIN, 0},
	        {cli_ctl_link_fd(edit->ctl->link), POLLIN, 0},
	};

	while (tell_events(edit)) {
		int n = poll(ready, ARRAY_LEN(ready), -1);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0 && ready[0].revents)
			return true;
	}
	return false;
}

/*
 * For libedit: returns 1 and a character, or 0 at the end. Completion is done here, because a function that
 * is given to libedit (EL_ADDFN) costs memory that it never frees.
 */
static int read_key(EditLine *line, wchar_t *ret_key)
{
	struct cli_ctl_edit *edit = edit_of(line);
	char byte;
	size_t size;

	for (;;) {
		if (!await_key(edit) || read(STDIN_FILENO, &byte, 1) != 1)
			return 0;
		size = mbrtowc(ret_key, &byte, 1, &edit->state);
		if (size == (size_t)-2) /* the character goes on */
			continue;
		if (size == (size_t)-1) {
			edit->state = (mbstate_t){0};
			*ret_key = L'?';
		}
		if (*ret_key != L'\t')
			return 1;
		complete(line);
	}
}

/* ---- history ---- */

/* XDG Base Directory Specification. */
static char *history_path(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *path = NULL;
	int result = -1;

	if (state && *state == '/')
		result = asprintf(&path, "%s/" VMM_PROGRAM "-ctl-history", state);
	else if (home && *home == '/')
		result = asprintf(&path, "%s/.local/state/" VMM_PROGRAM "-ctl-history", home);
	return result < 0 ? NULL : path;
}

static void history_start(struct cli_ctl_edit *edit)
{
	HistEvent event;

	library.history(edit->history, &event, H_SETSIZE, HISTORY_LINES);
	library.history(edit->history, &event, H_SETUNIQUE, 1);
	edit->history_path = history_path();
	if (edit->history_path)
		library.history(edit->history, &event, H_LOAD, edit->history_path);
}

/* Makes the folders of a path that are missing; the specification wants them to be the user's alone. */
static void make_folders(const char *path)
{
	auto_free char *copy = strdup(path);

	for (char *at = copy ? strchr(copy + 1, '/') : NULL; at; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(copy, 0700);
		*at = '/';
	}
}

static void history_save(struct cli_ctl_edit *edit)
{
	HistEvent event;
	struct stat at;

	if (!edit->history_path || (lstat(edit->history_path, &at) == 0 && !S_ISREG(at.st_mode)))
		return;
	make_folders(edit->history_path);
	library.history(edit->history, &event, H_SAVE, edit->history_path);
}

/* ---- life ---- */

static char *prompt(EditLine *line)
{
	static char text[] = CLI_CTL_PROMPT;

	return text;
}

static void configure(struct cli_ctl_edit *edit)
{
	library.el_set(edit->line, EL_CLIENTDATA, edit);
	library.el_set(edit->line, EL_EDITOR, "emacs");
	library.el_set(edit->line, EL_SIGNAL, 1); /* a signal that ends vmm leaves the terminal as it was */
	library.el_set(edit->line, EL_PROMPT, prompt);
	library.el_set(edit->line, EL_GETCFN, read_key);
	library.el_set(edit->line, EL_HIST, library.history, edit->history);
}

struct cli_ctl_edit *cli_ctl_edit_open(struct cli_ctl *ctl)
{
	struct cli_ctl_edit *edit = load_library() ? calloc(1, sizeof(*edit)) : NULL;

	if (!edit)
		return NULL;
	setlocale(LC_CTYPE, "");
	edit->ctl = ctl;
	edit->history = library.history_init();
	edit->line = library.el_init(VMM_PROGRAM, stdin, stdout, stderr);
	if (!edit->history || !edit->line) {
		cli_ctl_edit_close(edit);
		return NULL;
	}
	history_start(edit);
	configure(edit);
	cli_ctl_link_listen(ctl->link, on_event, edit);
	return edit;
}

const char *cli_ctl_edit_line(struct cli_ctl_edit *edit)
{
	HistEvent event;
	const char *line;
	int length;

	fflush(stdout);
	/* Before the prompt shows: Ctrl-D for a terminal that is not yet prepared would be lost. */
	library.el_set(edit->line, EL_PREP_TERM, 1);
	edit->is_line_shown = true;
	line = library.el_gets(edit->line, &length);
	edit->is_line_shown = false;
	if (line && line[strspn(line, " \t\n")])
		library.history(edit->history, &event, H_ENTER, line);
	return line;
}

void cli_ctl_edit_close(struct cli_ctl_edit *edit)
{
	if (!edit)
		return;
	if (edit->history && edit->line)
		history_save(edit);
	if (edit->line)
		library.el_end(edit->line);
	if (edit->history)
		library.history_end(edit->history);
	free(edit->history_path);
	free(edit);
}
