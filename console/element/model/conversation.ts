/** A conversation as its log tells it. */

import { contentOf, type Frame, type Metadata, type Origin, type Rating } from "./frame.ts";
import { foldCall, foldProgress, foldQuestion, foldResponse, foldResult, leaveHookQuestions } from "./calls.ts";
import { newTurn, openQuestions, type Item, type Outcome, type Said, type Text, type Thought, type Turn } from "./turn.ts";

/** The option of the limit at which an answer ended; in logs from before there were others that of steps has no name. */
function limitOf({ limit, finish }: Metadata): string {
  if (typeof limit === "object") return limit.which;
  return finish === "max_steps" ? finish : finish === "limit" ? "unknown" : "";
}

export class Conversation {
  seq = 0;
  title = "";
  agent = "";
  isClosed = false;
  /** The log is being sent, from its beginning or from where the connection broke. */
  isCatchingUp: boolean;
  forkedFrom: Origin | null = null;
  items: Item[] = [];
  /** Runs that go on or wait. */
  readonly active = new Set<string>();
  private readonly turns = new Map<string, Turn>();
  private readonly said = new Map<string, Said>();

  constructor(public id: string) { this.isCatchingUp = id !== ""; }

  /** Takes an event of the log; the client gives each once, and in order. */
  fold(frame: Frame): void {
    if (frame.seq !== undefined) this.seq = frame.seq;
    const runId = frame.metadata.run_id;
    if (frame.event === "user.message") this.takeMessage(frame);
    else if (frame.event === "user.feedback") this.takeFeedback(frame);
    else if (frame.event === "user.response") for (const turn of this.turns.values()) this.touch(foldResponse(turn, frame) ? turn : null);
    else if (runId && frame.event.startsWith("agent.")) this.foldRun(this.turnOf(runId, frame.timestamp), frame);
    else this.foldSession(frame);
  }

  private foldSession({ event, metadata }: Frame): void {
    switch (event) {
      case "agent.session_created":
        this.agent = metadata.agent_name ?? "";
        this.forkedFrom = metadata.forked_from ?? null;
        break;
      case "agent.session_updated":
        this.title = metadata.title ?? "";
        break;
      case "agent.session_end":
        this.isClosed = true;
        break;
    }
  }

  private foldRun(turn: Turn, frame: Frame): void {
    const { event, content, metadata } = frame;
    const words = typeof content === "string" ? content : "";
    const step = metadata.step ?? 0;
    if (turn.state === "queued" && !ENDS.has(event)) turn.state = "running";
    if (event === "agent.thinking" || event === "agent.partial_answer" || event === "agent.tool_call") leaveHookQuestions(turn);
    switch (event) {
      case "agent.thinking":
        turn.notice = "";
        turn.place = null;
        if (metadata.reasoning) this.textOf(turn, "thought", step, frame.seq).text += words;
        break;
      case "agent.partial_answer": {
        const piece = this.textOf(turn, "text", step, frame.seq);
        piece.text += words;
        if ((metadata as { is_final?: boolean }).is_final && piece.kind === "text") piece.isFinished = true;
        break;
      }
      case "agent.step_reset":
        turn.pieces = turn.pieces.filter((piece) => !((piece.kind === "text" || piece.kind === "thought") && piece.step === step));
        break;
      case "agent.tool_call": foldCall(turn, frame); break;
      case "agent.tool_progress": foldProgress(turn, frame); break;
      case "agent.tool_result": foldResult(turn, frame); break;
      case "agent.user_confirm": foldQuestion(turn, frame); break;
      case "agent.final_answer": {
        const piece = this.textOf(turn, "text", metadata.steps ?? 0, frame.seq);
        piece.text = words;
        if (!words.trim()) turn.pieces = turn.pieces.filter((other) => other !== piece);
        this.end(turn, frame, "answer");
        break;
      }
      case "agent.interrupted": this.end(turn, frame, "stopped"); break;
      case "agent.error": this.end(turn, frame, "failed"); break;
    }
    const message = this.said.get(turn.messageId);
    if (message?.state === "waiting" && turn.state !== "queued") { message.state = "sent"; this.touch(message); }
    this.touch(turn);
  }

  private end(turn: Turn, frame: Frame, kind: Outcome["kind"]): void {
    const { metadata } = frame;
    turn.state = "ended";
    turn.notice = "";
    turn.place = null;
    turn.outcome = {
      kind,
      words: kind === "answer" ? "" : String(frame.content ?? ""),
      code: metadata.code ?? metadata.reason ?? "",
      at: frame.timestamp,
      steps: metadata.steps ?? 0,
      durationMs: metadata.duration_ms ?? null,
      usage: metadata.usage ?? null,
      finish: metadata.finish ?? "",
      output: metadata.output ?? null,
      limit: limitOf(metadata),
    };
    for (const piece of turn.pieces) {
      if (piece.kind === "text") piece.isFinished = true;
      if (piece.kind === "call" && piece.status === "running") piece.status = "";
      if (piece.kind !== "question") continue;
      piece.answer ??= null;
      piece.isUnsent = false;
    }
    this.active.delete(turn.id);
  }

