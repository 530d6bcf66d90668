import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { licenses } from "./licenses.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// Nothing that is built depends on when or where: the same sources and lock file give the same bytes, and
// `make console-check` compares them with those in the Python package.
export default defineConfig({
  root: here("."),
  // Chunks are found beside the file that asks for them, whatever path and host the files are served from.
  base: "./",
  publicDir: false,
  plugins: [licenses()],
  resolve: { alias: { "myagent-client": here("./client/src/index.ts") } },
  build: {
    outDir: here("../agents/static/console"),
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    // Pages of others load these files, too: what a chunk needs is imported by it, and no link is put into their head.
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rollupOptions: {
      input: { element: here("./element/index.ts"), page: here("./page/index.ts") },
      preserveEntrySignatures: "allow-extension",
      output: {
        entryFileNames: "[name].js",
        // Their names change with their bytes, so that a browser never mixes two releases.
        chunkFileNames: "chunks/[name]-[hash].js",
        assetFileNames: (asset) => (asset.names.some((name) => name.endsWith(".css")) ? "[name][extname]" : "assets/[name]-[hash][extname]"),
      },
    },
  },
  test: {
    environment: "node",
    include: ["client/**/*.test.ts", "element/**/*.test.ts", "page/**/*.test.ts"],
  },
});
