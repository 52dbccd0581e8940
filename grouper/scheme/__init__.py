"""Scheme packs: reading, checking and compiling a region's grouping rules."""

from grouper.scheme.scheme import Scheme, builtin_names, from_pack, load_scheme, pack_folder

__all__ = ["Scheme", "builtin_names", "from_pack", "load_scheme", "pack_folder"]
