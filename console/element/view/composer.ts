/** Where one writes: words, files, send and stop. What was begun is kept for each conversation. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { Attachments } from "../model/attachments.ts";
import type { Chat } from "../model/chat.ts";
import type { Edit } from "../model/drafts.ts";
import { wordsOf, type Content, type Part as ContentPart } from "../model/frame.ts";
import type { Attached } from "../model/files.ts";
import type { OpenSession } from "../model/open_session.ts";
import type { Said } from "../model/turn.ts";
import { words } from "../words/words.ts";
import { size } from "../words/times.ts";
import { icon } from "./icons.ts";
import { defined, Part } from "./part.ts";
import "./menu.ts";

const NEW = "new";
/** More of a draft is not kept: a storage has some MiB for all of them. */
const LONGEST_DRAFT = 100_000;

export class Composer extends Part {
  @property({ attribute: false }) declare chat: Chat;
  @property({ type: Number }) declare version: number;
  @state() declare isSending: boolean;
  /** The message that is written anew. */
  @state() declare edited: Said | null;
  /** Its pictures and files, which stay. */
  @state() declare kept: ContentPart[];
  private begun: Edit | null = null;
  private readonly chosenFiles = new Attachments(() => this.requestUpdate());
  private key = "";
  private session: OpenSession | null = null;
  private hasWords = false;

  constructor() {
    super();
    this.edited = null;
    this.kept = [];
  }

  protected override render(): TemplateResult {
    const { conversation, isStopping } = this.chat.shown;
    const isActive = conversation.active.size > 0;
    if (conversation.isClosed) return html`<p class="closed about">${words().closed}</p>`;
    const agent = this.chat.agent?.title ?? "";
    const { files, trouble, isKept } = this.chosenFiles;
    return html`<form class="composer" @submit=${this.submit}>
      ${this.edited ? html`<p class="editing about">${icon("edit")} <span>${words().editing}</span><button type="button" class="plain link" @click=${this.leaveEditing}>${words().cancel}</button></p>` : nothing}
      ${files.length || this.kept.length ? html`<ul class="files">${this.kept.map((part) => this.keptPart(part))}${files.map((attached) => this.file(attached))}</ul>` : nothing}
      ${isKept ? nothing : html`<p class="about not-kept" role="status">${words().filesNotKept}</p>`}
      ${trouble ? html`<p class="bad trouble" role="alert">${trouble}</p>` : nothing}
      <textarea rows="1" dir="auto" enterkeyhint="send" aria-label=${agent ? words().sayTo(agent) : words().say} placeholder=${agent ? words().sayTo(agent) : words().say} title=${words().keys}
        @input=${this.typed} @keydown=${this.pressed} @paste=${this.pasted}></textarea>
      <div class="row">
        <input type="file" multiple hidden @change=${this.chosen}>
        <button type="button" class="plain attach" aria-label=${words().attach} title=${words().attach} @click=${() => this.find<HTMLInputElement>("input[type=file]")?.click()}>${icon("clip")}</button>
        <span class="grow about">${isActive && this.hasWords ? this.hint : ""}</span>
        ${isActive ? this.way() : nothing}
        ${isActive ? html`<button type="button" class="stop" ?disabled=${isStopping} aria-label=${isStopping ? words().stopping : words().stop} title="${words().stop} (Esc)" @click=${() => this.tell("stop")}>${icon("stop")}<span>${isStopping ? words().stopping : words().stop}</span></button>` : nothing}
        <button class="main send" aria-label=${words().send} title=${words().send} ?disabled=${this.isSending || (!this.hasWords && !files.length && !this.kept.length)}>${icon("send")}</button>
      </div>
    </form>`;
  }

  /** How what is said now goes to a run that is going: chosen where its agent leaves that open. */
  private way(): TemplateResult | typeof nothing {
    const { agent, whenBusy } = this.chat;
    if (!agent || agent.when_busy.length < 2) return nothing;
    const way = whenBusy.of(agent);
    const named = (name: string): string => words().ways[name]?.[0] ?? name;
    const choices = agent.when_busy.map((name) => ({
      label: named(name), isChecked: name === way, does: () => { whenBusy.choose(agent, name); this.requestUpdate(); },
    }));
    return html`<myagent-menu class="way" .name=${"chevron"} .label="${words().whenBusy}${words().colon}${named(way)}" .caption=${named(way)} .choices=${[{ label: words().whenBusy, isCaption: true }, ...choices]}></myagent-menu>`;
  }

