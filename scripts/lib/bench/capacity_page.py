"""Writes the figures of a run into docs/scaling.md, with the arithmetic that follows from them."""

import math

BEGIN, END = "<!-- figures: written by scripts/bench capacity -->\n", "<!-- end of figures -->\n"
# The example: uploads an hour, each of so many MiB and so many minutes of 1080p, with so many that watch each.
PER_HOUR, MIB_EACH, MINUTES_EACH, WATCHERS_EACH = 10_000, 100, 1, 2
# How much of what was measured may be planned with: the rest is for peaks. The chart's HPA aims at it, too.
SHARE = 0.7
# States, chunks and playlists that each watcher of a job hears of, without samples.
EVENTS_EACH = 12


def write(path, figures):
    with open(path, encoding="utf-8") as file:
        page = file.read()
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    with open(path, "w", encoding="utf-8") as file:
        file.write(head + BEGIN + markdown(figures) + END + tail)


def markdown(figures):
    build = "debug build and small sizes: only to see that it runs. Nothing may be planned with these figures" if figures["is_smoke"] else "release build"
    return f"\nOn {figures['machine']}; {build}.\n\n{measured(figures)}\n{arithmetic(figures)}\n"


def measured(figures):
    rows = ["| one of these | carries |", "|---|---|"]
    for row in figures["uploads"]:
        rows.append(
            f"| upload server, uploads of {figures['upload_mib']} MiB, {row['at_once']} at once | {row['mib_per_s']} MiB/s, {row['per_s']} uploads/s, "
            f"{row['cpu_s_per_gib']} CPU s/GiB, {row['transactions_each']} transactions of Postgres each |"
        )
    rows.append(f"| upload server's memory at its peak | {figures['upload_server_mib']} MiB |")
    for row in figures["encoding"]:
        rows.append(
            f"| worker with one slot, 1080p30, preset `{row['preset']}` | {row['source_s_per_s']} s of source a second, {row['source_s_per_core_s']} for a second "
            f"of a core, {row['transactions_per_minute_of_source']} transactions of Postgres for a minute of source |"
        )
    watchers = figures["watchers"]
    rows += [
        f"| progress server, {watchers} watchers, {figures['watcher_samples_per_s']} samples/s | {figures['watcher_kib_each']} KiB for each watcher; "
        f"{figures['watcher_event_ms']['p50']} / {figures['watcher_event_ms']['p99']} ms from a commit to each client (p50 / p99) |",
        f"| catalog on Postgres, tasks that do nothing, claimed and ended in batches | {figures['tasks_per_s']} tasks/s |",
        f"| Postgres, small writing transactions of 32 clients (pgbench) | {figures['transactions_per_s']} transactions/s |",
        f"| Redis, entries into one stream, one for each round trip | {figures['redis_entries_per_s']} entries/s |",
        f"| Redis, the same in batches of 16 | {figures['redis_entries_per_s_in_batches']} entries/s |",
    ]
    return "\n".join(rows) + "\n"


def arithmetic(figures):
    per_s = PER_HOUR / 3600
    best = max(figures["uploads"], key=lambda row: row["mib_per_s"])
    most = max(figures["uploads"], key=lambda row: row["at_once"])
    mib_per_s = per_s * MIB_EACH
    rows = [
        f"{spaced(PER_HOUR)} uploads an hour, each of {MIB_EACH} MiB and {MINUTES_EACH} minute of 1080p, planned with {SHARE:.0%} of what was measured:\n",
        "| what | how much | makes |",
        "|---|---|---|",
        f"| bytes | {per_s:.2f} uploads/s × {MIB_EACH} MiB = {mib_per_s:.0f} MiB/s | upload servers: {servers(mib_per_s, best['mib_per_s'])}, "
        f"{mib_per_s / 1024 * best['cpu_s_per_gib']:.1f} cores in use |",
    ]
    for row in figures["encoding"]:
        source = per_s * MINUTES_EACH * 60
        rows.append(f"| encoding, `{row['preset']}` | {source:.0f} s of source a second | {servers(source, row['source_s_per_core_s'])} cores of workers |")
    slowest = figures["encoding"][-1]
    transactions = per_s * (most["transactions_each"] + slowest["transactions_per_minute_of_source"] * MINUTES_EACH)
    events = per_s * EVENTS_EACH * WATCHERS_EACH
    rows += [
        f"| Postgres | {per_s:.2f} × ({most['transactions_each']} + {slowest['transactions_per_minute_of_source']} × {MINUTES_EACH}) = {transactions:.0f} transactions/s | "
        f"{transactions / figures['transactions_per_s']:.0%} of one server |",
        f"| Redis | about {per_s * EVENTS_EACH:.0f} hints/s, and 4 samples/s for each upload and task that runs | "
        f"{per_s * EVENTS_EACH / figures['redis_entries_per_s']:.2%} of one server by hints |",
        f"| watchers | {WATCHERS_EACH} for each upload: {events:.0f} messages/s without samples | one progress server, a second one for when it is away |",
    ]
    limit = SHARE * figures["transactions_per_s"] / (transactions / PER_HOUR)
    rows.append(f"\nOne Postgres as measured is at its limit with about {spaced(round(limit, -3))} such uploads an hour.")
    return "\n".join(rows) + "\n"


def spaced(number):
    return f"{number:,.0f}".replace(",", " ")


def servers(wanted, carried):
    return max(1, math.ceil(wanted / (carried * SHARE)))
