"""What leaves the bureau: records under pseudonyms, or public tables without small cells.

`keys` holds the region's key, `pseudonyms` turns ids into keyed hashes, `records` writes the tables
of one row per case, `suppress` decides which cells of a public table stay untold, `public` writes
such tables. `write` ties them together, with a manifest in the folder and a line in the audit log.
"""
