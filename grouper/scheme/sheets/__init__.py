"""Import of a scheme from spreadsheets as insurance bureaus publish them (分组方案表格).

`cells` reads workbooks and CSV files, `columns` the user's map, `words` knows the published
headings, `find` says which sheet is what, `codes` mends codes, `gather` reads the rows,
`variants` looks whether those of an ADRG agree, `notation` reads the conditions, `subgroups` those
of DRGs, `assemble` makes a pack of it. `layout` is that of the workbook to fill in, which
`template` writes; `filled` states a pack in it.
"""
