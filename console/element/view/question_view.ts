/** A question about a call: what would be done, with what, until when; allowed, changed or declined by hand or key. */

import { html, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import type { Schema } from "../model/agents.ts";
import { escaped, marked, pretty } from "../model/hidden_characters.ts";
import { misfits, type Misfit } from "../model/schema_fit.ts";
import type { Question, Turn } from "../model/turn.ts";
import { spoken } from "../words/times.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import "./folded.ts";

export interface Answered {
  turn: Turn;
  question: Question;
  given: { confirmed: boolean; args: Record<string, unknown> | null; reason: string };
}

export class QuestionView extends Part {
  @property({ attribute: false }) declare turn: Turn;
  @property({ attribute: false }) declare question: Question;
  @property({ attribute: false }) declare schema: Schema | undefined;
  @property({ type: Number }) declare version: number;
  @state() declare isEditing: boolean;
  @state() declare isDeclining: boolean;
  @state() declare edited: string;
  private clockwork: ReturnType<typeof setInterval> | undefined;
  private toEdit = "";

  override connectedCallback(): void {
    super.connectedCallback();
    this.toEdit = escaped(pretty(this.question.args));
    this.edited = this.toEdit;
    this.clockwork = setInterval(() => { if (this.question.answer === undefined) this.requestUpdate(); }, 1_000);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.clockwork);
  }

  protected override render(): TemplateResult {
    return this.question.answer === undefined ? this.open() : this.closed();
  }

  private open(): TemplateResult {
    const { question } = this;
    const problems = this.problems();
    const hasArguments = Object.keys(question.args).length > 0;
    return html`<section class="question" aria-label=${words().question}>
      <header>${icon("hand")}<strong dir="auto">${marked(question.words)}</strong></header>
      ${question.description ? html`<p class="about" dir="auto">${marked(question.description)}</p>` : nothing}
      ${this.isEditing ? this.editor(problems) : hasArguments ? html`<myagent-folded class="args" .text=${marked(pretty(question.args))}></myagent-folded>` : nothing}
      ${this.isDeclining ? html`<label class="reason">${words().reason}<input type="text" maxlength="2000" @keydown=${this.reasonKey}></label>` : nothing}
      <div class="acts always">
        ${this.isDeclining ? nothing : html`<button type="button" class="main yes" ?disabled=${problems.length > 0} @click=${this.allow}>${words().yes}</button>`}
        <button type="button" class="no" @click=${this.decline}>${words().no}</button>
        ${this.isDeclining ? html`<button type="button" @click=${this.keepOpen}>${words().cancel}</button>` : nothing}
        ${this.isDeclining || !question.callKey ? nothing : html`<button type="button" class="change" aria-expanded=${Boolean(this.isEditing)} @click=${this.edit}>${words().changeArguments}</button>`}
        <span class="about" role="timer">${this.time()}</span>
      </div>
    </section>`;
  }

  private editor(problems: Misfit[]): TemplateResult {
    return html`<textarea class="json" spellcheck="false" dir="ltr" aria-label=${words().asJson} aria-invalid=${problems.length > 0} rows=${Math.min(14, this.edited.split("\n").length + 1)}
        .value=${this.edited} @input=${(event: InputEvent) => { this.edited = (event.target as HTMLTextAreaElement).value; }}></textarea>
      <div role="status"><ul class="bad problems">${problems.map(({ path, why }) => html`<li>${path ? `${path}${words().colon}${why}` : why}</li>`)}</ul></div>`;
  }

  private parsed(): Record<string, unknown> | null {
    try {
      const value: unknown = JSON.parse(this.edited);
      return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
    } catch { return null; }
  }

  private problems(): Misfit[] {
    if (!this.isEditing || this.edited === this.toEdit) return [];
    const args = this.parsed();
    return args ? misfits(args, this.schema, words().schema) : [{ path: "", why: words().notJson }];
  }

  private time(): string {
    const { at, timeoutSeconds } = this.question;
    const waited = Date.now() - new Date(at).getTime();
    return timeoutSeconds === null ? words().waitsSince(spoken(waited)) : words().waitsUntil(spoken(timeoutSeconds * 1_000 - waited));
  }

  private closed(): TemplateResult {
    const { answer, isUnsent, callKey } = this.question;
    const isKnown = this.turn.pieces.some((piece) => piece.kind === "call" && piece.key === callKey);
    const outcome = answer ? (answer.confirmed ? words().saidYes : words().saidNo) : words().noAnswer;
    return html`<p class="question answered ${isUnsent ? "unsent" : ""}">
      ${icon(answer?.confirmed ? "check" : "cross")} <span>${isKnown ? marked(this.question.tool) : marked(this.question.words)}${words().colon}${outcome}</span>
      ${answer?.reason ? html`<span class="about" dir="auto">${words().yourReason}${words().colon}${answer.reason}</span>` : nothing}
      ${isUnsent ? html`<span class="about">${words().sending}</span>` : nothing}
    </p>`;
  }

  private readonly edit = (): void => {
    this.isEditing = !this.isEditing;
    this.edited = this.toEdit;
    if (this.isEditing) void this.updateComplete.then(() => this.find("textarea")?.focus());
  };

  private readonly allow = (): void => {
    const isChanged = Boolean(this.isEditing) && this.edited !== this.toEdit;
    this.give({ confirmed: true, args: isChanged ? this.parsed() : null, reason: "" });
  };

  /** The first no asks for a reason, which may stay empty; the second one is the answer. */
  private readonly decline = (): void => {
    if (this.isDeclining) { this.give({ confirmed: false, args: null, reason: this.find<HTMLInputElement>(".reason input")?.value.trim() ?? "" }); return; }
    this.isDeclining = true;
    this.isEditing = false;
    void this.updateComplete.then(() => this.find(".reason input")?.focus());
  };

  private readonly keepOpen = (): void => {
    this.isDeclining = false;
    void this.updateComplete.then(() => this.find(".no")?.focus());
  };

  private readonly reasonKey = (press: KeyboardEvent): void => {
    if (press.key === "Enter" && !press.isComposing && press.keyCode !== 229) { press.preventDefault(); this.decline(); }
    if (press.key === "Escape") { press.stopPropagation(); this.keepOpen(); }
  };

  private give(given: Answered["given"]): void {
    this.tell<Answered>("answered", { turn: this.turn, question: this.question, given });
  }
}
defined("myagent-question")(QuestionView);
