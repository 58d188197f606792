"""Options that take the declaration, or a part of it, as the filter `model` expands it."""

from __future__ import annotations


class ModuleDocFragment:
    """See plugin_utils/model.py."""

    MODEL = r"""
options:
  model:
    description: The declaration as the filter C(pgstead.platform.model) expands it.
    type: dict
    required: true
"""
    DATABASES = r"""
options:
  databases:
    description: Databases as the filter C(pgstead.platform.model) expands them.
    type: list
    elements: dict
    required: true
"""
    ROLES = r"""
options:
  roles:
    description: Roles as the filter C(pgstead.platform.model) expands them.
    type: list
    elements: dict
    required: true
"""
