"""The real git under the settings of many people: what it prints and writes for us is the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git import file_history
from mlops.adapters.git.command import Git
from mlops.adapters.git.loop_branch import loop_tree
from mlops.adapters.git.pinned import git_environment
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LOOP_BRANCH
from mlops.errors import MlopsError, UsageError
from mlops.project.doctor import check_git
from mlops.project.machine_settings import check_line_endings
from mlops.scaffold import template

FILE = "data/lake.dvc"
MESSAGE = "Grün · Größe"

SETTINGS = {
    "signatures are shown": "[log]\n\tshowSignature = true\n[gpg]\n\tprogram = {signs}\n",
    "commits in latin-1": "[i18n]\n\tcommitEncoding = ISO-8859-1\n\tlogOutputEncoding = ISO-8859-1\n",
    "line endings of Windows": "[core]\n\tautocrlf = true\n\teol = crlf\n\tsafecrlf = true\n",
    "attributes of a person": "[core]\n\tattributesFile = {attributes}\n",
    "commits are signed": "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = /nowhere\n",
    "always in colour": "[color]\n\tui = always\n\tstatus = always\n\tbranch = always\n\tdiff = always\n",
    "a diff of their own": "[diff]\n\texternal = /nowhere\n\tmnemonicPrefix = true\n\tnoprefix = true\n",
    "a pager": "[core]\n\tpager = /nowhere\n[pager]\n\tlog = /nowhere\n\tshow = /nowhere\n",
    "dates and decorations": "[log]\n\tdate = relative\n\tdecorate = full\n\tfollow = true\n",
    "new files are not shown": "[status]\n\tshowUntrackedFiles = no\n\tbranch = true\n\tshort = true\n",
    "hooks": "[core]\n\thooksPath = {hooks}\n",
    "a watcher, and many files": "[core]\n\tfsmonitor = true\n[feature]\n\tmanyFiles = true\n",
    "another branch to begin with": "[init]\n\tdefaultBranch = trunk\n",
    "no name but a configured one": "[user]\n\tuseConfigOnly = true\n",
}


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's configuration of git, a file."""
    file = tmp_path / "gitconfig"
    file.touch()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(file))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return file


def configure(file: Path, text: str) -> None:
    signs, hooks, attributes = (file.with_name(name) for name in ("signs", "hooks", "attributes"))
    signs.write_text("#!/bin/sh\necho 'gpg: Good signature' >&2\necho '[GNUPG:] GOODSIG 1 ada'\n", "utf-8")
    signs.chmod(0o755)
    hooks.mkdir()
    (hooks / "reference-transaction").write_text("#!/bin/sh\nexit 1\n", "utf-8")
    (hooks / "reference-transaction").chmod(0o755)
    attributes.write_text("* text eol=crlf\n", "utf-8")
    file.write_text(text.format(signs=signs, hooks=hooks, attributes=attributes), "utf-8")


def lived(root: Path) -> tuple[list[tuple[str, tuple[str, ...], str]], bytes, bool]:
    """What a day leaves: the versions, the bytes of the loop's tree, and whether a new file is seen."""
    (root / "data").mkdir(parents=True)
    tree = Tree.init(root)
    for n, text in enumerate(("one\n", "two\ntwo\n", "three\n")):
        (root / FILE).write_bytes(text.encode())
        sha = tree.commit_paths([FILE], f"{MESSAGE} {n}")
        if n == 1:
            signed(root, sha)
    (root / "grün.txt").write_bytes(b"new\n")
    loop = loop_tree(root, root / ".mlops" / "worktree", LOOP_BRANCH)
    changes = file_history.changes(tree.git, FILE, {"main": "refs/heads/main"})
    versions = [(each.commit.message, each.branches, each.text) for each in changes]
    assert changes[0].commit.sha == tree.head() == tree.commit().sha
    return versions, (loop.root / FILE).read_bytes(), tree.is_clean(["grün.txt"])


