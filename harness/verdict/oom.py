# SPDX-License-Identifier: GPL-2.0-only
"""Reports of the OOM killer: who asked, for what, whom it took, and what memory was left.

The wording has been the same from 5.10 to 7.2, but for details. All of it comes from a guest: any
part may be missing, cut or made up. A victim is known by its name: PID 1 gives each task that it
starts a name of its own (guest-tests/init), and the programs of a load have that of the load.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from harness.model.results import Splat
from harness.model.values import SplatKind

# What a hostile report may cost.
MAX_LINE = 1000
MAX_ZONES = 64
_COMM = 15  # characters that the kernel keeps of a program's name: TASK_COMM_LEN without its zero
_ZONES_NAMED = 3
_NAME = 64  # characters of a task's name: 15 bytes, of which each may be written as "\\xff"
_NAME_LINES = 4  # lines that a name with newlines is looked for on
_NEWLINE = r"\x0a"  # in a name, as /dev/kmsg writes it: a report's words are one line
_ASKED = re.compile(
    # The name may be empty, and hold spaces and colons.
    rf"(?P<asker>.{{0,{_NAME}}}?) invoked oom-killer: gfp_mask=0x[0-9a-f]{{1,16}}"
    r"(?:\((?P<gfp>[\w|]{1,400})\))?.{0,80}?\border=(?P<order>-?\d{1,3})\b"
)
# 6.12 has the UID in between.
_ASKER_PID = re.compile(
    r"\s{0,8}CPU: \d{1,5} (?:UID: \d{1,10} )?PID: (?P<pid>\d{1,10}) Comm: "
    rf"(?:(?P<name>.{{0,{_NAME}}}?) (?:Kdump: \w{{1,10}} )?(?:Not t|T)ainted)?"
)
_TAINTED = re.compile(rf".{{0,{_NAME}}}? (?:Kdump: \w{{1,10}} )?(?:Not t|T)ainted")
_CONSTRAINT = re.compile(r"\s{0,8}oom-kill:constraint=CONSTRAINT_([A-Z_]{1,20})\b")
_GROUP = re.compile(r",oom_memcg=(/.{0,800}?),task_memcg=")
# 6.1 has the boost in between.
_ZONE = re.compile(
    r"\s{0,8}(?P<name>(?:Node \d{1,4},? )?\w{1,10}) free:(?P<free>\d{1,15})kB "
    r"(?:\w{1,20}:\d{1,15}[kK]B ){0,2}?min:(?P<min>\d{1,15})kB "
)
_FREE_PAGES = re.compile(r"(?:^|\s)free:(\d{1,15}) free_pcp:")
# Of a memory cgroup, instead of the zones.
_LIMIT = re.compile(r"\s{0,8}memory: usage (\d{1,20})kB, limit (\d{1,20})kB")
_OUT = r"\s{0,8}(?P<group>Memory cgroup o|O)ut of memory(?: \([\w.]{1,60}\))?"
_KILLING = re.compile(rf"{_OUT}: Killed process (?P<pid>\d{{1,10}}) \(")
# A name may have brackets of its own, and no other follow; one that is cut off may lack them.
_KILLED = re.compile(
    rf"{_KILLING.pattern}(?:(?P<victim>.{{0,{_NAME}}})\) total-vm:"
    rf"|(?P<bare>.{{0,{_NAME}}})\)|(?P<cut>.{{0,{_NAME}}}))"
)
_TOTAL = re.compile(rf".{{0,{_NAME}}}\) total-vm:")
_RSS = re.compile(r"\b(?:anon|file|shmem)-rss:(\d{1,15})kB")
_NOBODY = re.compile(r"\s{0,8}Out of memory and no killable processes")
_SPARED = re.compile(rf"{_OUT}: OOM victim \d")  # it was dying already
_PANIC = re.compile(r"\s{0,8}Kernel panic - not syncing: ")  # with panic_on_oom, before a kill


@dataclass(frozen=True)
class Zone:
    """A zone of memory at the time of a report, in KiB."""

    name: str  # "DMA32", or "Node 0 DMA32"
    free_kib: int
    min_kib: int  # its min watermark: the rest is for who frees memory


@dataclass(frozen=True)
class OomReport:
    """One report; a number is None, a word "" where the kernel did not say it.

    It says less than usual where reports come fast: all but the kill are left out then.
    """

    asker: str = ""  # the task whose request called the OOM killer
    asker_pid: int | None = None
    gfp: str = ""  # of the request: "GFP_KERNEL|__GFP_ZERO"
    order: int | None = None  # it asked for 2^order pages; -1: sysrq asked
    constraint: str = ""  # what ran out: "none" (the machine), "memcg", "cpuset", "memory_policy"
    group: str = ""  # the memory cgroup that was at its limit
    usage_kib: int | None = None  # of that group
    limit_kib: int | None = None
    free_pages: int | None = None  # in all zones
    zones: tuple[Zone, ...] = ()
    victim: str = ""
    victim_pid: int | None = None
    rss_kib: int | None = None  # what the victim had in RAM: anonymous, file and shared pages
    nobody_left: bool = False  # to be killed: the kernel panics, a cgroup goes on


# ---------------------------------------------------------------- reading


def oom_reports(lines: Iterable[str]) -> Iterator[OomReport]:
    """Yield every report in *lines*, a kernel's log without time stamps, in order. Never raises."""
    report: OomReport | None = None
    for line in _with_whole_names(raw[:MAX_LINE] for raw in lines):
        if match := _ASKED.match(line):
            if report is not None:
                yield report  # it was never finished
            report = OomReport(match["asker"], None, match["gfp"] or "", int(match["order"]))
        elif match := _KILLED.match(line):
            yield _killed(report or OomReport(), match)
            report = None
        elif _NOBODY.match(line):
            yield replace(report or OomReport(), nobody_left=True)
            report = None
        elif report is not None and (_SPARED.match(line) or _PANIC.match(line)):
            yield report
            report = None
        elif report is not None:
            report = _filled(report, line)
    if report is not None:
        yield report


