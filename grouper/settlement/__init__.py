"""From grouped cases to what each hospital is paid (settlement.md)."""