  private get hint(): string {
    const way = this.chat.whenBusy.of(this.chat.agent);
    return way ? (words().ways[way]?.[1] ?? "") : words().queueHint;
  }

  private keptPart(part: ContentPart): TemplateResult {
    const told = part.type === "file" ? part.file : part.image_url;
    const name = (typeof told === "object" && told.name) || words().pictureSent;
    return html`<li>${icon("file")}<span class="name" dir="auto">${name}</span><span class="about">${typeof told === "object" && told.size ? size(told.size) : ""}</span>
      <button type="button" class="plain" aria-label=${words().removeFile(name)} @click=${() => { this.kept = this.kept.filter((other) => other !== part); this.area?.focus(); }}>${icon("cross")}</button>
    </li>`;
  }

  private file(attached: Attached): TemplateResult {
    const { file, preview, percent, error } = attached;
    return html`<li class=${error ? "bad" : ""} title=${error}>
      ${preview ? html`<img src=${preview} alt="">` : icon("file")}
      <span class="name" dir="auto">${file.name}</span><span class="about">${percent === null ? size(file.size) : words().uploading(percent)}</span>
      ${percent === null ? nothing : html`<progress max="100" .value=${percent} aria-label=${file.name}></progress>`}
      <button type="button" class="plain" aria-label=${words().removeFile(file.name)} ?disabled=${this.isSending} @click=${() => this.drop(attached)}>${icon("cross")}</button>
    </li>`;
  }

  private get area(): HTMLTextAreaElement | null { return this.find("textarea"); }

  protected override updated(_changed: PropertyValues): void {
    const { shown } = this.chat;
    const key = shown.id || NEW;
    if (key === this.key && shown === this.session) { this.resumeEditing(); return; }
    // The conversation that just got its id keeps what is being written in it.
    const isSame = shown === this.session;
    const before = this.key;
    this.key = key;
    this.session = shown;
    if (isSame) {
      this.chat.drafts.set(before, "");
      this.keep();
      this.chosenFiles.move(key);
      return;
    }
    this.edited = null;
    this.kept = [];
    this.chosenFiles.show(this.chat, key);
    this.write(this.chat.drafts.get(key));
    this.begun = this.chat.drafts.edit(key);
    this.resumeEditing();
  }

  /** An edit that was begun before the page was loaded again, or that came back, as soon as its message is there. */
  private resumeEditing(): void {
    const { begun } = this;
    const said = begun && this.chat.shown.conversation.items.find((item) => item.kind === "said" && item.id === begun.id);
    if (!begun || said?.kind !== "said") return;
    this.begun = null;
    this.edit(said, begun.text);
  }

  /** Puts words there, to be changed or said. */
  write(text: string, takesFocus = false): void {
    const { area } = this;
    if (!area) return;
    area.value = text;
    this.grow();
    if (takesFocus) { area.focus(); area.setSelectionRange(text.length, text.length); }
  }

  edit(said: Said, text = wordsOf(said.content)): void {
    this.edited = said;
    this.kept = partsOf(said.content);
    this.write(text, true);
    this.keep();
  }

  private readonly leaveEditing = (): void => {
    this.chat.drafts.setEdit(this.key, null);
    this.edited = null;
    this.kept = [];
    // What was being written before that is still there.
    this.write(this.chat.drafts.get(this.key), true);
  };

  private readonly typed = (): void => { this.grow(); this.keep(); };

  private keep(): void {
    const text = (this.area?.value ?? "").slice(0, LONGEST_DRAFT);
    if (this.edited) this.chat.drafts.setEdit(this.key, { id: this.edited.id, text });
    else this.chat.drafts.set(this.key, text);
  }

