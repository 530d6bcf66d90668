/** A thumb for an answer, and a word about why. */

import { html, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import type { Turn } from "../model/turn.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";

export interface Rated { turn: Turn; rating: "up" | "down" | null; comment: string }

export class Feedback extends Part {
  @property({ attribute: false }) declare turn: Turn;
  @property({ type: Number }) declare version: number;
  @state() declare isAsking: boolean;

  protected override render(): TemplateResult {
    const { comment } = this.turn;
    return html`${this.thumb("up", words().good)}${this.thumb("down", words().bad)}
      ${this.isAsking ? html`<form class="comment" @submit=${this.comment}>
        <input type="text" maxlength="2000" placeholder=${words().comment} aria-label=${words().comment} .value=${this.turn.comment} @keydown=${this.key}>
        <button>${words().commentSave}</button>
      </form>` : comment ? html`<button type="button" class="plain commented" dir="auto" title=${words().comment} @click=${() => this.ask()}>${comment}</button>` : nothing}`;
  }

  private thumb(rating: "up" | "down", label: string): TemplateResult {
    const isGiven = this.turn.rating === rating;
    return html`<button type="button" class="plain thumb ${rating}" aria-label=${label} title=${label} aria-pressed=${isGiven} @click=${() => this.rate(rating, isGiven)}>${icon(rating)}</button>`;
  }

  private rate(rating: "up" | "down", isGiven: boolean): void {
    this.tell<Rated>("rated", { turn: this.turn, rating: isGiven ? null : rating, comment: "" });
    if (isGiven) this.isAsking = false;
    else this.ask();
  }

  private ask(): void {
    this.isAsking = true;
    void this.updateComplete.then(() => this.find("input")?.focus({ preventScroll: true }));
  }

  private readonly comment = (submit: SubmitEvent): void => {
    submit.preventDefault();
    const comment = this.find<HTMLInputElement>("input")?.value.trim() ?? "";
    this.isAsking = false;
    if (comment !== this.turn.comment) this.tell<Rated>("rated", { turn: this.turn, rating: this.turn.rating, comment });
    this.find<HTMLElement>(".thumb[aria-pressed=true]")?.focus();
  };

  private readonly key = (press: KeyboardEvent): void => {
    if (press.key !== "Escape") return;
    press.stopPropagation();
    this.isAsking = false;
    this.find<HTMLElement>(".thumb[aria-pressed=true]")?.focus();
  };
}
defined("myagent-feedback")(Feedback);
