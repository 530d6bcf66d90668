/** `<myagent-markdown>`: a text that may still be written. Blocks that are finished are left alone. */

import { blocksOf, type Block, type Environment } from "./grammar.ts";
import { CodeBlock } from "./code_block.ts";
import { drawInTime } from "./draw_time.ts";
import { purified } from "./purified.ts";

/** Longer texts are shown as they were written: no answer of a model, and a parser that works for seconds helps nobody. */
const LONGEST = 400_000;
/** Drawing takes at most one part in so many of the time. */
const SHARE = 5;
/** So much of a text is drawn in one go; the page answers its reader before the next. */
const SLICE = 6_000;
/** Up to this length a finished text is read once more as a whole. */
const SHORT = 30_000;
/** What may change the blocks before it: definitions of links and notes, formulae of several lines. */
const REACHES_BACK = /^[ \t>*+\-\d.)]*(?:\[[^\]]{1,999}\]:|\$\$|\\\[)/m;

interface Drawn extends Block {
  nodes: ChildNode[];
  codeBlock: CodeBlock | null;
}

let count = 0;
type Typeset = typeof import("./typesetting.ts").typeset;
let typesetting: Promise<Typeset> | undefined;

export class MarkdownView extends HTMLElement {
  private wanted = "";
  private isFinal = false;
  private drawnText: string | null = null;
  private isDrawnFinal = false;
  private drawn: Drawn[] = [];
  private environment: Environment = {};
  private due = 0;
  private drawnAt = 0;
  private cost = 0;
  private wasLive = false;
  private readonly docId = `d${(count += 1)}`;

  set text(text: string) { this.wanted = text; this.plan(); }

  get text(): string { return this.wanted; }

  set finished(isFinal: boolean) { this.isFinal = isFinal; this.plan(); }

  get finished(): boolean { return this.isFinal; }

  connectedCallback(): void {
    this.addEventListener("click", this.follow);
    this.plan();
  }

  disconnectedCallback(): void { this.removeEventListener("click", this.follow); }

  /** However many pieces come before the next frame of the screen, they are drawn once. */
  private plan(): void {
    if (!this.isConnected || this.due) return;
    if (this.drawnText === null) { this.due = 1; queueMicrotask(() => this.begin()); return; }
    const wait = this.drawnAt + this.cost * SHARE - performance.now();
    if (wait > 16 || document.hidden) this.due = window.setTimeout(() => this.draw(), Math.max(wait, 50));
    else this.due = requestAnimationFrame(() => this.draw());
  }

  /** Many answers that are shown together come one after the other, and until then in plain words. */
  private begin(): void {
    if (!drawInTime(() => this.draw())) this.drawPlain(this.wanted);
  }

  private draw(): void {
    this.due = 0;
    if (this.drawnText === null) this.replaceChildren();
    const { wanted: text, isFinal } = this;
    if (text === this.drawnText && isFinal === this.isDrawnFinal) return;
    if (!isFinal) this.wasLive = true;
    const start = performance.now();
    const part = text.length > LONGEST ? text : this.nextPart(text);
    const isWhole = part === text;
    if (text.length > LONGEST) this.drawPlain(text);
    else this.drawBlocks(part, isFinal && isWhole);
    Object.assign(this, { drawnText: part, isDrawnFinal: isFinal && isWhole, drawnAt: performance.now(), cost: performance.now() - start });
    if (!isWhole) this.plan();
  }

  /** As much of a text as is drawn next: whole lines beyond what is there. */
  private nextPart(text: string): string {
    const begin = this.drawnText !== null && text.startsWith(this.drawnText) ? this.drawnText.length : 0;
    if (text.length - begin <= SLICE) return text;
    const end = text.indexOf("\n", begin + SLICE) + 1;
    return end ? text.slice(0, end) : text;
  }

  private drawPlain(text: string): void {
    const plain = document.createElement("p");
    plain.className = "plain";
    plain.textContent = text;
    this.drawn = [];
    this.replaceChildren(plain);
  }

