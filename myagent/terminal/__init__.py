"""The terminal client: what `myagent-ws chat` shows and does. Needs no Django.

Pure: `address`, `blocks`, `transcript`, `streaming_markdown`, `error_words`. On a terminal: `render`, `screen`,
`prompt`, `confirmation`. With both and a server: `chat`.
"""
