"""What is left to do of a run, stage by stage.

With ``draws`` a combination has one stage. With ``target_error`` it has a stage up to 64 draws, one up to 128, ...:
after each the relative standard error of the ratio is looked at, from exactly that many draws, and nowhere in between,
so that the answer does not depend on when shards happened to finish.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from simcore.errors import RunError
from simcore.sweep.config import Configuration
from simcore.sweep.plan import (
    Shard,
    by_combination,
    layout,
    missing,
    part_of,
    require_shards,
    seconds_per_draw,
    shard_count,
)
from simcore.sweep.ratio_error import ratio_error
from simcore.sweep.store import ENDING, MissingFile, RunDirectory, checked_bytes


@dataclass
class Stage:
    """Where one combination stands: the draws of its current stage and the shards it waits for."""

    combination: int
    looks: Iterator[int]
    draws: int = 0
    waiting: set[Shard] = field(default_factory=set)
    finished: bool = False
    others: bool = False  # finished for now: its look waits for shards of other jobs


class Agenda:
    """Hands out shards, costliest first, and opens a combination's next stage when its look asks for more draws."""

    def __init__(
        self, run: RunDirectory, configuration: Configuration, held: set[Shard], part: tuple[int, int] | None
    ) -> None:
        self.run, self.configuration, self.part = run, configuration, part
        self._held = by_combination(held)
        require_shards(
            sum(shard_count(configuration, c, configuration.most_draws) for c in range(len(configuration.combinations)))
        )
        self.ready: deque[Shard] = deque()
        self.later: deque[Shard] = deque()  # failed before: tried again when nothing else is left
        self.set_aside: set[Shard] = set()
        self.total = 0
        self.weights = {
            c: seconds_per_draw(configuration, configuration.landscape(c)) / max(configuration.starts, 1)
            for c in range(len(configuration.combinations))
        }
        self._stages = [Stage(c, configuration.looks()) for c in range(len(configuration.combinations))]
        for stage in self._stages:
            self._advance(stage)
        self._sort()

    def weight(self, shard: Shard) -> float:
        """Return the shard's share of the work, in the units of the cost model."""
        return self.weights[shard.combination] * shard.draws * shard.starts

    @property
    def held(self) -> list[Shard]:
        """Shards that the run holds, those computed now included."""
        return [shard for shards in self._held.values() for shard in shards]

    @property
    def empty(self) -> bool:
        """Whether nothing is left to hand out now."""
        return not self.ready and not self.later

    def next(self) -> Shard:
        """Return the next shard to compute."""
        return self.ready.popleft() if self.ready else self.later.popleft()

    def done(self, shard: Shard) -> None:
        """Note a finished shard; may open a further stage."""
        self._held[shard.combination].append(shard)
        stage = self._stages[shard.combination]
        stage.waiting.discard(shard)
        if not stage.waiting and not stage.finished:
            before = self.total
            self._advance(stage)
            if self.total > before:
                self._sort()

    def again(self, shard: Shard) -> None:
        """Put a failed shard at the end."""
        self.later.append(shard)

    def give_up(self, shard: Shard) -> None:
        """Set a shard aside; a combination that waits for it opens no further stage."""
        self.set_aside.add(shard)

    def remaining(self) -> list[Shard]:
        """Shards that wait to be handed out."""
        return [*self.ready, *self.later]

    def _sort(self) -> None:
        self.ready = deque(sorted(self.ready, key=lambda shard: (-self.weight(shard), shard)))

    def _advance(self, stage: Stage) -> None:
        """Open the next stage that lacks shards, or finish the combination."""
        c = stage.combination
        while True:
            if (
                stage.draws
                and self.configuration.error_of_draws is not None
                and stage.draws < self.configuration.most_draws
            ):
                if self.part is not None:
                    self._held[c] = [shard for shard in self.run.shards() if shard.combination == c]
                    if next(missing(self.configuration, c, stage.draws, self._held[c]), None) is not None:
                        stage.finished = stage.others = True
                        return
                shards = [shard for shard in self._held[c] if shard.first_draw < stage.draws]
                if (
                    ratio_error(self.run, self.configuration, c, stage.draws, shards)
                    <= self.configuration.error_of_draws
                ):
                    stage.finished = True
                    return
            try:
                stage.draws = next(stage.looks)
            except StopIteration:
                stage.finished = True
                return
            lacking = missing(self.configuration, c, stage.draws, self._held[c])
            stage.waiting = {shard for shard in lacking if part_of(shard, self.configuration, self.part)}
            if stage.waiting:
                self.ready.extend(stage.waiting)
                self.total += len(stage.waiting)
                return

    def look_again(self) -> bool:
        """Look once more where a look waited for other jobs' shards; return whether that opened new stages."""
        for stage in self._stages:
            if stage.others:
                stage.finished = stage.others = False
                self._advance(stage)
        self._sort()
        return not self.empty

    @property
    def waits(self) -> list[str]:
        """A sentence for each combination whose look waits for shards of other jobs."""
        return [
            f"{self.configuration.combinations[stage.combination]['name']} (combination {stage.combination}): the look "
            f"after {stage.draws} draws waits for other jobs' shards; run this job again when they are done"
            for stage in self._stages
            if stage.others
        ]


def held_shards(run: RunDirectory, configuration: Configuration) -> set[Shard]:
    """Return the shards that a run holds: a sound record, and files of the recorded checksum.

    A shard whose files are gone counts as missing. Raises ``RunError`` for a damaged record, a truncated or altered
    file or a shard of another configuration: nothing of it is overwritten.
    """
    held = set()
    for shard, record in run.records():
        if record.get("configuration_hash") != configuration.hash:
            raise RunError(
                f"{run.record_path(shard)} belongs to another configuration; move it and its files away, then run again"
            )
        try:
            for kind, facts in record["files"].items():
                checked_bytes(f"{run.path}/{kind}/{shard.name}{ENDING}", facts)
        except MissingFile:
            continue
        held.add(shard)
    return held


def expected_draws(run: RunDirectory, configuration: Configuration, combination: int, held: list[Shard]) -> int:
    """Return how many draws a finished run holds of a combination; where a look lacks shards, that look's."""
    for look in configuration.looks():
        if configuration.error_of_draws is None or look >= configuration.most_draws:
            return look
        if next(missing(configuration, combination, look, held), None) is not None:
            return look
        shards = [shard for shard in held if shard.first_draw < look]
        if ratio_error(run, configuration, combination, look, shards) <= configuration.error_of_draws:
            return look
    return configuration.most_draws


def split(configuration: Configuration, combination: int) -> bool:
    """Whether the draws of a combination lie in several shards each."""
    return layout(configuration, combination).split
