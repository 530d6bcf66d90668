/** The conversation from its beginning to now, kept at its newest line while nobody scrolls away from that. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Chat } from "../model/chat.ts";
import type { Conversation } from "../model/conversation.ts";
import type { Item } from "../model/turn.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import { Stretch, stretchesOf } from "./stretch.ts";
import "./welcome.ts";

/** So many of the newest stretches are there at first, and drawn. */
const FIRST = 2;
/** So many older ones come at once, each a few words until it is drawn. */
const MORE = 50;
/** So many are drawn without being in sight: beyond that a page would only grow. */
const MOST = 250;
/** After each of them; meanwhile the page does what its reader wants. */
const PAUSE_MS = 30;
const NEAR_PX = 90;

export class Log extends Part {
  @property({ attribute: false }) declare chat: Chat;
  @property({ type: Number }) declare version: number;
  @state() declare isFollowing: boolean;
  private conversation: Conversation | null = null;
  /** Counts the conversations that were shown: nothing of one is made into another. */
  private serial = 0;
  /** All that is past was told at least once. */
  private wasWhole = false;
  /** What is newest comes last. Until then nothing is shown, unless the line broke. */
  private isEarly = false;
  private stretches: Item[][] = [];
  /** The oldest stretch that is there: all of them in one go would keep the reader waiting. */
  private first = Infinity;
  private top = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly sizes = new ResizeObserver(() => this.follow());

  constructor() {
    super();
    this.isFollowing = true;
  }

  protected override willUpdate(): void {
    const { conversation } = this.chat.shown;
    if (conversation !== this.conversation) {
      if (conversation.id !== this.conversation?.id) this.isFollowing = true;
      this.conversation = conversation;
      this.serial += 1;
      this.wasWhole = false;
      this.first = Infinity;
    }
    if (!conversation.isCatchingUp) this.wasWhole = true;
    this.isEarly = conversation.isCatchingUp && !this.wasWhole && this.chat.link.state === "open";
    this.stretches = this.isEarly || (conversation.isCatchingUp && conversation.seq === 0) ? [] : stretchesOf(conversation.items);
    if (this.stretches.length) this.first = Math.min(this.first, Math.max(0, this.stretches.length - FIRST));
  }

  protected override render(): TemplateResult {
    const { conversation, id } = this.chat.shown;
    const { items, active } = conversation;
    const { first, stretches } = this;
    const isLoading = this.isEarly || (conversation.isCatchingUp && !items.length);
    return html`<div class="scroller" tabindex="0" role="region" aria-label=${words().conversation} @scroll=${this.scrolled}>
        <div class="column ${active.size ? "busy" : ""}" role="log" aria-live="off" aria-label=${words().conversation}>
          ${conversation.forkedFrom && (first === 0 || !stretches.length) ? this.origin() : nothing}
          ${isLoading ? html`<p class="loading about" role="status"><span class="spinner"></span> ${words().loading}</p>` : nothing}
          ${!items.length && !id ? html`<myagent-welcome .chat=${this.chat} .version=${this.version}></myagent-welcome>` : nothing}
          ${repeat(stretches.slice(first), (_, at) => `${this.serial} ${first + at}`, (part, at) => this.stretch(part, stretches.length - first - at))}
        </div>
      </div>
      ${this.isFollowing || !items.length ? nothing : html`<button type="button" class="newest" aria-label=${words().newest} title=${words().newest} @click=${this.toEnd}>${icon("newest")}</button>`}`;
  }

  /** `place` counts from the newest, which is 1. */
  private stretch(items: Item[], place: number): TemplateResult {
    const { chat } = this;
    const { isClosed } = chat.shown.conversation;
    const stamp = items.reduce((sum, item) => sum + item.version, 0);
    return html`<myagent-stretch .items=${items} .stamp=${stamp} .server=${chat.server} .agent=${chat.agent} .isNear=${place <= FIRST} .isLast=${place === 1}
      .canEdit=${!isClosed && Boolean(chat.shown.id) && !chat.unknown.has("user.fork")} .canRate=${!chat.unknown.has("user.feedback")} .canRepeat=${!isClosed}></myagent-stretch>`;
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
    this.fillLater();
  }

  private fillLater(): void {
    this.timer ??= setTimeout(() => { this.timer = undefined; if (this.add() || this.fill(true)) this.fillLater(); }, PAUSE_MS);
  }

  /** Adds older stretches above, while what is read stays where it is; false when all of them are there. */
  private add(): boolean {
    const { scrollHeight, scrollTop } = this.find(".scroller")!;
    if (!this.stretches.length || this.first === 0) return false;
    this.first = Math.max(0, this.first - MORE);
    this.requestUpdate();
    void this.updateComplete.then(() => {
      const scroller = this.find(".scroller")!;
      if (!this.isFollowing) scroller.scrollTop = scroller.scrollHeight - (scrollHeight - scrollTop);
    });
    return true;
  }

  /** Draws what is in sight and, `further`, the stretch that is nearest to it; false when there was nothing to draw. */
  private fill(further: boolean): boolean {
    const scroller = this.find(".scroller");
    if (!scroller || !this.wasWhole) return false;
    const { top, bottom } = scroller.getBoundingClientRect();
    const stretches = [...scroller.firstElementChild!.children].filter((child) => child instanceof Stretch);
    const undrawn = stretches.filter(({ isDrawn }) => !isDrawn).map((stretch) => {
      const place = stretch.getBoundingClientRect();
      return { stretch, away: Math.max(0, place.top - bottom, top - place.bottom) };
    }).sort((one, other) => one.away - other.away);
    const isFull = stretches.length - undrawn.length >= MOST;
    const due = undrawn.filter(({ away }, at) => away === 0 || (further && at === 0 && (!isFull || away < bottom - top)));
    due.forEach(({ stretch }) => stretch.draw());
    return due.length > 0;
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
    // Before the browser shows it.
    this.fill(false);
    this.fillLater();
  };

  readonly toEnd = (): void => {
    this.isFollowing = true;
    this.follow();
  };
}
defined("myagent-log")(Log);