  private drawBlocks(text: string, isFinal: boolean): void {
    // The last two: a line that begins may still turn out to belong to the block before.
    const isAppended = this.drawnText !== null && text.startsWith(this.drawnText) && (!isFinal || (text.length > SHORT && !REACHES_BACK.test(text)));
    const kept = isAppended ? Math.max(0, this.drawn.length - 2) : 0;
    const offset = kept ? this.drawn[kept]!.start : 0;
    const environment: Environment = kept ? { references: { ...this.environment.references } } : { docId: this.docId };
    const fresh = blocksOf(text.slice(offset), environment);
    this.environment = environment;
    const before = this.drawn.slice(kept);
    const isNew = (block: Block, at: number): boolean => !block.code && (Boolean(before[at]?.code) || before[at]?.html !== block.html);
    const whole = purified(fresh.filter(isNew).map((block) => block.html));
    this.refine(whole);
    const made = [...whole.children];
    fresh.forEach((block, at) => {
      block.start += offset;
      const nodes = isNew(block, at) ? [...made.shift()!.childNodes] : [];
      before[at] = this.drawBlock(block, nodes, before[at], isFinal || at < fresh.length - 1);
    });
    for (const gone of before.splice(fresh.length)) gone.nodes.forEach((node) => node.remove());
    const finishedBefore = this.finishedCount;
    this.drawn = [...this.drawn.slice(0, kept), ...before];
    this.finishedCount = isFinal ? this.drawn.length : Math.max(finishedBefore, this.drawn.length - 1);
    if (this.wasLive) this.tell(this.drawn.slice(finishedBefore, this.finishedCount));
  }

  private finishedCount = 0;

  /** Says each block that is finished, once, for those who hear the page. */
  private tell(blocks: Drawn[]): void {
    const words = blocks.map((block) => block.nodes.map((node) => node.textContent ?? "").join(" ").trim()).filter(Boolean);
    if (words.length) this.dispatchEvent(new CustomEvent("block-finished", { detail: words.join("\n"), bubbles: true }));
  }

  private drawBlock(block: Block, nodes: ChildNode[], old: Drawn | undefined, isFinished: boolean): Drawn {
    if (block.code) {
      const codeBlock = old?.codeBlock ?? new CodeBlock();
      codeBlock.show(block.code.text, block.code.language, isFinished);
      return this.put({ ...block, nodes: [codeBlock.node], codeBlock }, old);
    }
    if (old && !old.code && old.html === block.html) return { ...old, start: block.start };
    return this.put({ ...block, nodes, codeBlock: null }, old);
  }

  /** In the place of the old one. */
  private put(drawn: Drawn, old: Drawn | undefined): Drawn {
    if (old && old.codeBlock && old.codeBlock === drawn.codeBlock) return drawn;
    const [first] = old?.nodes ?? [];
    if (first) { first.before(...drawn.nodes); old!.nodes.forEach((node) => node.remove()); }
    else this.append(...drawn.nodes);
    return drawn;
  }

  /** Code, boxes and formulae of what is about to be shown. */
  private refine(node: DocumentFragment): void {
    for (const code of node.querySelectorAll("pre > code")) {
      const block = new CodeBlock();
      block.show((code.textContent ?? "").replace(/\n$/, ""), /language-(\S+)/.exec(code.className)?.[1] ?? "", true);
      code.parentElement!.replaceWith(block.node);
    }
    for (const box of node.querySelectorAll("input")) box.ariaLabel = box.closest("li")?.textContent?.trim() ?? "";
    const formulae = [...node.querySelectorAll(".formula")];
    if (!formulae.length) return;
    typesetting ??= import("./typesetting.ts").then((module) => module.typeset);
    void typesetting.then((typeset) => formulae.forEach(typeset));
  }

  /** Links to footnotes lead within this text; the fragment of the page's address is the conversation. */
  private readonly follow = (click: MouseEvent): void => {
    const link = (click.target as Element).closest?.("a");
    const id = link?.getAttribute("href");
    if (!id?.startsWith("#")) return;
    click.preventDefault();
    const goal = this.querySelector<HTMLElement>(`[id="${CSS.escape(id.slice(1))}"]`);
    if (!goal) return;
    goal.tabIndex = -1;
    goal.scrollIntoView({ block: "nearest" });
    goal.focus();
  };
}

if (!customElements.get("myagent-markdown")) customElements.define("myagent-markdown", MarkdownView);
