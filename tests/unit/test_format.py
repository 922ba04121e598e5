# SPDX-License-Identifier: Apache-2.0
"""Every C file is as clang-format writes it, every text file ends its lines well and names its licence in its first lines.

Usage: test_format.py CLANG_FORMAT SOURCE_FOLDER"""
import pathlib
import subprocess
import sys

CLANG_FORMAT, TOP = sys.argv[1], pathlib.Path(sys.argv[2])
LICENSED = {".c", ".h", ".py", ".sql", ".cmake", ".js", ".sh", ".pl"}
NEVER = {"build", ".git"}


def files():
    for path in sorted(TOP.rglob("*")):
        if path.is_file() and not path.is_symlink() and not NEVER & set(path.relative_to(TOP).parts):
            yield path


def format_faults(paths):
    """One process for all: starting it takes longer than its work."""
    done = subprocess.run([CLANG_FORMAT, "--dry-run", "-Werror", *paths], text=True, stderr=subprocess.PIPE, check=False)
    return [line for line in done.stderr.splitlines() if "error: " in line] or [done.stderr] if done.returncode else []


def text_faults(path):
    text = path.read_bytes()
    if path.suffix in LICENSED and b"SPDX-License-Identifier: Apache-2.0" not in b"\n".join(text.split(b"\n")[:2]):
        yield f"{path}: no SPDX line at its head"
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.endswith((b" ", b"\t", b"\r")):
            yield f"{path}:{number}: ends in white space"
    if text and not text.endswith(b"\n"):
        yield f"{path}: its last line has no end"


def main():
    faults = format_faults([path for path in files() if path.suffix in {".c", ".h"}])
    for path in files():
        if path.suffix in LICENSED | {".txt", ".md"}:
            faults += text_faults(path)
    print("\n".join(faults) or "all files are well formed")
    sys.exit(1 if faults else 0)


main()
