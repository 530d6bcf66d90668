/** Which conversation is shown, kept where it belongs: in the page's own address, or in the tab for a part of a page. */

import { ofThisTab } from "./memory.ts";
import type { Server } from "./server.ts";

const ID = /^[\w-]{8,100}$/;

export interface Route {
  get(): string;
  /** `isSame`: a new conversation that got its id. */
  set(id: string, isSame: boolean): void;
  changed(act: () => void, signal: AbortSignal): void;
  /** A click, perhaps on the way to the login: what follows it knows no fragments. */
  leaving(click: Event, server: Server): void;
}

/** In the fragment, which is sent to nobody: an anonymous conversation's id is a key. */
export class FragmentRoute implements Route {
  private readonly left = ofThisTab("myagent.left");

  constructor() {
    const id = this.left.get() ?? "";
    this.left.set("");
    if (id && !this.get()) this.set(id, true);
  }

  get(): string {
    const id = decodeURIComponent(location.hash.slice(1));
    return ID.test(id) ? id : "";
  }

  leaving(click: Event, server: Server): void {
    const link = click.composedPath().find((node): node is HTMLAnchorElement => node instanceof HTMLAnchorElement);
    if (link?.href === server.loginPage) this.left.set(this.get());
  }

  set(id: string, isSame: boolean): void {
    if (id === this.get()) return;
    const url = `${location.pathname}${location.search}${id ? `#${id}` : ""}`;
    if (isSame) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
  }

  changed(act: () => void, signal: AbortSignal): void {
    addEventListener("popstate", act, { signal });
    addEventListener("hashchange", act, { signal });
  }
}

export class TabRoute implements Route {
  private readonly memory;

  constructor(server: string, agent: string) { this.memory = ofThisTab(`myagent.session ${server} ${agent}`); }

  get(): string { return this.memory.get() ?? ""; }
  set(id: string): void { this.memory.set(id); }
  changed(): void { /* nobody else writes there */ }
  leaving(): void { /* the tab keeps it */ }
}
