"""Pictures in a message. 消息里的图片。

    myagent-ws server examples/pictures.py

Open the server's page, add a picture with "+" (or paste one) and ask "What is this?"; then say "Save that as a joke". A
message with pictures is a list of parts, as OpenAI has them:

    await client.say(session_id, [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}},
    ])

The parts reach the model as they are, so LLM_MODEL has to name one that can see. The demo model (--llm demo) only
counts them.

打开服务器的页面，用“＋”添加图片并提问；图片原样交给模型，因此需要一个能看图的模型。演示模型只会数图片。
"""

from typing import Literal

from myagent import RunContext, create_react_agent, tool


@tool
async def save_caption(text: str, tone: Literal["plain", "joke"], run: RunContext) -> str:
    """Saves a caption for the picture that was talked about last.

    Args:
        text: the caption
        tone: how it is meant
    """
    captions = run.state.setdefault("captions", [])
    captions.append({"text": text, "tone": tone})
    return f"Caption {len(captions)} is saved as {tone}."


agent = create_react_agent(
    name="pictures",
    description="Looks at pictures and writes captions",
    tools=[save_caption],
    system_prompt="You describe pictures in two sentences, and write captions when you are asked to.",
    context_window=60_000,  # pictures take room
)
