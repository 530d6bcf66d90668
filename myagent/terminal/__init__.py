"""The terminal client: what `myagent-ws chat` shows and does. Needs no Django.

Pure: `address`, `blocks`, `transcript`, `flow`, `words`, `choices`, `commands`. With a terminal: `render`, `screen`,
`prompt`, `editor`. With both and a server: `chat`.
"""
