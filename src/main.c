/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main: the only exit of the process is here.
 */
#include "cli/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
