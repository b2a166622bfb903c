"""``verify_run``: read every shard back. Nothing is believed that can be checked.

Structure, for every run: each record against its own checksum; each file against its record (bytes, SHA-256, rows,
checksum of the rows) and against its own metadata (configuration, shard, seed); rows unique and in their place; every
draw and start there once; files that do not belong. Then the science (``simcore.statistics.combination``) of
enumerate and ball runs. Damage is named, one line each, and nothing is changed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.errors import RunError, SimcoreError
from simcore.statistics.combination import Audit, Counts, audit, bound
from simcore.sweep import checksum
from simcore.sweep.agenda import expected_draws
from simcore.sweep.config import ESTIMATED, Configuration, read_configuration
from simcore.sweep.files import TEMPORARY
from simcore.sweep.merge import PARTS
from simcore.sweep.plan import Shard, by_combination, missing, overlapping
from simcore.sweep.provenance import read_run
from simcore.sweep.schema import FOLDERS, KINDS
from simcore.sweep.store import ENDING, RunDirectory, file_identity, table_of

if TYPE_CHECKING:
    import pyarrow as pa

MOST_LINES = 40
"""Findings of one kind that are listed; the rest are counted."""

BATCH_BYTES = 32 << 20
"""About how much of rows is held before it is checked."""


@dataclass(frozen=True)
class Finding:
    """One damage: its kind ("missing", "truncated", "altered", "duplicated", "foreign", "version", "set aside",
    "science"), the file or shard, and what is wrong."""

    kind: str
    where: str
    what: str

    def line(self) -> str:
        """Return one line."""
        return f"{self.kind.upper()}: {self.where}: {self.what}"


@dataclass
class Report:
    """What ``verify_run`` found. ``ok`` is False where there is any finding; notes are no faults."""

    run: str
    method: str = ""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shards: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    versions: list[str] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def text(self) -> str:
        """Return the report as text, a line a fact."""
        rows = ", ".join(f"{count:,} {kind}" for kind, count in self.rows.items())
        lines = [f"{self.run}: {self.method} run, {self.shards} shards, {rows or 'no rows'}"]
        if self.seed is not None:
            lines.append(f"seed {self.seed}, simcore {', '.join(self.versions) or '-'}")
        lines += [f"checksum of all {kind}: {total}" for kind, total in self.checksums.items()]
        lines += [one.line(bound(self.audits)) for one in self.audits]
        lines += [f"note: {note}" for note in self.notes]
        kinds = Counter(finding.kind for finding in self.findings)
        shown: Counter[str] = Counter()
        for finding in self.findings:
            shown[finding.kind] += 1
            if shown[finding.kind] <= MOST_LINES:
                lines.append(finding.line())
        lines += [f"... and {n - MOST_LINES} more {kind}" for kind, n in kinds.items() if n > MOST_LINES]
        summary = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        lines.append("sound" if self.ok else f"NOT SOUND: {summary}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON-safe dictionary."""
        return {
            **self.__dict__,
            "ok": self.ok,
            "findings": [finding.__dict__ for finding in self.findings],
            "audits": [one.to_dict() for one in self.audits],
        }


def verify_run(run: str | Path, *, repair: bool = False) -> Report:
    """Check a run from end to end and return what was found.

    ``repair`` first writes a run.json that was lost or damaged anew from what the shards say of themselves
    (``simcore.sweep.repair``); nothing else is changed, and nothing at all without it.

    Raises ``InputError`` where ``run`` is no run directory; a damaged run is a report with findings, not an error.
    """
    directory = RunDirectory(run)
    report = Report(str(run))
    if repair:
        from simcore.sweep.repair import repair_run

        said = repair_run(directory)
        report.notes += [said] if said else []
    try:
        document, configuration = read_run(directory)
    except RunError as error:
        report.findings.append(Finding("altered", "run.json", str(error)))
        return report
    _Verification(directory, document, configuration, report).execute()
    return report


@dataclass(frozen=True)
class _Rows:
    """One kind of a shard's rows, read and waiting for their check; ``facts`` are its record's."""

    shard: Shard
    kind: str
    path: Path
    facts: dict[str, Any]
    table: Any


