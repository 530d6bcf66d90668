// The client in TypeScript as a process: it does what lines on standard input say and tells on standard output what
// comes of it, and every event. Arguments: the built client, the folder whose node_modules has `ws`, the address.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [built, folder, url] = process.argv.slice(2);
const { Client } = await import(pathToFileURL(built));
const { WebSocket } = createRequire(`${folder}/`)("ws");

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const client = new Client({ url, WebSocket });
client.on("*", (frame) => tell({ frame }));
client.onLink(({ state, lost }) => tell({ link: state, code: lost?.code ?? null }));

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, args } = JSON.parse(line);
  Promise.resolve()
    .then(() => client[call](...args))
    .then((value) => tell({ id, value: value === client ? null : (value ?? null) }))
    .catch((error) => tell({ id, error: { name: error.name, code: error.code ?? null } }));
}
client.close();
