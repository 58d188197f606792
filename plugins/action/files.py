"""Action side of the modules that write files: renders what has a `src`, on the control node."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from ansible_collections.pgstead.platform.plugins.plugin_utils import templates


class ActionModule(ActionBase):
    """Passes the files on, each with its content; that of a secret one apart, where Ansible shows it to nobody."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = dict(self._task.args)
        own = arguments.pop("templates", None) or ""
        role = self._task._role.get_name().rpartition(".")[2] if self._task._role else ""
        try:
            folders = templates.folders(own, role, task_vars.get("playbook_dir"), task_vars.get("inventory_dir"))
        except ValueError as problem:
            raise AnsibleActionFail(str(problem)) from problem
        secret_contents: dict[str, Any] = {}
        files = []
        for entry in arguments["files"]:
            file = dict(entry)
            src = file.pop("src", None)
            if not file.get("dest"):
                if not src:
                    raise AnsibleActionFail("a file needs dest, or src that says it")
                file["dest"] = templates.destination(src)
            if src and file.get("state", "present") == "present":
                file["content"] = self._rendered(templates.locate(src, folders), task_vars)
            if boolean(file.get("secret", False)) and "content" in file:
                secret_contents[file["dest"]] = file.pop("content")
            files.append(file)
        arguments |= {"files": files, "secret_contents": secret_contents}
        result.update(self._execute_module(self._task.action, module_args=arguments, task_vars=task_vars))
        return result

    def _rendered(self, template: str, task_vars: dict[str, Any]) -> str:
        """A template's text, as ansible.builtin.template has it: found in the role, if it is no whole path."""
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        return str(lookup.run([template], task_vars)[0])
