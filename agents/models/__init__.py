"""What is stored of hosted agents, of access tokens, of budgets and of their use."""

from agents.models.access_token import AccessToken
from agents.models.budgets import GroupBudget, Pace, Usage, UserBudget
from agents.models.hosted_agent import HostedAgent

__all__ = ["AccessToken", "GroupBudget", "HostedAgent", "Pace", "Usage", "UserBudget"]
