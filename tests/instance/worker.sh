#!/bin/sh
# The work of the random runs: worker.sh KIND. Each of its processes reports itself on file descriptor 3, with its process
# id and the seconds since boot; then it behaves, or misbehaves, as its kind.
report() {
    read -r uptime _ </proc/uptime
    printf '%s %s %s\n' "$1" "$$" "$uptime" >&3
}

case $1 in
    child) report child ;;
    *) report main ;;
esac
case $1 in
    plain) exec sleep 1000 ;;
    child | deaf)
        trap '' TERM INT HUP
        exec sleep 1000
        ;;
    slow)
        trap 'sleep 0.15; exit 0' TERM INT
        sleep 1000 &
        wait
        kill "$!"
        ;;
    family)
        sh "$0" child &
        exec sleep 1000
        ;;
    daemon | deaf-daemon)
        [ "$1" = daemon ] || trap '' TERM INT
        setsid sh "$0" child &
        exec sleep 1000
        ;;
    own-group)
        timeout 1000 sh "$0" child &
        exec sleep 1000
        ;;
    stopped)
        sh "$0" child &
        kill -STOP $$
        exec sleep 1000
        ;;
    leaves-daemon)
        setsid sh "$0" child &
        sleep 0.1
        exit 0
        ;;
    leaves-child)
        sh "$0" child &
        sleep 0.1
        exit 6
        ;;
    quick) exit 3 ;;
    brief)
        sleep 0.4
        exit 4
        ;;
esac
