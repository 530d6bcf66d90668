/** What came of a message: thoughts, calls, questions and text in their order, how it ended, and what can be done now. */

import { html, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Agent } from "../model/agents.ts";
import { answerOf, openQuestions, type Piece, type Turn } from "../model/turn.ts";
import { money } from "../words/money.ts";
import { clock, duration, exact, number } from "../words/times.ts";
import { words } from "../words/words.ts";
import { copyText } from "./copying.ts";
import { icon, type Icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import "../markdown/markdown_view.ts";
import "./call_view.ts";
import "./feedback.ts";
import "./output_view.ts";
import "./question_view.ts";

export class TurnView extends Part {
  @property({ attribute: false }) declare turn: Turn;
  @property({ attribute: false }) declare agent: Agent | undefined;
  @property({ type: Boolean }) declare isLast: boolean;
  @property({ type: Boolean }) declare canRate: boolean;
  @property({ type: Boolean }) declare canRepeat: boolean;
  @property({ type: Number }) declare version: number;
  @state() declare isCopied: boolean;

  protected override render(): TemplateResult {
    const { turn } = this;
    return html`<article class="turn ${turn.state}" aria-label=${words().answerOf(this.agent?.title ?? "")} aria-busy=${turn.state !== "ended"}>
      ${repeat(turn.pieces, (piece) => piece.key, (piece) => this.piece(piece))}
      ${turn.state === "ended" ? this.end() : html`<p class="wait">${this.waiting()}</p>`}
    </article>`;
  }

  private piece(piece: Piece): TemplateResult {
    const { turn } = this;
    switch (piece.kind) {
      case "text": return html`<myagent-markdown class="text" .finished=${piece.isFinished} .text=${piece.text}></myagent-markdown>`;
      case "thought": return html`<details class="step thought"><summary>${icon("chevron")}${icon("thought")}<span>${words().reasoning}</span></summary><div class="inside"><pre dir="auto" tabindex="0">${piece.text}</pre></div></details>`;
      case "call": {
        const isAsked = openQuestions(turn).some((question) => question.callKey === piece.key);
        return html`<myagent-call .call=${piece} .isAsked=${isAsked} .version=${turn.version}></myagent-call>`;
      }
      case "question": {
        const schema = this.agent?.tools.find((tool) => tool.name === piece.tool)?.parameters;
        return html`<myagent-question .turn=${turn} .question=${piece} .schema=${schema} .version=${turn.version}></myagent-question>`;
      }
    }
  }

  private waiting(): TemplateResult {
    const { turn } = this;
    if (openQuestions(turn).length) return html`<span class="about">${words().waiting}</span>`;
    if (turn.notice) return html`<span class="about">${turn.notice}</span>`;
    if (turn.place !== null) return html`<span class="about">${words().place(turn.place)}</span>`;
    if (turn.state === "queued") return html`<span class="about">${words().queued}</span>`;
    const isWriting = turn.pieces.at(-1)?.kind === "text";
    return html`<span class="dots" aria-hidden="true"><i></i><i></i><i></i></span><span class=${isWriting ? "unseen" : "about"}>${words().thinking}</span>`;
  }

  private end(): TemplateResult {
    const { turn } = this;
    const { outcome } = turn;
    if (!outcome) return html``;
    return html`
      ${outcome.output ? html`<myagent-output .value=${outcome.output}></myagent-output>` : nothing}
      ${outcome.kind === "failed" ? html`<div class="failure" role="alert">${icon("warning")}<p dir="auto">${outcome.words}</p></div>` : nothing}
      ${outcome.kind === "stopped" ? html`<p class="about stopped">${outcome.words || words().stopped}</p>` : nothing}
      ${outcome.finish === "refused" ? html`<p class="about refused">${words().refused}</p>` : nothing}
      ${outcome.finish === "length" ? html`<p class="about bad">${words().cutShort}</p>` : nothing}
      ${outcome.limit ? html`<p class="about limit">${words().limits[outcome.limit] ?? words().anyLimit}</p>` : nothing}
      <div class="acts ${this.isLast || turn.rating || outcome.kind === "failed" ? "always" : ""}">${this.acts()}</div>`;
  }

  private acts(): TemplateResult {
    const { turn } = this;
    const outcome = turn.outcome!;
    const hasText = Boolean(answerOf(turn));
    const isAnswer = outcome.kind === "answer";
    return html`
      ${hasText ? this.act(this.isCopied ? "check" : "copy", this.isCopied ? words().copied : words().copyAnswer, "copy-answer", this.copy) : nothing}
      ${this.canRepeat && turn.messageId ? (isAnswer
        ? this.act("again", words().regenerate, "repeat", () => this.tell("repeat", turn))
        : html`<button type="button" class="repeat" @click=${() => this.tell("repeat", turn)}>${icon("again")} ${words().retry}</button>`) : nothing}
      ${this.canRate && isAnswer ? html`<myagent-feedback .turn=${turn} .version=${turn.version}></myagent-feedback>` : nothing}
      <span class="about costs" title=${exact(outcome.at)}>${this.costs()}</span>`;
  }

  private act(name: Icon, label: string, kind: string, does: () => void): TemplateResult {
    return html`<button type="button" class="plain ${kind}" aria-label=${label} title=${label} @click=${does}>${icon(name)}</button>`;
  }

  private costs(): string {
    const { at, durationMs, steps, usage } = this.turn.outcome!;
    const tokens = usage ? usage.input_tokens + usage.output_tokens : 0;
    return [
      clock(at),
      durationMs === null ? "" : duration(durationMs),
      steps > 1 ? words().steps(steps) : "",
      tokens ? words().tokens(number(tokens)) : "",
      usage?.cost !== undefined && usage.currency ? money(usage.cost, usage.currency) : "",
    ].filter(Boolean).join(" · ");
  }

  private readonly copy = (): void => {
    void copyText(answerOf(this.turn)).then((isCopied) => {
      this.isCopied = isCopied;
      setTimeout(() => { this.isCopied = false; }, 2_000);
    });
  };
}
defined("myagent-turn")(TurnView);
