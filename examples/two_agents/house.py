"""What both agents of the house use. 两个 Agent 共用的模块。"""


def signed(text: str, who: str) -> str:
    return f"{text} ({who})"
