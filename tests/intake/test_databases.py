"""Lists from databases: a DuckDB file, and a real PostgreSQL server where one is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from grouper.errors import CaseTableError
from grouper.intake.layout import load_layout
from tests.intake.lists import imported, lists, write_csv

_QUERIES = """
[tables.setlinfo]
query = "SELECT * FROM lists.setlinfo WHERE adm_time < '2030-01-01' ORDER BY mdtrt_id;"
[tables.diseinfo]
query = "SELECT * FROM lists.setl_list_diag_d"
[tables.oprninfo]
query = "SELECT * FROM lists.oprninfo"
[tables.iteminfo]
query = "SELECT mdtrt_id, med_chrgitm, replace(amt, ',', '')::numeric AS amt FROM lists.iteminfo"
[tables.payinfo]
query = "SELECT mdtrt_id, fund_pay_type, fund_payamt::numeric(16,2) fund_payamt FROM lists.payinfo"
[tables.icuinfo]
query = "SELECT * FROM lists.icuinfo"
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("expected")
    imported(write_csv(folder / "in", lists()), folder / "cases")
    return (folder / "cases" / "part-00000.parquet").read_bytes()


def _renamed() -> dict[str, list[dict[str, object]]]:
    tables = lists()
    tables["setl_list_diag_d"] = tables.pop("diseinfo")
    return tables


def test_a_duckdb_file_by_names_and_by_queries(expected: bytes, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "in", _renamed())
    database = tmp_path / "bureau.duckdb"
    with duckdb.connect(str(database)) as db:
        db.execute("CREATE SCHEMA lists")
        for file in source.glob("*.csv"):
            db.execute(
                f"CREATE TABLE lists.{file.stem} AS FROM read_csv('{file}', all_varchar = true)"
            )
    _, _, done = imported(database, tmp_path / "named")
    path = tmp_path / "layout.toml"
    path.write_text(_QUERIES, "utf-8")
    imported(database, tmp_path / "asked", load_layout(path))
    for out in ("named", "asked"):
        assert (tmp_path / out / "part-00000.parquet").read_bytes() == expected
    assert "no ORDER BY" in done.understood.notes[0]
    path.write_text(_QUERIES.replace("lists.icuinfo", "lists.nowhere"), "utf-8")
    with pytest.raises(CaseTableError, match="nowhere"):
        imported(database, tmp_path / "more", load_layout(path))
    database.write_bytes(b"no database, " * 1000)
    with pytest.raises(CaseTableError, match="cannot be opened"):
        imported(database, tmp_path / "more")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server of our own."""
    programs = [shutil.which(name) for name in ("initdb", "pg_ctl", "psql")]
    user = "postgres" if os.getuid() == 0 else None
    if not all(programs):
        pytest.skip("PostgreSQL is not installed (initdb, pg_ctl, psql)")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if user:
        try:
            shutil.chown(folder, user)
        except LookupError:
            pytest.skip("the server does not run as root, and there is no user postgres")

    def run(*words: str) -> None:
        command = [str(word) for word in words]
        subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder)

    try:
        run("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "tester", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        start = ["pg_ctl", "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", options]
        run(*start, "start")
        try:
            yield f"postgresql://tester:secret@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def test_postgresql_through_adbc(server: str, expected: bytes, tmp_path: Path) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA lists")
        for name, rows in _renamed().items():
            types = ", ".join(f"{column} varchar" for column in rows[0])
            cursor.execute(f"CREATE TABLE lists.{name} ({types})")
            places = ", ".join(f"${at + 1}" for at in range(len(rows[0])))
            values = [tuple(row.values()) for row in rows]
            cursor.executemany(f"INSERT INTO lists.{name} VALUES ({places})", values)
        cursor.execute(
            "ALTER TABLE lists.setlinfo ALTER adm_time TYPE timestamptz"
            " USING (adm_time || '+08')::timestamptz, ALTER gend TYPE smallint"
            " USING CASE gend WHEN '女' THEN 2 ELSE gend::smallint END,"
            " ALTER psn_selfpay TYPE numeric(16,2) USING psn_selfpay::numeric"
        )
        connection.commit()
    path = tmp_path / "layout.toml"
    path.write_text(_QUERIES, "utf-8")
    cases, _, done = imported(server, tmp_path / "cases", load_layout(path))
    assert [case["case_id"] for case in cases] == ["A1", "A2"]
    assert (tmp_path / "cases" / "part-00000.parquet").read_bytes() == expected
    _, _, named = imported(server, tmp_path / "named")
    assert named.counts == done.counts
    path.write_text(_QUERIES.replace("lists.icuinfo", "lists.nowhere"), "utf-8")
    with pytest.raises(CaseTableError, match="nowhere") as caught:
        imported(server, tmp_path / "more", load_layout(path))
    assert "secret" not in str(caught.value)
    with pytest.raises(CaseTableError, match="cannot be opened") as caught:
        imported(server.replace("host=", "host=/nowhere"), tmp_path / "more")
    assert "secret" not in str(caught.value)
