/** Where a phone lays its keyboard over the page instead of making the page smaller, so much of it is covered. */

export function followKeyboard(element: HTMLElement, signal: AbortSignal): void {
  const { visualViewport } = window;
  if (!visualViewport) return;
  const fit = (): void => {
    // Of a page that two fingers made larger one wants to see less.
    const covered = visualViewport.scale === 1 ? Math.max(0, innerHeight - visualViewport.height) : 0;
    element.style.setProperty("--covered", `${Math.round(covered)}px`);
    // The browser moved the page up to show where one writes; it fits now.
    if (covered && element.getAttribute("mode") === "page") scrollTo(0, 0);
  };
  visualViewport.addEventListener("resize", fit, { signal });
}
