# SPDX-License-Identifier: GPL-2.0-only
"""``git:REPO#REF``: a commit of a git repository, on this machine or at a URL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.cache.lease import use
from harness.cache.store import hold
from harness.host import process
from harness.host.disk_space import full, says_full
from harness.host.files import key_of
from harness.host.paths import Cache, expanded
from harness.model.errors import HarnessError, InfraError, UserError
from harness.model.events import Report, Stage
from harness.model.values import COMMIT_SHOWN, SourceTree
from harness.source.git_repository import HELP, SCHEME, git, git_dir, is_url, resolve
from harness.source.trees import keep, kept, unpacked


def fetch(rest: str, cache: Cache, mirror: str, report: Report) -> SourceTree:  # noqa: ARG001
    """Return the tree of a commit. At a path, REF is looked up each time; at a URL, once."""
    spec = f"{SCHEME}:{rest}"
    repository, ref = _split(rest)
    if is_url(repository):
        tree = kept(cache, spec)
        if tree is not None:
            return _of(tree, repository, ref)
        store, commit = _from_url(repository, ref, cache, report)
    else:
        store = git_dir(expanded(repository))
        commit = resolve(store, ref)
    content = _content(store, commit)
    origin = _origin(repository, ref, commit)

    def fill(into: Path) -> None:
        _check_out(store, commit, into)

    return _of(keep(cache, spec, content, origin, fill, report, commit), repository, ref)


def known(rest: str, cache: Cache) -> SourceTree | None:
    """Return the tree that *rest* means now, if the cache has it."""
    repository, ref = _split(rest)
    spec = f"{SCHEME}:{rest}"
    if is_url(repository):
        tree = kept(cache, spec, look=False)
    else:
        store = git_dir(expanded(repository))
        commit = resolve(store, ref)
        found = unpacked(cache, spec, _content(store, commit))
        tree = replace(found, commit=commit) if found else None
    return _of(tree, repository, ref) if tree else None


def _of(tree: SourceTree, repository: str, ref: str) -> SourceTree:
    """Return *tree* as the one of this commit: it may be kept for another with the same files."""
    if not tree.commit:  # kept by an older harness
        return tree
    return replace(tree, origin=_origin(repository, ref, tree.commit))


def _origin(repository: str, ref: str, commit: str) -> str:
    return f"{repository} {ref} ({commit[:COMMIT_SHOWN]})"


def _split(rest: str) -> tuple[str, str]:
    """Return repository and ref.

    Raises:
        UserError: one of them is missing.
    """
    repository, _, ref = rest.partition("#")
    if not repository or not ref or ref.startswith("-") or ".." in ref:
        like = f"{SCHEME}:{repository or 'REPO'}#{ref.rpartition('..')[2].strip('.-') or 'HEAD'}"
        raise UserError(f"'{SCHEME}:{rest}' names no commit", hint=f"{like}, as {SCHEME}:{HELP}")
    return repository, ref


def _content(store: Path, commit: str) -> str:
    """Return what identifies the files of *commit*, whatever its history and message."""
    return git(store, "rev-parse", f"{commit}^{{tree}}").strip()


def _from_url(url: str, ref: str, cache: Cache, report: Report) -> tuple[Path, str]:
    """Fetch one commit without its history into a bare repository in the cache."""
    process.require_tool("git")
    store = cache.downloads / f"git-{key_of(url)[:16]}"
    key = f"git {url} {ref}"
    use(cache.downloads, store.name)
    with hold(cache.locks, store.name):
        if not (store / "HEAD").is_file():
            process.run(("git", "init", "-q", "--bare", store))

        def progress(line: str) -> None:
            report(Stage(key, f"fetching {url}: {line.rpartition(chr(13))[2].strip()}"[:200]))

        argv = ("git", f"--git-dir={store}", "fetch", "--progress", "--depth=1", url, ref)
        done = process.run(argv, env={"GIT_TERMINAL_PROMPT": "0"}, on_line=progress)
        if not done.ok:
            raise _explain(url, ref, store, done.stdout)
        commit = git(store, "rev-parse", "FETCH_HEAD^{commit}").strip()
    report(Stage(key, f"fetched {url} {ref}", finished=True))
    return store, commit


def _explain(url: str, ref: str, store: Path, output: str) -> HarnessError:
    detail = output.strip()[-2000:]
    if says_full(output):
        return full(store, f"fetching {url}")
    if "couldn't find remote ref" in output or "not our ref" in output:
        return UserError(f"{url} has no '{ref}'", hint="name a branch or a tag", detail=detail)
    return InfraError(f"git cannot fetch {url}", hint="check URL and network", detail=detail)


def _check_out(store: Path, commit: str, into: Path) -> None:
    """Write the commit's files to *into*; the repository's own index and work tree stay as is."""
    argv = ("git", f"--git-dir={store}", f"--work-tree={into}", "-c", "core.autocrlf=false",
            "-c", "advice.detachedHead=false", "checkout", "-f", commit, "--", ".")  # fmt: skip
    index = into.with_name("index")
    done = process.run(argv, cwd=into, env={"GIT_INDEX_FILE": str(index)})
    if not done.ok:
        if says_full(done.stderr):
            raise full(into, f"the tree of {commit[:12]}")
        raise InfraError(f"git cannot check out {commit[:12]}", detail=done.stderr.strip()[-2000:])
    index.unlink(missing_ok=True)
