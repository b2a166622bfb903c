"""``verify`` finds every planted damage and names it; a sound run is sound."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from sweep_tools import FAKE_ENUMERATE, fake_run, names, write

from simcore.sweep import checksum
from simcore.sweep.files import read_document, write_document
from simcore.sweep.schema import to_arrow
from simcore.sweep.store import METADATA_KEY, RunDirectory
from simcore.sweep.verify import verify_run

DRAWS = 8


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    base = tmp_path_factory.mktemp("sound")
    for name, text in (
        ("run", FAKE_ENUMERATE.format(draws=DRAWS)),
        ("seed", FAKE_ENUMERATE.format(draws=DRAWS).replace("seed = 5", "seed = 6")),
    ):
        assert fake_run(write(base / f"{name}.toml", text), base / name) == 0
    return base


def shard(run, number):
    return RunDirectory(run).shards()[number]


def file(run, kind, number):
    return RunDirectory(run).file(kind, shard(run, number))


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


def rewrite(run, number, change):
    """Replace a shard's points by changed ones, as somebody would who knows Parquet and not the manifest."""
    import pyarrow.parquet as parquet

    path = file(run, "points", number)
    table = parquet.read_table(path)
    metadata = {METADATA_KEY.decode(): table.schema.metadata[METADATA_KEY].decode()}
    parquet.write_table(to_arrow(change(table.to_pandas()), metadata), path)
    return path


def forge(run, number, change):
    """Change rows and make the record fit: size, SHA-256, rows and checksum."""
    import pyarrow.parquet as parquet

    from simcore.sweep.files import crc32_of

    path = rewrite(run, number, change)
    directory = RunDirectory(run)
    record = directory.record(shard(run, number))
    table = parquet.read_table(path)
    record["files"]["points"] = {
        "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "rows": len(table),
        "crc32": crc32_of(path.read_bytes()),
        "row_sum": checksum.row_sum(table, checksum.row_key(record["combination"], "points")),
    }  # fmt: skip
    write_document(directory.record_path(shard(run, number)), record)


def edit_record(run, number, **changes):
    path = RunDirectory(run).record_path(shard(run, number))
    write_document(path, read_document(path) | changes)


def copy_shard(run, source, target):
    """Give a shard's files and record another shard's name."""
    for folder, ending in (("points", "parquet"), ("audits", "parquet"), ("manifest", "json")):
        shutil.copy(run / folder / f"{source}.{ending}", run / folder / f"{target}.{ending}")


def overlapping_shard(run, _):
    """A shard of two draws beside the two shards of one draw each, all checksums in order."""
    directory = RunDirectory(run)
    old = shard(run, 2)
    new = type(old)(old.combination, old.first_draw, old.last_draw + 1, old.first_start, old.last_start)
    copy_shard(run, old.name, new.name)
    write_document(directory.record_path(new), read_document(directory.record_path(old)) | {"shard": new.name})


def hollow_shard(run, **ends):
    """A record of no draws or no starts, all else in order."""
    directory = RunDirectory(run)
    old = shard(run, 2)
    new = old._replace(**ends)
    copy_shard(run, old.name, new.name)
    write_document(directory.record_path(new), read_document(directory.record_path(old)) | {"shard": new.name})


def foreign_shard(run, other):
    """The same shard of a run with another seed."""
    name = names(run)[3]
    shutil.copy(other / "points" / f"{name}.parquet", run / "points" / f"{name}.parquet")


def foreign_record(run, other):
    name = names(run)[3]
    for folder, ending in (("points", "parquet"), ("audits", "parquet"), ("manifest", "json")):
        shutil.copy(other / folder / f"{name}.{ending}", run / folder / f"{name}.{ending}")


def swap(run, _):
    one, two = file(run, "points", 1), file(run, "points", 2)
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)


