"""Bytes that strangers may send, sought by atheris along the branches of our Python code.

    python benchmarks/fuzz.py [--seconds 60] [DECODER ...]

Decoders and their seeds are those of `tests/cluster/targets.py`. What was found to lead somewhere
new is kept in `.bench/fuzz/DECODER` and taken up the next time; an input that breaks a decoder is
written to `.bench/fuzz` and ends the script with 1: put it into `tests/cluster/seeds/DECODER`.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import DATA

FOLDER = DATA / "fuzz"
_MEMORY_MB = 4096


def fuzz(decoder: str, seconds: int) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    from grouper.kernels import load_all

    load_all()  # before: what numba compiles must stay as it is written
    with atheris.instrument_imports(include=["grouper", "cluster"], enable_loader_override=False):
        from tests.cluster.targets import TARGETS
    target = TARGETS[decoder]
    corpus = FOLDER / decoder
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-rss_limit_mb={_MEMORY_MB}", "-timeout=30"]
    options += ["-max_len=65536", f"-artifact_prefix={FOLDER}/{decoder}-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(corpus), *options], target.run)
    atheris.Fuzz()


def main() -> None:
    """Runs one decoder after the other, each in a process of its own, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("decoders", nargs="*", metavar="DECODER")
    parser.add_argument("--seconds", type=int, default=60, help="for each decoder")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        fuzz(given.only, given.seconds)
        return
    from tests.cluster.targets import TARGETS

    faults = 0
    print(f"{'decoder':10} {'inputs':>12} {'kept':>8}  outcome")
    for decoder in given.decoders or TARGETS:
        command = [sys.executable, __file__, "--only", decoder, "--seconds", str(given.seconds)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"number_of_executed_units: (\d+)", ended.stderr)
        kept = len(list((FOLDER / decoder).glob("*")))
        inputs = int(found[1]) if found else 0
        faulty = ended.returncode != 0 or not inputs
        faults += faulty
        print(f"{decoder:10} {inputs:>12,} {kept:>8,}  {'FAULT' if faulty else 'good'}", flush=True)
        if faulty:
            print(ended.stderr[-3000:], file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
