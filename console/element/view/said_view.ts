/** What the user said: its words, pictures and files, and what can be done with it. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { wordsOf, type Part as ContentPart } from "../model/frame.ts";
import type { Server } from "../model/server.ts";
import type { Said } from "../model/turn.ts";
import { clock, exact } from "../words/times.ts";
import { words } from "../words/words.ts";
import { copyText } from "./copying.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import "./folded.ts";
import "./picture.ts";

/** Longer texts are folded. */
const LONG = 6_000;

export class SaidView extends Part {
  @property({ attribute: false }) declare said: Said;
  @property({ attribute: false }) declare server: Server;
  @property({ type: Boolean }) declare canEdit: boolean;
  @property({ type: Number }) declare version: number;

  protected override render(): TemplateResult {
    const { said } = this;
    const parts: ContentPart[] = typeof said.content === "string" ? [{ type: "text", text: said.content }] : said.content;
    return html`<article class="said ${said.state}" aria-label=${words().you}>
      <div class="bubble" dir="auto">${parts.map((part) => this.contentPart(part))}</div>
      ${said.state === "refused" ? this.refused() : nothing}
      ${said.state === "unsent" ? html`<p class="about">${words().sending}</p>` : nothing}
      ${said.state === "waiting" ? this.waiting() : nothing}
      ${said.state === "sent" ? this.acts() : nothing}
    </article>`;
  }

  private contentPart(part: ContentPart): unknown {
    const url = part.type === "image_url" ? (typeof part.image_url === "string" ? part.image_url : part.image_url?.url) : "";
    if (url) return html`<myagent-picture .server=${this.server} .url=${url} .label=${(typeof part.image_url === "object" && part.image_url.name) || words().pictureSent}></myagent-picture>`;
    if (part.type === "file") return html`<span class="file">${icon("file")} <bdi>${part.file?.name ?? ""}</bdi></span>`;
    if (!part.text) return nothing;
    return part.text.length > LONG ? html`<myagent-folded .text=${part.text}></myagent-folded>` : html`<p>${part.text}</p>`;
  }

  private refused(): TemplateResult {
    const { id, why } = this.said;
    return html`<p class="bad" role="alert">${words().failed}${words().colon}${why}</p>
      <div class="acts always">
        <button type="button" @click=${() => this.tell("say-again", id)}>${icon("again")} ${words().sendAgain}</button>
        <button type="button" @click=${() => this.tell("unsay", id)}>${words().discard}</button>
      </div>`;
  }

  private waiting(): TemplateResult {
    return html`<div class="acts always"><span class="about" role="status">${words().notRead}</span>
      <button type="button" class="take-back" @click=${() => this.tell("withdraw", this.said.id)}>${icon("back")} ${words().takeBack}</button>
    </div>`;
  }

  private acts(): TemplateResult {
    const { said } = this;
    return html`<div class="acts">
      <time datetime=${said.at} title=${exact(said.at)}>${clock(said.at)}</time>
      <button type="button" class="plain" aria-label=${words().copyMessage} title=${words().copyMessage} @click=${() => void copyText(wordsOf(said.content))}>${icon("copy")}</button>
      ${this.canEdit ? html`<button type="button" class="plain edit" aria-label=${words().edit} title=${words().edit} @click=${() => this.tell("edit-message", said)}>${icon("edit")}</button>` : nothing}
    </div>`;
  }
}
defined("myagent-said")(SaidView);
