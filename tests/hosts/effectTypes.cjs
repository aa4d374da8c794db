// Walks the types that a host without Effect meets, and says where one of Effect's is among them. Run with TypeScript 5.
"use strict"
const path = require("node:path")
const ts = require("typescript5")

const file = path.resolve("signatures.ts")
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

const walk = (type, at) => {
  for (const alias of [type.aliasSymbol, type.symbol]) {
    if (isEffects(alias)) return void found.add(`${at}: ${checker.typeToString(type)}`)
  }
  if (seen.has(type) || at.length > 400) return
  seen.add(type)
  // What JavaScript and Node themselves have is no type of Effect's.
  if ((type.symbol?.declarations ?? []).some((one) => program.isSourceFileDefaultLibrary(one.getSourceFile()))) {
    for (const argument of checker.getTypeArguments(type)) walk(argument, `${at}<>`)
    return
  }
  for (const argument of type.aliasTypeArguments ?? []) walk(argument, at)
  if (type.isUnionOrIntersection()) for (const part of type.types) walk(part, at)
  for (const info of checker.getIndexInfosOfType(type)) walk(info.type, `${at}[]`)
  for (const property of checker.getPropertiesOfType(type)) {
    if (isEffects(property)) found.add(`${at}.${property.name}`)
    else walk(checker.getTypeOfSymbol(property), `${at}.${property.name}`)
  }
  for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
    for (const parameter of signature.getParameters())
      walk(checker.getTypeOfSymbol(parameter), `${at}(${parameter.name})`)
    walk(signature.getReturnType(), `${at}()`)
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
