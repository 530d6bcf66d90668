"""Which names of attributes are a wish to be asked first, or a slip, and which are the author's own."""

import pytest

from myagent.tool.attribute_names import meant_confirmation, meant_setting


def words(text):
    return text.split()


WISHES = words(
    """
    requires_approval require_approval needs_approval need_approval approval_required approval_mode
    approval_policy needsApproval requiresConfirmation require_confirmation requires_confirm
    requires_confirmations confirm_required confirmation_required needs_confirm requires_user_confirmation
    user_confirmation userConfirm user_confirms user_confrim human_in_the_loop humanInTheLoop HITL hitl
    hitl_enabled human_approval human_input requires_human_review ask_user ask_first askBeforeRun
    ask_before_execution interrupt_before interrupt_on dangerous is_dangerous destructive destructiveHint
    auto_approve autoApprove auto_confirm always_require_approval never_approve manual_approval confirm
    confirmation approval approve consent_required requires_consent requires_permission ask_permission
    confirm_before_call should_confirm confirm_message approval_prompt approval_function confirm_callback
    tool_approval confirmation_mode requires_comfirmation unsafe require_human_approval
    check_require_confirmation safety_confirm
    """
)
OWN = words(
    """
    confirmed_orders confirmed approved approvals confirmations approved_vendors approver approver_email
    confirmation_email confirmation_number confirmation_code confirmation_text confirm_url approval_threshold
    humans human_name dangerous_goods interrupts interrupt ask asks bids ask_price permission permissions
    reviews reviewer requires requires_auth needs_update user_name users tool_name run_id call_count
    risk_level read_only hitlist consents model_config Config session client count max_rows cache tags
    metadata enable_tracing verbose return_direct sensitivity http_timeout
    """
)


@pytest.mark.parametrize("name", WISHES)
def test_a_wish_in_other_words(name):
    assert meant_confirmation(name) == "requires_confirmation"


@pytest.mark.parametrize("name", ["approval_timeout", "confirmation_timeout", "confirmTimeOut", "confirm_seconds"])
def test_the_time_to_answer_in_other_words(name):
    assert meant_confirmation(name) == "confirm_timeout"


@pytest.mark.parametrize("name", OWN)
def test_what_is_the_authors_own(name):
    assert meant_confirmation(name) is None
    assert meant_setting(name) is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("time_out", ("timeout", True)),
        ("timeOut", ("timeout", True)),
        ("TIMEOUT", ("timeout", True)),
        ("maxObserve", ("max_observe", True)),
        ("is_idempotent", ("idempotent", True)),
        ("max_observes", ("max_observe", False)),
        ("idempotant", ("idempotent", False)),
        ("parameter", ("parameters", False)),
        ("discription", ("description", False)),
    ],
)
def test_a_slip_of_the_pen(name, known):
    assert meant_setting(name) == known
