"""Valkey: how a disposable server of it is started."""
