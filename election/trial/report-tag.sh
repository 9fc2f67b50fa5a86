#!/bin/sh
# User data of the trial's instances: writes a line to the console, with the time, whenever the instance's own metadata
# begins or ends to show the leader tag.
metadata=http://169.254.169.254/latest
console=/dev/console
key=TAG_KEY

ask_for_token() {
    curl -s -m 2 -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 21600" "$metadata/api/token"
}

report_changes() {
    token=$(ask_for_token)
    before=
    while :; do
        answer=$(curl -s -m 2 -w " %{http_code}" -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/tags/instance/$key")
        case $answer in
        [Tt][Rr][Uu][Ee]" 200") now=shown ;;
        *" 200" | *" 404") now=absent ;;
        *) now=$before token=$(ask_for_token) ;; # metadata doesn't answer, or the token has expired
        esac
        if [ "$now" != "$before" ]; then
            echo "leader-trial $(date -u +%Y-%m-%dT%H:%M:%SZ) $now" >>"$console"
            before=$now
        fi
        sleep 1
    done
}

report_changes </dev/null >/dev/null 2>&1 &
