// Walks the types that a host without Effect meets, and says where one of Effect's is among them. Run with TypeScript 5.
"use strict"
const { resolve } = require("node:path")
const ts = require("typescript5")

const file = resolve("signatures.ts")
const program = ts.createProgram([file], {
  module: ts.ModuleKind.NodeNext,
  target: ts.ScriptTarget.ES2024,
  strict: true,
  noEmit: true,
  types: ["node"]
})
const checker = program.getTypeChecker()
const source = program.getSourceFile(file)
const found = new Set()
const seen = new Set()

const isEffects = (symbol) =>
  (symbol?.declarations ?? []).some((declaration) =>
    /node_modules\/effect\//.test(declaration.getSourceFile().fileName)
  )

const walk = (type, path) => {
  for (const alias of [type.aliasSymbol, type.symbol]) {
    if (isEffects(alias)) return void found.add(`${path}: ${checker.typeToString(type)}`)
  }
  if (seen.has(type) || path.length > 400) return
  seen.add(type)
  // What JavaScript and Node themselves have is no type of Effect's.
  if ((type.symbol?.declarations ?? []).some((one) => program.isSourceFileDefaultLibrary(one.getSourceFile()))) {
    for (const argument of checker.getTypeArguments(type)) walk(argument, `${path}<>`)
    return
  }
  for (const argument of type.aliasTypeArguments ?? []) walk(argument, path)
  if (type.isUnionOrIntersection()) for (const part of type.types) walk(part, path)
  for (const info of checker.getIndexInfosOfType(type)) walk(info.type, `${path}[]`)
  for (const property of checker.getPropertiesOfType(type)) {
    if (isEffects(property)) found.add(`${path}.${property.name}`)
    else walk(checker.getTypeOfSymbol(property), `${path}.${property.name}`)
  }
  for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
    for (const parameter of signature.getParameters())
      walk(checker.getTypeOfSymbol(parameter), `${path}(${parameter.name})`)
    walk(signature.getReturnType(), `${path}()`)
  }
}

let walked = 0
for (const statement of source.statements) {
  if (!ts.isTypeAliasDeclaration(statement)) continue
  walked++
  walk(checker.getTypeAtLocation(statement.name), statement.name.text)
}
if (walked === 0) throw new Error("there is no type to walk")
for (const where of found) console.error(where)
if (seen.size < 100) throw new Error(`only ${seen.size} types were found`)
process.exitCode = found.size === 0 ? 0 : 1
