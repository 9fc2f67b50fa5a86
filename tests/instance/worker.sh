#!/bin/sh
# The work of the random runs: worker.sh FILE takes the first line from FILE, a number and a kind. Each of its processes
# reports itself in $REPORTS: what it is, the number, its process id and the seconds since boot. Then it behaves, or
# misbehaves, as its kind.
case $1 in
    child) kind=child ;;
    *) read -r run kind <"$1" && sed -i 1d "$1" ;;
esac
export run
read -r uptime _ </proc/uptime
echo "$kind $run $$ $uptime" >>"$REPORTS"

case $kind in
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
        [ "$kind" = daemon ] || trap '' TERM INT
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
