// What the drivers of clients share: lines on standard input say which method to call, lines on standard output tell
// what it returned, and whatever else there is to tell.
import { createInterface } from "node:readline";

export const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// Does what the lines say until they end; `failed` makes what is told of an error: its words, and its status.
export const obey = async (calls, failed) => {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, call, args } = JSON.parse(line);
    Promise.resolve()
      .then(() => calls[call](...args))
      .then((value) => tell({ id, value: value === calls ? null : (value ?? null) }))
      .catch((error) => tell({ id, error: failed(error) }));
  }
};

// A `fetch` whose next answers break after so many bytes in all, as lost connections do, with the error that `lost` makes.
export const cuttable = (lost) => {
  let room = Infinity;
  const cut = (body) => {
    const reader = body.getReader();
    const pull = async (controller) => {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      controller.enqueue(value.slice(0, room));
      room -= value.length;
      if (room > 0) return undefined;
      await reader.cancel();
      return controller.error(lost());
    };
    return new ReadableStream({ pull, cancel: (reason) => reader.cancel(reason) }, { highWaterMark: 0 });
  };
  const request = async (address, init) => {
    const answer = await fetch(address, init);
    if (!answer.ok || answer.body === null) return answer;
    return new Response(cut(answer.body), { status: answer.status, headers: answer.headers });
  };
  const cutAfter = async (bytes) => {
    room = bytes ?? Infinity;
  };
  return { request, cutAfter };
};
