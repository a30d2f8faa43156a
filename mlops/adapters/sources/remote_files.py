"""Files at an address as a source of tables: S3, HTTP and whatever else fsspec reaches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops.addresses import masked
from mlops.data.source import Fetched
from mlops.errors import MlopsError, UnavailableError, UsageError
from mlops.files import hashing
from mlops.tables.readers import is_table

__all__ = ["AddressSource"]

_TOKENS = ("ETag", "etag", "md5", "checksum", "LastModified", "last_modified", "mtime", "created")
"""Fields of a file's metadata that change when its content does."""


@dataclass(frozen=True)
class AddressSource:
    """The tables at an address: a file, a folder or a pattern; one that did not change is not brought again.

    Credentials are those of the environment, by the usual names of each service.
    """

    address: str = field(repr=False)

    def fetch(self, since: Any, folder: Path) -> Iterator[Fetched]:
        """Bring what is new or changed, in the order of the names."""
        known = dict((since or {}).get("files", {}))
        try:
            for number, (path, token, system) in enumerate(self._files()):
                # The positions are committed: a token in an address is none of theirs, and may change.
                key = masked(path)
                if token is not None and known.get(key) == token:
                    continue
                # A file of its own folder: two may have one name.
                file = folder / f"{number:06d}" / _name(path)
                file.parent.mkdir(parents=True)
                system.get_file(path, str(file))
                again, known = key in known, {**known, key: token}
                yield Fetched(file, file.name, {"files": known}, again=again)
        except MlopsError:
            raise
        except ImportError as exc:
            raise UsageError(
                f"{self.address} needs a package that is not installed: {exc}.",
                remedy="Install it; for s3:// it is the extra `s3`.",
            ) from exc
        except FileNotFoundError as exc:
            raise UsageError(f"There is nothing at {self.address}.", remedy="Correct the address.") from exc
        except Exception as exc:  # each service has errors of its own
            raise UnavailableError(
                "The server", self.address, remedy="Check it, and its credentials.", cause=exc
            ) from exc

    def _files(self) -> Iterator[tuple[str, str | None, Any]]:
        from fsspec.core import url_to_fs

        try:
            # With the credentials that the environment has now.
            system, path = url_to_fs(self.address, skip_instance_cache=True)
        except ValueError as exc:
            raise UsageError(f"{self.address} is not an address: {exc}.", remedy="Correct it.") from exc
        if any(sign in path for sign in "*?["):
            paths = [each for each in system.glob(path) if is_table(each)]
        elif system.isdir(path) and not is_table(path):
            paths = [each for each in system.ls(path, detail=False) if is_table(each)]
        else:
            paths = [path]
        for each in sorted(paths):
            yield each, _token(system.info(each)), system


def _name(path: str) -> str:
    """Return a file's name, without the query that an address of the web may end in."""
    return (urlsplit(path).path if "://" in path else path).rsplit("/", 1)[-1]


def _token(info: dict[str, Any]) -> str | None:
    tokens = {name: str(info[name]) for name in _TOKENS if info.get(name) is not None}
    return hashing.of_value({**tokens, "size": info.get("size")})[:16] if tokens else None
