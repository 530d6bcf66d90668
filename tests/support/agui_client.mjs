// The official client of AG-UI as a process: it does what lines on standard input say, and tells on standard output
// what comes of it, and every event. Arguments: the folder whose node_modules has the client, the address of the agent,
// the thread, and a token or nothing.
import { createRequire } from "node:module";
import { cuttable, obey, tell } from "./node_driver.mjs";

const [folder, url, threadId, token] = process.argv.slice(2);
const { HttpAgent, runHttpRequest, transformHttpEventStream } = createRequire(`${folder}/`)("@ag-ui/client");
for (const kind of ["warn", "error"]) console[kind] = (...words) => tell({ warning: words.map(String).join(" ") });
// A connection that is lost in the middle the client reports twice: by its promise, and by an error that nobody catches.
process.on("uncaughtException", ({ message }) => tell({ lost: message }));

class Agent extends HttpAgent {
  connect({ threadId, runId }) {
    const query = new URLSearchParams({ threadId, runId });
    const init = { headers: { ...this.headers, Accept: "text/event-stream" }, signal: this.abortController.signal };
    const join = async () => {
      const answer = await this.fetch(`${this.url}?${query}`, init);
      return answer.status === 204 ? new Response("") : answer;
    };
    return transformHttpEventStream(runHttpRequest(join));
  }
}

const { request, cutAfter } = cuttable(() => new Error("cut"));
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const agent = new Agent({ url, threadId, headers, fetch: request });
const subscriber = { onEvent: ({ event }) => tell({ event }) };
const ended = ({ result }) => ({ result: result ?? null, interrupts: agent.pendingInterrupts });
const calls = {
  say: async (id, content) => {
    agent.addMessage({ id, role: "user", content });
    return ended(await agent.runAgent({}, subscriber));
  },
  claim: async (messages) => {
    agent.setMessages(messages);
    return ended(await agent.runAgent({}, subscriber));
  },
  resume: async (resume) => ended(await agent.runAgent({ resume }, subscriber)),
  join: async () => {
    agent.abortController = new AbortController();
    return ended(await agent.connectAgent({}, subscriber));
  },
  abort: async () => agent.abortRun(),
  cutAfter,
  messages: async () => agent.messages,
};

await obey(calls, ({ message, status }) => [message, status ?? null]);
process.exit(0);
