/** A call of a tool: folded, with its name, how it stands and how long it took; inside, what it was given and gave. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { marked, pretty } from "../model/hidden_characters.ts";
import type { Call } from "../model/turn.ts";
import { clock, duration, exact } from "../words/times.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import "./folded.ts";

const BAD = new Set(["failed", "declined", "cancelled", "unknown"]);

export class CallView extends Part {
  @property({ attribute: false }) declare call: Call;
  @property({ type: Boolean }) declare isAsked: boolean;
  @property({ type: Number }) declare version: number;

  protected override render(): TemplateResult {
    const { call } = this;
    const isRunning = call.status === "running";
    return html`<details class="step call">
      <summary>
        ${icon("chevron")}${isRunning && !this.isAsked ? html`<span class="spinner" aria-hidden="true"></span>` : icon("tool")}
        <span class="tool">${marked(call.tool)}</span>
        <span class="about ${BAD.has(call.status) ? "bad" : ""}">${this.about()}</span>
      </summary>
      ${isRunning && call.percent !== null ? html`<progress max="100" .value=${call.percent} aria-label=${marked(call.tool)}></progress>` : nothing}
      <div class="inside">${this.inside()}</div>
    </details>
    ${call.images.filter(({ media_type }) => /^image\/(png|jpeg|gif|webp)$/.test(media_type)).map(({ media_type, data }) => html`<img class="made" src=${`data:${media_type};base64,${data}`} alt=${words().picture(call.tool)}>`)}`;
  }

  private about(): string {
    const { call } = this;
    const parts = [];
    if (call.progress) parts.push(call.progress, call.percent === null ? "" : `${Math.round(call.percent)} %`);
    else if (call.status && !(call.status === "running" && this.isAsked)) parts.push(words().status[call.status] ?? call.status);
    if (call.durationMs !== null) parts.push(duration(call.durationMs));
    if (call.changed) parts.push(words().changed);
    return parts.filter(Boolean).join(" · ");
  }

  private inside(): TemplateResult {
    const { call } = this;
    const isEmpty = !Object.keys(call.args).length;
    return html`
      <p class="part-name">${words().arguments} <time datetime=${call.at} title=${exact(call.at)}>${clock(call.at)}</time></p>
      ${isEmpty ? html`<p class="about">${words().noArguments}</p>` : html`<myagent-folded class="args" .text=${marked(pretty(call.args))}></myagent-folded>`}
      ${call.changed ? html`<p class="part-name">${words().changedArguments}</p><myagent-folded class="args" .text=${marked(pretty(call.changed))}></myagent-folded>` : nothing}
      ${call.error ? html`<p class="part-name">${words().failure}</p><myagent-folded class="result bad" .text=${call.error}></myagent-folded>` : nothing}
      ${call.result && call.result !== call.error ? html`<p class="part-name">${words().result}</p><myagent-folded class="result" .text=${formatted(call.result)}></myagent-folded>` : nothing}
      ${call.isTruncated ? html`<p class="about">${words().truncated}</p>` : nothing}
      ${call.data === undefined || call.data === null ? nothing : html`<p class="part-name">${words().data}</p><myagent-folded class="data" .text=${marked(pretty(call.data))}></myagent-folded>`}`;
  }
}
defined("myagent-call")(CallView);

/** JSON of one line is easier to read on several. */
function formatted(text: string): string {
  if (!/^\s*[{[]/.test(text) || text.includes("\n") || text.length > 100_000) return text;
  try { return pretty(JSON.parse(text)); } catch { return text; }
}
