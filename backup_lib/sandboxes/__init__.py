"""Disposable servers that a restore is rehearsed in, one plugin each."""
