"""DVC's configuration of a project, read from its files without importing DVC."""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import MlopsError

__all__ = ["DvcConfig", "read_config"]


@dataclass(frozen=True)
class DvcConfig:
    """The settings in ``.dvc/config`` and ``.dvc/config.local``.

    Parameters
    ----------
    objects
        The folder of the cache that holds objects by md5.
    cache_type
        DVC's link type; None for DVC's own default.
    remote
        The default remote's name, where one is chosen.
    url
        The default remote's address; a folder as an absolute path.
    """

    objects: Path
    cache_type: str | None
    remote: str | None
    url: str | None


def read_config(folder: Path) -> DvcConfig:
    """Read the configuration files in `folder`, a project's ``.dvc``.

    Raises
    ------
    MlopsError
        They cannot be read.
    """
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read([folder / "config", folder / "config.local"], encoding="utf-8")
    except configparser.Error as exc:
        raise MlopsError(
            f"DVC's configuration cannot be read: {exc}", remedy=f"Correct {folder / 'config'}."
        ) from exc
    name = _option(config, "core", "remote")
    url = _option(config, f"'remote \"{name}\"'", "url") if name else None
    cache = _option(config, "cache", "dir")
    return DvcConfig(
        objects=(folder / cache if cache else folder / "cache") / "files" / "md5",
        cache_type=_option(config, "cache", "type"),
        remote=name,
        url=url if url is None or "://" in url else str((folder / url).resolve()),
    )


def _option(config: configparser.ConfigParser, section: str, key: str) -> str | None:
    value = config.get(section, key, fallback="").strip("\"'")
    return value or None
