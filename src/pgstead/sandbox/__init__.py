"""Disposable nodes: Docker containers that boot systemd, for the sandbox and for molecule."""
