"""The tars of a dataset that lies elsewhere: fetched, and held against the manifest before use.

A place is a folder, or an address that fsspec understands, such as `s3://bucket/prefix`. What it
holds is what `shard` wrote. Of what is not on this machine, manifest and entries are copied at
once; a tar is when it is asked for, and again and again if the connection breaks.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from parrot_data.errors import UserError, cause
from parrot_data.stores.manifest import MANIFEST, load_manifest
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.records import FileEntry, check_file
from parrot_data.stores.tar_cache import ROOM, TarCache

_log = logging.getLogger(__name__)

ATTEMPTS = 6
FIRST_PAUSE_S = 0.5  # doubled after every attempt
_REMEDY = "copy it there again from where `parrot shard` wrote it, and see `parrot verify`"


def is_address(place: str) -> bool:
    """Whether a place is an address, and no folder."""
    return "://" in place


class Arrivals:
    """A dataset whose tars are read one by one, wherever it lies.

    Args:
        place: a folder, or an address.
        scratch: folder for copies of manifest and entries; of a folder there are none.
        cache: what keeps tars for the next time; None for nothing.

    Attributes:
        name: the place, for errors.
        folder: where manifest and entries lie on this machine.
        manifest: of the dataset.

    Raises:
        UserError: there is no such place, or it holds no manifest and entries of shards, whole.
    """

    def __init__(self, place: str, scratch: Path, cache: TarCache | None) -> None:
        self.name, self._cache = place.rstrip("/"), cache
        self._remote = _Remote(self.name) if is_address(place) else None
        self.folder = Path(place) if self._remote is None else scratch
        if self._remote is not None:
            scratch.mkdir(parents=True, exist_ok=True)
            self._remote.fetch(MANIFEST, scratch / MANIFEST)
        try:
            self.manifest = load_manifest(self.folder, "shards")
            if self._remote is not None:
                entries = self.manifest.episodes
                self._remote.fetch(entries.name, scratch / entries.name, entries.size)
                check_file(scratch, entries)
        except UserError as error:
            raise UserError(str(error).replace(str(self.folder), self.name)) from None
        files = {file.name: file for file in self.manifest.files}
        self._tars = [files[name] for name in self.manifest.tar_shards]
        if not self._tars:
            raise UserError(f"{self.name} holds no tars, of which a stream is made: {_REMEDY}.")

    @contextmanager
    def tar(self, number: int) -> Iterator[Path]:
        """A tar on this machine, every byte of it as the manifest says, while the block lasts.

        Raises:
            UserError: it is missing or altered, or did not arrive.
        """
        file = self._tars[number]
        if self._remote is None:
            check_file(self.folder, file)
            yield self.folder / file.name
            return
        with self._room() as room:
            path = room / "arriving.tar"
            if self._cache is None or not self._cache.lend(file.sha256, path):
                self._remote.fetch(file.name, path, file.size)
                self._check(file, path)
                if self._cache is not None:
                    self._cache.keep(file.sha256, path)
            yield path

    @contextmanager
    def _room(self) -> Iterator[Path]:
        """A folder of its own for a tar; on the disk of the cache, which links what it lends."""
        above = None if self._cache is None else self._cache.folder
        with tempfile.TemporaryDirectory(prefix=ROOM, dir=above) as room:
            yield Path(room)

    def _check(self, file: FileEntry, path: Path) -> None:
        if sha256_file(path) != file.sha256:
            raise UserError(
                f"{self.name}/{file.name} was altered: its SHA-256 is not its manifest's; "
                f"{_REMEDY}."
            )


class _Remote:
    """Files of an address, fetched with patience."""

    def __init__(self, address: str) -> None:
        self._address = address
        try:
            filesystem, root = url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise UserError(
                f"{address} cannot be read ({str(error).splitlines()[0]}): correct the address, or "
                "install what reads it (for s3, `pip install 'parrot-priors[s3]'`)"
            ) from None
        self._filesystem: Any = filesystem
        self._root = root.rstrip("/")

    def fetch(self, name: str, path: Path, size: int | None = None) -> None:
        """Copy a file here; of so many bytes, where a manifest says how many.

        Raises:
            UserError: it is missing, of another size, or did not arrive in ATTEMPTS.
        """
        where, problem = f"{self._address}/{name}", ""
        for attempt in range(ATTEMPTS):
            if attempt:
                _log.warning("%s did not arrive (%s): it is asked for again", where, problem)
                time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
            told, problem = self._attempt(name, path)
            if problem:
                continue
            if size not in (None, told):
                raise UserError(
                    f"{where} was altered: it has {told} bytes where its manifest says {size}; "
                    f"{_REMEDY}."
                )
            came = path.stat().st_size
            if came == told:
                return
            problem = f"{came} of {told} bytes came"
        raise UserError(
            f"{where} did not arrive in {ATTEMPTS} attempts ({problem}): see to the connection, "
            "then give the same command again."
        )

    def _attempt(self, name: str, path: Path) -> tuple[int, str]:
        """Its size by the place's own account, and what went wrong."""
        remote = f"{self._root}/{name}"
        try:
            self._filesystem.invalidate_cache()
            size = int(self._filesystem.info(remote)["size"])
            self._filesystem.get_file(remote, str(path))
        except FileNotFoundError:
            raise UserError(
                f"{self._address}/{name} is missing: correct the address, or copy there what "
                "`parrot shard` wrote."
            ) from None
        except PermissionError as error:
            raise UserError(
                f"{self._address}/{name} may not be read ({error}): get the right to it."
            ) from None
        except Exception as error:  # noqa: BLE001 (each kind of place breaks in its own way)
            return 0, cause(error)
        return size, ""
