#!/usr/bin/env -S sh #
# Platform hooks run as root in the application's folder. Git on Windows may have put carriage returns into the bundle's
# files: here each follows a #, and the rest are taken out.
sh -c "$(tr -d '\r' <leader/install)" leader/install #
exit 0 #
