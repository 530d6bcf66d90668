/** A menu that opens at its button, above everything, and is used by pointer and keyboard. */

import { html, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { icon, type Icon } from "./icons.ts";
import { defined, Part } from "./part.ts";

export interface Choice {
  label: string;
  icon?: Icon;
  isBad?: boolean;
  /** One of several of which one is chosen, or, with `isAlone`, something that is on or off. */
  isChecked?: boolean;
  isAlone?: boolean;
  /** Only words above those that follow. */
  isCaption?: boolean;
  /** A page to go to, instead of something to do. */
  href?: string;
  does?: () => void;
}

export class Menu extends Part {
  @property() declare label: string;
  @property() declare name: Icon;
  @property({ attribute: false }) declare choices: Choice[];
  /** Words beside the icon. */
  @property() declare caption: string;

  protected override render(): TemplateResult {
    return html`<button type="button" class="plain opener" aria-haspopup="menu" aria-label=${this.label} title=${this.label} @click=${this.open}>${icon(this.name ?? "dots")}${this.caption ? html`<span>${this.caption}</span>` : ""}</button>
      <div class="menu" popover role="menu" aria-label=${this.label} @keydown=${this.pressed}>${(this.choices ?? []).map((choice, _at, all) => this.choice(choice, all.some(({ isChecked }) => isChecked !== undefined)))}</div>`;
  }

  /** `isAmongChecked`: where some have room for a check, all have it. */
  private choice(choice: Choice, isAmongChecked: boolean): TemplateResult {
    if (choice.isCaption) return html`<div class="caption" role="presentation">${choice.label}</div>`;
    const inside = html`${choice.isChecked ? icon("check") : choice.icon ? icon(choice.icon) : isAmongChecked ? html`<span class="icon"></span>` : ""}<span>${choice.label}</span>`;
    if (choice.href) return html`<a role="menuitem" href=${choice.href} tabindex="-1">${inside}</a>`;
    const role = choice.isChecked === undefined ? "menuitem" : choice.isAlone ? "menuitemcheckbox" : "menuitemradio";
    return html`<button type="button" role=${role} aria-checked=${choice.isChecked ?? nothing} tabindex="-1" class=${choice.isBad ? "bad" : ""} @click=${() => { this.close(); choice.does?.(); }}>${inside}</button>`;
  }

  private get box(): HTMLElement { return this.find(".menu")!; }
  private get opener(): HTMLElement { return this.find(".opener")!; }
  private get items(): HTMLElement[] { return [...this.box.querySelectorAll<HTMLElement>("[role^=menuitem]")]; }

  private readonly open = (): void => {
    const { box } = this;
    box.showPopover();
    const at = this.opener.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = box;
    const isBelow = at.bottom + height + 8 < innerHeight || at.top < height;
    box.style.left = `${Math.max(8, Math.min(at.right - width, innerWidth - width - 8))}px`;
    box.style.top = `${isBelow ? at.bottom + 4 : at.top - height - 4}px`;
    this.items[0]?.focus();
  };

  private close(): void {
    this.box.hidePopover();
    this.opener.focus();
  }

  private readonly pressed = (press: KeyboardEvent): void => {
    const { items } = this;
    const root = this.getRootNode() as Document | ShadowRoot;
    const at = items.indexOf(root.activeElement as HTMLElement);
    const goal = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[press.key];
    if (press.key === "Escape" || press.key === "Tab") { press.stopPropagation(); press.preventDefault(); this.close(); }
    if (goal === undefined) return;
    press.preventDefault();
    items[goal % items.length]?.focus();
  };
}
defined("myagent-menu")(Menu);
