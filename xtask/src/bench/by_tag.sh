# The shortest script: one command for a tag, its results read every 5 s until all have ended.
set -euo pipefail
command=$(aws ssm send-command --document-name AWS-RunShellScript --targets Key=tag-key,Values=env --parameters commands=whoami \
    --max-concurrency 100% --max-errors 100% --query Command.CommandId --output text)
while :; do
    sleep 5
    status=$(aws ssm list-commands --command-id "$command" --query 'Commands[0].Status' --output text)
    case $status in Pending | InProgress | Cancelling) continue ;; esac
    break
done
aws ssm list-command-invocations --command-id "$command" --details --query 'CommandInvocations[].[InstanceId,Status]' --output text > /dev/null
