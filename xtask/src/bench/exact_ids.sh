# What a careful person writes with the aws CLI: ids in chunks of 50, each chunk's results read every 5 s until all have ended. The
# chunks are watched side by side: one after the other, twenty calls of the aws CLI take longer than the 5 s.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
aws ssm describe-instance-information --filters Key=tag-key,Values=env \
    --query "InstanceInformationList[?PingStatus=='Online'].InstanceId" --output text | tr '\t' '\n' | split -l 50 - "$work/chunk."
for chunk in "$work"/chunk.*; do
    aws ssm send-command --document-name AWS-RunShellScript --instance-ids $(cat "$chunk") --parameters commands=whoami \
        --max-concurrency 100% --max-errors 100% --query Command.CommandId --output text > "$work/open.${chunk##*.}"
done
watch_chunk() {
    while :; do
        begun=$SECONDS
        statuses=$(aws ssm list-command-invocations --command-id "$1" --details \
            --query 'CommandInvocations[].Status' --output text)
        if ! grep -qE 'Pending|InProgress|Delayed|Cancelling' <<< "$statuses"; then return; fi
        left=$((5 - (SECONDS - begun)))
        if [ "$left" -gt 0 ]; then sleep "$left"; fi
    done
}
watching=()
for open in "$work"/open.*; do
    watch_chunk "$(cat "$open")" &
    watching+=($!)
done
for pid in "${watching[@]}"; do wait "$pid"; done