def signed(root: Path, sha: str) -> None:
    """Give the newest commit a signature, as `commit.gpgSign` would."""
    git = Git(root)
    raw = git.pipe("cat-file", "commit", sha).decode()
    head, _, message = raw.partition("\n\n")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----"
    done = git.pipe(
        "hash-object", "-t", "commit", "-w", "--stdin", input=f"{head}\n{signature}\n\n{message}".encode()
    )
    git.output("update-ref", "refs/heads/main", done.decode().strip())


PLAIN = (
    [(f"{MESSAGE} {n}", ("main",), text) for n, text in ((2, "three\n"), (1, "two\ntwo\n"), (0, "one\n"))],
    b"three\n",
    False,
)


@pytest.mark.parametrize("text", ["", *SETTINGS.values()], ids=["none", *SETTINGS])
def test_a_persons_configuration_changes_nothing(configured: Path, tmp_path: Path, text: str) -> None:
    configure(configured, text)
    assert lived(tmp_path / "project") == PLAIN


ENVIRONMENTS = {
    "the repository of a hook": {"GIT_DIR": "/nowhere/.git", "GIT_WORK_TREE": "/nowhere"},
    "its index": {"GIT_INDEX_FILE": "/nowhere/index", "GIT_PREFIX": "sub/"},
    "the dates of a rebase": {"GIT_AUTHOR_DATE": "1 +0000", "GIT_COMMITTER_DATE": "1 +0000"},
    "patterns": {"GIT_GLOB_PATHSPECS": "1", "GIT_ICASE_PATHSPECS": "1"},
    "the settings of an alias": {"GIT_CONFIG_PARAMETERS": "'core.autocrlf'='true'"},
    "settings of a machine": {
        "GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "log.showSignature", "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_KEY_1": "core.autocrlf", "GIT_CONFIG_VALUE_1": "true",
    },
    "no name": {"GIT_AUTHOR_NAME": "", "GIT_COMMITTER_NAME": ""},
    "a trace": {"GIT_TRACE": "1", "GIT_PAGER": "/nowhere", "GIT_EXTERNAL_DIFF": "/nowhere"},
    "another hash": {"GIT_DEFAULT_HASH": "sha256", "GIT_DEFAULT_REF_FORMAT": "reftable"},
    "no language": {"LC_ALL": "C", "LANG": "C"},
}  # fmt: skip