  private textOf(turn: Turn, kind: "text" | "thought", step: number, seq = 0): Text | Thought {
    const found = turn.pieces.find((piece): piece is Text | Thought => piece.kind === kind && piece.step === step);
    if (found) return found;
    const key = `${kind}-${step}-${seq}`;
    const piece: Text | Thought = kind === "text" ? { kind, key, step, text: "", isFinished: false } : { kind, key, step, text: "" };
    turn.pieces.push(piece);
    return piece;
  }

  /** The turn of a run; where it is new it stands behind its message. */
  turnOf(runId: string, at: string, messageId = ""): Turn {
    let turn = this.turns.get(runId);
    if (turn) {
      if (messageId && !turn.messageId) turn.messageId = messageId;
      return turn;
    }
    turn = newTurn(runId, messageId, at);
    this.turns.set(runId, turn);
    this.active.add(runId);
    const message = messageId ? this.said.get(messageId) : undefined;
    if (message) this.items.splice(this.items.indexOf(message) + 1, 0, turn);
    else this.items.push(turn);
    return turn;
  }

  private takeMessage(frame: Frame): void {
    const id = frame.metadata.message_id ?? `seq-${frame.seq}`;
    const { run_id: runId = "" } = frame.metadata;
    const message = this.say(id, contentOf(frame.content), frame.timestamp);
    const isFirst = !this.turns.has(runId);
    const turn = runId ? this.turnOf(runId, frame.timestamp, id) : undefined;
    if (turn && isFirst && this.active.size > 1) turn.state = "queued";
    const isQueued = turn?.state === "queued" && turn.messageId === id;
    Object.assign(message, { state: isQueued ? "waiting" : "sent", why: "", at: frame.timestamp, isLogged: true });
    this.touch(message);
  }

  private takeFeedback(frame: Frame): void {
    const { run_id: runId, rating, comment = "" } = frame.content as Rating;
    const turn = this.turns.get(runId);
    if (!turn) return;
    Object.assign(turn, { rating, comment });
    this.touch(turn);
  }

  messageOf(id: string): Said | undefined { return this.said.get(id); }

  /** Something the user says, before the server has it or as it is on record. */
  say(id: string, content: Said["content"], at: string, whenBusy = ""): Said {
    const known = this.said.get(id);
    if (known) return known;
    const message: Said = { kind: "said", id, content, at, state: "unsent", whenBusy, isLogged: false, why: "", version: 0 };
    this.said.set(id, message);
    this.items.push(message);
    return message;
  }

  /** The server has a message, and says whose turn it is, or that it waits to steer the run that goes on. */
  accepted({ message_id: messageId = "", run_id: runId = "", position = 0, mode, duplicate }: Metadata, at: string): void {
    const message = this.said.get(messageId);
    if (message?.isLogged) return;
    const isSteering = mode === "steer";
    if (message) { message.state = isSteering || position > 0 ? "waiting" : "sent"; message.why = ""; this.touch(message); }
    // As it will be told from the log: it may have been said long before, without a line.
    if (message && !duplicate) message.at = at;
    if (isSteering) return;
    // Its place in the queue may have been told before.
    const isNew = !this.turns.has(runId);
    const turn = this.turnOf(runId, at, messageId);
    if (isNew && position > 0) turn.state = "queued";
  }

  refused(messageId: string, why: string): void {
    const message = this.said.get(messageId);
    if (message) { message.state = "refused"; message.why = why; this.touch(message); }
  }

  /** Takes a message back that did not reach the server. */
  unsay(messageId: string): void {
    const message = this.said.get(messageId);
    if (!message || message.state === "sent") return;
    this.said.delete(messageId);
    this.items = this.items.filter((item) => item !== message);
  }

  messageBefore(turn: Turn): Said | undefined { return this.said.get(turn.messageId); }

  get turnList(): Turn[] { return [...this.turns.values()]; }

  get isWaiting(): boolean { return this.turnList.some((turn) => openQuestions(turn).length > 0); }

  get lastSaid(): Said | undefined { return this.items.filter((item): item is Said => item.kind === "said").at(-1); }

  touch(item: Item | null): void { if (item) item.version += 1; }
}

/** Nothing of a run follows these. */
export const ENDS = new Set(["agent.final_answer", "agent.interrupted", "agent.error"]);
