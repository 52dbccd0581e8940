"""The command line: `grouper` and `python -m grouper`."""
