// Runs after every install. What fails here is made up for at the first use of the command.
try {
  const { bundle } = await import("./bundle.ts")
  await bundle()
} catch (error) {
  const [first] = String(error instanceof Error ? error.message : error).split("\n")
  console.error(`the command tidings is built at its first use (now: ${first})`)
}
