"""图片中使用的另一个 Agent，没有工具。"""

from myagent import create_react_agent

agent = create_react_agent(name="常用语", description="用当地语言怎么说")
