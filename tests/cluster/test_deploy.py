"""The files of cluster/deploy, as far as they can be checked where no engine runs."""

import gzip
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.server.config import ServerConfig, TlsFiles
from cluster.server.principals import PrincipalEntry
from tests.conftest import PROJECT

DEPLOY = PROJECT / "cluster" / "deploy"
SCHEMAS = Path(__file__).parent / "schemas"


def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(gzip.decompress((SCHEMAS / f"{name}.json.gz").read_bytes()))
    return schema


def _closed(schema: Any) -> Any:
    """The schema with unknown fields refused: an API server would drop them without a word."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _closed(value) for key, value in schema.items()}
    whole = schema.get("x-kubernetes-int-or-string") or schema.get(
        "x-kubernetes-preserve-unknown-fields"
    )
    if whole and "type" not in schema:
        return {}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def _load(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize(
    ("file", "kind"), [("raycluster.yaml", "rayclusters"), ("rayjob.yaml", "rayjobs")]
)
def test_manifests_keep_the_operators_schema(file: str, kind: str) -> None:
    manifest = _load(file)
    schema = _closed(_schema(kind))
    schema["properties"]["metadata"] = {"type": "object"}
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(manifest)
    manifest["spec"]["headGroupSpecs"] = {}
    assert not validator.is_valid(manifest)


def test_the_compose_file_keeps_its_schema() -> None:
    jsonschema.Draft7Validator(_schema("compose")).validate(_load("compose.yaml"))


def test_the_image_is_linted() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    told = subprocess.run(
        [hadolint, "--no-color", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (0, "")


def test_what_the_image_copies_is_there_and_its_commands_are_ours() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((PROJECT / name).exists() for name in sources.split())
    help_text = subprocess.run(
        [sys.executable, "-m", "grouper", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in ("warmup", "doctor", "serve", "rerun"):
        assert re.search(rf"^\s*\W?\s*{command}\b", help_text, re.MULTILINE), command
    assert "NUMBA_CPU_NAME=" in text.split("grouper warmup")[0]


def test_ray_in_the_manifests_is_the_locked_one() -> None:
    clusters = (_load("raycluster.yaml")["spec"], _load("rayjob.yaml")["spec"]["rayClusterSpec"])
    assert [spec["rayVersion"] for spec in clusters] == [version("ray")] * 2


def test_the_image_holds_what_the_operator_talks_to() -> None:
    """KubeRay's probes and jobs go through Ray's dashboard, which Ray alone does not bring."""
    pins = [
        dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)", file.read_text(), re.MULTILINE))
        for file in (DEPLOY / "kuberay.lock", PROJECT / "requirements.lock")
    ]
    more, ours = pins
    assert {"ray", "aiohttp", "aiohttp-cors", "opencensus"} <= more.keys()
    assert all(more[name] == ours[name] for name in more.keys() & ours.keys())
    assert "://" not in (DEPLOY / "kuberay.lock").read_text()
    assert "-r requirements.lock -r kuberay.lock" in (DEPLOY / "Dockerfile").read_text()


def test_the_shipped_settings_are_taken(tmp_path: Path) -> None:
    settings = tomllib.loads((DEPLOY / "server.toml").read_text())
    principals = tomllib.loads((DEPLOY / "principals.example.toml").read_text())
    del settings["principals_file"]
    config = ServerConfig.model_validate({**settings, "data": tmp_path, **principals})
    assert isinstance(config.tls, TlsFiles)
    assert all(isinstance(one, PrincipalEntry) for one in config.principals)
