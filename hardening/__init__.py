"""Hardening: one fail-closed policy over scanners, rules of our own, one report."""
