"""Write the tables of README.md and docs from runs, between their markers.

python docs/tables.py [FOLDER OF RECORDINGS]
"""

import io
import re
import shutil
import sys
from pathlib import Path

from rich.console import Console

from hinting import Guest, Host, Simulation, strategies
from hinting.experiments import compare, run
from hinting.metrics import metrics, sections, series
from hinting.recordings import Recording, is_recording, replay
from hinting.reports.compare_files import write_comparison
from hinting.reports.compare_text import print_comparison
from hinting.reports.files import write_result
from hinting.reproduce import reproduce
from hinting.results.files import prepare_folder
from hinting.scenarios import Scenario
from hinting.units import format_gib
from hinting.workloads import memhog

ROOT = Path(__file__).resolve().parents[1]
#: Speed is that of the fastest of so many runs.
RUNS = 5


def fill(file: Path, name: str, table: str) -> None:
    """Replace what is between the markers of a table."""
    text = file.read_text()
    pattern = re.compile(rf"(<!-- {name}:start -->\n).*?(<!-- {name}:end -->)", re.S)
    file.write_text(pattern.sub(lambda match: match[1] + table + match[2], text))


def seed_table() -> str:
    result = run("seed")
    folder = prepare_folder(ROOT / "out" / "docs")
    write_result(result, folder)
    (ROOT / "docs" / "images").mkdir(exist_ok=True)
    shutil.copy(folder / "seed.png", ROOT / "docs" / "images" / "seed.png")
    lines = [
        "| strategy | guests that fit | host memory used after each launch (GiB) | returned to the host (GiB) |",
        "|---|---|---|---|",
    ]
    for arm in result.arms:
        used = ", ".join(format_gib(value) for value in arm.host_used_bytes)
        returned = format_gib(sum(guest.returned_bytes for guest in arm.guests))
        lines.append(f"| `{arm.strategy}` | **{arm.guests_launched}** | {used} | {returned} |")
    return "\n".join(lines) + "\n"


def resize_speed_table() -> str:
    lines = ["| mechanism, step | published | emulated | deviation | within 15 % |", "|---|---|---|---|---|"]
    for row in reproduce(["resize-speed"]).rows:
        name = row.id.removeprefix("resize-speed/").replace("/", ", ")
        good = "yes" if row.within else "no"
        lines.append(f"| {name} | {row.published:g} | {row.emulated:.3g} | {row.error:+.0%} | {good} |")
    return "\n".join(lines) + "\n"


def compare_table() -> str:
    result = compare("seed", ["none", "v8", "v10", "page-reporting"], changes={"max_guests": 3})
    folder = prepare_folder(ROOT / "out" / "docs-compare")
    write_comparison(result, folder)
    for name in ("ranked", "pareto"):
        shutil.copy(folder / f"{name}.png", ROOT / "docs" / "images" / f"compare-{name}.png")
    text = io.StringIO()
    print_comparison(result, Console(file=text, width=110, highlight=False))
    return "```\n" + "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()) + "```\n"


def metrics_tables() -> str:
    lines: list[str] = []
    for section, title in sections().items():
        lines += [f"## {title}", "", "| metric | unit | definition |", "|---|---|---|"]
        lines += [f"| `{name}` | {one.unit} | {one.text} |" for name, one in metrics().items() if one.section == section]
        lines.append("")
    return "\n" + "\n".join(lines)


def series_table() -> str:
    lines = ["| series | unit | definition |", "|---|---|---|"]
    lines += [f"| `{name}` | {one.unit} | {one.text} |" for name, one in series().items()]
    return "\n".join(lines) + "\n"


def exactness_table(folder: Path) -> str:
    lines = [
        "| recording | kernel | CPUs | allocations | same page | assisted | free lists | per-CPU lists "
        "| hinting decisions | M events/s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(folder.iterdir()):
        if not is_recording(path):
            continue
        recording = Recording.open(path)
        r = min((replay(recording) for _ in range(RUNS)), key=lambda result: result.seconds)
        hinting = replay(recording, "hinting") if recording.has_v8 or recording.has_reporting else None
        decisions = f"{hinting.decisions_same:,} of {hinting.decisions:,}" if hinting else "-"
        share = "all" if r.identical == r.allocations else f"{100 * r.identical / r.allocations:.2f} %"
        lines.append(
            f"| `{r.run}` | {r.kernel.split(' ')[0]} | {recording.ncpus} | {r.allocations:,} | {share} | {r.assisted:,} "
            f"| {r.free_lists_same} of {r.free_lists} | {r.pcp_lists_same} of {r.pcp_lists} | {decisions} "
            f"| {r.events / r.seconds / 1e6:.0f} |"
        )
    return "\n".join(lines) + "\n"


def strategies_table() -> str:
    """Every strategy in `hinting run seed`, and on one guest: 1 GiB, a program of 700 MiB that runs three times."""
    names = [name for name in strategies.names() if re.match(r"v\d", name) or name == "page-reporting"]
    arms = run(Scenario.load("seed", strategies=names)).arms
    lines = [
        "| strategy | guests that fit | reports | MiB of a block | reported MiB | dropped MiB | lazily freed MiB "
        "| most with the host MiB | vCPU waits ms | host works ms | zone locks | kernel bytes a CPU |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, arm in zip(names, arms, strict=True):
        rows = []
        for thp in ("always", "never"):
            sim = Simulation(Host("4GiB"), seed=1)
            vm = sim.launch(Guest("1GiB", strategy=name, thp=thp), workload=memhog("700MiB", repeat=3))
            sim.run()
            counts, accounts, core = vm.counts(), vm.accounts(), vm.guest.strategy_core
            assert core is not None
            pages = [counts[key] for key in ("reported_pages", "returned_frames", "lazy_pages", "max_isolated_pages")]
            if name in ("v1", "v7"):
                pages[3] = 0            # reported, and not isolated
            block = counts["reported_pages"] / counts["reported_blocks"] / 256 if counts["reports"] else 0
            rows.append([str(counts["reports"]), f"{block:.2f}", *(f"{n / 256:.0f}" for n in pages),
                         f"{accounts['guest_spin'] / 1e6:.1f}", f"{accounts['vmm'] / 1e6:.1f}", f"{core.work['locks']:,}",
                         f"{core.kernel_bytes():,}"])
        cells = [huge if huge == small else f"{huge} / {small}" for huge, small in zip(*rows, strict=True)]
        lines.append(f"| `{name}` | {arm.guests_launched} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    fill(ROOT / "docs" / "strategies.md", "strategies-table", strategies_table())
    fill(ROOT / "docs" / "metrics.md", "metrics-table", metrics_tables())
    fill(ROOT / "docs" / "metrics.md", "series-table", series_table())
    fill(ROOT / "docs" / "compare.md", "compare-table", compare_table())
    fill(ROOT / "README.md", "seed-table", seed_table())
    fill(ROOT / "docs" / "rivals.md", "resize-speed", resize_speed_table())
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "data"
    fill(ROOT / "docs" / "exactness.md", "exactness-table", exactness_table(folder))


if __name__ == "__main__":
    main()
