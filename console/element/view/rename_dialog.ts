/** Asks for the new title of a conversation. */

import { html, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { words } from "../words/words.ts";
import { defined, Part } from "./part.ts";

export interface Renamed { id: string; title: string }

export class RenameDialog extends Part {
  @property({ attribute: false }) declare subject: Renamed | null;

  protected override render(): TemplateResult {
    return html`<dialog class="rename" aria-label=${words().renameTitle}>
      <form method="dialog" @submit=${this.save}>
        <label>${words().newTitle}<input name="title" maxlength="200" dir="auto" required></label>
        <div class="acts always"><button class="main">${words().save}</button><button type="button" @click=${() => this.dialog.close()}>${words().cancel}</button></div>
      </form>
    </dialog>`;
  }

  private get dialog(): HTMLDialogElement { return this.find("dialog")!; }

  open(subject: Renamed): void {
    this.subject = subject;
    const input = this.find<HTMLInputElement>("input")!;
    input.value = subject.title;
    this.dialog.showModal();
    input.select();
  }

  private readonly save = (): void => {
    const title = this.find<HTMLInputElement>("input")!.value.trim();
    if (title && this.subject) this.tell<Renamed>("renamed", { id: this.subject.id, title });
  };
}
defined("myagent-rename-dialog")(RenameDialog);
