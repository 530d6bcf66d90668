/** Where the focus goes. */

/** Whether who points here types on keys: on a phone a text field with the focus opens a keyboard over half the page. */
export const hasKeys = (): boolean => matchMedia("(pointer: fine)").matches;

/** The focus inside an element: nobody is left without a place when what had it is gone, or is switched off. */
export class Focus {
  private last: Element | null = null;

  constructor(private readonly root: () => ShadowRoot) {}

  readonly moved = (event: FocusEvent): void => { this.last = event.composedPath()[0] as Element; };

  /** Looks after the next frame, when what goes is gone. */
  rescue(): void { requestAnimationFrame(() => this.rescueNow()); }

  private rescueNow(): void {
    const { last } = this;
    if (!last || (last.isConnected && !last.matches(":disabled, [inert] *"))) return;
    this.last = null;
    if (!this.root().activeElement) this.goHome();
  }

  /** To where one writes, or beside it where that would open a keyboard. */
  goHome(): void {
    const root = this.root();
    const home = (hasKeys() && root.querySelector<HTMLElement>(".composer textarea")) || root.querySelector<HTMLElement>("main, .bubble-button");
    if (home?.localName === "main") {
      // For now only: whoever clicks on a text wants to scroll it, not to be here.
      home.tabIndex = -1;
      home.addEventListener("blur", () => home.removeAttribute("tabindex"), { once: true });
    }
    home?.focus({ preventScroll: true });
  }
}
