/** The line to a server, by the rules of the client of the protocol: it comes back by itself, and tells what it hears. */

import { Link as Rules, type LinkStatus } from "myagent-client";
import { socketAddress } from "../../client/src/address.ts";
import { parseFrame } from "../../client/src/frames.ts";
import type { Act, Happening } from "../../client/src/link.ts";
import { watchWorld } from "../../client/src/world.ts";
import type { Frame, Request } from "./frame.ts";
import type { Server } from "./server.ts";

export type LinkState = "opening" | "open" | "lost" | "shut";

export interface Listener {
  heard(frame: Frame): void;
  stateChanged(): void;
  /** The connection `number` ended because of the size of a frame. */
  tooLarge(number: number): void;
}

const STATES: Record<LinkStatus["state"], LinkState> = { connecting: "opening", open: "open", waiting: "lost", closed: "shut" };
const TOO_BIG = 1009;
/** `WebSocket.OPEN`. */
const OPEN = 1;
const seconds = (): number => performance.now() / 1_000;

export class Link {
  /** Connections that failed since the last one that was greeted. */
  attempts = 0;
  /** Counts the connections. */
  number = 0;
  private readonly rules = new Rules(Math.random);
  private readonly world: AbortController | null;
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isGreeted = false;
  /** What kept the browser from trying at all. */
  private mistake = "";

  constructor(readonly server: Server, private readonly language: string, private readonly listener: Listener) {
    this.world = watchWorld((happening) => this.feed(happening));
  }

  get state(): LinkState {
    const { state, lost } = this.rules.status;
    if (this.mistake) return "shut";
    return state === "closed" && !lost ? "opening" : STATES[state]; // before the first attempt
  }

  /** Why it is shut, as the server said it. */
  get reason(): string { return this.mistake || this.rules.status.lost?.reason || ""; }

  get isOffline(): boolean { return this.rules.status.isOffline; }

  get isOpen(): boolean { return this.isGreeted && this.socket?.readyState === OPEN; }

  connect(): void { this.feed({ type: "start" }); }

  /** Now, if it waits. */
  again(): void { if (this.state === "lost") this.connect(); }

  private feed(happening: Happening): void {
    const before = this.rules.status;
    for (const act of this.rules.feed(happening, seconds())) this.act(act);
    clearTimeout(this.timer);
    const { dueAt, status } = this.rules;
    if (dueAt !== null) this.timer = setTimeout(() => this.feed({ type: "due" }), Math.max(0, dueAt - seconds()) * 1_000);
    if (status !== before) this.listener.stateChanged();
  }

  private act(act: Act): void {
    const { socket } = this;
    this.socket = null;
    this.isGreeted = false;
    if (act === "open") { this.open(); return; }
    if (socket) socket.onmessage = socket.onclose = null;
    socket?.close();
  }

  private open(): void {
    const socket = this.dial();
    this.socket = socket;
    if (!socket) return;
    this.number += 1;
    this.attempts += 1;
    socket.onmessage = ({ data }) => { if (socket === this.socket) this.hear(data); };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.socket) return;
      this.socket = null;
      if (code === TOO_BIG) this.listener.tooLarge(this.number);
      this.feed({ type: "closed", code, reason });
    };
  }

  /** A socket; null where no address leads to one, or the browser allows none to it. */
  private dial(): WebSocket | null {
    let address;
    try {
      address = socketAddress(this.server.socketBase, this.language, this.server.token);
      return new WebSocket(address.href, address.protocols);
    } catch (error) {
      console.info("No connection is possible:", error);
      // An address that is none stays that; whatever else the browser says may change.
      if (!address || !this.server.isAddress) { this.mistake = "bad_address"; this.listener.stateChanged(); }
      else queueMicrotask(() => this.feed({ type: "closed", code: 1006, reason: String(error) }));
      return null;
    }
  }

  private hear(data: unknown): void {
    let frame;
    try {
      frame = parseFrame(data) as unknown as Frame;
    } catch (error) {
      this.feed({ type: "unusable", reason: String(error) });
      return;
    }
    if (frame.event === "system.connected") {
      this.isGreeted = true;
      this.attempts = 0;
      this.feed({ type: "greeted" });
    } else this.rules.feed({ type: "heard" }, seconds());
    this.listener.heard(frame);
  }

  /** Sends a frame as it is; false if there is no line. */
  send(frame: Request | string): boolean {
    if (!this.isOpen) return false;
    this.socket?.send(typeof frame === "string" ? frame : JSON.stringify(frame));
    return true;
  }

  end(): void {
    this.world?.abort();
    this.feed({ type: "stop" });
    clearTimeout(this.timer);
  }
}
