/** Hands the focus on when what has it goes away: a question is answered, a row deleted, a note ends by itself. */

/** Whether who points here types on keys: on a phone a text field with the focus opens a keyboard over half the page. */
export const hasKeys = (): boolean => matchMedia("(pointer: fine)").matches;

/** The focus to where one writes, or beside it where that would open a keyboard. */
export function goHome(root: ShadowRoot): void {
  const home = (hasKeys() && root.querySelector<HTMLElement>(".composer textarea")) || root.querySelector<HTMLElement>("main, .bubble-button");
  if (home?.localName === "main") {
    // For now only: whoever clicks on a text wants to scroll it, not to be here.
    home.tabIndex = -1;
    home.addEventListener("blur", () => home.removeAttribute("tabindex"), { once: true });
  }
  home?.focus({ preventScroll: true });
}

export class FocusKeeper {
  private last: Element | null = null;

  constructor(private readonly root: ShadowRoot, private readonly handOn: () => void, signal: AbortSignal) {
    root.addEventListener("focusin", (event) => { this.last = event.target as Element; }, { signal });
    root.addEventListener("focusout", (event) => {
      if ((event as FocusEvent).relatedTarget) return;
      const left = this.last;
      // Who clicks beside everything means it. What is taken away is gone when this task ends, and was seen by then.
      setTimeout(() => { if (this.last === left && left && !isGone(left)) this.last = null; });
    }, { signal });
    const observer = new MutationObserver(() => this.look());
    observer.observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ["disabled"] });
    signal.addEventListener("abort", () => observer.disconnect());
  }

  private look(): void {
    if (!this.last || !isGone(this.last)) return;
    this.last = null;
    // What is drawn instead is there when this task ends.
    setTimeout(() => { if (!this.isSomewhere()) this.handOn(); });
  }

  private isSomewhere(): boolean {
    const { activeElement } = document;
    if (activeElement === this.root.host) return this.root.activeElement !== null && !isGone(this.root.activeElement);
    return activeElement !== null && activeElement !== document.body;
  }
}

const isGone = (element: Element): boolean => !element.isConnected || element.matches(":disabled");
