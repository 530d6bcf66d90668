/** What is asked of who is not let in: a login, a token, or another address. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import type { Server } from "../model/server.ts";
import { words } from "../words/words.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";

export interface Entry { address: string; token: string }

export class Door extends Part {
  @property({ attribute: false }) declare server: Server;
  @property() declare reason: string;
  @property() declare login: string;
  @property({ type: Boolean }) declare canMove: boolean;
  @state() declare address: string;

  protected override render(): TemplateResult {
    const { reason = "", server } = this;
    return html`<dialog class="door" aria-label=${words().door} @cancel=${() => this.tell("door-closed")}>
      <form method="dialog" @submit=${this.enter}>
        <header><strong>${words().door}</strong><button type="button" class="plain" aria-label=${words().close} @click=${this.shut}>${icon("cross")}</button></header>
        ${reason ? html`<p class="reason">${words().refusals[reason] ?? reason}</p>` : nothing}
        ${this.login ? html`<a class="main login" href=${this.login} autofocus>${words().login}</a>` : nothing}
        ${this.canMove ? html`<label>${words().address}<input name="address" inputmode="url" autocapitalize="off" spellcheck="false" .value=${this.address ?? server.socketBase}></label>` : nothing}
        <label>${words().token}<input name="token" type="password" ?autofocus=${!this.login} autocomplete="off" .value=${server.token}></label>
        <button class=${this.login ? "" : "main"}>${words().connect}</button>
      </form>
    </dialog>`;
  }

  private get dialog(): HTMLDialogElement { return this.find("dialog")!; }

  protected override updated(_changed: PropertyValues): void {
    if (!this.dialog.open) this.dialog.showModal();
  }

  private readonly shut = (): void => { this.dialog.close(); this.tell("door-closed"); };

  private readonly enter = (submit: SubmitEvent): void => {
    submit.preventDefault();
    const form = new FormData(submit.target as HTMLFormElement);
    const [address, token] = ["address", "token"].map((name) => String(form.get(name) ?? "").trim());
    this.address = address ?? "";
    this.tell<Entry>("entered", { address: address ?? "", token: token ?? "" });
  };
}
defined("myagent-door")(Door);
