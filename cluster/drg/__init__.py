"""Generated from proto/drg by `make proto`."""
