"use strict"
const EventCatalogue = require("@tidings/core/EventCatalogue")
const Rejection = require("tidings/Rejection")
const Tidings = require("tidings/Tidings")
const { run } = require("./scenario.cjs")

run({ EventCatalogue, Rejection, Tidings }).catch((error) => {
  console.error(error)
  process.exitCode = 1
})
