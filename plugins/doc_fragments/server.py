"""Options of the modules that ask or change a server: the action group `server`."""

from __future__ import annotations


class ModuleDocFragment:
    """See pg.SERVER."""

    DOCUMENTATION = r"""
options:
  port: {description: Port of the node's own instance., type: int, default: 5432}
  socket: {description: Directory of its socket., type: path, default: /var/run/postgresql}
  managed:
    description: A managed server's admin, as libpq's parameters; without it, the node's own instance by its socket.
    type: dict
    suboptions:
      host: {description: Its address., type: str, required: true}
      port: {description: Its port., type: int, default: 5432}
      user: {description: The admin., type: str, required: true}
      password: {description: Its password., type: str, required: true}
      sslmode: {description: As libpq takes it., type: str, default: require}
      sslrootcert: {description: File of the CA., type: str}
"""
