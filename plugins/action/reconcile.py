"""Action side of pgstead.platform.reconcile: computes verifiers and compares passwords, on the control node."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.pgstead.platform.plugins.plugin_utils import scram


class ActionModule(ActionBase):
    """Runs the module once; a second time only where a stored password must be compared with the declared one."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        passwords = arguments.pop("passwords", None) or {}
        iterations = int(arguments.pop("iterations", 4096))
        # Who comes through the pooler alone needs no password in the server, and so can change none.
        logins = [role for role in arguments["desired"]["roles"] if "direct" in role["endpoints"]]
        nonce = secrets.token_hex(16)
        try:
            verifiers = {r["name"]: scram.of_role(passwords, r["name"], r["secret"], iterations) for r in logins}
        except ValueError as problem:
            raise AnsibleActionFail(str(problem)) from problem
        arguments |= {
            "verifiers": verifiers,
            "nonce": nonce,
        }
        answer = self._execute_module("pgstead.platform.reconcile", module_args=arguments, task_vars=task_vars)
        if undecided := answer.pop("undecided", None):
            secret_of = {role["name"]: str(passwords[role["secret"]]) for role in logins}
            arguments["decisions"] = {
                name: "keep"
                if stored["iterations"] >= iterations and _matches(secret_of[name], stored, nonce)
                else "set"
                for name, stored in undecided.items()
            }
            answer = self._execute_module("pgstead.platform.reconcile", module_args=arguments, task_vars=task_vars)
        result.update(answer)
        if result.get("drift"):
            result.setdefault("warnings", []).append(
                "not declared, left as it is (postgresql_prune=true removes it): " + "; ".join(result["drift"])
            )
        return result


def _matches(password: str, stored: dict[str, Any], nonce: str) -> bool:
    """Whether a stored verifier, known by its salt and an HMAC, is one of this password."""
    computed = scram.verifier(password, base64.b64decode(stored["salt"]), stored["iterations"])
    mac = hmac.new(nonce.encode(), computed.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(mac).decode(), stored["mac"])
