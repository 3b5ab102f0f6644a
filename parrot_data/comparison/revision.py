"""Files of a folder as they were at a git revision, one by one, through DVC: no checkout.

Git says what the folder held then, DVC's cache or its remote has the bytes. Nothing is written into
the workspace, its cache included.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from parrot_data.errors import UserError, cause

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem

# Copies a file of the folder, by its name in it, to a path.
Copy = Callable[[str, Path], None]


@contextmanager
def folder_at(path: Path, rev: str, marker: str) -> Iterator[Copy]:
    """Look into a folder as it was.

    Args:
        path: the folder, which need not exist any more; in a git repository with DVC.
        rev: any git revision, such as HEAD~1, a tag or a branch.
        marker: a file that the folder must have held.

    Raises:
        UserError: there is no such repository, revision or folder, or (here and when copying) a
            file is neither in the cache nor in the remote.
    """
    here = Path(os.path.abspath(path))  # noqa: PTH100 - links stay: DVC finds its root the same way
    root, files = _opened(here, f"{path}@{rev}", rev)
    inside = here.relative_to(root).as_posix()
    with closing(files):

        def copy(name: str, target: Path) -> None:
            try:
                with files.open(f"{inside}/{name}") as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
            except Exception as error:
                raise _not_stored(path, rev, name, error) from error

        try:
            files.info(f"{inside}/{marker}")
        except FileNotFoundError:
            raise UserError(
                f"{path}@{rev}: at that revision neither git nor DVC knows {path / marker}: check "
                "the path, or name another revision."
            ) from None
        except Exception as error:  # DVC's list of the folder's files is itself in its cache
            raise _not_stored(path, rev, marker, error) from error
        yield copy


def _opened(here: Path, name: str, rev: str) -> tuple[str, DVCFileSystem]:
    """Root of the repository around a path, and its files at a revision."""
    # DVC takes half a second to import, and hardly anybody asks for a revision
    from dvc.api import DVCFileSystem  # noqa: PLC0415
    from dvc.exceptions import DvcException, NotDvcRepoError  # noqa: PLC0415
    from dvc.repo import Repo  # noqa: PLC0415
    from dvc.scm import RevError  # noqa: PLC0415

    start = next(folder for folder in here.parents if folder.is_dir())
    try:
        with Repo(Repo.find_root(start)) as repo:
            root = repo.scm.root_dir  # git's, which may be further up than DVC's
            # As of today: a remote may be younger than the revision
            remote = repo.config["core"].get("remote")
            remotes = {remote: repo.config["remote"][remote]} if remote else {}
        factory = partial(Repo, remote=remote, config={"remote": remotes})
        files = DVCFileSystem(root, rev=rev, remote=remote, subrepos=True, repo_factory=factory)
        _ = files.repo  # it is opened now, and what is wrong with the revision is said
    except NotDvcRepoError:
        raise UserError(
            f"{name} is no folder, and of no revision: {start} lies in no repository of DVC; check "
            "the path."
        ) from None
    except RevError:
        raise UserError(
            f"{name} is no folder, and {rev} is no revision of the git repository in {root}: check "
            "both with `git log`."
        ) from None
    except DvcException as error:
        raise UserError(f"{name}: DVC cannot open that revision ({cause(error)}).") from error
    return root, files


def _not_stored(path: Path, rev: str, name: str, error: Exception) -> UserError:
    return UserError(
        f"{path}@{rev}: {name} is neither in DVC's cache nor to be had from its remote "
        f"({cause(error)}): run `dvc fetch --all-commits {path}` where it was pushed to, or make "
        "the data again from that revision."
    )
