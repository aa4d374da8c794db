import type { ViteUserConfig } from "vitest/config"

/**
 * Resolves workspace packages to their TypeScript sources, so that tests never need a build.
 */
export const shared: ViteUserConfig = {
  ssr: {
    resolve: { conditions: ["@tidings/source", "module", "node", "development|production"] }
  },
  test: {
    include: ["test/**/*.test.ts"],
    // Bounds what hangs; generous, because a busy machine is no reason to fail.
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
}
