"""What leaves: no id without its key, no small cell, and a line in the audit log for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from grouper.cli import export as commands
from grouper.cli.app import app
from grouper.errors import ExportError, GrouperError, KeyFileError, OutputError, RunError
from grouper.execution import LocalRunner
from grouper.export.keys import Key, new_key, read_key
from grouper.export.pseudonyms import Pseudonyms
from grouper.export.write import AUDIT, Wish, export
from grouper.run import rerun
from grouper.run.folder import read_manifest
from grouper.scheme import load_scheme
from grouper.settlement.policyfile import load_policy
from grouper.synth import synthesize
from grouper.web.runs import RunBook


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "data" / "region"
    synthesize(load_scheme("chs-core"), cases=1_200, hospitals=4, seed=8, out=folder)
    return folder


@pytest.fixture(scope="session")
def run(region: Path) -> Path:
    out = region.parent / "run"
    rerun(region, load_scheme("chs-core"), load_policy("guigang-points"), out, LocalRunner())
    return out


@pytest.fixture
def key(tmp_path: Path) -> Path:
    new_key(tmp_path / "region.key")
    return tmp_path / "region.key"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_pseudonyms_agree_over_tables_and_exports(
    run: Path, region: Path, key: Path, tmp_path: Path
) -> None:
    audit = tmp_path / "audit.jsonl"
    first = export(Wish(run, key, audit=audit), tmp_path / "one")
    second = export(
        Wish(region, key, dates="month", joins=[tmp_path / "one"], audit=audit), tmp_path / "two"
    )
    ids = [
        pq.read_table(tmp_path / "one" / name).column("case_id").to_pylist()
        for name in ("cases", "grouped", "points")
    ]
    assert ids[0] == ids[1] == ids[2]
    mine = pq.read_table(tmp_path / "two" / "cases")
    assert mine.column("case_id").to_pylist() == ids[0]
    lists = pq.read_table(region / "cases")
    for name in ("person_id", "case_id"):
        real, told = lists.column(name).to_pylist(), mine.column(name).to_pylist()
        # One pseudonym for one id, and the other way round.
        assert len(set(zip(real, told, strict=True))) == len(set(real)) == len(set(told))
        for path in tmp_path.rglob("*.parquet"):
            assert not set(filter(None, real)) & {
                text
                for column in pq.read_table(path).columns
                if pa.types.is_string(column.type)
                for text in column.to_pylist()
            }
    assert set(pc.day(mine.column("discharge_date")).to_pylist()) == {1}
    assert mine.column("dx").to_pylist() == lists.column("dx").to_pylist()
    assert first.manifest["pseudonyms"] == second.manifest["pseudonyms"]
    text = (tmp_path / "one" / "manifest.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert read_key(key).secret.hex() not in text
    found = lines(audit)
    assert [line["detail"] for line in found] == ["records", "records"]
    assert audit.stat().st_mode & 0o777 == 0o600


def test_kinds_of_ids_and_keys_are_kept_apart() -> None:
    one, two = Key("1", b"1" * 32), Key("2", b"2" * 32)
    ids = pa.array(["a", None, "a", ""])
    case, person = (Pseudonyms(one).column(name, ids) for name in ("case_id", "person_id"))
    assert case[0] == case[2]
    assert case[1].as_py() is None
    assert not {x for x in case.to_pylist() if x} & {x for x in person.to_pylist() if x}
    assert Pseudonyms(two).column("case_id", ids)[0] != case[0]
    assert Pseudonyms(one).column("case_id", ids.dictionary_encode()).equals(case)


def test_another_key_is_refused_and_nothing_is_written(
    run: Path, key: Path, tmp_path: Path
) -> None:
    audit = tmp_path / "audit.jsonl"
    export(Wish(run, key, audit=audit), tmp_path / "one")
    new_key(tmp_path / "other.key")
    with pytest.raises(ExportError, match="was made with the key"):
        export(
            Wish(run, tmp_path / "other.key", joins=[tmp_path / "one"], audit=audit),
            tmp_path / "two",
        )
    with pytest.raises(ExportError, match="is no export"):
        export(Wish(run, key, joins=[tmp_path], audit=audit), tmp_path / "two")
    assert not (tmp_path / "two").exists()
    assert len(lines(audit)) == 1


def test_a_key_file_is_its_owners_alone(run: Path, key: Path, tmp_path: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError, match="already"):
        new_key(key)
    with pytest.raises(KeyFileError, match="no key file"):
        read_key(tmp_path / "none")
    key.chmod(0o640)
    with pytest.raises(KeyFileError, match="mode 640"):
        read_key(key)
    key.chmod(0o600)
    with pytest.raises(KeyFileError, match="together with the data"):
        read_key(key, away_from=[tmp_path])
    link = run.parent / "linked"
    link.symlink_to(tmp_path)
    with pytest.raises(KeyFileError, match="together with the data"):
        read_key(link / key.name, away_from=[tmp_path])
    link.unlink()
    key.write_text(key.read_text().replace('"key": "', '"key": "00'), encoding="utf-8")
    with pytest.raises(KeyFileError, match="damaged"):
        read_key(key)


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({}, "carries pseudonyms"),
        ({"identified": True}, "needs a purpose"),
        ({"identified": True, "purpose": "  "}, "needs a purpose"),
        ({"identified": True, "purpose": "x", "key": Path("k")}, "either as they are"),
        ({"public": True, "identified": True}, "need neither"),
        ({"public": True, "least": 1}, "hides nobody"),
    ],
)
def test_a_wish_that_contradicts_itself_is_refused(
    run: Path, tmp_path: Path, wish: dict[str, Any], text: str
) -> None:
    with pytest.raises(ExportError, match=text):
        export(Wish(run, audit=tmp_path / "audit.jsonl", **wish), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_real_ids_leave_only_with_a_purpose_in_the_log(
    run: Path, region: Path, tmp_path: Path
) -> None:
    audit = tmp_path / "audit.jsonl"
    wish = Wish(run, identified=True, purpose="state audit 2024, letter 17", audit=audit)
    done = export(wish, tmp_path / "out")
    real = pq.read_table(region / "cases").column("person_id")
    assert pq.read_table(tmp_path / "out" / "cases").column("person_id").equals(real)
    (line,) = lines(audit)
    assert (line["detail"], line["purpose"]) == ("identified", wish.purpose)
    assert line["principal"]
    assert line["run_id"] == done.manifest["run"]
    # What cannot be logged does not leave.
    with pytest.raises(OutputError, match="audit log"):
        export(Wish(run, identified=True, purpose="x", audit=tmp_path), tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl", "out"]


def test_public_tables_hold_no_small_count(run: Path, tmp_path: Path) -> None:
    done = export(Wish(run, public=True, least=8, audit=tmp_path / "log"), tmp_path / "out")
    real = {
        name: pq.read_table(run / f"{name}.parquet").to_pylist()
        for name in ("statistics", "hospital_months", "months", "clearing", "benchmarks")
    }
    untold = 0
    for name, rows in real.items():
        told = pq.read_table(tmp_path / "out" / f"{name}.parquet").to_pylist()
        assert len(told) == len(rows)
        for mine, row in zip(told, rows, strict=True):
            if name == "benchmarks":
                continue
            if mine["suppressed"]:
                untold += 1
                assert all(
                    value is None
                    for field, value in mine.items()
                    if field not in ("drg", "level", "pool", "month", "hospital_id", "suppressed")
                )
            else:
                assert row == {field: mine[field] for field in row}
                assert row["cases"] == 0 or row["cases"] >= 8
    assert untold == sum(
        table["suppressed"] for name, table in done.manifest["suppressed"].items()
        if name != "benchmarks"
    )  # fmt: skip
    levels = {
        (row["drg"], row["level"])
        for row in pq.read_table(tmp_path / "out" / "statistics.parquet").to_pylist()
        if row["suppressed"]
    }
    for row in pq.read_table(tmp_path / "out" / "benchmarks.parquet").to_pylist():
        if (row["drg"], row["level"]) in levels:
            assert row["level_mean"] is row["coefficient"] is row["high_above"] is None
        if (row["drg"], 0) in levels:
            assert row["region_mean"] is row["weight"] is None
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not names & {"cases", "grouped", "points", "rejected.parquet"}


def test_the_commands_do_the_same(run: Path, tmp_path: Path) -> None:
    commands.register(app)
    cli = CliRunner()
    key, audit = str(tmp_path / "k"), str(tmp_path / "log")
    assert cli.invoke(app, ["key", "new", key]).exit_code == 0
    wanted = ["export", str(run), "--key", key, "--out", str(tmp_path / "out"), "--audit", audit]
    made = cli.invoke(app, wanted)
    assert made.exit_code == 0
    assert "under pseudonyms of key" in made.output
    again = cli.invoke(app, wanted)
    assert isinstance(again.exception, GrouperError)
    public = ["export", str(run), "--public", "--out", str(tmp_path / "p"), "--audit", audit]
    told = cli.invoke(app, public).output
    assert "rows without their figures, which would tell a count below 5" in told
    assert "clearing: all figures of " in told
    checked = cli.invoke(app, ["key", "check", key, str(tmp_path / "out")])
    assert "made with this key" in checked.output


def test_an_export_is_not_taken_for_a_run(run: Path, key: Path, tmp_path: Path) -> None:
    made = [tmp_path / "data" / name for name in ("secret", "public")]
    export(Wish(run, key, audit=tmp_path / "log"), made[0])
    export(Wish(run, public=True, audit=tmp_path / "log"), made[1])
    for folder in made:
        with pytest.raises(RunError, match="holds an export, not a run") as caught:
            read_manifest(folder)
        assert "delete" not in caught.value.hint
    assert RunBook([], tmp_path / "data").listed() == []
    assert [one.status.folder for one in RunBook([], run.parent).listed()] == [run]


def test_the_log_lies_beside_the_data_unless_named(run: Path, key: Path, tmp_path: Path) -> None:
    done = export(Wish(run, key), tmp_path / "out")
    assert done.audit == run.parent / AUDIT
    done.audit.unlink()
