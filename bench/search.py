"""Full-text search over 100,000 segments: SQLite and PostgreSQL, beside plain LIKE and the databases' own trigrams.

    python bench/search.py --json [--segments 100000]

Texts are made from templates with a fixed seed. What is timed is what the page asks for: the ranked calls of a query
(`asr.search.matching_calls`, the first 20 of them), and calls with the same words in a segment by LIKE on the texts. A
PostgreSQL server is started from Debian's binaries, where it is installed. Trigrams: FTS5's tokenizer, and pg_trgm.
"""

import argparse
import contextlib
import os
import pwd
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from report import machine, print_report, progress, target, versions
from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from asr.models import Segment, Transcript
from asr.query import parse_query
from asr.search import Search, index_transcript, matching_calls
from hotline.db import Database
from recordings.models import Call

SEGMENTS_A_CALL = 20
ROUNDS = 5
PAGE = 20
P95_LIMIT_MS = 200.0
QUERIES = (
    *("路灯", "暖气", "停电", "灯", "永宁镇", "路灯坏了", "路灯坏了没人修", "永宁镇 路灯", "暖气 -施工", "8000"),
    *("13800", "幸福小区三号楼", "井盖 危险", "没有这个词"),
)
PLACES = [
    "永宁镇", "张山营镇", "康庄镇", "儒林街道", "香水园街道", "大榆树镇",
    "井庄镇", "旧县镇", "四海镇", "千家店镇", "珍珠泉乡", "八达岭镇",
]  # fmt: skip
WHERE = ["幸福小区", "村东头", "中心小学门口", "镇政府旁边", "十字路口", "菜市场"]
THINGS = [
    "路灯", "暖气", "电梯", "井盖", "垃圾", "噪音",
    "停水", "停电", "公交", "车位", "工资", "漏水",
    "污水", "围墙", "电线", "快递", "门禁", "物业",
    "供暖", "施工",
]  # fmt: skip
FAULTS = [
    "坏了没人修", "一直不热", "经常出故障", "丢了很危险", "没有人清运", "影响休息",
    "好几天了", "反映过很多次", "没有人管",
]  # fmt: skip
ASKS = ["麻烦派人来看看", "请尽快处理", "能不能给个答复", "希望帮忙催一下", "谢谢您"]


def spoken(chance: random.Random) -> str:
    """One sentence."""
    kind = chance.random()
    if kind < 0.1:
        return f"我的电话是1{chance.randrange(3 * 10**9, 10**10)}。"
    if kind < 0.4:
        return f"{chance.choice(('好的，', '是这样，', '嗯，'))}{chance.choice(FAULTS)}，{chance.choice(ASKS)}。"
    place = f"{chance.choice(PLACES)}{chance.choice(WHERE)}{chance.randrange(1, 30)}号楼"
    return f"我住在{place}，{chance.choice(THINGS)}{chance.choice(FAULTS)}，{chance.choice(ASKS)}。"


def fill(database: Database, segments: int) -> dict[str, Any]:
    """Calls and transcripts, then their index; seconds and bytes of each."""
    chance, began = random.Random(1), datetime(2026, 1, 1, tzinfo=UTC)
    calls = segments // SEGMENTS_A_CALL
    plain_s = indexing_s = 0.0
    for first in range(0, calls, 500):
        ids = range(first, min(first + 500, calls))
        with database.transaction() as session:
            session.execute(
                insert(Call),
                [{"id": f"c{n}", "started_at": (at := began + timedelta(minutes=n)), "ended_at": at} for n in ids],
            )
            rows = [_transcript(f"c{n}", began, chance) for n in ids]
            start = time.perf_counter()
            session.add_all(rows)
            session.flush()
            middle = time.perf_counter()
            for row in rows:
                index_transcript(session, row)
            plain_s += middle - start
            indexing_s += time.perf_counter() - middle
    return {
        "store_us_a_segment": round(plain_s * 1e6 / segments, 1),
        "index_us_a_segment": round(indexing_s * 1e6 / segments, 1),
    }


def _transcript(call_id: str, at: datetime, chance: random.Random) -> Transcript:
    segments = [
        Segment(
            position=place,
            speaker="caller" if place % 2 else "seat",
            start_ms=5000 * place,
            end_ms=5000 * place + 4000,
            text=spoken(chance),
            confidence=0.9,
        )
        for place in range(SEGMENTS_A_CALL)
    ]
    return Transcript(
        call_id=call_id, version=1, origin="live", engine="vosk", model="x", created_at=at, segments=segments
    )


def timed(run: Callable[[str], int], queries: Sequence[str] = QUERIES) -> dict[str, Any]:
    """Milliseconds a query, and what each found."""
    spent, each = [], {}
    for query in queries:
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = run(query)
            times.append((time.perf_counter() - began) * 1000)
        spent += times
        each[query] = {"found": found, "ms": round(statistics.median(times), 2)}
    return {
        "p50_ms": round(statistics.median(spent), 2),
        "p95_ms": round(statistics.quantiles(spent, n=20)[-1], 2),
        "queries": each,
    }


def ours(session: Session) -> Callable[[str], int]:
    """A page of calls as the console asks for it."""

    def run(query: str) -> int:
        parsed = parse_query(query, max_length=100, max_terms=8)
        assert parsed is not None
        calls = matching_calls(session, Search(query=parsed, numbers=True))
        page = select(calls, Call.started_at).join(Call, Call.id == calls.c.call_id)
        return len(session.execute(page.order_by(calls.c.together.desc(), calls.c.segments.desc()).limit(PAGE)).all())

    return run


