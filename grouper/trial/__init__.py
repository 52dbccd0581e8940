"""Trying schemes on cases: how well one groups them, and what another would change."""
