/** What is said to who hears the page: the newest lines of a live region. */

const MOST = 20;

export function announce(live: Element | null, said: string): void {
  if (!live) return;
  const line = document.createElement("p");
  line.textContent = said;
  live.append(line);
  while (live.childElementCount > MOST) live.firstElementChild?.remove();
}
