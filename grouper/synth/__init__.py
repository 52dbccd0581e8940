"""A made-up region (`grouper synth`): cases, hospitals and a fund, drawn from a scheme."""

from grouper.synth.region import RegionSummary, synthesize

__all__ = ["RegionSummary", "synthesize"]
