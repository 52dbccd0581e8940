"""Indicators and supervision of a finished run (settlement.md sections 9 and 11).

`measure.measure` gives the indicators of a run, `change` what became of them, `supervise` the
signals with the cases behind them, `sample` a stratified sample to look at by hand.
"""
