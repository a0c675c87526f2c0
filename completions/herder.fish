# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_herder_global_optspecs
    string join \n profile= region= account= assume-role= sim= state-dir= utc no-defaults y/yes h/help V/version
end

function __fish_herder_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_herder_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_herder_using_subcommand
    set -l cmd (__fish_herder_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c herder -n "__fish_herder_needs_command" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_needs_command" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_needs_command" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_needs_command" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_needs_command" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_needs_command" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_needs_command" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_needs_command" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_needs_command" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_needs_command" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_needs_command" -f -a "exec" -d 'Run a command on many nodes'
complete -c herder -n "__fish_herder_needs_command" -f -a "session" -d 'Open a shell on a node, run a command, forward ports: through Session Manager, without a plugin'
complete -c herder -n "__fish_herder_needs_command" -f -a "nodes" -d 'Look at the fleet: EC2 and Systems Manager, merged'
complete -c herder -n "__fish_herder_needs_command" -f -a "runs" -d 'Look at runs, and go on with one that was killed'
complete -c herder -n "__fish_herder_needs_command" -f -a "sim" -d 'Run the simulated AWS for several commands, the aws CLI, boto3 and others'
complete -c herder -n "__fish_herder_needs_command" -f -a "whoami" -d 'Show as whom, and in which accounts and regions, commands would work'
complete -c herder -n "__fish_herder_needs_command" -f -a "doctor" -d 'Check credentials, region, clock, permissions, directories and the terminal; exits 1 if something fails'
complete -c herder -n "__fish_herder_needs_command" -f -a "config" -d 'Show settings and where each comes from, or write a configuration file'
complete -c herder -n "__fish_herder_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c herder -n "__fish_herder_needs_command" -f -a "man" -d 'Print the manual page (pipe it to `man -l -`)'
complete -c herder -n "__fish_herder_needs_command" -f -a "help" -d 'Show help on a command or a topic (exit-codes, output, selectors, rollout, sim)'
complete -c herder -n "__fish_herder_using_subcommand exec" -s t -l target -d 'Nodes to act on: an id, a name, tag:KEY=VALUE, all, @FILE, - (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l exclude -d 'Nodes to leave out (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l sample -d 'Act on a random part of them only' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l seed -d 'Seed of --sample, for the same choice again' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l limit -d 'Act on this many of them at most' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -s c -l concurrency -d 'Targets at once, as a count or a percentage' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l max-errors -d 'Stop when more targets than this are bad (failed, timed out, undelivered, denied or unknown)' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l waves -d 'Go in waves: how many targets are reached by the end of each, such as 1,10%,100%' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l spread -d 'Let every wave have its part of each zone or Auto Scaling group' -r -f -a "az\t'Availability zone'
asg\t'Auto Scaling group'"
complete -c herder -n "__fish_herder_using_subcommand exec" -l soak -d 'Wait so long after each wave' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l gate -d 'Ask between waves: a command, alarm:NAME or tg:ARN; a no, or no answer within 60 s, stops the run (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l stop-on-alarm -d 'Stop when this alarm goes into ALARM, at any time: nothing new is sent, what runs finishes (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l calendar -d 'Run only while this calendar of Change Calendar is OPEN, at the start and before each wave' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l rate -d 'Send to so many targets a second at the most' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l via -d 'Who goes over the targets: herder, the service, or whoever is faster' -r -f -a "client\t'herder, in batches of fifty'
service\t'Run Command, by the selector'
auto\t'Whichever has every result sooner, where the selector allows it'"
complete -c herder -n "__fish_herder_using_subcommand exec" -l reason -d 'Why it is done; kept with the run' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand exec" -l out-dir -d 'Write each node\'s stdout, stderr and result to files here, byte for byte' -r -F
complete -c herder -n "__fish_herder_using_subcommand exec" -l script -d 'Send this script; what stands after `--` are its arguments' -r -F
complete -c herder -n "__fish_herder_using_subcommand exec" -l user -d 'Run it as this user, in a login environment' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l cwd -d 'Run it in this directory' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l shell -d 'Run it with this shell in place of the agent\'s `sh`' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l env -d 'Set a variable from herder\'s environment, or NAME=VALUE (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l env-file -d 'Set the variables of a file of NAME=VALUE lines (can be repeated)' -r -F
complete -c herder -n "__fish_herder_using_subcommand exec" -l document -d 'Run another document than the shell\'s' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l document-version -d 'The document\'s version' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -s p -l parameter -d 'A parameter of the document (can be repeated; the same name again adds a value)' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l timeout -d 'How long it may run on a node, 5 s to 48 h; 1h unless given, and a document keeps its own' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l delivery-timeout -d 'How long a node may take to begin, 30 s to 30 d' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l s3 -d 'Let nodes put their outputs into S3, and take them from there: whole, byte for byte, of any length' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l log-group -d 'Let nodes write their outputs to this CloudWatch log group too, and show them as they are written' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l exit -d 'What the exit code tells: of the run, or of the command on its one target; herder\'s own failures are 255 then' -r -f -a "run\t'herder\'s own, by verdicts'
remote\t'The remote command\'s, where there is one target'"
complete -c herder -n "__fish_herder_using_subcommand exec" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand exec" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand exec" -l dry-run -d 'Show what would be done, to which targets and in which waves, and do nothing'
complete -c herder -n "__fish_herder_using_subcommand exec" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand exec" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand exec" -l diff -d 'Show how outputs differ from what most nodes said'
complete -c herder -n "__fish_herder_using_subcommand exec" -l stdin -d 'Give herder\'s standard input to the command, on each node'
complete -c herder -n "__fish_herder_using_subcommand exec" -l resend-ambiguous -d 'Send again where the answer to a send was lost and no trace of it is found; a node may run it twice'
complete -c herder -n "__fish_herder_using_subcommand exec" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand exec" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand exec" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand exec" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l document -d 'Start this document in place of the account\'s shell' -r
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -s p -l parameter -d 'A parameter of the document (can be repeated; the same name again adds a value)' -r
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l reason -d 'Why, for the audit' -r
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l record -d 'Record what is shown, as asciinema does' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l escape-char -d 'The character that begins escapes, or `none`' -r
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l record-input -d 'Record what is typed as well, passwords included'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "exec" -d 'Run a command on one node; its output and its exit code are the process\'s own'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "forward" -d 'Forward ports on this machine to a node, or to hosts that it reaches'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "ssh" -d 'Start ssh through a session'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "proxy" -d 'Connect a port of a node with standard input and output, for ssh\'s ProxyCommand'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "ssh-config" -d 'Print what makes ssh, scp and rsync go through sessions, for ~/.ssh/config'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "cp" -d 'Copy files to or from a node, or many, without ssh'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "list" -d 'List sessions that go on, everybody\'s'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "history" -d 'List sessions that have ended, of the last 30 days'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "stop" -d 'End sessions, your own or, where you may, somebody else\'s'
complete -c herder -n "__fish_herder_using_subcommand session; and not __fish_seen_subcommand_from exec forward ssh proxy ssh-config cp list history stop plugin" -a "plugin" -d 'Stand in for the aws CLI\'s session-manager-plugin'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -l reason -d 'Why, for the audit' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from exec" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -s L -l local -d 'What to forward; port 0 picks a free one (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l reason -d 'Why, for the audit' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l json -l jsonl -d 'Write an object a line on standard output'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from forward" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -l reason -d 'Why, for the audit' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from proxy" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from ssh-config" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -s t -l target -d 'Nodes to act on: an id, a name, tag:KEY=VALUE, all, @FILE, - (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l exclude -d 'Nodes to leave out (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l sample -d 'Act on a random part of them only' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l seed -d 'Seed of --sample, for the same choice again' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l limit -d 'Act on this many of them at most' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -s c -l concurrency -d 'Targets at once, as a count or a percentage' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l max-errors -d 'Stop when more targets than this are bad (failed, timed out, undelivered, denied or unknown)' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l waves -d 'Go in waves: how many targets are reached by the end of each, such as 1,10%,100%' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l spread -d 'Let every wave have its part of each zone or Auto Scaling group' -r -f -a "az\t'Availability zone'
asg\t'Auto Scaling group'"
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l soak -d 'Wait so long after each wave' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l gate -d 'Ask between waves: a command, alarm:NAME or tg:ARN; a no, or no answer within 60 s, stops the run (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l stop-on-alarm -d 'Stop when this alarm goes into ALARM, at any time: nothing new is sent, what runs finishes (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l calendar -d 'Run only while this calendar of Change Calendar is OPEN, at the start and before each wave' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l rate -d 'Send to so many targets a second at the most' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l via -d 'Who goes over the targets: herder, the service, or whoever is faster' -r -f -a "client\t'herder, in batches of fifty'
service\t'Run Command, by the selector'
auto\t'Whichever has every result sooner, where the selector allows it'"
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l reason -d 'Why it is done; kept with the run' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l out-dir -d 'Write each node\'s stdout, stderr and result to files here, byte for byte' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -s r -l recursive -d 'Copy directories with all that is in them'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -s p -l preserve -d 'Keep permissions and times exactly'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l no-resume -d 'Begin anew, whatever an earlier copy has left'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l base64 -d 'Upload as base64, for what might change bytes on the way'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l dry-run -d 'Show what would be done, to which targets and in which waves, and do nothing'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l diff -d 'Show how outputs differ from what most nodes said'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from cp" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -s t -l target -d 'Only those with this node: an id, a name, or any selector that gives one node' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l owner -d 'Only those of this principal: an ARN, or `me`' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -s t -l target -d 'Only those with this node: an id, a name, or any selector that gives one node' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l owner -d 'Only those of this principal: an ARN, or `me`' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from history" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from stop" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand session; and __fish_seen_subcommand_from plugin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -f -a "list" -d 'List nodes'
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -f -a "show" -d 'Show everything that is known of nodes'
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -f -a "summary" -d 'Count nodes by what they are'
complete -c herder -n "__fish_herder_using_subcommand nodes; and not __fish_seen_subcommand_from list show summary check" -f -a "check" -d 'Check whether commands can reach nodes; exits 1 if any can\'t be reached'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -s t -l target -d 'Only these nodes: an id, a name, tag:KEY=VALUE, @FILE, - (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l exclude -d 'Nodes to leave out (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -s t -l target -d 'Only these nodes: an id, a name, tag:KEY=VALUE, @FILE, - (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l exclude -d 'Nodes to leave out (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l by -d 'By what: state, ping, platform, agent-version, az, instance-type, image, asg, or tag:KEY' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from summary" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -s t -l target -d 'Only these nodes: an id, a name, tag:KEY=VALUE, @FILE, - (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l exclude -d 'Nodes to leave out (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l all -d 'List those that are fine as well'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand nodes; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -f -a "list" -d 'List runs, newest first'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -f -a "show" -d 'Show a run as it was shown when it ran'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -f -a "attach" -d 'Watch a run that another process drives; Ctrl-C stops watching, not the run'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -f -a "resume" -d 'Go on with a run that was killed, interrupted or stopped, where it was'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -f -a "retry" -d 'Run the same again, as a new run, on those targets that ended a certain way'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -f -a "cancel" -d 'Cancel a run: nothing new is sent, what runs is cancelled remotely'
complete -c herder -n "__fish_herder_using_subcommand runs; and not __fish_seen_subcommand_from list show attach resume retry cancel prune" -f -a "prune" -d 'Forget old runs: those that are older than 30 days, and the oldest ones beyond 5 GB'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l out-dir -d 'Write each node\'s stdout, stderr and result to files here, byte for byte' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l diff -d 'Show how outputs differ from what most nodes said'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l out-dir -d 'Write each node\'s stdout, stderr and result to files here, byte for byte' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l diff -d 'Show how outputs differ from what most nodes said'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from attach" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -s c -l concurrency -d 'Targets at once from now on' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l max-errors -d 'A new limit of bad targets, over the whole run' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l env -d 'A variable\'s value again, from herder\'s environment or as NAME=VALUE (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -s p -l parameter -d 'A parameter of the document again (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l out-dir -d 'Write each node\'s stdout, stderr and result to files here, byte for byte' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l resend-ambiguous -d 'Send again where the answer to a send was lost and no trace of it is found; a node may run it twice'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l stdin -d 'Give the command\'s standard input again'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l diff -d 'Show how outputs differ from what most nodes said'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from resume" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l where -d 'Which targets: bad, or a verdict such as failed, undelivered or unknown (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -s c -l concurrency -d 'Targets at once, as a count or a percentage' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l max-errors -d 'Stop when more targets than this are bad (failed, timed out, undelivered, denied or unknown)' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l waves -d 'Go in waves: how many targets are reached by the end of each, such as 1,10%,100%' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l spread -d 'Let every wave have its part of each zone or Auto Scaling group' -r -f -a "az\t'Availability zone'
asg\t'Auto Scaling group'"
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l soak -d 'Wait so long after each wave' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l gate -d 'Ask between waves: a command, alarm:NAME or tg:ARN; a no, or no answer within 60 s, stops the run (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l stop-on-alarm -d 'Stop when this alarm goes into ALARM, at any time: nothing new is sent, what runs finishes (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l calendar -d 'Run only while this calendar of Change Calendar is OPEN, at the start and before each wave' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l rate -d 'Send to so many targets a second at the most' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l via -d 'Who goes over the targets: herder, the service, or whoever is faster' -r -f -a "client\t'herder, in batches of fifty'
service\t'Run Command, by the selector'
auto\t'Whichever has every result sooner, where the selector allows it'"
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l reason -d 'Why it is done; kept with the run' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l env -d 'A variable\'s value again, from herder\'s environment or as NAME=VALUE (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -s p -l parameter -d 'A parameter of the document again (can be repeated)' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l out-dir -d 'Write each node\'s stdout, stderr and result to files here, byte for byte' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l dry-run -d 'Show what would be done, to which targets and in which waves, and do nothing'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l stdin -d 'Give the command\'s standard input again'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l diff -d 'Show how outputs differ from what most nodes said'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from retry" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l out-dir -d 'Write each node\'s stdout, stderr and result to files here, byte for byte' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l diff -d 'Show how outputs differ from what most nodes said'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from cancel" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l keep -d 'Keep runs that are younger' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l keep-bytes -d 'Of these keep the newest that fit into so many bytes' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l dry-run -d 'Only list what would be forgotten'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand runs; and __fish_seen_subcommand_from prune" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand sim; and not __fish_seen_subcommand_from serve" -f -a "serve" -d 'Serve a simulated AWS on this machine until stopped; prints the variables to use it with'
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l port -d 'Port to listen on; 0 takes any' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l tls -d 'Serve https with a certificate of its own; the CA is written to a file' -r -F
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l background -d 'Go on in the background; `HERDER_SIM_PID` among the variables says which process it is'
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand sim; and __fish_seen_subcommand_from serve" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand whoami" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand whoami" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand whoami" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand whoami" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand whoami" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand whoami" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand whoami" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand whoami" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand whoami" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand whoami" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand whoami" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand whoami" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand whoami" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand whoami" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand whoami" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand whoami" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand doctor" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand doctor" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand doctor" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand doctor" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand doctor" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand doctor" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand doctor" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand doctor" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand doctor" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand doctor" -l policy -d 'Print the IAM policy that these commands need, and look at nothing'
complete -c herder -n "__fish_herder_using_subcommand doctor" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand doctor" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand doctor" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand doctor" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand doctor" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -f -a "show" -d 'Show every setting, its value, and where it comes from'
complete -c herder -n "__fish_herder_using_subcommand config; and not __fish_seen_subcommand_from show init" -f -a "init" -d 'Write a configuration file with every setting explained and commented out'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -s o -l output -d 'Format of the results on stdout' -r -f -a "json\t'One document at the end'
jsonl\t'One event or row a line, as it happens'
csv\t'Comma-separated, with a header'
table\t'A table'
quiet\t'Only what needs attention'"
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l columns -d 'Columns to show, in order' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l sort -d 'Sort by a column; `-NAME` for the other way round' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l all -d 'List every flag that may have a default in the file, with the built-in one'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'The same as `-o json`'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l jsonl -d 'The same as `-o jsonl`'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -l force -d 'Replace the file that is there; it is kept beside it as config.toml.old'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand config; and __fish_seen_subcommand_from init" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand completions" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand completions" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand completions" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand completions" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand completions" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand completions" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand completions" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand completions" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand completions" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand completions" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand man" -l all -d 'Write the pages of all commands into this directory' -r -F
complete -c herder -n "__fish_herder_using_subcommand man" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand man" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand man" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand man" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand man" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand man" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand man" -l reference -d 'Print the help of all commands as Markdown'
complete -c herder -n "__fish_herder_using_subcommand man" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand man" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand man" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand man" -s V -l version -d 'Print version'
complete -c herder -n "__fish_herder_using_subcommand help" -l profile -d 'AWS profile' -r
complete -c herder -n "__fish_herder_using_subcommand help" -l region -d 'AWS region, several of them (eu-west-1,us-east-1), or `all` that are enabled' -r
complete -c herder -n "__fish_herder_using_subcommand help" -l account -d 'Accounts to work in through --assume-role: ids, ou:ID, org' -r
complete -c herder -n "__fish_herder_using_subcommand help" -l assume-role -d 'Role to assume with the profile\'s credentials: an ARN, or a name in the caller\'s account or in each of --account' -r
complete -c herder -n "__fish_herder_using_subcommand help" -l sim -d 'Use a simulated AWS in place of the real one' -r
complete -c herder -n "__fish_herder_using_subcommand help" -l state-dir -d 'Directory where runs are kept' -r -F
complete -c herder -n "__fish_herder_using_subcommand help" -l utc -d 'Show times in UTC'
complete -c herder -n "__fish_herder_using_subcommand help" -l no-defaults -d 'Take no notice of the configuration file\'s [defaults]: for scripts'
complete -c herder -n "__fish_herder_using_subcommand help" -s y -l yes -d 'Answer yes to every question'
complete -c herder -n "__fish_herder_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c herder -n "__fish_herder_using_subcommand help" -s V -l version -d 'Print version'
