# SPDX-License-Identifier: GPL-2.0-only
"""Git repositories: their place, and the commits of their refs."""

from __future__ import annotations

from pathlib import Path

from harness.host import process
from harness.model.errors import UserError

SCHEME = "git"
HELP = "REPO#REF (a git repository, as a path or URL, and a commit, tag or branch of it)"


def is_url(repository: str) -> bool:
    """Say whether *repository* is a URL; else it is a path."""
    return "://" in repository or repository.partition(":")[0].count("@") == 1


def git(store: Path, *argv: str) -> str:
    """Run git on the repository *store* and return what it printed.

    Raises:
        UserError: git refused; detail holds its words.
    """
    process.require_tool("git")
    done = process.run(("git", f"--git-dir={store}", *argv))
    if not done.ok:
        raise UserError(f"git {argv[0]} failed in {store}", detail=done.stderr.strip()[-2000:])
    return done.stdout


def git_dir(folder: Path) -> Path:
    """Return the git folder of the repository at *folder*, bare or with a work tree.

    Raises:
        UserError: there is no repository.
    """
    process.require_tool("git")
    if not folder.is_dir():
        raise UserError(f"no git repository at {folder}", hint=f"{SCHEME}:{HELP}")
    done = process.run(("git", "-C", folder, "rev-parse", "--absolute-git-dir"))
    if not done.ok:
        raise UserError(
            f"no git repository at {folder}",
            hint=f"{SCHEME}:{HELP}",
            detail=done.stderr.strip(),
        )
    return Path(done.stdout.rstrip("\n"))


def resolve(store: Path, ref: str) -> str:
    """Return the commit id of *ref*.

    Raises:
        UserError: the repository has no such commit.
    """
    verify = ("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    done = process.run(("git", f"--git-dir={store}", *verify))
    if not done.ok:
        raise UserError(
            f"{store} has no commit '{ref}'",
            hint="git log and git branch -a list what there is",
            detail=done.stderr.strip(),
        )
    return done.stdout.split()[-1]
