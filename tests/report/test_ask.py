"""Questions in SQL: every table is a view, and nothing can be changed."""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from grouper.errors import OutputError, RunError
from grouper.report import Run
from grouper.report.ask import answer
from tests.report.conftest import command


def test_tables_are_views(run: Run) -> None:
    found = run.sql(
        "select count(*) as n, sum(points) as points from cases join points using (case_id) "
        "join grouped using (case_id) where route = 'drg'"
    )
    months = run.table("months")
    assert found.column("n")[0].as_py() == sum(months.column("cases").to_pylist())
    assert found.column("points")[0].as_py() == sum(months.column("points").to_pylist())


@pytest.mark.parametrize(
    "query",
    [
        "copy points to 'stolen.csv'",
        "create table x as select 1",
        "select 1; select 2",
        "drop view points",
        "set enable_external_access=true",
        "attach 'x.db'",
    ],
)
def test_only_questions_that_read_are_answered(run: Run, query: str) -> None:
    with pytest.raises(RunError, match="question that reads"):
        run.sql(query)


def test_other_files_are_out_of_reach(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with pytest.raises(RunError, match="Permission"):
        run.sql(f"select * from read_csv('{secret}')")


def test_faults_are_told(run: Run) -> None:
    with pytest.raises(RunError, match="poinst") as told:
        run.sql("select * from poinst")
    assert "points" in told.value.hint
    for query, told_of in (("selct 1", "Parser"), ("select nope from clearing", "nope")):
        with pytest.raises(RunError, match=told_of) as told:
            run.sql(query)
        assert "clearing, " in told.value.hint
        assert "docs/regions-and-runs.md" in told.value.hint
    assert run.sql("describe clearing").num_rows
    with pytest.raises(RunError, match="Conversion"):
        answer(run, "select cast(pool as integer) from months").head(1)


def test_answers_are_kept_as_csv_and_parquet(run: Run, tmp_path: Path) -> None:
    query = "select month, point_value from months order by all"
    for name in ("a.csv", "a.parquet"):
        assert answer(run, query).write(tmp_path / name) == run.table("months").num_rows
    read = pq.read_table(tmp_path / "a.parquet")
    assert str(read.schema.field("point_value").type) == "decimal128(20, 8)"
    assert (tmp_path / "a.csv").read_bytes().startswith(b'\xef\xbb\xbf"month","point_value"')
    assert pacsv.read_csv(tmp_path / "a.csv").num_rows == read.num_rows
    with pytest.raises(OutputError, match="neither"):
        answer(run, query).write(tmp_path / "a.txt")


def test_the_command(folder: Path, tmp_path: Path) -> None:
    done = command("sql", folder, "select '[red]x' as t, 1.50::decimal(9,2) as n")
    assert done.exit_code == 0, done.output
    assert "[red]x" in done.output
    assert "1.50" in done.output
    done = command("sql", folder, "select * from cases", "--rows", "2")
    assert "first 2 rows" in done.output
    done = command("sql", folder, "select 1 as a", "--out", tmp_path / "x.parquet")
    assert "1 row written" in done.output
    done = command("sql", folder, "delete from months")
    assert isinstance(done.exception, RunError)
    assert "never changed" in done.exception.hint
