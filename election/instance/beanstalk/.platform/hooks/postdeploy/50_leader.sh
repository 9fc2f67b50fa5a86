#!/bin/sh
# Platform hooks run as root in the application's folder.
sh leader/install
exit 0
