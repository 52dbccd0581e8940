"""Scheme packs: reading, checking and compiling a region's grouping rules."""

from grouper.scheme.layers import builtin_names, pack_folder
from grouper.scheme.scheme import Scheme, from_pack, load_scheme

__all__ = ["Scheme", "builtin_names", "from_pack", "load_scheme", "pack_folder"]
