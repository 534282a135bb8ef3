/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables: what the manual pages and the example say of keys, bits and verbs, from the tables that the program
 * itself reads, so that they cannot drift. Runs when the tree is built. mdoc(7).
 *
 *   tables page FRAME     copies a frame; its lines like @keys@ (sections[]) become tables
 *   tables example        prints a configuration that holds every key with its default
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"
#include "vmm/config.h"
#include "vmm/machine.h"

/* ---- mdoc ---- */

static void put_word(const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (word[i] == '\\')
			fputs("\\e", stdout);
		else if (word[i] == '"')
			fputs("\\(dq", stdout);
		else
			putchar(word[i]);
	}
}

/* Text in which nothing means anything to mdoc; lines are short, and a sentence ends with its line. */
static void put_text(const char *text)
{
	const size_t width = 72;
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " \n");

		if (column + word > width && column) {
			putchar('\n');
			column = 0;
		}
		if (!column && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		else if (column)
			putchar(' ');
		put_word(text, word);
		column += word + 1;
		if (word && text[word - 1] == '.')
			column = width;
		text += word + strspn(text + word, " \n");
	}
	if (column)
		putchar('\n');
}

/* An argument of a macro: one word, or quoted. */
static void put_argument(const char *text)
{
	fputs(" \"", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '"')
			fputs("\\(dq", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
	putchar('"');
}

/* ---- keys ---- */

static void put_type(const struct config_key *key)
{
	char min[CONFIG_SIZE_TEXT_BYTES], max[CONFIG_SIZE_TEXT_BYTES], words[CONFIG_WORDS_TEXT_BYTES];

	switch (key->type) {
	case CONFIG_BOOL: printf("true or false"); break;
	case CONFIG_NUMBER:
		printf("a number%s%s from %" PRIu64 " to %" PRIu64, key->unit ? " of " : "", key->unit ?: "",
		        key->min, key->max);
		break;
	case CONFIG_SIZE:
		printf("a size from %s to %s", config_size_text(key->min, min),
		        config_size_text(key->max, max));
		break;
	case CONFIG_STRING:
		printf("text of %s%" PRIu64 " bytes", key->min ? "1 to " : "at most ", key->max);
		break;
	case CONFIG_PATH: printf("a file to be read"); break;
	case CONFIG_OUTPUT:
	case CONFIG_OUTPUT_WHOLE: printf("a file to be written"); break;
	case CONFIG_WORD: printf("%s", config_words_text(key->words, ~0u, words)); break;
	case CONFIG_HEX:
		if (key->min != key->max)
			printf("%" PRIu64 " to ", key->min);
		printf("%" PRIu64 " hexadecimal digits, or nothing", key->max);
		break;
	case CONFIG_UUID: printf("a UUID, or nothing"); break;
	case CONFIG_MAC: printf("an address such as 52:54:00:12:34:56, or nothing"); break;
	case CONFIG_FD: printf("a number of an open descriptor or null"); break;
	case CONFIG_REGISTER: printf("a number of 32 bits or null"); break;
	case CONFIG_POLICY:
	case CONFIG_FEATURES: printf("a number, words or null"); break;
	}
}

/* What a key takes from others. */
static void put_conditions(const struct config_key *key)
{
	char words[CONFIG_WORDS_TEXT_BYTES];

	if (key->types)
		printf("It is for\n.Ic sev.type\n%s.\n",
		        config_words_text(config_key_find("sev.type")->words, key->types, words));
	if (key->needs)
		printf("It needs\n.Ic %s\ntoo.\n", key->needs);
}

static void put_keys(void)
{
	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];

		printf(".It Ic %s No \"(", key->name);
		put_type(key);
		fputs("; default\" Li", stdout);
		put_argument(key->def);
		puts(" )");
		put_text(key->help);
		put_conditions(key);
	}
	puts(".El");
}

/* The keys of devices. A row for several drivers names them all. */
static void put_devices(void)
{
	char words[CONFIG_WORDS_TEXT_BYTES];

	puts(".Bl -tag -width Ds");
	for (size_t i = 0; i < config_device_keys_count; i++) {
		const struct config_key *key = &config_device_keys[i];

		printf(".It Ic %s No \"(", key->name);
		put_type(key);
		if (key->def) {
			fputs("; default\" Li", stdout);
			put_argument(key->def);
			puts(" )");
		} else {
			puts("; required)\"");
		}
		if (key->types)
			printf("For %s:\n", config_words_text(config_driver_words, key->types, words));
		put_text(key->help);
	}
	puts(".El");
}

static void put_bits(const struct config_bit *bits)
{
	puts(".Bl -tag -width Ds -compact");
	for (; bits->name; bits++) {
		printf(".It Cm %s No (0x%" PRIx64 ")\n", bits->name, bits->bits);
		put_text(bits->help);
	}
	puts(".El");
}

