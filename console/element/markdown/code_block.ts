/** Code with the name of its language, colours, and buttons to wrap its lines and to copy it. */

import { copyText } from "../view/copying.ts";
import { words } from "../words/words.ts";

type Highlighted = typeof import("./highlighting.ts").highlighted;
let loading: Promise<Highlighted> | undefined;
const load = (): Promise<Highlighted> => (loading ??= import("./highlighting.ts").then((module) => module.highlighted));

/** One block after the other: many that come together would keep the page from answering. */
let turn: Promise<void> = Promise.resolve();
const PAUSE_MS = 10;
function inTurn(does: () => Promise<void>): void {
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  turn = turn.then(does).catch((error: unknown) => console.info("Code stays without colours:", error)).then(pause);
}

export class CodeBlock {
  readonly node = document.createElement("div");
  private readonly pre = document.createElement("pre");
  private readonly code = document.createElement("code");
  private readonly name = document.createElement("span");
  private text = "";
  private language = "";
  private isColoured = false;

  constructor() {
    this.node.className = "code";
    this.node.dir = "ltr";
    const bar = document.createElement("div");
    bar.className = "code-bar";
    const wrap = this.button(words().wrap, () => {
      const isWrapped = this.node.classList.toggle("wrapped");
      wrap.setAttribute("aria-pressed", String(isWrapped));
    });
    wrap.setAttribute("aria-pressed", "false");
    const copy = this.button(words().copy, () => {
      void copyText(this.text).then((isCopied) => {
        copy.textContent = isCopied ? words().copied : words().copyFailed;
        setTimeout(() => { copy.textContent = words().copy; }, 2_000);
      });
    });
    bar.append(this.name, wrap, copy);
    this.pre.tabIndex = 0;
    this.pre.append(this.code);
    this.node.append(bar, this.pre);
  }

  private button(label: string, act: () => void): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", act);
    return button;
  }

  show(text: string, language: string, isFinished: boolean): void {
    if (text !== this.text || language !== this.language) {
      // Only what is new is added while it is written, so that what is selected stays.
      const last = this.code.lastChild;
      if (!this.isColoured && last instanceof Text && text.startsWith(this.text)) last.appendData(text.slice(this.text.length));
      else this.code.textContent = text;
      Object.assign(this, { text, language, isColoured: false });
      this.name.textContent = language;
      this.pre.setAttribute("aria-label", words().codeIn(language));
    }
    if (!isFinished || this.isColoured || !language) return;
    this.isColoured = true;
    inTurn(() => this.colour());
  }

  private async colour(): Promise<void> {
    const { text, language } = this;
    const nodes = (await load())(text, language.toLowerCase());
    if (nodes && text === this.text) this.code.replaceChildren(nodes);
  }
}
