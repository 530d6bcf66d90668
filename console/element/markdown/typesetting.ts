/** Formulae as MathML, which every current browser draws with its own fonts; loaded when the first one comes. */

import katex from "katex";

export function typeset(node: Element): void {
  const tex = node.textContent ?? "";
  // Nodes are built, no markup: \href and the like are not trusted, and what cannot be read stays as it was written.
  katex.render(tex, node as HTMLElement, {
    displayMode: node.classList.contains("display"), output: "mathml", throwOnError: false, trust: false, strict: "ignore", maxExpand: 200, maxSize: 20,
  });
}
