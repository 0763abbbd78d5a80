"""The same clusters whatever the memory, the order and the number of texts; no quadratic work."""

import errno
import itertools
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.copies import bands, forest
from lmcore.data.copies.clustering import Clusters, cluster
from lmcore.data.copies.deduplication import NUM_BANDS, NUM_MINIMA, Signatures, minhash
from lmcore.data.copies.leaders import MAX_LEADERS
from lmcore.data.copies.scratch import Scratch
from lmcore.data.copies.shingles import shingles
from lmcore.errors import StorageError

MakeScratch = Callable[..., Scratch]
Components = Callable[[int, Any], list[int]]
Order = npt.NDArray[np.uint64]
# Memory and cache: all on disk, in chunks of a few rows or of many, signatures looked up where they
# are or brought along; all in memory.
WAYS = ((0, 0), (4_000, 1 << 40), (4_000, 0), (30_000, 1 << 40), (30_000, 0), (1 << 24, 0))
LARGE_WAYS = ((1 << 28, 0), (110_000, 1 << 40), (110_000, 0))
NEEDED = 90  # of 128 minima, for a similarity of 0.7


def _order(count: int) -> Order:
    return np.arange(count, dtype=np.uint64)


def _corpus(rng: np.random.Generator, count: int) -> Signatures:
    """Families of edited copies, some of which chain; some texts share the bands of a header."""
    bases = rng.integers(0, 1 << 16, (max(1, count // 4), NUM_MINIMA), dtype=np.uint16)
    found = bases[rng.integers(0, len(bases), count)]
    # From the same to too far apart: 38 changed minima are still a near-copy, 39 are not.
    edits = rng.choice([0, 5, 20, 36, 37, 38, 39, 40, 80], count)
    for row, number in enumerate(edits):
        places = rng.choice(NUM_MINIMA, number, replace=False)
        found[row, places] = rng.integers(0, 1 << 16, number)
    header = rng.random(count) < 0.3
    width = 4 * int(rng.integers(1, 4))
    found[header, :width] = found[0, :width]
    return found


def _by_hand(signatures: Signatures, order: Order, components: Components) -> tuple[list[int], int]:
    """What `cluster` promises, one pair after the other."""
    pairs = []
    for band in range(NUM_BANDS):
        groups: dict[bytes, list[int]] = {}
        for row in sorted(range(len(signatures)), key=lambda row: int(order[row])):
            groups.setdefault(signatures[row, 4 * band : 4 * band + 4].tobytes(), []).append(row)
        for members in groups.values():
            rest = members
            for _ in range(MAX_LEADERS):
                if not rest:
                    break
                leader, others, rest = rest[0], rest[1:], []
                for row in others:
                    if int((signatures[row] == signatures[leader]).sum()) >= NEEDED:
                        pairs.append((leader, row))
                    else:
                        rest.append(row)
    return components(len(signatures), pairs), len(pairs)


class _ForestOfBefore:
    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def find(self, row: int) -> int:
        while self.parent[row] != row:
            row = self.parent[row]
        return row

    def join(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        self.parent[max(a, b)] = min(a, b)


def _of_before(signatures: Signatures, order: Order) -> tuple[list[int], int]:
    """The clustering of releases that held everything in memory, group by group."""
    forest, pairs = _ForestOfBefore(len(signatures)), 0
    for band in range(NUM_BANDS):
        keys = np.ascontiguousarray(signatures[:, 4 * band : 4 * band + 4]).view(np.uint64).ravel()
        ranks = np.lexsort((order, keys))
        ranked = keys[ranks]
        edges = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1], True])
        for start, end in itertools.pairwise(edges):
            members = ranks[start:end]
            for _ in range(MAX_LEADERS):
                if len(members) < 2:
                    break
                leader, members = members[0], members[1:]
                similar = (signatures[members] == signatures[leader]).sum(axis=1) >= NEEDED
                pairs += int(similar.sum())
                for row in members[similar].tolist():
                    forest.join(int(leader), row)
                members = members[~similar]
    return [forest.find(row) for row in range(len(signatures))], pairs


def _found(clusters: Clusters) -> tuple[list[int], int]:
    return clusters.roots.tolist(), clusters.pairs


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32), st.integers(2, 40))
def test_clusters_are_what_is_promised_whatever_the_memory(
    make_scratch: MakeScratch, components: Components, seed: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    signatures = _corpus(rng, count)
    order = rng.permutation(count).astype(np.uint64)
    expected = _by_hand(signatures, order, components)
    for way in WAYS:
        found = cluster(signatures, order, similarity=0.7, scratch=make_scratch(*way))
        assert _found(found) == expected, way


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32), st.integers(100, 600))
def test_clusters_are_those_of_before(make_scratch: MakeScratch, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    signatures = _corpus(rng, count)
    order = rng.integers(0, 2**64, count, dtype=np.uint64)
    expected = _of_before(signatures, order)
    for way in WAYS[-3:]:
        found = cluster(signatures, order, similarity=0.7, scratch=make_scratch(*way))
        assert _found(found) == expected, way


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.integers(2, 40), st.sampled_from(WAYS))
def test_clusters_depend_on_the_set_and_not_on_the_order(
    make_scratch: MakeScratch, seed: int, count: int, way: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    signatures = _corpus(rng, count)
    order = rng.permutation(count).astype(np.uint64)
    shuffle = rng.permutation(count)
    scratch = make_scratch(*way)

    def groups(signatures: Signatures, order: Order) -> set[frozenset[int]]:
        roots = cluster(signatures, order, similarity=0.7, scratch=scratch).roots
        return {frozenset(order[roots == root].tolist()) for root in np.unique(roots)}

    assert groups(signatures, order) == groups(signatures[shuffle], order[shuffle])


def test_near_copies_are_found_and_strangers_are_not(scratch: Scratch) -> None:
    rng = np.random.default_rng(3)
    texts: list[str] = []
    for _ in range(150):
        words = [f"w{i}" for i in rng.integers(0, 5_000, 300)]
        edited = list(words)
        for i in rng.choice(300, 6, replace=False):
            edited[i] = f"x{rng.integers(10**9)}"
        texts += [" ".join(words), " ".join(edited)]
    sets = [set(shingles(text).tolist()) for text in texts]
    signatures = minhash([shingles(text) for text in texts])
    roots = cluster(signatures, _order(300), similarity=0.7, scratch=scratch).roots
    pairs = roots.reshape(-1, 2)
    alike = np.array([len(a & b) / len(a | b) for a, b in zip(sets[::2], sets[1::2], strict=True)])
    # Clearly alike pairs are all joined; the estimate decides near the threshold only.
    assert (pairs[:, 0] == pairs[:, 1])[alike > 0.82].all()
    assert (alike > 0.82).sum() > 50
    assert len(np.unique(roots)) >= 150


@pytest.mark.parametrize("way", LARGE_WAYS)
def test_many_copies_of_one_text_form_one_cluster_without_quadratic_work(
    make_scratch: MakeScratch, way: tuple[int, int]
) -> None:
    signature = minhash([shingles("the same text in all of these very many documents")])
    signatures = np.repeat(signature, 3_000, axis=0)
    found = cluster(signatures, _order(3_000), similarity=0.7, scratch=make_scratch(*way))
    assert not found.roots.any()
    assert found.pairs == 32 * 2_999


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_one_row_or_none_has_nothing_to_join(make_scratch: MakeScratch, memory: int) -> None:
    for count in (0, 1):
        signatures = np.zeros((count, NUM_MINIMA), dtype=np.uint16)
        scratch = make_scratch(memory)
        found = cluster(signatures, _order(count), similarity=0.7, scratch=scratch)
        assert len(found.roots) == count


def test_pairs_that_sketches_found_are_joined_and_counted(scratch: Scratch) -> None:
    rng = np.random.default_rng(0)
    signatures = rng.integers(0, 1 << 16, (5, NUM_MINIMA), dtype=np.uint16)
    pairs = [(np.array([4, 1]), np.array([1, 3]))]
    found = cluster(signatures, _order(5), similarity=0.7, scratch=scratch, contained=pairs)
    assert _found(found) == ([0, 1, 2, 1, 1], 2)


def _on_disk(folder: Path, num_rows: int) -> tuple[Signatures, Order]:
    rng = np.random.default_rng(0)
    signatures = rng.integers(0, 1 << 16, (num_rows, NUM_MINIMA), dtype=np.uint16)
    signatures[1::1000] = signatures[::1000]
    path = folder / "signatures.bin"
    signatures.tofile(path)
    mapped = np.memmap(path, dtype=np.uint16, mode="r").reshape(-1, NUM_MINIMA)
    return mapped, rng.permutation(num_rows).astype(np.uint64)


def _peak(folder: Path, num_rows: int, *, memory: int, cache: int) -> int:
    """Bytes that clustering holds at most, of signatures of which every thousandth is a copy."""
    signatures, order = _on_disk(folder, num_rows)
    # What numpy imports when it is first needed is none of it.
    cluster(signatures[:100], order[:100], similarity=0.7, scratch=Scratch(folder))
    tracemalloc.start()
    try:
        scratch = Scratch(folder, memory=memory, cache=cache)
        found = cluster(signatures, order, similarity=0.7, scratch=scratch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    joined = np.flatnonzero(found.roots != np.arange(num_rows))
    assert joined.tolist() == list(range(1, num_rows, 1000))
    assert found.roots[joined].tolist() == list(range(0, num_rows, 1000))
    assert [path.name for path in folder.iterdir()] == ["signatures.bin"]
    return peak


def test_in_memory_clustering_takes_thirty_bytes_a_text(tmp_path: Path) -> None:
    num_rows = 150_000
    # The caller's `order` is eight of them.
    assert _peak(tmp_path, num_rows, memory=1 << 28, cache=0) / num_rows + 8 < 35


@pytest.mark.parametrize("cache", [1 << 40, 0])
def test_on_disk_clustering_takes_no_memory_a_text(
    tmp_path: Path, cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "_ROW_BLOCK", 1 << 10)
    monkeypatch.setattr(forest, "_BLOCK", 1 << 10)
    memory = 500_000
    few = _peak(tmp_path, 13_000, memory=memory, cache=cache)
    many = _peak(tmp_path, 20_000, memory=memory, cache=cache)
    assert many < memory
    assert many - few < 14_000


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signatures, order = _on_disk(tmp_path, 3_000)
    program = """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from lmcore.data.copies.clustering import cluster
        from lmcore.data.copies.scratch import Scratch
        from lmcore.errors import StorageError
        folder = Path(sys.argv[1])
        signatures = np.memmap(folder / "signatures.bin", np.uint16, mode="r").reshape(-1, 128)
        order = np.arange(len(signatures), dtype=np.uint64)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            cluster(signatures, order, similarity=0.7, scratch=Scratch(folder, memory=100_000))
        except StorageError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path}: it may not grow any further")
    assert done.stdout.count("\n") == 1

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lmcore.data.copies.scratch.write", full)
    with pytest.raises(StorageError, match=r"no space is left on its disk .*; make room there"):
        cluster(signatures, order, similarity=0.7, scratch=Scratch(tmp_path, memory=100_000))
    assert [path.name for path in tmp_path.iterdir()] == ["signatures.bin"]


@pytest.mark.skipif(sys.platform != "linux", reason="open files are looked at on Linux only")
def test_who_is_killed_leaves_nothing(tmp_path: Path) -> None:
    _on_disk(tmp_path, 20_000)
    program = """
        import sys
        from pathlib import Path
        import numpy as np
        from lmcore.data.copies.clustering import cluster
        from lmcore.data.copies.scratch import Scratch
        folder = Path(sys.argv[1])
        signatures = np.memmap(folder / "signatures.bin", np.uint16, mode="r").reshape(-1, 128)
        order = np.arange(len(signatures), dtype=np.uint64)
        while True:
            cluster(signatures, order, similarity=0.7, scratch=Scratch(folder, memory=100_000))
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)])
    try:
        while not _spilled(process.pid):
            assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["signatures.bin"]


def _spilled(pid: int) -> int:
    """Bytes in files without a name."""
    total = 0
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            if "(deleted)" in str(link.readlink()):
                total += link.stat().st_size
        except OSError:
            continue
    return total
