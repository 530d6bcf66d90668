"""小店前台的 agent：查询店里的信息，并给店员留言。

    myagent-ws check my_agent.py                # 看看里面有什么，有没有问题
    myagent-ws server my_agent.py --llm demo    # 启动服务：http://localhost:8080/；演示模型不需要密钥
    myagent-ws chat                             # 在另一个终端里对话，也可以打开上面的网页

试着说“你们的营业时间是什么？”或“这件事很紧急：请给我回电话”。演示模型不会思考：消息里出现了某个工具的参数所列的值
（这里是 营业时间、紧急 等），它就调用那个工具。想要真正的回答，请在环境变量或 .env 文件里设置 OPENAI_API_KEY，
并去掉 --llm demo。
"""

from typing import Literal

from myagent import RunContext, create_react_agent, tool

FACTS = {
    "营业时间": "周一到周五 9 点到 18 点，周六 10 点到 14 点。",
    "地址": "港湾街 12 号一楼。",
    "退货": "30 天内凭小票退货。",
}


# 带类型和文档字符串的函数就是工具：模型读到它的名字、说明和参数，据此决定何时调用。
# Literal 告诉模型有哪些值可选；别的值不会传进函数。
@tool
async def look_up(topic: Literal["营业时间", "地址", "退货"]) -> str:
    """查询小店的信息。

    Args:
        topic: 顾客问的是什么
    """
    return FACTS[topic]


# 会“做事”的工具可以先征得同意：用户看到参数，回答是或否。run 由服务器填入，模型看不到；
# run.state 随会话保存，服务器重启后还在。
@tool(requires_confirmation=True)
async def leave_message(text: str, priority: Literal["紧急", "普通"], run: RunContext) -> str:
    """给店员留言。

    Args:
        text: 顾客的原话
        priority: 需要多快看到
    """
    messages = run.state.setdefault("messages", [])
    messages.append({"text": text, "priority": priority})
    return f"已给店员留下第 {len(messages)} 条留言（{priority}）。"


# 会等待的代码（time.sleep、requests、大多数数据库）请写成普通的 def，它会在单独的线程里运行：
#
#     @tool(timeout=20)
#     def order_status(number: int) -> dict:
#         """向店铺系统查询订单。"""
#         return requests.get(f"https://shop.example/orders/{number}").json()

# 必须命名为 'agent'
agent = create_react_agent(
    name="my-agent",
    description="小店前台，回答顾客的问题",
    tools=[look_up, leave_message],
    system_prompt="你是小店的前台：回答简短，只说工具告诉你的内容。",
    max_steps=5,  # 一条消息最多使用几轮工具
    # llm="qwen-plus",        # 使用 LLM_MODEL 以外的模型
    # when_busy="interrupt",  # 回答期间又来消息时："queue" 排队、"reject" 拒绝、"interrupt" 打断
)
