// A chat of the Vercel AI SDK as a process, without a page around it: it does what lines on standard input say, and tells
// on standard output what comes of it. Arguments: the folder whose node_modules has the SDK, the address of the agent,
// the chat, and a token or nothing.
import { createRequire } from "node:module";
import { cuttable, obey, tell } from "./node_driver.mjs";

const [folder, api, id, token] = process.argv.slice(2);
const { AbstractChat, DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } = createRequire(
  `${folder}/`,
)("ai");
process.on("uncaughtException", ({ message }) => tell({ lost: message }));

class State {
  #status = "ready";
  #waiting = [];
  get status() {
    return this.#status;
  }
  set status(status) {
    this.#status = status;
    for (const wake of this.#waiting.splice(0)) wake();
  }
  changed = () => new Promise((resolve) => this.#waiting.push(resolve));
  error = undefined;
  messages = [];
  pushMessage = (message) => {
    this.messages = [...this.messages, message];
  };
  popMessage = () => {
    this.messages = this.messages.slice(0, -1);
  };
  replaceMessage = (index, message) => {
    this.messages = this.messages.map((one, at) => (at === index ? structuredClone(message) : one));
    tell({ text: message.parts.filter(({ type }) => type === "text").map(({ text }) => text).join("") });
  };
  snapshot = (value) => structuredClone(value);
}

class Chat extends AbstractChat {}

const { request, cutAfter } = cuttable(() => new TypeError("network error"));
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const state = new State();
const chat = new Chat({
  id,
  state,
  transport: new DefaultChatTransport({ api, headers, fetch: request }),
  sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  onError: (error) => tell({ failed: error.message }),
});
const now = () => ({ status: state.status, error: state.error?.message ?? null });
const calls = {
  say: async (text, messageId) => {
    await chat.sendMessage({ id: messageId, parts: [{ type: "text", text }] });
    return now();
  },
  approve: async (approvalId, approved, reason) => {
    await chat.addToolApprovalResponse({ id: approvalId, approved, reason });
    return now();
  },
  resume: async () => {
    await chat.resumeStream();
    return now();
  },
  // All that was approved has come to something, and nothing goes on.
  answered: async () => {
    const isOpen = () => state.messages.some(({ parts }) => parts.some(({ state }) => state === "approval-responded"));
    while (state.status !== "error" && (state.status !== "ready" || isOpen())) await state.changed();
    return now();
  },
  stop: async () => chat.stop(),
  cutAfter,
  take: async (messages) => {
    state.messages = messages;
  },
  messages: async () => state.messages,
  status: async () => now(),
};

await obey(calls, ({ message }) => [message, null]);
process.exit(0);
