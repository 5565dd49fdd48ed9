"""`python -m ess_controller.boards` writes every board and the alert rules below `sites`."""

from pathlib import Path

from ess_controller.boards.write import write

if __name__ == "__main__":
    write(Path(__file__).parents[2] / "sites")
