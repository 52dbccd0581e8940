"""Writes the Python code of the service contract: `make proto`.

The compiler names modules by their path below `proto/`; in `cluster` they lie one folder deeper,
so their imports of each other are made relative.
"""

import argparse
import re
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
TARGET = PROTO.parent / "cluster"
_IMPORT = re.compile(r"^from drg\.v1 import (\w+)( as \w+)?$", re.MULTILINE)


def generate(target: Path) -> list[Path]:
    """Writes the modules below `target/drg/v1` and returns their paths in order."""
    target.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("drg/v1/*.proto"))
    plugin = Path(sys.executable).parent / "protoc-gen-mypy_grpc"
    arguments = [
        "protoc",
        f"--proto_path={PROTO}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--plugin=protoc-gen-mypy_grpc={plugin}",
        f"--python_out={target}",
        f"--pyi_out={target}",
        f"--grpc_python_out={target}",
        f"--mypy_grpc_out=quiet:{target}",
        *sources,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("the proto files do not compile: see the messages above")
    written = []
    for path in sorted((target / "drg" / "v1").glob("*.py*")):
        text = path.read_text(encoding="utf-8")
        if path.name.split(".")[0].endswith("_grpc") and "Stub" not in text:
            path.unlink()  # a file of messages only needs no service code
            continue
        path.write_text(_IMPORT.sub(r"from . import \1\2", text), encoding="utf-8")
        written.append(path)
    for folder in (target / "drg", target / "drg" / "v1"):
        package = folder / "__init__.py"
        package.write_text('"""Generated from proto/drg by `make proto`."""\n', encoding="utf-8")
        written.append(package)
    return sorted(set(written))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET, help="folder to write below")
    generate(parser.parse_args().target)
