"""The desk keeps the same promises on PostgreSQL: the tests named here run on it as they do on SQLite."""

import pytest
from pydantic import SecretStr

from mcp_servers.desk import DeskSettings
from tests.mcp_servers.desk.test_desk_once import (  # noqa: F401
    test_a_key_belongs_to_one_call_and_one_person,
    test_a_repeated_key_returns_the_first_receipt,
    test_twenty_calls_at_once_with_one_key_have_one_effect,
    test_twenty_messages_at_once_with_one_key_leave_once,
    test_two_processes_and_one_key_have_one_effect,
)
from tests.mcp_servers.desk.test_desk_tickets import (  # noqa: F401
    test_a_preview_shows_exactly_what_happens_and_changes_nothing,
    test_a_ticket_exists_for_requester_assignee_and_team_only,
    test_another_tenant_sees_nothing_and_counts_its_own,
    test_people_are_found_by_role_and_place,
    test_search_finds_by_words_state_and_person_in_pages,
    test_the_life_of_a_ticket,
    test_undo_brings_back_what_was,
    test_undo_is_refused_for_others_for_changed_things_and_for_messages,
)

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def settings(settings: DeskSettings, postgres_url: str) -> DeskSettings:
    return settings.model_copy(update={"url": SecretStr(postgres_url)})
