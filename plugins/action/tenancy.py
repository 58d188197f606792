"""Action side of pgstead.platform.tenancy: brings its SQL along."""

from __future__ import annotations

from ansible_collections.pgstead.platform.plugins.module_utils.shipping import Shipping


class ActionModule(Shipping):
    """See Shipping."""

    queries = "isolation.sql"
    named = ("fingerprint.sql", "fingerprint", "fingerprint_roles")