def _with_whole_names(lines: Iterable[str]) -> Iterator[str]:
    """Yield *lines*, but as one those in which a task's name has newlines, if it is of use."""
    parts: list[str] = []  # with a name that has not ended
    rest: re.Pattern[str] | None = None  # of the line in which it does
    for line in lines:
        within = rest is not None and not _KILLING.match(line)
        if rest and within and rest.match(line):
            yield _NEWLINE.join((*parts, line))
            parts, rest = [], None
        elif within and len(parts) < _NAME_LINES and len(line) <= _NAME:
            parts.append(line)
        else:
            yield from parts
            rest = _name_without_end(line)
            parts = [line] if rest else []
            yield from () if rest else (line,)
    yield from parts


def _name_without_end(line: str) -> re.Pattern[str] | None:
    """Return what the last line matches of those that *line* begins; None: it is whole."""
    if (killing := _KILLING.match(line)) and ")" not in line[killing.end() :]:
        return _TOTAL
    if (asker := _ASKER_PID.match(line)) and asker["name"] is None:
        return _TAINTED
    return None


def oom_report(text: str) -> OomReport | None:
    """Return the first report in *text*, some lines of a kernel's log; None if there is none."""
    return next(oom_reports(text.split("\n")), None)


def _filled(report: OomReport, line: str) -> OomReport:
    """Return *report* with what *line* adds to it."""
    if (match := _ASKER_PID.match(line)) and report.asker_pid is None:
        name = match["name"] or ""
        whole = name if name.endswith(_NEWLINE + report.asker) else report.asker
        return replace(report, asker=whole, asker_pid=int(match["pid"]))
    if match := _ZONE.match(line):
        known = {zone.name for zone in report.zones}
        if match["name"] in known or len(known) >= MAX_ZONES:
            return report
        zone = Zone(match["name"], int(match["free"]), int(match["min"]))
        return replace(report, zones=(*report.zones, zone))
    if (match := _FREE_PAGES.search(line)) and report.free_pages is None:
        return replace(report, free_pages=int(match[1]))
    if match := _LIMIT.match(line):
        limits = int(match[1]), int(match[2])
        return replace(report, usage_kib=limits[0], limit_kib=limits[1], constraint="memcg")
    if match := _CONSTRAINT.match(line):
        group = _GROUP.search(line)
        return replace(report, constraint=match[1].lower(), group=group[1] if group else "")
    return report


def _killed(report: OomReport, match: re.Match[str]) -> OomReport:
    """Return *report* with the kill that it ends in."""
    held = _RSS.findall(match.string[:MAX_LINE], match.end())[:3]
    in_group = match["group"].startswith("Memory")
    return replace(
        report,
        victim=next(n for n in match.group("victim", "bare", "cut") if n is not None),
        victim_pid=int(match["pid"]),
        rss_kib=sum(map(int, held)) if held else None,
        constraint=report.constraint or ("memcg" if in_group else ""),
    )


