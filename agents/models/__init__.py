"""What is stored of hosted agents, of how people get in and what they may do, of budgets, and of servers."""

from agents.models.access_token import AccessToken
from agents.models.budgets import GroupBudget, Pace, Reservation, Usage, UserBudget
from agents.models.group_lead import GroupLead
from agents.models.hosted_agent import HostedAgent
from agents.models.invitation import Invitation
from agents.models.login_traces import FailureCount, KnownPlace
from agents.models.model_price import ModelPrice
from agents.models.server_mark import ServerMark
from agents.models.sso_identity import SsoIdentity

__all__ = [
    "AccessToken",
    "FailureCount",
    "GroupBudget",
    "GroupLead",
    "HostedAgent",
    "Invitation",
    "KnownPlace",
    "ModelPrice",
    "Pace",
    "Reservation",
    "ServerMark",
    "SsoIdentity",
    "Usage",
    "UserBudget",
]
