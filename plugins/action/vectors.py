"""Action side of pgstead.platform.vectors: brings its SQL along."""

from __future__ import annotations

from ansible_collections.pgstead.platform.plugins.module_utils.shipping import Shipping


class ActionModule(Shipping):
    """See Shipping."""

    queries = "vectors.sql"
