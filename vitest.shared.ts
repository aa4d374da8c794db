import type { ViteUserConfig } from "vitest/config"

/**
 * Resolves workspace packages to their TypeScript sources, so that tests never need a build.
 */
export const shared: ViteUserConfig = {
  ssr: {
    resolve: { conditions: ["@tidings/source", "module", "node", "development|production"] }
  },
  test: {
    // `npm run test:slow` runs the others: whole processes, compilers and large data, which take a second or more each.
    include: [process.env["TIDINGS_TESTS"] === "slow" ? "test/**/*.slow.ts" : "test/**/*.test.ts"],
    // Bounds what hangs; generous, because a busy machine is no reason to fail.
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
}
