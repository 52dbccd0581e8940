"""How result tables are stored."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from grouper.parts import ParquetFile


def test_amounts_are_stored_as_integers_in_deltas(tmp_path: Path) -> None:
    most = Decimal("9999999999999999.99")
    amounts = [Decimal("0.01"), None, -most, most]
    table = pa.table(
        {
            "case_id": pa.array(["a", "b", "c", "d"]),
            "total_cost": pa.array(amounts, pa.decimal128(18, 2)),
            "paid": pa.array(amounts, pa.decimal128(18, 2)),
            "points": pa.array(amounts, pa.decimal128(24, 8)),
        }
    )
    path = tmp_path / "part.parquet"
    with ParquetFile(path, table.schema, plain=("case_id", "total_cost", "points")) as out:
        for batch in table.to_batches():
            out.write(batch)
    with pq.ParquetFile(path) as file:
        assert file.read().equals(table)
        group = file.metadata.row_group(0)
    stored = [group.column(i) for i in range(group.num_columns)]
    assert [one.physical_type for one in stored] == [
        *("BYTE_ARRAY", "INT64", "INT64", "FIXED_LEN_BYTE_ARRAY")
    ]
    assert "DELTA_BINARY_PACKED" in stored[1].encodings
    assert "RLE_DICTIONARY" in stored[2].encodings
