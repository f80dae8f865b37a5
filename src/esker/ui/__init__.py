"""Pictures of plans and runs: one self-contained HTML page."""

from esker.ui.report import Bars, Costs, Plan, Report, Step, Table, Timeline, Words, render_report, write_report

__all__ = ["Bars", "Costs", "Plan", "Report", "Step", "Table", "Timeline", "Words", "render_report", "write_report"]
