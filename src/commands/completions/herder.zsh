#compdef herder
# Completions of herder for zsh. The answers come from files on this machine: a Tab waits for nobody.
_herder() {
    local item value about current=$PREFIX
    local -a whole whole_shown partial partial_shown
    [[ -n $QIPREFIX ]] || current=${(Q)PREFIX}
    for item in "${(@f)$(command herder __complete zsh "${(@Q)words[1,CURRENT-1]}" "$current" 2>/dev/null)}"; do
        [[ -n $item ]] || continue
        value=${${item%%$'\t'*}[2,-1]}
        about=${item#*$'\t'}
        [[ -n $about ]] && about="$value  -- $about" || about=$value
        if [[ $item == +* ]]; then
            partial+=("$value") partial_shown+=("$about")
        else
            whole+=("$value") whole_shown+=("$about")
        fi
    done
    (( $#whole )) && compadd -l -d whole_shown -a whole
    (( $#partial )) && compadd -S '' -l -d partial_shown -a partial
    (( $#whole + $#partial ))
}
if [[ $funcstack[1] == _herder ]]; then
    _herder "$@"
else
    compdef _herder herder
fi