class _Verification:
    """One verification of one run."""

    def __init__(
        self, run: RunDirectory, document: dict[str, Any], configuration: Configuration, report: Report
    ) -> None:
        self.run, self.document, self.configuration, self.report = run, document, configuration, report
        self.sums: dict[str, list[str]] = {kind: [] for kind in KINDS[configuration.method]}
        self.counts: dict[int, Counts] = {}
        self.batch: dict[tuple[int, str, pa.Schema], list[_Rows]] = {}
        self.waiting = 0
        self.damaged: set[int] = set()  # combinations whose science can't be judged

    def execute(self) -> None:
        report = self.report
        report.method, report.seed = self.configuration.method, self.configuration.seed
        self._check_source()
        records = dict(self._records())
        self._count_draws(records)
        for shard, record in records.items():
            self._check_shard(shard, record)
        self._check_batch()
        self._check_strangers(set(records))
        self._check_coverage(records)
        self._check_origin(records)
        self._check_set_aside()
        report.shards = len(records)
        report.checksums = {kind: checksum.combine(sums) for kind, sums in self.sums.items()}
        self._judge()

    def _find(self, kind: str, where: str | Path, what: str, shard: Shard | None = None) -> None:
        if isinstance(where, Path):
            where = str(where.relative_to(self.run.path))
        self.report.findings.append(Finding(kind, where, what))
        if shard is not None:
            self.damaged.add(shard.combination)

    # ---- structure -----------------------------------------------------------------------------------------------
    def _check_source(self) -> None:
        from simcore.landscapes import registry

        source = self.run.path / "config.toml"
        if not source.exists():
            return
        absent = {c["name"] for c in self.configuration.combinations if registry.is_own(c["name"])}
        absent = {name for name in absent if not registry.at_hand(name)}
        if absent:
            which = ", ".join(sorted(absent))
            self.report.notes.append(
                f"config.toml was not read: {which} is not known here; name its --plugin to verify"
            )
            return
        try:
            same = read_configuration(source).hash == self.configuration.hash
        except SimcoreError as error:
            self._find("altered", source, str(error))
            return
        if not same:
            self._find("altered", source, "it is not the configuration that run.json holds")

    def _records(self) -> Iterator[tuple[Shard, dict[str, Any]]]:
        """Yield the sound records of this run."""
        for path in sorted(self.run.manifest.glob("*")):
            shard = Shard.from_name(path.stem) if path.suffix == ".json" else None
            if path.name.endswith(TEMPORARY):
                self.report.notes.append(f"{path.name} was left by a killed process; the next run removes it")
                continue
            if shard is None:
                self._find("foreign", path, "no record of a shard has such a name")
                continue
            try:
                record = self.run.record(shard)
            except RunError as error:
                copied = "it was copied or renamed" in str(error)
                self._find("duplicated" if copied else "altered", path, _reason(error, path), shard)
                continue
            if record.get("configuration_hash") != self.configuration.hash:
                self._find("foreign", path, "its configuration is another one", shard)
            elif record.get("seed") != str(self.configuration.seed):
                self._find("foreign", path, f"its seed is {record.get('seed')}", shard)
            elif not self._fits(shard):
                self._find("foreign", path, "the configuration has no such draws and starts", shard)
            else:
                yield shard, record

    def _fits(self, shard: Shard) -> bool:
        configuration = self.configuration
        return (
            shard.combination < len(configuration.combinations)
            and shard.first_draw < shard.last_draw <= configuration.most_draws
            and shard.first_start < shard.last_start <= max(configuration.starts, 1)
        )

    def _count_draws(self, records: dict[Shard, dict[str, Any]]) -> None:
        if self.configuration.method == "newton":
            return
        held = by_combination(records)
        for c in range(len(self.configuration.combinations)):
            draws = max((shard.last_draw for shard in held[c]), default=0)
            self.counts[c] = Counts.empty(draws, self.configuration.landscape(c).dimension)

    def _check_shard(self, shard: Shard, record: dict[str, Any]) -> None:
        for kind, facts in record["files"].items():
            path = self.run.file(kind, shard)
            if kind == PARTS:
                self._find(
                    "missing", path, "its draw waits for its other starts, or for a merge: run the sweep again", shard
                )
                continue
            try:
                data = path.read_bytes()
                problem = self._file_problem(path, data, facts)
                if problem is None:
                    table = table_of(data, path).replace_schema_metadata()
                    self._add_to_batch(_Rows(shard, kind, path, facts, table))
            except FileNotFoundError:
                problem = "missing", path, "the file is gone: run the sweep again"
            except OSError as error:
                problem = "altered", path, f"it can't be read: {error.strerror or error}"
            except RunError as error:
                problem = "altered", path, _reason(error, path)
            if problem is not None:
                self._find(*problem, shard)

    def _file_problem(self, path: Path, data: bytes, facts: dict[str, Any]) -> tuple[str, Path, str] | None:
        if len(data) < facts["bytes"]:
            return "truncated", path, f"{len(data)} bytes of {facts['bytes']}: remove it and run the sweep again"
        if hashlib.sha256(data).hexdigest() == facts["sha256"]:
            return None
        identity = file_identity(path)
        if identity is not None and identity.get("configuration_hash") != self.configuration.hash:
            return "foreign", path, "it belongs to another configuration"
        if identity is not None and identity.get("shard") != path.stem:
            return "duplicated", path, f"it is a copy of shard {identity.get('shard')}"
        return "altered", path, "its bytes do not match its record: remove it and run the sweep again"

    def _add_to_batch(self, rows: _Rows) -> None:
        """Keep a shard's rows until there are many: their checks cost as much for one row as for a thousand."""
        batch = self.batch.setdefault((rows.shard.combination, rows.kind, rows.table.schema), [])
        batch.append(rows)
        self.waiting += rows.facts["bytes"] + 100 * len(rows.table)
        if self.waiting > BATCH_BYTES:
            self._check_batch()

    def _check_batch(self) -> None:
        """Check the rows that wait, and forget them."""
        import pyarrow as pa

        for (_, kind, _), rows in self.batch.items():
            table = pa.concat_tables([one.table for one in rows]).combine_chunks()
            self._check_rows(kind, rows, table)
        self.batch, self.waiting = {}, 0

    def _check_rows(self, kind: str, batch: list[_Rows], table: pa.Table) -> None:
        """Check shards' rows against their checksums and places; ``table`` joins them, of one combination."""
        import numpy as np

        combination = batch[0].shard.combination
        lengths = [len(one.table) for one in batch]
        key = checksum.row_key(self.configuration.combinations[combination], kind)
        totals = checksum.row_sums(table, key, lengths)
        second = {"points": "point", "counts": "morse_index", "audits": "draw"}.get(kind, "start")
        draws, numbers = (table.column(name).to_numpy() for name in ("draw", second))
        dimension = self.configuration.landscape(combination).dimension
        sound = []
        for one, total, length, end in zip(batch, totals, lengths, np.cumsum(lengths), strict=True):
            rows = slice(end - length, end)
            if length != one.facts["rows"] or total != one.facts["row_sum"]:
                self._find("altered", one.path, "its rows do not match their checksum", one.shard)
            elif not _placed(one.shard, kind, draws[rows], numbers[rows], dimension):
                self._find("altered", one.path, "rows are missing, repeated or out of place", one.shard)
            else:
                sound.append(one.table)
                self.sums[kind].append(total)
                self.report.rows[kind] = self.report.rows.get(kind, 0) + length
        if sound and kind in ("points", "audits"):
            import pyarrow as pa

            whole = table if len(sound) == len(batch) else pa.concat_tables(sound)
            if kind == "points":
                self.counts[combination].add(whole.select(["draw", "morse_index", "cost", "certified"]).to_pandas())
            else:
                self.counts[combination].audits.append(whole.to_pandas())

    def _check_strangers(self, known: set[Shard]) -> None:
        """Name files in the run's folders that no record speaks of."""
        for kind in FOLDERS[self.configuration.method]:
            for path in sorted(self.run.folder(kind).glob("*")):
                shard = Shard.from_name(path.stem) if path.suffix == ENDING else None
                if shard in known or self.run.manifest.joinpath(f"{path.stem}.json").exists():
                    continue
                if path.name.endswith(TEMPORARY):
                    self.report.notes.append(
                        f"{kind}/{path.name} was left by a killed process; the next run removes it"
                    )
                    continue
                identity = file_identity(path)
                if identity is None:
                    self._find("foreign", path, "simcore did not write it, or it can't be read")
                elif identity.get("configuration_hash") != self.configuration.hash:
                    self._find("foreign", path, "it belongs to another configuration")
                elif identity.get("shard") != path.stem:
                    self._find("duplicated", path, f"it is a copy of shard {identity.get('shard')}")
                else:
                    self.report.notes.append(f"{kind}/{path.name} has no record yet; the next run recomputes it")

    def _check_coverage(self, records: dict[Shard, dict[str, Any]]) -> None:
        for one, two in overlapping(records):
            self._find("duplicated", two.name, f"it holds rows of {one.name} too", two)
        held = by_combination(records)
        for c in range(len(self.configuration.combinations)):
            try:
                draws = expected_draws(self.run, self.configuration, c, held[c])
            except RunError:
                continue  # a shard that can't be read is named already
            for shard in missing(self.configuration, c, draws, held[c]):
                name = self.configuration.combinations[c]["name"]
                text = f"draws {shard.first_draw}..{shard.last_draw - 1} of {name} (combination {c})"
                self._find("missing", shard.name, f"{text} are not there: run the sweep again", shard)

    def _check_origin(self, records: dict[Shard, dict[str, Any]]) -> None:
        """Check that one version of simcore and one backend wrote everything, or those that were allowed."""
        report = self.report
        for key, what in (
            ("simcore", "version of simcore"),
            ("backend", "backend"),
            ("arithmetic", "set of libraries, BLAS and vector features"),
        ):
            found = Counter(str(record.get(key)) for record in records.values())
            listed = ", ".join(f"{name} ({count} shards)" for name, count in sorted(found.items()))
            if key == "simcore":
                report.versions = sorted(found)
                for name in set(found) - set(self.document["versions"]):
                    self._find("version", "manifest", f"simcore {name} wrote {found[name]} shards and was not allowed")
            elif key == "arithmetic":
                for name in set(found) - {*self.document.get(key, found), str(None)}:
                    text = f"{found[name]} shards were computed with {name}, which was not allowed"
                    self._find("version", "manifest", text)
            elif key == "backend" and set(found) - {self.document["backend"]}:
                self._find("foreign", "manifest", f"backends {listed}, run.json says {self.document['backend']}")
            if len(found) > 1:
                report.notes.append(f"more than one {what}: {listed}; rows agree in distribution, not bit for bit")

    def _check_set_aside(self) -> None:
        for path in sorted(self.run.failed.glob("*.json")):
            self._find(
                "set aside", path, "it failed repeatedly, the file holds its traceback; run the sweep again to retry it"
            )

    # ---- science -------------------------------------------------------------------------------------------------
    def _judge(self) -> None:
        report = self.report
        if self.configuration.method == "newton":
            report.notes.append(
                "a newton run counts hits, which favour points with large basins: its counts can't be audited against "
                'an exact law; use method = "enumerate" or "ball" for counts that can'
            )
            return
        if self.configuration.method in ESTIMATED:
            self._judge_trust()
            return
        for c, counts in self.counts.items():
            if c in self.damaged or not counts.audits:
                report.notes.append(f"combination {c} is not whole: its science is not judged")
                continue
            entry = self.configuration.combinations[c]
            name = f"{entry['name']} " + " ".join(f"{k}={v}" for k, v in entry.items() if k != "name")
            report.audits.append(audit(self.configuration.landscape(c), counts, name, combinations=len(self.counts)))
        limit = bound(report.audits)
        for one in report.audits:
            if one.euler_right is not None and one.complete > one.euler_right:
                self._find(
                    "science",
                    one.landscape,
                    f"{one.complete} draws say complete, {one.euler_right} have the right Euler sum",
                )
            for test in one.tests:
                if test.p < limit:
                    text = f"{test.measured:.6g} against {test.exact:.6g}, z = {test.z:+.2f}, p = {test.p:.1e}"
                    self._find("science", one.landscape, f"{test.what} is not the exact law's: {text}")

    def _judge_trust(self) -> None:
        """Say of how many draws the counts are not trusted, and why: they are estimates, with errors of their own."""
        for c, counts in self.counts.items():
            audits = [row for frame in counts.audits for row in frame.to_dict("records")]
            entry = self.configuration.combinations[c]
            name = f"{entry['name']} " + " ".join(f"{k}={v}" for k, v in entry.items() if k != "name")
            doubtful = [row for row in audits if not row["trusted"]]
            self.report.notes.append(
                f"{name}: counts of {len(audits)} draws are estimates by method {self.configuration.method!r}, "
                f"{len(audits) - len(doubtful)} of them trusted"
            )
            for row in doubtful[:5]:
                self.report.notes.append(f"{name}: draw {row['draw']} is not trusted: {row['reasons']}")


def _placed(shard: Shard, kind: str, draws: Any, numbers: Any, dimension: int) -> bool:
    """Whether rows lie where their shard says, each once; ``numbers`` are their points, indices, draws or starts."""
    import numpy as np

    own = np.arange(shard.first_draw, shard.last_draw)
    if kind == "points":
        inside = (draws >= shard.first_draw) & (draws < shard.last_draw)
        order = np.lexsort((numbers, draws))
        repeated = (np.diff(draws[order]) == 0) & (np.diff(numbers[order]) == 0)
        return bool(inside.all() and not repeated.any())
    if kind == "audits":
        return np.array_equal(draws, own)
    inner = np.arange(dimension + 1) if kind == "counts" else np.arange(shard.first_start, shard.last_start)
    return np.array_equal(draws, np.repeat(own, len(inner))) and np.array_equal(numbers, np.tile(inner, len(own)))


def _reason(error: Exception, path: Path) -> str:
    return str(error).removeprefix(str(path)).lstrip(": ")