static void put_policy(void)
{
	puts("For\n.Cm sev\nand\n.Cm sev-es :\n.Pp");
	put_bits(config_sev_policy_bits);
	puts(".Pp\nFor\n.Cm sev-snp :\n.Pp");
	put_bits(config_snp_policy_bits);
}

static void put_features(void)
{
	put_bits(config_vmsa_feature_bits);
}

static void put_cpus(void)
{
	const char *name;

	fputs(".Bd -ragged -offset indent -compact\n", stdout);
	for (size_t i = 0; (name = machine_cpu_model_name(i)); i++)
		printf(".Cm %s%s\n", name, machine_cpu_model_name(i + 1) ? " ," : "");
	puts(".Ed");
}

/* ---- verbs ---- */

static void put_option(const struct cli_option *o)
{
	printf(".It Fl \\-%s", o->name);
	if (o->arg) {
		fputs(" Ar", stdout);
		put_argument(o->arg);
	}
	putchar('\n');
	put_text(o->help);
	if (o->repeats)
		puts("May be given more than once.");
}

static void put_verb(const struct cli_verb *verb)
{
	printf(".It Nm Cm %s%s", verb->name, verb->options ? " Oo Ar option ... Oc" : "");
	if (*verb->operands) {
		fputs(" Ar", stdout);
		put_argument(verb->operands);
	}
	printf("\n%c%s.\n", verb->summary[0] & ~0x20, verb->summary + 1);
	put_text(verb->help);
	if (!verb->options)
		return;
	puts(".Bl -tag -width Ds");
	for (const struct cli_option *o = verb->options; o->name; o++)
		put_option(o);
	puts(".El");
}

static void put_verbs(void)
{
	puts(".Bl -tag -width Ds");
	for (const struct cli_verb *const *v = cli_verbs; *v; v++)
		put_verb(*v);
	puts(".El");
}

/* ---- pages ---- */

static const struct section {
	const char *line;
	void (*put)(void);
} sections[] = {
        {"@keys@\n", put_keys},
        {"@devices@\n", put_devices},
        {"@policy@\n", put_policy},
        {"@features@\n", put_features},
        {"@cpus@\n", put_cpus},
        {"@verbs@\n", put_verbs},
};

/*
 * The word vmm in a page is the program's name, the word VMM in its title the same in capitals. There is a
 * character before the text.
 */
static void put_renamed(FILE *out, const char *text)
{
	static const char name[] = VMM_PROGRAM, title[] = ".Dt VMM";

	while (*text) {
		bool starts = !isalnum((unsigned char)text[-1]);

		if (strncmp(text, title, strlen(title)) == 0) {
			fputs(".Dt ", out);
			for (const char *c = name; *c; c++)
				fputc(toupper((unsigned char)*c), out);
			text += strlen(title);
		} else if (starts && strncmp(text, "vmm", 3) == 0 && !isalnum((unsigned char)text[3])) {
			fputs(name, out);
			text += 3;
		} else {
			fputc(*text++, out);
		}
	}
}

static int put_page(const char *path)
{
	auto_fclose FILE *frame = fopen(path, "r");
	FILE *out = stdout;
	auto_free char *text = NULL;
	char line[1000];
	size_t size;

	stdout = open_memstream(&text, &size); /* glibc lets it be set; the sections print there */
	if (!frame || !stdout) {
		perror(path);
		return 1;
	}
	putchar('\0'); /* something before the first character */
	while (fgets(line, sizeof(line), frame)) {
		const struct section *s = sections;

		while (s < sections + ARRAY_LEN(sections) && strcmp(s->line, line) != 0)
			s++;
		if (s < sections + ARRAY_LEN(sections))
			s->put();
		else
			fputs(line, stdout);
	}
	fclose(stdout);
	stdout = out;
	put_renamed(out, text + 1);
	return 0;
}

/* ---- the example ---- */

static size_t section_bytes(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? (size_t)(dot - name) : 0;
}

static int put_example(void)
{
	const char *section = "";
	size_t bytes = 0;

	putchar('{');
	for (size_t i = 0; i < config_keys_count; i++) {
		const char *name = config_keys[i].name;

		if (section_bytes(name) != bytes || strncmp(name, section, bytes) != 0) {
			if (bytes)
				printf("\n  }");
			section = name;
			bytes = section_bytes(name);
			printf("%s\n", i ? "," : "");
			if (bytes)
				printf("  \"%.*s\": {\n", (int)bytes, name);
		} else {
			puts(i ? "," : "");
		}
		printf("%s\"%s\": %s", bytes ? "    " : "  ", name + bytes + (bytes > 0), config_keys[i].def);
	}
	puts(bytes ? "\n  },\n  \"devices\": []\n}" : ",\n  \"devices\": []\n}");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "page") == 0)
		return put_page(argv[2]);
	if (argc == 2 && strcmp(argv[1], "example") == 0)
		return put_example();
	fprintf(stderr, "usage: tables page FRAME | tables example\n");
	return 2;
}
