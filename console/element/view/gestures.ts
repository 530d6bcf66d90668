/** What is done with keys everywhere on the page, and with files that are dragged over it. */

/** What a key means, wherever one is. */
export function shortcut(press: KeyboardEvent): "stop" | "search" | "fresh" | null {
  // While an input method composes, keys belong to it; some browsers say so by the code alone.
  if (press.isComposing || press.keyCode === 229 || press.defaultPrevented) return null;
  if (press.key === "Escape") return "stop";
  if (!press.ctrlKey && !press.metaKey) return null;
  const key = press.key.toLowerCase();
  if (key === "k" && !press.shiftKey) return "search";
  return key === "o" && press.shiftKey ? "fresh" : null;
}

export class Dropping {
  constructor(private readonly shows: (isOver: boolean) => void, private readonly takes: (files: File[]) => void) {}

  readonly over = (drag: DragEvent): void => {
    if (!drag.dataTransfer?.types.includes("Files")) return;
    drag.preventDefault();
    this.shows(true);
  };

  readonly left = (drag: DragEvent): void => {
    if (!(drag.currentTarget as Element).contains(drag.relatedTarget as Node | null)) this.shows(false);
  };

  readonly dropped = (drop: DragEvent): void => {
    if (!drop.dataTransfer?.files.length) return;
    drop.preventDefault();
    this.shows(false);
    this.takes([...drop.dataTransfer.files]);
  };
}
