/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over each file of a folder, in builds without libFuzzer. usage: replay FOLDER
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	struct stat st;
	FILE *file = fopen(path, "rb");

	if (!file || fstat(fileno(file), &st)) {
		perror(path);
		if (file)
			fclose(file);
		return -1;
	}
	size_t size = (size_t)st.st_size;
	/* Exactly as large as the input, so that a read past its end is seen. */
	uint8_t *data = malloc(size ? size : 1);
	int result = -1;

	if (data && fread(data, 1, size, file) == size)
		result = LLVMFuzzerTestOneInput(data, size);
	free(data);
	fclose(file);
	return result;
}

int main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	char path[PATH_MAX];
	unsigned count = 0;

	if (!folder) {
		fprintf(stderr, "usage: replay FOLDER\n");
		return 2;
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		if (replay(path)) {
			fprintf(stderr, "%s: failed\n", path);
			closedir(folder);
			return 1;
		}
		count++;
	}
	closedir(folder);
	printf("%u inputs\n", count);
	return count == 0; /* an empty corpus would prove nothing */
}
