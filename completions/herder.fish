# Completions of herder for fish. The answers come from files on this machine: a Tab waits for nobody.
function __herder_complete
    set -l before (commandline -xpc 2>/dev/null; or commandline -opc)
    # Of an empty word some versions print an empty line, and others nothing.
    set -l word (commandline -ct)
    set -q word[1]; or set word ''
    command herder __complete fish $before $word[1] 2>/dev/null
end
complete -c herder -f -a '(__herder_complete)'
