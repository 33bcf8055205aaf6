# SPDX-License-Identifier: GPL-2.0-only
"""A .config of tinyconfig with fragments on top, checked for symbols that Kconfig dropped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.kbuild import Kbuild
from harness.build.kconfig import Asked, Dropped, dropped, laid_over, merged_text, parse_config
from harness.build.kconfig_explain import explain
from harness.build.make_log import error_place, first_error, host_failure
from harness.host.disk_space import full, says_full
from harness.host.files import key_of, sha256_of, write_whole
from harness.model.errors import InfraError, KernelBuildError, UserError

_STAMP = ".harness-config.json"
_ANSWERS = ".harness-allconfig"


@dataclass(frozen=True)
class Configuration:
    """Inputs of a .config."""

    asked: tuple[Asked, ...]
    kernel_version: str
    inputs: str  # digest of the other inputs: tools, and the Kconfig files of the position


def configure(kbuild: Kbuild, wanted: Configuration, log: Path) -> Path:
    """Make the .config of *kbuild*'s build folder and return it; as it is, if it is of *wanted*.

    Raises:
        UserError: Kconfig dropped a symbol; names it and the dependency that is not met.
        KernelBuildError: the configuration targets failed.
        InfraError: the host stopped them.
    """
    config, stamp = kbuild.out / ".config", kbuild.out / _STAMP
    aim = key_of(merged_text(wanted.asked), wanted.inputs)
    if _stamped(stamp, aim, config):
        return config
    stamp.unlink(missing_ok=True)
    # From tinyconfig each time: settings of the folder's last position must not stay.
    _make(kbuild, "tinyconfig", log)
    answers = kbuild.out / _ANSWERS
    answers.write_text(laid_over(config.read_text(), wanted.asked))
    # Not olddefconfig: it answers every question that a fragment makes visible with its default,
    # and on 5.10 the kernel grows from 480 to 696 options (IPv6, keyboards, video capture).
    _make(kbuild, "allnoconfig", log, f"KCONFIG_ALLCONFIG={answers}")
    lost = dropped(wanted.asked, parse_config(config.read_text()))
    if lost:
        raise _dropped(kbuild, wanted, config, lost)
    write_whole(stamp, json.dumps({"aim": aim, "config": sha256_of(config)}))
    return config


def _stamped(stamp: Path, aim: str, config: Path) -> bool:
    try:
        facts = json.loads(stamp.read_text())
        return bool(facts["aim"] == aim and facts["config"] == sha256_of(config))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _make(kbuild: Kbuild, goal: str, log: Path, *variables: str) -> None:
    done = kbuild.make((goal,), log, variables=variables)
    if done.ok:
        return
    if says_full(done.stdout):
        raise full(kbuild.out, f"make {goal}")
    lines = done.stdout.splitlines()
    if sign := host_failure(lines):
        raise InfraError(f"make {goal} was stopped by the host: {sign}", hint=f"full log: {log}")
    line, block = first_error(lines)
    place, error = error_place(line)
    raise KernelBuildError(
        f"make {goal} failed for {kbuild.tools.arch.name}: {line}",
        error=f"make {goal}: {error}",
        place=place,
        hint=f"full log: {log}",
        detail=block,
    )


def _dropped(
    kbuild: Kbuild, wanted: Configuration, config: Path, lost: Sequence[Dropped]
) -> UserError:
    env = kbuild.kconfig_env(wanted.kernel_version)
    reasons = explain(lost, config, env, kbuild.out)
    lines = [
        f"CONFIG_{item.asked.symbol}={item.asked.value} ({item.asked.topic}.config) "
        f"is {item.got}: {reasons[item.asked.symbol]}"
        for item in lost
    ]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return UserError(
        f"{kbuild.tools.arch.name} {wanted.kernel_version}: Kconfig dropped {lines[0]}{more}",
        hint="ask for what is unmet in a fragment too, or take the symbol out",
        detail="\n".join(lines) if more else "",
    )
