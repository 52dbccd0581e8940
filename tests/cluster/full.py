"""A run on a small disk: `python full.py REGION DISK SIZE LATER` in a mount namespace of its own.

Mounts a file system of SIZE on DISK, runs until it is full, makes it as large as LATER, and runs
again. With DISK `limit` the largest file is SIZE bytes instead, which needs no right to mount.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

COMMAND = (sys.executable, "-m", "grouper", "rerun")


def main() -> None:
    region, disk, size, later = sys.argv[1:]

    def run(limit: int | None) -> None:
        def limited() -> None:
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        names = ("--scheme", "chs-core", "--policy", "guigang-points", "--out", f"{disk}/run")
        ended = subprocess.run(
            [*COMMAND, region, *names],
            capture_output=True, text=True, timeout=120, check=False, preexec_fn=limited,
        )  # fmt: skip
        print(json.dumps([ended.returncode, ended.stdout, ended.stderr]), flush=True)

    Path(disk).mkdir(exist_ok=True)
    if size.isdigit():
        run(int(size))
        run(None)
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
    run(None)
    subprocess.run(["mount", "-o", f"remount,size={later}", disk], check=True)
    run(None)
    subprocess.run(["cp", "-r", f"{disk}/run", f"{disk}-kept"], check=True)


if __name__ == "__main__":
    main()
