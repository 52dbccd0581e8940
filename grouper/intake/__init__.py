"""Settlement lists as a bureau has them: the tables of the national interface, joined into cases.

Sources become batches (`sources`, `documents`, `sheets`, `databases`), batches become typed rows in
a work database on disk (`stage`), rows become cases or are rejected with a reason (`join`), and
cases become Parquet parts (`importing`).
"""
