"""A cell file by itself, for commands that know no site."""

from pathlib import Path

from ess_controller.core.cell_model import CellModel
from ess_controller.site.cell_records import cell_model
from ess_controller.site.cell_rules import cell_findings
from ess_controller.site.cell_tables import CellFile
from ess_controller.site.checking import read_and_check
from ess_controller.site.errors import SiteError
from ess_controller.site.sheet import UnreadableError


def load_cell(path: Path) -> CellModel:
    """Read and check a cell file; raises SiteError with every mistake."""
    try:
        _, content, problems = read_and_check(path, str(path), CellFile, lambda table, _: cell_findings(table))
    except UnreadableError as error:
        raise SiteError([error.problem]) from None
    if problems or content is None:
        raise SiteError(problems)
    return cell_model(content)
