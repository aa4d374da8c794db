/**
 * The scripts that make a shell ask the command for completions. They hold no names of their own, so what they offer is always that
 * of the command and the store of the moment. That for PowerShell holds all.
 *
 * @internal
 */

import type * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import { VERB } from "./argv.ts"
import type { Catalogue } from "./catalogue.ts"
import { described } from "./described.ts"

const bash = (
  name: string,
  id: string
): string => `# Completion of ${name} in bash. Add to ~/.bashrc: source <(${name} --completions bash)
_${id}_complete() {
  local program="\${1/#\\~/$HOME}" how="" value
  type -P "$program" >/dev/null || program=${name}
  COMPREPLY=()
  {
    IFS= read -r how
    while IFS= read -r value; do COMPREPLY+=("$value"); done
  } < <("$program" ${VERB} bash "\${COMP_LINE:0:$COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
  case "$how" in
    files) compopt -o default 2>/dev/null ;;
    directories) COMPREPLY=(); compopt -o dirnames 2>/dev/null ;;
    open) compopt -o nospace 2>/dev/null ;;
  esac
}
complete -F _${id}_complete ${name}`

const zsh = (name: string, id: string): string => `#compdef ${name}
# Completion of ${name} in zsh. Add to ~/.zshrc after compinit: source <(${name} --completions zsh)
_${id}_complete() {
  local program="\${\${(Q)words[1]}/#\\~/$HOME}" how line
  local -a lines values shown
  (( $+commands[$program] )) || [[ -x $program ]] || program=${name}
  lines=("\${(@f)$("$program" ${VERB} zsh "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  how=$lines[1]
  lines=("\${(@)lines[2,-1]}")
  case $how in
    files) compset -P '*='; _files; return ;;
    directories) compset -P '*='; _files -/; return ;;
  esac
  for line in "\${lines[@]}"; do
    [[ -n $line ]] || continue
    values+=("\${line%%$'\\t'*}")
    if [[ $line == *$'\\t'* ]]; then shown+=("\${line%%$'\\t'*}  -- \${line#*$'\\t'}"); else shown+=("$line"); fi
  done
  (( \${#values} )) || return 1
  if [[ $how == open ]]; then compadd -U -l -S '' -d shown -a values; else compadd -U -l -d shown -a values; fi
}
if [[ "$funcstack[1]" == "_${name}" ]]; then _${id}_complete "$@"; else compdef _${id}_complete ${name}; fi`

const fish = (
  name: string,
  id: string
): string => `# Completion of ${name} in fish. Write to ~/.config/fish/completions/${name}.fish
function __${id}_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    type -q $program; or set program ${name}
    set -l lines ($program ${VERB} fish $words[2..-1] "$current" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path (string replace -r '^--?[^=]*=' '' -- "$current")
        case directories
            __fish_complete_directories (string replace -r '^--?[^=]*=' '' -- "$current")
        case '*'
            set -q lines[2]; and printf '%s\\n' $lines[2..-1]
    end
end
complete -c ${name} -f -a '(__${id}_complete)'`

/**
 * The script for a command; as a plugin of kubectl it is completed under the name of its file.
 *
 * @internal
 */
export const script = (shell: Completions.Shell, command: Command.Command.Any, catalogue: Catalogue): string => {
  if (shell === "powershell") return Completions.generate(command.name, shell, described(command, catalogue))
  const name = command.name.replaceAll(" ", "-")
  const id = name.replace(/[^A-Za-z0-9_]/g, "_")
  return { bash, zsh, fish }[shell](name, id)
}