# ruff: noqa: E501
DAMAGES = {
    "the end of a file cut off": (lambda r, o: file(r, "points", 0).write_bytes(file(r, "points", 0).read_bytes()[:-1]), "TRUNCATED", "points/c00000-d0000000000"),
    "an empty file": (lambda r, o: file(r, "points", 1).write_bytes(b""), "TRUNCATED", "points/c00000-d0000000001"),
    "a cut audit": (lambda r, o: file(r, "audits", 1).write_bytes(file(r, "audits", 1).read_bytes()[:500]), "TRUNCATED", "audits/c00000-d0000000001"),
    "one bit in the data": (lambda r, o: flip(file(r, "points", 2), 40), "ALTERED", "points/c00000-d0000000002"),
    "one bit in the footer": (lambda r, o: flip(file(r, "points", 2), -60), "ALTERED", "points/c00000-d0000000002"),
    "one bit of an audit": (lambda r, o: flip(file(r, "audits", 5), 60), "ALTERED", "audits/c00000-d0000000005"),
    "bytes appended": (lambda r, o: file(r, "points", 4).write_bytes(file(r, "points", 4).read_bytes() + b"x"), "ALTERED", "points/c00000-d0000000004"),
    "a cost rewritten": (lambda r, o: rewrite(r, 3, lambda f: f.assign(cost=f["cost"] + 1e-15)), "ALTERED", "points/c00000-d0000000003"),
    "a row left out": (lambda r, o: rewrite(r, 3, lambda f: f.iloc[:-1]), ("ALTERED", "TRUNCATED"), "points/c00000-d0000000003"),
    "a row repeated, record forged": (lambda r, o: forge(r, 3, lambda f: f.iloc[[0, 1, 2, 3, 4, 5, 5]]), "ALTERED", "points/c00000-d0000000003"),
    "rows of another draw, record forged": (lambda r, o: forge(r, 3, lambda f: f.assign(draw=np.int64(7))), "ALTERED", "points/c00000-d0000000003"),
    "a file deleted": (lambda r, o: file(r, "points", 6).unlink(), "MISSING", "points/c00000-d0000000006"),
    "a shard deleted": (lambda r, o: [p.unlink() for p in r.rglob(f"{names(r)[7]}.*")], "MISSING", "c00000-d0000000007"),
    "a record cut off": (lambda r, o: (r / "manifest" / f"{names(r)[0]}.json").write_text("{"), "ALTERED", "manifest/c00000-d0000000000"),
    "a record altered": (lambda r, o: (r / "manifest" / f"{names(r)[0]}.json").write_text((r / "manifest" / f"{names(r)[0]}.json").read_text().replace('"rows":6', '"rows":5')), "ALTERED", "manifest/c00000-d0000000000"),
    "a record under another name": (lambda r, o: shutil.copy(r / "manifest" / f"{names(r)[1]}.json", r / "manifest" / f"{names(r)[2]}.json"), "DUPLICATED", "manifest/c00000-d0000000002"),
    "a shard under another name": (lambda r, o: shutil.copy(file(r, "points", 1), r / "points" / "c00000-d0000000090-0000000091-s0000000000-0000000512.parquet"), "DUPLICATED", "points/c00000-d0000000090"),
    "two shards exchanged": (swap, "DUPLICATED", "points/c00000-d0000000001"),
    "a shard that overlaps": (overlapping_shard, "DUPLICATED", "c00000-d0000000002-0000000004"),
    "a shard without draws": (lambda r, o: hollow_shard(r, last_draw=2), "FOREIGN", "manifest/c00000-d0000000002-0000000002"),
    "a shard without starts": (lambda r, o: hollow_shard(r, first_start=512), "FOREIGN", "manifest/c00000-d0000000002-0000000003-s0000000512-0000000512"),
    "a shard of another seed": (foreign_shard, "FOREIGN", "points/c00000-d0000000003"),
    "a shard and record of another seed": (foreign_record, "FOREIGN", "manifest/c00000-d0000000003"),
    "a file that is no shard": (lambda r, o: write(r / "points" / "notes.txt", "x"), "FOREIGN", "points/notes.txt"),
    "a Parquet file of others": (lambda r, o: __import__("pandas").DataFrame({"a": [1]}).to_parquet(r / "points" / "a.parquet"), "FOREIGN", "points/a.parquet"),
    "a record that is none": (lambda r, o: write(r / "manifest" / "x.json", "{}"), "FOREIGN", "manifest/x.json"),
    "a record without files": (lambda r, o: edit_record(r, 5, files={"points": {}}), "ALTERED", "manifest/c00000-d0000000005"),
    "a version nobody allowed": (lambda r, o: edit_record(r, 5, simcore="0.0.9"), "VERSION", "0.0.9"),
    "another backend": (lambda r, o: edit_record(r, 5, backend="reference"), "FOREIGN", "reference"),
    "run.json altered": (lambda r, o: (r / "run.json").write_text((r / "run.json").read_text().replace('"seed": 5', '"seed": 6')), "ALTERED", "run.json"),
    "config.toml exchanged": (lambda r, o: shutil.copy(o / "config.toml", r / "config.toml"), "ALTERED", "config.toml"),
}  # fmt: skip