def like(session: Session) -> Callable[[str], int]:
    """The calls with most segments that hold every word, by LIKE; exclusions are left out."""

    def run(query: str) -> int:
        wanted = [Segment.text.contains(word) for word in query.split() if not word.startswith("-")]
        calls = select(Segment.transcript_id, func.count().label("hits")).where(*wanted).group_by(Segment.transcript_id)
        return len(session.execute(calls.order_by(text("hits DESC")).limit(PAGE)).all())

    return run


def trigrams_of_sqlite(session: Session) -> dict[str, Any]:
    """FTS5's trigram tokenizer: knows no word of fewer than three characters."""
    began = time.perf_counter()
    session.execute(text("CREATE VIRTUAL TABLE grams3 USING fts5(text, content='segments', content_rowid='id', "
                         "tokenize='trigram')"))  # fmt: skip
    session.execute(text("INSERT INTO grams3 (grams3) VALUES ('rebuild')"))
    built_s = time.perf_counter() - began

    def run(query: str) -> int:
        match = " ".join(f'"{word}"' for word in query.split() if not word.startswith("-"))
        rows = session.execute(text("SELECT rowid FROM grams3 WHERE grams3 MATCH :match"), {"match": match})
        return len(rows.all())

    long = [query for query in QUERIES if min(map(len, query.split())) > 2]
    size = (
        session.scalar(text("SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'grams3%'")) if _has_dbstat(session) else 0
    )
    return {"build_s": round(built_s, 2), "bytes": size, "three_and_more_only": timed_now(long, run)}


def timed_now(queries: Sequence[str], run: Callable[[str], int]) -> dict[str, Any]:
    """`timed` without its table of queries."""
    return {name: value for name, value in timed(run, queries).items() if name != "queries"}


def _has_dbstat(session: Session) -> bool:
    return bool(session.scalar(text("SELECT sqlite_compileoption_used('ENABLE_DBSTAT_VTAB')")))


def sqlite(segments: int) -> dict[str, Any]:
    """SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hotline.db"
        with contextlib.closing(Database(f"sqlite:///{path}")) as database:
            database.migrate()
            filled = fill(database, segments)
            with database.reading() as session:
                report = {"search": timed(ours(session)), "like": timed(like(session))}
                if _has_dbstat(session):
                    sizes = session.execute(text("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
                    filled["index_bytes"] = sum(size for name, size in sizes if "indexed_" in name)
            filled["all_bytes"] = path.stat().st_size
            with database.transaction() as session:
                peer = trigrams_of_sqlite(session)
    return {**filled, **report, "trigrams": peer}


def postgresql(segments: int) -> dict[str, Any] | None:
    """PostgreSQL, where its server is installed."""
    with server() as url:
        if url is None:
            progress("PostgreSQL is not installed: measured without it")
            return None
        with contextlib.closing(Database(url)) as database:
            database.migrate()
            filled = fill(database, segments)
            with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.execute(text("VACUUM ANALYZE"))
            with database.reading() as session:
                sizes = "pg_total_relation_size('indexed_segments') + pg_total_relation_size('indexed_transcripts')"
                filled["index_bytes"] = int(session.scalar(text(f"SELECT {sizes}")) or 0)
                filled["all_bytes"] = int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)
                report = {"search": timed(ours(session)), "like": timed(like(session))}
            with database.transaction() as session:
                began = time.perf_counter()
                session.execute(text("CREATE EXTENSION pg_trgm"))
                session.execute(text("CREATE INDEX grams3 ON segments USING gin (text gin_trgm_ops)"))
                built_s = time.perf_counter() - began
                peer = {
                    "build_s": round(built_s, 2),
                    "bytes": int(session.scalar(text("SELECT pg_relation_size('grams3')")) or 0),
                    "like": timed(like(session)),
                }
    return {**filled, **report, "trigrams": peer}


@contextlib.contextmanager
def server() -> Iterator[str | None]:
    """A server of this run only, on a unix socket."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="hotline-pg-"))
    owner = next((user for user in ("postgres", "nobody") if os.geteuid() == 0 and _exists(user)), None)
    if owner:
        shutil.chown(folder, owner)

    def run(*command: str | Path) -> None:
        subprocess.run(
            command, user=owner, group=pwd.getpwnam(owner).pw_gid if owner else None,
            extra_groups=[] if owner else None, cwd="/", check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    programs, data = binaries[-1].parent, folder / "data"
    try:
        run(programs / "initdb", "-D", data, "-U", "hotline", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        control = (programs / "pg_ctl", "-D", data, "-w")
        run(*control, "-l", folder / "log", "-o", f"-k {folder} -c listen_addresses=''", "start")
        try:
            yield f"postgresql+psycopg://hotline@/postgres?host={folder}"
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exists(user: str) -> bool:
    return user in {entry.pw_name for entry in pwd.getpwall()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--segments", type=int, default=100_000)
    options = parser.parse_args()
    report: dict[str, Any] = {
        "benchmark": "search",
        "machine": machine(),
        "versions": versions("sqlalchemy", "psycopg"),
        "segments": options.segments,
        "targets": {},
    }
    for name, measure in (("sqlite", sqlite), ("postgresql", postgresql)):
        progress(f"{name}: {options.segments} segments")
        report[name] = measured = measure(options.segments)
        if measured is not None:
            report["targets"][f"{name}_p95"] = target(measured["search"]["p95_ms"], P95_LIMIT_MS, "ms")
    print_report(report, as_json=options.json)


if __name__ == "__main__":
    main()
