"""The page of the columns."""

from fcnbench.leaderboard.columns import schema_page
from tests.committed import committed


def test_the_projects_own_schema_page_is_up_to_date() -> None:
    assert (committed() / "leaderboards/SCHEMA.md").read_text() == schema_page()