def test_a_sound_run_is_sound(sound):
    report = verify_run(sound / "run")
    assert report.ok and report.shards == DRAWS and report.rows == {"points": 6 * DRAWS, "audits": DRAWS}
    assert json.dumps(report.to_dict()) and report.text().endswith("sound")


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_found_and_named(sound, tmp_path, damage):
    plant, kinds, where = DAMAGES[damage]
    shutil.copytree(sound / "run", tmp_path / "run")
    plant(tmp_path / "run", sound / "seed")
    report = verify_run(tmp_path / "run")
    text = report.text()
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    assert not report.ok
    assert any(line.startswith(kinds) and where in line for line in text.splitlines()), text
    assert all(len(line) < 600 for line in text.splitlines())


def test_twenty_damages_at_once_are_all_named(sound, tmp_path):
    """One in each of twenty places of one run; each place is in the report."""
    run = tmp_path / "run"
    config = write(tmp_path / "config.toml", FAKE_ENUMERATE.format(draws=24))
    assert fake_run(config, run) == 0
    places = []
    for number in range(20):
        path = file(run, "points" if number % 2 else "audits", number)
        places.append(f"{path.parent.name}/{path.name}")
        match number % 4:
            case 0:
                path.write_bytes(path.read_bytes()[: 100 * (number + 1)])
            case 1:
                flip(path, 30 + number)
            case 2:
                path.unlink()
            case 3:
                path.write_bytes(file(run, "points", 21).read_bytes())
    lines = verify_run(run).text().splitlines()
    for place in places:
        assert any(place in line and line.split(":")[0].isupper() for line in lines), place


def test_leftovers_of_killed_writers_are_no_damage(sound, tmp_path):
    shutil.copytree(sound / "run", tmp_path / "run")
    write(tmp_path / "run" / "points" / "c00000-d0000000000-0000000001-s0000000000-0000000512.parquet.77.tmp", "x")
    report = verify_run(tmp_path / "run")
    assert report.ok and "left by a killed process" in report.text()


def test_the_command_line_exits_with_1_for_damage_and_2_for_no_run(sound, tmp_path, capsys):
    from simcore.cli import main

    assert main(["verify", str(sound / "run")]) == 0
    shutil.copytree(sound / "run", tmp_path / "run")
    file(tmp_path / "run", "points", 0).unlink()
    assert main(["verify", str(tmp_path / "run"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out.partition("sound\n")[2])
    assert [one["kind"] for one in found["findings"]] == ["missing"]
    assert main(["verify", str(tmp_path)]) == 2


def shard_survives(run, reference, number, place, junk):
    """Plant junk in a shard file: reading it ends in one line, and verify never misses a change."""
    from simcore.errors import RunError
    from simcore.sweep.store import read_table

    path = file(run, "points", number)
    good = path.read_bytes()
    bad = bytearray(good)
    bad[place % len(bad) : place % len(bad) + len(junk)] = junk
    path.write_bytes(bytes(bad))
    facts = RunDirectory(run).record(shard(run, number))["files"]["points"]
    if bytes(bad) == good:
        return
    with pytest.raises(RunError) as caught:
        read_table(path, facts)
    message = str(caught.value)
    assert "\n" not in message and path.name in message
    path.write_bytes(good)
    if bytes(bad) != good:
        path.write_bytes(bytes(bad))
        problem = [finding for finding in verify_run(run).findings if path.name in finding.where]
        path.write_bytes(good)
        assert problem


def test_fuzzed_shard_files(sound, tmp_path):
    fuzz(sound, tmp_path, 60)


@pytest.mark.long
def test_fuzzed_shard_files_at_length(sound, tmp_path):
    fuzz(sound, tmp_path, 2000)


def fuzz(sound, tmp_path, count):
    import random

    source = random.Random(5)
    run = tmp_path / "run"
    shutil.copytree(sound / "run", run)
    for _ in range(count):
        junk = bytes(source.randrange(256) for _ in range(source.randint(1, 40)))
        shard_survives(run, sound, source.randrange(DRAWS), source.randrange(10**6), junk)
    assert verify_run(run).ok
