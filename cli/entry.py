"""Where `parrot` starts: it runs the code of the checkout that it is called in.

An editable install imports from the one checkout that it was made in. DVC runs queued experiments
in a copy of the repository, and git has worktrees: there `parrot` would run other code than what
lies beside the results, and than what DVC hashes as theirs.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

OWN = Path(__file__).resolve().parents[1]
PROGRAM = (
    "import sys; sys.path.insert(0, {root!r}); sys.argv[0] = 'parrot'; "
    "from cli.main import app; app()"
)


def main() -> None:
    """Run the command, by the code of the checkout around the current folder, or by this."""
    root = _checkout_around()
    if root is not None and root != OWN:
        _run_code_of(root)
    # Not above: while somebody edits what this imports, experiments go on
    from cli.main import app

    app()


def _checkout_around() -> Path | None:
    """The nearest folder, the current one or above, that holds this project."""
    try:
        folder = Path.cwd()
    except FileNotFoundError:  # it is no more
        return None
    return next((root for root in (folder, *folder.parents) if _is_checkout(root)), None)


def _is_checkout(root: Path) -> bool:
    try:
        if not (root / "cli" / "main.py").is_file():
            return False
        return 'name = "parrot-priors"' in (root / "pyproject.toml").read_text(encoding="utf-8")
    except (OSError, ValueError):  # not there, not to be read, or no text
        return False


def _run_code_of(root: Path) -> None:
    """Become the command of another checkout; return where its code is another user's."""
    if (root / "cli" / "main.py").stat().st_uid != os.geteuid():
        _note(f"{root} is another user's, so this runs the code of {OWN}")
        return
    _note(f"running the code of {root}, not that of {OWN}: this is called in there")
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}  # for processes it starts
    # -P: the current folder is not on the path, and hides no module of Python's
    command = [sys.executable, "-P", "-c", PROGRAM.format(root=str(root)), *sys.argv[1:]]
    os.execve(sys.executable, command, environment)


def _note(sentence: str) -> None:
    if sys.stderr and "_PARROT_COMPLETE" not in os.environ:  # a shell that completes shows it
        with suppress(OSError):
            print(f"note: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 (no typer yet)
