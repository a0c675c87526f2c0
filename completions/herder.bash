# Completions of herder for bash. The answers come from files on this machine: a Tab waits for nobody.
_herder() {
    local IFS=$'\n' item is_first=1
    COMPREPLY=()
    while IFS= read -r item; do
        if [[ $is_first ]]; then
            is_first=
            # bash 3.2 has no compopt: a space too many there.
            [[ $item == nospace ]] && compopt -o nospace 2>/dev/null
        else
            COMPREPLY+=("$item")
        fi
    done < <(command herder __complete bash "$COMP_WORDBREAKS" "$(LC_ALL=C; printf %s "${COMP_LINE:0:COMP_POINT}")" 2>/dev/null)
}
complete -F _herder herder