# ---------------------------------------------------------------- whom a kill hit


class Victim(enum.Enum):
    """What of a guest an OOM kill has hit."""

    LOAD = "the load"
    LOADER = "the task that loads the test"
    TEST = "a program of the test"
    GUEST = "the guest's own part"  # PID 1 and what serves the harness beside it
    NOBODY = "nobody"


# Names of tasks in every guest. PID 1 has "init", and so does a child that is about to become
# another program; "read" reads a file for the harness.
_LOADERS = ("insmod", "rmmod")
_OWN = ("dropbear", "dropbearkey", "init", "read", "sampler")


def victim_of(report: OomReport, loads: Collection[str]) -> Victim:
    """Return what the kill in *report* hit, in a guest where the loads named *loads* ran."""
    if report.victim_pid is None:
        return Victim.NOBODY
    if report.victim_pid == 1 or report.victim in _OWN:
        return Victim.GUEST
    if report.victim in _LOADERS:
        return Victim.LOADER
    return Victim.LOAD if report.victim in map(comm_of, loads) else Victim.TEST


def comm_of(name: str) -> str:
    """Return the name of a task that runs the program *name*, as the kernel has it."""
    return name[:_COMM]


@dataclass(frozen=True)
class OomKills:
    """What the OOM killer took in a guest."""

    texts: Mapping[Victim, tuple[str, ...]]  # a line for each kind of kill
    of_loads: frozenset[str]  # the loads that it took tasks of


def kills_in(reports: Iterable[OomReport], loads: Collection[str]) -> OomKills:
    """Return the kills that *reports* tell of, in a guest where *loads* ran."""
    texts: dict[Victim, dict[str, None]] = {}
    tasks: set[str] = set()
    for report in reports:
        victim = victim_of(report, loads)
        texts.setdefault(victim, {})[_victim_text(report, victim)] = None
        tasks |= {report.victim} if victim is Victim.LOAD else set()
    of_loads = frozenset(load for load in loads if comm_of(load) in tasks)
    return OomKills({victim: tuple(lines) for victim, lines in texts.items()}, of_loads)


def victim_of_splat(splat: Splat, loads: Collection[str]) -> Victim:
    """Return what the kill that *splat* reports hit; NOBODY if it is no OOM kill."""
    report = oom_report(splat.text) if splat.kind is SplatKind.OOM_KILL else None
    return victim_of(report, loads) if report else Victim.NOBODY


# ---------------------------------------------------------------- words for people

_CONSTRAINTS = {
    "none": "no constraint",
    "memcg": "at the limit of a memory cgroup",
    "cpuset": "within a cpuset",
    "memory_policy": "within a memory policy",
}


def request_text(report: OomReport) -> str:
    """Return who asked for what, and why there was none; "" if the kernel did not say."""
    asker = "a kworker" if report.asker.startswith("kworker/") else report.asker
    return ", ".join(([f"asked by {asker}"] if asker else []) + _why(report))


def kill_text(report: OomReport) -> str:
    """Return what the title of an OOM splat lacks: RAM of the victim, reason, free memory."""
    parts = []
    if report.victim_pid is not None:
        held = "" if report.rss_kib is None else f" had {report.rss_kib} KiB of RAM"
        parts.append(f"pid {report.victim_pid}{held}")
    parts += ["nobody was left to kill"] if report.nobody_left else []
    parts += [", ".join(why)] if (why := _why(report)) else []
    if report.limit_kib is not None:
        group = f"{report.group} uses " if report.group else "used "
        parts.append(f"{group}{report.usage_kib} of {report.limit_kib} KiB")
    if report.free_pages is not None:
        parts.append(f"free {report.free_pages} pages")
    parts += [
        f"{zone.name} free {zone.free_kib} KiB, min watermark {zone.min_kib} KiB"
        for zone in report.zones[:_ZONES_NAMED]
    ]
    return "; ".join(parts)


def _why(report: OomReport) -> list[str]:
    parts = []
    if report.order is not None:
        parts.append(f"order {report.order}" if report.order >= 0 else "by sysrq")
    parts += [report.gfp] if report.gfp else []
    parts += [_CONSTRAINTS[report.constraint]] if report.constraint in _CONSTRAINTS else []
    return parts


def _victim_text(report: OomReport, victim: Victim) -> str:
    text = f"the OOM killer took {victim.value}, {report.victim}"
    request = request_text(report)
    return f"{text} ({request})" if request else text
