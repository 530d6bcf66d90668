/** A part of the page: it stands in the element's own tree, so that one style sheet is for all. */

import { LitElement } from "lit";

export class Part extends LitElement {
  protected override createRenderRoot(): HTMLElement { return this; }

  protected tell<Detail>(name: string, detail?: Detail): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }

  protected find<Found extends HTMLElement>(selector: string): Found | null { return this.querySelector<Found>(selector); }
}

/** Defines an element, unless another copy of this file did. */
export const defined = (name: string) => (made: CustomElementConstructor): void => {
  if (!customElements.get(name)) customElements.define(name, made);
};
