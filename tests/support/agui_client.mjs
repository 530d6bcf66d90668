// The official client of AG-UI as a process: it does what lines on standard input say, and tells on standard output
// what comes of it, and every event. Arguments: the folder whose node_modules has the client, the address of the agent,
// the thread, and a token or nothing.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [folder, url, threadId, token] = process.argv.slice(2);
const { HttpAgent, runHttpRequest, transformHttpEventStream } = createRequire(`${folder}/`)("@ag-ui/client");
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
for (const kind of ["warn", "error"]) console[kind] = (...words) => tell({ warning: words.map(String).join(" ") });
// A connection that is lost in the middle the client reports twice: by its promise, and by an error that nobody catches.
process.on("uncaughtException", ({ message }) => tell({ lost: message }));

class Agent extends HttpAgent {
  connect({ threadId, runId }) {
    const query = new URLSearchParams({ threadId, runId });
    const init = { headers: { ...this.headers, Accept: "text/event-stream" }, signal: this.abortController.signal };
    return transformHttpEventStream(runHttpRequest(() => this.fetch(`${this.url}?${query}`, init)));
  }
}

// An answer that breaks after so many bytes, as a lost connection does.
let room = Infinity;
const cutting = (body) => {
  const reader = body.getReader();
  const pull = async (controller) => {
    const { done, value } = await reader.read();
    if (done) return controller.close();
    controller.enqueue(value.slice(0, room));
    room -= value.length;
    if (room > 0) return undefined;
    await reader.cancel();
    return controller.error(new Error("cut"));
  };
  return new ReadableStream({ pull, cancel: (reason) => reader.cancel(reason) }, { highWaterMark: 0 });
};
const request = async (address, init) => {
  const answer = await fetch(address, init);
  if (!answer.ok || answer.body === null) return answer;
  return new Response(cutting(answer.body), { status: answer.status, headers: answer.headers });
};

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
  cutAfter: async (bytes) => {
    room = bytes ?? Infinity;
  },
  messages: async () => agent.messages,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, args } = JSON.parse(line);
  Promise.resolve()
    .then(() => calls[call](...args))
    .then((value) => tell({ id, value: value ?? null }))
    .catch((error) => tell({ id, error: { message: error.message, status: error.status ?? null } }));
}
process.exit(0);
