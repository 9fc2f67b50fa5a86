#!/bin/bash
# Installs leader-only, the cron table and the worker from the folder leader of the source bundle, when the application
# is in its place. It runs again after each deployment, and after each change of the environment's properties.
set -eu
cd leader # of the application, where such hooks begin
install -m 755 leader-only /usr/local/bin/leader-only
install -m 755 run /usr/local/bin/leader-run
if [ -e cron ]; then
    install -m 644 cron /etc/cron.d/leader
else
    rm -f /etc/cron.d/leader
fi
if [ -e worker.service ]; then
    install -m 644 worker.service /etc/systemd/system/leader-worker.service
    systemctl daemon-reload
    systemctl enable leader-worker
    # So that it runs the new version, with the new properties.
    systemctl restart leader-worker
elif [ -e /etc/systemd/system/leader-worker.service ]; then
    systemctl disable --now leader-worker
    rm -f /etc/systemd/system/leader-worker.service
    systemctl daemon-reload
fi