  private grow(): void {
    const { area } = this;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
    const hasWords = area.value.trim() !== "";
    if (hasWords !== this.hasWords) { this.hasWords = hasWords; this.requestUpdate(); }
  }

  private readonly pressed = (press: KeyboardEvent): void => {
    // While an input method composes, keys belong to it.
    if (press.isComposing || press.keyCode === 229) return;
    if (press.key === "Enter" && !press.shiftKey) {
      press.preventDefault();
      this.find<HTMLFormElement>("form")?.requestSubmit();
    } else if (press.key === "ArrowUp" && !this.area?.value && !press.shiftKey) {
      const last = this.chat.shown.conversation.lastSaid;
      if (last) { press.preventDefault(); this.bringBack(last); }
    } else if (press.key === "Escape" && this.edited) {
      press.stopPropagation();
      this.leaveEditing();
    }
  };

  /** The last message once more, with its pictures and files. */
  private bringBack({ content }: Said): void {
    if (!this.edited) this.kept = partsOf(content);
    this.write(wordsOf(content), true);
    this.keep();
  }

  /** A message that was taken back, unless something else is being written. */
  takeBack(said: Said): void {
    if (this.edited || this.kept.length || this.chosenFiles.files.length || this.area?.value) return;
    this.bringBack(said);
  }

  private readonly pasted = (paste: ClipboardEvent): void => {
    const files = [...(paste.clipboardData?.files ?? [])];
    if (files.length) { paste.preventDefault(); this.take(files); }
  };

  private readonly chosen = (event: Event): void => {
    const input = event.target as HTMLInputElement;
    this.take([...(input.files ?? [])]);
    input.value = "";
  };

  /** Takes files beside those that are there. */
  take(files: File[]): void {
    this.chosenFiles.take(files);
    this.area?.focus();
  }

  private drop(attached: Attached): void {
    this.chosenFiles.drop(attached);
    this.area?.focus();
  }

  private readonly submit = (submit: SubmitEvent): void => {
    submit.preventDefault();
    void this.send();
  };

  private async send(): Promise<void> {
    const before = this.chat.shown;
    await this.chosenFiles.ready;
    if (this.chat.shown !== before) return;
    const text = this.area?.value.trim() ?? "";
    const { chat, edited, kept } = this;
    const { files } = this.chosenFiles;
    if (this.isSending || (!text && !files.length && !kept.length)) return;
    const { shown } = chat;
    const parts = files.length ? await this.stored(shown) : [];
    if (parts === null) return;
    const content = parts.length || kept.length ? [...(text ? [{ type: "text", text }] : []), ...kept, ...parts] : text;
    const isStill = chat.shown === shown;
    const key = shown.id || NEW;
    if (!edited) chat.drafts.set(key, "");
    void chat.fileDrafts.set(key, []);
    if (isStill) {
      this.edited = null;
      this.kept = [];
      this.chosenFiles.clear();
      this.write(edited ? chat.drafts.get(key) : "");
    }
    if (edited && isStill) this.fork(edited, text, content, key);
    else if (!edited) chat.say(content, undefined, shown, shown.conversation.active.size ? chat.whenBusy.wanted(chat.agent) : "");
    this.tell("said");
  }

  private async stored(shown: OpenSession): Promise<ContentPart[] | null> {
    this.isSending = true;
    try { return await this.chosenFiles.parts(this.chat, shown); } finally { this.isSending = false; }
  }

  /** The new words are kept until there is a conversation that has them. */
  private fork(edited: Said, text: string, content: Content, key: string): void {
    const { drafts } = this.chat;
    drafts.setEdit(key, { id: edited.id, text: text.slice(0, LONGEST_DRAFT) });
    this.chat.asking.fork(edited.id, content, {
      done: () => drafts.setEdit(key, null),
      undone: () => { if (this.key === key) { this.begun = drafts.edit(key); this.requestUpdate(); } },
    });
  }

  /** The message with its files; null if one of them did not get there. */
}

/** The pictures and files of a message. */
const partsOf = (content: Content): ContentPart[] => (typeof content === "string" ? [] : content.filter((part) => part.type !== "text"));

defined("myagent-composer")(Composer);
