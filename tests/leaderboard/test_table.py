"""Tables: CSV files with declared columns."""

from pathlib import Path

import pytest

from fcnbench.errors import DataMissing, ResultsError
from fcnbench.leaderboard.board import read_board
from fcnbench.leaderboard.columns import SCORE_COLUMNS, Column
from fcnbench.leaderboard.table import Table

NUMBERS = Table(
    {"name": Column("string", "a name"), "score": Column("float64", "a score"), "count": Column("Int64", "a count")},
    {"score": False, "name": True},
    float_format="%.3f",
)
ROWS = [
    {"name": "b", "score": 0.5, "count": 2},
    {"name": "", "score": None, "count": None},
    {"name": "a", "score": 0.5, "count": 1},
    {"name": "c", "score": 2 / 3, "count": 3},
]


def test_rows_are_sorted_rounded_and_empty_where_nothing_is_known() -> None:
    assert NUMBERS.format(ROWS) == "name,score,count\nc,0.667,3\na,0.500,1\nb,0.500,2\n,,\n"


def test_the_order_of_the_rows_does_not_change_the_bytes() -> None:
    assert NUMBERS.format(ROWS) == NUMBERS.format(ROWS[::-1])


def test_a_table_without_rows_has_its_header() -> None:
    assert NUMBERS.format([]) == "name,score,count\n"


def test_a_table_is_read_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text(NUMBERS.format(ROWS))
    frame = NUMBERS.read(path)
    assert [str(dtype) for dtype in frame.dtypes] == ["string", "float64", "Int64"]
    assert list(frame["name"]) == ["c", "a", "b", ""]
    assert frame["count"].isna().tolist() == [False, False, False, True]


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="there is no board at"):
        NUMBERS.read(tmp_path / "numbers.csv")


def test_columns_in_another_order_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("score,name,count\n")
    with pytest.raises(ResultsError, match="its columns are score, name, count"):
        NUMBERS.read(path)


@pytest.mark.parametrize("content", ["", "model,mean_iu\nx,1\n", ",".join(SCORE_COLUMNS) + "\n" + "x," * 21 + "x\n"])
def test_a_file_that_is_not_a_board_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "board.csv"
    path.write_text(content)
    with pytest.raises(ResultsError, match="is not a board"):
        read_board(path)
