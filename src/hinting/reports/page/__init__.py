"""One self-contained HTML page of what a run, a comparison or a sweep wrote."""

from hinting.reports.page.write import write_report

__all__ = ["write_report"]
