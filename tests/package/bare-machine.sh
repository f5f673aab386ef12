#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bare-machine.sh PACKAGE TEST: in the root of a bare Debian, installs the package with what it depends on and no more,
# runs TEST as an ordinary user, purges everything again, and compares the files with those from before.
set -eu

package=$1 test=$2

# What apt, dpkg and useradd write by themselves for any package.
list() {
        find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/cache \
                -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/log -o -path /var/tmp \) -prune \
                -o ! -name '*~' ! -name 'passwd-' ! -name 'group-' ! -name 'shadow-' ! -name 'gshadow-' \
                ! -name ld.so.cache ! -name subuid- ! -name subgid- -print | LC_ALL=C sort
}

export DEBIAN_FRONTEND=noninteractive
list >/tmp/files-before
apt-get -q -y -o APT::Install-Recommends=false install "$package" >/tmp/install.log 2>&1 || {
        cat /tmp/install.log >&2
        exit 1
}
echo "installed: $(sed -n 's/^Setting up \([^ :]*\).*/\1/p' /tmp/install.log | tr '\n' ' ')"

# All that is installed is there and readable, and the programs find their libraries.
dpkg --verify mosaic
mosaic version

useradd --create-home --shell /bin/sh tester
chmod 755 "$test"
runuser -u tester -- env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 TERM=xterm "$test"
userdel --remove tester 2>/dev/null

apt-get -q -y purge mosaic >/tmp/purge.log 2>&1
apt-get -q -y autoremove --purge >>/tmp/purge.log 2>&1 || {
        cat /tmp/purge.log >&2
        exit 1
}
list >/tmp/files-after
if ! diff /tmp/files-before /tmp/files-after >/tmp/difference; then
        echo 'purge left or took these:' >&2
        cat /tmp/difference >&2
        exit 1
fi
echo 'purged: nothing is left'
