"""Tables of cases as other libraries hand them over."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from grouper.errors import CaseTableError


def as_table(given: Any) -> pa.Table:
    """A table of pyarrow, pandas, Polars or DuckDB, a record batch, or a reader of batches.

    Raises:
        CaseTableError: it is no table.
    """
    try:
        return without_views(given if isinstance(given, pa.Table) else pa.table(given))
    except (TypeError, ValueError) as cause:
        raise CaseTableError(
            f"this is no table of cases but {type(given).__name__}",
            hint="give a pyarrow.Table: pyarrow.Table.from_pylist makes one of dictionaries",
        ) from cause


def without_views(table: Any) -> Any:
    """A table or batch with its string views, as Polars writes them, as large strings."""
    for at, field in enumerate(plain_schema(table.schema)):
        if field.type != table.schema.field(at).type:
            table = table.set_column(at, field, table.column(at).cast(field.type))
    return table


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema that `without_views` gives a table."""
    return pa.schema([field.with_type(_plain(field.type)) for field in schema])


def _plain(kind: pa.DataType) -> pa.DataType:
    if kind == pa.string_view():
        return pa.large_string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        item = kind.value_field.with_type(_plain(kind.value_type))
        return pa.list_(item) if pa.types.is_list(kind) else pa.large_list(item)
    return kind
