import type { ViteUserConfig } from "vitest/config"

/** Whether `npm run test:slow` runs: properties and campaigns then take all of their inputs, here and in CI. */
export const isSlow = process.env["TIDINGS_TESTS"] === "slow"

/** Files that `npm test` runs with fewer inputs, and `npm run test:slow` with all of them. */
export const inBoth = (...files: ReadonlyArray<string>): ViteUserConfig =>
  isSlow ? { test: { include: [...files] } } : {}

/**
 * Resolves workspace packages to their TypeScript sources, so that tests never need a build.
 */
export const shared: ViteUserConfig = {
  ssr: {
    resolve: { conditions: ["@tidings/source", "module", "node", "development|production"] }
  },
  test: {
    // `npm run test:slow` runs the others: whole processes, compilers and large data, which take a second or more each.
    include: [isSlow ? "test/**/*.slow.ts" : "test/**/*.test.ts"],
    // Bounds what hangs; generous, because a busy machine is no reason to fail.
    testTimeout: isSlow ? 120_000 : 30_000,
    hookTimeout: 30_000
  }
}
