/** A stretch of the conversation: some neighbouring items, drawn when they come near, and until then in plain words. */

import { html, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Agent } from "../model/agents.ts";
import { wordsOf } from "../model/frame.ts";
import type { Server } from "../model/server.ts";
import { answerOf, type Item } from "../model/turn.ts";
import { defined, Part } from "./part.ts";
import "./said_view.ts";
import "./turn_view.ts";

/** So many items are drawn in one go: few enough for a page that goes on answering. */
const ITEMS = 8;

/** The conversation in stretches; all but the last one are full. */
export function stretchesOf(items: Item[]): Item[][] {
  return Array.from({ length: Math.ceil(items.length / ITEMS) }, (_, at) => items.slice(at * ITEMS, (at + 1) * ITEMS));
}

const differ = (items: Item[], before: Item[] | undefined): boolean =>
  items.length !== before?.length || items.some((item, at) => item !== before[at]);

/** What is needed to guess how high something is before anybody has seen it. */
const ITEM_PX = 90;
const LINE_PX = 26;
const LINE_CHARACTERS = 75;

export class Stretch extends Part {
  @property({ attribute: false, hasChanged: differ }) declare items: Item[];
  /** Changes with each of the items. */
  @property({ type: Number }) declare stamp: number;
  @property({ attribute: false }) declare server: Server;
  @property({ attribute: false }) declare agent: Agent | undefined;
  @property({ type: Boolean }) declare canEdit: boolean;
  @property({ type: Boolean }) declare canRate: boolean;
  @property({ type: Boolean }) declare canRepeat: boolean;
  /** The newest ones are drawn before anybody sees them. */
  @property({ type: Boolean }) declare isNear: boolean;
  @property({ type: Boolean }) declare isLast: boolean;
  @state() declare isDrawn: boolean;

  draw(): void { this.isDrawn = true; }

  protected override willUpdate(): void { if (this.isNear) this.isDrawn = true; }

  protected override render(): unknown {
    if (this.isDrawn) return repeat(this.items, (item) => `${item.kind} ${item.id}`, (item, at) => this.item(item, this.isLast && at === this.items.length - 1));
    const words = this.items.map(plain);
    const height = words.reduce((sum, text) => sum + ITEM_PX + LINE_PX * Math.ceil(text.length / LINE_CHARACTERS), 0);
    this.style.containIntrinsicSize = `auto ${height}px`;
    // So that the browser finds them, and a screen reader reads them.
    return html`<p class="undrawn" dir="auto">${words.join("\n\n")}</p>`;
  }

  private item(item: Item, isLast: boolean): TemplateResult {
    switch (item.kind) {
      case "said": return html`<myagent-said .said=${item} .server=${this.server} .canEdit=${this.canEdit} .version=${item.version}></myagent-said>`;
      case "turn": return html`<myagent-turn .turn=${item} .agent=${this.agent} .isLast=${isLast} .canRate=${this.canRate} .canRepeat=${this.canRepeat} .version=${item.version}></myagent-turn>`;
      case "note": return html`<p class="about ${item.isBad ? "bad" : ""}" dir="auto">${item.words}</p>`;
    }
  }
}
defined("myagent-stretch")(Stretch);

function plain(item: Item): string {
  switch (item.kind) {
    case "said": return wordsOf(item.content);
    case "turn": return answerOf(item);
    case "note": return item.words;
  }
}
