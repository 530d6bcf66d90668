/** What the page around an element is told: `myagent-session` and `myagent-event`, which leave the element's own tree. */

export function hostEvent(element: HTMLElement, name: "session" | "event", detail: unknown): void {
  element.dispatchEvent(new CustomEvent(`myagent-${name}`, { detail, bubbles: true, composed: true }));
}
