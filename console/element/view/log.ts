/** The conversation from its beginning to now, kept at its newest line while nobody scrolls away from that. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Chat } from "../model/chat.ts";
import type { Item } from "../model/turn.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import "./said_view.ts";
import "./turn_view.ts";
import "./welcome.ts";

/** So many items are drawn at first, and in each pause after that, until all are there. */
const FIRST = 30;
const NEAR_PX = 90;

export class Log extends Part {
  @property({ attribute: false }) declare chat: Chat;
  @property({ type: Number }) declare version: number;
  @state() declare isFollowing: boolean;
  private drawn = FIRST;
  private top = 0;
  private id_ = "";
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly sizes = new ResizeObserver(() => this.follow());

  constructor() {
    super();
    this.isFollowing = true;
  }

  protected override willUpdate(): void {
    const { id } = this.chat.shown;
    if (id === this.id_) return;
    // A new conversation that gets its id is still the same one.
    if (this.id_ || !this.chat.shown.conversation.items.length) this.drawn = FIRST;
    this.id_ = id;
    this.isFollowing = true;
  }

  protected override render(): TemplateResult {
    const { conversation } = this.chat.shown;
    const { items } = conversation;
    const isLoading = conversation.isCatchingUp && !items.length;
    const from = Math.max(0, items.length - this.drawn);
    return html`<div class="scroller" tabindex="0" role="region" aria-label=${words().conversation} @scroll=${this.scrolled}>
        <div class="column" role="log" aria-live="off" aria-label=${words().conversation}>
          ${conversation.forkedFrom ? this.origin() : nothing}
          ${isLoading ? html`<p class="loading about" role="status"><span class="spinner"></span> ${words().loading}</p>` : nothing}
          ${!items.length && !this.chat.shown.id ? html`<myagent-welcome .chat=${this.chat} .version=${this.version}></myagent-welcome>` : nothing}
          ${isLoading || (conversation.isCatchingUp && conversation.seq === 0) ? nothing : repeat(items.slice(from), (item) => `${item.kind} ${item.id}`, (item, at) => this.item(item, at === items.length - from - 1))}
        </div>
      </div>
      ${this.isFollowing || !items.length ? nothing : html`<button type="button" class="newest" aria-label=${words().newest} title=${words().newest} @click=${this.toEnd}>${icon("newest")}</button>`}`;
  }

  private item(item: Item, isLast: boolean): TemplateResult {
    const { chat } = this;
    const { isClosed, active } = chat.shown.conversation;
    switch (item.kind) {
      case "said": return html`<myagent-said .said=${item} .server=${chat.server} .canEdit=${!isClosed && Boolean(chat.shown.id) && !chat.unknown.has("user.fork")} .version=${item.version}></myagent-said>`;
      case "turn": return html`<myagent-turn .turn=${item} .agent=${chat.agent} .isLast=${isLast} .canRate=${!chat.unknown.has("user.feedback")} .canRepeat=${!isClosed && active.size === 0} .version=${item.version}></myagent-turn>`;
      case "note": return html`<p class="about ${item.isBad ? "bad" : ""}" dir="auto">${item.words}</p>`;
    }
  }

  private origin(): TemplateResult {
    const { session_id: id } = this.chat.shown.conversation.forkedFrom!;
    return html`<p class="origin about" title=${words().forkPoint}>${icon("branch")} <span dir="auto">${words().forkedFrom(this.chat.list.find(id)?.title ?? "")}</span><button type="button" class="plain link" @click=${() => this.tell("open-conversation", id)}>${words().forkNote}</button></p>`;
  }

  protected override firstUpdated(): void {
    this.sizes.observe(this.find(".column")!);
    this.sizes.observe(this.find(".scroller")!);
  }

  protected override updated(_changed: PropertyValues): void {
    this.follow();
    const { items } = this.chat.shown.conversation;
    if (items.length <= this.drawn || this.timer !== undefined) return;
    // The older ones in pieces, so that no piece keeps the page from answering.
    this.timer = setTimeout(() => { this.timer = undefined; this.drawn += FIRST; this.keepPlace(); }, 30);
  }

  /** Draws, and what is read stays where it is. */
  private keepPlace(): void {
    const scroller = this.find(".scroller");
    if (!scroller) return;
    const below = scroller.scrollHeight - scroller.scrollTop;
    this.requestUpdate();
    void this.updateComplete.then(() => { if (!this.isFollowing) scroller.scrollTop = scroller.scrollHeight - below; });
  }

  private follow(): void {
    const scroller = this.find(".scroller");
    if (scroller && this.isFollowing && this.chat.shown.conversation.items.length) scroller.scrollTop = scroller.scrollHeight;
  }

  private readonly scrolled = (): void => {
    const { scrollHeight, scrollTop, clientHeight } = this.find(".scroller")!;
    // What grows below moves nothing up; only a reader does that.
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) this.isFollowing = true;
    else if (scrollTop < this.top) this.isFollowing = false;
    this.top = scrollTop;
  };

  readonly toEnd = (): void => {
    this.isFollowing = true;
    this.follow();
  };
}
defined("myagent-log")(Log);
