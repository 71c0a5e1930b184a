"""Scanners: one file each, behind the interface in :mod:`hardening.scanners.base`."""