@pytest.mark.parametrize("variables", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_gits_variables_of_somebody_elses_command_change_nothing(
    configured: Path, tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert lived(tmp_path / "project") == PLAIN
    assert Tree(tmp_path / "project").commit().at.year > 1970


def test_who_a_person_is_and_how_a_remote_is_reached_stays_theirs() -> None:
    theirs = {
        "GIT_AUTHOR_NAME": "ada", "GIT_SSH_COMMAND": "ssh -i key", "GIT_SSL_CAINFO": "ca.pem",
        "GIT_CONFIG_GLOBAL": "file", "HTTPS_PROXY": "http://proxy", "GIT_ASKPASS": "asks",
    }  # fmt: skip
    assert theirs.items() <= git_environment(theirs).items()


def test_a_name_that_is_no_text_in_a_message_costs_a_letter(configured: Path, tmp_path: Path) -> None:
    tree = Tree.init(tmp_path)
    (tmp_path / "a").touch()
    tree.commit_paths(["a"], "first")
    raw = tree.git.pipe("cat-file", "commit", tree.head()).replace(b"first", b"gr\xfcn")
    sha = tree.git.pipe("hash-object", "-t", "commit", "-w", "--stdin", input=raw).decode().strip()
    assert tree.commit(sha).message == "gr\ufffdn"


def test_a_text_comes_from_git_byte_for_byte(configured: Path, tmp_path: Path) -> None:
    tree = Tree.init(tmp_path)
    (tmp_path / "a").write_bytes(b"one\r\ntwo\r\n")
    tree.commit_paths(["a"], "first")
    assert tree.read("a") == "one\r\ntwo\r\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_else_is_refused_with_gits_reason(configured: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    tree = Tree.init(tmp_path / "theirs")
    subprocess.run(["chown", "-R", "12345", str(tree.root)], check=True)
    with pytest.raises(MlopsError, match="dubious ownership") as refused:
        tree.branch()
    assert "safe.directory" in refused.value.remedy


def test_a_damaged_repository_is_not_called_none(configured: Path, tmp_path: Path) -> None:
    tree = Tree.init(tmp_path)
    (tmp_path / ".git" / "config").write_text("[core\n", "utf-8")
    with pytest.raises(MlopsError, match="bad config"):
        tree.branch()


@pytest.fixture
def submodule(configured: Path, tmp_path: Path) -> Path:
    """A repository that is a submodule of another, as `git submodule add` makes it."""
    configured.write_text(
        '[protocol "file"]\n\tallow = always\n[user]\n\tname = ada\n\temail = a@b\n', "utf-8"
    )
    for name in ("outer", "project"):
        tree = Tree.init(_folder(tmp_path / name))
        (tree.root / "a").touch()
        tree.commit_paths(["a"], "first")
    command = ["git", "submodule", "--quiet", "add", str(tmp_path / "project"), "inner"]
    subprocess.run(command, cwd=tmp_path / "outer", check=True)
    return tmp_path / "outer" / "inner"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_submodule_is_refused_where_a_project_begins_and_where_it_retrains(submodule: Path) -> None:
    for refuse in (
        lambda: template.ready(submodule),
        lambda: loop_tree(submodule, submodule / ".mlops" / "worktree", LOOP_BRANCH),
        lambda: check_git(Tree(submodule)),
    ):
        with pytest.raises(UsageError, match=r"is a git submodule of .*outer") as refused:
            refuse()
        assert "git init" not in refused.value.remedy


def test_what_dvc_says_of_a_repository_that_is_there_is_not_lost(submodule: Path) -> None:
    DvcTree.init(submodule)
    Tree(submodule).commit_paths([".dvc/config", ".dvc/.gitignore", ".dvcignore"], "with DVC")
    tree = Tree(submodule)
    tree.add_worktree(submodule / "linked", "HEAD", detach=True)
    with pytest.raises(MlopsError, match="is outside of git repository") as refused:
        DvcTree(submodule / "linked").remotes()
    assert "git init" not in refused.value.remedy


def test_a_project_in_a_linked_work_tree_has_a_loop(configured: Path, tmp_path: Path) -> None:
    tree = Tree.init(_folder(tmp_path / "first"))
    (tree.root / "a").touch()
    tree.commit_paths(["a"], "first")
    tree.add_worktree(tmp_path / "second", "HEAD", detach=True)
    project = tmp_path / "second"
    Tree(project).git.output("switch", "-q", "-c", "second")
    DvcTree.init(project)
    Tree(project).commit_paths([".dvc/config", ".dvc/.gitignore", ".dvcignore"], "with DVC")
    loop = loop_tree(project, project / ".mlops" / "worktree", LOOP_BRANCH)
    DvcTree(loop.root).share_cache(DvcTree(project))
    assert DvcTree(loop.root).remotes() == []


@pytest.mark.parametrize(
    ("settings", "attributes", "state"),
    [
        ("[core]\n\tautocrlf = true\n", "", "warn"),
        ("[core]\n\teol = crlf\n", "* text=auto\n", "warn"),
        ("[core]\n\tautocrlf = true\n", "* -text\n", "ok"),
        ("[core]\n\tautocrlf = false\n", "", "ok"),
        ("", "", "ok"),
    ],
)
def test_line_endings_that_a_checkout_may_change_are_told(
    configured: Path, tmp_path: Path, settings: str, attributes: str, state: str
) -> None:
    configured.write_text(settings, "utf-8")
    tree = Tree.init(_folder(tmp_path / "project"))
    (tree.root / ".gitattributes").write_text(attributes, "utf-8")
    found = check_line_endings(tree)
    assert found.state == state
    assert (settings.split()[1] if settings else "") in found.detail or state == "ok"
