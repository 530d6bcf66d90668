/** How long the page draws answers without a break: meanwhile it does nothing else that its reader wants. */

const MOST_MS = 5;

let spent = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
const waiting: (() => void)[] = [];

/** Draws at once; false where there is no time left: then it is drawn soon, what was asked for last coming first. */
export function drawInTime(draw: () => void): boolean {
  timer ??= setTimeout(goOn);
  if (spent >= MOST_MS) { waiting.push(draw); return false; }
  take(draw);
  return true;
}

function take(draw: () => void): void {
  const start = performance.now();
  draw();
  spent += performance.now() - start;
}

function goOn(): void {
  timer = undefined;
  spent = 0;
  while (spent < MOST_MS && waiting.length) take(waiting.pop()!);
  if (waiting.length) timer ??= setTimeout(goOn);
}
