/** Whether arguments fit the JSON schema of a tool, as far as a form can tell. The server checks them again, wholly. */

import type { Schema } from "./agents.ts";
import type { Words } from "../words/en.ts";

export interface Misfit { path: string; why: string }

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" && Number.isInteger(value) ? "integer" : typeof value;
}

export function misfits(value: unknown, schema: Schema | undefined, words: Words["schema"], path = ""): Misfit[] {
  if (!schema) return [];
  const at = path || "{}";
  const types = typeof schema.type === "string" ? [schema.type] : schema.type;
  const found = typeOf(value);
  if (types && !types.includes(found) && !(found === "integer" && types.includes("number"))) return [{ path: at, why: words.type(types.join(" / ")) }];
  if (schema.enum && !schema.enum.some((choice) => JSON.stringify(choice) === JSON.stringify(value))) {
    return [{ path: at, why: words.choice(schema.enum.map((choice) => JSON.stringify(choice)).join(", ")) }];
  }
  if (found === "array") return (value as unknown[]).flatMap((item, index) => misfits(item, schema.items, words, `${path}[${index}]`));
  return found === "object" ? ofObject(value as Record<string, unknown>, schema, words, path) : [];
}

function ofObject(value: Record<string, unknown>, schema: Schema, words: Words["schema"], path: string): Misfit[] {
  const named = (name: string): string => (path ? `${path}.${name}` : name);
  const missing = (schema.required ?? []).filter((name) => !Object.hasOwn(value, name));
  const known = schema.properties ?? {};
  return [
    ...missing.map((name) => ({ path: named(name), why: words.missing })),
    ...Object.entries(value).flatMap(([name, item]) => {
      if (Object.hasOwn(known, name)) return misfits(item, known[name], words, named(name));
      return schema.properties && schema.additionalProperties === false ? [{ path: named(name), why: words.unknown }] : [];
    }),
  ];
}
