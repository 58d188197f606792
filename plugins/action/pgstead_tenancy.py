"""Action side of pgstead_tenancy: brings its SQL along."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from pgstead_platform.shipping import Shipping


class ActionModule(Shipping):
    """See Shipping."""

    queries = "isolation.sql"
    named = ("fingerprint.sql", "fingerprint", "fingerprint_roles")
