"""Appeal sheets (申诉表): what each hospital is told of its cases, and what it answers.

The walk: `gather` puts a run's cases beside the region's lists, `told` says in words why a case
fell where it fell and what is uncertain about it, `sheet` writes a hospital's workbook. What comes
back is read by `returned`, held against the run by `checked`, grouped and priced again by
`corrected`, and written by `answers`. A workbook carries the hospital's own case ids: it goes to
that hospital and to nobody else.
"""
