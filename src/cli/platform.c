/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform: `vmm platform` starts another program with the software platform in the place of KVM: with
 * libvmm-platform.so (the room preload) before libc. Main thread.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/config.h"
#include "vmm/sim.h"

#include "hosts.h"
#include "verbs.h"

#define LIBRARY "libvmm-platform.so"

/* ---- the library ---- */

/* In a build folder the library lies beside this program's folder, otherwise where it was installed. */
static int find_library(char *path, size_t size, struct err *err)
{
	char own[PATH_MAX] = "";
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash = length > 0 ? strrchr(own, '/') : NULL;

	if (slash) {
		*slash = '\0';
		if ((size_t)snprintf(path, size, "%s/preload/" LIBRARY, own) < size &&
		        access(path, R_OK) == 0)
			return 0;
	}
	if ((size_t)snprintf(path, size, "%s/" LIBRARY, VMM_LIBRARIES) < size && access(path, R_OK) == 0)
		return 0;
	return err_set(err, ERR_FAILED, "%s is not there, and not beside %s either: install vmm whole", path,
	        slash ? own : "this program");
}

/* ---- the program ---- */

static bool is_program(const char *path)
{
	struct stat facts;

	return access(path, X_OK) == 0 && stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

/* Writes the path that execvp(3) would take: a name in PATH that is empty is that of this folder. */
static int find_program(const char *name, char *path, size_t size, struct err *err)
{
	const char *folder = getenv("PATH") ?: "/bin:/usr/bin";

	if (strchr(name, '/'))
		return (size_t)snprintf(path, size, "%s", name) < size
		               ? 0
		               : err_set(err, ERR_USAGE, "%s: the name is too long", TEXT_VALUE(name));
	for (const char *end; *name; folder = end + 1) {
		int length = (int)((end = strchrnul(folder, ':')) - folder);

		if ((size_t)snprintf(path, size, "%.*s%s%s", length, folder, length ? "/" : "./", name) <
		                size &&
		        is_program(path))
			return 0;
		if (!*end)
			break;
	}
	return err_set(err, ERR_USAGE, "%s is no program in the folders of PATH", TEXT_VALUE(name));
}

static bool has_loader(int fd, const Elf64_Ehdr *header)
{
	for (unsigned i = 0; i < header->e_phnum; i++) {
		off_t at = (off_t)header->e_phoff + (off_t)(i * sizeof(Elf64_Phdr));
		Elf64_Phdr segment;

		if (pread(fd, &segment, sizeof(segment), at) != sizeof(segment))
			return false;
		if (segment.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* A dynamic loader that is started by its name has none itself, and is a shared object. */
static bool is_loader(const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	return strncmp(name, "ld-linux", strlen("ld-linux")) == 0 ||
	       strncmp(name, "ld.so", strlen("ld.so")) == 0;
}

/* A script, which begins with "#!", is its interpreter's business. */
static int check_elf(const char *path, int fd, const Elf64_Ehdr *header, struct err *err)
{
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64)
		return err_set(err, ERR_USAGE,
		        "%s is no program for x86-64, as which alone the software platform can serve one",
		        path);
	if (header->e_phentsize != sizeof(Elf64_Phdr) || (!has_loader(fd, header) && !is_loader(path)))
		return err_set(err, ERR_USAGE,
		        "%s is linked statically, so no library can be put under it and it would open the "
		        "real "
		        "/dev/kvm: build it without -static",
		        path);
	return 0;
}

static int check_program(const char *path, struct err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header = {0};
	struct stat facts;

	if (fd < 0 || fstat(fd, &facts) < 0)
		return err_sys(err, ERR_USAGE, errno, "%s", path);
	if (facts.st_mode & (S_ISUID | S_ISGID) && geteuid() != 0)
		return err_set(err, ERR_USAGE,
		        "%s changes its user or group when it is started, and the dynamic loader puts no "
		        "library "
		        "under such a program: start it as that user",
		        path);
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return 0;
	return check_elf(path, fd, &header, err);
}

/* ---- its environment ---- */

static int set(const char *name, const char *value, struct err *err)
{
	return setenv(name, value, true) == 0 ? 0 : err_sys(err, ERR_FAILED, errno, "%s", name);
}

/* Other libraries that were to be loaded first come behind this one. */
static int set_preload(const char *library, struct err *err)
{
	const char *others = getenv("LD_PRELOAD");
	auto_free char *all = NULL;

	if (strpbrk(library, " :"))
		return err_set(err, ERR_FAILED,
		        "%s: the dynamic loader takes no library with a space or a colon in its path: "
		        "install vmm "
		        "elsewhere",
		        library);
	if (asprintf(&all, "%s%s%s", library, others && *others ? ":" : "", others ?: "") < 0)
		return err_sys(err, ERR_FAILED, ENOMEM, "LD_PRELOAD");
	return set("LD_PRELOAD", all, err);
}

/* The program may go to another folder before it opens a device. */
static int set_trace(const char *path, struct err *err)
{
	auto_free char *folder = *path == '/' ? strdup("") : getcwd(NULL, 0);
	auto_free char *whole = NULL;

	if (!folder || asprintf(&whole, "%s%s%s", folder, *folder ? "/" : "", path) < 0)
		return err_sys(err, ERR_FAILED, errno, "--trace %s", path);
	return set(SIM_ENV_TRACE, whole, err);
}

static int set_options(const struct cli_args *args, struct err *err)
{
	size_t count;
	const char *const *words = cli_values(args, "set", &count);
	struct config *config;
	auto_free char *text = NULL;
	int result;

	for (size_t i = 0; i < count; i++) {
		if (strncmp(words[i], "sim.", strlen("sim.")) != 0)
			return err_set(err, ERR_USAGE,
			        "%s: the guest is the program's; vmm platform takes the keys below sim alone",
			        TEXT_VALUE(words[i]));
	}
	if (cli_config_load_bare(args, &config, err) < 0)
		return -1;
	config->host = CONFIG_HOST_SIM;
	result = cli_sim_check(config, err);
	if (result == 0)
		result = cli_sim_text(config, &text, err);
	if (result == 0)
		result = set(SIM_ENV_OPTIONS, text, err);
	config_destroy(config);
	return result;
}

static int run_verb(const struct cli_args *args, struct err *err)
{
	const char *trace = cli_value(args, "trace");
	char library[PATH_MAX], program[PATH_MAX];
	int count = cli_operand_count(args);
	auto_free char **words = calloc((size_t)count + 1, sizeof(*words));

	if (!words)
		return err_sys(err, ERR_FAILED, ENOMEM, "no memory for the command line");
	if (find_library(library, sizeof(library), err) < 0 ||
	        find_program(cli_operand(args, 0), program, sizeof(program), err) < 0 ||
	        check_program(program, err) < 0 || set_options(args, err) < 0 ||
	        (trace && set_trace(trace, err) < 0) ||
	        (cli_given(args, "explain") && set(SIM_ENV_EXPLAIN, "1", err) < 0) ||
	        set_preload(library, err) < 0)
		return -1;
	for (int i = 0; i < count; i++)
		words[i] = (char *)(uintptr_t)cli_operand(args, i);
	fprintf(stderr, "%s\n", CLI_SIMULATED);
	execv(program, words);
	return err_sys(err, ERR_FAILED, errno, "%s cannot be started", program);
}

static const struct cli_option options[] = {
        CLI_OPTION_SET,
        {"trace", "FILE",
                "Write a line for each call of the program to KVM and the secure processor to FILE, and for "
                "each page that a launch measures, for vmm measure --compare FILE. A "
                "process "
                "that comes when another one has the file writes FILE.PID, with its own number."},
        {"explain", NULL,
                "Say on standard error what the program's launches are: what each command has measured and "
                "the "
                "digest after it, kind, policy and digest at the end, as vmm measure --rows has them; and of "
                "each "
                "command that is refused the cause and what helps."},
        {0},
};

const struct cli_verb cli_verb_platform = {
        .name = "platform",
        .operands = "PROGRAM [ARG]...",
        .operands_min = 1,
        .operands_max = INT_MAX,
        .passes_on = true,
        .summary = "run another program with the software platform as its KVM",
        .help = "Starts PROGRAM, which is not changed, with /dev/kvm, /dev/sev, the files that describe KVM "
                "and its own CPUID instructions answered by the software platform: QEMU, a test of the "
                "kernel's, "
                "any program that launches guests. No /dev/kvm is needed, and nothing protects the guest. "
                "The "
                "keys below sim say what processor it is; see vmm.conf(5).",
        .options = options,
        .run = run_verb,
};
