/** The line to a server, which is the client of the protocol, in the page's words. */

import { Client, type LinkStatus } from "myagent-client";
import type { Frame } from "./frame.ts";
import type { Server } from "./server.ts";

export type LinkState = "opening" | "open" | "lost" | "shut";

export interface Listener {
  heard(frame: Frame): void;
  stateChanged(): void;
}

const STATES: Record<LinkStatus["state"], LinkState> = { connecting: "opening", open: "open", waiting: "lost", closed: "shut" };

export class Link {
  readonly client: Client;
  /** Connections that were tried since the last one that was greeted. */
  attempts = 0;
  private before: LinkStatus["state"] = "closed";

  constructor(private readonly server: Server, language: string) {
    // An address that is none is never connected to.
    const url = server.isAddress ? server.socketBase : "ws://localhost/";
    // What was received is not read yet, and what is shown in advance has to be told when it is stored.
    this.client = new Client({ url, lang: language, token: () => server.token, acknowledges: false, echoes: true });
  }

  listen(listener: Listener): void {
    this.client.on("*", (frame) => listener.heard(frame as unknown as Frame));
    this.client.onLink(({ state }) => {
      if (state === "open") this.attempts = 0;
      else if (state === "connecting" && this.before !== state) this.attempts += 1;
      this.before = state;
      listener.stateChanged();
    });
  }

  get state(): LinkState {
    if (!this.server.isAddress) return "shut";
    const { state, lost } = this.client.link;
    return state === "closed" && !lost ? "opening" : STATES[state]; // before the first attempt
  }

  /** Why it is shut, as the server said it. */
  get reason(): string { return this.server.isAddress ? (this.client.link.lost?.reason ?? "") : "bad_address"; }

  /** What keeps who waits for this server from it; "" if nothing does. */
  get trouble(): string {
    if (this.state === "shut") return this.reason;
    return this.attempts > 1 && this.state !== "open" ? "no_answer" : "";
  }

  get isOffline(): boolean { return this.client.link.isOffline; }

  get isOpen(): boolean { return this.state === "open"; }

  connect(): void { if (this.server.isAddress) this.client.start(); }

  /** Now, if it waits. */
  again(): void { if (this.state === "lost") this.connect(); }

  end(): void { this.client.close(); }
}
