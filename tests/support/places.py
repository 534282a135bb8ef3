# SPDX-License-Identifier: Apache-2.0
"""Where scripts/setup keeps firmware images and the lab. The rule is that of scripts/lib.sh, for tests that were not started by a
script: tests/scripts/scripts.py compares the two."""
import os
import pathlib

CACHE = pathlib.Path(os.environ.get('VMM_CACHE') or (os.environ.get('XDG_CACHE_HOME') or '~/.cache') + '/vmm').expanduser().absolute()
