"""The append-only file of a server: its folder is backed up and restored.

Since Redis 7 it is a folder of parts: a *base* (an RDB file, or commands), *increments* (commands),
and a manifest that names them.
"""
