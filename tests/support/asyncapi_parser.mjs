// What AsyncAPI's own parser finds wrong with the document on standard input, as JSON; it also warns of what is old.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const { Parser } = createRequire(new URL("../../console/", import.meta.url))("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(await text(process.stdin));
const problems = diagnostics.map(({ code, message, path }) => `${path.join(".")}: ${message} (${code})`);
const messages = document?.messages().map((message) => message.id()) ?? [];
process.stdout.write(JSON.stringify({ problems, messages }));
