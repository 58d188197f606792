"""An environment that has pgstead from its wheel, for tests: nothing of the checkout is found from it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
# Only programs of the environment under test, and no setting of the one that runs the tests.
OWN = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PGSTEAD_", "VIRTUAL_ENV"))}


def installed(folder: Path) -> Path:
    """Builds the wheel and installs it below `folder`; all else is this environment's, so that nothing is downloaded.

    Returns:
        Where its programs are.
    """
    here = Path(sys.executable).parent
    _run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, HOME])  # from the sdist
    _run([sys.executable, "-m", "venv", "--without-pip", folder / "own"])
    python = folder / "own/bin/python"
    _run([sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", *folder.glob("*.whl")])
    site = next(folder.glob("own/lib/python*/site-packages"))
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")  # whose own .pth files are not read
    for program in here.glob("ansible*"):
        (python.parent / program.name).write_text(program.read_text().replace(str(here / "python"), str(python), 1))
        (python.parent / program.name).chmod(0o755)
    return python.parent


def _run(argv: list[str | Path]) -> None:
    subprocess.run(argv, env=OWN, capture_output=True, check=True)
